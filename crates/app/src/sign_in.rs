//! The pseudonym by which a service knows a resident.

use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;

use crate::{App, Error};

impl App {
    /// The pseudonym by which `service` knows the resident.
    pub fn subject(&self, resident: u64, service: &ServiceId) -> Result<String, Error> {
        let register = self.register();
        let sector = register.sector(active_service(&register, service)?);
        Ok(self.vault.subject(sector, &self.keyring(resident)?)?.to_string())
    }
}

/// The service with this id, if residents may sign in to it: it is active, no order suspends it, and where it is a vendor's, a contract
/// binds the vendor.
pub(crate) fn served_service<'a>(register: &'a Register, service: &ServiceId, now: Time) -> Result<&'a Entry<Service>, Error> {
    let entry = active_service(register, service)?;
    if register.is_served(entry, now) { Ok(entry) } else { Err(Error::Unknown { what: "active service" }) }
}

/// The service with this id, if it is active.
pub(crate) fn active_service<'a>(register: &'a Register, service: &ServiceId) -> Result<&'a Entry<Service>, Error> {
    register.services.get(service).filter(|entry| entry.state == State::Active).ok_or(Error::Unknown { what: "active service" })
}
