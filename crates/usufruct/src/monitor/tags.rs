//! The tag index, compared with the leaves it is made of. A resident who trusts the index finds only what it shows.

use std::collections::BTreeMap;

use usufruct_app::log::tile::{FULL, Kind};
use usufruct_app::log::{self, Source, Tile};
use usufruct_core::Digest;
use usufruct_core::event::tag_prefix;
use usufruct_core::hash::sha256;

use super::finding::{Code, Finding};
use crate::public_log::PublicLog;

/// Leaves of a segment.
pub const SEGMENT: u64 = 65_536;
/// Bytes for each leaf.
pub const PREFIX: u64 = 4;

/// What the index must be, as far as the leaves were read, and where it was found to be something else.
#[derive(Default)]
pub struct TagIndex {
    /// SHA-256 of each full segment.
    full: Vec<Digest>,
    /// The segment that still grows.
    open: Vec<u8>,
    /// Leaves that were compared.
    compared: u64,
    /// Segments that have been wrong, with the first leaf they are wrong about if it is known.
    wrong: BTreeMap<u64, Option<u64>>,
    /// The full segment that is read again next: an index may say something else later.
    again: usize,
    /// Segments that became full since they were last compared, with their bytes.
    fresh: BTreeMap<u64, Vec<u8>>,
}

/// Whether the log has an index at all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Absent,
    Served,
}

impl TagIndex {
    /// Takes up the next leaf.
    pub fn take(&mut self, leaf: &[u8]) {
        self.open.extend_from_slice(&tag_prefix(leaf));
        if self.open.len() as u64 == SEGMENT * PREFIX {
            let segment = std::mem::take(&mut self.open);
            let number = self.full.len() as u64;
            self.full.push(sha256(&segment));
            if self.compared < (number + 1) * SEGMENT {
                self.fresh.insert(number, segment);
            }
        }
    }

    /// Compares what is new of the index with the leaves, what was wrong before, and one older segment.
    pub fn compare(&mut self, log: &PublicLog) -> log::Result<Presence> {
        let size = self.full.len() as u64 * SEGMENT + self.open.len() as u64 / PREFIX;
        while self.compared < size {
            let number = self.compared / SEGMENT;
            let (start, end) = (self.compared, size.min((number + 1) * SEGMENT));
            let [from, to] = [start, end].map(|leaf| (leaf - number * SEGMENT) * PREFIX);
            let served = match log.fetch_range(&path(number), from, to)? {
                Some(served) => served,
                None if self.compared == 0 => return Ok(Presence::Absent),
                None => Vec::new(),
            };
            let whole = self.fresh.get(&number).unwrap_or(&self.open);
            let expected = whole.get(from as usize..to as usize).unwrap_or_default();
            if served != expected {
                let same = served.chunks(PREFIX as usize).zip(expected.chunks(PREFIX as usize)).take_while(|(a, b)| a == b);
                let first = start + same.count() as u64;
                let known = self.wrong.entry(number).or_insert(Some(first));
                *known = Some(known.map_or(first, |known| known.min(first)));
            }
            self.fresh.retain(|segment, _| *segment > number);
            self.compared = end;
        }
        let older = (!self.full.is_empty()).then(|| (self.again % self.full.len()) as u64);
        self.again = self.again.wrapping_add(1);
        for number in self.wrong.keys().copied().chain(older).collect::<Vec<_>>() {
            if self.is_right(log, number)? {
                self.wrong.remove(&number);
            } else {
                self.wrong.entry(number).or_insert(None);
            }
        }
        Ok(Presence::Served)
    }

    /// What is wrong with it.
    pub fn findings(&self) -> impl Iterator<Item = Finding> {
        self.wrong.iter().map(|(number, leaf)| {
            let file = path(*number);
            let about = leaf.map(|leaf| format!(", first about leaf {leaf}")).unwrap_or_default();
            let message = format!(
                "{file} is not what the leaves say{about}. Search the log with --whole, and ask the operator what the index hides."
            );
            Finding { leaf: *leaf, ..Finding::broken(Code::TagIndexWrong, message).about(file) }
        })
    }

    /// Whether a segment as it is served now is what the leaves make it.
    fn is_right(&self, log: &PublicLog, number: u64) -> log::Result<bool> {
        let Some(mut served) = log.fetch(&path(number))? else { return Ok(false) };
        match self.full.get(usize::try_from(number).unwrap_or(usize::MAX)) {
            Some(digest) => Ok(sha256(&served) == *digest),
            None => {
                // The log may have grown since.
                served.truncate(self.open.len());
                Ok(served == self.open)
            }
        }
    }
}

/// Where a segment is, its number written like that of a tile.
pub fn path(number: u64) -> String {
    let tile = Tile::new(Kind::Entries, number, FULL).map(|tile| tile.to_string()).unwrap_or_default();
    tile.replacen("tile/entries/", "tags/", 1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use usufruct_core::event;

    use super::*;

    fn leaf(n: u32) -> Vec<u8> {
        let mut tag = [0; 32];
        tag[..4].copy_from_slice(&n.to_be_bytes());
        event::leaf(&[7; 32], &tag).to_vec()
    }

    #[test]
    fn an_index_that_lies_is_found_now_and_later() {
        let folder = std::env::temp_dir().join(format!("usufruct-tags-{}", std::process::id()));
        fs::create_dir_all(folder.join("tags")).unwrap();
        let log = PublicLog::Folder(folder.clone());
        let mut index = TagIndex::default();
        let count = SEGMENT as u32 + 10;
        (0..count).for_each(|n| index.take(&leaf(n + 1)));
        assert!(index.compare(&log).unwrap() == Presence::Absent);

        let bytes: Vec<u8> = (0..count).flat_map(|n| (n + 1).to_be_bytes()).collect();
        let (first, second) = bytes.split_at((SEGMENT * PREFIX) as usize);
        fs::write(folder.join("tags/000"), first).unwrap();
        fs::write(folder.join("tags/001"), second).unwrap();
        assert!(index.compare(&log).unwrap() == Presence::Served);
        assert_eq!(index.findings().count(), 0);

        // A growing segment that says something else about a new leaf.
        index.take(&leaf(70_000));
        fs::write(folder.join("tags/001"), [second, &[9; 4]].concat()).unwrap();
        index.compare(&log).unwrap();
        let found: Vec<Finding> = index.findings().collect();
        assert_eq!((found.len(), found[0].leaf), (1, Some(SEGMENT + 10)));
        fs::write(folder.join("tags/001"), [second, &70_000u32.to_be_bytes()].concat()).unwrap();
        index.compare(&log).unwrap();
        assert_eq!(index.findings().count(), 0, "it was put right");

        // A full segment that says something else afterwards.
        let mut changed = first.to_vec();
        changed[0] ^= 1;
        fs::write(folder.join("tags/000"), changed).unwrap();
        index.compare(&log).unwrap();
        assert_eq!(index.findings().next().unwrap().object.as_deref(), Some("tags/000"));
        fs::remove_dir_all(folder).unwrap();
    }
}
