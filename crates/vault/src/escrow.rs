//! Escrow of the root with officers, which ends with each period (erasure.md 1.4): disaster recovery that undoes no erasure for
//! longer than a period.
//!
//! Each officer has a key for the present period. The newest root is split, each share is sealed to one officer's key, and all
//! of it lies in one place that is overwritten with every new root. Copies of that place open while the officers have the keys
//! of their period, and never again once enough of them have destroyed those. The city has public keys only.
//!
//! ```text
//! half e mod 2   the sealed root of epoch e, 4,096 bytes; zeros when it is wiped
//! ```
//! | step of an erasure | the escrow holds |
//! |---|---|
//! | new pages written | epoch e |
//! | new root sealed beside the old one, then put into its slots | e and e + 1 |
//! | old sealed root wiped, then the old root destroyed in its slots | e + 1 |

mod hand;
mod officer;
mod place;
mod sealed;

use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use crate::error::{Error, Result};
use crate::hpke::PublicKey;
use crate::keeper::commit_root;
use crate::roots::{Root, RootSlots};
use crate::tree::{Epoch, SlotClass};

pub use hand::{HandedShare, recover};
pub use officer::OfficerFile;
pub use place::{EscrowFile, EscrowPlace};
pub use sealed::{HALF, Sealed, sealed_roots};

/// Root slots whose newest root is always in escrow as well.
pub struct EscrowedRoots<R> {
    inner: R,
    place: Box<dyn EscrowPlace>,
    vault: String,
    officers: Officers,
}

/// The officers of a period: the one at place i has number i + 1 and the share of that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officers {
    period: u32,
    threshold: u8,
    keys: Vec<PublicKey>,
}

/// What may be known of an escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// The period whose keys open it.
    pub period: u32,
    pub officers: u8,
    /// So many of them bring the root back.
    pub threshold: u8,
}

impl Officers {
    /// Refuses a threshold that one officer reaches alone or that all together do not reach, and a key that stands there twice.
    pub fn new(period: u32, threshold: u8, keys: Vec<PublicKey>) -> Result<Self> {
        if threshold < 2 || keys.len() > MOST_OFFICERS {
            return Err(Error::Escrow { what: "it needs a threshold of two or more, and has room for 16 officers" });
        }
        if keys.len() < usize::from(threshold) {
            return Err(Error::TooFewOfficers { given: keys.len(), needed: usize::from(threshold) });
        }
        if keys.iter().enumerate().any(|(place, key)| keys[..place].contains(key)) {
            return Err(Error::Escrow { what: "two officers have the same key" });
        }
        Ok(Self { period, threshold, keys })
    }

    pub fn appointment(&self) -> Appointment {
        // INVARIANT: there are at most 16.
        let officers = u8::try_from(self.keys.len()).expect("there are at most 16 officers");
        Appointment { period: self.period, officers, threshold: self.threshold }
    }
}

impl<R: RootSlots> EscrowedRoots<R> {
    /// Puts the roots that can be had now in escrow, where they are not yet or are with other officers or for another period.
    /// Which of two counts is known when the pages are opened; until then both are kept.
    pub fn open(inner: R, place: Box<dyn EscrowPlace>, vault: &str, officers: Officers, rng: &dyn Rng) -> Result<Self> {
        let escrowed = Self { inner, place, vault: vault.to_owned(), officers };
        let roots = escrowed.inner.roots()?;
        for root in roots.iter().take(2).rev() {
            let check = commit_root(vault, root.epoch, &root.secret);
            if escrowed.held(root.epoch)?.is_none_or(|held| held.check != check) {
                escrowed.seal(root, rng)?;
            }
        }
        Ok(escrowed)
    }

    fn seal(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        let Officers { period, threshold, keys } = &self.officers;
        let sealed = Sealed::seal(&self.vault, root, *period, *threshold, keys, rng);
        self.place.write(half(root.epoch), &sealed.encode())
    }

    /// The sealed root of an epoch, if the present officers can open it.
    fn held(&self, epoch: Epoch) -> Result<Option<Sealed>> {
        let halves = self.place.read()?;
        // What does not parse is what a crash tore, or is nothing.
        let held = Sealed::parse(&halves[half(epoch)]).ok().flatten();
        Ok(held.filter(|held| {
            held.vault == self.vault
                && held.epoch == epoch
                && held.period == self.officers.period
                && held.threshold == self.officers.threshold
                && held.keys().eq(self.officers.keys.iter())
        }))
    }
}

impl<R: RootSlots> RootSlots for EscrowedRoots<R> {
    fn class(&self) -> SlotClass {
        self.inner.class()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.inner.roots()
    }

    /// First in escrow, so that no root ever counts that is not there.
    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        self.seal(root, rng)?;
        self.inner.put(root, rng)
    }

    /// First in escrow, so that an erasure that is acknowledged is one there too.
    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        if self.held(epoch)?.is_none() {
            return Err(Error::Escrow { what: "it does not hold the root that counts" });
        }
        let other = 1 - half(epoch);
        if self.place.read()?[other].iter().any(|byte| *byte != 0) {
            self.place.write(other, &[0; HALF])?;
        }
        self.inner.keep_only(epoch)
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        self.inner.statements(epoch)
    }

    fn heal(&self) -> Result<()> {
        self.inner.heal()
    }

    fn escrow(&self) -> Option<Appointment> {
        Some(self.officers.appointment())
    }

    fn escrow_is_there(&self) -> bool {
        self.place.is_there()
    }
}

/// Where the sealed root of an epoch lies.
const fn half(epoch: Epoch) -> usize {
    (epoch.0 % 2) as usize
}

/// The format has room for so many.
pub(crate) const MOST_OFFICERS: usize = 16;

#[cfg(test)]
mod tests;
