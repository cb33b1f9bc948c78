//! Whether what is to be erased is erased, whether it is proved, and whether its ciphertext is gone in time.

use std::path::Path;

use usufruct_app::store::db::Db;
use usufruct_app::store::erasures;
use usufruct_app::store::tables::SEALED;
use usufruct_app::{House, replay};
use usufruct_core::Time;
use usufruct_core::time::{DAY, MINUTE};

use super::Line;
use crate::data_dir;

/// Whether keys wait for their destruction, or notes of it were spoiled.
pub(super) fn waiting(db: &Db, now: Time) -> Line {
    match db.read(erasures::nameless) {
        Ok(0) => {}
        Ok(count) => {
            return Line::fail(
                "erasures",
                format!(
                    "{count} erasures have a name that is none, so nobody finishes them: somebody wrote to the database, or it is damaged. \
                     See which residents are erased and still have a keyring, and tell oversight."
                ),
            );
        }
        Err(error) => return Line::fail("erasures", error.to_string()),
    }
    // Every row under a mandate is sealed again before its old key goes.
    let time_for_it = |cause: &str| if cause == "rotation" { DAY } else { MINUTE };
    match db.read(|conn| erasures::waiting(conn, 1_000)) {
        Ok(pending) if pending.is_empty() => Line::ok("erasures", "No key waits for its destruction."),
        Ok(pending) => match pending.iter().find(|one| now.micros() - one.requested_at.micros() >= time_for_it(&one.cause)) {
            None => Line::ok("erasures", format!("{} keys are being destroyed now.", pending.len())),
            Some(oldest) => Line::fail(
                "erasures",
                format!(
                    "{} keys wait for their destruction since {}. Start the server and read its messages.",
                    pending.len(),
                    oldest.requested_at.minute()
                ),
            ),
        },
        Err(error) => Line::fail("erasures", error.to_string()),
    }
}

/// Whether every erasure that is done has its certificate.
pub(super) fn proofs(db: &Db) -> Line {
    const WHAT: &str = "certificates";
    match replay(db) {
        Ok(register) if register.uncertified.is_empty() => {
            Line::ok(WHAT, "No erasure is without the certificate that it should have.")
        }
        Ok(register) => Line::fail(
            WHAT,
            format!(
                "{} erasures cannot be certified, because their notes in the database were not as they had been written; the register says so. \
                 Find out who wrote to the database, and tell oversight.",
                register.uncertified.len()
            ),
        ),
        Err(error) => Line::fail(WHAT, error.to_string()),
    }
}

/// Whether ciphertext is purged when its date has come, and could be.
pub(super) fn purges(dir: &Path, db: &Db, now: Time) -> Line {
    const WHAT: &str = "purges";
    let late = match db.read(|conn| erasures::due_for_purge(conn, now.plus(-PURGE_DELAY), None, 1_000)) {
        Ok(late) => late,
        Err(error) => return Line::fail(WHAT, error.to_string()),
    };
    let able = db.may_purge(SEALED);
    // Nothing is purged while no server runs; one that runs does it at its start.
    let is_served = matches!(data_dir::memory(dir), Ok(Some(_)));
    let aside = House::open(dir).ok().and_then(|house| house.set_aside().ok()).unwrap_or_default();
    if let Some(first) = aside.first() {
        let message = format!(
            "{} was put aside by a restoration and still has its rows, so nothing is purged. Remove it.",
            first.display()
        );
        return if late.is_empty() { Line::warn(WHAT, message) } else { Line::fail(WHAT, message) };
    }
    match (late.len(), able) {
        (0, Ok(())) => Line::ok(WHAT, "No ciphertext is there longer than its certificate says."),
        (0, Err(error)) => Line::warn(WHAT, format!("No certificate will get the date of its purge. {error}")),
        (count, Ok(())) if !is_served => Line::warn(
            WHAT,
            format!("The ciphertext of {count} erasures is there longer than was said. Start the server, which purges it."),
        ),
        (count, Ok(())) => Line::fail(
            WHAT,
            format!(
                "The ciphertext of {count} erasures is there longer than was said. Read the messages of the server; remove backups \
                 that are older, and see how far back the write-ahead log of PostgreSQL goes."
            ),
        ),
        (count, Err(error)) => {
            Line::fail(WHAT, format!("The ciphertext of {count} erasures is there longer than was said. {error}"))
        }
    }
}

/// How late a purge may be: the server looks several times a day, and a backup of the last night may have to go first.
const PURGE_DELAY: i64 = 2 * DAY;
