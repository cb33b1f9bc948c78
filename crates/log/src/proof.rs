//! Building proofs from stored hashes, and the file in which a proof travels (C2SP tlog-proof).

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::checkpoint::{self, Checkpoint};
use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root};
use crate::merkle::{fold_right, is_subtree, verify_inclusion};
use crate::note::{MAX_NOTE_BYTES, Note, Verifier};
use crate::policy::Policy;
use crate::text;

/// Reads the hashes of complete subtrees.
pub trait HashReader {
    /// The root of the subtree of `2^level` leaves that begins at leaf `index * 2^level`.
    fn read(&self, level: u32, index: u64) -> Result<Hash>;
}

/// The root of the tree of the first `size` leaves.
pub fn root<R: HashReader + ?Sized>(reader: &R, size: u64) -> Result<Hash> {
    range_root(reader, 0, size)
}

/// Proves that the leaf at `index` is in the tree of `size` leaves (RFC 6962 section 2.1.1).
pub fn inclusion<R: HashReader + ?Sized>(reader: &R, index: u64, size: u64) -> Result<Vec<Hash>> {
    subtree_inclusion(reader, index, 0, size)
}

/// Proves that the leaf at `index` is in the subtree `[start, end)`.
pub fn subtree_inclusion<R: HashReader + ?Sized>(reader: &R, index: u64, start: u64, end: u64) -> Result<Vec<Hash>> {
    if !is_subtree(start, end) || index < start || index >= end {
        return Err(Error::Proof { why: "there is none for a leaf outside of the tree" });
    }
    let (mut low, mut high) = (start, end);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = split(low, high);
        if index < middle {
            proof.push(range_root(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(range_root(reader, low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the tree of `old` leaves is a prefix of the tree of `new` leaves (RFC 6962 section 2.1.2).
pub fn consistency<R: HashReader + ?Sized>(reader: &R, old: u64, new: u64) -> Result<Vec<Hash>> {
    if old == 0 {
        return Err(Error::Proof { why: "there is none from the empty tree" });
    }
    subtree_consistency(reader, 0, old, new)
}

/// Proves that the subtree `[start, end)` is part of the tree of `size` leaves
/// (draft-ietf-plants-merkle-tree-certs section 4.4).
pub fn subtree_consistency<R: HashReader + ?Sized>(reader: &R, start: u64, end: u64, size: u64) -> Result<Vec<Hash>> {
    if start >= end || end > size || !is_subtree(start, end) {
        return Err(Error::Proof { why: "there is none for a range that is no subtree of the tree" });
    }
    let (mut start, mut low, mut high) = (start, 0, size);
    let mut proof = Vec::new();
    let mut is_known = true;
    while (low, high) != (start, end) {
        let middle = split(low, high);
        if end <= middle {
            proof.push(range_root(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(range_root(reader, low, middle)?);
            low = middle;
            // Where the subtree reaches over the middle, only its right part remains, whose root nobody knows yet.
            if start < middle {
                (start, is_known) = (middle, false);
            }
        }
    }
    if !is_known {
        proof.push(range_root(reader, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root over the leaves `[start, end)`, which must be a subtree.
fn range_root<R: HashReader + ?Sized>(reader: &R, start: u64, end: u64) -> Result<Hash> {
    let mut roots = Vec::new();
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2();
        roots.push(reader.read(level, at >> level)?);
        at += 1 << level;
    }
    Ok(fold_right(roots.into_iter().rev()).unwrap_or_else(empty_root))
}

/// Where a tree over `[low, high)` with at least two leaves divides.
fn split(low: u64, high: u64) -> u64 {
    low + (1 << (high - low - 1).ilog2())
}

/// A proof of one entry, with the checkpoint that covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// The index of the leaf.
    pub index: u64,
    /// The inclusion proof, from the leaf to the root.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Note,
    /// Whatever the application needs to rebuild the leaf. Nothing authenticates it.
    pub extra: Option<Vec<u8>>,
}

impl TlogProof {
    /// Verifies that the log of this origin holds the leaf, and returns the checkpoint. Whether enough witnesses have
    /// signed is for [`TlogProof::check`] to say.
    pub fn verify(&self, leaf_hash: &Hash, origin: &str, log_keys: &[&dyn Verifier]) -> Result<Checkpoint> {
        let (head, _) = checkpoint::open(self.checkpoint.to_string().as_bytes(), origin, log_keys)?;
        verify_inclusion(self.index, head.size(), leaf_hash, &self.hashes, head.root())?;
        Ok(head)
    }

    /// Verifies under a policy: as [`TlogProof::verify`] for a log that the policy lists (the one of this origin, where
    /// one is given), and the checkpoint must have the cosignatures of the quorum.
    pub fn check(&self, leaf_hash: &Hash, policy: &Policy, origin: Option<&str>) -> Result<Checkpoint> {
        let (head, _) = policy.check(self.checkpoint.to_string().as_bytes(), origin)?;
        verify_inclusion(self.index, head.size(), leaf_hash, &self.hashes, head.root())?;
        Ok(head)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = Error;

    fn from_str(file: &str) -> Result<Self> {
        let malformed = |why: &str| Error::malformed("proof", why);
        if file.len() > MAX_PROOF_BYTES {
            return Err(Error::TooLarge { what: "proof", limit: MAX_PROOF_BYTES });
        }
        let (head, note) = file.split_once("\n\n").ok_or_else(|| malformed("no empty line stands before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("the first line is unknown"));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")).and_then(|line| line.strip_prefix("extra ")) {
            Some(encoded) => Some(STANDARD.decode(encoded).map_err(|_| malformed("the extra data are not base64"))?),
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or_else(|| malformed("it has no index"))?;
        let hashes: Vec<Hash> = lines.by_ref().take(MAX_HASHES).map(Hash::from_base64).collect::<Result<_>>()?;
        if lines.next().is_some() {
            return Err(malformed("it has too many hashes"));
        }
        Ok(Self { index: text::decimal("proof", index)?, hashes, checkpoint: Note::parse(note.as_bytes())?, extra })
    }
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const MAX_HASHES: usize = 63;
const MAX_PROOF_BYTES: usize = 2 * MAX_NOTE_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ed25519Signer;
    use crate::hash::leaf_hash;
    use crate::merkle::{complete_root, verify_consistency, verify_subtree_consistency, verify_subtree_inclusion};

    /// Answers from the leaf hashes themselves.
    struct Leaves(Vec<Hash>);

    impl HashReader for Leaves {
        fn read(&self, level: u32, index: u64) -> Result<Hash> {
            let (start, length) = ((index << level) as usize, 1 << level);
            Ok(complete_root(&self.0[start..start + length]))
        }
    }

    #[test]
    fn every_proof_of_small_trees_verifies_and_no_other_length_does() {
        let reader = Leaves((0..40u8).map(|i| leaf_hash(&[i])).collect());
        for size in 1..=40 {
            let whole = root(&reader, size).unwrap();
            for index in 0..size {
                let proof = inclusion(&reader, index, size).unwrap();
                verify_inclusion(index, size, &reader.0[index as usize], &proof, &whole).unwrap();
                let long = [proof.clone(), vec![whole]].concat();
                assert!(verify_inclusion(index, size, &reader.0[index as usize], &long, &whole).is_err());
            }
            for end in 1..=size {
                for start in (0..end).filter(|start| is_subtree(*start, end)) {
                    let part = range_root(&reader, start, end).unwrap();
                    let proof = subtree_consistency(&reader, start, end, size).unwrap();
                    verify_subtree_consistency(start, end, size, &proof, &part, &whole).unwrap();
                    if start == 0 {
                        verify_consistency(end, size, &proof, &part, &whole).unwrap();
                    }
                    if let Some(short) = proof.split_last().map(|(_, short)| short) {
                        assert!(verify_subtree_consistency(start, end, size, short, &part, &whole).is_err());
                    }
                    for index in start..end {
                        let proof = subtree_inclusion(&reader, index, start, end).unwrap();
                        verify_subtree_inclusion(index, start, end, &reader.0[index as usize], &proof, &part).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn the_examples_of_the_draft_hold() {
        let reader = Leaves((0..14u8).map(|i| leaf_hash(&[i])).collect());
        let range = |start, end| range_root(&reader, start, end).unwrap();
        assert_eq!(subtree_consistency(&reader, 4, 8, 14).unwrap(), [range(0, 4), range(8, 14)]);
        assert_eq!(subtree_consistency(&reader, 8, 13, 14).unwrap(), [range(12, 13), range(13, 14), range(8, 12), range(0, 8)]);
    }

    #[test]
    fn impossible_proofs_are_refused() {
        let reader = Leaves(vec![leaf_hash(b"0"); 8]);
        assert!(inclusion(&reader, 8, 8).is_err());
        assert!(inclusion(&reader, 0, 0).is_err());
        assert!(consistency(&reader, 0, 8).is_err());
        assert!(consistency(&reader, 9, 8).is_err());
        assert!(subtree_consistency(&reader, 1, 3, 8).is_err());
        assert_eq!(consistency(&reader, 8, 8).unwrap(), []);
    }

    #[test]
    fn proof_files_round_trip_and_verify() {
        let leaves = Leaves((0..5u8).map(|i| leaf_hash(&[i])).collect());
        let signer = Ed25519Signer::from_seed("example.org/log", &[9; 32]).unwrap();
        let checkpoint = Checkpoint::new("example.org/log", 5, root(&leaves, 5).unwrap()).unwrap().sign(&[&signer], 0).unwrap();
        for extra in [None, Some(b"opening".to_vec()), Some(Vec::new())] {
            let proof = TlogProof { index: 4, hashes: inclusion(&leaves, 4, 5).unwrap(), checkpoint: checkpoint.clone(), extra };
            let file = proof.to_string();
            let parsed: TlogProof = file.parse().unwrap();
            assert_eq!((&parsed, parsed.to_string()), (&proof, file.clone()));
            assert_eq!(parsed.verify(&leaves.0[4], "example.org/log", &[&signer]).unwrap().size(), 5);
            assert!(parsed.verify(&leaves.0[3], "example.org/log", &[&signer]).is_err());
            for bad in [
                file.replace("@v1", "@v2"),
                file.replace("index 4", "index 04"),
                file.replace("index 4\n", ""),
                file.replacen("\n\n", "\n", 1),
            ] {
                assert!(bad.parse::<TlogProof>().is_err(), "{bad}");
            }
        }
    }
}
