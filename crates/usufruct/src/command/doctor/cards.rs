//! What the doctor says about certificate cards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use usufruct_core::Time;
use usufruct_core::time::DAY;

use super::Line;
use crate::certificate_cards::CertificateCards;

/// Whether cards can be shown now and in the days to come.
pub fn line(dir: &Path, table: &CertificateCards, now: Time) -> Line {
    if let Err(failure) = table.place() {
        return Line::fail(WHAT, failure.to_string());
    }
    let door = match table.door(dir) {
        Ok(door) => door,
        Err(failure) => return Line::fail(WHAT, failure.to_string()),
    };
    let key = dir.join(&table.key);
    if fs::metadata(&key).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        return Line::fail(WHAT, format!("Others can read {}. Run `chmod go= {}`.", key.display(), key.display()));
    }
    let issuers = door.issuers();
    let names: Vec<&str> = issuers.names().collect();
    let words = |end: Time, what: &str| format!("{what} {}.", end.minute());
    match (issuers.lists_end_at(), issuers.issuers_end_at()) {
        (_, Some(end)) if end <= now => {
            Line::fail(WHAT, words(end, "Name the new certificate of an issuer: the one here ended at"))
        }
        (Some(end), _) if end <= now => Line::fail(
            WHAT,
            words(end, "No card of its issuer is taken until the list of revoked cards is fetched again: it was good until"),
        ),
        (Some(end), _) if end <= now.plus(DAY) => {
            Line::warn(WHAT, words(end, "Fetch the lists of revoked cards again: the first is good until"))
        }
        (_, Some(end)) if end <= now.plus(30 * DAY) => {
            Line::warn(WHAT, words(end, "Ask for the new certificate of an issuer: the one here ends at"))
        }
        _ => Line::ok(WHAT, format!("Cards of {} are taken, and the lists of revoked ones are current.", names.join("; "))),
    }
}

const WHAT: &str = "cards";
