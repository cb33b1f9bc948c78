//! A commit of the key tree that ends in the middle: pages and roots that take so many writes and no more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use usufruct_app::vault::keytree::{Page, PageFile, PageId, PageTree, Pages};
use usufruct_app::vault::roots::{Disk, FileRoots, Root, RootSlots};
use usufruct_app::vault::{Epoch, Error, KeyId, KeyTree, Result, SlotClass};
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use crate::common::SeededRng;

/// What becomes of the write at which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Half a page; of a root nothing.
    Half,
    /// All of it, and nobody is told.
    Whole,
}

/// Destroys the key of a month, and ends at write number `step`, counted from 1. Answers whether it was whole before that.
pub fn end_month(folder: &Path, mandate: u64, month: u16, step: i64, tear: Tear) -> bool {
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let (pages, roots) = (PageFile::open(folder).unwrap(), FileRoots::open(folder, Disk::Any).unwrap());
    let ending = |left: &Arc<AtomicI64>| (Arc::clone(left), tear);
    let tree = PageTree::open(Ending(pages, ending(&left)), Ending(roots, ending(&left))).unwrap();
    left.store(step - 1, Ordering::SeqCst);
    tree.erase(&[KeyId::Month { mandate, month }], &[], SeededRng::new(step.cast_unsigned()).as_ref()).is_ok()
}

/// Pages or roots that end after some writes.
struct Ending<T>(T, (Arc<AtomicI64>, Tear));

impl<T> Ending<T> {
    /// One write; `half` is what it leaves when it is torn.
    fn step(&self, all: impl FnOnce(&T) -> Result<()>, half: impl FnOnce(&T) -> Result<()>) -> Result<()> {
        let (left, tear) = &self.1;
        match left.fetch_sub(1, Ordering::SeqCst) {
            1.. => return all(&self.0),
            0 if *tear == Tear::Whole => all(&self.0)?,
            0 => half(&self.0)?,
            _ => {}
        }
        Err(Error::Stopped)
    }
}

impl Pages for Ending<PageFile> {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        self.0.each(show)
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        self.0.read(id)
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        for (id, page) in pages {
            let mut torn = page.clone();
            torn[2_048..].fill(0);
            self.step(|file| file.write(&[(*id, page.clone())]), |file| file.write(&[(*id, torn.clone())]))?;
        }
        Ok(())
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        ids.iter().try_for_each(|id| self.step(|file| file.free(&[*id]), |_| Ok(())))
    }
}

impl RootSlots for Ending<FileRoots> {
    fn class(&self) -> SlotClass {
        self.0.class()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.0.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        self.step(|file| file.put(root, rng), |_| Ok(()))
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        self.step(|file| file.keep_only(epoch), |_| Ok(()))
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        self.0.statements(epoch)
    }

    fn heal(&self) -> Result<()> {
        self.0.heal()
    }
}
