//! Places of connections: so many in all, so many for strangers, so many for one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Limits, raise_files};

/// The places of a process, whichever of its listeners they are taken at.
pub struct Places {
    limits: Limits,
    /// The network of an address, or `None` for this machine.
    network_of: fn(IpAddr) -> Option<IpAddr>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    strangers: usize,
    networks: HashMap<IpAddr, usize>,
}

/// A place, which is free again once this is dropped.
pub struct Place {
    places: Arc<Places>,
    network: Option<IpAddr>,
}

impl Places {
    /// Places within these limits. `network_of` says who counts as one; what it has no word for is this machine.
    pub fn new(limits: Limits, network_of: fn(IpAddr) -> Option<IpAddr>) -> Arc<Self> {
        Arc::new(Self { limits, network_of, taken: Mutex::default() })
    }

    /// The places of this process, which takes all the files that the system lets it have.
    pub fn of_process() -> Arc<Self> {
        Self::new(Limits::of_files(raise_files()), usufruct_web::network_of)
    }

    /// A place for a caller; `None` when there is none.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let network = (self.network_of)(peer);
        let mut taken = self.taken();
        let own = network.map_or(0, |network| taken.networks.get(&network).copied().unwrap_or(0));
        let is_full = taken.all >= self.limits.all;
        if is_full || network.is_some() && (taken.strangers >= self.limits.strangers || own >= self.limits.network) {
            return None;
        }
        taken.all += 1;
        if let Some(network) = network {
            taken.strangers += 1;
            taken.networks.insert(network, own + 1);
        }
        Some(Place { places: Arc::clone(self), network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that have a place now.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.taken().all
    }
}

impl Place {
    pub fn limits(&self) -> &Limits {
        &self.places.limits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(network) = self.network {
            taken.strangers -= 1;
            if let Some(own) = taken.networks.get_mut(&network) {
                *own -= 1;
                if *own == 0 {
                    taken.networks.remove(&network);
                }
            }
        }
    }
}
