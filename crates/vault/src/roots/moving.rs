//! A root on its way from one place to another: it is put into the new place too, the next one is put there alone, and then the old place is
//! emptied.

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
    /// Puts the newest root of the first place into the second, if that has none so new: a keeper destroys nothing by order of a city
    /// that never gave it anything.
    pub fn open(from: Box<dyn RootSlots>, to: Box<dyn RootSlots>, rng: &dyn Rng) -> Result<Self> {
        let (here, there) = (from.roots().unwrap_or_default(), to.roots().unwrap_or_default());
        if let Some(newest) = here.first()
            && there.iter().all(|root| root.epoch < newest.epoch)
        {
            to.put(newest, rng)?;
        }
        Ok(Self { from, to })
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
