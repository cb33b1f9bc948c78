//! Polls that wait for events: so many of one service, and so many at all. Where there is no room for another, the service that has most
//! answers its longest waiting one at once, so that nobody who asks is turned away and a connection that died holds no place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use usufruct_core::id::ServiceId;

/// Polls of one service. It has one stream, and one reader of it is enough; a second may take over while the first is restarted.
const MOST_OF_ONE: usize = 4;
const MOST: usize = 256;

/// The polls that wait now.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Places>);

#[derive(Default)]
struct Places {
    begun: u64,
    taken: usize,
    services: HashMap<ServiceId, BTreeMap<u64, Arc<Notify>>>,
}

/// The place of one poll, which it leaves when it is dropped.
pub(crate) struct Place<'a> {
    waiting: &'a Waiting,
    service: ServiceId,
    number: u64,
    is_needed: Arc<Notify>,
}

impl Waiting {
    /// A place for a poll of a service.
    pub fn begin(&self, service: &ServiceId) -> Place<'_> {
        let is_needed = Arc::new(Notify::new());
        let number = self.places().begin(service, Arc::clone(&is_needed));
        Place { waiting: self, service: service.clone(), number, is_needed }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Waits until another poll needs the place.
    pub async fn is_needed(&self) {
        self.is_needed.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.places().leave(&self.service, self.number);
    }
}

impl Places {
    fn begin(&mut self, service: &ServiceId, is_needed: Arc<Notify>) -> u64 {
        let of_one = self.services.get(service).map_or(0, BTreeMap::len);
        let loser = if of_one >= MOST_OF_ONE {
            Some(service.clone())
        } else if self.taken >= MOST {
            // Of services that have equally many, the one that began first.
            let largest = self.services.iter().max_by_key(|(_, begun)| (begun.len(), Reverse(begun.keys().next().copied())));
            largest.map(|(service, _)| service.clone())
        } else {
            None
        };
        if let Some(loser) = loser
            && let Some((number, oldest)) = self.services.get(&loser).and_then(BTreeMap::first_key_value)
        {
            oldest.notify_one();
            let number = *number;
            self.leave(&loser, number);
        }
        self.begun += 1;
        self.taken += 1;
        self.services.entry(service.clone()).or_default().insert(self.begun, is_needed);
        self.begun
    }

    fn leave(&mut self, service: &ServiceId, number: u64) {
        let Some(begun) = self.services.get_mut(service) else { return };
        if begun.remove(&number).is_some() {
            self.taken -= 1;
        }
        if begun.is_empty() {
            self.services.remove(service);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_over(place: &Place<'_>) -> bool {
        place.is_needed().now_or_never().is_some()
    }

    fn id(number: usize) -> ServiceId {
        format!("svc_{number}").parse().unwrap()
    }

    #[test]
    fn a_service_that_asks_again_and_again_takes_its_own_places() {
        let waiting = Waiting::default();
        let other = waiting.begin(&id(0));
        let mut own: Vec<_> = (0..10 * MOST_OF_ONE).map(|_| waiting.begin(&id(1))).collect();
        let over = own.iter().map(is_over).collect::<Vec<_>>();
        assert_eq!(over.iter().rposition(|over| *over), Some(9 * MOST_OF_ONE - 1), "the last ones wait");
        assert_eq!(over.iter().filter(|over| **over).count(), 9 * MOST_OF_ONE);
        assert!(!is_over(&other));
        own.clear();
        assert_eq!(waiting.places().taken, 1);
    }

    #[test]
    fn where_there_is_no_room_the_one_with_most_makes_it() {
        let waiting = Waiting::default();
        let greedy: Vec<_> = (0..MOST_OF_ONE).map(|_| waiting.begin(&id(0))).collect();
        let modest: Vec<_> = (MOST_OF_ONE..MOST).map(|number| waiting.begin(&id(number))).collect();
        assert!(!greedy.iter().chain(&modest).any(is_over));
        let more: Vec<_> = (0..MOST_OF_ONE - 1).map(|number| waiting.begin(&id(MOST + number))).collect();
        assert_eq!(greedy.iter().map(is_over).collect::<Vec<_>>(), [true, true, true, false]);
        assert!(!modest.iter().chain(&more).any(is_over));
        assert_eq!(waiting.places().taken, MOST);
        drop((greedy, modest, more));
        assert!(waiting.places().services.is_empty() && waiting.places().taken == 0);
    }
}
