//! The monitor: looks at a log from outside, again and again, and says what is not as it should be.
//!
//! It trusts a key and remembers the last checkpoint. Everything else is proven: that the log only grew, each leaf under the
//! signed root, each statement lawful after those before it. What a log declares about itself it is held to.

pub mod endings;
pub mod finding;
mod history;
pub mod keys;
pub mod outlet;
mod pace;
mod replay;
mod signatures;
pub mod state;
pub mod tags;
pub mod webhook;

use std::collections::BTreeSet;

use indicatif::ProgressBar;
use usufruct_app::log::{self, Checkpoint, Note, Policy, Reader, Source, VerifierKey, checkpoint};
use usufruct_core::Time;
use usufruct_core::certificate::Cause;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::log_terms::LogTerms;

use self::finding::{Code, Finding, Report, Severity, Subject};
use self::keys::{From, Keys};
use self::outlet::Outlet;
use self::pace::Pace;
use self::replay::Replay;
use self::signatures::Asked;
use self::state::{Remembered, StateFile};
use self::tags::{Presence, TagIndex};
use crate::failure::Failure;
use crate::progress;
use crate::public_log::{PublicLog, is_outside};

/// What to look at, and what to ask for.
pub struct Settings {
    /// The site, the log, a mirror, or a folder with a copy.
    pub place: String,
    /// The keys the log must be signed with; empty to take those of the policy, of the last run, or the log's own.
    pub vkeys: Vec<VerifierKey>,
    /// The witnesses to ask for, in place of those that the log declares.
    pub policy: Option<Policy>,
    /// After how many seconds a cosignature is late and a checkpoint stale, in place of what the log declares.
    pub late_seconds: Option<u64>,
    /// Whether it will look again and again. The pace of a log in a folder is judged only then: it may be a copy at rest.
    pub follows: bool,
}

/// Looks at one log.
pub struct Monitor {
    settings: Settings,
    file: StateFile,
    remembered: Remembered,
    log: Option<PublicLog>,
    keys: Option<Keys>,
    replay: Replay,
    tags: TagIndex,
    has_tags: bool,
    pace: Pace,
    unreached_since: Option<Time>,
    verifier_checked_at: Option<Time>,
    /// Whether the last look saw another verifier than the log states.
    has_suspicion: bool,
    /// The leaf of the terms that were told of.
    told_terms: Option<Option<u64>>,
    told_size: Option<u64>,
    should_stop: Box<dyn Fn() -> bool>,
}

/// How a look ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// The log was looked at, whatever was found.
    Checked,
    /// It was told to stop.
    Stopped,
    /// The log could not be read.
    Unreached(String),
}

/// Why a look ends before everything was looked at.
enum Halt {
    Failed(Failure),
    Stopped,
    Unreached(String),
    /// What was found allows to go no further.
    Wrong,
}

/// What a look has found, and what it has judged.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    judged: BTreeSet<Subject>,
}

impl Monitor {
    /// A monitor that goes on from what its file remembers. A look ends early when `should_stop` says so.
    pub fn open(settings: Settings, file: StateFile, should_stop: Box<dyn Fn() -> bool>) -> Result<Self, Failure> {
        let remembered = file.recall()?;
        Ok(Self {
            settings,
            file,
            remembered,
            log: None,
            keys: None,
            replay: Replay::default(),
            tags: TagIndex::default(),
            has_tags: true,
            pace: Pace::default(),
            unreached_since: None,
            verifier_checked_at: None,
            has_suspicion: false,
            told_terms: None,
            told_size: None,
            should_stop,
        })
    }

    /// Looks at the log once, and reports what is new. What was found is remembered before this returns.
    pub fn look(&mut self, now: Time, outlet: &Outlet) -> Result<Look, Failure> {
        let mut found = Found::default();
        let look = match self.examine(now, outlet, &mut found) {
            Ok(()) | Err(Halt::Wrong) => Look::Checked,
            Err(Halt::Failed(failure)) => return Err(failure),
            Err(Halt::Stopped) => Look::Stopped,
            Err(Halt::Unreached(why)) => Look::Unreached(why),
        };
        found.judged.insert(Subject::Reach);
        match &look {
            Look::Unreached(why) => {
                let since = *self.unreached_since.get_or_insert(now);
                let silent = now.seconds().saturating_sub(since.seconds()).unsigned_abs();
                let is_long = silent > self.late_seconds().unwrap_or(SILENCE_SECONDS);
                let severity = if is_long { Severity::Finding } else { Severity::Warning };
                let message = format!("The log cannot be read. {why}");
                found.findings.push(Finding::new(severity, Code::LogUnreachable, message));
            }
            Look::Checked => self.unreached_since = None,
            Look::Stopped => {}
        }
        if self.replay.size > 0 {
            found.findings.extend(endings::judge(&self.replay.register, now));
            found.judged.insert(Subject::Register);
        }
        let origin = self.origin().to_owned();
        for report in self.remembered.open.settle(now, &origin, found.findings, &found.judged) {
            outlet.report(report)?;
        }
        if let Some(webhook) = outlet.webhook() {
            self.remembered.outbox = webhook.outbox();
        }
        // A place where there never was a log leaves no trace.
        if !self.remembered.vkeys.is_empty() {
            self.file.remember(&self.remembered)?;
        }
        Ok(look)
    }

    /// What is remembered, with what is open.
    pub fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Keeps what the webhook has not taken for the next run.
    pub fn keep_outbox(&mut self, outbox: Vec<Report>) -> Result<(), Failure> {
        self.remembered.outbox = outbox;
        self.file.remember(&self.remembered)
    }

    /// The name of the log, once it is known.
    pub fn origin(&self) -> &str {
        self.keys.as_ref().map_or("", |keys| &keys.origin)
    }

    /// The time between checkpoints that the log declares, in seconds.
    pub fn declared_seconds(&self) -> Option<u64> {
        self.terms().map(|(_, terms)| terms.checkpoint_seconds.unsigned_abs())
    }

    fn examine(&mut self, now: Time, outlet: &Outlet, found: &mut Found) -> Result<(), Halt> {
        self.connect(now, outlet)?;
        let (Some(log), Some(keys)) = (self.log.take(), self.keys.clone()) else { return Err(Halt::Stopped) };
        let outcome = self.examine_log(&log, &keys, now, outlet, found);
        self.log = Some(log);
        outcome
    }

    /// Finds the log and the keys to believe it under.
    fn connect(&mut self, now: Time, outlet: &Outlet) -> Result<(), Halt> {
        let unreached = |failure: Failure| Halt::Unreached(failure.to_string());
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let remembered = self.remembered.vkeys.first().and_then(|key| key.split_once('+')).map(|(name, _)| name);
                let listed = self.settings.policy.as_ref().and_then(|policy| policy.logs().first()).map(|log| log.key.name());
                let origin = self.settings.vkeys.first().map(VerifierKey::name).or(listed).or(remembered);
                PublicLog::open_for(&self.settings.place, origin).map_err(unreached)?
            }
        };
        if self.keys.is_none() {
            let keys =
                Keys::choose(&log, &self.settings.vkeys, self.settings.policy.as_ref(), &self.remembered).map_err(unreached)?;
            let from = match keys.from {
                From::FirstUse => "trusted on first use; compare it with what the operator has announced elsewhere",
                From::Given => "given on the command line",
                From::Policy => "given by the policy",
                From::Remembered => "remembered from the last run",
            };
            let short: Vec<String> = keys.lines().iter().map(|key| key.chars().take(120).collect()).collect();
            outlet.tell(now, &keys.origin, Code::KeyTrusted, format!("{}: {from}", short.join(", "))).map_err(Halt::Failed)?;
            self.keys = Some(keys);
        }
        self.log = Some(log);
        Ok(())
    }

    fn examine_log(&mut self, log: &PublicLog, keys: &Keys, now: Time, outlet: &Outlet, found: &mut Found) -> Result<(), Halt> {
        let (head, note) = self.head(log, keys, found)?;
        if self.told_size != Some(head.size()) {
            self.told_size = Some(head.size());
            let message = format!("{} leaves, signed by {}", head.size(), keys.origin);
            outlet.tell(now, &keys.origin, Code::Checkpoint, message)?;
        }
        let reader = Reader::new(log, head.clone());
        let old = self.remembered.head().map_err(|error| Halt::Failed(Failure::of(error).into_impossible()))?;
        if let Some((older, older_note)) = &old {
            self.history(&reader, &note, older, older_note, found)?;
        }
        if self.replay.size == 0 {
            let message = match &old {
                Some((older, _)) => format!("the {} leaves of the last run are unchanged", older.size()),
                None => "nothing remembered; the next run proves that nothing changed since this one".to_owned(),
            };
            outlet.tell(now, &keys.origin, Code::History, message)?;
        }
        self.believe(keys, &note, now, found)?;
        let before = self.replay.size;
        let read = self.leaves(&reader, found);
        if before == 0 && self.replay.size > 0 {
            let Replay { statements, events, .. } = self.replay;
            let message = format!("{statements} statements and {events} sealed events of 66 bytes, all under the signed root");
            outlet.tell(now, &keys.origin, Code::Leaves, message)?;
        }
        read?;
        if before == 0 {
            outlet.tell(now, &keys.origin, Code::Register, self.register_in_words())?;
        }
        self.tell_terms(now, outlet)?;
        self.signatures(&note, now, log, found);
        self.index(log, now, outlet, found)?;
        self.verifier(log, now, found)
    }

    /// The public checkpoint, signed as it must be.
    fn head(&self, log: &PublicLog, keys: &Keys, found: &mut Found) -> Result<(Checkpoint, Note), Halt> {
        let Some(bytes) = log.fetch(checkpoint::PATH).map_err(|error| Halt::Unreached(error.to_string()))? else {
            return Err(Halt::Unreached("There is no checkpoint. Check the address, or ask the operator.".to_owned()));
        };
        found.judged.insert(Subject::Head);
        let error = match keys.open(&bytes) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let code = match &error {
            log::Error::Unsigned | log::Error::WrongSignature { .. } => Code::CheckpointUnsigned,
            log::Error::Malformed { what: "checkpoint", why } if why.starts_with("it is for ") => Code::OriginChanged,
            _ => Code::CheckpointMalformed,
        };
        let mut finding = Finding::broken(code, format!("The checkpoint is not signed as it must be. {error}"));
        if !self.remembered.open.has(&finding) {
            let name = format!("refused-{}.txt", &sha256(&bytes).to_string()[..16]);
            finding = finding.with_evidence(vec![self.file.keep_evidence(&name, &String::from_utf8_lossy(&bytes))?]);
        }
        found.findings.push(finding);
        Err(Halt::Wrong)
    }

    /// From now on this is what nothing may fall behind.
    fn believe(&mut self, keys: &Keys, note: &Note, now: Time, found: &mut Found) -> Result<(), Halt> {
        let lines = keys.lines();
        if !self.remembered.vkeys.is_empty() && !self.remembered.vkeys.iter().any(|key| lines.contains(key)) {
            let message = "The log is believed under another key than before. Ask the operator to explain the change in public.";
            found.findings.push(Finding::broken(Code::KeyChanged, message));
        } else {
            self.remembered.vkeys = lines;
        }
        let text = note.to_string();
        if self.remembered.checkpoint.as_ref() != Some(&text) {
            self.remembered.checkpoint = Some(text);
            self.remembered.seen_at = Some(now);
            self.file.remember(&self.remembered)?;
        }
        Ok(())
    }

    /// Reads the leaves that are new.
    fn leaves(&mut self, reader: &Reader<'_, PublicLog>, found: &mut Found) -> Result<(), Halt> {
        let size = reader.checkpoint().size();
        found.judged.extend([Subject::Evidence, Subject::Tiles]);
        if self.replay.size >= size {
            return Ok(());
        }
        let bar = if self.replay.size == 0 { progress::bar(size, "leaves") } else { ProgressBar::hidden() };
        let Self { replay, tags, should_stop, .. } = self;
        let read = replay.read(reader, &mut found.findings, |_, leaf| {
            bar.inc(1);
            tags.take(leaf);
            if should_stop() { Err(stopped()) } else { Ok(()) }
        });
        bar.finish_and_clear();
        let read = read.and_then(|()| replay.check_recounts(reader, &mut found.findings));
        match read {
            Ok(()) => Ok(()),
            Err(_) if (self.should_stop)() => Err(Halt::Stopped),
            Err(error) if is_outside(&error) => {
                found.judged.remove(&Subject::Tiles);
                Err(Halt::Unreached(error.to_string()))
            }
            Err(error) => {
                found.findings.push(tile(&error));
                Err(Halt::Wrong)
            }
        }
    }

    /// Who has signed, and whether the log keeps its pace.
    fn signatures(&mut self, note: &Note, now: Time, log: &PublicLog, found: &mut Found) {
        let keys = self.keys.as_ref().map_or(&[][..], |keys| &keys.keys);
        let judges_pace = log.is_live() || self.settings.follows;
        let terms = self.terms().map(|(leaf, terms)| (leaf, terms.clone()));
        let terms = terms.as_ref().map(|(leaf, terms)| (*leaf, terms));
        let declared = terms.and_then(|(_, terms)| format!("{}\n", terms.policy.trim_end()).parse::<Policy>().ok());
        let policy = self.settings.policy.as_ref().or(declared.as_ref());
        let late_seconds = self.late_seconds().filter(|_| judges_pace);
        let asked = Asked {
            keys,
            terms: terms.map(|(_, terms)| terms),
            policy,
            is_own_policy: self.settings.policy.is_some(),
            late_seconds,
        };
        let now_seconds = now.seconds().max(0).unsigned_abs();
        let signed = signatures::judge(note, &asked, now_seconds);
        found.judged.insert(Subject::Witnesses);
        found.findings.extend(signed.findings);
        if !judges_pace {
            return;
        }
        let is_refreshed = self.settings.late_seconds.is_some()
            || policy.is_some_and(|policy| !policy.witnesses().is_empty())
            || terms.is_some_and(|(_, terms)| terms.filler.events > 0);
        let seen_at = self.remembered.seen_at.map_or(now_seconds, |seen| seen.seconds().max(0).unsigned_abs());
        let seen = pace::Seen {
            now: now_seconds,
            signed: signed.newest.unwrap_or(seen_at),
            events: self.replay.events,
            terms,
            is_refreshed,
            late_seconds,
        };
        found.judged.insert(Subject::Pace);
        found.findings.extend(self.pace.judge(&seen));
    }

    /// The tag index must be what the leaves say.
    fn index(&mut self, log: &PublicLog, now: Time, outlet: &Outlet, found: &mut Found) -> Result<(), Halt> {
        if self.replay.size == 0 || !self.has_tags {
            return Ok(());
        }
        match self.tags.compare(log) {
            Ok(Presence::Served) => {
                found.judged.insert(Subject::Index);
                found.findings.extend(self.tags.findings());
            }
            Ok(Presence::Absent) => {
                self.has_tags = false;
                outlet.tell(now, self.origin(), Code::TagIndexAbsent, "there is no tag index here to compare with the leaves")?;
            }
            Err(error) if is_outside(&error) => return Err(Halt::Unreached(error.to_string())),
            Err(error) => found.findings.push(Finding::broken(Code::TagIndexWrong, error.to_string())),
        }
        Ok(())
    }

    /// The verifier that is served must be the one that the log states.
    fn verifier(&mut self, log: &PublicLog, now: Time, found: &mut Found) -> Result<(), Halt> {
        let Some(release) = &self.replay.register.verifier else { return Ok(()) };
        if self.verifier_checked_at.is_some_and(|at| now.seconds() - at.seconds() < VERIFIER_SECONDS) {
            return Ok(());
        }
        let mut differing = Vec::new();
        for file in &release.body.files {
            let served =
                log.fetch_of_site(file.path.trim_start_matches('/')).map_err(|error| Halt::Unreached(error.to_string()))?;
            // A mirror, a folder, or a log that stands alone serves none.
            let Some(served) = served else { continue };
            found.judged.insert(Subject::Verifier);
            if sha256(&served) != file.sha256 {
                differing.push(file.path.clone());
            }
        }
        // A new release is served a moment before the checkpoint that covers its statement.
        let is_certain = self.has_suspicion || !self.settings.follows;
        let severity = if is_certain { Severity::Finding } else { Severity::Warning };
        self.has_suspicion = !differing.is_empty();
        self.verifier_checked_at = differing.is_empty().then_some(now);
        for path in differing {
            let message = format!("{path} is not the file that the log states. Keep what you were served, and ask the operator.");
            found.findings.push(Finding::new(severity, Code::VerifierDiffers, message).about(path));
        }
        Ok(())
    }

    fn tell_terms(&mut self, now: Time, outlet: &Outlet) -> Result<(), Halt> {
        let terms = self.terms().map(|(leaf, terms)| (leaf, terms.clone()));
        let leaf = terms.as_ref().map(|(leaf, _)| *leaf);
        if self.told_terms == Some(leaf) {
            return Ok(());
        }
        self.told_terms = Some(leaf);
        let message = match terms {
            Some((leaf, terms)) => format!(
                "declared in leaf {leaf}: a checkpoint every {} s, merge delay {} s, {} event leaves every {} s",
                terms.checkpoint_seconds, terms.merge_delay_seconds, terms.filler.events, terms.filler.seconds
            ),
            None => "the log declares nothing about itself".to_owned(),
        };
        Ok(outlet.tell(now, self.origin(), Code::Terms, message)?)
    }

    fn register_in_words(&self) -> String {
        let register = &self.replay.register;
        let drilled = register.certificates.values().filter(|entry| entry.body.cause == Cause::Drill).count();
        let ended = register.mandates.values().filter(|entry| entry.state == State::Erased).count();
        format!(
            "{} mandates ({ended} ended), {} agencies, {} services, {} certificates, {drilled} of drills",
            register.mandates.len(),
            register.agencies.len(),
            register.services.len(),
            register.certificates.len() - drilled
        )
    }

    /// The terms of the log and their leaf, once they were read.
    fn terms(&self) -> Option<(u64, &LogTerms)> {
        self.replay.register.log.as_ref().map(|entry| (entry.index, &entry.body))
    }

    /// After how many seconds something is late: as asked for, or from what is declared, with time to ask a witness again.
    fn late_seconds(&self) -> Option<u64> {
        self.settings.late_seconds.or_else(|| self.declared_seconds().map(|between| 2 * between + PATIENCE_SECONDS))
    }

    fn go_on(&self) -> log::Result<()> {
        if (self.should_stop)() { Err(stopped()) } else { Ok(()) }
    }
}

impl std::convert::From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Tiles or bundles that are not there, or do not lead to the signed root.
fn tile(error: &log::Error) -> Finding {
    match error {
        log::Error::Missing { path } => {
            let message = format!("{path} is not there. Ask the operator to restore it.");
            Finding::broken(Code::TileMissing, message).about(path.as_str())
        }
        error => Finding::broken(Code::TileWrong, format!("The leaves do not lead to the signed root. {error}")),
    }
}

fn stopped() -> log::Error {
    log::Error::outside("reading", "it was told to stop")
}

/// Beyond twice the declared time: a witness that failed is asked again within a minute.
const PATIENCE_SECONDS: u64 = 60;
/// How long a log that declares nothing may be unreachable.
const SILENCE_SECONDS: u64 = 60;
/// How often the files of the verifier are fetched.
const VERIFIER_SECONDS: i64 = 3_600;
