//! `usufruct backup`: copies what may be old, while the server runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use usufruct_app::House;

use crate::backup::term::Term;
use crate::backup_mark::BackupKey;
use crate::failure::Failure;
use crate::{backup, clock};

/// Back up the database of a pass, while it runs.
///
/// The key tree and the signing keys are not in it: an old copy of the tree opens nothing that was erased since and is never put
/// back, and signing keys belong into a sealed envelope. The public files of the log come back from the leaves in the database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct backup --data-dir pass --to /srv/backups
  usufruct backup --data-dir pass --to /srv/backups --keep-days 30")]
pub struct Backup {
    /// The pass.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Where backups are kept; each gets a folder of its own.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Remove backups there that are older, so that ciphertext of the erased ends with them; 1 or more.
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    keep_days: Option<i64>,
}

impl Backup {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let term = self.keep_days.map(Term::of_days).transpose()?;
        let folder = backup::make(&self.data_dir, &self.to)?;
        let key = BackupKey::of(&House::open(&self.data_dir)?)?;
        let manifest = backup::check(&folder, &key)?;
        let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
        println!("{}  {bytes} bytes, checked", folder.display());
        let ended = term.map(|term| term.end_older(&self.to, &folder, &key, clock::now())).transpose()?.unwrap_or_default();
        for old in ended {
            println!("{}  removed, older than {} days", old.display(), self.keep_days.unwrap_or_default());
        }
        Ok(ExitCode::SUCCESS)
    }
}
