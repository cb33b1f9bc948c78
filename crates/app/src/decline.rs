//! Decline: what a resident said who was asked for her consent and did not give it. Nothing of hers is lent by it, and the service learns that she
//! did not agree, and nothing more.

use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::event::Event;
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::id::{GrantId, MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate};
use usufruct_core::register::{Entry, Register};
use usufruct_store::grants::{self, StoredGrant};

use crate::actor::place_by;
use crate::authorize::{AuthorizeRequest, lending};
use crate::consent::stored;
use crate::pause::event;
use crate::release::first_number;
use crate::{Actor, App, Error};

/// How she said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    /// Not now: she is asked again the next time.
    Deferred,
    /// No: a service is told so without her being asked again, until it asks for her consent anew or she lets it.
    Refused,
}

impl App {
    /// The resident, or a delegate for her, does not agree. What she lends already stays lent or paused, for nobody takes it back by not
    /// answering; that she refuses a revision that asks for more than she agreed to is noted.
    pub fn decline(
        &self,
        actor: impl Into<Actor>,
        service: &ServiceId,
        mandate: &MandateId,
        decline: Decline,
    ) -> Result<(), Error> {
        let actor = actor.into();
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let (register, now) = (self.register(), self.now());
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        if entry.body.legal_basis.code != Basis::Consent {
            return Err(Error::refused(
                "This mandate does not rest on consent.",
                "There is nothing to refuse; see your footprint.",
            ));
        }
        let found = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
        if found.is_some_and(|found| decline.leaves(&register, entry, found, now)) {
            return Ok(());
        }
        let id = GrantId::fresh(now, self.rng());
        let mut declined = stored(&id, resident, entry, &[], GrantKind::Consent, now);
        (declined.grant.state, declined.grant.means) = (decline.state(), actor.means);
        let event = Event {
            n: first_number(entry, now)?,
            service: Some(service.clone()),
            ..event(&declined, decline.state().code(), now)
        };
        let (vault, rng, keyring) = (Arc::clone(&self.vault), Arc::clone(&self.rng), self.keyring(resident)?);
        let (shared, asked) = (Arc::clone(&register), entry.clone());
        self.db.transaction("decline", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            let found = grants::find(tx, resident, declined.mandate)?;
            if found.clone().is_some_and(|found| decline.leaves(&shared, &asked, found, now)) {
                return Err(Error::Stale);
            }
            // What she lent once stays as it was.
            if found.is_some_and(|found| found.grant.was_given()) {
                let refused = (declined.grant.state == GrantState::Refused).then_some(declined.grant.mandate_hash);
                if !grants::refuse(tx, resident, declined.mandate, refused)? {
                    return Err(Error::Stale);
                }
            } else {
                grants::put(tx, &declined)?;
            }
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })
    }

    /// She lets herself be asked again about what she refused.
    pub fn ask_again(&self, actor: impl Into<Actor>, mandate: &MandateId) -> Result<(), Error> {
        let actor = actor.into();
        let register = self.register();
        let number = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?.number;
        let found = self.db.read(|conn| grants::find(conn, actor.resident, number))?;
        match found.filter(|found| found.refused.is_some()) {
            Some(refused) => self.forget_refusal(actor, mandate, &refused),
            None => self.turn(actor, mandate, (GrantState::Refused, GrantState::Deferred), ASKED_AGAIN),
        }
    }

    /// The same where what she refused is what she had lent before.
    fn forget_refusal(&self, actor: Actor, mandate: &MandateId, refused: &StoredGrant) -> Result<(), Error> {
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let (register, now) = (self.register(), self.now());
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let event = Event { n: first_number(entry, now)?, mandate: refused.refused, ..event(refused, ASKED_AGAIN, now) };
        let (vault, rng, number) = (Arc::clone(&self.vault), Arc::clone(&self.rng), entry.number);
        let keyring = self.keyring(resident)?;
        self.db.transaction("ask again", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            let stands = grants::find(tx, resident, number)?.is_some_and(|found| found.refused.is_some());
            if !stands || !grants::refuse(tx, resident, number, None)? {
                return Err(Error::Stale);
            }
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })
    }

    /// Whether she has refused a mandate of a request, in the revision that is asked for now or one that asks for the same. What she lends now is
    /// not refused, whatever she said of a revision in between.
    pub fn has_refused(&self, resident: u64, request: &AuthorizeRequest) -> Result<bool, Error> {
        let (register, now) = (self.register(), self.now());
        for id in self.authorization(resident, request)?.to_ask {
            let Some(entry) = register.mandates.get(&id) else { continue };
            let found = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
            let refused = |found: StoredGrant| match found.grant.state {
                GrantState::Refused => Some(found.grant.mandate_hash),
                _ => found.refused.filter(|_| lending(&register, entry, found.grant, now).is_none()),
            };
            if found.and_then(refused).is_some_and(|hash| register.still_holds(&hash, entry)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Decline {
    fn state(self) -> GrantState {
        match self {
            Self::Deferred => GrantState::Deferred,
            Self::Refused => GrantState::Refused,
        }
    }

    /// Whether what she agreed to stays as it is: while it is lent, and where she will be asked again anyway.
    fn leaves(self, register: &Register, entry: &Entry<Mandate>, found: StoredGrant, now: Time) -> bool {
        let is_hers_to_end = matches!(found.grant.state, GrantState::Given | GrantState::Paused);
        is_hers_to_end && (self == Self::Deferred || lending(register, entry, found.grant, now).is_some())
    }
}

/// Reason of the line.
const ASKED_AGAIN: &str = "asked-again";
