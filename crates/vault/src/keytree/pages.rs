//! Where pages are kept: a file, a database, memory. Nothing secret can be had from pages alone, so copies of them, old or
//! new, are harmless; and without the newest ones the tree is lost.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::page::{Page, PageId};
use crate::error::Result;

/// Keeps pages. One process writes.
pub trait Pages: Send + Sync {
    /// Shows every page there is, in any order.
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()>;

    /// A page, or `None` if it is not there.
    fn read(&self, id: PageId) -> Result<Option<Box<Page>>>;

    /// Adds pages, durable when it returns. After an error or a crash any of them may be there, whole or torn; the others
    /// must be as they were.
    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()>;

    /// Gives back the room of pages that nobody needs any more. They may stay after a crash.
    fn free(&self, ids: &[PageId]) -> Result<()>;
}

impl<P: Pages + ?Sized> Pages for std::sync::Arc<P> {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        (**self).each(show)
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        (**self).read(id)
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        (**self).write(pages)
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        (**self).free(ids)
    }
}

impl<P: Pages + ?Sized> Pages for Box<P> {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        (**self).each(show)
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        (**self).read(id)
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        (**self).write(pages)
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        (**self).free(ids)
    }
}

/// Pages in memory, for tests and demonstrations.
#[derive(Default)]
pub struct MemoryPages(Mutex<BTreeMap<PageId, Box<Page>>>);

impl MemoryPages {
    fn pages(&self) -> MutexGuard<'_, BTreeMap<PageId, Box<Page>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages for MemoryPages {
    fn each(&self, show: &mut dyn FnMut(PageId, &Page) -> Result<()>) -> Result<()> {
        self.pages().iter().try_for_each(|(id, page)| show(*id, page))
    }

    fn read(&self, id: PageId) -> Result<Option<Box<Page>>> {
        Ok(self.pages().get(&id).cloned())
    }

    fn write(&self, pages: &[(PageId, Box<Page>)]) -> Result<()> {
        self.pages().extend(pages.iter().cloned());
        Ok(())
    }

    fn free(&self, ids: &[PageId]) -> Result<()> {
        let mut pages = self.pages();
        ids.iter().for_each(|id| drop(pages.remove(id)));
        Ok(())
    }
}
