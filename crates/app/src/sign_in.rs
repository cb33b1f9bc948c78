//! The pseudonym by which a service knows a resident.

use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::order::OrderKind;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;

use crate::{App, Error};

/// That residents cannot sign in to a service which stands in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Since when; `None` where it is a vendor's that never had a contract.
    pub since: Option<Time>,
}

impl App {
    /// Whether a service is suspended now: by its body, by an order, or because no contract lets its vendor work. A service that is not in the
    /// register, not open yet or closed for ever is not suspended; there is none.
    pub fn suspension(&self, service: &ServiceId) -> Option<Suspension> {
        let (register, now) = (self.register(), self.now());
        let entry = register.services.get(service)?;
        match entry.state {
            State::Suspended => Some(Suspension { since: Some(entry.since) }),
            State::Active if !register.is_served(entry, now) => {
                let since = ordered_since(&register, &entry.id, now).or_else(|| uncontracted_since(&register, &entry.body, now));
                Some(Suspension { since })
            }
            _ => None,
        }
    }

    /// The pseudonym by which `service` knows the resident.
    pub fn subject(&self, resident: u64, service: &ServiceId) -> Result<String, Error> {
        let register = self.register();
        let sector = register.sector(active_service(&register, service)?);
        Ok(self.vault.subject(sector, &self.keyring(resident)?)?.to_string())
    }
}

/// Since when standing orders have suspended an object.
fn ordered_since(register: &Register, target: &str, now: Time) -> Option<Time> {
    let orders = register.binding(target, now).filter(|order| order.body.kind == OrderKind::Suspend);
    orders.map(Entry::effective_at).min()
}

/// Since when the last contract of a vendor has not let it work.
fn uncontracted_since(register: &Register, service: &Service, now: Time) -> Option<Time> {
    let contracts = register.contracts.values().filter(|contract| contract.body.vendor == service.agency);
    let stopped = contracts.map(|contract| {
        let over = (contract.body.until <= now).then_some(contract.body.until);
        let moved = (contract.state != State::Active).then_some(contract.since);
        [ordered_since(register, &contract.id, now), over, moved].into_iter().flatten().min().unwrap_or(contract.since)
    });
    stopped.max()
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
