//! Spread word of one event over some minutes, so that services which compare when they heard of it find no moment in common.
//!
//! What happens is done at once: tokens are dead and data is closed before anybody is told. Only the word of it waits.

use std::sync::atomic::Ordering;

use usufruct_core::Time;
use usufruct_core::hash::hmac_sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::ports::random;
use usufruct_core::time::MINUTE;

use crate::App;

/// How long after an event a service that is there hears of it at the latest, in microseconds.
pub const SPREAD: i64 = 5 * MINUTE;

/// When services hear of what happens now: chance for each of them, and one moment for all that one service is told.
pub(crate) struct Spread {
    salt: [u8; 16],
    within: i64,
}

impl App {
    /// Sets within how many microseconds services hear of what happens to residents. With zero all of them hear at the same moment: for tests that
    /// look at what is told where it happens.
    pub fn spread_word(&self, within: i64) {
        self.spread.store(within, Ordering::SeqCst);
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread { salt: random(self.rng()), within: self.spread.load(Ordering::SeqCst) }
    }
}

impl Spread {
    /// When a service may hear of what happens at `now`; `None` for at once.
    pub fn ready_at(&self, service: &ServiceId, now: Time) -> Option<Time> {
        let within = u64::try_from(self.within).ok().filter(|within| *within > 0)?;
        let chance = hmac_sha256(&self.salt, &[service.as_str().as_bytes()]);
        let first = chance.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Some(now.plus((first % within).cast_signed()))
    }
}
