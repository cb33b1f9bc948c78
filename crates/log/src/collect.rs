//! Removing partial tiles that nobody needs any more (tlog-tiles "Partial Tiles").

use crate::error::Result;
use crate::objects::Objects;
use crate::tile::Tile;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Partial tiles that were removed.
    pub removed: u64,
    /// Partial tiles that could be removed next time.
    pub left: u64,
}

/// Removes partial tiles and bundles whose full tile is there for everybody: it lies below `witnessed` leaves, and the
/// partial one is at least `keep` seconds old, so that slow clients of an earlier checkpoint have had their time. At most
/// `budget` are removed. `now` is in seconds since 1970 UTC.
pub fn collect<O: Objects + ?Sized>(objects: &O, witnessed: u64, now: u64, keep: u64, budget: u64) -> Result<Collected> {
    let mut collected = Collected::default();
    for stored in objects.list("tile")? {
        let Ok(tile) = stored.path.parse::<Tile>() else { continue };
        let is_old = stored.time.saturating_add(keep) <= now;
        if !is_old || !is_superseded(tile, witnessed) {
            continue;
        }
        if collected.removed == budget {
            collected.left += 1;
        } else if objects.fetch(&tile.full().to_string())?.is_some() {
            objects.remove(&stored.path)?;
            collected.removed += 1;
        }
    }
    Ok(collected)
}

/// Whether the full tile that contains a partial one is complete in a tree of `size` leaves.
fn is_superseded(tile: Tile, size: u64) -> bool {
    !tile.is_full() && Tile::at(tile.kind(), tile.index(), size).is_some_and(|there| there.is_full())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ed25519Signer, Memory, MemoryHead, Publisher, Reader, checkpoint};

    #[test]
    fn only_what_is_superseded_below_the_witnessed_size_goes() {
        let objects = Memory::default();
        let signer = Ed25519Signer::from_seed("example.org/log", &[1; 32]).unwrap();
        let key = signer.verifier_key().verifier().unwrap();
        let head = MemoryHead::default();
        let mut publisher = Publisher::open(&objects, &head, vec![Box::new(signer)], "example.org/log", None).unwrap();
        for size in [10u64, 250, 300, 600, 700] {
            let from = publisher.size().unwrap();
            publisher.publish((from..size).map(|index| (index, vec![1; 66])), 1).unwrap();
        }
        let partials = || objects.paths().into_iter().filter(|path| path.contains(".p/")).collect::<Vec<_>>();
        let before = partials();
        let with = |width: &str| before.iter().filter(|path| path.ends_with(width)).count();
        assert_eq!(with("/44"), 2, "{before:?}");
        assert_eq!(collect(&objects, 255, 100, 10, 100).unwrap(), Collected::default());
        assert_eq!(collect(&objects, 300, 5, 10, 100).unwrap(), Collected::default());
        assert_eq!(collect(&objects, 300, 100, 10, 3).unwrap(), Collected { removed: 3, left: 1 });
        assert_eq!(collect(&objects, 300, 100, 10, 100).unwrap(), Collected { removed: 1, left: 0 });
        assert!(partials().iter().all(|path| !path.contains("000.p") || path.starts_with("tile/1/")), "{:?}", partials());
        assert_eq!(collect(&objects, 700, 100, 10, 100).unwrap(), Collected { removed: 2, left: 0 });
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
}
