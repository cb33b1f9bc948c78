//! Turns at work that fills memory and a core for as long as it lasts: a few at once, some who wait, and a word to the others to come back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use usufruct_core::Digest;

use crate::fair_turns::{FairTurn, FairTurns};
use crate::fault::Fault;

/// After so many seconds somebody who was not let in comes back.
pub(crate) const LATER: u64 = 2;
/// Turns of one card, at work or waiting.
const MOST_OF_CARD: usize = 2;

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

/// Turns at looking at PINs. Browsers in which a card was used before have some of their own, so that strangers cannot take them, however
/// many they are; a card has two of these at a time (somebody presses a button twice), so that its holder cannot take those of the others.
/// Strangers share theirs by networks.
pub(crate) struct PinTurns {
    strangers: FairTurns,
    known: Turns,
    /// How many each card has or waits for.
    cards: Arc<Mutex<HashMap<Digest, usize>>>,
}

/// A turn at looking at a PIN, until it is dropped.
pub(crate) enum PinTurn {
    Known { _turn: Turn, _card: CardTurn },
    Stranger { _turn: FairTurn },
}

/// The place of a card among those that have a turn.
pub(crate) struct CardTurn {
    cards: Arc<Mutex<HashMap<Digest, usize>>>,
    card: Digest,
}

impl PinTurns {
    /// So many at once and so many who wait, of strangers, and as many again of browsers that are known.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self { strangers: FairTurns::new(at_once, waiting), known: Turns::new(at_once, waiting), cards: Arc::default() }
    }

    /// As [`Turns::take`]; `card` is the name of a card in a browser where it was used before, and `network` where the browser is.
    pub async fn take(&self, card: Option<Digest>, network: Option<IpAddr>) -> Result<PinTurn, Fault> {
        let Some(card) = card else { return Ok(PinTurn::Stranger { _turn: self.strangers.take(network).await? }) };
        let card = CardTurn::begin(&self.cards, card)?;
        Ok(PinTurn::Known { _turn: self.known.take().await?, _card: card })
    }
}

impl CardTurn {
    fn begin(cards: &Arc<Mutex<HashMap<Digest, usize>>>, card: Digest) -> Result<Self, Fault> {
        let mut counts = locked(cards);
        let count = counts.entry(card).or_default();
        if *count >= MOST_OF_CARD {
            return Err(Fault::too_many(LATER));
        }
        *count += 1;
        Ok(Self { cards: Arc::clone(cards), card })
    }
}

impl Drop for CardTurn {
    fn drop(&mut self) {
        let mut counts = locked(&self.cards);
        if let Some(count) = counts.get_mut(&self.card) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.card);
            }
        }
    }
}

fn locked(cards: &Mutex<HashMap<Digest, usize>>) -> MutexGuard<'_, HashMap<Digest, usize>> {
    cards.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERS: Digest = Digest([1; 32]);

    #[tokio::test]
    async fn strangers_do_not_take_the_turns_of_a_browser_that_is_known() {
        let turns = PinTurns::new(1, 0);
        let stranger = turns.take(None, None).await.ok().unwrap();
        assert!(turns.take(None, None).await.is_err(), "another stranger comes back later");
        let hers = turns.take(Some(HERS), None).await.ok().unwrap();
        drop((stranger, hers));
        assert!(turns.take(Some(HERS), None).await.is_ok() && turns.take(None, None).await.is_ok());
    }

    #[tokio::test]
    async fn a_card_has_two_turns_at_a_time_and_gives_them_back() {
        let turns = PinTurns::new(3, 1);
        let hers = (turns.take(Some(HERS), None).await.ok().unwrap(), turns.take(Some(HERS), None).await.ok().unwrap());
        assert!(turns.take(Some(HERS), None).await.is_err());
        let other = turns.take(Some(Digest([2; 32])), None).await.ok().unwrap();
        drop(hers);
        // Whoever goes away while she waits leaves no place taken.
        let hers = (turns.take(Some(HERS), None).await.ok().unwrap(), turns.take(Some(HERS), None).await.ok().unwrap());
        assert!(tokio::time::timeout(Duration::from_millis(10), turns.take(Some(Digest([3; 32])), None)).await.is_err());
        drop((hers, other));
        assert!(locked(&turns.cards).is_empty());
    }

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
