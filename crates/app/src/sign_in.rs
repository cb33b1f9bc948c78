//! Sign in to a service: one logged event, and the pseudonym the service knows the resident by.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;

use crate::erase::plain_event;
use crate::ledger::place;
use crate::{App, Error};

impl App {
    /// Records that the resident signs in to `service`.
    pub(crate) fn record_sign_in(&self, resident: u64, service: &ServiceId) -> Result<(), Error> {
        let keyring = Arc::new(self.keyring(resident)?);
        let mut event = plain_event(Kind::SignIn, "sign-in", None, self.now());
        event.service = Some(service.clone());
        let rng = Arc::clone(&self.rng);
        self.db.transaction("record sign-in", move |tx| place(tx, &keyring, event.clone(), rng.as_ref()).map(drop))
    }

    /// The pseudonym by which `service` knows the resident.
    pub fn subject(&self, resident: u64, service: &ServiceId) -> Result<String, Error> {
        let register = self.register();
        let sector = register.sector(active_service(&register, service)?);
        Ok(self.vault.subject(sector, &self.keyring(resident)?)?.to_string())
    }
}

/// The service with this id, if it is active.
pub(crate) fn active_service<'a>(register: &'a Register, service: &ServiceId) -> Result<&'a Entry<Service>, Error> {
    register.services.get(service).filter(|entry| entry.state == State::Active).ok_or(Error::Unknown { what: "active service" })
}
