//! Receipts: the signed promise that an entry has its final place in the log and will be published in time.
//!
//! A receipt is a signed note by a key of its own, named `<origin>/receipt`, never by the key of the checkpoints. Its
//! text is six lines: `usufruct/receipt/v1`, origin, leaf index, leaf hash, time in microseconds UTC, and the
//! maximum merge delay in seconds. A receipt that no checkpoint covers after that delay convicts the log.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{Ed25519Signer, Ed25519Verifier, VerifierKey};
use crate::note::Note;
use crate::text;

/// What a receipt promises.
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

/// Signs the receipts of one log.
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

    /// Signs a receipt for a leaf.
    pub fn sign(&self, index: u64, leaf_hash: Hash, time_us: u64, mmd_seconds: u64) -> Result<Note> {
        let receipt = Receipt { origin: self.origin.clone(), index, leaf_hash, time_us, mmd_seconds };
        Note::sign(receipt.to_string(), &[&self.signer], time_us / 1_000_000)
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
    pub fn open(&self, note: &[u8]) -> Result<Receipt> {
        let receipt: Receipt = Note::open(note, &[&self.verifier])?.text().parse()?;
        if receipt.origin != self.origin {
            return Err(Error::malformed("receipt", "it is for another log"));
        }
        Ok(receipt)
    }
}

impl fmt::Display for Receipt {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, index, leaf_hash, time_us, mmd_seconds } = self;
        write!(f, "{HEADER}\n{origin}\n{index}\n{leaf_hash}\n{time_us}\n{mmd_seconds}\n")
    }
}

impl FromStr for Receipt {
    type Err = Error;

    fn from_str(body: &str) -> Result<Self> {
        let malformed = |why: &str| Error::malformed("receipt", why);
        let lines: Vec<&str> = text::lines("receipt", body)?.take(7).collect();
        let [HEADER, origin, index, leaf_hash, time_us, mmd_seconds] = lines[..] else {
            return Err(malformed("it does not have the six lines of version 1"));
        };
        if origin.is_empty() {
            return Err(malformed("the origin is empty"));
        }
        let number = |line| text::decimal("receipt", line);
        Ok(Self {
            origin: origin.to_owned(),
            index: number(index)?,
            leaf_hash: Hash::from_base64(leaf_hash)?,
            time_us: number(time_us)?,
            mmd_seconds: number(mmd_seconds)?,
        })
    }
}

fn key_name(origin: &str) -> String {
    format!("{origin}/receipt")
}

const HEADER: &str = "usufruct/receipt/v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn receipts_round_trip_and_refuse_changes() {
        let signer = ReceiptSigner::from_seed("example.org/log", &[5; 32]).unwrap();
        let verifier = ReceiptVerifier::new("example.org/log", signer.verifier_key()).unwrap();
        let note = signer.sign(42, leaf_hash(b"leaf"), 1_790_000_000_000_000, 60).unwrap().to_string();
        assert!(note.starts_with("usufruct/receipt/v1\nexample.org/log\n42\n"));
        let receipt = verifier.open(note.as_bytes()).unwrap();
        assert_eq!((receipt.index, receipt.leaf_hash, receipt.mmd_seconds), (42, leaf_hash(b"leaf"), 60));
        assert!(verifier.open(note.replace("\n42\n", "\n43\n").as_bytes()).is_err());
        assert!(ReceiptVerifier::new("example.org/other", signer.verifier_key()).is_err());
    }

    #[test]
    fn malformed_receipts_are_refused() {
        let good = Receipt { origin: "o".to_owned(), index: 0, leaf_hash: leaf_hash(b""), time_us: 1, mmd_seconds: 2 };
        let text = good.to_string();
        assert_eq!(text.parse::<Receipt>().unwrap(), good);
        for bad in [
            String::new(),
            text.trim_end().to_owned(),
            text.replace("v1", "v2"),
            text.replace("\no\n", "\n\n"),
            text.replace("\n0\n", "\n00\n"),
            format!("{text}more\n"),
            text.replace("\n2\n", "\n"),
        ] {
            assert!(bad.parse::<Receipt>().is_err(), "{bad:?}");
        }
    }
}
