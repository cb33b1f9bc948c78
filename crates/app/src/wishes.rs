//! What a resident wishes once and for all: never to be asked about optional blocks, and nothing for some offices by her consent. It holds
//! before any request is shown, and for consents that she gave before.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::hash::equal;
use usufruct_core::id::{AgencyId, BlockId, MandateId, ServiceId};
use usufruct_core::mandate::{Basis, Mandate};
use usufruct_core::register::{Entry, Register};
use usufruct_store::grants;
use usufruct_store::wishes::{self, StoredWishes};
use usufruct_vault::Keyring;

use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::of_wishes;
use crate::{Actor, App, AuthorizeRequest, Error};

/// Standing wishes of a resident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Optional blocks are never asked for.
    pub no_optional: bool,
    /// Offices that get nothing by her consent.
    pub not_offices: BTreeSet<AgencyId>,
}

/// What stands in the detail of a refusal that a wish led to. The service is told what it is told of any missing consent.
pub(crate) const WISH: &str = "wish";
/// Offices that can be named: all of a city's and more.
const MOST_OFFICES: usize = 500;

impl Wishes {
    /// Whether the office behind a service gets nothing: the body of the service, or the one that it works for under the mandate.
    pub fn decline(&self, register: &Register, service: &ServiceId, mandate: Option<&Entry<Mandate>>) -> bool {
        let Some(entry) = register.services.get(service).filter(|_| !self.not_offices.is_empty()) else { return false };
        let principal = mandate.map(|mandate| register.principal(entry, mandate));
        self.not_offices.contains(&entry.body.agency) || principal.is_some_and(|body| self.not_offices.contains(body))
    }
}

impl App {
    /// What a resident wishes.
    pub fn wishes(&self, resident: u64) -> Result<Wishes, Error> {
        let Some(stored) = self.db.read(|conn| wishes::find(conn, resident))? else { return Ok(Wishes::default()) };
        self.open_wishes(&self.keyring(resident)?, &stored)
    }

    /// Sets what a resident wishes, and says in her footprint that it changed.
    pub fn wish(&self, actor: impl Into<Actor>, wished: &Wishes) -> Result<(), Error> {
        let (actor, register) = (actor.into(), self.register());
        let resident = actor.resident;
        if wished.not_offices.len() > MOST_OFFICES || wished.not_offices.iter().any(|id| !register.agencies.contains_key(id)) {
            return Err(Error::Unknown { what: "office" });
        }
        let (now, keyring) = (self.now(), Arc::new(self.keyring(resident)?));
        let json = serde_json::to_vec(wished).map_err(|error| Error::Corrupt { what: format!("a wish: {error}") })?;
        let sealed = self.vault.seal_own(&keyring, &wishes_block()?, &json, self.rng())?;
        let mut stored = StoredWishes { resident, said_at: now, sealed, mark: usufruct_core::Digest([0; 32]) };
        stored.mark = of_wishes(&self.vault, &stored)?;
        let event = plain_event(Kind::Status, "wishes-changed", None, now);
        let (rng, vault) = (Arc::clone(&self.rng), Arc::clone(&self.vault));
        self.db.transaction("set wishes", move |tx| {
            actor.permit(tx, &vault, now)?;
            wishes::put(tx, &stored)?;
            // Decisions that rest on what she wished before are made anew.
            grants::revise_resident(tx, resident)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }

    /// Whether her wishes decline a request for data before she is shown it. Then the refusal stands in her footprint, unless the request is
    /// `silent`, which a service may repeat as often as it likes.
    pub fn declines(&self, resident: u64, request: &AuthorizeRequest, silent: bool) -> Result<bool, Error> {
        let wished = self.wishes(resident)?;
        if wished.not_offices.is_empty() {
            return Ok(false);
        }
        let register = self.register();
        let mandates = self.scope_mandates(&request.service, &request.scope)?;
        let declined = mandates.iter().filter_map(|id| register.mandates.get(id)).find(|entry| {
            entry.body.legal_basis.code == Basis::Consent && wished.decline(&register, &request.service, Some(entry))
        });
        let Some(entry) = declined else { return Ok(false) };
        if silent {
            return Ok(true);
        }
        let mut event = plain_event(Kind::Refusal, "", Some(WISH.to_owned()), self.now());
        (event.mandate, event.service) = (Some(entry.hash), Some(request.service.clone()));
        event.clause = Some(Clause::Grant.code().to_owned());
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("decline by wish", move |tx| place(tx, &keyring, event.clone(), rng.as_ref()).map(drop))?;
        Ok(true)
    }

    /// Refuses a consent that goes against her wishes, whoever sends it.
    pub(crate) fn check_wishes(
        &self,
        resident: u64,
        service: &ServiceId,
        mandate: &MandateId,
        optional: &[BlockId],
    ) -> Result<(), Error> {
        let (wished, register) = (self.wishes(resident)?, self.register());
        if wished.no_optional && !optional.is_empty() {
            return Err(Error::refused(
                "She wishes never to be asked about optional data.",
                "Leave it out, or change the wish first.",
            ));
        }
        if wished.decline(&register, service, register.mandates.get(mandate)) {
            return Err(Error::Unpermitted(vec![Clause::Grant]));
        }
        Ok(())
    }

    /// Opens wishes that this house wrote as they stand there.
    pub(crate) fn open_wishes(&self, keyring: &Keyring, stored: &StoredWishes) -> Result<Wishes, Error> {
        if !equal(&stored.mark.0, &of_wishes(&self.vault, stored)?.0) {
            return Err(Error::Altered);
        }
        let json = self.vault.open_own(keyring, &wishes_block()?, &stored.sealed)?;
        serde_json::from_slice(&json).map_err(|error| Error::Corrupt { what: format!("a wish: {error}") })
    }
}

/// Name under which wishes are sealed. No data block of the register has it: it lies in a reserved form.
fn wishes_block() -> Result<BlockId, Error> {
    "blk_standing-wishes".parse().map_err(|_| Error::Unknown { what: "block" })
}
