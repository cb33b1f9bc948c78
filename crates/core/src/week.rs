//! Weeks, as messages to residents count them.

use crate::Time;
use crate::time::{DAY, HOUR};

/// A week in Taipei from Monday to Sunday, counted from the one that began on 5 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week(pub i64);

/// Microseconds of a week: Taipei has no daylight saving.
const LENGTH: i64 = 7 * DAY;
/// The first moment of week 0: Monday 5 January 1970 in Taipei, eight hours ahead of UTC.
const FIRST: i64 = 4 * DAY - 8 * HOUR;

impl Week {
    /// The week of a moment.
    pub fn of(time: Time) -> Self {
        Self(time.micros().saturating_sub(FIRST).div_euclid(LENGTH))
    }

    /// Its first moment.
    pub fn begins(self) -> Time {
        Time::from_micros(self.0.saturating_mul(LENGTH).saturating_add(FIRST))
    }

    /// The first moment after it.
    pub fn ends(self) -> Time {
        Self(self.0.saturating_add(1)).begins()
    }

    /// The week before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_in_taipei() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        assert_eq!(Week(0).begins(), at("1970-01-05"));
        // 30 November 2026 is a Monday.
        let week = Week::of(at("2026-11-30"));
        assert_eq!((week.begins(), week.ends()), (at("2026-11-30"), at("2026-12-07")));
        assert_eq!(Week::of(at("2026-12-06T15:59:59.999999Z")), week);
        assert_eq!(Week::of(at("2026-11-29T15:59:59.999999Z")), week.before());
        assert_eq!(Week::of(at("2026-11-29T16:00:00Z")), week);
    }
}
