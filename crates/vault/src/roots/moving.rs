//! A root on its way from one place to another: the next one is put into the new place, and then the old place is emptied.

use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use super::{Root, RootSlots};
use crate::error::Result;
use crate::escrow::Appointment;
use crate::tree::{Epoch, SlotClass};

/// Two places, of which the second gets every new root. Once a new epoch has begun, the first holds nothing any more. A crash in
/// between leaves a tree that opens from the two again.
pub struct MovingRoots {
    from: Box<dyn RootSlots>,
    to: Box<dyn RootSlots>,
}

impl MovingRoots {
    pub fn new(from: Box<dyn RootSlots>, to: Box<dyn RootSlots>) -> Self {
        Self { from, to }
    }
}

impl RootSlots for MovingRoots {
    fn class(&self) -> SlotClass {
        self.to.class()
    }

    /// What either place has. One of them may be empty, which is no error here.
    fn roots(&self) -> Result<Vec<Root>> {
        let (mut roots, to) = match (self.from.roots(), self.to.roots()) {
            (Err(error), Err(_)) => return Err(error),
            (from, to) => (from.unwrap_or_default(), to.unwrap_or_default()),
        };
        roots.extend(to);
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        self.to.put(root, rng)
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        self.to.keep_only(epoch)?;
        self.from.keep_only(epoch)
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        self.to.statements(epoch)
    }

    fn heal(&self) -> Result<()> {
        self.to.heal()
    }

    fn escrow(&self) -> Option<Appointment> {
        self.to.escrow()
    }

    fn escrow_is_there(&self) -> bool {
        self.to.escrow_is_there()
    }
}
