//! `usufruct keeper replace`: another keeper takes the place of one that is lost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_core::statement::Signer;

use crate::clock::SystemClock;
use crate::command::key;
use crate::compose;
use crate::data_dir::{self, DataDir};
use crate::failure::Failure;
use crate::keeper::roster::{self, Roster};
use crate::root::{self, RootKind};

/// Let a new keeper take the place of one that is lost or no longer trusted.
///
/// The server must be stopped; the new keeper and the others must serve with the new roster. The new terms of the vault are
/// published, the new keeper gets its share, and a new epoch begins, so that what the old keeper holds fits nothing any more. What
/// was interrupted is finished by the same command. Two people of the operator sign.
#[derive(Debug, Args)]
#[command(after_help = "Example, after `usufruct keeper init` on the new machine:
  usufruct keeper roster --from keepers.toml --replace court --entry university.toml > keepers-new.toml
  usufruct keeper serve --data-dir keeper --roster keepers-new.toml       (on the machine of every keeper)
  usufruct keeper replace --data-dir pass --roster keepers-new.toml --key head.json --key data-protection.json")]
pub struct Replace {
    /// The data directory of the pass.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The new roster.
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// Key file of an official; twice.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
}

impl Replace {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let setup = data_dir::setup(&self.data_dir)?;
        if setup.root() != RootKind::Keepers {
            return Err(Failure::refused(
                "The root of this pass is not with keepers.",
                "Give it to keepers with `usufruct keeper adopt`.",
            ));
        }
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let dir = DataDir::hold(&self.data_dir)?;
        let old = root::keepers(dir.path(), &setup)?;
        let new = Roster::read(&self.roster)?;
        root::belongs(dir.path(), &setup.origin, &new)?;
        let name = replaced(&old, &new)?;
        // Enough of the others open it; the new one is given its share at once.
        let app = dir.open_with(&setup, root::of_keepers(dir.path(), &new)?, Arc::new(SystemClock))?;
        compose::publish_vault_terms(&app, &new, &signers)?;
        app.heal_root()?;
        app.rotate_root()?;
        app.tick()?;
        drop(app);
        data_dir::write(&dir.path().join(roster::FILE), new.text()?.as_bytes())?;
        println!("{name} keeps in the place of the old one, and a new epoch has begun. Look at `usufruct keeper status`.");
        Ok(ExitCode::SUCCESS)
    }
}

/// Name of the one keeper in the new roster that is not in the old one.
fn replaced(old: &Roster, new: &Roster) -> Result<String, Failure> {
    let is_like = old.threshold == new.threshold && old.keepers.len() == new.keepers.len() && old.city == new.city;
    let others = old.keepers.iter().zip(&new.keepers).filter(|(old, new)| old.name != new.name || old.public != new.public);
    match (is_like, &others.collect::<Vec<_>>()[..]) {
        (true, [(_, new)]) => Ok(new.name.clone()),
        _ => Err(Failure::refused(
            "The new roster does not differ from the one in force by one keeper in its place.",
            "Make it with `usufruct keeper roster --from … --replace …`, and replace one at a time.",
        )),
    }
}
