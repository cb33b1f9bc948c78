//! What is done each night where the set-up asks for it: a backup, the end of old ones, and both drills.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use usufruct_app::store::db::Db;
use usufruct_app::{App, AuditReport, Canaries, Error};
use usufruct_core::Time;
use usufruct_core::audit::{Audit, Drill};
use usufruct_core::register::Entry;
use usufruct_core::time::DAY;

use crate::backup::Found;
use crate::backup::term::{MOST_DAYS, Term};
use crate::backup_mark::BackupKey;
use crate::failure::Failure;
use crate::{backup, clock};

/// The table `[nightly]` of the set-up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nightly {
    /// Where backups are kept.
    pub backups: PathBuf,
    /// For how many days, one or more.
    #[serde(default = "thirty")]
    pub keep_days: i64,
    /// The hour it begins, UTC, from 0 to 23.
    #[serde(default)]
    pub hour: i64,
    /// A database of PostgreSQL that is set aside for drills: dumps are restored into it. It is empty at first, and never that of the
    /// pass. Without it only backups of the embedded database are opened.
    #[serde(default)]
    pub drill_database: Option<String>,
    /// What is searched for the keys of the erased, beside the data directory and the backups.
    #[serde(default)]
    pub also: Vec<PathBuf>,
    /// How many synthetic residents are erased for that.
    #[serde(default = "three")]
    pub canaries: usize,
    /// How many residents are looked at in each backup that is opened, besides those who were erased since.
    #[serde(default = "thousand")]
    pub sample: usize,
}

/// What of the work of a night is done. What failed is tried again, and nothing else is done twice.
#[derive(Default)]
struct Night {
    /// When it should have begun.
    due: Time,
    /// Synthetic residents who are still to be erased and searched for.
    canaries: Option<Canaries>,
    backup: Option<PathBuf>,
    /// Whether the canaries were there when the backup was made.
    backup_holds_canaries: bool,
    /// Backups that were opened, or of which was said why they cannot be.
    drilled: BTreeSet<PathBuf>,
    is_scanned: bool,
}

/// What was said already, so that every state is told once and not each minute or each night.
#[derive(Default)]
struct Told {
    failure: Option<String>,
    undrilled: BTreeSet<String>,
}

/// The backups that are kept.
struct Kept {
    /// Oldest first.
    whole: Vec<(PathBuf, Time)>,
    unreadable: Vec<PathBuf>,
}

/// Starts the thread, which ends with the server.
pub fn start(app: Arc<App>, data_dir: &Path, nightly: Nightly, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let key = BackupKey::of(app.house())?;
    let dir = data_dir.to_owned();
    let work = move || {
        let (mut night, mut done, mut told) = (None, None, Told::default());
        while !*stopped.borrow() {
            let kept = Kept::of(&nightly.backups, &key);
            let audits = || app.register().audits.values().cloned().collect();
            night = kept.night(night, nightly.due(clock::now()), done, audits, nightly.canaries);
            if let Some(unfinished) = &mut night {
                let outcome = nightly.work(&app, (&dir, &key), unfinished, &mut told);
                told.outcome(&outcome);
                match outcome {
                    Ok(()) => (done, night) = (Some(unfinished.due), None),
                    Err(_) => thread::sleep(AFTER_FAILURE),
                }
            }
            thread::sleep(PAUSE);
        }
    };
    let outcome = thread::Builder::new().name("nightly".to_owned()).spawn(work);
    outcome
        .map(drop)
        .map_err(|error| Failure::impossible(format!("No thread can be started: {error}."), "Check the limits of the system."))
}

impl Nightly {
    /// The last time before `now` at which it should have begun.
    pub fn due(&self, now: Time) -> Time {
        let begin = self.hour * (DAY / 24);
        Time::from_micros((now.micros() - begin).div_euclid(DAY) * DAY + begin)
    }

    /// Refuses a table that would keep no backup, begin at no hour or look at nobody.
    pub fn check(&self) -> Result<(), Failure> {
        if Term::of_days(self.keep_days).is_err() {
            return Err(Failure::refused(
                format!("[nightly] sets keep_days to {0}, and backups cannot be kept for {0} days.", self.keep_days),
                format!("Set it to 1 to {MOST_DAYS}, or leave it out."),
            ));
        }
        if !(0..24).contains(&self.hour) {
            return Err(Failure::refused(
                format!("[nightly] sets hour to {}, and no day has that hour.", self.hour),
                "Set it to 0 to 23, in UTC, or leave it out.",
            ));
        }
        for (name, count) in [("canaries", self.canaries), ("sample", self.sample)] {
            if count == 0 {
                return Err(Failure::refused(
                    format!("[nightly] sets {name} to 0, and a drill that looks at nobody shows nothing."),
                    "Set it to 1 or more, or leave it out.",
                ));
            }
        }
        Ok(())
    }

    /// Canaries come before the backup, so that it holds what is about to be erased; then they are erased, and everything is searched.
    /// What fails holds up nothing that does not rest on it.
    fn work(&self, app: &App, (dir, key): (&Path, &BackupKey), night: &mut Night, told: &mut Told) -> Result<(), Failure> {
        let enrolled = self.enrol(app, night);
        if night.backup.is_none() {
            night.backup = Some(self.back_up(dir, key)?);
            night.backup_holds_canaries = night.canaries.is_some();
        }
        let drilled = self.restore_drills(app, key, night, told);
        let scanned = enrolled.and_then(|()| self.scan(app, (dir, key), night));
        drilled.and(scanned)
    }

    fn enrol(&self, app: &App, night: &mut Night) -> Result<(), Failure> {
        if !night.is_scanned && night.canaries.is_none() {
            night.canaries = Some(app.enrol_canaries(self.canaries)?);
        }
        Ok(())
    }

    fn back_up(&self, dir: &Path, key: &BackupKey) -> Result<PathBuf, Failure> {
        let made = backup::make(dir, &self.backups)?;
        tracing::info!(backup = %made.display(), "made");
        Term::of_days(self.keep_days)?.end_older(&self.backups, &made, key, clock::now())?;
        Ok(made)
    }

    /// Opens the oldest backup and the newest, and says of each that nobody can read that it does not open.
    fn restore_drills(&self, app: &App, key: &BackupKey, night: &mut Night, told: &mut Told) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for folder in Kept::of(&self.backups, key).to_drill() {
            if night.drilled.contains(&folder) {
                continue;
            }
            match self.restore_drill(app, key, &folder, told) {
                Ok(()) => drop(night.drilled.insert(folder)),
                Err(failure) => outcome = outcome.and(Err(failure)),
            }
        }
        outcome
    }

    fn restore_drill(&self, app: &App, key: &BackupKey, folder: &Path, told: &mut Told) -> Result<(), Failure> {
        let is_dump = backup::is_dump(folder);
        let unopened = |failure: &dyn std::fmt::Display, made_at| {
            tracing::error!(backup = %folder.display(), %failure, "it does not open");
            tell("restore drill", &app.publish_unopened(made_at)?);
            Ok(())
        };
        let made_at = match backup::of_pass(folder, &app.config().origin, key) {
            Ok(Found::Whole(made_at)) => made_at,
            Ok(Found::Damaged(failure, made_at)) => return unopened(&failure, made_at),
            Err(failure) => return unopened(&failure, None),
        };
        if is_dump && self.drill_database.is_none() {
            told.undrilled(NO_DATABASE);
            return Ok(());
        }
        // What fails in a database of PostgreSQL may be its server, and is tried again; a file is the backup itself.
        let url = match self.to_drill(app, folder) {
            Err(failure) if !is_dump => return unopened(&failure, Some(made_at)),
            url => url?,
        };
        match app.drill_backup(&url, made_at, self.sample) {
            Ok(report) => tell("restore drill", &report),
            Err(error @ Error::Refused { .. }) => return unopened(&error, Some(made_at)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn scan(&self, app: &App, (dir, key): (&Path, &BackupKey), night: &mut Night) -> Result<(), Failure> {
        let Some(canaries) = &mut night.canaries else { return Ok(()) };
        let holding = night.backup.as_ref().filter(|_| night.backup_holds_canaries);
        let copy = match holding.filter(|folder| self.drill_database.is_some() || !backup::is_dump(folder)) {
            None => None,
            Some(folder) => {
                backup::check(folder, key)?;
                Some(Db::open_backup(&self.to_drill(app, folder)?).map_err(Failure::of)?)
            }
        };
        let places: Vec<PathBuf> = [dir.to_owned(), self.backups.clone()].into_iter().chain(self.also.iter().cloned()).collect();
        tell("canary scan", &app.scan_canaries(canaries, copy.as_ref(), &places)?);
        (night.canaries, night.is_scanned) = (None, true);
        Ok(())
    }

    /// The database of a backup; a dump is restored into the one that is set aside.
    fn to_drill(&self, app: &App, folder: &Path) -> Result<String, Failure> {
        let database = self.drill_database.as_deref().filter(|_| backup::is_dump(folder));
        let own = app.db().identity().map_err(Failure::of)?;
        backup::to_drill(folder, database, own.as_ref())
    }
}

impl Kept {
    fn of(folder: &Path, key: &BackupKey) -> Self {
        Self { whole: backup::list(folder, key), unreadable: backup::unreadable(folder, key) }
    }

    /// The oldest, the newest, and each that nobody can read.
    fn to_drill(&self) -> Vec<PathBuf> {
        let ends = self.whole.first().into_iter().chain(self.whole.last().filter(|_| self.whole.len() > 1));
        ends.map(|(folder, _)| folder).chain(&self.unreadable).cloned().collect()
    }

    /// The night whose work goes on at `due`, when the last one should have begun, if that of `done` is the last that came to its end.
    /// Canaries that could not be erased in the last one are those of the next.
    fn night(
        &self,
        last: Option<Night>,
        due: Time,
        done: Option<Time>,
        audits: impl FnOnce() -> Vec<Entry<Audit>>,
        canaries: usize,
    ) -> Option<Night> {
        // One that a wrong clock dated ahead is no work of this night.
        let tonight = |(_, made_at): &&(PathBuf, Time)| (due..due.plus(DAY)).contains(made_at);
        let Some((newest, _)) = self.whole.iter().rev().find(tonight) else {
            return Some(match last {
                // While there is no backup it stays due.
                Some(last) if last.backup.is_none() => Night { due, ..last },
                last => Night { due, canaries: last.and_then(|last| last.canaries), ..Night::default() },
            });
        };
        match last {
            Some(last) if last.due == due => Some(last),
            None if done == Some(due) => None,
            // A server that was killed, or a backup by hand, has done a part of it; the rest is told by the log.
            last => {
                let canary = last.and_then(|last| last.canaries);
                Some(Night { canaries: canary, ..self.rest(newest, due, &audits(), canaries) })
            }
        }
    }

    /// What the log says of the night that was due then, of which there is a backup.
    fn rest(&self, newest: &Path, due: Time, audits: &[Entry<Audit>], canaries: usize) -> Night {
        let of = |drill: Drill| audits.iter().filter(move |entry| entry.since >= due && entry.body.drill == drill);
        let times: BTreeSet<Time> = of(Drill::RestoreDrill).filter_map(|entry| entry.body.backup_made_at).collect();
        let timeless = of(Drill::RestoreDrill).filter(|entry| entry.body.backup_made_at.is_none()).count();
        let whole = self.whole.iter().filter(|(_, made_at)| times.contains(made_at)).map(|(folder, _)| folder);
        Night {
            due,
            canaries: None,
            backup: Some(newest.to_owned()),
            backup_holds_canaries: false,
            // Of those that nobody can read a result does not say which it was.
            drilled: whole.chain(self.unreadable.iter().take(timeless)).cloned().collect(),
            // Whoever looks at fewer by hand has not done the work of the night.
            is_scanned: of(Drill::CanaryScan)
                .any(|entry| usize::try_from(entry.body.sampled).is_ok_and(|count| count >= canaries)),
        }
    }
}

impl Told {
    fn outcome(&mut self, outcome: &Result<(), Failure>) {
        let now = outcome.as_ref().err().map(ToString::to_string);
        match (&self.failure, &now) {
            (last, Some(failure)) if last.as_ref() != Some(failure) => {
                tracing::error!(%failure, "the nightly work was not done; it is tried again each minute, and `usufruct doctor` says what is missing");
            }
            (Some(_), None) => tracing::info!("the nightly work that had failed is done"),
            _ => {}
        }
        self.failure = now;
    }

    fn undrilled(&mut self, why: &str) {
        if self.undrilled.insert(why.to_owned()) {
            tracing::warn!(why, "no restore drill");
        }
    }
}

fn tell(drill: &str, report: &AuditReport) {
    match (report.wrong, report.sampled) {
        (0, 0) => tracing::info!(drill, "there is nothing to look at yet"),
        (0, _) => tracing::info!(drill, "all as it must be"),
        (wrong, _) => tracing::error!(drill, wrong, "something is wrong; the result is in the log"),
    }
}

fn thirty() -> i64 {
    30
}

fn three() -> usize {
    3
}

fn thousand() -> usize {
    1_000
}

/// Why a dump is not opened.
pub const NO_DATABASE: &str =
    "Dumps of PostgreSQL are not opened at night. Name a drill_database in [nightly] that nothing else uses.";
const PAUSE: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use usufruct_core::Digest;
    use usufruct_core::lifecycle::State;

    use super::*;

    fn nightly() -> Nightly {
        Nightly {
            backups: PathBuf::new(),
            keep_days: 1,
            hour: 18,
            drill_database: None,
            also: Vec::new(),
            canaries: 1,
            sample: 1,
        }
    }

    #[test]
    fn it_is_due_once_a_day_at_its_hour() {
        for (now, due) in [
            ("2026-11-21T18:00:00Z", "2026-11-21T18:00:00Z"),
            ("2026-11-21T17:59:59Z", "2026-11-20T18:00:00Z"),
            ("2026-11-22T03:00:00Z", "2026-11-21T18:00:00Z"),
        ] {
            assert_eq!(nightly().due(time(now)), time(due), "{now}");
        }
    }

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn kept(times: &[&str]) -> Kept {
        let whole = times.iter().map(|text| (PathBuf::from(text), time(text))).collect();
        Kept { whole, unreadable: Vec::new() }
    }

    fn audit(drill: Drill, since: &str, backup: Option<&str>, sampled: i64) -> Entry<Audit> {
        let body = Audit {
            drill,
            backup_made_at: backup.map(time),
            sampled,
            opened: 0,
            closed: 0,
            wrong: 0,
            searched_bytes: 0,
            recount: None,
        };
        let (state, since, hash) = (State::Published, time(since), Digest([0; 32]));
        Entry { id: String::new(), rev: 1, hash, number: 0, index: 0, state, since, body, history: Vec::new() }
    }

    const LAST: &str = "2026-11-20T18:00:05Z";
    const DUE: &str = "2026-11-21T18:00:00Z";
    const MADE: &str = "2026-11-21T18:00:05Z";
    const NEXT: &str = "2026-11-22T18:00:00Z";

    #[test]
    fn what_is_done_of_a_night_is_not_begun_again_before_the_next() {
        let nothing = Vec::new;
        let begun = kept(&[LAST]).night(None, time(DUE), None, nothing, 1).unwrap();
        assert!(begun.backup.is_none() && begun.drilled.is_empty() && begun.due == time(DUE));
        // Its backup fails, so that it stays due; what was drilled stays drilled.
        let stuck = Night { drilled: BTreeSet::from(["old".into()]), ..begun };
        let stuck = kept(&[LAST]).night(Some(stuck), time(DUE), None, nothing, 1).unwrap();
        assert_eq!(stuck.drilled.len(), 1);
        // The backup is made and the scan fails: it goes on.
        let scanless = Night { backup: Some(MADE.into()), ..stuck };
        let scanless = kept(&[LAST, MADE]).night(Some(scanless), time(DUE), None, nothing, 1).unwrap();
        assert_eq!((scanless.backup.clone(), scanless.drilled.len()), (Some(MADE.into()), 1));
        // The next night has everything before it.
        let next = kept(&[LAST, MADE]).night(Some(scanless), time(NEXT), None, nothing, 1).unwrap();
        assert!(next.backup.is_none() && next.drilled.is_empty() && !next.backup_holds_canaries);
        // What came to its end does not begin again.
        assert!(kept(&[LAST, MADE]).night(None, time(DUE), Some(time(DUE)), nothing, 1).is_none());
    }

    #[test]
    fn a_backup_alone_is_not_the_night() {
        let (kept, due) = (kept(&[LAST, MADE]), time(DUE));
        let rest = |audits: Vec<Entry<Audit>>| kept.night(None, due, None, || audits, 3).unwrap();
        // The server was killed after the backup, or somebody made one by hand.
        let all = rest(vec![audit(Drill::RestoreDrill, LAST, Some(LAST), 1), audit(Drill::CanaryScan, LAST, None, 3)]);
        assert!(all.backup == Some(MADE.into()) && all.drilled.is_empty() && !all.is_scanned);
        // One backup was opened, and the other not yet.
        let half = rest(vec![audit(Drill::RestoreDrill, MADE, Some(LAST), 1)]);
        assert_eq!(half.drilled, BTreeSet::from([LAST.into()]));
        // A smaller scan by hand is not that of the night.
        assert!(!rest(vec![audit(Drill::CanaryScan, MADE, None, 1)]).is_scanned);
        let done = rest(vec![
            audit(Drill::RestoreDrill, MADE, Some(LAST), 1),
            audit(Drill::RestoreDrill, MADE, Some(MADE), 1),
            audit(Drill::CanaryScan, MADE, None, 3),
        ]);
        assert!(done.is_scanned && kept.to_drill().iter().all(|folder| done.drilled.contains(folder)));
        // One that a wrong clock dated ahead is not that of this night.
        let ahead = self::kept(&[LAST, "2027-06-01T18:00:00Z"]);
        assert!(ahead.night(None, due, None, Vec::new, 3).unwrap().backup.is_none());
        // A backup by hand ends no night either while the last one is not done.
        let stuck = Night { due: time(LAST), backup: Some(LAST.into()), ..Night::default() };
        let next = kept.night(Some(stuck), due, None, Vec::new, 3).unwrap();
        assert!(next.due == due && next.drilled.is_empty());
    }

    #[test]
    fn a_night_that_begins_never_or_keeps_nothing_or_looks_at_nobody_is_refused() {
        assert!(nightly().check().is_ok());
        for (table, words) in [
            (Nightly { canaries: 0, ..nightly() }, "looks at nobody"),
            (Nightly { sample: 0, ..nightly() }, "looks at nobody"),
            (Nightly { hour: 24, ..nightly() }, "no day has that hour"),
            (Nightly { hour: -3, ..nightly() }, "no day has that hour"),
            (Nightly { keep_days: 0, ..nightly() }, "cannot be kept for 0 days"),
            (Nightly { keep_days: -5, ..nightly() }, "cannot be kept for -5 days"),
        ] {
            let refused = table.check().unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
