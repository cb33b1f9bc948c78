//! For how long backups are kept.

use std::fs;
use std::path::{Path, PathBuf};

use usufruct_core::Time;
use usufruct_core::time::DAY;

use super::list;
use crate::backup_mark::BackupKey;
use crate::failure::Failure;

/// A number of days, one or more, for which backups are kept.
#[derive(Clone, Copy, Debug)]
pub struct Term(i64);

impl Term {
    /// Refuses a number of days that would end every backup, or that no calendar reaches.
    pub fn of_days(days: i64) -> Result<Self, Failure> {
        if (1..=MOST_DAYS).contains(&days) {
            return Ok(Self(days));
        }
        Err(Failure::refused(
            format!("Backups cannot be kept for {days} days."),
            format!("Keep them for 1 to {MOST_DAYS} days; nothing was removed."),
        ))
    }

    /// Removes the backups of a folder that are older than that at `now`, and never the one that was just `made`. Answers which.
    pub fn end_older(self, folder: &Path, made: &Path, key: &BackupKey, now: Time) -> Result<Vec<PathBuf>, Failure> {
        let limit = now.plus(-self.0 * DAY);
        let older = list(folder, key).into_iter().filter(|(path, made_at)| *made_at < limit && path != made);
        older
            .map(|(path, _)| {
                fs::remove_dir_all(&path).map_err(|error| Failure::file(&path, &error))?;
                Ok(path)
            })
            .collect()
    }
}

/// A hundred years.
pub const MOST_DAYS: i64 = 36_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_term_ends_a_backup_that_was_just_made() {
        for days in [0, -5, i64::MIN, i64::MAX, 999_999_999_999, MOST_DAYS + 1] {
            let refused = Term::of_days(days).unwrap_err().to_string();
            assert!(refused.contains("nothing was removed"), "{refused}");
        }
        assert!(Term::of_days(1).is_ok() && Term::of_days(MOST_DAYS).is_ok());
    }
}
