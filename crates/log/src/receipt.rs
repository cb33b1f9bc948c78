//! Receipts: the signed promise that an entry has its final place in the log and will be published in time.
//!
//! The promise is a signed note by a key of its own, named `<origin>/receipt`, never by the key of the checkpoints. It covers
//! all the leaves that became durable together, so that one signature serves a thousand of them. Its text is seven lines:
//! `usufruct/promise/v1`, origin, index of the first leaf, number of leaves, root of the tree over these leaves alone
//! (RFC 6962), time in microseconds UTC, and the maximum merge delay in seconds.
//!
//! A receipt is the promise with the way to it from one leaf: `usufruct/receipt/v1`, `index <n>`, `leaf <hash>`, the inclusion
//! proof in the tree of the promise one hash a line, an empty line, and the promise. A receipt that no checkpoint covers
//! after the delay convicts the log.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::{Hash, node_hash};
use crate::key::{Ed25519Signer, Ed25519Verifier, VerifierKey};
use crate::merkle::verify_inclusion;
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::text;

/// What a receipt says, once it has been verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The name of the log.
    pub origin: String,
    /// The final index of the leaf.
    pub index: u64,
    /// The hash of the leaf.
    pub leaf_hash: Hash,
    /// When the leaf became durable, in microseconds UTC.
    pub time_us: u64,
    /// Within how many seconds a checkpoint will cover the leaf.
    pub mmd_seconds: u64,
}

/// What is promised about leaves that became durable together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Promise {
    /// The name of the log.
    pub origin: String,
    /// The index of the first leaf.
    pub start: u64,
    /// The number of leaves, at least one.
    pub leaves: u64,
    /// The root of the tree over these leaves alone.
    pub root: Hash,
    /// When the leaves became durable, in microseconds UTC.
    pub time_us: u64,
    /// Within how many seconds a checkpoint will cover them.
    pub mmd_seconds: u64,
}

/// A receipt as it is handed over: nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFile {
    /// The index of the leaf in the log.
    pub index: u64,
    /// The hash of the leaf.
    pub leaf_hash: Hash,
    /// The way from the leaf to the root of the promise.
    pub hashes: Vec<Hash>,
    /// The signed promise.
    pub promise: Note,
}

/// A signed promise with the tree over its leaves, from which the receipt of each is made.
#[derive(Debug, Clone)]
pub struct SignedPromise {
    note: Note,
    start: u64,
    /// The hashes of the leaves, then those of each level above them.
    levels: Vec<Vec<Hash>>,
}

/// Signs the promises of one log.
pub struct ReceiptSigner {
    signer: Ed25519Signer,
    origin: String,
}

/// Verifies the receipts of one log.
#[derive(Debug, Clone)]
pub struct ReceiptVerifier {
    verifier: Ed25519Verifier,
    origin: String,
}

impl ReceiptSigner {
    /// A signer for the log of this origin. The seed must not be that of the checkpoint key.
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self> {
        Ok(Self { signer: Ed25519Signer::from_seed(&key_name(origin), seed)?, origin: origin.to_owned() })
    }

    /// The public key.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    /// Signs the promise for the leaves from index `start` on, of which there must be at least one.
    pub fn sign(&self, start: u64, leaf_hashes: Vec<Hash>, time_us: u64, mmd_seconds: u64) -> Result<SignedPromise> {
        let leaves = leaf_hashes.len() as u64;
        let levels = levels(leaf_hashes);
        let Some(root) = levels.last().and_then(|level| level.first()).copied() else {
            return Err(Error::malformed("promise", "it covers no leaf"));
        };
        let promise = Promise { origin: self.origin.clone(), start, leaves, root, time_us, mmd_seconds };
        Ok(SignedPromise { note: Note::sign(promise.to_string(), &[&self.signer], time_us / 1_000_000)?, start, levels })
    }
}

impl SignedPromise {
    /// The receipt of the leaf at this index of the log; `None` if the promise does not cover it.
    pub fn receipt(&self, index: u64) -> Option<ReceiptFile> {
        let mut place = usize::try_from(index.checked_sub(self.start)?).ok()?;
        let leaf_hash = *self.levels.first()?.get(place)?;
        let mut hashes = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            hashes.extend(level.get(place ^ 1));
            place /= 2;
        }
        Some(ReceiptFile { index, leaf_hash, hashes, promise: self.note.clone() })
    }
}

impl ReceiptVerifier {
    /// A verifier for the log of this origin; the key must carry the name `<origin>/receipt`.
    pub fn new(origin: &str, key: &VerifierKey) -> Result<Self> {
        if key.name() != key_name(origin) {
            return Err(Error::malformed("receipt key", format!("its name is not {}", key_name(origin))));
        }
        Ok(Self { verifier: key.verifier()?, origin: origin.to_owned() })
    }

    /// Verifies a receipt.
    pub fn open(&self, receipt: &[u8]) -> Result<Receipt> {
        let file = std::str::from_utf8(receipt).map_err(|_| Error::malformed("receipt", "it is not UTF-8"))?;
        let ReceiptFile { index, leaf_hash, hashes, promise } = file.parse()?;
        promise.verified_by(&[&self.verifier]).and_then(|known| if known.is_empty() { Err(Error::Unsigned) } else { Ok(()) })?;
        let promise: Promise = promise.text().parse()?;
        if promise.origin != self.origin {
            return Err(Error::malformed("receipt", "it is for another log"));
        }
        let place = index.checked_sub(promise.start).filter(|place| *place < promise.leaves);
        let place = place.ok_or(Error::Proof { why: "the promise does not cover the index" })?;
        verify_inclusion(place, promise.leaves, &leaf_hash, &hashes, &promise.root)?;
        let Promise { origin, time_us, mmd_seconds, .. } = promise;
        Ok(Receipt { origin, index, leaf_hash, time_us, mmd_seconds })
    }
}

/// The levels of the tree over these leaves. The last of an odd number has no partner and rises as it is.
fn levels(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves];
    while let Some(below) = levels.last().filter(|level| level.len() > 1) {
        let above = below.chunks(2).map(|pair| match pair {
            [left, right] => node_hash(left, right),
            other => other[0],
        });
        levels.push(above.collect());
    }
    levels
}

impl fmt::Display for Promise {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, start, leaves, root, time_us, mmd_seconds } = self;
        write!(f, "{PROMISE}\n{origin}\n{start}\n{leaves}\n{root}\n{time_us}\n{mmd_seconds}\n")
    }
}

impl FromStr for Promise {
    type Err = Error;

    fn from_str(body: &str) -> Result<Self> {
        let malformed = |why: &str| Error::malformed("promise", why);
        let lines: Vec<&str> = text::lines("promise", body)?.take(8).collect();
        let [PROMISE, origin, start, leaves, root, time_us, mmd_seconds] = lines[..] else {
            return Err(malformed("it does not have the seven lines of version 1"));
        };
        if origin.is_empty() {
            return Err(malformed("the origin is empty"));
        }
        let number = |line| text::decimal("promise", line);
        let promise = Self {
            origin: origin.to_owned(),
            start: number(start)?,
            leaves: number(leaves)?,
            root: Hash::from_base64(root)?,
            time_us: number(time_us)?,
            mmd_seconds: number(mmd_seconds)?,
        };
        if promise.leaves == 0 || promise.start.checked_add(promise.leaves).is_none() {
            return Err(malformed("it covers no leaf, or more than there can be"));
        }
        Ok(promise)
    }
}

impl fmt::Display for ReceiptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{RECEIPT}\nindex {}\nleaf {}\n", self.index, self.leaf_hash)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.promise)
    }
}

impl FromStr for ReceiptFile {
    type Err = Error;

    fn from_str(file: &str) -> Result<Self> {
        let malformed = |why: &str| Error::malformed("receipt", why);
        if file.len() > MAX_NOTE_BYTES {
            return Err(Error::TooLarge { what: "receipt", limit: MAX_NOTE_BYTES });
        }
        let (head, note) = file.split_once("\n\n").ok_or_else(|| malformed("no empty line stands before the promise"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(RECEIPT) {
            return Err(malformed("the first line is unknown"));
        }
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let index = field("index").ok_or_else(|| malformed("it has no index"))?;
        let leaf_hash = field("leaf").ok_or_else(|| malformed("it has no leaf"))?;
        let hashes: Vec<Hash> = lines.by_ref().take(MAX_HASHES).map(Hash::from_base64).collect::<Result<_>>()?;
        if lines.next().is_some() {
            return Err(malformed("it has too many hashes"));
        }
        Ok(Self {
            index: text::decimal("receipt", index)?,
            leaf_hash: Hash::from_base64(leaf_hash)?,
            hashes,
            promise: Note::parse(note.as_bytes())?,
        })
    }
}

fn key_name(origin: &str) -> String {
    format!("{origin}/receipt")
}

const MAX_HASHES: usize = 63;
const PROMISE: &str = "usufruct/promise/v1";
const RECEIPT: &str = "usufruct/receipt/v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    const ORIGIN: &str = "example.org/log";

    fn hashes(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_a_promise_has_a_receipt_that_verifies() {
        let signer = ReceiptSigner::from_seed(ORIGIN, &[5; 32]).unwrap();
        let verifier = ReceiptVerifier::new(ORIGIN, signer.verifier_key()).unwrap();
        for count in [1, 2, 3, 7, 8, 9, 100] {
            let promise = signer.sign(42, hashes(count), 1_790_000_000_000_000, 60).unwrap();
            for place in 0..count {
                let file = promise.receipt(42 + place).unwrap();
                let text = file.to_string();
                assert_eq!(text.parse::<ReceiptFile>().unwrap(), file);
                let receipt = verifier.open(text.as_bytes()).unwrap();
                assert_eq!((receipt.index, receipt.leaf_hash, receipt.mmd_seconds), (42 + place, file.leaf_hash, 60));
                let moved = ReceiptFile { index: 42 + (place + 1) % count, ..file.clone() };
                assert_eq!(verifier.open(moved.to_string().as_bytes()).is_ok(), count == 1);
                let other = ReceiptFile { leaf_hash: leaf_hash(b"other"), ..file };
                assert!(verifier.open(other.to_string().as_bytes()).is_err());
            }
            assert!(promise.receipt(41).is_none());
            assert!(promise.receipt(42 + count).is_none());
        }
        assert!(signer.sign(0, Vec::new(), 1, 2).is_err());
    }

    #[test]
    fn another_log_or_a_changed_promise_is_refused() {
        let signer = ReceiptSigner::from_seed(ORIGIN, &[5; 32]).unwrap();
        let verifier = ReceiptVerifier::new(ORIGIN, signer.verifier_key()).unwrap();
        let text = signer.sign(42, hashes(1), 1_790_000_000_000_000, 60).unwrap().receipt(42).unwrap().to_string();
        assert!(verifier.open(text.replace("\n60\n", "\n61\n").as_bytes()).is_err());
        assert!(verifier.open(text.replace("index 42", "index 43").as_bytes()).is_err());
        assert!(ReceiptVerifier::new("example.org/other", signer.verifier_key()).is_err());
    }

    #[test]
    fn malformed_promises_are_refused() {
        let good = Promise { origin: "o".to_owned(), start: 0, leaves: 3, root: leaf_hash(b""), time_us: 1, mmd_seconds: 2 };
        let text = good.to_string();
        assert_eq!(text.parse::<Promise>().unwrap(), good);
        for bad in [
            String::new(),
            text.trim_end().to_owned(),
            text.replace("v1", "v2"),
            text.replace("\no\n", "\n\n"),
            text.replace("\n0\n", "\n00\n"),
            text.replace("\n3\n", "\n0\n"),
            text.replace("\n0\n", "\n18446744073709551615\n"),
            format!("{text}more\n"),
            text.replace("\n2\n", "\n"),
        ] {
            assert!(bad.parse::<Promise>().is_err(), "{bad:?}");
        }
    }
}
