//! The public side of the key tree: the set of the commitments of all live keys, and short proofs that one is in it or not.
//!
//! A commitment hides its key, so the set tells nothing but how many keys live. Its root goes into every certificate; the
//! proof before an erasure shows the commitment in the set, the proof after it shows that it is gone.
//!
//! ```text
//! bucket b   all commitments whose first `bits` bits are b, ascending
//! leaf       SHA-256(0x00 | commitments of the bucket)
//! node       SHA-256(0x01 | left | right)
//! root       SHA-256("usufruct/handles/v1" | bits u8 | count u64 | top node)
//! ```

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::hash::sha256;

/// A proof about one commitment: the whole bucket it belongs to, and the way from there to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandleProof {
    /// How many keys live.
    pub count: u64,
    /// The bucket, ascending.
    pub bucket: Vec<Digest>,
    /// The sibling at each level, from the leaf up; as many as the bucket has bits.
    pub path: Vec<Digest>,
}

impl HandleProof {
    /// Whether `handle` is in the set with this root. `None` if the proof does not lead to the root or is not about the
    /// handle's bucket.
    pub fn check(&self, handle: &Digest, root: &Digest) -> Option<bool> {
        let bits = u8::try_from(self.path.len()).ok().filter(|bits| *bits <= MOST_BITS)?;
        let number = bucket_of(handle, bits);
        let is_ordered = self.bucket.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_ordered || self.bucket.iter().any(|other| bucket_of(other, bits) != number) {
            return None;
        }
        let mut top = leaf(&self.bucket);
        for (level, sibling) in self.path.iter().enumerate() {
            top = if number >> level & 1 == 0 { node(&top, sibling) } else { node(sibling, &top) };
        }
        (set_root(bits, self.count, &top) == *root).then(|| self.bucket.binary_search(handle).is_ok())
    }
}

/// The bucket of a handle: its first bits as a number.
pub fn bucket_of(handle: &Digest, bits: u8) -> u32 {
    let [a, b, c, d, ..] = handle.0;
    u32::from_be_bytes([a, b, c, d]).checked_shr(32 - u32::from(bits)).unwrap_or(0)
}

/// The leaf of a bucket.
pub fn leaf(bucket: &[Digest]) -> Digest {
    let mut bytes = Vec::with_capacity(1 + 32 * bucket.len());
    bytes.push(0);
    bucket.iter().for_each(|handle| bytes.extend_from_slice(&handle.0));
    sha256(&bytes)
}

/// The node above two others.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    sha256(&bytes)
}

/// The root that is published.
pub fn set_root(bits: u8, count: u64, top: &Digest) -> Digest {
    let mut bytes = [0; 19 + 1 + 8 + 32];
    bytes[..19].copy_from_slice(b"usufruct/handles/v1");
    bytes[19] = bits;
    bytes[20..28].copy_from_slice(&count.to_be_bytes());
    bytes[28..].copy_from_slice(&top.0);
    sha256(&bytes)
}

/// The most bits a bucket may have.
pub const MOST_BITS: u8 = 32;
