//! `usufruct key`: the keys by which officials sign.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usufruct_app::{TicketDesk, desk_ticket};
use usufruct_core::id::AgencyId;
use usufruct_core::ports::random;
use usufruct_core::statement::Signer;
use usufruct_core::time::HOUR;

use crate::chance::SystemRng;
use crate::failure::Failure;
use crate::{clock, data_dir};

/// Make the key of an official, show its public half, or sign a ticket for a desk.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct key new --agency agc_library --key head --out head.json
  usufruct key public head.json
  usufruct key ticket head.json --issuer https://pass.example.org")]
pub struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(New),
    Public(Public),
    Ticket(Ticket),
}

/// Make a new key file. Keep it off the server.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct key new --agency agc_library --key head --out head.json")]
struct New {
    /// The body the official speaks for.
    #[arg(long, value_name = "ID")]
    agency: AgencyId,
    /// The key's name, which is also the office it speaks for, as head or data-protection.
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Where to write it [default: AGENCY.NAME.json].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Show the public half of a key file, as it stands in the agency's file.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct key public head.json >> library.toml")]
struct Public {
    /// The key file.
    file: PathBuf,
}

/// Sign a ticket by which one person of a body signs in to a desk of a pass, once.
///
/// The key stays where it is; the ticket is pasted into the page /vendor or /office. Whoever has it can sign in in its place until it is used or
/// over.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct key ticket head.json --desk office --issuer https://pass.example.org --hours 4")]
struct Ticket {
    /// The key file.
    file: PathBuf,
    /// Which desk: that of vendors at /vendor, or that of offices at /office.
    #[arg(long, value_enum, default_value = "vendor")]
    desk: DeskWord,
    /// The address of the pass, as in its settings.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// For how many hours the session lasts.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i64).range(1..=12))]
    hours: i64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeskWord {
    /// Cases of residents.
    Office,
    /// Contracts, and what a vendor has to delete.
    Vendor,
}

impl DeskWord {
    fn desk(self) -> TicketDesk {
        match self {
            Self::Office => TicketDesk::Office,
            Self::Vendor => TicketDesk::Vendor,
        }
    }
}

/// An official's secret key. It has no `Debug`, so that it cannot be printed by mistake.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    agency: AgencyId,
    key: String,
    /// 32 bytes, base64url without padding.
    seed: String,
}

impl Key {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::New(New { agency, key, out }) => {
                let path = out.unwrap_or_else(|| PathBuf::from(format!("{agency}.{key}.json")));
                if path.exists() {
                    return Err(Failure::refused(
                        format!("{} is there already.", path.display()),
                        "Choose another name with --out; keys are never overwritten.",
                    ));
                }
                let file = KeyFile::fresh(&agency, &key);
                file.write(&path)?;
                println!(
                    "{} is written; whoever has it can sign. Its public half:\n\n{}",
                    path.display(),
                    table(&file.signer()?)
                );
            }
            Verb::Ticket(Ticket { file, desk, issuer, hours }) => {
                let until = clock::now().plus(hours * HOUR);
                let signer = KeyFile::read(&file)?.signer()?;
                println!("{}", desk_ticket(desk.desk(), &signer, issuer.trim_end_matches('/'), until, &SystemRng)?);
            }
            Verb::Public(Public { file }) => print!("{}", table(&KeyFile::read(&file)?.signer()?)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl KeyFile {
    /// A new key.
    pub fn fresh(agency: &AgencyId, key: &str) -> Self {
        Self { agency: agency.clone(), key: key.to_owned(), seed: URL_SAFE_NO_PAD.encode(random::<32>(&SystemRng)) }
    }

    pub fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        serde_json::from_slice(&bytes)
            .map_err(|_| Failure::refused(format!("{} is no key file.", path.display()), "Make one with `usufruct key new`."))
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        data_dir::write(path, json!(self).to_string().as_bytes())
    }

    pub fn signer(&self) -> Result<Signer, Failure> {
        let seed = URL_SAFE_NO_PAD.decode(&self.seed).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let signer = seed.and_then(|seed| Signer::new(self.agency.clone(), &self.key, &seed));
        signer.ok_or_else(|| {
            Failure::refused("The seed of a key file is not 32 bytes in base64url.", "Restore the file from a copy.")
        })
    }
}

/// The keys in these files.
pub fn signers(paths: &[PathBuf]) -> Result<Vec<Signer>, Failure> {
    paths.iter().map(|path| KeyFile::read(path)?.signer()).collect()
}

/// A key as an agency's statement names it.
pub fn entry(role: &str, signer: &Signer) -> Value {
    json!({ "id": signer.key(), "role": role, "public": signer.public() })
}

fn table(signer: &Signer) -> String {
    format!("[[signing_keys]]\nid = \"{key}\"\nrole = \"{key}\"\npublic = \"{}\"\n", signer.public(), key = signer.key())
}
