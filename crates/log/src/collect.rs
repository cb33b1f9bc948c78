//! Removing partial tiles that nobody needs any more (tlog-tiles "Partial Tiles").

use crate::error::Result;
use crate::objects::{Objects, Stored};
use crate::tile::Tile;

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects that were looked at.
    pub seen: u64,
    /// Partial tiles that were removed.
    pub removed: u64,
    /// Where to go on next time; `None` when everything has been looked at, so that the next round begins at the start.
    pub next: Option<String>,
}

/// Looks at `budget` tiles from `from` on, and removes the partial tiles and bundles among them whose full tile is there
/// for everybody: it lies below `witnessed` leaves, and the partial one is at least `keep` seconds old, so that slow
/// clients of an earlier checkpoint have had their time. `now` is in seconds since 1970 UTC.
///
/// Called again and again with the `next` of the call before, it goes through the whole log, however large, at the same
/// cost each time.
pub fn collect<O: Objects + ?Sized>(
    objects: &O,
    from: Option<&str>,
    witnessed: u64,
    now: u64,
    keep: u64,
    budget: usize,
) -> Result<Collected> {
    let page = objects.list("tile", from, budget)?;
    let mut full = None;
    let mut removable = Vec::new();
    for stored in &page {
        let Some(tile) = superseded(stored, witnessed, now, keep) else { continue };
        // Partial tiles of one tile come one after the other.
        let is_there = match full {
            Some((known, is_there)) if known == tile => is_there,
            _ => objects.fetch(&tile.to_string())?.is_some(),
        };
        full = Some((tile, is_there));
        if is_there {
            removable.push(stored.path.clone());
        }
    }
    objects.remove_all(&removable)?;
    Ok(Collected {
        seen: page.len() as u64,
        removed: removable.len() as u64,
        next: page.into_iter().nth(budget.saturating_sub(1)).map(|last| last.path),
    })
}

/// The full tile that serves instead of a stored partial one, if nobody needs that any more. A partial tile of a tree of
/// `witnessed` leaves, or of a larger one, is never superseded.
fn superseded(stored: &Stored, witnessed: u64, now: u64, keep: u64) -> Option<Tile> {
    let tile: Tile = stored.path.parse().ok()?;
    let is_old = stored.time.saturating_add(keep) <= now;
    let is_complete = Tile::at(tile.kind(), tile.index(), witnessed).is_some_and(|there| there.is_full());
    (is_old && is_complete && !tile.is_full()).then(|| tile.full())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ed25519Signer, Memory, MemoryHead, Publisher, Reader, checkpoint};

    fn published(objects: &Memory, sizes: &[u64]) -> crate::Ed25519Verifier {
        let signer = Ed25519Signer::from_seed("example.org/log", &[1; 32]).unwrap();
        let key = signer.verifier_key().verifier().unwrap();
        let head = MemoryHead::default();
        let mut publisher = Publisher::open(objects, &head, vec![Box::new(signer)], "example.org/log", None).unwrap();
        for size in sizes {
            let from = publisher.size().unwrap();
            publisher.publish((from..*size).map(|index| (index, vec![1; 66])), 1).unwrap();
        }
        key
    }

    fn removed(objects: &Memory, witnessed: u64, now: u64) -> u64 {
        collect(objects, None, witnessed, now, 10, 1_000).unwrap().removed
    }

    #[test]
    fn only_what_is_superseded_below_the_witnessed_size_goes() {
        let objects = Memory::default();
        let key = published(&objects, &[10, 250, 300, 600, 700]);
        let partials = || objects.paths().into_iter().filter(|path| path.contains(".p/")).collect::<Vec<_>>();
        assert_eq!(partials().iter().filter(|path| path.ends_with("/44")).count(), 2);
        assert_eq!(removed(&objects, 255, 100), 0);
        assert_eq!(removed(&objects, 300, 5), 0);
        assert_eq!(removed(&objects, 300, 100), 4);
        assert!(partials().iter().all(|path| !path.contains("000.p") || path.starts_with("tile/1/")), "{:?}", partials());
        assert_eq!(removed(&objects, 700, 100), 2);
        let (public, _) = checkpoint::fetch(&objects, "example.org/log", &[&key]).unwrap();
        let mut entries = 0;
        Reader::new(&objects, public)
            .entries(0, |_, _| {
                entries += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(entries, 700);
    }

    #[test]
    fn rounds_of_any_budget_find_everything_and_begin_again() {
        let sizes: Vec<u64> = (1..40).map(|step| step * 29).collect();
        let at_once = Memory::default();
        published(&at_once, &sizes);
        assert!(removed(&at_once, 39 * 29, 100) > 60);
        for budget in [1, 2, 7, 100] {
            let objects = Memory::default();
            published(&objects, &sizes);
            let (mut next, mut calls) = (None, 0);
            loop {
                let collected = collect(&objects, next.as_deref(), 39 * 29, 100, 10, budget).unwrap();
                assert!(collected.seen <= budget as u64);
                (next, calls) = (collected.next, calls + 1);
                if next.is_none() {
                    break;
                }
            }
            assert!(calls >= 90 / budget, "{calls}");
            assert_eq!(objects.paths(), at_once.paths(), "{budget}");
        }
    }

    #[test]
    fn a_partial_tile_stays_while_its_full_tile_is_missing() {
        let objects = Memory::default();
        published(&objects, &[10, 300]);
        objects.remove("tile/0/000").unwrap();
        assert_eq!(removed(&objects, 300, 100), 1);
        assert!(objects.paths().contains("tile/0/000.p/10"));
    }
}
