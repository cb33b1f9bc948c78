//! Failed use: the log has the use, and nothing was handed out for it.

use std::sync::Arc;

use usufruct_core::delay::Week;
use usufruct_core::event::Kind;
use usufruct_core::logged::Logged;
use usufruct_store::db::Pending;

use crate::actor::keyring_in;
use crate::batch::CHUNK;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::{App, Error};

/// Reason of the line that says so.
pub(crate) const USE_FAILED: &str = "use-failed";

impl App {
    /// Says in a resident's footprint that a use in the log failed with `error`, and hands the error on: whoever asked gets that and nothing else.
    ///
    /// It is one write more, and only where something failed. Where it cannot be written, because her keys are gone or the database is, the line
    /// of the use stands alone and says more than happened. So it does under a covert mandate, whose lines are counted in public, and where the
    /// process ends between the log and the answer.
    pub(crate) fn failed(&self, resident: u64, logged: &Logged, error: Error) -> Error {
        self.failed_all(&[(resident, logged)]);
        error
    }

    /// The same for many uses, each with its resident: some hundred lines share a write.
    pub(crate) fn failed_all(&self, uses: &[(u64, &Logged)]) {
        for uses in uses.chunks(CHUNK) {
            let written: Vec<_> = uses.iter().map(|(resident, logged)| (logged, self.submit_failed(*resident, logged))).collect();
            for (logged, noted) in written {
                if let Some(Err(why)) = noted.map(Pending::wait) {
                    tracing::warn!(index = logged.index(), %why, "a use failed, and the footprint cannot say so");
                }
            }
        }
    }

    /// Hands the line to the writer; nothing under a covert mandate.
    fn submit_failed(&self, resident: u64, logged: &Logged) -> Option<Pending<(), Error>> {
        let used = logged.event();
        if Week::of_number(used.n).is_some() {
            return None;
        }
        let mut event = plain_event(Kind::Status, USE_FAILED, Some(used.n.to_string()), self.now());
        (event.mandate, event.service) = (used.mandate, used.service.clone());
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        Some(self.db.submit("note failed use", move |tx| {
            let keyring = keyring_in(tx, &vault, resident)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        }))
    }
}
