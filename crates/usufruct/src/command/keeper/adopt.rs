//! `usufruct keeper adopt`: the root of a pass that exists goes from its file to keepers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_core::statement::Signer;

use crate::clock::SystemClock;
use crate::command::key;
use crate::compose;
use crate::data_dir::{self, DataDir, VaultTable};
use crate::failure::Failure;
use crate::keeper::roster::{self, Roster};
use crate::root::{self, RootKind};

/// Put the root of a pass that exists into the hands of keepers, and destroy it in its file.
///
/// The server must be stopped, and all keepers must answer. It takes one epoch. What was interrupted is finished by the same
/// command. Two people of the operator sign the new terms of the vault.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct keeper adopt --data-dir pass --roster keepers.toml --key head.json --key data-protection.json")]
pub struct Adopt {
    /// The data directory of the pass.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The roster.
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// Key file of an official; twice.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
}

impl Adopt {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut setup = data_dir::setup(&self.data_dir)?;
        if setup.root() != RootKind::File {
            return Err(Failure::refused(
                "The root of this pass is not in a file.",
                "Only from a file can it go to keepers; a keeper is replaced with `usufruct keeper replace`.",
            ));
        }
        let roster = Roster::read(&self.roster)?;
        root::belongs(&self.data_dir, &setup.origin, &roster)?;
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let dir = DataDir::hold(&self.data_dir)?;
        let app = dir.open_with(&setup, root::moving(dir.path(), &setup, &roster)?, Arc::new(SystemClock))?;
        // Published first: whoever may not publish them moves nothing.
        compose::publish_vault_terms(&app, &roster, &signers)?;
        app.rotate_root()?;
        app.tick()?;
        drop(app);
        data_dir::write(&dir.path().join(roster::FILE), roster.text()?.as_bytes())?;
        setup.vault = Some(VaultTable { root: RootKind::Keepers, ..setup.vault.unwrap_or_default() });
        dir.set_up(&setup)?;
        let file = dir.path().join("vault/root");
        std::fs::remove_file(&file).map_err(|error| Failure::file(&file, &error))?;
        println!(
            "{} keepers hold the root, and {} bring it back. The file is empty and gone.",
            roster.keepers.len(),
            roster.threshold
        );
        Ok(ExitCode::SUCCESS)
    }
}
