//! `usufruct mandate`: write, check, publish, list and end mandates.

mod drafts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;
use usufruct_core::assessment::Assessment;
use usufruct_core::demanded;
use usufruct_core::draft::{Draft, Problem};
use usufruct_core::id::MandateId;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate;
use usufruct_core::notice::Notice;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time, validate};

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::{key, step};
use crate::compose::{self, MandateDays};
use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::{clock, written};

/// Write, check, publish, list and end mandates: the powers under which data may be used.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct mandate new > library-card.toml
  usufruct mandate check library-card.toml --data-dir pass
  usufruct mandate publish library-card.toml --key head.json --key data-protection.json --data-dir pass
  usufruct mandate list --register http://localhost:8080
  usufruct mandate end mdt_library-card --key head.json --data-dir pass \\
      --reason-en 'The library has its own cards again.' --reason-zh '圖書館恢復自行核發借閱證。' \\
      --reason-code purpose_gone")]
pub struct Mandate {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(Check),
    Drafts(drafts::Drafts),
    End(End),
    List(List),
    New(New),
    Publish(Publish),
}

/// Print a commented template to fill in.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct mandate new > library-card.toml")]
struct New {}

/// Say everything that is missing or unlawful in a mandate file, or that it is lawful.
///
/// With --data-dir or --register it is also checked against that register: do its bodies and blocks exist, and may the
/// blocks leave in these forms?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct mandate check library-card.toml
  usufruct mandate check library-card.toml --data-dir pass
  usufruct mandate check library-card.toml --register https://pass.example.org")]
struct Check {
    /// TOML file with the tables [mandate] and [notice], and [assessment] where the law asks for an impact assessment.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Publish a mandate with its notice and make it active, signed by two officials of its controller.
///
/// Where the law of the controller wants people to comment first, the first call makes the draft public and says until when; the same call
/// after that day, with what people said under `consultation.summary`, does the rest. What is changed in between starts the time anew.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct mandate publish library-card.toml --key head.json --key data-protection.json --data-dir pass")]
struct Publish {
    /// TOML file with the tables [mandate] and [notice], and [assessment] where the law asks for one; its name gives the id.
    file: PathBuf,
    /// Key file of an official of the controller; two, of different offices.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// End a mandate before its last day: nothing is released any more, and its key is destroyed.
///
/// This cannot be undone.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct mandate end mdt_library-card --key head.json --data-dir pass \\
      --reason-en 'The library has its own cards again.' --reason-zh '圖書館恢復自行核發借閱證。'")]
struct End {
    /// The mandate's id.
    id: MandateId,
    #[command(flatten)]
    step: step::Taken,
}

/// List the mandates of a register, each with its state and its last day.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct mandate list --data-dir pass
  usufruct mandate list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

/// Where a register is read.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Place {
    /// A data directory; it may be in use.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address of a pass.
    #[arg(long, value_name = "URL")]
    register: Option<String>,
}

impl Mandate {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Check(verb) => verb.run(),
            Verb::Drafts(verb) => verb.run(),
            Verb::End(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::New(New {}) => {
                print!("{TEMPLATE}");
                Ok(ExitCode::SUCCESS)
            }
            Verb::Publish(verb) => verb.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<ExitCode, Failure> {
        let written = Written::read(&self.file, clock::now())?;
        let register = self.place.register()?;
        let problems = written.problems(register.as_ref(), clock::now());
        for problem in &problems {
            println!("{problem}");
        }
        if problems.is_empty() {
            println!("lawful");
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("{} problems in {}. Correct each and check again.", problems.len(), self.file.display());
        Ok(ExitCode::FAILURE)
    }
}

impl Publish {
    fn run(self) -> Result<ExitCode, Failure> {
        let id: MandateId = written::id("mdt", &self.file)?;
        let written = Written::read(&self.file, clock::now())?;
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let mut comments_until = None;
        Access::open(&self.data_dir)?.publish(|register, now| {
            comments_until = written.open_until(&id, register, now);
            written.statements(&id, register, &signers, now)
        })?;
        match comments_until {
            Some(until) => println!(
                "{id} is public as a draft. People can comment until {until}; sum up what they say, and publish the file again then."
            ),
            None => println!("{id} is published with its notice, and active from its first day."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl End {
    fn run(self) -> Result<ExitCode, Failure> {
        let access = self.step.take(self.id.as_str(), State::Revoked, |register| {
            let entry = register
                .mandates
                .get(&self.id)
                .ok_or_else(|| Failure::refused(format!("There is no mandate `{}`.", self.id), "See `usufruct mandate list`."))?;
            if entry.state.is_over() {
                return Err(Failure::refused(format!("`{}` is over already.", self.id), "Nothing needs to be done."));
            }
            Ok(entry.into())
        })?;
        let register = access.register()?;
        match register.certificate(&self.id) {
            Some(certificate) => {
                println!("{} has ended and its key is destroyed; the certificate is {}.", self.id, certificate.id)
            }
            None => println!("{} has ended. Its key will be destroyed within seconds; see `usufruct mandate list`.", self.id),
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
        let now = clock::now();
        for (id, entry) in &register.mandates {
            println!(
                "{:<28} {:<12} until {}  {}",
                id.as_str(),
                standing(entry, now),
                entry.body.sunset_at.day(),
                last_word(&register, id, entry)
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Place {
    pub(super) fn register(&self) -> Result<Option<Register>, Failure> {
        match (&self.data_dir, &self.register) {
            (Some(path), _) => PublicLog::in_data_dir(path)?.register().map(Some),
            (None, Some(url)) => PublicLog::open(url)?.register().map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// How a mandate stands today, in a word or two.
fn standing(entry: &Entry<mandate::Mandate>, now: Time) -> &'static str {
    match entry.state {
        State::Active if now >= entry.body.sunset_at => "ending",
        State::Active if now < entry.body.starts_at => "coming",
        State::Active if now.plus(ENDING_SOON) >= entry.body.sunset_at => "ending soon",
        State::Erased => "ended",
        other => other.code(),
    }
}

fn last_word(register: &Register, id: &MandateId, entry: &Entry<mandate::Mandate>) -> String {
    match register.certificate(id) {
        Some(certificate) => format!("certificate {}", certificate.id),
        None => entry.body.title.en.clone(),
    }
}

/// A mandate file.
pub(super) struct Written {
    mandate: Value,
    notice: Value,
    /// Nothing where the file has no impact assessment.
    assessment: Value,
}

impl Written {
    pub(super) fn read(path: &Path, now: Time) -> Result<Self, Failure> {
        let mut table = written::file(path, now)?;
        let mut part = |name: &str| table.get_mut(name).map(Value::take).unwrap_or_default();
        Ok(Self { mandate: part("mandate"), notice: part("notice"), assessment: part("assessment") })
    }

    /// Until when people can comment on it, where that has not been long enough yet.
    fn open_until(&self, id: &MandateId, register: &Register, now: Time) -> Option<Time> {
        let body = mandate::Mandate::read(&self.mandate).ok()?;
        register.open_until(id, &body, now)
    }

    /// The statements that publish the mandate and make it active, signed; the draft alone where people can still comment on it.
    pub(super) fn statements(
        &self,
        id: &MandateId,
        register: &Register,
        signers: &[&Signer],
        now: Time,
    ) -> Result<Vec<Statement>, Failure> {
        let problems = self.problems(Some(register), now);
        if !problems.is_empty() {
            let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
            return Err(Failure::refused(
                format!("The mandate is not lawful:\n{}\n", lines.join("\n")),
                "Correct every line and try again.",
            ));
        }
        if self.open_until(id, register, now).is_some() {
            let by = signers.first().map(|signer| signer.agency());
            let own: Vec<&Signer> = signers.iter().copied().filter(|signer| Some(signer.agency()) == by).collect();
            let body = self.mandate.clone();
            return Ok(vec![compose::object(register, StatementKind::Mandate, id.as_str(), body, &own, now)?]);
        }
        let parts = compose::MandateParts {
            body: self.mandate.clone(),
            notice: &self.notice,
            assessment: Some(&self.assessment).filter(|table| !table.is_null()),
        };
        compose::mandate(register, id, parts, signers, MandateDays::all(now), &SystemRng)
    }

    /// Everything that is wrong, in the file itself and, where a register is given, against that.
    fn problems(&self, register: Option<&Register>, now: Time) -> Vec<Problem> {
        let under = |table: &str, mut problem: Problem| {
            problem.field = if problem.field.is_empty() { table.to_owned() } else { format!("{table}.{}", problem.field) };
            problem
        };
        let mut problems = Vec::new();
        match mandate::Mandate::read(&self.mandate) {
            Ok(mandate) => {
                problems.extend(match register {
                    Some(register) => validate::mandate(register, &mandate, now),
                    None => validate::mandate_lengths(&Register::default(), &mandate, now),
                });
                problems.extend(demanded::of_mandate(&mandate));
            }
            Err(found) => problems.extend(found),
        }
        let mut problems: Vec<Problem> = problems.into_iter().map(|problem| under("mandate", problem)).collect();
        let mut notice = Draft::new(&self.notice);
        Notice::words(&mut notice);
        problems.extend(notice.finish().into_iter().map(|problem| under("notice", problem)));
        if !self.assessment.is_null() {
            // What names the mandate is put in when it is published.
            let any = compose::about(&self.assessment, "mdt_this", &Digest([0; 32]));
            let found = any.map_or_else(|| Assessment::read(&self.assessment).err(), |whole| Assessment::read(&whole).err());
            problems.extend(found.unwrap_or_default().into_iter().map(|problem| under("assessment", problem)));
        }
        problems
    }
}

/// From how long before its last day a mandate counts as ending soon.
const ENDING_SOON: i64 = 30 * DAY;

const TEMPLATE: &str = include_str!("mandate/template.toml");
