//! The top page: the keys of the segments' uppermost pages, under the root.

use std::collections::BTreeMap;

use usufruct_core::ports::{Rng, random};

use super::page::{Cells, Page, PageId};
use super::place::Segment;
use crate::aead::expand;
use crate::roots::Root;
use crate::tree::Key;

/// What the top page says.
pub(super) struct Top {
    /// The levels of each segment; 0 while it is empty.
    pub(super) heights: BTreeMap<Segment, u8>,
    keys: BTreeMap<Segment, Key>,
    /// The youngest residents: the page of level 1 that hangs here, and not in its segment yet, so that enrolling somebody
    /// writes three pages however many residents there are. It is linked in its segment when the next one begins.
    pub(super) young: Option<u64>,
    young_key: Option<Key>,
    /// The number of the next resident.
    pub(super) next: u64,
}

impl Top {
    pub(super) fn empty() -> Self {
        let heights = Segment::ALL.map(|segment| (segment, 0)).into();
        Self { heights, keys: BTreeMap::new(), young: None, young_key: None, next: 1 }
    }

    pub(super) fn copy(&self) -> Self {
        Self {
            heights: self.heights.clone(),
            keys: self.keys.iter().map(|(segment, key)| (*segment, key.copy())).collect(),
            young: self.young,
            young_key: self.young_key.as_ref().map(Key::copy),
            next: self.next,
        }
    }

    pub(super) fn height(&self, segment: Segment) -> u8 {
        self.heights.get(&segment).copied().unwrap_or(0)
    }

    /// The key of the uppermost page of a segment.
    pub(super) fn key(&self, segment: Segment) -> Option<&Key> {
        self.keys.get(&segment)
    }

    pub(super) fn set_key(&mut self, segment: Segment, key: Option<Key>) {
        match key {
            Some(key) => drop(self.keys.insert(segment, key)),
            None => drop(self.keys.remove(&segment)),
        }
    }

    pub(super) fn young_key(&self) -> Option<&Key> {
        self.young_key.as_ref()
    }

    pub(super) fn set_young_key(&mut self, key: Option<Key>) {
        self.young_key = key;
    }

    /// The page under this root. The salt in its id makes the key fresh, so that it may be written again in one epoch.
    pub(super) fn seal(&self, version: u32, root: &Root, rng: &dyn Rng) -> (PageId, Box<Page>) {
        let mut cells = Cells::empty();
        for (place, segment) in Segment::ALL.into_iter().enumerate() {
            cells.set(place, self.key(segment));
        }
        cells.set(YOUNG, self.young_key());
        let mut facts = [0; 32];
        for (fact, segment) in facts.iter_mut().zip(Segment::ALL) {
            *fact = self.height(segment);
        }
        facts[8..16].copy_from_slice(&self.young.map_or(0, |young| young + 1).to_be_bytes());
        facts[16..24].copy_from_slice(&self.next.to_be_bytes());
        cells.set(FACTS, Some(&Key::from_bytes(facts)));
        let id = PageId { level: LEVEL, index: u64::from_be_bytes(random(rng)), version };
        (id, cells.seal(id, &top_key(root, id)))
    }

    /// Opens a top page; `None` if it is not one of this root.
    pub(super) fn open(id: PageId, page: &Page, root: &Root) -> Option<Self> {
        let cells = Cells::open(id, page, &top_key(root, id))?;
        let mut top = Self::empty();
        let facts = cells.get(FACTS)?;
        let number = |at: usize| facts.bytes()[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        for (place, segment) in Segment::ALL.into_iter().enumerate() {
            top.heights.insert(segment, facts.bytes()[place]);
            top.set_key(segment, cells.get(place));
        }
        top.young = number(8)?.checked_sub(1);
        top.young_key = cells.get(YOUNG);
        top.next = number(16)?;
        Some(top)
    }
}

fn top_key(root: &Root, id: PageId) -> Key {
    expand(
        &root.secret,
        &[b"usufruct/keytree-top/v1", &root.epoch.0.to_be_bytes(), &id.index.to_be_bytes(), &id.version.to_be_bytes()],
    )
}

/// The level of top pages, which no segment has.
pub(super) const LEVEL: u32 = u32::MAX;
const YOUNG: usize = Segment::ALL.len();
const FACTS: usize = YOUNG + 1;
