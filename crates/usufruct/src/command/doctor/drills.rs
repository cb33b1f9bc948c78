//! Whether the nightly work was done: the backup, the restore drill and the canary scan.

use std::path::Path;

use usufruct_app::store::db::Db;
use usufruct_app::{House, replay};
use usufruct_core::Time;
use usufruct_core::audit::{Audit, Drill};
use usufruct_core::register::Entry;
use usufruct_core::time::DAY;

use super::Line;
use crate::backup::{self, drafts};
use crate::backup_mark::BackupKey;
use crate::failure::Failure;
use crate::nightly::{NO_DATABASE, Nightly};

const WHAT: &str = "drills";

/// The last night, as backups and the log tell it.
pub(super) fn line(dir: &Path, db: &Db, nightly: &Nightly, now: Time) -> Line {
    let register = match replay(db) {
        Ok(register) => register,
        Err(error) => return Line::fail(WHAT, error.to_string()),
    };
    let of = |drill: Drill| register.audits.values().filter(move |entry| entry.body.drill == drill);
    let newest = |drill: Drill| of(drill).max_by_key(|entry| entry.index);
    // In one night more than one backup is opened, and what was found in the first is as true after the last.
    let wrong = |drill: Drill| {
        let begin = nightly.due(newest(drill)?.since);
        of(drill).filter(|entry| entry.since >= begin && entry.body.wrong > 0).max_by_key(|entry| entry.index)
    };
    let drills = [("restore drill", newest(Drill::RestoreDrill)), ("canary scan", newest(Drill::CanaryScan))];
    let found = [("restore drill", wrong(Drill::RestoreDrill)), ("canary scan", wrong(Drill::CanaryScan))];
    if let Some((name, entry)) = found.into_iter().find_map(|(name, entry)| Some((name, entry?))) {
        return Line::fail(
            WHAT,
            format!(
                "The {name} of {} found something wrong. Read the messages of the server, and tell oversight.",
                entry.since.minute()
            ),
        );
    }
    let due = nightly.due(now.plus(-TIME_FOR_IT));
    let kept = match House::open(dir).map_err(Failure::from).and_then(|house| BackupKey::of(&house)) {
        Ok(key) => backup::list(&nightly.backups, &key),
        Err(failure) => return Line::fail(WHAT, failure.to_string()),
    };
    let is_backed_up = kept.last().is_some_and(|(_, made_at)| *made_at >= due);
    let is_done = |entry: Option<&Entry<Audit>>| entry.is_some_and(|entry| entry.since >= due);
    let missing: Vec<&str> = [("backup", is_backed_up)]
        .into_iter()
        .chain(drills.map(|(name, entry)| (name, is_done(entry))))
        .filter_map(|(name, is_done)| (!is_done).then_some(name))
        .collect();
    if missing.is_empty() {
        return Line::ok(WHAT, "The backup of the last night was made, and both drills found all as it must be.");
    }
    let words = format!("Of the night of {} there is no {}.", due.minute(), missing.join(", no "));
    let is_undrilled = nightly.drill_database.is_none() && kept.last().is_some_and(|(folder, _)| backup::is_dump(folder));
    match is_undrilled {
        true => Line::warn(WHAT, format!("{words} {NO_DATABASE}")),
        false => Line::warn(WHAT, format!("{words} The server tries each minute; start it, or read its messages.")),
    }
}

/// Whether an interrupted backup keeps ciphertext that nobody opens or counts.
pub(super) fn drafts(nightly: &Nightly) -> Line {
    const WHAT: &str = "backups";
    let left = drafts::all(&nightly.backups);
    let Some(first) = left.first() else { return Line::ok(WHAT, "No part of an interrupted one lies about.") };
    if drafts::is_being_made(&nightly.backups) {
        return Line::ok(WHAT, "One is being made now, and nothing is purged meanwhile.");
    }
    Line::warn(
        WHAT,
        format!(
            "{} parts of backups that were interrupted still hold ciphertext, so nothing is purged: {} is one. The next backup \
             removes what it made itself; remove the others.",
            left.len(),
            first.display()
        ),
    )
}

/// The work of a night may take so long.
const TIME_FOR_IT: i64 = DAY / 12;
