//! Life: where an object that moves through states stands, whatever its kind.

use super::{Entry, Register};
use crate::Digest;
use crate::id::{AgencyId, AgreementId, CameraId, ContractId, MandateId, ServiceId};
use crate::lifecycle::{Lifecycle, State};

/// An object on its way: which steps there are for it, where it stands, in which revision, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub lifecycle: Lifecycle,
    pub state: State,
    pub revision: Digest,
    /// The body whose people take its steps; of an agreement the first party.
    pub owner: AgencyId,
}

impl Life {
    fn of<T>(lifecycle: Lifecycle, entry: &Entry<T>, owner: &AgencyId) -> Self {
        Self { lifecycle, state: entry.state, revision: entry.hash, owner: owner.clone() }
    }
}

impl Register {
    /// Where the object with this id stands. `None` for what is not in the register, and for what has no steps.
    pub fn life(&self, id: &str) -> Option<Life> {
        if let Some(entry) = id.parse().ok().and_then(|id: MandateId| self.mandates.get(&id)) {
            return Some(Life::of(Lifecycle::Mandate, entry, &entry.body.controller));
        }
        if let Some(entry) = id.parse().ok().and_then(|id: ContractId| self.contracts.get(&id)) {
            return Some(Life::of(Lifecycle::Contract, entry, &entry.body.controller));
        }
        if let Some(entry) = id.parse().ok().and_then(|id: AgreementId| self.agreements.get(&id)) {
            return Some(Life::of(Lifecycle::Agreement, entry, entry.body.parties.first()?));
        }
        if let Some(entry) = id.parse().ok().and_then(|id: CameraId| self.cameras.get(&id)) {
            return Some(Life::of(Lifecycle::Camera, entry, &entry.body.authority));
        }
        let entry = id.parse().ok().and_then(|id: ServiceId| self.services.get(&id))?;
        Some(Life::of(Lifecycle::Service, entry, &entry.body.agency))
    }
}
