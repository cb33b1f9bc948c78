//! Reaffirm: a resident who was asked again says yes again. What she lends, its key, its uses and its last day stay as they are.

use std::sync::Arc;

use usufruct_core::event::Event;
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_store::grants;

use crate::actor::place_by;
use crate::pause::event;
use crate::release::first_number;
use crate::{Actor, App, Error};

impl App {
    /// Notes that the resident, or a delegate for her, said yes again to what she lends under a mandate. The last day moves only with a new
    /// consent, for no mandate says more.
    pub fn reaffirm(&self, actor: impl Into<Actor>, service: &ServiceId, mandate: &MandateId) -> Result<(), Error> {
        let actor = actor.into();
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let (register, now) = (self.register(), self.now());
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let found = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
        let found = found.filter(|found| found.grant.state == GrantState::Given && now < found.grant.valid_until);
        let found = found.ok_or_else(|| Error::refused("There is no consent to say yes to again.", "Agree to it anew."))?;
        let event = Event {
            n: first_number(entry, now)?,
            // What she was shown is the present revision.
            mandate: Some(entry.hash),
            service: Some(service.clone()),
            ..event(&found, REAFFIRMED, now)
        };
        let (vault, rng, number, keyring) =
            (Arc::clone(&self.vault), Arc::clone(&self.rng), entry.number, self.keyring(resident)?);
        self.db.transaction("reaffirm", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if !grants::reaffirm(tx, resident, number, now)? {
                return Err(Error::Stale);
            }
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })
    }
}

/// Reason of the line.
const REAFFIRMED: &str = "reaffirmed";
