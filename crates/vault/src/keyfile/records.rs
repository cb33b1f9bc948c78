//! The form of `keys.<epoch>`: a header, the records of the base that the erasure wrote, and the records appended since.
//!
//! ```text
//! header  64 B   "UFKEYS01" | epoch u64 | base_len u64 | HMAC(root, "usufruct/keyfile-head/v1" | epoch | base_len) | zeros
//! record         "UFKREC01" | body_len u32 | zeros 4 | salt 16 | body | zeros to a multiple of 64
//! body           AES-256-GCM, key HKDF-Expand(root, "usufruct/keyfile/v1" | salt), AAD epoch u64 | position u64
//! entry   41 B   kind and number of the id, 9 B | key 32 B
//! ```
//! Records begin at multiples of 64, so their heads never straddle a sector. A crash can tear the last record only; what
//! looks torn and has another record behind it is damage.

use usufruct_core::hash::{equal, hmac_sha256};
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use super::slot::Root;
use crate::aead::{TAG_LEN, expand, open, seal};
use crate::error::{Error, Result};
use crate::tree::{Key, KeyId};

/// Length of the header, and what positions are multiples of.
pub(super) const ALIGN: usize = 64;

/// The header of a file whose base ends at `base_len`.
pub(super) fn header(root: &Root, base_len: u64) -> [u8; ALIGN] {
    let mut header = [0; ALIGN];
    header[..8].copy_from_slice(FILE_MAGIC);
    header[8..16].copy_from_slice(&root.epoch.0.to_be_bytes());
    header[16..24].copy_from_slice(&base_len.to_be_bytes());
    let mac = hmac_sha256(root.secret.bytes(), &[b"usufruct/keyfile-head/v1", &header[8..24]]);
    header[24..56].copy_from_slice(&mac);
    header
}

/// Length of a record with `count` keys.
pub(super) const fn record_len(count: usize) -> usize {
    (HEAD + count * ENTRY + TAG_LEN).next_multiple_of(ALIGN)
}

/// The most keys one record can hold.
pub(super) const RECORD_MAX: usize = (u32::MAX as usize - TAG_LEN) / ENTRY;

/// The record to be written at `position`.
pub(super) fn record<'a>(
    root: &Root,
    position: u64,
    keys: impl ExactSizeIterator<Item = (KeyId, &'a Key)>,
    rng: &dyn Rng,
) -> Vec<u8> {
    let count = keys.len();
    let mut plain = Zeroizing::new(Vec::with_capacity(count * ENTRY));
    for (id, key) in keys {
        plain.extend_from_slice(&id.encode());
        plain.extend_from_slice(key.bytes());
    }
    let salt: [u8; 16] = random(rng);
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(RECORD_MAGIC);
    // INVARIANT: callers keep to RECORD_MAX.
    head[8..12].copy_from_slice(&u32::try_from(plain.len() + TAG_LEN).expect("the record is not too long").to_be_bytes());
    head[16..].copy_from_slice(&salt);
    let mut record = seal(&record_key(root, &salt), &place(root, position), &head, &plain);
    record.resize(record_len(count), 0);
    record
}

/// Reads a key file, giving every key to `each`. The answer is where the last whole record ends; what a crash tore lies
/// behind. A file that is not of this root, or whose base is not whole, is [`Error::Damaged`].
pub(super) fn read(file: &[u8], root: &Root, mut each: impl FnMut(KeyId, Key) -> Result<()>) -> Result<u64> {
    let base_len = base_len(file, root)?;
    let mut position = ALIGN;
    while position < file.len() {
        let Some(len) = read_record(file, position, root, &mut each)? else {
            if position < base_len {
                return Err(Error::Damaged { what: "the key file of the epoch is not whole" });
            }
            if another_record(&file[position..]) {
                return Err(Error::Damaged { what: "a record in the middle of the key file does not open" });
            }
            break;
        };
        position += len;
    }
    if position < base_len {
        return Err(Error::Damaged { what: "the key file of the epoch is not whole" });
    }
    Ok(position as u64)
}

fn base_len(file: &[u8], root: &Root) -> Result<usize> {
    let head = file.get(..ALIGN).ok_or(Error::Damaged { what: "the key file of the epoch is not whole" })?;
    let base_len = file[16..24].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    if !equal(head, &header(root, base_len)) {
        return Err(Error::Damaged { what: "the key file is not of the root's epoch" });
    }
    usize::try_from(base_len).map_err(|_| Error::Damaged { what: "the key file of the epoch is not whole" })
}

/// Reads the record at `position` and answers its length, or `None` when it is not whole.
fn read_record(
    file: &[u8],
    position: usize,
    root: &Root,
    each: &mut impl FnMut(KeyId, Key) -> Result<()>,
) -> Result<Option<usize>> {
    let Some((head, rest)) = file[position..].split_first_chunk::<HEAD>() else { return Ok(None) };
    let (magic, len, salt) = (&head[..8], &head[8..16], &head[16..]);
    let body_len = len[..4].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let len = (HEAD + body_len).next_multiple_of(ALIGN);
    let (Some(body), true) = (rest.get(..body_len), magic == RECORD_MAGIC && position + len <= file.len()) else {
        return Ok(None);
    };
    let Ok(plain) = open(&record_key(root, salt), &place(root, position as u64), body) else { return Ok(None) };
    for entry in plain.chunks(ENTRY) {
        let (id, key) = entry.split_at(KeyId::LEN.min(entry.len()));
        match KeyId::decode(id).zip(Key::from_slice(key)) {
            Some((id, key)) => each(id, key)?,
            None => return Err(Error::Malformed { what: "a record of the key file" }),
        }
    }
    Ok(Some(len))
}

/// Whether a record begins anywhere behind the one that `tail` begins with.
fn another_record(tail: &[u8]) -> bool {
    tail.chunks(ALIGN).skip(1).any(|chunk| chunk.starts_with(RECORD_MAGIC))
}

fn record_key(root: &Root, salt: &[u8]) -> Key {
    expand(&root.secret, &[b"usufruct/keyfile/v1", salt])
}

fn place(root: &Root, position: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&root.epoch.0.to_be_bytes());
    place[8..].copy_from_slice(&position.to_be_bytes());
    place
}

const FILE_MAGIC: &[u8; 8] = b"UFKEYS01";
const RECORD_MAGIC: &[u8; 8] = b"UFKREC01";
/// Length of what stands before the body of a record.
const HEAD: usize = 32;
const ENTRY: usize = KeyId::LEN + 32;
