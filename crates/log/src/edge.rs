//! The right edge of the tree as tiles: what has to stay in memory so that an append costs no read.

use crate::error::Result;
use crate::hash::{Hash, empty_root, leaf_hash};
use crate::merkle::{Frontier, complete_root, fold_right};
use crate::tile::{FULL, Kind, Tile, append_entry, encode_hashes, full_root};

/// The tiles that are not full yet, and the frontier as a second, independent account of the same tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
    bundle: Vec<u8>,
}

impl Edge {
    /// Takes up the edge of a stored tree. The levels must be those of a tree of `size` leaves.
    pub(crate) fn resume(size: u64, levels: Vec<Vec<Hash>>, entries: &[Vec<u8>]) -> Result<Self> {
        let mut nodes: Vec<Hash> = levels.iter().flat_map(|hashes| complete_roots(hashes)).collect();
        nodes.reverse();
        let mut bundle = Vec::new();
        entries.iter().try_for_each(|entry| append_entry(&mut bundle, entry))?;
        // INVARIANT: level l holds (size / 256^l) % 256 hashes, so all of them together have one root per bit of the size.
        let frontier = Frontier::from_nodes(size, nodes).expect("the levels fit the size");
        Ok(Self { frontier, levels, bundle })
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends an entry and hands every tile that became full to `full`.
    pub(crate) fn append(&mut self, entry: &[u8], mut full: impl FnMut(Tile, &[u8]) -> Result<()>) -> Result<()> {
        append_entry(&mut self.bundle, entry)?;
        let mut hash = leaf_hash(entry);
        self.frontier.append(hash);
        let size = self.frontier.size();
        if size.is_multiple_of(u64::from(FULL)) {
            if let Some(tile) = last_full(Kind::Entries, size) {
                full(tile, &self.bundle)?;
            }
            self.bundle.clear();
        }
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            let Some(above) = full_root(&self.levels[level]) else {
                break;
            };
            if let Some(tile) = last_full(Kind::Hashes(level as u8), size) {
                full(tile, &encode_hashes(&self.levels[level]))?;
            }
            self.levels[level].clear();
            hash = above;
        }
        Ok(())
    }

    /// The partial tiles of this size that a tree of `old` leaves did not have.
    pub(crate) fn partials_since(&self, old: u64) -> impl Iterator<Item = (Tile, Vec<u8>)> {
        let bundle = Tile::partial(Kind::Entries, self.size()).map(|tile| (tile, self.bundle.clone()));
        let hashes = self.levels.iter().enumerate().filter_map(|(level, hashes)| {
            let tile = Tile::partial(Kind::Hashes(level as u8), self.size())?;
            Some((tile, encode_hashes(hashes)))
        });
        bundle.into_iter().chain(hashes).filter(move |(tile, _)| Tile::partial(tile.kind(), old) != Some(*tile))
    }
}

/// The root of the tree that has these partial tiles at its right edge, from level 0 up.
pub(crate) fn levels_root(levels: &[Vec<Hash>]) -> Hash {
    fold_right(levels.iter().flat_map(|hashes| complete_roots(hashes))).unwrap_or_else(empty_root)
}

/// The roots of the complete subtrees over the hashes of a partial tile, the rightmost and smallest first.
fn complete_roots(hashes: &[Hash]) -> impl Iterator<Item = Hash> {
    let mut rest = hashes;
    std::iter::from_fn(move || {
        let (left, right) = (!rest.is_empty()).then(|| rest.split_at(rest.len() - (1 << rest.len().trailing_zeros())))?;
        rest = left;
        Some(complete_root(right))
    })
}

/// The tile of this kind that the last of `size` leaves has filled.
fn last_full(kind: Kind, size: u64) -> Option<Tile> {
    let leaf_bits = match kind {
        Kind::Entries => 8,
        Kind::Hashes(level) => 8 * (u32::from(level) + 1),
    };
    Tile::new(kind, size.checked_shr(leaf_bits)?.checked_sub(1)?, FULL)
}
