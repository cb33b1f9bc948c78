//! How far the key tree has come: what certificates say in public, and what the database notes after each destruction of a root. A root
//! of an earlier epoch was set back, and would open what is destroyed.

use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;
use usufruct_core::register::Register;
use usufruct_store::db::Db;
use usufruct_store::key_epochs;
use usufruct_vault::escrow::Appointment;
use usufruct_vault::roots::{Root, RootSlots};
use usufruct_vault::{Epoch, SlotClass};

use super::outside;
use crate::Error;

/// The epochs that a key tree is known to have reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    certified: u64,
    noted: u64,
}

impl Reached {
    pub(crate) fn of(register: &Register, db: &Db) -> Result<Self, Error> {
        let certified = register.certified_epoch().max(0).unsigned_abs();
        Ok(Self { certified, noted: db.read(key_epochs::reached)? })
    }

    /// No tree of an earlier epoch is opened.
    pub(crate) fn floor(self) -> Epoch {
        Epoch(self.certified.max(self.noted))
    }

    /// Refuses an epoch that is behind: its root would open what is destroyed.
    pub(crate) fn refuse_older(self, epoch: u64) -> Result<(), Error> {
        let words = match (epoch < self.certified, epoch < self.noted) {
            (true, _) => format!("a certificate says that epoch {} was reached", self.certified),
            (false, true) => format!("the database notes that epoch {} was reached", self.noted),
            (false, false) => return Ok(()),
        };
        Err(Error::refused(
            &format!("The key tree is at epoch {epoch}, but {words}."),
            "Its root was set back to an old copy; start from a live replica, or let the keepers bring the newest root back.",
        ))
    }
}

/// Root slots that note in the database how far they have come.
///
/// The note follows the destruction and comes before the erasure is acknowledged. An earlier one would outlive a new root that is lost
/// again while the old one is still there, and then no start would take either. After a crash between the two the next start notes it.
pub(super) struct NotedRoots {
    pub(super) inner: Box<dyn RootSlots>,
    pub(super) db: Db,
}

impl RootSlots for NotedRoots {
    fn class(&self) -> SlotClass {
        self.inner.class()
    }

    fn roots(&self) -> usufruct_vault::Result<Vec<Root>> {
        self.inner.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> usufruct_vault::Result<()> {
        self.inner.put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> usufruct_vault::Result<()> {
        self.inner.keep_only(epoch)?;
        self.db.transaction("note epoch of keys", move |tx| key_epochs::note(tx, epoch.0)).map_err(outside)
    }

    fn statements(&self, epoch: Epoch) -> usufruct_vault::Result<Vec<Destroyed>> {
        self.inner.statements(epoch)
    }

    fn escrow(&self) -> Option<Appointment> {
        self.inner.escrow()
    }

    fn escrow_is_there(&self) -> bool {
        self.inner.escrow_is_there()
    }

    fn heal(&self) -> usufruct_vault::Result<()> {
        self.inner.heal()
    }
}
