//! Where the root of the key tree is kept: the one thing that must be destroyed for an erasure to be one.

mod file;
mod keepers;
mod moving;
#[cfg(feature = "pkcs11")]
mod token;

use usufruct_core::ports::Rng;

use crate::error::Result;
use crate::escrow::Appointment;
use crate::tree::{Epoch, Key, SlotClass};
use usufruct_core::keeper::Destroyed;

pub use crate::disk::{Disk, check_disk};
pub use file::FileRoots;
pub(crate) use keepers::choices;
pub use keepers::{KeeperRoots, Link, Seat};
pub use moving::MovingRoots;
#[cfg(feature = "pkcs11")]
pub use token::{Pin, TokenPlace, TokenRoots};

/// A root and its epoch.
pub struct Root {
    /// How many erasures there were before it.
    pub epoch: Epoch,
    /// Opens the top page.
    pub secret: Key,
}

/// A place that keeps the root of an epoch and forgets the one before.
///
/// For a moment both are there: the next root is put beside the current one, then all others are destroyed. Whoever finds
/// two after a crash takes the newest whose pages are whole, and destroys the other before anything is served.
pub trait RootSlots: Send + Sync {
    /// What kind of place it is; the certificate prints it.
    fn class(&self) -> SlotClass;

    /// The roots that can be had now, highest epoch first. None at all is an error: then the tree is lost or the place is not
    /// the right one.
    fn roots(&self) -> Result<Vec<Root>>;

    /// Puts a root beside the current one, durable when it returns. After an error it may or may not be there.
    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()>;

    /// Destroys every root but that of `epoch`. When it returns, no other can be had any more, by anybody.
    fn keep_only(&self, epoch: Epoch) -> Result<()>;

    /// What those who destroyed the roots before `epoch` have signed; empty where nobody signs.
    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>>;

    /// Whom the newest root is in escrow with as well; `None` without an escrow.
    fn escrow(&self) -> Option<Appointment> {
        None
    }

    /// Whether the escrow is still where it was opened. Without an escrow nothing is missing.
    fn escrow_is_there(&self) -> bool {
        true
    }

    /// Gives the newest root back to those who should hold it and do not, where others can. Called now and then.
    fn heal(&self) -> Result<()>;
}

impl Root {
    /// A second copy, where the root really lives twice.
    pub(crate) fn copy(&self) -> Self {
        Self { epoch: self.epoch, secret: self.secret.copy() }
    }
}

/// A root in memory, for tests and demonstrations. It proves nothing about the memory.
#[derive(Default)]
pub struct MemoryRoots(std::sync::Mutex<Vec<Root>>);

impl MemoryRoots {
    /// A place with a first root.
    pub fn new(first: Root) -> Self {
        Self(std::sync::Mutex::new(vec![first]))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Root>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl RootSlots for MemoryRoots {
    fn class(&self) -> SlotClass {
        SlotClass::E0
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let mut roots: Vec<Root> = self.all().iter().map(Root::copy).collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    fn put(&self, root: &Root, _rng: &dyn Rng) -> Result<()> {
        self.all().push(root.copy());
        Ok(())
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        self.all().retain(|root| root.epoch == epoch);
        Ok(())
    }

    fn statements(&self, _epoch: Epoch) -> Result<Vec<Destroyed>> {
        Ok(Vec::new())
    }

    fn heal(&self) -> Result<()> {
        Ok(())
    }
}

impl<R: RootSlots + ?Sized> RootSlots for Box<R> {
    fn class(&self) -> SlotClass {
        (**self).class()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        (**self).roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        (**self).put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        (**self).keep_only(epoch)
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        (**self).statements(epoch)
    }

    fn escrow(&self) -> Option<Appointment> {
        (**self).escrow()
    }

    fn escrow_is_there(&self) -> bool {
        (**self).escrow_is_there()
    }

    fn heal(&self) -> Result<()> {
        (**self).heal()
    }
}
