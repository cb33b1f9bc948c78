//! The client's side: verifying a log from its public files, trusting nothing but the key.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::edge::levels_root;
use crate::error::{Error, Part, Result};
use crate::hash::{Hash, empty_root, leaf_hash};
use crate::merkle::{complete_root, verify_consistency, verify_inclusion};
use crate::objects::Objects;
use crate::proof::{self, HashReader};
use crate::tile::{FULL, Kind, Tile, full_root, parse_bundle};

/// Where the public files of a log are read: a folder, a mirror, or the web.
pub trait Source {
    /// Reads a file by its path, relative to the prefix of the log. `None` if it is not there (404).
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>>;
}

impl<O: Objects + ?Sized> Source for O {
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Objects::fetch(self, path)
    }
}

/// Verifies a log against one checkpoint, whose signatures have been verified before.
pub struct Reader<'a, S: Source + ?Sized> {
    source: &'a S,
    checkpoint: Checkpoint,
}

impl<'a, S: Source + ?Sized> Reader<'a, S> {
    /// A reader of the log at this checkpoint.
    pub fn new(source: &'a S, checkpoint: Checkpoint) -> Self {
        Self { source, checkpoint }
    }

    /// The checkpoint everything is verified against.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Visits all entries from the index `from` on, in order. Every entry has been verified up to the root of the
    /// checkpoint before it is visited, and every tile on the way as well.
    pub fn entries(&self, from: u64, mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let levels = self.edge()?;
        for (level, hashes) in levels.iter().enumerate().rev() {
            let kind = Kind::Hashes(level as u8);
            if let Some(tile) = Tile::partial(kind, self.checkpoint.size()) {
                self.walk(level as u8, tile, hashes, from, &mut visit)?;
            }
        }
        Ok(())
    }

    /// One entry, verified up to the root of the checkpoint.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>> {
        let position = (index % u64::from(FULL)) as usize;
        let tile = Tile::at(Kind::Entries, index / u64::from(FULL), self.checkpoint.size());
        let tile = tile.filter(|tile| position < usize::from(tile.width())).ok_or(Error::Proof { why: BEYOND })?;
        let bundle = fetch_bundle(self.source, tile)?;
        let entry = bundle.get(position).ok_or(Error::Proof { why: BEYOND })?;
        self.inclusion(index, &leaf_hash(entry))?;
        Ok(entry.clone())
    }

    /// An inclusion proof for the leaf at `index`, verified against the checkpoint.
    pub fn inclusion(&self, index: u64, leaf_hash: &Hash) -> Result<Vec<Hash>> {
        let size = self.checkpoint.size();
        let proof = proof::inclusion(&self.hashes(), index, size)?;
        verify_inclusion(index, size, leaf_hash, &proof, self.checkpoint.root())?;
        Ok(proof)
    }

    /// A consistency proof from an older checkpoint of the same log, verified against this one. The empty tree is
    /// older than every other and needs no proof.
    pub fn consistency(&self, older: &Checkpoint) -> Result<Vec<Hash>> {
        if older.origin() != self.checkpoint.origin() {
            return Err(Error::Proof { why: "the two checkpoints are of different logs" });
        }
        let size = self.checkpoint.size();
        if older.size() == 0 {
            let empty = *older.root() == empty_root() && (size > 0 || *self.checkpoint.root() == empty_root());
            return if empty { Ok(Vec::new()) } else { Err(Error::Proof { why: "an empty tree has another root" }) };
        }
        let proof = proof::consistency(&self.hashes(), older.size(), size)?;
        verify_consistency(older.size(), size, &proof, older.root(), self.checkpoint.root())?;
        Ok(proof)
    }

    /// The root of the first `size` leaves, which is the one that led to this checkpoint.
    pub fn root_at(&self, size: u64) -> Result<Hash> {
        let root = proof::root(&self.hashes(), size)?;
        let older = Checkpoint::new(self.checkpoint.origin(), size, root)?;
        self.consistency(&older)?;
        Ok(root)
    }

    /// The hashes of the log as its tiles state them, not verified.
    pub fn hashes(&self) -> TileHashes<'a, S> {
        TileHashes::new(self.source, self.checkpoint.size())
    }

    /// The partial tiles of the right edge, verified against the root.
    fn edge(&self) -> Result<Vec<Vec<Hash>>> {
        let levels = fetch_edge(self.source, self.checkpoint.size())?;
        if levels_root(&levels) != *self.checkpoint.root() {
            return Err(Error::contradiction(Part::Checkpoint, Part::Tiles, "the right edge leads to another root"));
        }
        Ok(levels)
    }

    /// Descends below verified hashes, the first of which stands at the start of `tile`.
    fn walk(
        &self,
        level: u8,
        tile: Tile,
        hashes: &[Hash],
        from: u64,
        visit: &mut impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let start = tile.index() * u64::from(FULL);
        if level == 0 {
            if start + hashes.len() as u64 <= from {
                return Ok(());
            }
            let bundle = Tile::new(Kind::Entries, tile.index(), tile.width()).ok_or(Error::Proof { why: BEYOND })?;
            let entries = fetch_bundle(self.source, bundle)?;
            check_entries(bundle, &entries, hashes)?;
            return entries
                .iter()
                .zip(start..)
                .filter(|(_, index)| *index >= from)
                .try_for_each(|(entry, index)| visit(index, entry));
        }
        let span = 1u64.checked_shl(8 * u32::from(level)).unwrap_or(u64::MAX);
        for (index, hash) in (start..).zip(hashes) {
            if (index + 1).saturating_mul(span) <= from {
                continue;
            }
            let below = Tile::new(Kind::Hashes(level - 1), index, FULL).ok_or(Error::Proof { why: BEYOND })?;
            let children = fetch_hashes(self.source, below)?;
            if full_root(&children) != Some(*hash) {
                return Err(Error::contradiction(
                    Part::Checkpoint,
                    Part::Tiles,
                    format!("{below} does not have its hash in the tile above"),
                ));
            }
            self.walk(level - 1, below, &children, from, visit)?;
        }
        Ok(())
    }
}

/// Reads hashes from the tiles of a tree of a given size. They are not verified; a proof built from them is.
pub struct TileHashes<'a, S: Source + ?Sized> {
    source: &'a S,
    size: u64,
    tiles: RefCell<BTreeMap<Tile, Vec<Hash>>>,
}

impl<'a, S: Source + ?Sized> TileHashes<'a, S> {
    /// A reader of the tiles of a tree of `size` leaves.
    pub fn new(source: &'a S, size: u64) -> Self {
        Self { source, size, tiles: RefCell::default() }
    }
}

impl<S: Source + ?Sized> HashReader for TileHashes<'_, S> {
    fn read(&self, level: u32, index: u64) -> Result<Hash> {
        let beyond = Error::Proof { why: BEYOND };
        let (Ok(tile_level), below) = (u8::try_from(level / 8), level % 8) else {
            return Err(beyond);
        };
        let Some(first) = index.checked_mul(1 << below) else {
            return Err(beyond);
        };
        let Some(tile) = Tile::at(Kind::Hashes(tile_level), first / u64::from(FULL), self.size) else {
            return Err(beyond);
        };
        let start = (first % u64::from(FULL)) as usize;
        let mut tiles = self.tiles.borrow_mut();
        if !tiles.contains_key(&tile) {
            if tiles.len() == MAX_CACHED_TILES {
                tiles.clear();
            }
            tiles.insert(tile, fetch_hashes(self.source, tile)?);
        }
        let hashes = tiles.get(&tile).and_then(|hashes| hashes.get(start..start + (1 << below)));
        hashes.map(complete_root).ok_or(beyond)
    }
}

/// Reads a hash tile; instead of a partial one that is gone, the first hashes of the full one.
pub(crate) fn fetch_hashes<S: Source + ?Sized>(source: &S, tile: Tile) -> Result<Vec<Hash>> {
    let (tile_found, bytes) = fetch_tile(source, tile)?;
    let mut hashes = tile_found.parse_hashes(&bytes)?;
    hashes.truncate(usize::from(tile.width()));
    Ok(hashes)
}

/// Reads an entry bundle; instead of a partial one that is gone, the first entries of the full one.
pub(crate) fn fetch_bundle<S: Source + ?Sized>(source: &S, tile: Tile) -> Result<Vec<Vec<u8>>> {
    let (tile_found, bytes) = fetch_tile(source, tile)?;
    let entries = parse_bundle(&bytes, tile_found.width())?;
    Ok(entries.into_iter().take(usize::from(tile.width())).map(<[u8]>::to_vec).collect())
}

/// Reads the partial tiles of the right edge, from level 0 up; a level whose edge is at a tile border is empty.
pub(crate) fn fetch_edge<S: Source + ?Sized>(source: &S, size: u64) -> Result<Vec<Vec<Hash>>> {
    let mut levels = Vec::new();
    let mut rest = size;
    while rest > 0 {
        let kind = Kind::Hashes(levels.len() as u8);
        levels.push(Tile::partial(kind, size).map(|tile| fetch_hashes(source, tile)).transpose()?.unwrap_or_default());
        rest >>= 8;
    }
    Ok(levels)
}

/// Compares entries with the verified hashes of their tile.
pub(crate) fn check_entries(bundle: Tile, entries: &[Vec<u8>], hashes: &[Hash]) -> Result<()> {
    if entries.len() == hashes.len() && entries.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied()) {
        return Ok(());
    }
    Err(Error::contradiction(Part::Tiles, Part::Leaves, format!("the entries of {bundle} do not have the hashes of their tile")))
}

fn fetch_tile<S: Source + ?Sized>(source: &S, tile: Tile) -> Result<(Tile, Vec<u8>)> {
    if let Some(bytes) = source.fetch(&tile.to_string())? {
        return Ok((tile, bytes));
    }
    if !tile.is_full()
        && let Some(bytes) = source.fetch(&tile.full().to_string())?
    {
        return Ok((tile.full(), bytes));
    }
    Err(Error::Missing { path: tile.to_string() })
}

const BEYOND: &str = "the index lies beyond the tree";
const MAX_CACHED_TILES: usize = 64;
