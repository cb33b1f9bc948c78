//! Tiles: their coordinates, their paths and their bytes (tlog-tiles "Merkle Tree" and "Log Entries").

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::merkle::complete_root;

/// The number of hashes or entries in a full tile.
pub const FULL: u16 = 256;

/// The largest entry that a bundle can hold.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// The highest level that a path may name.
pub const MAX_LEVEL: u8 = 63;

/// The coordinates of a hash tile or of an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: Kind,
    index: u64,
    width: u16,
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The entries themselves, an "entry bundle".
    Entries,
    /// Hashes of this level: each covers 256^level leaves.
    Hashes(u8),
}

impl Tile {
    /// A tile of the given width; `None` if a coordinate is out of range.
    pub fn new(kind: Kind, index: u64, width: u16) -> Option<Self> {
        let level_fits = !matches!(kind, Kind::Hashes(level) if level > MAX_LEVEL);
        (level_fits && (1..=FULL).contains(&width)).then_some(Self { kind, index, width })
    }

    /// The tile as it stands in a tree of `size` leaves: full, partial, or `None` if it has nothing to hold.
    pub fn at(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let items = items(kind, size);
        let start = index.checked_mul(u64::from(FULL))?;
        let width = items.checked_sub(start)?.min(u64::from(FULL));
        Self::new(kind, index, u16::try_from(width).ok()?)
    }

    /// The partial tile at the right edge of a tree of `size` leaves; `None` where the edge is at a tile border.
    pub fn partial(kind: Kind, size: u64) -> Option<Self> {
        let items = items(kind, size);
        Self::new(kind, items / u64::from(FULL), (items % u64::from(FULL)) as u16)
    }

    /// What the tile holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The position of the tile in its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The number of hashes or entries in the tile, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile is full.
    pub fn is_full(&self) -> bool {
        self.width == FULL
    }

    /// The full tile that takes the place of a partial one.
    pub fn full(&self) -> Self {
        Self { width: FULL, ..*self }
    }

    /// Reads the bytes of a hash tile of this width.
    pub fn parse_hashes(&self, bytes: &[u8]) -> Result<Vec<Hash>> {
        if bytes.len() != usize::from(self.width) * 32 {
            return Err(Error::malformed("hash tile", format!("{self} has {} bytes", bytes.len())));
        }
        Ok(bytes.chunks_exact(32).filter_map(Hash::from_slice).collect())
    }
}

/// The number of whole items of this kind in a tree of `size` leaves.
fn items(kind: Kind, size: u64) -> u64 {
    match kind {
        Kind::Entries => size,
        Kind::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
    }
}

/// The bytes of a hash tile.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hash that a full tile has in the tile above it; `None` if the tile is not full.
pub fn full_root(hashes: &[Hash]) -> Option<Hash> {
    (hashes.len() == usize::from(FULL)).then(|| complete_root(hashes))
}

/// Appends an entry to the bytes of a bundle: its length in two bytes, then itself.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    let length = u16::try_from(entry.len()).map_err(|_| Error::TooLarge { what: "entry", limit: MAX_ENTRY_BYTES })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The bytes of a bundle of these entries.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>> {
    if entries.len() > usize::from(FULL) {
        return Err(Error::TooLarge { what: "number of entries in a bundle", limit: usize::from(FULL) });
    }
    let mut bundle = Vec::new();
    entries.iter().try_for_each(|entry| append_entry(&mut bundle, entry.as_ref()))?;
    Ok(bundle)
}

/// The entries of a bundle that holds exactly `width` of them.
pub fn parse_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>> {
    let malformed = |why: &str| Error::malformed("entry bundle", why);
    let mut entries = Vec::with_capacity(usize::from(width.min(FULL)));
    let mut rest = bytes;
    while !rest.is_empty() {
        if entries.len() == usize::from(width) {
            return Err(malformed("it holds more entries than it should"));
        }
        let (length, tail) = rest.split_first_chunk::<2>().ok_or_else(|| malformed("it ends inside a length"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, tail) = tail.split_at_checked(length).ok_or_else(|| malformed("it ends inside an entry"))?;
        entries.push(entry);
        rest = tail;
    }
    if entries.len() < usize::from(width) {
        return Err(malformed("it holds fewer entries than it should"));
    }
    Ok(entries)
}

impl fmt::Display for Tile {
    /// The path of the tile, relative to the prefix of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Entries => f.write_str("tile/entries/")?,
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = Error;

    /// Reads a path, in the one spelling that `Display` prints.
    fn from_str(path: &str) -> Result<Self> {
        parse_path(path).filter(|tile| tile.to_string() == path).ok_or_else(|| Error::malformed("tile path", "it names no tile"))
    }
}

fn parse_path(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => Kind::Entries,
        level => Kind::Hashes(small_number(level)?.try_into().ok()?),
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, small_number(width).filter(|width| *width < FULL)?),
        None => (rest, FULL),
    };
    let mut index: u64 = 0;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(u64::from(small_number(digits)?))?;
    }
    Tile::new(kind, index, width)
}

fn small_number(digits: &str) -> Option<u16> {
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |kind, index, width| Tile::new(kind, index, width).unwrap().to_string();
        assert_eq!(path(Kind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Kind::Hashes(63), 5, 1), "tile/63/005.p/1");
        assert_eq!(path(Kind::Entries, 1000, 255), "tile/entries/x001/000.p/255");
        assert_eq!(path(Kind::Entries, 999, 256), "tile/entries/999");
    }

    #[test]
    fn widths_are_the_check_values_of_the_specification() {
        let partial = |level, size| Tile::partial(Kind::Hashes(level), size).map(|tile| (tile.index(), tile.width()));
        assert_eq!(partial(0, 70_000), Some((273, 112)));
        assert_eq!(partial(1, 70_000), Some((1, 17)));
        assert_eq!(partial(2, 70_000), Some((0, 1)));
        assert_eq!(partial(3, 70_000), None);
        assert_eq!(partial(0, 256), None);
        assert_eq!(partial(1, 256), Some((0, 1)));
        assert_eq!(Tile::at(Kind::Hashes(0), 0, 256).map(|tile| tile.width()), Some(256));
        assert_eq!(Tile::at(Kind::Hashes(0), 1, 256), None);
        assert_eq!(Tile::at(Kind::Hashes(0), u64::MAX, u64::MAX), None);
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/0/5",
            "tile/0/0005",
            "tile/0/x000/005",
            "tile/0/001/234",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/8/0/000",
            "tile/-1/000",
            "tile/entries/000.p/1/",
            "/tile/0/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/0/+01",
            "tile/0/x+01/000",
        ] {
            assert!(bad.parse::<Tile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bundles_are_strict() {
        let bundle = encode_bundle(&[b"ab".as_slice(), b"", b"c"]).unwrap();
        assert_eq!(bundle, b"\0\x02ab\0\0\0\x01c");
        assert_eq!(parse_bundle(&bundle, 3).unwrap(), [b"ab".as_slice(), b"", b"c"]);
        assert!(parse_bundle(&bundle, 2).is_err());
        assert!(parse_bundle(&bundle, 4).is_err());
        assert!(parse_bundle(&bundle[..bundle.len() - 1], 3).is_err());
        assert!(encode_bundle(&[vec![0; 65_536]]).is_err());
        assert!(encode_bundle(&vec![b""; 257]).is_err());
    }

    proptest! {
        #[test]
        fn paths_round_trip(level in 0u8..=63, entries: bool, index: u64, width in 1u16..=256) {
            let kind = if entries { Kind::Entries } else { Kind::Hashes(level) };
            let tile = Tile::new(kind, index, width).unwrap();
            prop_assert_eq!(tile.to_string().parse::<Tile>().unwrap(), tile);
        }

        #[test]
        fn any_text_is_taken_or_refused(path in "(tile/)?[0-9x/.pe]{0,24}") {
            if let Ok(tile) = path.parse::<Tile>() {
                prop_assert_eq!(tile.to_string(), path);
            }
        }
    }
}
