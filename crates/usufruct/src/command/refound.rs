//! `usufruct refound`: a pass whose root of the key tree is lost begins anew, with its log.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use usufruct_app::{Config, House, Publication, before_refounding, refound};
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement};

use crate::chance::SystemRng;
use crate::clock::{self, SystemClock};
use crate::command::key;
use crate::compose;
use crate::data_dir::{self, DataDir};
use crate::failure::Failure;
use crate::root::RootKind;

/// Found a pass anew whose root of the key tree is lost, by everybody who ever had it.
///
/// The log, its statements, the register and the keys that sign stay. Everything that was sealed opens no more, so it is removed:
/// residents, their data, consents, footprints and ways in. All residents have to be enrolled again. The terms of the vault then
/// say in public from which epoch on. This cannot be undone: a root that is found afterwards opens nothing any more.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct refound --data-dir pass --everything-sealed-is-lost --key head.json --key data-protection.json")]
pub struct Refound {
    /// The pass, which must not be running. Its set-up must name neither a token, nor keepers, nor an escrow.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Key file of an official of the operator; two, of different offices.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Says that nobody has the root any more: no replica, no keepers, no officers of an escrow.
    #[arg(long)]
    everything_sealed_is_lost: bool,
}

impl Refound {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let setup = data_dir::setup(&self.data_dir)?;
        if setup.root() != RootKind::File || setup.vault().escrow.is_some() {
            return Err(Failure::refused(
                "The set-up says that a token, keepers or an escrow have the root.",
                "Try to bring it back with them first; if it is lost there too, take them out of the set-up, and move the root afterwards.",
            ));
        }
        if data_dir::demo(&self.data_dir)?.is_some() {
            return Err(Failure::refused(
                format!("{} holds a demo.", self.data_dir.display()),
                "Delete it, and make another one with `usufruct demo`.",
            ));
        }
        if !self.everything_sealed_is_lost {
            return Err(Failure::refused(
                "This removes all residents with everything about them, for good.",
                "If nobody has the root any more, say so with --everything-sealed-is-lost.",
            ));
        }
        let dir = DataDir::hold(&self.data_dir)?;
        let config = Config {
            origin: setup.origin.clone(),
            database: setup.database.clone(),
            operator: setup.operator.clone(),
            vault: setup.vault(),
        };
        let unfinished = dir.unfinished();
        if unfinished.as_deref().is_some_and(|verb| verb != VERB) {
            return Err(Failure::refused(
                "A restore of this pass was interrupted.",
                "Run `usufruct restore` again first, to its end.",
            ));
        }
        let house = House::open(dir.path())?;
        if unfinished.is_none() && house.vault_dir().join("root").exists() {
            return Err(Failure::refused(
                format!("There is a root of the key tree in {}.", house.vault_dir().display()),
                "Serve the pass with it. Only if nobody can make anything of it, move it out of the data directory first.",
            ));
        }
        // What will be said is checked before anything is removed.
        let (register, first) = before_refounding(&config, &house)?;
        say(&register, &setup.origin, first, &signers)?;
        dir.begin(VERB)?;
        let done = refound(&config, &house, &SystemRng)?;
        let app = dir.open_begun(&setup, Arc::new(SystemClock))?;
        let statement = say(&app.register(), &setup.origin, done.first_epoch, &signers)?;
        app.publish(&Publication { statements: vec![statement] })?;
        app.tick()?;
        dir.finish()?;
        println!(
            "The pass is founded anew from epoch {} on. {} residents are gone and have to be enrolled again. Check it with \
             `usufruct doctor`, then serve it.",
            done.first_epoch, done.residents
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// The terms of the vault that say so, if the register takes them.
fn say(register: &Register, origin: &str, first: u64, signers: &[&Signer]) -> Result<Statement, Failure> {
    let first = i64::try_from(first).unwrap_or(i64::MAX);
    let statement = compose::lost_root(register, origin, first, signers, clock::now())?;
    register.check(&statement).map_err(usufruct_app::Error::Unlawful)?;
    Ok(statement)
}

const VERB: &str = "refound";
