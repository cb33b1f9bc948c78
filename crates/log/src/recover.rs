//! Opening a log that exists: what has to agree with what before anything is signed again.

use crate::checkpoint::{self, Checkpoint};
use crate::edge::{Edge, levels_root};
use crate::error::{Error, Part, Result};
use crate::hash::leaf_hash;
use crate::head::{Head, SignedHead};
use crate::merkle::verify_inclusion;
use crate::note::{Note, Verifier};
use crate::objects::Objects;
use crate::proof;
use crate::publisher::{LeafSource, State};
use crate::reader::{TileHashes, check_entries, fetch_bundle, fetch_edge, fetch_hashes};
use crate::tile::{FULL, Kind, Tile};

/// Verifies head, tiles, last bundle, public checkpoint and leaves against each other.
pub(crate) fn load<O: Objects, H: Head>(
    objects: &O,
    head: &H,
    verifiers: &[&dyn Verifier],
    origin: &str,
    leaves: Option<&dyn LeafSource>,
) -> Result<State> {
    let Some(head) = verified_head(head, verifiers, origin)? else {
        if objects.fetch(checkpoint::PATH)?.is_some() {
            return Err(Error::contradiction(
                Part::Head,
                Part::Checkpoint,
                "a checkpoint is public, but no head was ever signed",
            ));
        }
        return Ok(State { edge: Edge::default(), head: None, announced: false });
    };
    let levels = fetch_edge(objects, head.size).map_err(|error| older(error, &head))?;
    if levels_root(&levels) != head.root {
        return Err(Error::contradiction(
            Part::Head,
            Part::Tiles,
            format!("the tiles at size {} lead to another root", head.size),
        ));
    }
    let last = last_entries(objects, &head).map_err(|error| older(error, &head))?;
    let announced = check_announced(objects, &head, verifiers, origin)?;
    if let Some(leaves) = leaves {
        check_leaves(leaves, &head, &last)?;
    }
    let open_entries = if head.size.is_multiple_of(u64::from(FULL)) { &[] } else { last.as_slice() };
    Ok(State { edge: Edge::resume(head.size, levels, open_entries)?, head: Some(head), announced })
}

/// A file that the head needs and that is not there: the files are older than the head, or somebody has deleted some.
fn older(error: Error, head: &SignedHead) -> Error {
    match error {
        Error::Missing { path } => Error::contradiction(
            Part::Head,
            Part::Tiles,
            format!(
                "{path} is not there, which a head of {} leaves needs, so the files are older than the head or were deleted",
                head.size
            ),
        ),
        other => other,
    }
}

/// Writes the tiles anew from the leaves; see [`crate::publisher::rebuild_tiles`].
pub(crate) fn rebuild<O: Objects, H: Head>(
    objects: &O,
    head: &H,
    verifiers: &[&dyn Verifier],
    origin: &str,
    leaves: &dyn LeafSource,
) -> Result<u64> {
    let Some(head) = verified_head(head, verifiers, origin)? else {
        return Ok(0);
    };
    let check = replay(leaves, head.size, |_, _| Ok(()))?;
    if check.root() != head.root {
        return Err(Error::contradiction(
            Part::Head,
            Part::Leaves,
            format!("the first {} leaves lead to another root", head.size),
        ));
    }
    let mut repaired = 0;
    let mut repair = |tile: Tile, bytes: &[u8]| {
        let path = tile.to_string();
        if objects.fetch(&path)?.is_none_or(|stored| stored != bytes) {
            repaired += 1;
            objects.replace(&path, bytes)?;
        }
        Ok(())
    };
    let edge = replay(leaves, head.size, &mut repair)?;
    edge.partials_since(0).try_for_each(|(tile, bytes)| repair(tile, &bytes))?;
    Ok(repaired)
}

/// The head, with its note verified and in agreement with its size and root.
fn verified_head<H: Head>(head: &H, verifiers: &[&dyn Verifier], origin: &str) -> Result<Option<SignedHead>> {
    let Some(head) = head.load()? else {
        return Ok(None);
    };
    let (signed, _) = checkpoint::open(&head.note, origin, verifiers)?;
    if (signed.size(), signed.root()) != (head.size, &head.root) {
        return Err(Error::contradiction(Part::Head, Part::Head, "its note states another size or root"));
    }
    Ok(Some(head))
}

/// The entries of the last tile, full or partial, verified against the root.
fn last_entries<O: Objects>(objects: &O, head: &SignedHead) -> Result<Vec<Vec<u8>>> {
    let Some(last) = head.size.checked_sub(1) else {
        return Ok(Vec::new());
    };
    let at =
        |kind| Tile::at(kind, last / u64::from(FULL), head.size).ok_or(Error::Proof { why: "the head has an impossible size" });
    let (tile, bundle) = (at(Kind::Hashes(0))?, at(Kind::Entries)?);
    let hashes = fetch_hashes(objects, tile)?;
    let proof = proof::inclusion(&TileHashes::new(objects, head.size), last, head.size)?;
    let verified = hashes.last().map(|hash| verify_inclusion(last, head.size, hash, &proof, &head.root));
    if !matches!(verified, Some(Ok(()))) {
        return Err(Error::contradiction(Part::Head, Part::Tiles, format!("{tile} does not lead to the root")));
    }
    let entries = fetch_bundle(objects, bundle)?;
    check_entries(bundle, &entries, &hashes)?;
    Ok(entries)
}

/// Whether the public checkpoint is that of the head. It may be older, but never newer or of another history.
fn check_announced<O: Objects>(objects: &O, head: &SignedHead, verifiers: &[&dyn Verifier], origin: &str) -> Result<bool> {
    let Some(bytes) = objects.fetch(checkpoint::PATH)? else {
        return Ok(false);
    };
    let (public, note) = checkpoint::open(&bytes, origin, verifiers)?;
    let contradiction = |detail: String| Err(Error::contradiction(Part::Head, Part::Checkpoint, detail));
    if public.size() > head.size {
        return contradiction(format!("the head has {} leaves, the checkpoint {}", head.size, public.size()));
    }
    if root_at(objects, head, public.size())? != *public.root() {
        return contradiction(format!("at size {} they have different roots", public.size()));
    }
    // One that has lost a signature is written again.
    let is_whole = Note::parse(&head.note)?.signatures().iter().all(|line| note.signatures().contains(line));
    Ok(is_whole && public == Checkpoint::new(origin, head.size, head.root)?)
}

fn root_at<O: Objects>(objects: &O, head: &SignedHead, size: u64) -> Result<crate::Hash> {
    if size == head.size { Ok(head.root) } else { proof::root(&TileHashes::new(objects, head.size), size) }
}

/// The leaves must reach at least as far as the head, and agree with the last tile.
fn check_leaves(leaves: &dyn LeafSource, head: &SignedHead, last: &[Vec<u8>]) -> Result<()> {
    if leaves.size() < head.size {
        return Err(Error::contradiction(
            Part::Head,
            Part::Leaves,
            format!("the head has {} leaves, but only {} are stored", head.size, leaves.size()),
        ));
    }
    let mut index = head.size - last.len() as u64;
    while index < head.size {
        let limit = (head.size - index) as usize;
        let batch = leaves.leaves(index, limit)?;
        let published = &last[last.len() - limit..];
        for (leaf, published) in batch.iter().take(limit).zip(published) {
            if leaf_hash(leaf) != leaf_hash(published) {
                return Err(Error::contradiction(
                    Part::Leaves,
                    Part::Tiles,
                    format!("leaf {index} is not the one that was published"),
                ));
            }
            index += 1;
        }
        if batch.is_empty() {
            return Err(Error::contradiction(Part::Head, Part::Leaves, format!("leaf {index} is not there")));
        }
    }
    Ok(())
}

/// Grows a tree of the first `size` leaves.
fn replay(leaves: &dyn LeafSource, size: u64, mut full: impl FnMut(Tile, &[u8]) -> Result<()>) -> Result<Edge> {
    let mut edge = Edge::default();
    while edge.size() < size {
        let limit = (size - edge.size()).min(REPLAY_LEAVES);
        let batch = leaves.leaves(edge.size(), limit as usize)?;
        if batch.is_empty() {
            return Err(Error::contradiction(Part::Head, Part::Leaves, format!("leaf {} is not there", edge.size())));
        }
        for leaf in batch.iter().take(limit as usize) {
            edge.append(leaf, &mut full)?;
        }
    }
    Ok(edge)
}

const REPLAY_LEAVES: u64 = 4096;
