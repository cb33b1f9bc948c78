//! A page: 127 secrets of 32 bytes, sealed under a key that seals nothing else.
//!
//! ```text
//! page  4096 B   level u32 | index u64 | version u32 | 127 x 32 B ciphertext | tag 16 B
//! AES-256-GCM, nonce zero, the 16 bytes in front as additional data
//! ```
//! In a page of level 0 the secrets are keys of the tree, in those above they are the keys of the pages below. A secret of
//! zeros is none. The key of a page is made when the page is written and replaced whenever it is written again, so that the
//! nonce may be zero, and so that an old page opens under an old key only.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::tree::Key;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Secrets in a page.
pub const FANOUT: usize = 127;
const HEADER: usize = 16;
const BODY: usize = FANOUT * 32;

/// A page as it is stored.
pub type Page = [u8; PAGE];

/// Which page it is, and which writing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// The segment of the tree in the upper bytes, the height above the keys in the lowest.
    pub level: u32,
    /// The number of the page in its level.
    pub index: u64,
    /// The commit that wrote it.
    pub version: u32,
}

/// What a page holds. Overwritten when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Cells(Box<[[u8; 32]; FANOUT]>);

impl PageId {
    /// The id in the front of a page, which is authentic only once the page has been opened.
    pub fn of(page: &Page) -> Self {
        let (level, rest) = page.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let (index, rest) = rest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let version = rest.first_chunk::<4>().unwrap_or(&[0; 4]);
        Self { level: u32::from_be_bytes(*level), index: u64::from_be_bytes(*index), version: u32::from_be_bytes(*version) }
    }

    fn header(self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&self.level.to_be_bytes());
        header[4..12].copy_from_slice(&self.index.to_be_bytes());
        header[12..].copy_from_slice(&self.version.to_be_bytes());
        header
    }
}

impl Cells {
    pub(super) fn empty() -> Self {
        Self(Box::new([[0; 32]; FANOUT]))
    }

    pub(super) fn get(&self, place: usize) -> Option<Key> {
        let cell = &self.0[place];
        (*cell != [0; 32]).then(|| Key::from_bytes(*cell))
    }

    pub(super) fn set(&mut self, place: usize, key: Option<&Key>) {
        self.0[place] = key.map_or([0; 32], |key| *key.bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|cell| *cell == [0; 32])
    }

    /// Seals the cells under `key`, which must be fresh.
    pub(super) fn seal(&self, id: PageId, key: &Key) -> Box<Page> {
        let mut page = Box::new([0; PAGE]);
        page[..HEADER].copy_from_slice(&id.header());
        page[HEADER..HEADER + BODY].copy_from_slice(self.0.as_flattened());
        let tag = cipher(key)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from(id.header()),
                &mut page[HEADER..HEADER + BODY],
            )
            // INVARIANT: sealing fails beyond 64 GiB only.
            .expect("a page is short");
        page[HEADER + BODY..].copy_from_slice(tag.as_ref());
        page
    }

    /// Opens a page that must be `id`; `None` if it is another one, was changed, or belongs to another key.
    pub(super) fn open(id: PageId, page: &Page, key: &Key) -> Option<Self> {
        if PageId::of(page) != id {
            return None;
        }
        let mut body = Opening([0; BODY + 16]);
        body.0.copy_from_slice(&page[HEADER..]);
        cipher(key).open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(id.header()), &mut body.0).ok()?;
        let mut cells = Self::empty();
        cells.0.as_flattened_mut().copy_from_slice(&body.0[..BODY]);
        Some(cells)
    }
}

/// Room for the plaintext while it is checked.
#[derive(ZeroizeOnDrop)]
struct Opening([u8; BODY + 16]);

fn cipher(key: &Key) -> LessSafeKey {
    // INVARIANT: the key has the 32 bytes the algorithm asks for.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.bytes()).expect("the key has 32 bytes"))
}
