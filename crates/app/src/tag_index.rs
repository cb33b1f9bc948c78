//! The tag index: the first bytes of every tag in the log, so that a resident finds her leaves without saying who she is.
//!
//! Segment `n` is about the 65,536 leaves from `65,536 n` on and has four bytes for each, in order: the first four of the
//! tag of an event leaf, zeros for any other leaf. It follows from the public leaves alone.

use std::sync::{Arc, Mutex, PoisonError};

use usufruct_core::event::tag_prefix;
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

/// The segment that still grows.
#[derive(Default)]
pub(crate) struct OpenSegment(Mutex<Open>);

#[derive(Default)]
struct Open {
    number: u64,
    bytes: Arc<Vec<u8>>,
}

impl App {
    /// A segment as far as the public checkpoint goes, and whether it is full; `None` if there is none of it yet.
    pub fn tag_segment(&self, number: u64) -> Result<Option<(Arc<Vec<u8>>, bool)>, Error> {
        let size = self.published_size();
        let Some(start) = number.checked_mul(SEGMENT).filter(|start| *start < size) else { return Ok(None) };
        let leaves = (size - start).min(SEGMENT);
        let is_full = leaves == SEGMENT;
        let path = segment_path(number);
        if is_full
            && let Some(path) = &path
            && let Some(bytes) = self.objects.fetch(path)?
            && bytes.len() as u64 == SEGMENT * PREFIX
        {
            return Ok(Some((Arc::new(bytes), true)));
        }
        let mut open = self.open_segment.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.number != number {
            *open = Open { number, bytes: Arc::default() };
        }
        self.extend(&mut open, start, leaves)?;
        let bytes = Arc::new(open.bytes[..(leaves * PREFIX) as usize].to_vec());
        if is_full && let Some(path) = &path {
            self.objects.put(path, &bytes)?;
        }
        Ok(Some((bytes, is_full)))
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

/// Where a full segment is kept, `tags/` and the number written like that of a tile.
fn segment_path(number: u64) -> Option<String> {
    let tile = Tile::new(Kind::Entries, number, FULL)?.to_string();
    Some(format!("tags/{}", tile.strip_prefix("tile/entries/")?))
}
