//! Turns at work that fills memory and a core for as long as it lasts: a few at once, some who wait, and a word to the others to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// After so many seconds somebody who was not let in comes back.
const LATER: u64 = 2;

/// Turns at one kind of work.
pub(crate) struct Turns {
    /// Those at work and those who wait.
    places: Arc<Semaphore>,
    /// Those at work.
    work: Arc<Semaphore>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _work: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once, and so many more who wait.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once + waiting)), work: Arc::new(Semaphore::new(at_once)) }
    }

    /// Waits for a turn, first come first served. Who finds all places taken is turned away and told when to come back.
    pub async fn take(&self) -> Result<Turn, Fault> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Fault::too_many(LATER))?;
        let work = Arc::clone(&self.work).acquire_owned().await.map_err(|_| Fault::internal())?;
        Ok(Turn { _work: work, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_comes_when_another_ends_and_whoever_is_too_many_is_told() {
        let turns = Arc::new(Turns::new(1, 1));
        let first = turns.take().await.ok().unwrap();
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take().await.is_ok() }
        });
        while turns.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(turns.take().await.is_err());
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(turns.take().await.is_ok());
    }
}
