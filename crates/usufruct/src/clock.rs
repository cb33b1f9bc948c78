//! The time: the machine's own, and for the demo one that first walks through the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch::Receiver;
use usufruct_core::Time;
use usufruct_core::ports::Clock;
use usufruct_core::time::{MINUTE, SECOND};
use usufruct_web::Site;

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

/// Looks whether the machine's time goes as time does, until the server stops. After a jump what services say about the time of their
/// proofs means nothing for a while.
pub async fn watch(site: Arc<Site>, mut stopped: Receiver<bool>) {
    let mut before = (stopwatch(), now());
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let after = (stopwatch(), now());
        let jumped = jump(before, after);
        if jumped.abs() > LONGEST_JUMP {
            tracing::warn!(seconds = jumped / SECOND, "the clock jumped; proofs of possession are timed by nonces for a while");
            site.doubt_clock(site.app.now().plus(DOUBT));
        }
        before = after;
    }
}

/// By how many microseconds the time shown went further than the time that passed.
fn jump(before: (Instant, Time), after: (Instant, Time)) -> i64 {
    let passed = i64::try_from(after.0.duration_since(before.0).as_micros()).unwrap_or(i64::MAX);
    after.1.micros().saturating_sub(before.1.micros()).saturating_sub(passed)
}

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);
/// What a clock that is kept in time never does at once.
const LONGEST_JUMP: i64 = 10 * SECOND;
/// How long a jump is in everybody's way.
const DOUBT: i64 = 10 * MINUTE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_what_the_clock_shows_beyond_the_time_that_passed() {
        let (start, shown) = (stopwatch(), Time::from_micros(1_000 * MINUTE));
        let after =
            |passed: u64, moved: i64| jump((start, shown), (start + Duration::from_secs(passed), shown.plus(moved * SECOND)));
        assert_eq!(after(2, 2), 0);
        assert_eq!(after(2, 3_602), 3_600 * SECOND);
        assert_eq!(after(2, -58), -60 * SECOND);
    }
}
