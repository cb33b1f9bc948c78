//! `usufruct breach drill`: a breach is played from its opening to its closing with a clock of its own, and every clock of the law with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use serde_json::json;
use usufruct_core::breach::{Breach, BreachState, ClockAnswer, ClockStanding, LegalClock, Told};
use usufruct_core::document::Document;
use usufruct_core::hash::sha256;
use usufruct_core::id::{AgencyId, AuditId, BreachId};
use usufruct_core::lawpack::Duty;
use usufruct_core::ports::random;
use usufruct_core::register::Register;
use usufruct_core::statement::{Signer, Statement, StatementKind};
use usufruct_core::tally::Count;
use usufruct_core::time::{MINUTE, parse_duration};
use usufruct_core::{Text, Time};
use zeroize::Zeroizing;

use crate::access::Access;
use crate::chance::SystemRng;
use crate::command::key;
use crate::failure::Failure;
use crate::{clock, compose, written};

/// Play a breach from its opening to its closing on a copy of the register, with a clock that is moved by hand.
///
/// The file is one for `usufruct breach open`. The copy has the real laws, bodies, mandates and services, and keys of its own for the bodies that
/// sign; it lives in the memory of this command, so nothing is published, no resident is told, and no line of anybody is read. With `--takes` you say
/// how long your people need for a duty; what is not said is done a minute before it is due. Ends with 1 if a clock was missed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct breach drill lost-laptop.toml --data-dir pass
  usufruct breach drill lost-laptop.toml --takes report_incident=PT90M --takes tell_persons=P4D --data-dir pass
  usufruct breach drill lost-laptop.toml --data-dir pass --publish operator-head.json")]
pub struct Drill {
    /// TOML file.
    file: PathBuf,
    /// How long a duty takes from when the body learned of the breach; may be given again.
    #[arg(long, value_name = "DUTY=LENGTH")]
    takes: Vec<Takes>,
    /// Publish the result, signed with this key file of the operator.
    #[arg(long, value_name = "FILE")]
    publish: Option<PathBuf>,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// How long people need for a duty.
#[derive(Clone, Copy, Debug)]
struct Takes {
    duty: Duty,
    micros: i64,
}

impl FromStr for Takes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (word, length) = text.split_once('=')?;
            let (_, duty) = Duty::WORDS.iter().find(|(known, _)| *known == word)?;
            Some(Self { duty: *duty, micros: parse_duration(length)? })
        };
        read().ok_or_else(|| "This is no duty with a length. Write it as `report_breach=P2D`.".to_owned())
    }
}

impl Drill {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let aware_at = clock::now();
        let mut body = written::file(&self.file, aware_at)?;
        body["first_signal_at"] = json!(aware_at);
        // A drill plays what is known; a suspicion has no clocks to play.
        body["state"] = json!(BreachState::Detected);
        body["aware_at"] = json!(aware_at);
        if body.get("from").is_none() {
            body["from"] = json!(aware_at);
        }
        let breach = Breach::read(&body).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
            Failure::refused(format!("{} is no breach:\n{}\n", self.file.display(), lines.join("\n")), "Correct every line.")
        })?;
        let access = Access::open(&self.data_dir)?;
        let takes = self.takes.iter().map(|takes| (takes.duty, takes.micros)).collect();
        let mut play = Play::new((*access.register()?).clone(), &breach.body, aware_at)?;
        let ended = play.play(breach, &takes)?;
        print!("{}", table(&ended, aware_at));
        let missed = ended.clocks.iter().filter(|clock| clock.standing(play.now) != ClockStanding::Met).count();
        println!(
            "{} clocks, {missed} missed. Opened, answered and closed in {} hours.",
            ended.clocks.len(),
            hours(play.now, aware_at)
        );
        if let Some(path) = &self.publish {
            let id = publish(&access, std::slice::from_ref(path), ended.clocks.len(), missed)?;
            println!("The result is in the register as {id}.");
        }
        Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A copy of the register in which a breach is played.
struct Play {
    register: Register,
    /// Two people of the body in two roles.
    people: [Signer; 2],
    machine: Signer,
    id: BreachId,
    now: Time,
    leaf: u64,
}

impl Play {
    fn new(mut register: Register, body: &AgencyId, now: Time) -> Result<Self, Failure> {
        let unknown = || Failure::refused(format!("There is no body `{body}`."), "Name one of the register in the file.");
        let operator: AgencyId = register.operator().and_then(|operator| operator.id.parse().ok()).ok_or_else(unknown)?;
        let signer = |agency: &AgencyId, role: &str| {
            let seed = Zeroizing::new(random::<32>(&SystemRng));
            Signer::new(agency.clone(), &format!("drill-{role}"), &seed)
                .ok_or_else(|| Failure::impossible("No key can be made.", "Try again."))
        };
        let people = [signer(body, "head")?, signer(body, "protection")?];
        let machine = signer(&operator, "automation")?;
        for (key, role) in [(&people[0], "drill-head"), (&people[1], "drill-protection"), (&machine, "automation")] {
            let entry = register.agencies.get_mut(key.agency()).ok_or_else(unknown)?;
            let (id, role, public) = (key.key().to_owned(), role.to_owned(), key.public());
            let key = usufruct_core::agency::SigningKey { id, role, public, holder: None, webauthn: None };
            entry.body.signing_keys.push(key);
        }
        let id = BreachId::fresh(now, &SystemRng);
        // Behind every leaf that there is.
        let leaf = register.breaches.values().map(|entry| entry.index).max().unwrap_or_default() + (1 << 40);
        Ok(Self { register, people, machine, id, now, leaf })
    }

    /// Opens the breach, answers each clock when its people have done it, and closes it. Answers how it stands at the end.
    fn play(&mut self, breach: Breach, takes: &BTreeMap<Duty, i64>) -> Result<Breach, Failure> {
        let breach = self.register.with_clocks(breach, None, self.now);
        let aware_at = self.now;
        let done_at =
            |clock: &LegalClock| takes.get(&clock.duty).map_or(clock.due_at.plus(-MINUTE), |micros| aware_at.plus(*micros));
        let mut steps: Vec<(Time, usize)> = breach.clocks.iter().map(done_at).enumerate().map(|(i, at)| (at, i)).collect();
        steps.sort_unstable();
        self.say(&breach, 2)?;
        for (at, i) in steps {
            self.now = self.now.max(at);
            let mut next = self.present()?;
            self.tell_late();
            let title = Text::new("Drill", "演練");
            let proof = Document { title, sha256: sha256(b"drill"), url: None };
            let reason = (next.clocks[i].due_at < self.now).then(|| Text::new("It took as long in the drill.", "演練結果。"));
            next.clocks[i].answer = Some(ClockAnswer { at: self.now, proof: Some(proof), reason });
            println!("{}  {} is done ({}).", self.now.minute(), next.clocks[i].duty.code(), next.clocks[i].law);
            self.say(&next, 1)?;
        }
        let mut last = self.present()?;
        last.state = BreachState::Halted;
        self.say(&last, 2)?;
        last.state = BreachState::Contained;
        if last.until.is_none() {
            last.until = Some(self.now);
            last.told = None;
        }
        self.say(&last, 2)?;
        last.state = BreachState::Mitigated;
        last.measures = last.measures.or_else(|| Some(Text::new("What the drill did.", "演練處置。")));
        self.say(&last, 2)?;
        self.tell_nobody(&mut last)?;
        last.state = BreachState::Closed;
        last.lessons = Some(Text::new("It was a drill.", "此為演練。"));
        last.closed_at = Some(self.now);
        self.say(&last, 2)?;
        println!("{}  closed.", self.now.minute());
        Ok(last)
    }

    /// Says that everybody is told, who are nobody: no line of anybody is read.
    fn tell_nobody(&mut self, breach: &mut Breach) -> Result<(), Failure> {
        if breach.advice.is_none() {
            return Ok(());
        }
        let words = sha256(json!(breach).to_string().as_bytes());
        let nobody = Count::of(0);
        breach.told = Some(Told { at: self.now, residents: nobody, by_courier: nobody, blocks: 0, words });
        self.say(breach, 0)
    }

    /// What a reader of the public list would see now.
    fn tell_late(&self) {
        for late in self.register.late(self.now).iter().filter(|late| late.object == self.id.as_str()) {
            println!("{}  {} is late since {}.", self.now.minute(), late.duty.code(), late.due_at.minute());
        }
    }

    fn present(&self) -> Result<Breach, Failure> {
        let entry = self.register.breaches.get(&self.id);
        entry.map(|entry| entry.body.clone()).ok_or_else(|| Failure::impossible("The drill lost its breach.", "Report this."))
    }

    /// The next revision, signed by so many people, or by the machine.
    fn say(&mut self, breach: &Breach, people: usize) -> Result<(), Failure> {
        let (rev, prev) = self.register.next_revision(StatementKind::Breach, self.id.as_str());
        let signers: Vec<&Signer> = if people == 0 { vec![&self.machine] } else { self.people.iter().take(people).collect() };
        let by = signers[0].agency().clone();
        let mut statement = Statement {
            kind: StatementKind::Breach,
            id: self.id.to_string(),
            rev,
            prev,
            at: self.now,
            by,
            body: json!(breach),
            approvals: Vec::new(),
        };
        for signer in signers {
            statement.approve(signer)?;
        }
        self.leaf += 1;
        self.register.apply(&statement, self.leaf).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
            Failure::refused(
                format!("The register would not accept this:\n{}\n", lines.join("\n")),
                "Correct every line of the file.",
            )
        })
    }
}

fn table(breach: &Breach, aware_at: Time) -> String {
    let line = |clock: &LegalClock| {
        let answered = clock.answer.as_ref().map(|answer| answer.at).unwrap_or_default();
        let standing = if answered <= clock.due_at { "met" } else { "missed" };
        let (due, done) = (hours(clock.due_at, aware_at), hours(answered, aware_at));
        format!(
            "{:<8} {:<16} due after {due:>7} h  done after {done:>7} h  {standing}  {}\n",
            clock.law,
            clock.duty.code(),
            clock.article
        )
    };
    breach.clocks.iter().map(line).collect()
}

/// Hours between two times, with one place behind the point.
fn hours(at: Time, from: Time) -> String {
    let tenths = (at.micros() - from.micros()) / (6 * MINUTE);
    format!("{}.{}", tenths / 10, (tenths % 10).abs())
}

fn publish(access: &Access, key: &[PathBuf], clocks: usize, missed: usize) -> Result<AuditId, Failure> {
    let signers = key::signers(key)?;
    let signers: Vec<&Signer> = signers.iter().collect();
    let id = AuditId::fresh(clock::now(), &SystemRng);
    let body = json!({
        "drill": "breach_drill",
        "sampled": clocks,
        "opened": clocks - missed,
        "closed": 0,
        "wrong": missed,
        "searched_bytes": 0,
    });
    access.publish(|register, now| {
        Ok(vec![compose::object(register, StatementKind::Audit, id.as_str(), body.clone(), &signers, now)?])
    })?;
    Ok(id)
}
