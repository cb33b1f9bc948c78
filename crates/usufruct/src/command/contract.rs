//! `usufruct contract`: list contracts with vendors, sign them once they were looked at, suspend, resume and end them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_core::id::ContractId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::Signer;

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::mandate::Place;
use crate::command::{key, step};
use crate::compose;
use crate::failure::Failure;

/// List contracts with vendors, sign, suspend, resume and end them.
///
/// A contract is published with `usufruct publish contract`, looked at twice (`usufruct publish check`, of the kinds agency and city), and
/// signed here. What is missing is said line by line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct contract list --register http://localhost:8080
  usufruct contract sign ctr_event --key head.json --key data-protection.json --data-dir pass
  usufruct contract end ctr_event --key head.json --data-dir pass \\
      --reason-en 'The festival is over.' --reason-zh '購物節結束。'")]
pub struct Contract {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Close a contract whose vendor has said that all is deleted.
    #[command(after_help = "Example:
  usufruct contract close ctr_event --key head.json --data-dir pass --reason-en 'All is deleted.' --reason-zh '已全數刪除。'")]
    Close(Step),
    /// End a contract: the vendor gets nothing any more and has to delete.
    #[command(after_help = "Example:
  usufruct contract end ctr_event --key head.json --data-dir pass --reason-en 'The festival is over.' --reason-zh '購物節結束。'")]
    End(Step),
    List(List),
    /// Bring a suspended contract back, after a check that the vendor passed. Two offices sign.
    #[command(after_help = "Example:
  usufruct contract resume ctr_event --key head.json --key data-protection.json --data-dir pass --reason-en 'It passed.' --reason-zh '查核通過。' --reason-code ready")]
    Resume(Step),
    Sign(Sign),
    /// Suspend a contract: the vendor gets nothing until two offices bring it back.
    #[command(after_help = "Example:
  usufruct contract suspend ctr_event --key head.json --data-dir pass --reason-en 'A door stood open.' --reason-zh '門禁失效。' \\
      --reason-code check_failed --evidence report.pdf")]
    Suspend(Step),
}

/// Sign a contract and put it in force. Two offices of the body that commissions sign.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct contract sign ctr_event --key head.json --key data-protection.json --data-dir pass")]
struct Sign {
    /// The contract's id.
    id: ContractId,
    /// Key file of an official of the body that commissions; two, of different offices.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Step {
    /// The contract's id.
    id: ContractId,
    #[command(flatten)]
    step: step::Taken,
}

/// List the contracts of a register, each with its state, the day of its next check, and what it owes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct contract list --data-dir pass
  usufruct contract list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

impl Contract {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Close(verb) => verb.run(State::Closed),
            Verb::End(verb) => verb.run(State::Ending),
            Verb::List(verb) => verb.run(),
            Verb::Resume(verb) => verb.run(State::Active),
            Verb::Sign(verb) => verb.run(),
            Verb::Suspend(verb) => verb.run(State::Suspended),
        }
    }
}

impl Sign {
    fn run(self) -> Result<ExitCode, Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        Access::open(&self.data_dir)?.publish(|register, now| {
            let entry = register.contracts.get(&self.id).ok_or_else(|| unknown(&self.id))?;
            let steps = compose::contract_steps(self.id.as_str(), entry.hash, entry.state, &signers, now, &SystemRng)?;
            if steps.is_empty() {
                return Err(Failure::refused(
                    format!("`{}` is in the state `{}`, past its signature.", self.id, entry.state.code()),
                    "Resume it, or publish a new contract.",
                ));
            }
            Ok(steps)
        })?;
        println!("{} is in force.", self.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Step {
    fn run(self, to: State) -> Result<ExitCode, Failure> {
        let access = self.step.take(self.id.as_str(), to, |register| {
            Ok(register.contracts.get(&self.id).ok_or_else(|| unknown(&self.id))?.into())
        })?;
        match access.register()?.contracts.get(&self.id).and_then(|entry| entry.deletion_due()) {
            Some(due) => println!("{} has ended; the vendor has to delete until {}.", self.id, due.day()),
            None => println!("{} is in the state {}.", self.id, to.code()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let register = self
            .place
            .register()?
            .ok_or_else(|| Failure::impossible("No register is named.", "Name one with --data-dir or --register."))?;
        for (id, entry) in &register.contracts {
            let owes = match entry.deletion_due() {
                Some(_) if register.is_deleted(entry) => "all is deleted".to_owned(),
                Some(due) => format!("deletion due {}", due.day()),
                None => format!("check due {}", register.check_due(entry).day()),
            };
            println!(
                "{:<28} {:<14} {:<24} {}  {owes}",
                id.as_str(),
                entry.state.code(),
                entry.body.vendor,
                entry.body.controller
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn unknown(id: &ContractId) -> Failure {
    Failure::refused(format!("There is no contract `{id}`."), "See `usufruct contract list`.")
}
