//! Whether the escrow does what the terms of the vault and the certificates say of it.

use std::fs::{File, TryLockError};
use std::path::Path;

use usufruct_app::store::db::Db;
use usufruct_app::vault::escrow::{EscrowFile, sealed_roots};
use usufruct_app::vault::roots::FileRoots;
use usufruct_app::{EscrowSetup, replay};
use usufruct_core::Time;

use super::Line;
use crate::data_dir::{self, Setup};

/// The escrow itself: for whom, until when, and of which root.
pub(super) fn line(dir: &Path, setup: &EscrowSetup, now: Time) -> Line {
    let path = EscrowFile::path(&setup.folder);
    if matches!(data_dir::memory(dir), Ok(Some(_))) && !is_held(&path) {
        return Line::fail(
            "escrow",
            format!(
                "The running server opened another file than {}: the folder was moved, or put in the place of another. Nothing is erased \
                 while its own is missing. Put that back, or stop the server and start it, which seals the root anew.",
                path.display()
            ),
        );
    }
    let roots = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}.", path.display()));
    let sealed = match roots.and_then(|bytes| sealed_roots(&bytes).map_err(|error| error.to_string())) {
        Ok(mut roots) => roots.swap_remove(0),
        Err(words) => return Line::fail("escrow", format!("{words} Start the server, which seals the root anew.")),
    };
    if sealed.vault != setup.vault {
        let words = format!("It is the escrow of {}. Give this pass a folder of its own.", sealed.vault);
        return Line::fail("escrow", words);
    }
    // A root in a token or with keepers tells its epoch to the server only.
    let newest = FileRoots::epochs(&dir.join("vault")).ok().and_then(|epochs| epochs.first().copied());
    if newest.is_some_and(|newest| sealed.epoch < newest) {
        return Line::fail(
            "escrow",
            format!(
                "It holds the root of epoch {}, and epoch {} is reached. Start the server, which seals the root anew.",
                sealed.epoch.0,
                newest.unwrap_or(sealed.epoch).0
            ),
        );
    }
    let appointed = setup.appointed().ok().flatten().and_then(|officers| Some(officers.first()?.period));
    if appointed != Some(sealed.period) {
        return Line::warn(
            "escrow",
            "It is not sealed to the officers who are appointed. Restart the server, which seals it to them.",
        );
    }
    let end = setup.end_of(sealed.period);
    let words = format!(
        "The root of epoch {} for {} officers of whom {} are needed, with keys of period {} until {}.",
        sealed.epoch.0,
        sealed.keys().count(),
        sealed.threshold,
        sealed.period,
        end.day()
    );
    match end > now {
        true => Line::ok("escrow", words),
        false => Line::warn(
            "escrow",
            format!(
                "{words} That is over: certificates promise no date until the officers have turned their keys and are appointed."
            ),
        ),
    }
}

/// Whether a process has the file open to write.
fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether the terms of the vault name the escrow that is set up, and whether one is set up where they name one.
pub(super) fn terms(db: &Db, setup: &Setup) -> Option<Line> {
    let register = replay(db).ok()?;
    let terms = register.vault.as_ref().map(|entry| &entry.body);
    let is_named = terms.is_some_and(|terms| terms.escrow.is_some());
    let Some(escrow) = setup.vault().escrow else {
        return is_named.then(|| {
            Line::warn(
                "escrow",
                "The terms of the vault name one, and none is set up. Set up [vault.escrow], or publish terms without it.",
            )
        });
    };
    let appointed = match escrow.appointment() {
        Ok(Some(appointed)) => appointed,
        Ok(None) => {
            return Some(Line::fail(
                "escrow",
                "No officers are appointed, so no server starts. Appoint them with `usufruct escrow appoint`.",
            ));
        }
        Err(error) => return Some(Line::fail("escrow", error.to_string())),
    };
    escrow.refuse_other_terms(appointed, terms).err().map(|error| Line::fail("escrow", error.to_string()))
}
