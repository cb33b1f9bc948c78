//! Turns at costly work for whoever is not known, shared by networks: the one that had no turn for longest comes first, so that whoever comes
//! from a network that did not ask lately waits behind nobody who asks again and again, however many those are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::turns::LATER;

/// A network of callers; `None` for this machine itself.
type Network = Option<IpAddr>;

/// Turns at one kind of work.
pub(crate) struct FairTurns(Arc<Shared>);

/// A turn, until it is dropped.
pub(crate) struct FairTurn(Arc<Shared>);

struct Shared {
    at_once: usize,
    waiting: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    working: usize,
    /// As long as somebody waits, all turns are taken.
    waiting: Vec<Waiter>,
    /// How many have asked to wait, and how many turns were given.
    asked: u64,
    given: u64,
    /// The number of the last turn of each network that had one lately.
    last: HashMap<Network, u64>,
}

struct Waiter {
    network: Network,
    number: u64,
    turn: oneshot::Sender<FairTurn>,
}

/// What comes of asking for a turn.
enum Asked {
    Now(FairTurn),
    /// A turn, or the end of waiting without one.
    Later(oneshot::Receiver<FairTurn>),
}

impl FairTurns {
    /// So many at once, and so many more who wait.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self(Arc::new(Shared { at_once, waiting, state: Mutex::default() }))
    }

    /// Waits for a turn. Where all places are taken, one who waits for the network that has most of them gives way, or is the one who asks;
    /// she is told when to come back.
    pub async fn take(&self, network: Network) -> Result<FairTurn, Fault> {
        match self.ask(network) {
            Asked::Now(turn) => Ok(turn),
            Asked::Later(turn) => turn.await.map_err(|_| Fault::too_many(LATER)),
        }
    }

    fn ask(&self, network: Network) -> Asked {
        let Self(shared) = self;
        let mut state = shared.state();
        state.forget_gone();
        if state.working < shared.at_once {
            state.working += 1;
            state.give(network);
            return Asked::Now(FairTurn(Arc::clone(shared)));
        }
        let (turn, later) = oneshot::channel();
        state.asked += 1;
        let number = state.asked;
        state.waiting.push(Waiter { network, number, turn });
        if state.waiting.len() > shared.waiting {
            state.turn_away();
        }
        Asked::Later(later)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FairTurn {
    fn drop(&mut self) {
        let next = self.0.state().next();
        // Not while the state is locked: whoever has gone since gives the turn on at once.
        if let Some(next) = next {
            let _ = next.turn.send(Self(Arc::clone(&self.0)));
        }
    }
}

impl State {
    /// Whoever waits and comes first has the turn that has become free.
    fn next(&mut self) -> Option<Waiter> {
        self.forget_gone();
        let first = (0..self.waiting.len()).min_by_key(|place| {
            let Waiter { network, number, .. } = &self.waiting[*place];
            (self.last_turn(*network), *number)
        });
        let Some(first) = first else {
            self.working -= 1;
            return None;
        };
        let next = self.waiting.swap_remove(first);
        self.give(next.network);
        Some(next)
    }

    /// Ends the waiting of one of those for whom most wait; of several such networks, of the one that had a turn last.
    fn turn_away(&mut self) {
        let mut many = HashMap::<Network, usize>::new();
        for waiter in &self.waiting {
            *many.entry(waiter.network).or_default() += 1;
        }
        let last = (0..self.waiting.len()).max_by_key(|place| {
            let Waiter { network, number, .. } = &self.waiting[*place];
            (many.get(network).copied(), self.last_turn(*network), *number)
        });
        if let Some(last) = last {
            self.waiting.swap_remove(last);
        }
    }

    /// Zero for a network that had none lately.
    fn last_turn(&self, network: Network) -> u64 {
        self.last.get(&network).copied().unwrap_or_default()
    }

    fn give(&mut self, network: Network) {
        self.given += 1;
        self.last.insert(network, self.given);
        if self.last.len() > MOST_NETWORKS {
            let before = self.given.saturating_sub(MOST_NETWORKS as u64 / 2);
            self.last.retain(|_, last| *last > before);
        }
    }

    /// Who hung up waits no more.
    fn forget_gone(&mut self) {
        self.waiting.retain(|waiter| !waiter.turn.is_closed());
    }
}

/// Networks whose last turn is remembered: some hundred kilobytes.
const MOST_NETWORKS: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn network(number: u32) -> Network {
        Some(IpAddr::V4(Ipv4Addr::from(number << 8)))
    }

    fn later(turns: &FairTurns, number: u32) -> oneshot::Receiver<FairTurn> {
        match turns.ask(network(number)) {
            Asked::Now(_) => panic!("a turn was free"),
            Asked::Later(turn) => turn,
        }
    }

    fn now(turns: &FairTurns, number: u32) -> FairTurn {
        match turns.ask(network(number)) {
            Asked::Now(turn) => turn,
            Asked::Later(_) => panic!("no turn was free"),
        }
    }

    #[test]
    fn a_new_network_comes_before_a_hundred_that_ask_again_and_again() {
        let turns = FairTurns::new(1, 8);
        (1..=100).for_each(|number| drop(now(&turns, number)));
        let working = now(&turns, 1);
        let mut guessing: Vec<_> = (2..=100).map(|number| later(&turns, number)).collect();
        let mut hers = later(&turns, 1_000);
        assert!(matches!(hers.try_recv(), Err(oneshot::error::TryRecvError::Empty)), "she is not turned away");
        let waits = |turn: &mut oneshot::Receiver<FairTurn>| matches!(turn.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(guessing.iter_mut().map(waits).filter(|waits| *waits).count(), 7, "one of them is");
        drop(working);
        let turn = hers.try_recv().expect("the next turn is hers");
        // After it her network is one of many.
        let mut again = later(&turns, 1_000);
        drop(turn);
        assert!(again.try_recv().is_err());
    }

    #[test]
    fn a_network_has_one_turn_after_another_while_others_wait() {
        let turns = FairTurns::new(1, 4);
        let mut turn = now(&turns, 1);
        let mut greedy: Vec<_> = (0..4).map(|_| later(&turns, 2)).collect();
        let mut others = [3, 4].map(|number| later(&turns, number));
        for turned_away in &mut greedy[2..] {
            assert!(matches!(turned_away.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        }
        let mut order = Vec::new();
        while order.len() < 4 {
            drop(turn);
            let comes = |from: &mut oneshot::Receiver<FairTurn>| from.try_recv().ok();
            let (who, next) =
                [(2, comes(&mut greedy[0])), (2, comes(&mut greedy[1])), (3, comes(&mut others[0])), (4, comes(&mut others[1]))]
                    .into_iter()
                    .find_map(|(who, turn)| Some((who, turn?)))
                    .expect("somebody has the turn");
            order.push(who);
            turn = next;
        }
        assert_eq!(order, [2, 3, 4, 2]);
        drop(turn);
        assert_eq!(turns.0.state().working, 0);
        drop(now(&turns, 2));
    }

    #[test]
    fn whoever_hangs_up_leaves_no_turn_taken() {
        let turns = FairTurns::new(1, 4);
        let first = now(&turns, 1);
        let (gone, mut stays) = (later(&turns, 2), later(&turns, 3));
        drop(gone);
        drop(first);
        let turn = stays.try_recv().unwrap();
        // One who hangs up with the turn on its way gives it on.
        let (given, mut last) = (later(&turns, 4), later(&turns, 5));
        drop(turn);
        drop(given);
        drop(last.try_recv().expect("it was given on"));
        assert_eq!(turns.0.state().working, 0);
    }

    #[test]
    fn so_many_networks_are_remembered_and_no_more() {
        let turns = FairTurns::new(1, 0);
        let many = u32::try_from(2 * MOST_NETWORKS).unwrap();
        (0..=many).for_each(|number| drop(now(&turns, number)));
        let state = turns.0.state();
        assert!(state.last.len() <= MOST_NETWORKS && state.last.contains_key(&network(many)));
    }
}
