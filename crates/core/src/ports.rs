//! The two things the law never has of its own: the time and chance.

use crate::Time;

/// Tells the time. Implemented by the system clock in the binary and by a settable clock in tests.
pub trait Clock: Send + Sync {
    /// The time now, UTC, in microseconds.
    fn now(&self) -> Time;
}

/// A cryptographically secure source of random bytes. Tests use a seeded one.
pub trait Rng: Send + Sync {
    /// Fills `bytes` with random bytes. Implementations end the process when the system has no randomness to give.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes from `rng`.
pub fn random<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}
