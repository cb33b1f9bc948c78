//! `usufruct verify`: checks a whole log from outside, trusting nothing but its key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use usufruct_app::log::{self, Checkpoint, Note, Reader, VerifierKey, checkpoint};
use usufruct_core::Time;
use usufruct_core::event::LEAF_LEN;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::statement::{LEAF_PREFIX, Statement};
use usufruct_core::time::{HOUR, MINUTE};

use crate::failure::Failure;
use crate::public_log::PublicLog;
use crate::{clock, data_dir, progress};

/// Check a whole log from outside: signature, history, every leaf, every statement, every end of a mandate.
///
/// It remembers the key and the checkpoint of its last run and proves that nothing written then has changed. Exit code
/// 0: all is well. 1: there are findings. 2: it could not be checked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct verify http://localhost:8080
  usufruct verify https://pass.example.org/log --vkey 'pass.example.org/log+5e0e6f0a+AdG…'
  usufruct verify ./a-copy-of-the-log --state last-seen.json")]
pub struct Verify {
    /// The site, the log, or a folder with a copy of it.
    #[arg(value_name = "URL")]
    place: String,
    /// The key the log must be signed with, as its operator announced it.
    #[arg(long, value_name = "KEY")]
    vkey: Option<String>,
    /// The file that remembers the last run [default: one for each log under ~/.local/state/usufruct].
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

/// What is remembered from one run to the next.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    vkey: String,
    /// The signed checkpoint.
    checkpoint: String,
}

/// What was found wrong, and the lines of the report.
#[derive(Default)]
struct Report {
    findings: Vec<String>,
    unshown: usize,
}

impl Verify {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let source = PublicLog::open(&self.place)?;
        let state = self.state.clone().map_or_else(|| default_state(&self.place), Ok)?;
        let remembered = recall(&state)?;
        let key = self.key(&source, remembered.as_ref())?;
        let verifier = key.verifier().map_err(|error| Failure::of(error).into_impossible())?;
        let mut report = Report::default();
        let (head, note) = match checkpoint::fetch(&source, key.name(), &[&verifier]) {
            Ok(fetched) => fetched,
            Err(error) if is_outside(&error) => return Err(Failure::of(error).into_impossible()),
            Err(error) => {
                report.found(format!("The checkpoint is not signed as it must be. {error}"));
                return Ok(report.close());
            }
        };
        println!("checkpoint    {} leaves, signed by {}", head.size(), key.name());
        let reader = Reader::new(&source, head.clone());
        history(&reader, &key, remembered.as_ref(), &mut report)?;
        let register = leaves(&reader, &mut report)?;
        endings(&register, clock::now(), &mut report);
        if report.findings.is_empty() {
            remember(&state, &Remembered { vkey: key.to_string(), checkpoint: note.to_string() })?;
        }
        Ok(report.close())
    }

    /// The key to believe: the one given, or the one from last time, or on the first visit the log's own.
    fn key(&self, source: &PublicLog, remembered: Option<&Remembered>) -> Result<VerifierKey, Failure> {
        let parse = |text: &str| text.trim().parse::<VerifierKey>().map_err(|error| Failure::of(error).into_impossible());
        if let Some(given) = &self.vkey {
            println!("key           given on the command line");
            return parse(given);
        }
        if let Some(remembered) = remembered {
            println!("key           remembered from the last run");
            return parse(&remembered.vkey);
        }
        let own = source.own_key()?.ok_or_else(|| {
            Failure::impossible("No key is given and the log names none.", "Ask its operator and give it with --vkey.")
        })?;
        println!("key           trusted on first use: {own}");
        println!("              compare it with what the operator has announced elsewhere");
        Ok(own)
    }
}

impl Report {
    fn found(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.unshown += 1;
        }
    }

    /// Prints the findings and answers the exit code.
    fn close(self) -> ExitCode {
        if self.findings.is_empty() {
            println!("verified      everything agrees");
            return ExitCode::SUCCESS;
        }
        println!("\n{} findings:", self.findings.len() + self.unshown);
        for finding in &self.findings {
            println!("  - {finding}");
        }
        if self.unshown > 0 {
            println!("  - and {} more", self.unshown);
        }
        ExitCode::FAILURE
    }
}

/// Nothing that was there last time may have changed.
fn history(
    reader: &Reader<'_, PublicLog>,
    key: &VerifierKey,
    remembered: Option<&Remembered>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(remembered) = remembered else {
        println!("history       nothing remembered; the next run proves that nothing changed since this one");
        return Ok(());
    };
    let unreadable =
        || Failure::impossible("What was remembered from the last run cannot be read.", "Give another file with --state.");
    let note = Note::parse(remembered.checkpoint.as_bytes()).map_err(|_| unreadable())?;
    let older: Checkpoint = note.text().parse().map_err(|_| unreadable())?;
    if remembered.vkey != key.to_string() {
        report.found(
            "The log is signed with another key than last time. Ask the operator to explain the change in public.".to_owned(),
        );
    }
    if older.size() > reader.checkpoint().size() {
        report.found(format!(
            "The log had {} leaves last time and has {} now: something was taken back. Keep both checkpoints as evidence.",
            older.size(),
            reader.checkpoint().size()
        ));
        return Ok(());
    }
    match reader.consistency(&older) {
        Ok(_) => println!("history       the {} leaves of the last run are unchanged", older.size()),
        Err(error) if is_outside(&error) => return Err(Failure::of(error).into_impossible()),
        Err(error) => report.found(format!("The log has changed what it said last time. {error}")),
    }
    Ok(())
}

/// Reads every leaf, and makes the register of the statements.
fn leaves(reader: &Reader<'_, PublicLog>, report: &mut Report) -> Result<Register, Failure> {
    let bar = progress::bar(reader.checkpoint().size(), "leaves");
    let mut register = Register::default();
    let (mut statements, mut events) = (0u64, 0u64);
    let read = reader.entries(0, |index, entry| {
        bar.inc(1);
        if entry.starts_with(&EVENT_PREFIX) && entry.len() == LEAF_LEN {
            events += 1;
        } else if entry.starts_with(&LEAF_PREFIX) {
            statements += 1;
            match Statement::from_leaf(entry) {
                Ok(statement) => {
                    for problem in register.apply(&statement, index).err().unwrap_or_default() {
                        report.found(format!("Leaf {index} ({:?} {}) is not lawful. {problem}", statement.kind, statement.id));
                    }
                }
                Err(error) => report.found(format!("Leaf {index} is no statement. {error}")),
            }
        } else {
            report.found(format!(
                "Leaf {index} is neither a statement nor an event of {LEAF_LEN} bytes. Ask the operator what it hides."
            ));
        }
        Ok(())
    });
    bar.finish_and_clear();
    match read {
        Ok(()) => {
            println!("leaves        {statements} statements and {events} sealed events of 66 bytes, all under the signed root")
        }
        Err(error) if is_outside(&error) => return Err(Failure::of(error).into_impossible()),
        Err(error) => report.found(format!("The leaves do not lead to the signed root. {error}")),
    }
    Ok(register)
}

/// Every mandate that is over must have ended in time, with a certificate.
fn endings(register: &Register, now: Time, report: &mut Report) {
    let late = |since: Time| now.micros() - since.micros() > GRACE;
    let mut ended = 0;
    for (id, entry) in &register.mandates {
        match entry.state {
            State::Published | State::Active | State::Suspended if late(entry.body.sunset_at) => {
                report.found(format!(
                    "{id} should have ended on {} and has not. Ask its controller why.",
                    entry.body.sunset_at.day()
                ));
            }
            State::Sunset | State::Revoked | State::Erasing if late(entry.since) => {
                report.found(format!(
                    "{id} ended on {}, but nothing says that its key is gone. Ask the operator why.",
                    entry.since.day()
                ));
            }
            State::Erased => {
                ended += 1;
                if register.certificate(id).is_none() {
                    report.found(format!("{id} counts as erased without a certificate. Ask the operator for it."));
                }
            }
            _ => {}
        }
    }
    if register.last_at() > now.plus(5 * MINUTE) {
        report.found(format!("The last statement is dated {}, which is in the future. Check both clocks.", register.last_at()));
    }
    println!(
        "register      {} mandates ({ended} ended, each with a certificate), {} agencies, {} services, {} certificates",
        register.mandates.len(),
        register.agencies.len(),
        register.services.len(),
        register.certificates.len()
    );
}

/// Whether an error says nothing about the log, only that it could not be read.
fn is_outside(error: &log::Error) -> bool {
    matches!(error, log::Error::Io { .. } | log::Error::Outside { .. })
}

fn recall(path: &Path) -> Result<Option<Remembered>, Failure> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            Failure::impossible(format!("{} cannot be understood.", path.display()), "Give another file with --state.")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

fn remember(path: &Path, remembered: &Remembered) -> Result<(), Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    }
    let bytes = serde_json::to_vec_pretty(remembered)
        .map_err(|error| Failure::impossible(format!("The state cannot be written: {error}."), "Report this as a defect."))?;
    data_dir::write(path, &bytes)
}

/// One file for each place, in the user's state folder.
fn default_state(place: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .ok_or_else(|| Failure::impossible("There is no home folder to remember this run in.", "Name a file with --state."))?;
    let place = match fs::canonicalize(place) {
        Ok(path) if !place.contains("://") => path.display().to_string(),
        _ => place.trim_end_matches('/').trim_end_matches("/log").to_owned(),
    };
    let digest = sha256(place.as_bytes()).to_string();
    Ok(base
        .join("usufruct")
        .join(format!("{}.json", digest.chars().filter(char::is_ascii_alphanumeric).take(32).collect::<String>())))
}

/// First bytes of every event leaf.
const EVENT_PREFIX: [u8; 2] = [1, 2];
/// How late an ending may be.
const GRACE: i64 = HOUR;
const MOST_FINDINGS: usize = 50;

#[cfg(test)]
mod tests {
    use usufruct_app::House;
    use usufruct_core::time::DAY;

    use super::*;
    use crate::chance::SystemRng;
    use crate::demo::city::City;
    use crate::demo::past::{self, Happening, Offices};

    /// The register of the demo city as it would be if nobody had ever ended a mandate.
    fn endless(folder: &Path, now: Time) -> Result<Register, Failure> {
        let city = City::read(None, now)?;
        let house = House::open(folder)?;
        let offices = Offices::open(&city, &house, &SystemRng)?;
        let mut register = Register::default();
        for (_, happening) in past::tell(&city, &offices, &house, &SystemRng, &[], now)? {
            if let Happening::Publish(statements) = happening {
                for statement in statements {
                    register.apply(&statement, 0).map_err(|problems| Failure::of(format!("{problems:?}")))?;
                }
            }
        }
        Ok(register)
    }

    #[test]
    fn a_mandate_that_outlives_its_last_day_is_found() {
        let folder = std::env::temp_dir().join(format!("usufruct-endless-{}", std::process::id()));
        let now = clock::now();
        let register = endless(&folder, now).unwrap_or_else(|failure| panic!("{failure}"));
        fs::remove_dir_all(&folder).unwrap();
        let findings = |now| {
            let mut report = Report::default();
            endings(&register, now, &mut report);
            report.findings
        };
        let today = findings(now);
        assert!(matches!(&today[..], [only] if only.starts_with("mdt_itinerary-card should have ended")), "{today:?}");
        assert_eq!(findings(now.plus(5_000 * DAY)).len(), register.mandates.len());
        // An hour of grace.
        let sunset = register.mandates.values().map(|entry| entry.body.sunset_at).min().unwrap();
        assert!(!findings(sunset.plus(HOUR)).iter().any(|finding| finding.contains("should have ended")));
        assert!(findings(sunset.plus(HOUR + 1)).iter().any(|finding| finding.contains("should have ended")));
    }
}
