//! The tag index: the first bytes of every tag in the log, so that a resident finds her leaves without saying who she is.
//!
//! Segment `n` is about the 65,536 leaves from `65,536 n` on and has four bytes for each, in order: the first four of the
//! tag of an event leaf, zeros for any other leaf. It follows from the public leaves alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use usufruct_core::Digest;
use usufruct_core::event::tag_prefix;
use usufruct_core::hash::sha256;
use usufruct_log::Objects;
use usufruct_log::tile::{FULL, Kind, Tile};
use usufruct_store::leaves;

use crate::{App, Error};

/// Leaves of a segment.
pub const SEGMENT: u64 = 65_536;
/// Bytes a leaf.
const PREFIX: u64 = 4;
/// Leaves read at once.
const PAGE: usize = 8_192;

/// Full segments that are kept in memory, 256 kB each.
const MOST_KEPT: usize = 64;

/// The segment that still grows, and full ones that were asked for.
#[derive(Default)]
pub(crate) struct Segments {
    open: Mutex<Open>,
    full: Mutex<VecDeque<Full>>,
    /// SHA-256 of every full segment that was made from the leaves by this process.
    hashes: Mutex<BTreeMap<u64, Digest>>,
}

/// A part of the index.
pub struct TagSegment {
    pub bytes: Arc<Vec<u8>>,
    /// Whether it will never change again.
    pub is_full: bool,
}

/// A full segment, with its number.
type Full = (u64, Arc<Vec<u8>>);

#[derive(Default)]
struct Open {
    number: u64,
    bytes: Arc<Vec<u8>>,
}

impl App {
    /// A segment as far as the public checkpoint goes; `None` if there is none of it yet.
    pub fn tag_segment(&self, number: u64) -> Result<Option<TagSegment>, Error> {
        let size = self.published_size();
        let Some(start) = number.checked_mul(SEGMENT).filter(|start| *start < size) else { return Ok(None) };
        let leaves = (size - start).min(SEGMENT);
        if leaves == SEGMENT {
            return Ok(Some(TagSegment { bytes: self.full_segment(number, start)?, is_full: true }));
        }
        let mut open = lock(&self.segments.open);
        if open.number != number {
            *open = Open { number, bytes: Arc::default() };
        }
        self.extend(&mut open, start, leaves)?;
        let length = (leaves * PREFIX) as usize;
        // The checkpoint may have gone on between two callers.
        let bytes = if open.bytes.len() == length { Arc::clone(&open.bytes) } else { Arc::new(open.bytes[..length].to_vec()) };
        Ok(Some(TagSegment { bytes, is_full: false }))
    }

    /// A full segment: from memory, or as it is stored, or made from the leaves and then stored. What is stored is believed
    /// only once it was compared with the leaves.
    fn full_segment(&self, number: u64, start: u64) -> Result<Arc<Vec<u8>>, Error> {
        if let Some((_, bytes)) = lock(&self.segments.full).iter().find(|(known, _)| *known == number) {
            return Ok(Arc::clone(bytes));
        }
        let Some(path) = segment_path(number) else { return Err(Error::Corrupt { what: format!("segment {number}") }) };
        let stored = self.objects.fetch(&path)?;
        let meant = lock(&self.segments.hashes).get(&number).copied();
        let bytes = match stored {
            Some(stored) if meant == Some(sha256(&stored)) => Arc::new(stored),
            stored => {
                let mut made = Open { number, bytes: Arc::default() };
                self.extend(&mut made, start, SEGMENT)?;
                match stored {
                    None => self.objects.put(&path, &made.bytes)?,
                    Some(stored) if stored == *made.bytes => {}
                    Some(_) => {
                        tracing::warn!(path, "this part of the tag index was damaged and has been written anew");
                        self.objects.replace(&path, &made.bytes)?;
                    }
                }
                lock(&self.segments.hashes).insert(number, sha256(&made.bytes));
                made.bytes
            }
        };
        let mut full = lock(&self.segments.full);
        full.truncate(MOST_KEPT - 1);
        full.push_front((number, Arc::clone(&bytes)));
        Ok(bytes)
    }

    fn extend(&self, open: &mut Open, start: u64, leaves: u64) -> Result<(), Error> {
        let bytes = Arc::make_mut(&mut open.bytes);
        while (bytes.len() as u64) < leaves * PREFIX {
            let known = bytes.len() as u64 / PREFIX;
            let limit = PAGE.min((leaves - known) as usize);
            let page = self.db.read(|conn| leaves::range(conn, start + known, limit))?;
            if page.is_empty() {
                return Err(Error::Corrupt { what: format!("leaf {} is missing", start + known) });
            }
            page.iter().for_each(|(_, leaf)| bytes.extend_from_slice(&tag_prefix(leaf)));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a full segment is kept, `tags/` and the number written like that of a tile.
fn segment_path(number: u64) -> Option<String> {
    let tile = Tile::new(Kind::Entries, number, FULL)?.to_string();
    Some(format!("tags/{}", tile.strip_prefix("tile/entries/")?))
}
