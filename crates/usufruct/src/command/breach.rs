//! `usufruct breach`: the desk for data that got out, was lost, or is kept by somebody who has to delete it.

mod drill;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use usufruct_core::breach::{Breach as Body, BreachState, ClockAnswer};
use usufruct_core::document::Document;
use usufruct_core::hash::sha256;
use usufruct_core::id::{BreachId, ContractId, MandateId, ServiceId};
use usufruct_core::lawpack::Duty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::Signer;
use usufruct_core::{Text, Time};

use crate::access::Access;
use crate::command::key;
use crate::command::mandate::Place;
use crate::command::step::{Standing, Taken};
use crate::failure::Failure;
use crate::{clock, compose, data_dir, written};

/// Open a breach, answer its clocks, tell the people concerned, and close it.
///
/// Everything is said in the register. The clocks are those of every law of every body concerned, and run by themselves: what is late is
/// public at once. The machine opens breaches that it sees: a deletion that nobody confirmed in time, and counters that do not agree. Once a
/// breach says what people can do (`advice`), everybody whose data the log shows to be concerned is told in the pass.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach count lost-laptop.toml --data-dir pass
  usufruct breach open lost-laptop.toml --key head.json --key data-protection.json --data-dir pass
  usufruct breach step brc_lost-laptop --duty report_breach --proof letter.pdf --key head.json --data-dir pass \\
      --title-en 'Letter to the ministry' --title-zh '致主管機關函'
  usufruct breach list --data-dir pass")]
pub struct Breach {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Close(Close),
    Count(Count),
    Courier(Courier),
    Drill(drill::Drill),
    List(List),
    Move(Move),
    Open(Open),
    Revise(Revise),
    Step(Step),
    Suspend(Suspend),
}

/// Open a breach. Two offices of the body that answers for it sign, or two of the operator.
///
/// The file is TOML as in examples/taipei-like/breaches, and its name gives the id. Its clocks are filled in. Where it does not say when the
/// body learned of the breach, that was just now.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct breach open lost-laptop.toml --key head.json --key data-protection.json --data-dir pass")]
struct Open {
    /// TOML file.
    file: PathBuf,
    #[command(flatten)]
    signed: Signed,
}

/// Say what is known better: the fields of the file take the place of those in the register. Two offices sign.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct breach revise brc_lost-laptop advice.toml --key head.json --key data-protection.json --data-dir pass")]
struct Revise {
    /// The breach.
    id: BreachId,
    /// TOML file with the fields that change, as `advice` or `mandates`.
    file: PathBuf,
    #[command(flatten)]
    signed: Signed,
}

/// Answer a clock: with the hash of what was sent, or with the reason why nothing was. One office signs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach step brc_lost-laptop --duty report_breach --proof letter.pdf --key head.json --data-dir pass \\
      --title-en 'Letter to the ministry' --title-zh '致主管機關函'
  usufruct breach step brc_lost-laptop --duty tell_persons --law EU --key head.json --data-dir pass \\
      --reason-en 'The disk was sealed.' --reason-zh '磁碟已加密。'")]
struct Step {
    /// The breach.
    id: BreachId,
    /// The duty, as `usufruct breach list` says it.
    #[arg(long, value_name = "DUTY")]
    duty: String,
    /// Whose law; without it every law that demands this.
    #[arg(long, value_name = "LAW")]
    law: Option<String>,
    /// The file that was sent, of which only the hash is published.
    #[arg(long, value_name = "FILE", requires = "title_en", requires = "title_zh")]
    proof: Option<PathBuf>,
    /// What that file is, in English.
    #[arg(long, value_name = "TEXT")]
    title_en: Option<String>,
    /// What that file is, in traditional Chinese.
    #[arg(long, value_name = "TEXT")]
    title_zh: Option<String>,
    /// Why it was late or was not done, in English.
    #[arg(long, value_name = "TEXT", requires = "reason_zh")]
    reason_en: Option<String>,
    /// Why it was late or was not done, in traditional Chinese.
    #[arg(long, value_name = "TEXT", requires = "reason_en")]
    reason_zh: Option<String>,
    /// When it was done; without it, just now.
    #[arg(long, value_name = "TIME")]
    at: Option<Time>,
    #[command(flatten)]
    signed: Signed,
}

/// Take the next step: from `suspected` to `detected`, `ongoing`, `halted`, `contained`, `mitigated`. Two offices sign, or one where it gets worse.
///
/// `contained` needs `until`, which is given here or said before; `mitigated` needs `measures`. From `suspected` to `detected` the clocks of the
/// laws begin to run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach move brc_lost-laptop --to halted --key head.json --key data-protection.json --data-dir pass
  usufruct breach move brc_lost-laptop --to contained --until 2026-11-20T09:00:00Z --key head.json --key data-protection.json \\
      --data-dir pass")]
struct Move {
    /// The breach.
    id: BreachId,
    /// The state that it comes to.
    #[arg(long, value_name = "STATE")]
    to: String,
    /// Until when data was concerned.
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
    /// When the body learned of it, for the step to `detected`; without it, just now.
    #[arg(long, value_name = "TIME")]
    aware_at: Option<Time>,
    #[command(flatten)]
    signed: Signed,
}

/// Suspend a mandate, a service or a contract that the breach names, until the breach is contained and two offices bring it back.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct breach suspend brc_lost-laptop mdt_library-card --key head.json --data-dir pass \\
      --reason-en 'The list is out there.' --reason-zh '名單已外流。'")]
struct Suspend {
    /// The breach.
    id: BreachId,
    /// The mandate, service or contract.
    object: String,
    #[command(flatten)]
    taken: Taken,
}

/// Close a breach whose clocks are all answered, once it is mitigated, or a near miss. Two offices sign.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct breach close brc_lost-laptop --key head.json --key data-protection.json --data-dir pass \\
      --lessons-en 'Disks are sealed.' --lessons-zh '磁碟一律加密。'")]
struct Close {
    /// The breach.
    id: BreachId,
    /// What changes, in English.
    #[arg(long, value_name = "TEXT")]
    lessons_en: String,
    /// What changes, in traditional Chinese.
    #[arg(long, value_name = "TEXT")]
    lessons_zh: String,
    #[command(flatten)]
    signed: Signed,
}

/// Count whom a breach concerns, by the lines in the log: for a file that is not published, or for a breach of the register.
///
/// Numbers from 1 to 9 are shown as 1-9, as they are in public.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach count lost-laptop.toml --data-dir pass
  usufruct breach count brc_lost-laptop --data-dir pass")]
struct Count {
    /// TOML file, or the id of a breach.
    what: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Write what a courier needs: the letter in both languages, and the file numbers of all who were told and have no passkey to read it with.
///
/// The pass has no addresses to give away. The office that enrols residents has, under the same numbers.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct breach courier brc_lost-laptop --list numbers.csv --letter letter.txt --data-dir pass")]
struct Courier {
    /// The breach.
    id: BreachId,
    /// Where the file numbers go, one a line.
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// Where the letter goes.
    #[arg(long, value_name = "FILE")]
    letter: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// List the breaches of a register with every clock. Ends with 1 if a clock is late.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach list --data-dir pass
  usufruct breach list --register https://pass.example.org")]
struct List {
    #[command(flatten)]
    place: Place,
}

/// Who signs, and where.
#[derive(Debug, Args)]
struct Signed {
    /// Key file of an official; twice for what two must sign.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Breach {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Close(verb) => verb.run(),
            Verb::Count(verb) => verb.run(),
            Verb::Courier(verb) => verb.run(),
            Verb::Drill(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::Move(verb) => verb.run(),
            Verb::Open(verb) => verb.run(),
            Verb::Revise(verb) => verb.run(),
            Verb::Step(verb) => verb.run(),
            Verb::Suspend(verb) => verb.run(),
        }
    }
}

impl Open {
    fn run(self) -> Result<ExitCode, Failure> {
        let id: BreachId = written::id("brc", &self.file)?;
        let body = written::file(&self.file, clock::now())?;
        let access = Access::open(&self.signed.data_dir)?;
        if access.register()?.breaches.contains_key(&id) {
            return Err(Failure::refused(
                format!("{id} is open already."),
                "Say what is known better with `usufruct breach revise`.",
            ));
        }
        let (body, _) = self.signed.publish(&access, &id, body)?;
        println!("{id} is open. Its clocks:");
        print!("{}", clocks(&body, clock::now()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Revise {
    fn run(self) -> Result<ExitCode, Failure> {
        let fields = written::file(&self.file, clock::now())?;
        let access = Access::open(&self.signed.data_dir)?;
        let present = find(access.register()?.as_ref(), &self.id)?.body;
        let mut body = json!(present);
        for (field, value) in fields.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let body = as_others(body, &present);
        let (_, rev) = self.signed.publish(&access, &self.id, body)?;
        println!("{} has its revision {rev}.", self.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Move {
    fn run(self) -> Result<ExitCode, Failure> {
        let access = Access::open(&self.signed.data_dir)?;
        let present = find(access.register()?.as_ref(), &self.id)?.body;
        let mut body = json!(present);
        body["state"] = json!(self.to);
        if let Some(until) = self.until {
            body["until"] = json!(until);
        }
        if let Some(aware_at) = self.aware_at {
            body["aware_at"] = json!(aware_at);
        }
        let (body, _) = self.signed.publish(&access, &self.id, as_others(body, &present))?;
        println!("{} is {}.", self.id, body.state.code());
        print!("{}", clocks(&body, clock::now()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Step {
    fn run(self) -> Result<ExitCode, Failure> {
        let now = clock::now();
        let duty = Duty::WORDS.iter().find(|(word, _)| *word == self.duty).map(|(_, duty)| *duty);
        let proof = self.proof.as_deref().map(|path| self.document(path)).transpose()?;
        let reason = self.reason_en.as_ref().zip(self.reason_zh.as_ref()).map(|(en, zh)| Text::new(en, zh));
        let answer = ClockAnswer { at: self.at.unwrap_or(now), proof, reason };
        let access = Access::open(&self.signed.data_dir)?;
        let mut body = find(access.register()?.as_ref(), &self.id)?.body;
        let is_meant = |law: &str| self.law.as_ref().is_none_or(|meant| meant == law);
        let mut count = 0;
        for clock in
            body.clocks.iter_mut().filter(|clock| Some(clock.duty) == duty && is_meant(&clock.law) && clock.answer.is_none())
        {
            clock.answer = Some(answer.clone());
            count += 1;
        }
        if count == 0 {
            return Err(Failure::refused(
                format!("No clock of {} waits for `{}`.", self.id, self.duty),
                "See `usufruct breach list` for those that do.",
            ));
        }
        let (body, _) = self.signed.publish(&access, &self.id, json!(body))?;
        print!("{}", clocks(&body, now));
        Ok(ExitCode::SUCCESS)
    }

    fn document(&self, path: &Path) -> Result<Document, Failure> {
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        let (en, zh) = (self.title_en.as_deref().unwrap_or_default(), self.title_zh.as_deref().unwrap_or_default());
        Ok(Document { title: Text::new(en, zh), sha256: sha256(&bytes), url: None })
    }
}

impl Suspend {
    fn run(self) -> Result<ExitCode, Failure> {
        let standing = |register: &Register| {
            let mandate = self.object.parse().ok().and_then(|id: MandateId| register.mandates.get(&id)).map(Standing::from);
            let service = || self.object.parse().ok().and_then(|id: ServiceId| register.services.get(&id)).map(Standing::from);
            let contract = || self.object.parse().ok().and_then(|id: ContractId| register.contracts.get(&id)).map(Standing::from);
            mandate.or_else(service).or_else(contract).ok_or_else(|| {
                Failure::refused(
                    format!("There is no mandate, service or contract `{}`.", self.object),
                    "Name one that the breach names.",
                )
            })
        };
        self.taken.take_for(Some(&self.id), &self.object, State::Suspended, standing)?;
        println!("{} is suspended until {} is contained and two offices bring it back.", self.object, self.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Close {
    fn run(self) -> Result<ExitCode, Failure> {
        let now = clock::now();
        let access = Access::open(&self.signed.data_dir)?;
        let mut body = find(access.register()?.as_ref(), &self.id)?.body;
        body.lessons = Some(Text::new(&self.lessons_en, &self.lessons_zh));
        body.state = BreachState::Closed;
        body.closed_at = Some(now);
        self.signed.publish(&access, &self.id, json!(body))?;
        println!("{} is closed.", self.id);
        Ok(ExitCode::SUCCESS)
    }
}

impl Count {
    fn run(self) -> Result<ExitCode, Failure> {
        let access = Access::open(&self.data_dir)?;
        let id: Option<BreachId> = self.what.to_str().and_then(|text| text.parse().ok());
        let breach = match id {
            Some(id) => find(access.register()?.as_ref(), &id)?.body,
            None => {
                let now = clock::now();
                let body = compose::breach_body(written::file(&self.what, now)?, now);
                Body::read(&body).map_err(|problems| {
                    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
                    Failure::refused(
                        format!("{} is no breach:\n{}\n", self.what.display(), lines.join("\n")),
                        "Correct every line.",
                    )
                })?
            }
        };
        let (residents, blocks) = access.concerned(&breach)?;
        let blocks: Vec<&str> = blocks.iter().map(|block| block.as_str()).collect();
        println!(
            "Residents concerned: {residents}. Blocks of theirs: {}.",
            if blocks.is_empty() { "none".into() } else { blocks.join(" ") }
        );
        Ok(ExitCode::SUCCESS)
    }
}

impl Courier {
    fn run(self) -> Result<ExitCode, Failure> {
        for path in [&self.list, &self.letter] {
            if path.exists() {
                return Err(Failure::refused(
                    format!("{} is there already.", path.display()),
                    "Choose another name for the file.",
                ));
            }
        }
        let access = Access::open(&self.data_dir)?;
        let register = access.register()?;
        let body = find(&register, &self.id)?.body;
        let advice = body.advice.clone().ok_or_else(|| {
            Failure::refused("Nobody has said what people can do.", "Add `advice` with `usufruct breach revise` first.")
        })?;
        let agency = register.agencies.get(&body.body);
        let name = agency.map_or_else(|| Text::new("", ""), |entry| entry.body.legal_name.clone());
        let contact = agency.map(|entry| entry.body.contact.clone()).unwrap_or_default();
        let residents = access.breach_letters(&self.id)?;
        let lines: String = residents.iter().map(|resident| format!("{resident}\r\n")).collect();
        data_dir::write(&self.list, format!("file_number\r\n{lines}").as_bytes())?;
        let letter = format!(
            "{}\n\n{}\n\n{}\n\n{}: {contact}\n\n----\n\n{}\n\n{}\n\n{}\n\n{}: {contact}\n",
            body.title.zh_hant,
            body.facts.zh_hant,
            advice.zh_hant,
            name.zh_hant,
            body.title.en,
            body.facts.en,
            advice.en,
            name.en
        );
        data_dir::write(&self.letter, letter.as_bytes())?;
        println!(
            "{} letters. Answer the clock with `usufruct breach step --duty tell_persons` once they are posted.",
            residents.len()
        );
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
        let mut entries: Vec<_> = register.breaches.values().collect();
        entries.sort_by_key(|entry| entry.number);
        for entry in entries {
            let body = &entry.body;
            let kept =
                register.breach_records_until(entry).map(|until| format!(", kept until {}", until.day())).unwrap_or_default();
            let closed = body.closed_at.map(|at| format!(" {}{kept}", at.day())).unwrap_or_default();
            let state = format!("{}{closed}", body.state.code());
            println!("{}  {}  {}  {state}  {}", entry.id, body.body, body.cause.code(), body.title.en);
            print!("{}", clocks(body, now));
        }
        let is_late = register.late(now).iter().any(|late| late.object.starts_with(BreachId::PREFIX));
        Ok(if is_late { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Signed {
    /// Publishes the next revision, and answers what it says and its number. The log may show it a moment later.
    fn publish(&self, access: &Access, id: &BreachId, body: Value) -> Result<(Body, u64), Failure> {
        let signers = key::signers(&self.key)?;
        let signers: Vec<&Signer> = signers.iter().collect();
        let (mut said, mut rev) = (Value::Null, 0);
        access.publish(|register, now| {
            let statement = compose::breach(register, id.as_str(), body.clone(), &signers, now)?;
            (said, rev) = (statement.body.clone(), statement.rev);
            Ok(vec![statement])
        })?;
        let body = Body::read(&said).map_err(|_| Failure::impossible("What was published cannot be read.", "Report this."))?;
        Ok((body, rev))
    }
}

/// A body of which others may be concerned than before: whom it concerns besides is told and what is in the log of that time is looked at, and
/// then the machine says so again.
fn as_others(mut body: Value, before: &Body) -> Value {
    if Body::read(&body).is_ok_and(|next| !next.concerns_same(before)) {
        for field in ["told", "log_check"] {
            body[field] = Value::Null;
        }
    }
    body
}

fn find(register: &Register, id: &BreachId) -> Result<Entry<Body>, Failure> {
    let entry = register.breaches.get(id);
    entry.cloned().ok_or_else(|| Failure::refused(format!("There is no breach `{id}`."), "See `usufruct breach list`."))
}

/// One line for each clock.
fn clocks(body: &Body, now: Time) -> String {
    let line = |clock: &usufruct_core::breach::LegalClock| {
        let standing = clock.standing(now).code();
        let answered = clock.answer.as_ref().map(|answer| format!("  answered {}", answer.at.minute())).unwrap_or_default();
        format!("  {:<8} {:<16} due {}  {standing}{answered}\n", clock.law, clock.duty.code(), clock.due_at.minute())
    };
    body.clocks.iter().map(line).collect()
}
