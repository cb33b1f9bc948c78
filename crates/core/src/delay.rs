//! Delay: the second chain of a resident, for lines that a covert mandate shows her later, and the weeks on which they open.
//!
//! A line that is delayed stands in no place of her own chain, where a gap would tell of it. It is numbered within the week on which it
//! opens, and found there by a key that she gets when that week begins. The keys of the weeks hang on one seed of hers: the seed of a week
//! gives those of all weeks before it and of none after it, so one value that she was told at the beginning binds all of them.
//! The source of the rule is governance 3.3, invariant 3: nothing is written when a line opens.

use crate::Time;
use crate::hash::{hmac_sha256, sha256};
use crate::time::{DAY, HOUR};

/// A week in Taipei from Monday to Sunday, counted from that of 5 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Week(pub u32);

/// The first number that is no place in a resident's own chain: a delayed event has `week × 2^32 +` its place in the week.
pub const FIRST_NUMBER: u64 = 1 << 32;

/// The week whose seed is the first of a resident's chain, in January 2070. No line can open after it.
pub const LAST: Week = Week(5_218);

/// The least number of days that a mandate may delay: from then on there is a Monday between a use and its day, whenever it happens.
pub const SHORTEST_DAYS: i64 = 7;

const WEEK: i64 = 7 * DAY;
/// The first moment of week 0.
const BEGIN: i64 = 4 * DAY - 8 * HOUR;

impl Week {
    /// The week in which a moment lies. What lies before week 0 counts to it.
    pub fn of(at: Time) -> Self {
        Self(u32::try_from((at.micros() - BEGIN).div_euclid(WEEK)).unwrap_or(0))
    }

    /// Its first moment: Monday, midnight in Taipei.
    pub fn begins(self) -> Time {
        Time::from_micros(i64::from(self.0) * WEEK + BEGIN)
    }

    /// The week after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// On which a line opens that was written at `at` under a mandate that delays by `max_days`: the last that begins within these days. `None`
    /// where that lies after [`LAST`].
    pub fn opening(at: Time, max_days: i64) -> Option<Self> {
        Some(Self::of(at.plus(max_days.saturating_mul(DAY)))).filter(|week| *week <= LAST)
    }

    /// The number of its first event.
    pub fn first_number(self) -> u64 {
        u64::from(self.0) << 32
    }

    /// The week on which the event with this number opens; `None` for one in the resident's own chain.
    pub fn of_number(n: u64) -> Option<Self> {
        // INVARIANT: a number of 64 bits without its lower 32 has 32.
        (n >= FIRST_NUMBER).then_some(Self((n >> 32) as u32))
    }
}

/// From when on a resident sees the line with this number; `None` where that is at once.
pub fn visible_from(n: u64) -> Option<Time> {
    Week::of_number(n).map(Week::begins)
}

/// The seed of the week before the one with this seed.
pub fn seed_before(seed: &[u8; 32]) -> [u8; 32] {
    sha256(&[b"usufruct/delay-seed/v1", &seed[..]].concat()).0
}

/// The seed of `week`, where that of the later or same week `known` is `seed`. `None` for a week after that.
pub fn seed_of(week: Week, known: Week, seed: &[u8; 32]) -> Option<[u8; 32]> {
    let steps = known.0.checked_sub(week.0)?;
    Some((0..steps).fold(*seed, |seed, _| seed_before(&seed)))
}

/// The key of the tags of a week's events.
pub fn tag_key(seed: &[u8; 32]) -> [u8; 32] {
    hmac_sha256(seed, &[b"usufruct/delayed-tag/v1"])
}

/// The key that seals a week's lines: of two parents, so that neither who holds the footprint key opens one before its day, nor who learns
/// the seed of the week opens one without that key.
pub fn line_key(footprint_key: &[u8; 32], seed: &[u8; 32]) -> [u8; 32] {
    hmac_sha256(footprint_key, &[b"usufruct/delayed-line/v1", seed])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_opens_after_it_was_written_and_within_its_days(at in 0i64..2_900_000_000_000_000, days in SHORTEST_DAYS..181) {
            let at = Time::from_micros(at);
            let week = Week::opening(at, days).unwrap();
            let waits = week.begins().micros() - at.micros();
            prop_assert!(0 < waits && waits <= days * DAY);
            // The next one would be too late: nobody waits a week longer, or less, than he has to.
            prop_assert!(week.next().begins().micros() - at.micros() > days * DAY);
            prop_assert_eq!(Week::of(week.begins()), week);
            prop_assert_eq!(Week::of(week.begins().plus(-1)).next(), week);
        }

        #[test]
        fn a_seed_gives_every_earlier_one_and_no_later_one(seed in any::<[u8; 32]>(), known in 1u32..5_000, back in 0u32..400) {
            let known = Week(known);
            let week = Week(known.0.saturating_sub(back));
            let earlier = seed_of(week, known, &seed).unwrap();
            prop_assert_eq!(seed_of(Week(0), week, &earlier), seed_of(Week(0), known, &seed));
            prop_assert_eq!(seed_of(known.next(), known, &seed), None);
        }

        #[test]
        fn a_number_says_its_week_and_place(week in 1u32..6_000, place in any::<u32>()) {
            let n = Week(week).first_number() + u64::from(place);
            prop_assert_eq!(Week::of_number(n), Some(Week(week)));
            prop_assert_eq!(visible_from(n), Some(Week(week).begins()));
        }
    }

    #[test]
    fn weeks_are_those_of_the_calendar_in_taipei() {
        // 30 November 2026 is a Monday.
        let monday: Time = "2026-11-30".parse().unwrap();
        assert_eq!(Week::of(monday).begins(), monday);
        assert_eq!(Week::of(monday.plus(-1)).next(), Week::of(monday));
        assert_eq!(LAST.begins().day(), "2070-01-06");
        assert_eq!(Week::opening("2069-12-31".parse().unwrap(), 30), None);
        assert_eq!((Week::of_number(FIRST_NUMBER - 1), visible_from(7)), (None, None));
    }
}
