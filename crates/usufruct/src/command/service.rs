//! `usufruct service`: end what a body offers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::Text;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::Signer;

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key;
use crate::failure::Failure;
use crate::{clock, compose};

/// Close services. They are opened, and revised, with `usufruct publish service`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct service close svc_library --key head.json --data-dir pass \\
      --reason-en 'The branch has closed.' --reason-zh '分館已關閉。'")]
pub struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Close(Close),
}

/// Close a service: nobody signs in there any more and it gets nothing.
///
/// With the last service of a pseudonym domain the key of its pseudonyms is destroyed. This cannot be undone.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct service close svc_library --key head.json --data-dir pass \\
      --reason-en 'The branch has closed.' --reason-zh '分館已關閉。'")]
struct Close {
    /// The service's id.
    id: ServiceId,
    /// Key file of an official of the body that runs it.
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

impl Service {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Close(verb) => verb.run(),
        }
    }
}

impl Close {
    fn run(self) -> Result<ExitCode, Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let access = Access::open(&self.data_dir)?;
        let register = access.register()?;
        let entry = register.services.get(&self.id).ok_or_else(|| {
            Failure::refused(format!("There is no service `{}`.", self.id), "See the services in the public register.")
        })?;
        if entry.state.is_over() {
            return Err(Failure::refused(format!("`{}` is closed already.", self.id), "Nothing needs to be done."));
        }
        let is_last = register.services_beside(&entry.body).all(|other| other.id == entry.id || other.state.is_over());
        let step = compose::Step {
            object: self.id.as_str(),
            revision: entry.hash,
            from: entry.state,
            to: State::Closed,
            reason: Text::new(&self.reason_en, &self.reason_zh),
        };
        access.publish(vec![compose::step(&step, &signers, clock::now(), &SystemRng)?])?;
        println!("{} is closed.", self.id);
        if is_last {
            println!(
                "It was the last one of the pseudonym domain {}, whose key the running server destroys now.",
                entry.body.sector
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
