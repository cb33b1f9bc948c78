//! The time: the machine's own, and for the demo one that first walks through the past.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use usufruct_core::Time;
use usufruct_core::ports::Clock;

/// The clock of the machine.
pub struct SystemClock;

/// A clock that shows a moment of the past until it is released, and the machine's time from then on.
pub struct DemoClock(AtomicI64);

/// No moment is set.
const RELEASED: i64 = i64::MIN;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        now()
    }
}

impl DemoClock {
    /// A clock that shows the machine's time.
    pub fn released() -> Self {
        Self(AtomicI64::new(RELEASED))
    }

    /// Moves forward to `time`. A time before the present one changes nothing, for no clock goes back.
    pub fn forward(&self, time: Time) {
        self.0.fetch_max(time.micros(), Ordering::SeqCst);
    }

    /// Goes on with the machine's time.
    pub fn release(&self) {
        self.0.store(RELEASED, Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Time {
        match self.0.load(Ordering::SeqCst) {
            RELEASED => now(),
            micros => Time::from_micros(micros),
        }
    }
}

/// The time now.
#[expect(clippy::disallowed_methods, reason = "the composition root is where time comes from")]
pub fn now() -> Time {
    // A machine that believes to be before 1970 gets 1970; `doctor` says so.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A point to measure durations from.
#[expect(clippy::disallowed_methods, reason = "rates are measured for the operator and decide nothing")]
pub fn stopwatch() -> Instant {
    Instant::now()
}
