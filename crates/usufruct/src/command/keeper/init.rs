//! `usufruct keeper init`: the keys of a new keeper.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::House;
use usufruct_app::vault::keeper::public_of;
use usufruct_core::Text;
use usufruct_core::keeper::is_name;

use super::{FILE, KeeperFile, SEED};
use crate::chance::SystemRng;
use crate::data_dir;
use crate::failure::Failure;
use crate::keeper::roster::{self, Entry, EntryFile};
use crate::keeper::tls::Identity;

/// Make the keys of a new keeper, and print its entry for the roster.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct keeper init --data-dir keeper --name court --vault pass.example.org/log \\
      --url https://keeper.court.example:8443 --institution 'District court' --institution-zh '地方法院' > court.toml")]
pub struct Init {
    /// Where keys and shares are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Its name for ever, without a space.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The key tree: the name of the city's log.
    #[arg(long, value_name = "ORIGIN")]
    vault: String,
    /// Where the city and the other keepers reach it.
    #[arg(long, value_name = "URL", default_value = "https://localhost:8443")]
    url: String,
    /// Who runs it, in English [default: its name].
    #[arg(long, value_name = "NAME")]
    institution: Option<String>,
    /// Who runs it, in traditional Chinese [default: as in English].
    #[arg(long, value_name = "NAME")]
    institution_zh: Option<String>,
}

impl Init {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if KeeperFile::find(&self.data_dir)?.is_some() {
            return Err(Failure::refused(
                format!("There is a keeper in {} already.", self.data_dir.display()),
                "Serve it with `usufruct keeper serve`, or choose another directory.",
            ));
        }
        if !is_name(&self.name) || !is_name(&self.vault) {
            return Err(Failure::refused(
                "A name is not 1 to 255 printable ASCII characters without a space.",
                "Choose another one.",
            ));
        }
        let house = House::open(&self.data_dir)?;
        let identity = Identity::make(&house, &self.name, &SystemRng)?;
        let english = self.institution.unwrap_or_else(|| self.name.clone());
        let entry = Entry {
            name: self.name.clone(),
            url: self.url.trim_end_matches('/').to_owned(),
            public: public_of(&*house.seed(SEED, &SystemRng)?).map_err(Failure::of)?,
            certificate: identity.certificate(),
            institution: Text::new(&english, self.institution_zh.as_deref().unwrap_or(&english)),
        };
        entry.check().map_err(|what| Failure::refused(format!("{what}."), "Correct it and try again."))?;
        // Written last: a directory without it is no keeper yet.
        let file = KeeperFile { name: self.name, vault: self.vault.clone() };
        data_dir::write(&self.data_dir.join(FILE), roster::text(&file)?.as_bytes())?;
        print!("{}", roster::text(&EntryFile { vault: self.vault, keeper: vec![entry] })?);
        Ok(ExitCode::SUCCESS)
    }
}
