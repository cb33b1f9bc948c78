//! A commit on its way: which pages change, and their new keys up to the top.
//!
//! The rule that the proof rests on (Reardon et al., CCS 2013): a page that is written gets a fresh key, the page above it is
//! written because it holds that key, and so on up to the top page, whose key comes from the root. So nothing that was
//! discarded hangs on a key that lives.

use std::collections::{BTreeMap, BTreeSet};

use usufruct_core::Digest;
use usufruct_core::ports::Rng;

use super::live::{Inner, Live};
use super::page::{Cells, Page, PageId};
use super::pages::Pages;
use super::place::{Segment, cell_of, height_for, id_at, page_of};
use super::top::Top;
use crate::error::Result;
use crate::tree::{Key, commit_key};

/// The places that change, with their new keys, in order.
pub(super) type Changes<'a> = BTreeMap<(Segment, u64), Option<&'a Key>>;

/// The pages of a commit, sealed.
pub(super) struct Draft {
    pub(super) top: Top,
    pub(super) pages: Vec<(PageId, Box<Page>)>,
    /// What is in the pages, or `None` of one that is empty now.
    cells: Vec<((u32, u64), Option<Cells>)>,
    version: u32,
    pub(super) removed: Vec<Digest>,
    pub(super) added: Vec<Digest>,
}

impl Draft {
    /// Works out a commit that will be the writing `version` of its pages.
    pub(super) fn of(live: &Live, pages: &dyn Pages, changes: &Changes<'_>, version: u32, rng: &dyn Rng) -> Result<Self> {
        let mut work = Work { live, pages, top: live.top.copy(), dirty: BTreeMap::new(), removed: Vec::new(), added: Vec::new() };
        for ((segment, number), key) in changes {
            work.change(*segment, *number, *key)?;
        }
        for segment in Segment::ALL {
            work.grow(segment, changes);
        }
        Ok(work.seal(version, rng))
    }

    /// Makes the commit the state that readers see. Answers the pages that nobody needs any more.
    pub(super) fn apply(self, live: &mut Live) -> Vec<PageId> {
        let mut old = vec![live.top_id];
        for ((level, index), cells) in self.cells {
            old.extend(live.version(level, index).map(|version| PageId { level, index, version }));
            let is_leaf = level.to_be_bytes()[3] == 0;
            match cells {
                Some(_) if is_leaf => drop(live.leaves.insert((level, index), self.version)),
                None if is_leaf => drop(live.leaves.remove(&(level, index))),
                Some(cells) => drop(live.inner.insert((level, index), Inner { version: self.version, cells })),
                None => drop(live.inner.remove(&(level, index))),
            }
        }
        live.handles.change(&self.removed, &self.added);
        live.top = self.top;
        old
    }
}

struct Work<'a> {
    live: &'a Live,
    pages: &'a dyn Pages,
    top: Top,
    /// The pages that change, by level and index.
    dirty: BTreeMap<(u32, u64), Cells>,
    removed: Vec<Digest>,
    added: Vec<Digest>,
}

impl Work<'_> {
    fn change(&mut self, segment: Segment, number: u64, key: Option<&Key>) -> Result<()> {
        let Some(id) = id_at(segment, number) else { return Ok(()) };
        let (live, pages, index) = (self.live, self.pages, page_of(number, 0));
        let cells = match self.dirty.entry((segment.level(0), index)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(live.leaf(pages, segment, index)?.unwrap_or_else(Cells::empty))
            }
        };
        self.removed.extend(cells.get(cell_of(number)).map(|old| commit_key(id, &old)));
        self.added.extend(key.map(|key| commit_key(id, key)));
        cells.set(cell_of(number), key);
        if segment == Segment::Residents && key.is_some() {
            self.top.next = self.top.next.max(number + 1);
        }
        Ok(())
    }

    /// Makes room for the largest number of a segment.
    fn grow(&mut self, segment: Segment, changes: &Changes<'_>) {
        let changed = changes.range((segment, 0)..=(segment, u64::MAX));
        let Some(largest) = changed.filter(|(_, key)| key.is_some()).map(|((_, number), _)| *number).next_back() else { return };
        let height = match segment {
            Segment::Residents => {
                let page = page_of(largest, 1);
                if self.top.young.is_none_or(|young| young < page) {
                    self.link_young(page);
                }
                self.height_of_linked(changes)
            }
            _ => height_for(largest),
        };
        self.raise(segment, height);
    }

    /// Links the youngest page in its segment, and lets page `next` of level 1 be the youngest.
    fn link_young(&mut self, next: u64) {
        let (old, key) = (self.top.young.replace(next), self.top.young_key().map(Key::copy));
        self.top.set_young_key(None);
        if let Some(old) = old {
            self.raise(Segment::Residents, height_for(first_of(old)).max(2));
            // If it changes in this commit, its new key takes the place of this one.
            self.hang(Segment::Residents, 1, old, key.as_ref());
        }
    }

    /// The height that the changed residents need whose page does not hang at the top.
    fn height_of_linked(&self, changes: &Changes<'_>) -> u8 {
        let linked = changes.keys().filter(|(segment, _)| *segment == Segment::Residents).map(|(_, number)| *number);
        let linked = linked.filter(|number| Some(page_of(*number, 1)) != self.top.young);
        linked.max().map_or(0, |number| height_for(number).max(2))
    }

    /// Puts pages above the uppermost one of a segment until it has this height.
    fn raise(&mut self, segment: Segment, height: u8) {
        let now = self.top.height(segment);
        if now >= height {
            return;
        }
        self.top.heights.insert(segment, height);
        let Some(old) = self.top.key(segment).map(Key::copy) else { return };
        let mut key = Some(old);
        for level in now..height {
            // Only the lowest of the new pages has anything in it yet; the keys of the others come with the sealing.
            self.page(segment, level, 0).set(0, key.take().as_ref());
        }
    }

    /// Puts the key of a page where it belongs: into the page above, or at the top.
    fn hang(&mut self, segment: Segment, height: u8, index: u64, key: Option<&Key>) {
        if segment == Segment::Residents && height == 1 && self.top.young == Some(index) {
            self.top.set_young_key(key.map(Key::copy));
        } else if height + 1 == self.top.height(segment) && index == 0 {
            self.top.set_key(segment, key.map(Key::copy));
        } else {
            self.page(segment, height + 1, page_of(index, 0)).set(cell_of(index), key);
        }
    }

    /// A page above the keys, which changes now.
    fn page(&mut self, segment: Segment, height: u8, index: u64) -> &mut Cells {
        let at = (segment.level(height), index);
        let live = self.live;
        self.dirty.entry(at).or_insert_with(|| live.inner.get(&at).map_or_else(Cells::empty, |inner| inner.cells.clone()))
    }

    /// Gives every changed page a fresh key, from the keys up.
    fn seal(mut self, version: u32, rng: &dyn Rng) -> Draft {
        let (mut pages, mut done) = (Vec::new(), Vec::new());
        for segment in Segment::ALL {
            for height in 0..self.top.height(segment).max(2) {
                let level = segment.level(height);
                let indexes: BTreeSet<u64> =
                    self.dirty.range((level, 0)..=(level, u64::MAX)).map(|((_, index), _)| *index).collect();
                for index in indexes {
                    let Some(cells) = self.dirty.remove(&(level, index)) else { continue };
                    if cells.is_empty() {
                        self.hang(segment, height, index, None);
                        done.push(((level, index), None));
                        continue;
                    }
                    let key = Key::random(rng);
                    self.hang(segment, height, index, Some(&key));
                    let id = PageId { level, index, version };
                    pages.push((id, cells.seal(id, &key)));
                    done.push(((level, index), Some(cells)));
                }
            }
        }
        Draft { top: self.top, pages, cells: done, version, removed: self.removed, added: self.added }
    }
}

/// The first number below a page of level 1.
fn first_of(page: u64) -> u64 {
    let fanout = super::page::FANOUT as u64;
    page * fanout * fanout
}
