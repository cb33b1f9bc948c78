//! `usufruct footprint`: checks a resident's saved footprint against the public log, on her own machine.

mod lines;
mod search;
mod verdict;
mod weeks;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usufruct_app::log::{self, Checkpoint, Note, Policy, Reader, Source, VerifierKey, checkpoint};

use self::lines::{FootprintFile, LineResult};
use self::search::{How, Search};
use self::verdict::{Code, State, Verdict, say};
use self::weeks::Weeks;
use crate::clock;
use crate::command::verify;
use crate::failure::Failure;
use crate::monitor::keys;
use crate::monitor::outlet::plain;
use crate::public_log::{PublicLog, is_outside};

/// Check your footprint against the public log.
///
/// It finds lines that are missing, twice there, hidden from you, or shown and not in the log. The file holds the openings of
/// your lines: keep it as private as the footprint itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct footprint verify footprint.json --log https://pass.example.org
  usufruct footprint verify footprint.json --log https://mirror.example.org --prefix")]
pub struct Footprint {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Check a saved footprint line by line, and search the whole log for lines it lacks.
///
/// Exit code 0: all verified. 1: something is broken. 2: wrong usage. 3: not everything could be checked yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct footprint verify footprint.json --log https://pass.example.org --vkey 'pass.example.org/log+5e0e6f0a+AdG…'
  usufruct footprint verify footprint.json --log ./a-copy-of-the-log --remember checkpoint.txt")]
struct Verify {
    /// The file you saved from your footprint page.
    file: PathBuf,
    /// The site, the log, a mirror of it, or a folder with a copy.
    #[arg(long, value_name = "URL")]
    log: String,
    /// Read every entry of the log, and check the tag index against them. This is the default.
    #[arg(long, conflicts_with = "prefix")]
    whole: bool,
    /// Read the tag index, four bytes an entry, and only some bundles, at least half of them chosen at random.
    #[arg(long)]
    prefix: bool,
    /// The key of the log from a source you trust, in place of the one in the file; may be given again.
    #[arg(long, value_name = "KEY", value_parser = keys::parse)]
    vkey: Vec<VerifierKey>,
    /// Whose cosignatures to ask for (tlog-policy), in place of the policy in the file.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Keep the last checkpoint in this file, and check that the log only grew since.
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
}

/// What the check of a footprint came to.
struct Outcome {
    /// What is wrong with the log itself.
    overall: Option<Verdict>,
    size: Option<u64>,
    lines: Vec<LineResult>,
    search: Option<Search>,
}

impl Footprint {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode, Failure> {
        let text = fs::read(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        let footprint: FootprintFile = serde_json::from_slice(&text).map_err(|error| {
            let what = format!("{} is no footprint: {error}.", self.file.display());
            Failure::impossible(what, "Save it again from your footprint page.")
        })?;
        let outcome = self.check(&footprint)?;
        println!("log {}{}", plain(&footprint.origin), outcome.size.map(|size| format!(", {size} entries")).unwrap_or_default());
        for line in &outcome.lines {
            let event = line.event.as_ref().map(|event| format!("  {}", verify::proof::describe(event))).unwrap_or_default();
            println!("{:<9} #{}{event}", line.state().to_string(), line.n);
            line.verdict.iter().for_each(|verdict| println!("          {verdict}"));
        }
        if let Some(search) = &outcome.search {
            println!("\n{} entries were searched for your tags; {} are yours", search.searched, search.yours);
            search.verdicts.iter().for_each(|verdict| println!("{verdict}"));
        }
        if let Some(verdict) = &outcome.overall {
            println!("\n{verdict}");
        }
        let state = outcome.state();
        let count = |state| outcome.lines.iter().filter(|line| line.state() == state).count();
        let [verified, pending, broken] = [State::Verified, State::Pending, State::Broken].map(count);
        println!("\n{state}: {verified} verified, {pending} pending, {broken} broken");
        Ok(ExitCode::from(state.exit_code()))
    }

    fn check(&self, footprint: &FootprintFile) -> Result<Outcome, Failure> {
        let now = clock::now();
        let weeks = Weeks::open(footprint, now);
        let mut lines = lines::open(footprint, &weeks);
        let log = match self.open(footprint) {
            Ok(log) => log,
            Err(Stop::Failure(failure)) => return Err(failure),
            Err(Stop::Verdict(verdict)) => {
                lines::follow_chain(&mut lines);
                return Ok(Outcome { overall: Some(verdict), size: None, lines, search: None });
            }
        };
        let OpenLog { log, head, lacks } = log;
        let reader = Reader::new(&log, head.clone());
        let how = if self.prefix { How::Prefix } else { How::Whole };
        let found = search::search(&log, &reader, footprint, &weeks, &lines, how);
        let (overall, search) = match found {
            Ok(found) => {
                lines::place(&mut lines, &found.leaves, head.size(), now);
                let search = search::judge(footprint, &lines, found);
                (weeks.verdict.filter(|verdict| verdict.state() == State::Broken || lacks.is_none()).or(lacks), Some(search))
            }
            Err(verdict) => {
                lines::unplaced(&mut lines, &verdict);
                (Some(verdict), None)
            }
        };
        lines::overdue_matters(&mut lines, now);
        lines::follow_chain(&mut lines);
        Ok(Outcome { overall, size: Some(head.size()), lines, search })
    }

    /// The log as it is now, once it is known to extend what is remembered.
    fn open(&self, footprint: &FootprintFile) -> Result<OpenLog, Stop> {
        let vkeys = match self.vkey.as_slice() {
            [] => vec![footprint.vkey.parse().map_err(|_| say(Code::Vkey))?],
            given => given.to_vec(),
        };
        if vkeys.iter().any(|key| key.name() != footprint.origin) {
            return Err(say(Code::Checkpoint).into());
        }
        let policy = match (&self.policy, &footprint.policy) {
            (Some(path), _) => Some(verify::policy(path).map_err(Stop::Failure)?),
            (None, Some(text)) => Some(text.parse::<Policy>().map_err(|_| say(Code::Policy))?),
            (None, None) => None,
        };
        let log = PublicLog::open_for(&self.log, Some(&footprint.origin)).map_err(|_| say(Code::Unreachable))?;
        let bytes = log.fetch(checkpoint::PATH).map_err(|error| verdict::of(&error))?.ok_or_else(|| say(Code::Unreachable))?;
        let verifiers =
            vkeys.iter().map(VerifierKey::any_verifier).collect::<log::Result<Vec<_>>>().map_err(|_| say(Code::Vkey))?;
        let verifiers: Vec<&dyn log::Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn log::Verifier).collect();
        let (head, note) = checkpoint::open(&bytes, &footprint.origin, &verifiers).map_err(|error| verdict::of(&error))?;
        self.compare(&log, &head, &note)?;
        let is_met = policy.map_or(Ok(true), |policy| policy.is_met_by(&note)).map_err(|error| verdict::of(&error))?;
        if let Some(path) = &self.remember {
            fs::write(path, note.to_string()).map_err(|error| Stop::Failure(Failure::file(path, &error)))?;
        }
        Ok(OpenLog { log, head, lacks: (!is_met).then(|| say(Code::Quorum)) })
    }

    /// The log must extend what was seen last.
    fn compare(&self, log: &PublicLog, head: &Checkpoint, note: &Note) -> Result<(), Stop> {
        let Some(path) = &self.remember else { return Ok(()) };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Stop::Failure(Failure::file(path, &error))),
        };
        let unreadable = || {
            let what = format!("{} is no checkpoint.", path.display());
            Stop::Failure(Failure::impossible(what, "Give another file with --remember, and keep this one."))
        };
        let older_note = Note::parse(&text).map_err(|_| unreadable())?;
        let older: Checkpoint = older_note.text().parse().map_err(|_| unreadable())?;
        let code = if older.size() > head.size() {
            Code::Rewound
        } else {
            match Reader::new(log, head.clone()).consistency(&older) {
                Ok(_) => return Ok(()),
                Err(error) if is_outside(&error) => return Err(say(Code::Unreachable).into()),
                Err(log::Error::Proof { .. }) => Code::Forked,
                Err(error) => return Err(verdict::of(&error).into()),
            }
        };
        // The older one stays in its file; the newer one joins it beside.
        let beside = path.with_extension("other");
        fs::write(&beside, note.to_string()).map_err(|error| Stop::Failure(Failure::file(&beside, &error)))?;
        Err(say(code).with("evidence", format!("{} and {}", path.display(), beside.display())).into())
    }
}

/// A log whose checkpoint is signed and extends what is remembered.
struct OpenLog {
    log: PublicLog,
    head: Checkpoint,
    lacks: Option<Verdict>,
}

/// Why a log is not read.
enum Stop {
    Failure(Failure),
    Verdict(Verdict),
}

impl From<Verdict> for Stop {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl Outcome {
    /// The worst of all.
    fn state(&self) -> State {
        let lines = self.lines.iter().map(LineResult::state);
        let found = self.search.iter().flat_map(|search| &search.verdicts).map(Verdict::state);
        lines.chain(found).chain(self.overall.iter().map(Verdict::state)).max().unwrap_or(State::Verified)
    }
}

/// Leaves by index, as far as they were looked at: their hashes.
type Leaves = BTreeMap<u64, log::Hash>;
