//! `usufruct agreement`: list sharing agreements, put them in force, suspend and end them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::id::AgreementId;
use usufruct_core::lifecycle::State;

use crate::command::mandate::Place;
use crate::command::step;
use crate::failure::Failure;

/// List sharing agreements, put them in force once they were public long enough, suspend and end them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct agreement list --register http://localhost:8080
  usufruct agreement begin agr_school-readers --key a1.json --key a2.json --key b1.json --key b2.json --data-dir pass \\
      --reason-en 'It was public for two weeks.' --reason-zh '公開期滿。'
  usufruct agreement end agr_school-readers --key a1.json --data-dir pass --reason-en 'Not needed.' --reason-zh '無需要。' \\
      --reason-code purpose_gone")]
pub struct Agreement {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put an agreement in force, or bring back a suspended one. Two offices of every party sign.
    #[command(after_help = "Example:
  usufruct agreement begin agr_school-readers --key a1.json --key a2.json --key b1.json --key b2.json --data-dir pass \\
      --reason-en 'It was public for two weeks.' --reason-zh '公開期滿。'")]
    Begin(Step),
    /// End an agreement before its last day. One office of any party signs.
    #[command(after_help = "Example:
  usufruct agreement end agr_school-readers --key a1.json --data-dir pass --reason-en 'Not needed.' --reason-zh '無需要。' \\
      --reason-code purpose_gone")]
    End(Step),
    List(List),
    /// Suspend an agreement. One office of any party signs.
    #[command(after_help = "Example:
  usufruct agreement suspend agr_school-readers --key b1.json --data-dir pass --reason-en 'We look.' --reason-zh '查核中。' \\
      --reason-code check_failed --evidence report.pdf")]
    Suspend(Step),
}

#[derive(Debug, Args)]
struct Step {
    /// The agreement's id.
    id: AgreementId,
    #[command(flatten)]
    step: step::Taken,
}

/// List the agreements of a register, each with its state, its days and its parties.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct agreement list --data-dir pass
  usufruct agreement list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

impl Agreement {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Begin(verb) => verb.run(State::Active),
            Verb::End(verb) => verb.run(State::Revoked),
            Verb::List(verb) => verb.run(),
            Verb::Suspend(verb) => verb.run(State::Suspended),
        }
    }
}

impl Step {
    fn run(self, to: State) -> Result<ExitCode, Failure> {
        self.step.take(self.id.as_str(), to, |register| {
            let unknown = || Failure::refused(format!("There is no agreement `{}`.", self.id), "See `usufruct agreement list`.");
            Ok(register.agreements.get(&self.id).ok_or_else(unknown)?.into())
        })?;
        println!("{} is in the state {}.", self.id, to.code());
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let register = self
            .place
            .register()?
            .ok_or_else(|| Failure::impossible("No register is named.", "Name one with --data-dir or --register."))?;
        for (id, entry) in &register.agreements {
            let parties: Vec<_> = entry.body.parties.iter().map(|party| party.as_str()).collect();
            let (from, until) = (entry.body.in_force_from.day(), entry.body.sunset_at.day());
            println!("{:<28} {:<10} {from} {until}  {}", id.as_str(), entry.state.code(), parties.join(" "));
        }
        Ok(ExitCode::SUCCESS)
    }
}
