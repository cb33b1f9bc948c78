//! A share on its way between city and keeper. It is sealed (HPKE) for a key that whoever receives it has made for this one message and
//! forgets with it: buffers of the network are not ours to overwrite, and what stays in them opens for nobody.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use usufruct_core::Digest;
use usufruct_core::ports::Rng;

use super::Share;
use crate::error::{Error, Result};
use crate::hpke::{self, PrivateKey, PublicKey};
use crate::tree::Epoch;

/// Bytes of a sealed share: the encapsulated key, the share, the tag.
pub const SEALED: usize = 32 + hpke::OVERHEAD;

/// Where a share goes. One that was sealed for the one way opens on no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    ToKeeper,
    ToCity,
}

/// What is said of a share in clear beside it, and bound by the seal.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub vault: &'a str,
    pub epoch: Epoch,
    /// Where it lies on the polynomials.
    pub x: u8,
    /// Commitment to the root.
    pub check: &'a Digest,
}

impl Facts<'_> {
    fn bytes(&self) -> Vec<u8> {
        let length = (self.vault.len() as u64).to_be_bytes();
        [&length[..], self.vault.as_bytes(), &self.epoch.0.to_be_bytes(), &[self.x], &self.check.0].concat()
    }
}

impl Bound {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::ToKeeper => b"usufruct/share-to-keeper/v1",
            Self::ToCity => b"usufruct/share-to-city/v1",
        }
    }

    /// Seals a share for the one-time key of whoever it goes to.
    pub fn seal(self, to: &PublicKey, facts: &Facts<'_>, share: &Share, rng: &dyn Rng) -> [u8; SEALED] {
        let bytes = hpke::seal(to, self.info(), &facts.bytes(), &share.y, rng);
        // INVARIANT: a seal is longer than what it seals by always the same.
        bytes.try_into().expect("a sealed share has its length")
    }

    /// Opens a share, and ends the key with it.
    pub fn open(self, key: OneTimeKey, facts: &Facts<'_>, sealed: &[u8; SEALED]) -> Result<Share> {
        let plain = hpke::open(&key.0, self.info(), &facts.bytes(), sealed)?;
        let y = plain[..].try_into().map_err(|_| Error::Unreadable)?;
        Ok(Share { x: facts.x, y })
    }
}

/// The private half of a key for one share. Opening takes it.
pub struct OneTimeKey(Box<PrivateKey>);

impl OneTimeKey {
    /// A new key.
    pub fn random(rng: &dyn Rng) -> Self {
        Self(PrivateKey::boxed(rng))
    }

    /// What the share is to be sealed to.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }
}

/// The keys that a keeper has given out and that nobody has used yet. A few at a time: the oldest one makes room.
#[derive(Default)]
pub struct OneTimeKeys(Mutex<VecDeque<Given>>);

struct Given {
    public: PublicKey,
    private: OneTimeKey,
    made: Instant,
}

impl OneTimeKeys {
    /// The public half of a new key.
    pub fn give(&self, now: Instant, rng: &dyn Rng) -> PublicKey {
        let private = OneTimeKey::random(rng);
        let public = private.public();
        self.expire(now);
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.truncate(MOST - 1);
        keys.push_front(Given { public, private, made: now });
        public
    }

    /// The key with this public half, which is not here any more afterwards. `None` if it never was, was used, or is too old.
    pub fn take(&self, public: &PublicKey, now: Instant) -> Option<OneTimeKey> {
        self.expire(now);
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = keys.iter().position(|key| key.public == *public)?;
        keys.remove(place).map(|key| key.private)
    }

    /// Forgets the keys whose time is over. To be called now and then, when nobody asks for any.
    pub fn expire(&self, now: Instant) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|key| now.saturating_duration_since(key.made) < LIFE);
    }
}

/// Keys at a time. Beside a running city its own commands may ask.
const MOST: usize = 16;
/// A share follows at once, or not at all.
const LIFE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    const CHECK: Digest = Digest([5; 32]);
    const FACTS: Facts<'_> = Facts { vault: "city.test/log", epoch: Epoch(7), x: 2, check: &CHECK };

    #[expect(clippy::disallowed_methods, reason = "a point to count from; nothing waits here")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_key_opens_once_and_not_for_long() {
        let (rng, keys, start) = (Seeded::new(1), OneTimeKeys::default(), start());
        let public = keys.give(start, &rng);
        let sealed = Bound::ToKeeper.seal(&public, &FACTS, &Share { x: 2, y: [9; 32] }, &rng);
        let share = Bound::ToKeeper.open(keys.take(&public, start).unwrap(), &FACTS, &sealed).unwrap();
        assert_eq!((share.x, share.y), (2, [9; 32]));
        assert!(keys.take(&public, start).is_none(), "once");

        let public = keys.give(start, &rng);
        assert!(keys.take(&public, start + LIFE).is_none(), "too late");
        let public = keys.give(start, &rng);
        keys.expire(start + LIFE);
        assert!(keys.take(&public, start).is_none(), "it is gone although nobody asked for it in time");

        let all: Vec<PublicKey> = (0..MOST + 3).map(|_| keys.give(start, &rng)).collect();
        let open: Vec<bool> = all.iter().map(|public| keys.take(public, start).is_some()).collect();
        assert_eq!(open, [vec![false; 3], vec![true; MOST]].concat(), "the newest ones");
    }

    #[test]
    fn a_seal_binds_the_way_and_what_is_said_beside_it() {
        let rng = Seeded::new(2);
        let key = || OneTimeKey::random(&Seeded::new(3));
        let share = Share { x: 2, y: [9; 32] };
        let sealed = Bound::ToKeeper.seal(&key().public(), &FACTS, &share, &rng);
        assert!(Bound::ToKeeper.open(key(), &FACTS, &sealed).is_ok());
        assert!(!sealed.windows(8).any(|bytes| bytes == [9; 8]));
        let other = Digest([6; 32]);
        for facts in [
            Facts { vault: "other.test/log", ..FACTS },
            Facts { epoch: Epoch(8), ..FACTS },
            Facts { x: 3, ..FACTS },
            Facts { check: &other, ..FACTS },
        ] {
            assert!(matches!(Bound::ToKeeper.open(key(), &facts, &sealed), Err(Error::Unreadable)), "{facts:?}");
        }
        assert!(matches!(Bound::ToCity.open(key(), &FACTS, &sealed), Err(Error::Unreadable)));
        assert!(matches!(Bound::ToKeeper.open(OneTimeKey::random(&rng), &FACTS, &sealed), Err(Error::Unreadable)));
    }
}
