//! A store that forgets nothing it was ever given, and that ends the process where a test wants it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use crate::error::{Error, Result};
use crate::escrow::{EscrowPlace, HALF};
use crate::keytree::page::{Page, PageId};
use crate::keytree::pages::Pages;
use crate::roots::{Root, RootSlots};
use crate::tree::{Epoch, SlotClass};

/// Pages and roots together.
#[derive(Clone, Default)]
pub(in super::super) struct Sim(Arc<Mutex<Disk>>);

#[derive(Default)]
pub(in super::super) struct Disk {
    pub(in super::super) pages: BTreeMap<PageId, Box<Page>>,
    /// Every page that was ever written, whole or torn.
    pub(in super::super) history: Vec<(PageId, Box<Page>)>,
    pub(in super::super) roots: Vec<Root>,
    pub(in super::super) escrow: Escrow,
    /// How many steps have changed the disk.
    pub(in super::super) steps: usize,
    /// The step at which the process ends, before it or in the middle of it.
    pub(in super::super) end: Option<(usize, Tear)>,
}

/// The two halves of an escrow.
#[derive(Clone)]
pub(in super::super) struct Escrow(pub(in super::super) [[u8; HALF]; 2]);

impl Default for Escrow {
    fn default() -> Self {
        Self([[0; HALF]; 2])
    }
}

/// What becomes of the step at which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Tear {
    Nothing,
    Half,
    All,
}

impl Sim {
    pub(in super::super) fn with_root(root: Root) -> Self {
        let sim = Self::default();
        sim.disk().roots.push(root);
        sim
    }

    pub(in super::super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A second disk like this one.
    pub(in super::super) fn image(&self) -> Self {
        let disk = self.disk();
        let roots = disk.roots.iter().map(Root::copy).collect();
        let (pages, history, escrow) = (disk.pages.clone(), disk.history.clone(), disk.escrow.clone());
        Self(Arc::new(Mutex::new(Disk { pages, history, roots, escrow, steps: 0, end: None })))
    }
}

impl Disk {
    /// One step that changes the disk; `half` is what it leaves when the process ends in the middle of it.
    fn step(&mut self, all: impl FnOnce(&mut Self), half: impl FnOnce(&mut Self)) -> Result<()> {
        self.steps += 1;
        match self.end.filter(|(end, _)| self.steps >= *end) {
            None => {
                all(self);
                return Ok(());
            }
            Some((end, Tear::All)) if self.steps == end => all(self),
            Some((end, Tear::Half)) if self.steps == end => half(self),
            Some(_) => {}
        }
        Err(Error::Stopped)
    }
}

impl Pages for Sim {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        let pages = self.disk().pages.clone();
        pages.iter().try_for_each(|(id, page)| show(*id, page))
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        Ok(self.disk().pages.get(&id).cloned())
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        for (id, page) in pages {
            let mut torn = page.clone();
            torn[2048..].fill(0);
            let keep = |disk: &mut Disk, page: &Page| {
                disk.history.push((*id, Box::new(*page)));
                disk.pages.insert(*id, Box::new(*page));
            };
            self.disk().step(|disk| keep(disk, page), |disk| keep(disk, &torn))?;
        }
        Ok(())
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        for id in ids {
            self.disk().step(|disk| drop(disk.pages.remove(id)), |_| ())?;
        }
        Ok(())
    }
}

impl RootSlots for Sim {
    fn class(&self) -> SlotClass {
        SlotClass::E0
    }

    fn roots(&self) -> Result<Vec<Root>> {
        let mut roots: Vec<Root> = self.disk().roots.iter().map(Root::copy).collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.epoch));
        Ok(roots)
    }

    fn put(&self, root: &Root, _rng: &dyn Rng) -> Result<()> {
        self.disk().step(|disk| disk.roots.push(root.copy()), |_| ())
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        self.disk().step(|disk| disk.roots.retain(|root| root.epoch == epoch), |_| ())
    }

    fn statements(&self, _epoch: Epoch) -> Result<Vec<Destroyed>> {
        Ok(Vec::new())
    }

    fn heal(&self) -> Result<()> {
        Ok(())
    }
}

impl EscrowPlace for Sim {
    fn read(&self) -> Result<[[u8; HALF]; 2]> {
        Ok(self.disk().escrow.0)
    }

    fn write(&self, half: usize, bytes: &[u8; HALF]) -> Result<()> {
        let torn = |disk: &mut Disk| disk.escrow.0[half][..HALF / 2].copy_from_slice(&bytes[..HALF / 2]);
        self.disk().step(|disk| disk.escrow.0[half] = *bytes, torn)
    }
}
