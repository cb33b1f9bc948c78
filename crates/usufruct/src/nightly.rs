//! What is done each night where the set-up asks for it: a backup, the end of old ones, and both drills.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use usufruct_app::store::db::Db;
use usufruct_app::{App, AuditReport};
use usufruct_core::Time;
use usufruct_core::time::DAY;

use crate::failure::Failure;
use crate::{backup, clock};

/// The table `[nightly]` of the set-up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nightly {
    /// Where backups are kept.
    pub backups: PathBuf,
    /// For how many days.
    #[serde(default = "thirty")]
    pub keep_days: i64,
    /// The hour it begins, UTC.
    #[serde(default)]
    pub hour: i64,
    /// A database of PostgreSQL that is set aside for drills: dumps are restored into it. Without it only backups of the embedded
    /// database are opened.
    #[serde(default)]
    pub drill_database: Option<String>,
    /// What is searched for the keys of the erased, beside the data directory and the backups.
    #[serde(default)]
    pub also: Vec<PathBuf>,
    /// How many synthetic residents are erased for that.
    #[serde(default = "three")]
    pub canaries: usize,
    /// How many residents are looked at in each backup that is opened.
    #[serde(default = "thousand")]
    pub sample: usize,
}

/// Starts the thread, which ends with the server.
pub fn start(app: Arc<App>, data_dir: &Path, nightly: Nightly, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let dir = data_dir.to_owned();
    let work = move || {
        let mut has_failed = false;
        while !*stopped.borrow() {
            let newest = backup::list(&nightly.backups).pop().map(|(_, made_at)| made_at);
            let is_due = newest.is_none_or(|newest| newest < nightly.due(clock::now()));
            if is_due || has_failed {
                let outcome = if is_due { nightly.back_up(&dir) } else { Ok(()) };
                has_failed = match outcome.and_then(|()| nightly.drill(&app, &dir)) {
                    Ok(()) => false,
                    Err(failure) => {
                        tracing::error!(%failure, "the nightly work was not done and will be tried again");
                        thread::sleep(AFTER_FAILURE);
                        true
                    }
                };
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
    fn due(&self, now: Time) -> Time {
        let begin = self.hour.clamp(0, 23) * (DAY / 24);
        Time::from_micros((now.micros() - begin).div_euclid(DAY) * DAY + begin)
    }

    fn back_up(&self, dir: &Path) -> Result<(), Failure> {
        let made = backup::make(dir, &self.backups)?;
        tracing::info!(backup = %made.display(), "made");
        let limit = clock::now().plus(-self.keep_days * DAY);
        for (old, _) in backup::list(&self.backups).into_iter().filter(|(_, made_at)| *made_at < limit) {
            std::fs::remove_dir_all(&old).map_err(|error| Failure::file(&old, &error))?;
        }
        Ok(())
    }

    fn drill(&self, app: &App, dir: &Path) -> Result<(), Failure> {
        let kept = backup::list(&self.backups);
        for (folder, _) in kept.first().into_iter().chain(kept.last().filter(|_| kept.len() > 1)) {
            let database = self.drill_database.as_deref().filter(|_| backup::is_dump(folder));
            if let Some(database) = database {
                backup::fill(folder, database)?;
            }
            match backup::to_drill(folder, database) {
                Ok((url, made_at)) => {
                    let copy = Db::open_backup(&url).map_err(Failure::of)?;
                    tell("restore drill", &app.restore_drill(&copy, made_at, self.sample)?);
                }
                Err(failure) => tracing::warn!(%failure, "no restore drill; name a drill_database in [nightly]"),
            }
        }
        let places: Vec<PathBuf> = [dir.to_owned(), self.backups.clone()].into_iter().chain(self.also.iter().cloned()).collect();
        tell("canary scan", &app.canary_scan(self.canaries, &places)?);
        Ok(())
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

const PAUSE: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_a_day_at_its_hour() {
        let nightly = Nightly {
            backups: PathBuf::new(),
            keep_days: 1,
            hour: 18,
            drill_database: None,
            also: Vec::new(),
            canaries: 1,
            sample: 1,
        };
        let time = |text: &str| text.parse::<Time>().unwrap();
        for (now, due) in [
            ("2026-11-21T18:00:00Z", "2026-11-21T18:00:00Z"),
            ("2026-11-21T17:59:59Z", "2026-11-20T18:00:00Z"),
            ("2026-11-22T03:00:00Z", "2026-11-21T18:00:00Z"),
        ] {
            assert_eq!(nightly.due(time(now)), time(due), "{now}");
        }
    }
}
