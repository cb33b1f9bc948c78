//! Give back: a service needs no more what a resident authorized it for. What she lent stays lent to the mandate, and to others.

use std::sync::Arc;

use usufruct_core::Digest;
use usufruct_core::event::Kind;
use usufruct_core::id::MandateId;
use usufruct_store::authorizations;

use crate::actor::keyring_in;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{find_authorization, true_authorization};
use crate::{App, Error, OwnCaller};

impl App {
    /// The service gives an authorization back: it ends with its codes and tokens, and from then on nothing is opened for this service under
    /// its mandates. Everything else stays: what she agreed to, her pseudonyms, and what other services hold. False where there is no such
    /// authorization or it is another's.
    ///
    /// One transaction, with a line in her footprint for each mandate, or one for a sign-in alone.
    pub fn give_back(&self, caller: impl Into<OwnCaller>, id: &str) -> Result<bool, Error> {
        let caller = caller.into();
        let of_service = |found: Option<authorizations::Authorization>| found.filter(|found| found.service == caller.service);
        let found = of_service(true_authorization(&self.vault, self.db.read(|conn| authorizations::find(conn, id))?)?);
        let Some(found) = found else { return Ok(false) };
        let _guard = self.lock_resident(found.resident);
        let (register, now) = (self.register(), self.now());
        let (vault, rng, id) = (Arc::clone(&self.vault), Arc::clone(&self.rng), id.to_owned());
        self.db.transaction("give authorization back", move |tx| {
            caller.permit(tx, now)?;
            let service = &caller.service;
            let found = find_authorization(tx, &vault, &id)?;
            let Some(found) = found.filter(|found| found.service == *service) else { return Ok::<_, Error>(false) };
            authorizations::end(tx, &id)?;
            let mandates = found.scope.split(' ').filter_map(|word| word.parse::<MandateId>().ok());
            let hashes = mandates.filter_map(|id| register.mandates.get(&id)).map(|entry| Some(entry.hash));
            let mut hashes: Vec<Option<Digest>> = hashes.collect();
            if hashes.is_empty() {
                hashes.push(None);
            }
            let keyring = keyring_in(tx, &vault, found.resident)?;
            for mandate in hashes {
                let mut event = plain_event(Kind::AuthorizationGivenBack, GIVEN_BACK, None, now);
                (event.mandate, event.service) = (mandate, Some(service.clone()));
                place(tx, &keyring, event, rng.as_ref())?;
            }
            Ok(true)
        })
    }
}

/// Reason of the lines that it writes.
const GIVEN_BACK: &str = "given-back";
