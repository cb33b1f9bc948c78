//! `usufruct proposal`: statements wait until the officials of several offices have approved them, each with a passkey or a key file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use usufruct_app::{ProposalView, Proposed};
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Life, Register};
use usufruct_core::statement::{Signer, Statement};
use usufruct_core::time::parse_duration;
use usufruct_core::{Text, Time};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::publish::Kind;
use crate::command::step::RestsOn;
use crate::command::{key, mandate, publish};
use crate::failure::Failure;
use crate::{clock, compose, written};

/// Propose statements that officials approve one after the other, on the page /officials with their passkeys or here with key files.
///
/// A proposal is published at its date, once everybody has approved. The date is part of what they approve. If the register says
/// something later before that, the proposal has to be made again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct proposal new mandate library-card.toml --by agc_library --in PT2H --data-dir pass
  usufruct proposal list --data-dir pass
  usufruct proposal approve ID --key head.json --data-dir pass
  usufruct proposal withdraw ID --by agc_library --data-dir pass")]
pub struct Proposal {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Approve(Approve),
    List(List),
    New(New),
    Step(Step),
    Withdraw(Withdraw),
}

/// Approve a proposal with a key file. All of it that the body has to approve is printed first.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct proposal approve ID --key head.json --data-dir pass")]
struct Approve {
    /// The proposal.
    id: String,
    /// Key file of the official.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// List what waits for approvals, with what is missing.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct proposal list --data-dir pass")]
struct List {
    /// As JSON, with the whole statements.
    #[arg(long)]
    json: bool,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Propose what a file says, as `usufruct publish` and `usufruct mandate publish` would say it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct proposal new mandate library-card.toml --by agc_library --in PT2H --data-dir pass")]
struct New {
    /// What it is.
    kind: What,
    /// TOML file.
    file: PathBuf,
    #[command(flatten)]
    made: Made,
}

/// Propose that an object of the register goes from the state it is in to another one, as suspended, active or revoked.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct proposal step mdt_library-card suspended --by agc_library --reason-en Looked-at-again --reason-zh 重新檢視 --reason-code check_failed --evidence report.pdf --data-dir pass")]
struct Step {
    /// The mandate, contract, agreement, service or camera.
    object: String,
    /// The state to which it is to go.
    #[arg(value_parser = state)]
    to: State,
    /// Why, in English.
    #[arg(long, value_name = "TEXT")]
    reason_en: String,
    /// Why, in traditional Chinese.
    #[arg(long, value_name = "TEXT")]
    reason_zh: String,
    #[command(flatten)]
    rests_on: RestsOn,
    #[command(flatten)]
    made: Made,
}

/// Who approves a proposal, when it is published, and where.
#[derive(Debug, Args)]
struct Made {
    /// The body whose officials approve it later; the first one speaks. May be given again.
    #[arg(long, value_name = "ID", required = true)]
    by: Vec<AgencyId>,
    /// Key file of an official who approves now; may be given again.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// How long until it is published, as PT2H or P1D.
    #[arg(long = "in", value_name = "TIME", default_value = "PT10M", value_parser = length)]
    wait: i64,
    /// Write the statements to a file for the page of officials, instead of proposing them.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Take a proposal back.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct proposal withdraw ID --by agc_library --data-dir pass")]
struct Withdraw {
    /// The proposal.
    id: String,
    /// A body that had to approve it.
    #[arg(long, value_name = "ID")]
    by: AgencyId,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// What a file is about.
#[derive(Clone, Copy, Debug)]
enum What {
    Mandate,
    Of(Kind),
}

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Of(Kind::Agency),
            Self::Of(Kind::Agreement),
            Self::Of(Kind::Block),
            Self::Of(Kind::Check),
            Self::Of(Kind::Contract),
            Self::Of(Kind::Lawpack),
            Self::Of(Kind::Log),
            Self::Mandate,
            Self::Of(Kind::Meeting),
            Self::Of(Kind::Order),
            Self::Of(Kind::Payment),
            Self::Of(Kind::Ruling),
            Self::Of(Kind::Service),
            Self::Of(Kind::Vault),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Mandate => Some(PossibleValue::new("mandate")),
            Self::Of(kind) => kind.to_possible_value(),
        }
    }
}

impl Proposal {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Approve(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::New(verb) => verb.run(),
            Verb::Step(verb) => verb.run(),
            Verb::Withdraw(verb) => {
                Access::open(&verb.data_dir)?.withdraw_proposal(&verb.id, &verb.by)?;
                println!("The proposal is taken back.");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl New {
    fn run(self) -> Result<ExitCode, Failure> {
        self.made.propose(|access, register, signers, at| match self.kind {
            What::Mandate => {
                let id: MandateId = written::id("mdt", &self.file)?;
                mandate::Written::read(&self.file, clock::now())?.statements(&id, register, signers, at)
            }
            What::Of(kind) => {
                publish::Written::read(kind, &self.file, access, &self.made.data_dir)?.statements(register, signers, at)
            }
        })
    }
}

impl Step {
    fn run(self) -> Result<ExitCode, Failure> {
        self.made.propose(|_, register, signers, at| {
            let Some(Life { revision, state: from, .. }) = register.life(&self.object) else {
                return Err(Failure::refused(
                    format!("Nothing in the register is called `{}` and has states.", self.object),
                    "Name a mandate, contract, agreement, service or camera.",
                ));
            };
            let reason = Text::new(&self.reason_en, &self.reason_zh);
            let grounds = self.rests_on.grounds(None)?;
            let step = compose::Step { object: &self.object, revision, from, to: self.to, reason, grounds };
            Ok(vec![compose::step(&step, signers, at, &SystemRng)?])
        })
    }
}

impl Made {
    /// Proposes what `statements` makes for its signers and its date, or writes it to the file that was named.
    fn propose(
        &self,
        statements: impl FnOnce(&Access, &Register, &[&Signer], Time) -> Result<Vec<Statement>, Failure>,
    ) -> Result<ExitCode, Failure> {
        let access = Access::open(&self.data_dir)?;
        let stand_ins = self.by.iter().map(|body| compose::stand_in(body, &SystemRng)).collect::<Result<Vec<_>, _>>()?;
        let present = key::signers(&self.key)?;
        let signers: Vec<&Signer> = stand_ins.iter().chain(&present).collect();
        let register = access.register()?;
        let at = clock::now().plus(self.wait).max(register.last_at());
        let statements = statements(&access, &register, &signers, at)?;
        let proposed: Vec<Proposed> = statements.into_iter().map(compose::proposed).collect();
        if let Some(out) = &self.out {
            let text = serde_json::to_string_pretty(&proposed).map_err(Failure::of)?;
            std::fs::write(out, text).map_err(|error| Failure::file(out, &error))?;
            println!("{} is written. An official hands it in on the page /officials before {at}.", out.display());
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}", access.propose(&proposed)?);
        eprintln!("It waits for approvals on the page /officials, and is published at {at}.");
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let proposals = Access::open(&self.data_dir)?.proposals()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&proposals).map_err(Failure::of)?);
            return Ok(ExitCode::SUCCESS);
        }
        for ProposalView { id, due_at, statements, standing, reasons } in &proposals {
            println!("{id}  {standing}, for {due_at}");
            for Proposed { statement, .. } in statements {
                println!("  {}", told(statement)?);
            }
            reasons.iter().for_each(|reason| println!("  {reason}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Approve {
    fn run(self) -> Result<ExitCode, Failure> {
        let signer = key::KeyFile::read(&self.key)?.signer()?;
        let access = Access::open(&self.data_dir)?;
        let proposal = access.proposals()?.into_iter().find(|proposal| proposal.id == self.id);
        let proposal = proposal.ok_or_else(|| Failure::refused("There is no such proposal.", "See `usufruct proposal list`."))?;
        let mut approvals = Vec::new();
        for Proposed { statement, .. } in proposal.statements.iter().filter(|one| one.bodies.contains(signer.agency())) {
            println!("{}\n{}", told(statement)?, serde_json::to_string_pretty(&statement.body).map_err(Failure::of)?);
            approvals.push(signer.approve(&statement.hash()?));
        }
        let is_published = access.approve_proposal(&self.id, &signer, approvals)?;
        println!(
            "{}",
            if is_published { "Approved and published." } else { "Approved. It is published when all have, at its date." }
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// A statement in a line.
fn told(statement: &Statement) -> Result<String, Failure> {
    Ok(format!("{:?} {} revision {}, hash {}", statement.kind, statement.id, statement.rev, statement.hash()?))
}

fn state(text: &str) -> Result<State, String> {
    let known = State::WORDS.iter().find(|(word, _)| *word == text).map(|(_, state)| *state);
    known.ok_or_else(|| "There is no such state. Write one as active, suspended or revoked.".to_owned())
}

fn length(text: &str) -> Result<i64, String> {
    parse_duration(text).ok_or_else(|| "This is no length of time. Write it as PT2H or P1D.".to_owned())
}
