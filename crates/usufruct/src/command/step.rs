//! One object of the register taken from the state it is in to another one, as several commands do it.

use std::path::PathBuf;

use clap::Args;
use usufruct_core::id::BreachId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::Signer;
use usufruct_core::{Digest, Text};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key;
use crate::compose;
use crate::failure::Failure;

/// A step as it is ordered: who takes it, why, and where.
#[derive(Debug, Args)]
pub(super) struct Taken {
    /// Key file of an official of the body whose step it is; twice for what two must sign.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Why, in English.
    #[arg(long, value_name = "TEXT")]
    reason_en: String,
    /// Why, in traditional Chinese.
    #[arg(long, value_name = "TEXT")]
    reason_zh: String,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// In which revision and state an object stands.
pub(super) struct Standing {
    pub(super) revision: Digest,
    pub(super) state: State,
}

impl Taken {
    /// Takes the object `id` from where `standing` finds it to the state `to`. Answers the pass, whose register has the step.
    pub(super) fn take(
        &self,
        id: &str,
        to: State,
        standing: impl Fn(&Register) -> Result<Standing, Failure>,
    ) -> Result<Access, Failure> {
        self.take_for(None, id, to, standing)
    }

    /// The same, for a breach.
    pub(super) fn take_for(
        &self,
        breach: Option<&BreachId>,
        id: &str,
        to: State,
        standing: impl Fn(&Register) -> Result<Standing, Failure>,
    ) -> Result<Access, Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let access = Access::open(&self.data_dir)?;
        access.publish(|register, now| {
            let Standing { revision, state: from } = standing(register)?;
            let reason = Text::new(&self.reason_en, &self.reason_zh);
            let step = compose::Step { object: id, revision, from, to, reason, breach: breach.cloned() };
            Ok(vec![compose::step(&step, &signers, now, &SystemRng)?])
        })?;
        Ok(access)
    }
}

impl<T> From<&Entry<T>> for Standing {
    fn from(entry: &Entry<T>) -> Self {
        Self { revision: entry.hash, state: entry.state }
    }
}
