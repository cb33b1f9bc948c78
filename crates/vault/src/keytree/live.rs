//! The tree as it stands: the upper pages open in memory, the pages of keys where they are stored.

use std::collections::HashMap;

use super::page::{Cells, PageId};
use super::pages::Pages;
use super::place::{Segment, cell_of, page_of};
use super::top::Top;
use crate::error::{Error, Result};
use crate::handles::Handles;
use crate::tree::{Epoch, Key};

/// What readers see.
pub(super) struct Live {
    pub(super) epoch: Epoch,
    pub(super) top: Top,
    pub(super) top_id: PageId,
    /// The pages above the keys, by level and index.
    pub(super) inner: HashMap<(u32, u64), Inner>,
    /// Which writing of each page of keys counts, by level and index.
    pub(super) leaves: HashMap<(u32, u64), u32>,
    pub(super) handles: Handles,
}

pub(super) struct Inner {
    pub(super) version: u32,
    pub(super) cells: Cells,
}

impl Live {
    /// The key at a place.
    pub(super) fn key(&self, pages: &dyn Pages, segment: Segment, number: u64) -> Result<Option<Key>> {
        Ok(self.leaf(pages, segment, page_of(number, 0))?.and_then(|cells| cells.get(cell_of(number))))
    }

    /// A page of keys; `None` if it is empty, and so nowhere.
    pub(super) fn leaf(&self, pages: &dyn Pages, segment: Segment, index: u64) -> Result<Option<Cells>> {
        let level = segment.level(0);
        let Some(version) = self.leaves.get(&(level, index)).copied() else { return Ok(None) };
        let id = PageId { level, index, version };
        let key = self.leaf_key(segment, index).ok_or(Error::Damaged { what: "a page has no key above it" })?;
        let page = pages.read(id)?.ok_or(Error::Damaged { what: "a page of keys is missing" })?;
        Cells::open(id, &page, &key).map(Some).ok_or(Error::Damaged { what: "a page of keys does not open" })
    }

    /// The key of a page of keys.
    pub(super) fn leaf_key(&self, segment: Segment, index: u64) -> Option<Key> {
        let is_top = self.top.height(segment) == 1;
        if is_top {
            return self.top.key(segment).filter(|_| index == 0).map(Key::copy);
        }
        self.inner.get(&(segment.level(1), page_of(index, 0)))?.cells.get(cell_of(index))
    }

    /// The writing of a page that counts.
    pub(super) fn version(&self, level: u32, index: u64) -> Option<u32> {
        let leaf = self.leaves.get(&(level, index)).copied();
        leaf.or_else(|| self.inner.get(&(level, index)).map(|inner| inner.version))
    }
}
