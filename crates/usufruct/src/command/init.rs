//! `usufruct init`: a new pass, its keys and its operator.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use usufruct_app::Publication;
use usufruct_core::id::AgencyId;
use usufruct_core::statement::{Signer, StatementKind};

use crate::bucket::Bucket;
use crate::chance::SystemRng;
use crate::clock::{self, SystemClock};
use crate::command::key::{self, KeyFile};
use crate::compose;
use crate::data_dir::{self, DataDir, PagesPlace, ProviderTable, Setup, VaultTable};
use crate::failure::Failure;
use crate::keeper::roster::{self, Roster};
use crate::root::{self, RootKind, TokenTable};

/// Make a new pass: its keys, its log, and the operator's first statement in it.
///
/// Two key files for officials of the operator are written to the folder `officials`. Hand each to its official and
/// delete it here: nobody alone, and no machine, may give power.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct init --data-dir pass --origin pass.example.org/log \\
      --operator-name 'City of X, Information Office' --operator-name-zh 'X 市政府資訊局' \\
      --contact pass@example.org --protection-officer 'Chief Secretary' --security-officer 'Security Section'
  usufruct init --data-dir pass --origin pass.example.org/log --operator-name X --operator-name-zh X \\
      --database postgres://usufruct@localhost/usufruct --bucket s3://city-log/pass
  usufruct init --data-dir pass --origin pass.example.org/log --operator-name X --operator-name-zh X --keepers keepers.toml
  usufruct init --data-dir pass --origin pass.example.org/log --operator-name X --operator-name-zh X \\
      --token-module /usr/lib/softhsm/libsofthsm2.so --token-label pass --token-pin-file /run/credentials/usufruct/pin")]
pub struct Init {
    /// The data directory, which is made.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The log's name for ever: a host you keep and a path, without scheme, as pass.example.org/log.
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// The operator's legal name in English.
    #[arg(long, value_name = "NAME")]
    operator_name: String,
    /// The operator's legal name in traditional Chinese.
    #[arg(long, value_name = "NAME")]
    operator_name_zh: String,
    /// The operator's id in the register.
    #[arg(long, value_name = "ID", default_value = "agc_operator")]
    operator: AgencyId,
    /// Where people can write or call.
    #[arg(long, default_value = "to be announced")]
    contact: String,
    /// The office of the data protection officer.
    #[arg(long, value_name = "OFFICE", default_value = "to be announced")]
    protection_officer: String,
    /// The office responsible for data security.
    #[arg(long, value_name = "OFFICE", default_value = "to be announced")]
    security_officer: String,
    /// Code of the law that applies.
    #[arg(long, value_name = "CODE", default_value = "TW")]
    jurisdiction: String,
    /// A PostgreSQL database instead of the embedded one, as postgres://user@host/name.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where the sealed pages of the key tree go; without it, where the data is.
    #[arg(long, value_enum, value_name = "PLACE")]
    pages: Option<PagesPlace>,
    /// A mirror to bring the log to, by its address; may be given again.
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    #[command(flatten)]
    log: Option<Bucket>,
    #[command(flatten)]
    root: RootPlace,
}

/// Where the root of the key tree lies, if not in a file.
#[derive(Debug, Args)]
struct RootPlace {
    /// The roster of the keepers who hold the root (see `usufruct keeper`).
    #[arg(long, value_name = "FILE", conflicts_with = "token_module")]
    keepers: Option<PathBuf>,
    /// Library of a PKCS#11 token that holds the root.
    #[arg(long, value_name = "FILE", requires = "token_label", requires = "pin")]
    token_module: Option<PathBuf>,
    /// Label of the token.
    #[arg(long, value_name = "LABEL", requires = "token_module")]
    token_label: Option<String>,
    /// A file with the PIN of the token and nothing else, read at every start.
    #[arg(long, value_name = "FILE", requires = "token_module", group = "pin")]
    token_pin_file: Option<PathBuf>,
    /// The environment variable with the PIN of the token.
    #[arg(long, value_name = "NAME", requires = "token_module", group = "pin")]
    token_pin_env: Option<String>,
}

impl RootPlace {
    fn table(&self, database: Option<&str>, pages: Option<PagesPlace>) -> Option<VaultTable> {
        let table = || pages.map_or_else(|| VaultTable::of(database), |pages| VaultTable { pages, ..VaultTable::default() });
        if self.keepers.is_some() {
            return Some(VaultTable { root: RootKind::Keepers, ..table() });
        }
        if let (Some(module), Some(label)) = (&self.token_module, &self.token_label) {
            let token = TokenTable {
                module: module.clone(),
                label: label.clone(),
                pin_file: self.token_pin_file.clone(),
                pin_env: self.token_pin_env.clone(),
            };
            return Some(VaultTable { root: RootKind::Token, token: Some(token), ..table() });
        }
        (database.is_some() || pages.is_some()).then(table)
    }
}

impl Init {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if data_dir::setup(&self.data_dir).is_ok() {
            return Err(Failure::refused(
                format!("There is a pass in {} already.", self.data_dir.display()),
                "Serve it with `usufruct serve`, or choose another directory.",
            ));
        }
        let dir = DataDir::hold(&self.data_dir)?;
        let setup = Setup {
            origin: self.origin.clone(),
            operator: self.operator.clone(),
            database: self.database.clone(),
            mirrors: self.mirror.clone(),
            log: self.log.clone(),
            provider: ProviderTable::default(),
            nightly: None,
            mail: None,
            certificate_cards: None,
            vault: self.root.table(self.database.as_deref(), self.pages),
        };
        let roster = self.root.keepers.as_deref().map(Roster::read).transpose()?;
        if let Some(roster) = &roster {
            root::belongs(dir.path(), &self.origin, roster)?;
            data_dir::write(&dir.path().join(roster::FILE), roster.text()?.as_bytes())?;
        }
        let app = dir.open(&setup, Arc::new(SystemClock))?;
        if app.register().operator().is_none() {
            let officials = dir.path().join("officials");
            std::fs::create_dir_all(&officials).map_err(|error| Failure::file(&officials, &error))?;
            let mut keys = Vec::new();
            let mut signers = Vec::new();
            for role in ["head", "data-protection"] {
                let fresh = KeyFile::fresh(&self.operator, role);
                fresh.write(&officials.join(format!("{}.{role}.json", self.operator)))?;
                signers.push(fresh.signer()?);
                keys.push(key::entry(role, &fresh.signer()?));
            }
            let automation = app.house().signer(&self.operator, AUTOMATION, &SystemRng)?;
            keys.push(key::entry(AUTOMATION, &automation));
            let body = json!({
                "legal_name": { "en": self.operator_name, "zh-Hant": self.operator_name_zh },
                "kind": "operator",
                "contact": self.contact,
                "protection_officer": self.protection_officer,
                "security_officer": self.security_officer,
                "jurisdiction": self.jurisdiction,
                "signing_keys": keys,
            });
            let signers: Vec<&Signer> = signers.iter().collect();
            let statement =
                compose::object(&app.register(), StatementKind::Agency, self.operator.as_str(), body, &signers, clock::now())?;
            app.publish(&Publication { statements: vec![statement] })?;
            if let Some(roster) = &roster {
                compose::publish_vault_terms(&app, roster, &signers)?;
            }
            println!("Two key files lie in {}. Hand each to its official and delete it here.", officials.display());
        }
        app.publish_log()?;
        // Written last: a directory without it is no pass yet, and `init` can be run again.
        dir.set_up(&setup)?;
        println!("The pass {} is ready. Tell everybody who checks it the key of its log:\n{}", self.origin, app.log_vkey());
        Ok(ExitCode::SUCCESS)
    }
}

/// The operator's key that acts by the clock.
const AUTOMATION: &str = "automation";
