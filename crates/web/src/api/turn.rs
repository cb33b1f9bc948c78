//! One request of a service at a time, where each may take much room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use usufruct_core::id::ServiceId;

/// Whose turn it is. There are as many entries as services that have asked.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<ServiceId, Arc<Turn<()>>>>);

impl Turns {
    /// Waits until no other request of this service has the turn; the others wait until what is answered goes.
    pub(super) async fn take(&self, service: &ServiceId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(service.clone()).or_default())
        };
        turn.lock_owned().await
    }
}
