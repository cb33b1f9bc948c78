//! "This was not me": everything stops at once, until the resident lifts it with a passkey.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_store::db::Tx;
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::{counter_requests, grants};

use crate::end_delegation::End;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::recover::{recovery_hash, use_up};
use crate::session::end_all;
use crate::{Actor, App, Error, OpenSession};

/// Reason of the status line in a footprint when a freeze ends.
const LIFTED: &str = "lifted";

impl App {
    /// Freezes a pass: every session ends, and everything that services hold for the resident, who are told;
    /// nothing is released, and help given or taken up ends.
    pub fn freeze(&self, actor: impl Into<Actor>) -> Result<(), Error> {
        let (actor, now, vault) = (actor.into(), self.now(), Arc::clone(&self.vault));
        self.freeze_in(actor.resident, move |tx| actor.permit(tx, &vault, now).map(drop))
    }

    /// As [`App::freeze`], by a recovery code, which is used up.
    pub fn freeze_by_code(&self, code: &str) -> Result<(), Error> {
        let (used, now) = (recovery_hash(code), self.now());
        let (resident, vault) = (self.holder_of_code(&used)?, Arc::clone(&self.vault));
        self.freeze_in(resident, move |tx| use_up(tx, &vault, &used, resident, now))
    }

    fn freeze_in(&self, resident: u64, before: impl Fn(&mut Tx<'_>) -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
        let (keyring, rng, now) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.now());
        let (outbox, ending) = (self.outbox().at_once(), self.ending().at_once());
        self.db.transaction("freeze", move |tx| {
            before(tx)?;
            if residents::state(tx, resident)? == Some(ResidentState::Erased) {
                return Err(Error::Unknown { what: "resident" });
            }
            ending.end_of(tx, resident, End::Freeze)?;
            residents::set_state(tx, resident, ResidentState::Frozen)?;
            grants::revise_resident(tx, resident)?;
            outbox.account_frozen(tx, resident)?;
            end_all(tx, resident)?;
            // Two clerks may have been deceived before she noticed; whoever it was would lift the freeze with what they hand out.
            counter_requests::purge_resident(tx, resident)?;
            place(tx, &keyring, plain_event(Kind::Status, ResidentState::Frozen.code(), None, now), rng.as_ref()).map(drop)
        })
    }

    /// Ends a freeze, for the resident of a fresh session with a passkey.
    pub fn lift_freeze(&self, session: &OpenSession) -> Result<(), Error> {
        let now = self.now();
        let (actor, resident, vault) = (session.proven(now)?, session.resident, Arc::clone(&self.vault));
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        self.db.transaction("lift freeze", move |tx| {
            actor.permit(tx, &vault, now)?;
            if residents::state(tx, resident)? != Some(ResidentState::Frozen) {
                return Err(Error::refused("The pass is not frozen.", "There is nothing to lift."));
            }
            residents::set_state(tx, resident, ResidentState::Active)?;
            outbox.account_unfrozen(tx, resident)?;
            place(tx, &keyring, plain_event(Kind::Status, LIFTED, None, now), rng.as_ref()).map(drop)
        })
    }
}
