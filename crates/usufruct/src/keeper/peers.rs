//! The other keepers of the same root, as a keeper asks them where they stand.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use usufruct_app::vault::keeper::{Keeper, OneTimeKeys};
use usufruct_app::vault::{Result, scrub};
use usufruct_core::keeper::Counter;
use usufruct_core::ports::{Rng, random};

use super::link::Line;
use crate::clock;

/// The lines to the other keepers.
pub struct Peers(Vec<Arc<Line>>);

impl Peers {
    pub fn new(lines: Vec<Arc<Line>>) -> Self {
        Self(lines)
    }

    /// A nonce of its own for this one question, and what those that can be reached answer to it. Nothing is checked here.
    pub fn ask(&self, rng: &dyn Rng) -> ([u8; 16], Vec<Counter>) {
        let nonce: [u8; 16] = random(rng);
        let answers = thread::scope(|scope| {
            let calls: Vec<_> = self.0.iter().map(|line| scope.spawn(move || line.counter(&nonce))).collect();
            calls.into_iter().filter_map(|call| call.join().ok()?.ok()).collect()
        });
        (nonce, answers)
    }

    /// Asks whenever `keeper` would not know that it is an old copy of itself, as after a start, or is told that it is one.
    /// Keys whose time is over are forgotten meanwhile. Never returns.
    pub fn settle(&self, keeper: &Keeper, keys: &OneTimeKeys, rng: &dyn Rng) {
        let mut pause = FIRST_PAUSE;
        loop {
            if !keeper.is_settled() {
                let (nonce, answers) = self.ask(rng);
                if let Err(error) = compare(keeper, &nonce, &answers) {
                    tracing::error!(%error, "what is over could not be destroyed, and will be tried again");
                }
            }
            keys.expire(clock::stopwatch());
            scrub();
            thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

fn compare(keeper: &Keeper, nonce: &[u8; 16], answers: &[Counter]) -> Result<()> {
    let was_fresh = keeper.standing().is_fresh;
    keeper.compare(nonce, answers)?;
    let standing = keeper.standing();
    if standing.is_fresh && !was_fresh {
        tracing::info!(counter = standing.counter.0, told = standing.told.0, "another keeper has answered");
    }
    Ok(())
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
