//! One object of the register taken from the state it is in to another one, as several commands do it.

use std::path::PathBuf;

use clap::Args;
use usufruct_core::document::Document;
use usufruct_core::hash::sha256;
use usufruct_core::id::BreachId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::Signer;
use usufruct_core::status::{Grounds, ReasonCode};
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
    #[command(flatten)]
    rests_on: RestsOn,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// On what a step rests, beside its reason.
#[derive(Debug, Args)]
pub(super) struct RestsOn {
    /// What sort of reason it is: breach, check_failed, decision, error, law_changed, purpose_gone, ready or term_over. Asked of a step that
    /// takes something away or gives it back.
    #[arg(long, value_name = "WORD", value_parser = reason_code)]
    reason_code: Option<ReasonCode>,
    /// The article that asks for the step or allows it. A step that withholds something needs it, or evidence.
    #[arg(long, value_name = "TEXT")]
    law: Option<String>,
    /// A file that shows that the reason is so; may be given again. Its name and hash become public, and nothing else of it.
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
}

/// What clap reads as the sort of a reason.
fn reason_code(text: &str) -> Result<ReasonCode, String> {
    let known = ReasonCode::WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, code)| *code).ok_or_else(|| "this is no sort of reason".to_owned())
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
            let grounds = self.rests_on.grounds(breach)?;
            let step = compose::Step { object: id, revision, from, to, reason, grounds };
            Ok(vec![compose::step(&step, &signers, now, &SystemRng)?])
        })?;
        Ok(access)
    }
}

impl RestsOn {
    /// As the step says it. One that is taken for a breach needs no other word for the sort of its reason.
    pub(super) fn grounds(&self, breach: Option<&BreachId>) -> Result<Grounds, Failure> {
        let document = |path: &PathBuf| {
            let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok(Document { title: Text::new(&name, &name), sha256: sha256(&bytes), url: None })
        };
        let evidence = self.evidence.iter().map(document).collect::<Result<_, Failure>>()?;
        let reason_code = self.reason_code.or(breach.map(|_| ReasonCode::Breach));
        Ok(Grounds { reason_code, breach: breach.cloned(), law: self.law.clone(), evidence })
    }
}

impl<T> From<&Entry<T>> for Standing {
    fn from(entry: &Entry<T>) -> Self {
        Self { revision: entry.hash, state: entry.state }
    }
}
