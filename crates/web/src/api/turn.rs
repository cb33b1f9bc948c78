//! One request of a service at a time, where each may take much room, and a few that wait: what waits lies in memory as it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use usufruct_core::id::ServiceId;

use crate::fault::Fault;
use crate::turns::{self, Turn};

/// Whose turn it is. There are as many entries as services that have asked.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<ServiceId, Arc<turns::Turns>>>);

impl Turns {
    /// Waits until no other request of this service has the turn; the others wait until what is answered goes. Whoever finds so many waiting
    /// already is told when to come back.
    pub(super) async fn take(&self, service: &ServiceId) -> Result<Turn, Fault> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(service.clone()).or_insert_with(|| Arc::new(turns::Turns::new(1, WAITING))))
        };
        turns.take().await
    }
}

/// Requests of one service that wait, of up to 8 MiB each.
const WAITING: usize = 3;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn one_service_waits_for_itself_and_for_nobody_else() {
        let (turns, one, other): (_, ServiceId, ServiceId) =
            (Turns::default(), "svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
        let first = turns.take(&one).await.ok().unwrap();
        let short = Duration::from_millis(20);
        assert!(timeout(short, turns.take(&one)).await.is_err(), "its first request is still at work");
        assert!(timeout(short, turns.take(&other)).await.is_ok_and(|turn| turn.is_ok()));
        drop(first);
        assert!(timeout(short, turns.take(&one)).await.is_ok_and(|turn| turn.is_ok()));
    }

    #[tokio::test]
    async fn a_few_wait_and_whoever_is_too_many_is_told() {
        let (turns, one): (_, ServiceId) = (Arc::new(Turns::default()), "svc_library".parse().unwrap());
        let first = turns.take(&one).await.ok().unwrap();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let (turns, one) = (Arc::clone(&turns), one.clone());
                tokio::spawn(async move { turns.take(&one).await.is_ok() })
            })
            .collect();
        // Each of them asks before this does, on the one thread there is.
        tokio::task::yield_now().await;
        let refused = timeout(Duration::from_millis(20), turns.take(&one)).await.expect("at once");
        assert!(refused.is_err_and(|fault| fault.status() == axum::http::StatusCode::TOO_MANY_REQUESTS));
        drop(first);
        for turn in waiting {
            assert!(turn.await.unwrap());
        }
    }
}
