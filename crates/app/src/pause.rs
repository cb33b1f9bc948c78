//! Pause and resume: the resident holds back what she lends for a time of her own choosing. Nothing ends by it: the key, the copies and every
//! authorization stay, and nothing is opened meanwhile.

use std::sync::Arc;

use usufruct_core::event::{Event, Kind};
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::id::MandateId;
use usufruct_store::grants::{self, StoredGrant};

use crate::actor::place_by;
use crate::erase::plain_event;
use crate::release::first_number;
use crate::{Actor, App, Error};

impl App {
    /// The resident, or a delegate for her, holds back what she agreed to under a mandate. From the next request on every use is refused with
    /// the clause `suspension`, until she resumes it. A case of hers that lets it rest stays apart from this.
    pub fn pause(&self, actor: impl Into<Actor>, mandate: &MandateId) -> Result<(), Error> {
        self.turn(actor.into(), mandate, (GrantState::Given, GrantState::Paused), PAUSED)
    }

    /// She lets it go on, for as long as it was given for.
    pub fn resume(&self, actor: impl Into<Actor>, mandate: &MandateId) -> Result<(), Error> {
        self.turn(actor.into(), mandate, (GrantState::Paused, GrantState::Given), RESUMED)
    }

    pub(crate) fn turn(
        &self,
        actor: Actor,
        mandate: &MandateId,
        (from, to): (GrantState, GrantState),
        reason: &'static str,
    ) -> Result<(), Error> {
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let (register, now) = (self.register(), self.now());
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let known = self.grants(resident)?.into_iter().find(|known| known.mandate == entry.number);
        let known = known.filter(|known| known.grant.state == from && now < known.grant.valid_until);
        let known =
            known.ok_or_else(|| Error::refused("There is nothing that this could change.", "See the list of your consents."))?;
        if known.grant.kind != GrantKind::Consent {
            return Err(Error::refused(
                "This use rests on law and not on your consent, so it cannot be paused.",
                "You can object to it from your footprint.",
            ));
        }
        let event = Event { n: first_number(entry, now)?, ..event(&known, reason, now) };
        let (vault, rng, number) = (Arc::clone(&self.vault), Arc::clone(&self.rng), entry.number);
        let keyring = self.keyring(resident)?;
        self.db.transaction("turn grant", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if !grants::turn(tx, resident, number, from, to)? {
                return Err(Error::Stale);
            }
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })
    }
}

/// A line that says what has become of a grant, under the revision that she agreed to.
pub(crate) fn event(grant: &StoredGrant, reason: &str, now: usufruct_core::Time) -> Event {
    Event { mandate: Some(grant.grant.mandate_hash), ..plain_event(Kind::Grant, reason, None, now) }
}

/// Reasons of the lines.
const PAUSED: &str = "paused";
const RESUMED: &str = "resumed";
