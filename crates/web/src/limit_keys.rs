//! Whom a limiter tells apart, in bounded memory: so many by themselves, those who come later with their neighbours, and the rest together.
//! Nobody who is counted is forgotten for the sake of somebody else, so a flood of addresses forgives no one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use usufruct_core::id::ServiceId;

/// Somebody who can be counted with others.
pub(crate) trait Countable: Clone + Eq + Hash {
    /// The neighbourhood.
    fn wide(&self) -> Self;

    /// Everybody.
    fn widest(&self) -> Self;
}

impl Countable for IpAddr {
    /// What a provider of some size has: a /16, and a /32 of IPv6.
    fn wide(&self) -> Self {
        match self {
            Self::V4(v4) => Self::V4((v4.to_bits() & (u32::MAX << 16)).into()),
            Self::V6(v6) => Self::V6((v6.to_bits() & (u128::MAX << 96)).into()),
        }
    }

    fn widest(&self) -> Self {
        Self::V4(Ipv4Addr::UNSPECIFIED)
    }
}

impl Countable for ServiceId {
    /// Services are counted when they have proven themselves, so there are as many as the register names.
    fn wide(&self) -> Self {
        self.clone()
    }

    fn widest(&self) -> Self {
        self.clone()
    }
}

/// The counters of a limiter.
pub(crate) struct Keys<K> {
    most: usize,
    most_wide: usize,
    counters: Mutex<Counters<K>>,
}

struct Counters<K> {
    own: HashMap<K, Nanos>,
    wide: HashMap<K, Nanos>,
}

impl<K: Countable> Keys<K> {
    /// Counters for `most` by themselves and `most_wide` neighbourhoods.
    pub fn new(most: usize, most_wide: usize) -> Self {
        Self { most, most_wide, counters: Mutex::new(Counters { own: HashMap::new(), wide: HashMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Counters<K>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Countable> StateStore for Keys<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut counters = self.lock();
        let Counters { own, wide } = &mut *counters;
        let (among, key) = if own.contains_key(key) || own.len() < self.most {
            (own, key.clone())
        } else {
            let neighbours = key.wide();
            let has_place = wide.contains_key(&neighbours) || wide.len() < self.most_wide;
            (wide, if has_place { neighbours } else { key.widest() })
        };
        let (outcome, state) = measure(among.get(&key).copied())?;
        among.insert(key, state);
        Ok(outcome)
    }
}

impl<K: Countable> ShrinkableKeyedStateStore<K> for Keys<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut counters = self.lock();
        let Counters { own, wide } = &mut *counters;
        for among in [own, wide] {
            among.retain(|_, state| *state > drop_below);
        }
    }

    fn len(&self) -> usize {
        let counters = self.lock();
        counters.own.len() + counters.wide.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use governor::middleware::NoOpMiddleware;
    use governor::{Quota, RateLimiter};

    use super::*;

    type Limiter = RateLimiter<IpAddr, Keys<IpAddr>, FakeRelativeClock, NoOpMiddleware<Nanos>>;

    const MOST: usize = 10;
    const MOST_WIDE: usize = 3;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_forgives_nobody() {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_second(NonZeroU32::MIN).allow_burst(NonZeroU32::new(2).unwrap());
        let limiter: Limiter = RateLimiter::new(quota, Keys::new(MOST, MOST_WIDE), clock.clone());
        let is_let_in = |from: &str| limiter.check_key(&address(from)).is_ok();
        let guesser = "203.0.113.0";
        assert!(is_let_in(guesser) && is_let_in(guesser) && !is_let_in(guesser));
        for n in 0..10_000_u32 {
            let _ = limiter.check_key(&IpAddr::V4((0x0a00_0000 + ((n % 256) << 8)).into()));
            let _ = limiter.check_key(&IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(n) << 72).into()));
        }
        assert!(!is_let_in(guesser), "who was over the limit is over it still");
        // Those who come now are counted with their neighbours, and at last with everybody.
        assert!(!is_let_in("10.0.250.0") && !is_let_in("2001:db8:ffff::"), "neighbours of the flood");
        assert!(is_let_in("198.51.100.0") && is_let_in("198.51.101.0") && !is_let_in("198.51.102.0"), "other neighbours");
        assert!(is_let_in("192.0.2.0") && is_let_in("2001:db9::") && !is_let_in("172.16.0.0"), "the rest");
        for n in 0..10_000_u32 {
            let _ = limiter.check_key(&IpAddr::V4((n << 16).into()));
        }
        assert_eq!(limiter.len(), MOST + MOST_WIDE + 1);
        assert!(!is_let_in(guesser));
        // When it is over, everybody is told apart again.
        clock.advance(Duration::from_secs(5));
        limiter.retain_recent();
        assert!(limiter.is_empty());
        assert!(is_let_in("10.0.250.0") && is_let_in("10.0.251.0") && is_let_in(guesser));
    }

    #[test]
    fn whoever_is_counted_already_keeps_a_counter_of_her_own() {
        let quota = Quota::per_second(NonZeroU32::MIN).allow_burst(NonZeroU32::new(3).unwrap());
        let limiter: Limiter = RateLimiter::new(quota, Keys::new(1, 1), FakeRelativeClock::default());
        let (her, other, third) = (address("192.0.2.0"), address("192.0.3.0"), address("192.0.4.0"));
        assert!(limiter.check_key(&her).is_ok());
        for _ in 0..3 {
            assert!(limiter.check_key(&other).is_ok());
        }
        assert!(limiter.check_key(&third).is_err(), "the same neighbourhood");
        assert!(limiter.check_key(&her).is_ok(), "her own");
    }
}
