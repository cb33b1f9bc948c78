//! Opening a tree that exists: every page is opened once, so that what is served later is known to be whole.

use std::collections::HashMap;

use super::live::{Inner, Live};
use super::page::{Cells, FANOUT, Page, PageId};
use super::pages::Pages;
use super::place::{Segment, id_at};
use super::top::{LEVEL, Top};
use crate::error::{Error, Result};
use crate::handles::Handles;
use crate::roots::Root;
use crate::tree::{Key, commit_key};

/// What was found beside the tree.
pub(super) struct Found {
    pub(super) live: Live,
    /// Pages that belong to no state, or to one that is over.
    pub(super) strays: Vec<PageId>,
    /// The highest version there is.
    pub(super) version: u32,
}

/// Opens the tree under the newest of these roots, highest epoch first, that has a top page.
///
/// A root that opens nothing is one of an erasure that was not finished, and so of the next epoch. If it is of a later one the
/// pages were set back, and what was erased since then would be served again.
pub(super) fn open(pages: &dyn Pages, roots: &[Root]) -> Result<(usize, Found)> {
    let stored = Stored::list(pages)?;
    for (place, root) in roots.iter().enumerate() {
        if let Some((id, top)) = stored.top(root) {
            if roots.first().is_some_and(|newest| newest.epoch.0 > root.epoch.0 + 1) {
                return Err(Error::Damaged { what: "the newest root opens no page; the pages are older than it" });
            }
            return Ok((place, stored.load(pages, root, id, top)?));
        }
    }
    Err(Error::Damaged { what: "no page opens under the root; the pages are older than it, or they belong to another tree" })
}

/// One writing of a page.
type Written = (PageId, Box<Page>);

/// The pages there are: of the upper ones the bytes, of the others the ids.
#[derive(Default)]
struct Stored {
    tops: Vec<Written>,
    inner: HashMap<(u32, u64), Vec<Written>>,
    leaves: Vec<PageId>,
    version: u32,
}

impl Stored {
    fn list(pages: &dyn Pages) -> Result<Self> {
        let mut stored = Self::default();
        pages.each(&mut |id, page| {
            stored.version = stored.version.max(id.version);
            match id.level {
                LEVEL => stored.tops.push((id, Box::new(*page))),
                level if level & 0xff == 0 => stored.leaves.push(id),
                _ => stored.inner.entry((id.level, id.index)).or_default().push((id, Box::new(*page))),
            }
            Ok(())
        })?;
        // A crash can leave the top page of a commit that never was, torn; the newest that opens is the one that counts.
        stored.tops.sort_by_key(|(id, _)| std::cmp::Reverse(id.version));
        Ok(stored)
    }

    fn top(&self, root: &Root) -> Option<(PageId, Top)> {
        self.tops.iter().find_map(|(id, page)| Some((*id, Top::open(*id, page, root)?)))
    }

    fn load(self, pages: &dyn Pages, root: &Root, top_id: PageId, top: Top) -> Result<Found> {
        let expected = (self.leaves.len() * FANOUT) as u64;
        let handles = Handles::new(expected);
        let mut live = Live { epoch: root.epoch, top, top_id, inner: HashMap::new(), leaves: HashMap::new(), handles };
        let mut wanted: HashMap<(u32, u64), Key> = HashMap::new();
        for segment in Segment::ALL {
            let height = live.top.height(segment);
            if let Some(key) = live.top.key(segment).map(Key::copy) {
                let height = height.checked_sub(1).ok_or(Error::Damaged { what: "a segment without height has a page" })?;
                self.descend(&mut live, segment, height, 0, key, &mut wanted)?;
            }
        }
        if let (Some(young), Some(key)) = (live.top.young, live.top.young_key().map(Key::copy)) {
            self.descend(&mut live, Segment::Residents, 1, young, key, &mut wanted)?;
        }
        let mut strays: Vec<PageId> = self.tops.iter().map(|(id, _)| *id).filter(|id| *id != top_id).collect();
        strays.extend(
            self.inner
                .into_values()
                .flatten()
                .map(|(id, _)| id)
                .filter(|id| live.version(id.level, id.index) != Some(id.version)),
        );
        let mut commitments = Vec::new();
        pages.each(&mut |id, page| {
            if id.level == LEVEL || id.level & 0xff != 0 {
                return Ok(());
            }
            let opened = wanted.get(&(id.level, id.index)).and_then(|key| Cells::open(id, page, key));
            let Some(cells) = opened else {
                strays.push(id);
                return Ok(());
            };
            live.leaves.insert((id.level, id.index), id.version);
            commitments.clear();
            let segment = Segment::ALL.into_iter().find(|segment| segment.level(0) == id.level);
            for cell in 0..FANOUT {
                let number = id.index.saturating_mul(FANOUT as u64) + cell as u64;
                let key_id = segment.and_then(|segment| id_at(segment, number));
                commitments.extend(key_id.zip(cells.get(cell)).map(|(id, key)| commit_key(id, &key)));
            }
            live.handles.add(&commitments);
            Ok(())
        })?;
        if live.leaves.len() != wanted.len() {
            return Err(Error::Damaged { what: "a page of keys is missing or does not open" });
        }
        live.handles.settle();
        Ok(Found { live, strays, version: self.version })
    }

    /// Opens the page of this place and all above the keys that hang on it, and notes the keys of the pages below those.
    fn descend(
        &self,
        live: &mut Live,
        segment: Segment,
        height: u8,
        index: u64,
        key: Key,
        wanted: &mut HashMap<(u32, u64), Key>,
    ) -> Result<()> {
        let level = segment.level(height);
        if height == 0 {
            wanted.insert((level, index), key);
            return Ok(());
        }
        let candidates = self.inner.get(&(level, index)).map(Vec::as_slice).unwrap_or_default();
        let opened = candidates.iter().find_map(|(id, page)| Some((id.version, Cells::open(*id, page, &key)?)));
        let (version, cells) = opened.ok_or(Error::Damaged { what: "an upper page is missing or does not open" })?;
        for cell in 0..FANOUT {
            if let Some(key) = cells.get(cell) {
                self.descend(live, segment, height - 1, index * FANOUT as u64 + cell as u64, key, wanted)?;
            }
        }
        live.inner.insert((level, index), Inner { version, cells });
        Ok(())
    }
}
