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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn one_service_waits_for_itself_and_for_nobody_else() {
        let (turns, one, other): (_, ServiceId, ServiceId) =
            (Turns::default(), "svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
        let first = turns.take(&one).await;
        let short = Duration::from_millis(20);
        assert!(timeout(short, turns.take(&one)).await.is_err(), "its first request is still at work");
        assert!(timeout(short, turns.take(&other)).await.is_ok());
        drop(first);
        assert!(timeout(short, turns.take(&one)).await.is_ok());
    }
}
