//! Checkpoints: the size and root of a log at one moment, signed (C2SP tlog-checkpoint v1.0.0).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::note::{Note, Signer, Verifier};
use crate::reader::Source;
use crate::text;

/// The path of the checkpoint, relative to the prefix of the log.
pub const PATH: &str = "checkpoint";

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// Verifies a signed checkpoint: the origin must be the expected one and a known key must have signed.
///
/// The key name need not be the origin; who names the keys decides which log they speak for.
pub fn open(note: &[u8], origin: &str, verifiers: &[&dyn Verifier]) -> Result<(Checkpoint, Note)> {
    let note = Note::open(note, verifiers)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    if checkpoint.origin != origin {
        return Err(Error::malformed("checkpoint", format!("it is for {:.255}, not for {origin}", checkpoint.origin)));
    }
    Ok((checkpoint, note))
}

/// Fetches and verifies the current checkpoint of a log.
pub fn fetch<S: Source + ?Sized>(source: &S, origin: &str, verifiers: &[&dyn Verifier]) -> Result<(Checkpoint, Note)> {
    let bytes = source.fetch(PATH)?.ok_or_else(|| Error::Missing { path: PATH.to_owned() })?;
    open(&bytes, origin, verifiers)
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self> {
        Self::with_extensions(origin, size, root, Vec::new())
    }

    /// A checkpoint with extension lines, which the specification does not recommend.
    pub fn with_extensions(origin: &str, size: u64, root: Hash, extensions: Vec<String>) -> Result<Self> {
        let fits = |line: &str| !line.is_empty() && !line.contains(|character: char| character < ' ');
        if !fits(origin) || !extensions.iter().all(|line| fits(line)) {
            return Err(Error::malformed("checkpoint", "a line is empty or holds a control character"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// Signs the checkpoint at `time`, in seconds since 1970 UTC.
    pub fn sign(&self, signers: &[&dyn Signer], time: u64) -> Result<Note> {
        Note::sign(self.to_string(), signers, time)
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// The extension lines. Signatures by ML-DSA-44 do not cover them (tlog-checkpoint, "Signatures").
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(body: &str) -> Result<Self> {
        let mut lines = text::lines("checkpoint", body)?;
        let mut line = || lines.next().ok_or_else(|| Error::malformed("checkpoint", "it has fewer than three lines"));
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = text::decimal("checkpoint", size)?;
        Self::with_extensions(origin, size, Hash::from_base64(root)?, lines.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ed25519Signer;
    use crate::hash::empty_root;

    const EMPTY: &str = "example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    #[test]
    fn checkpoints_round_trip() {
        let checkpoint = Checkpoint::new("example.org/log", 0, empty_root()).unwrap();
        assert_eq!(checkpoint.to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Checkpoint>().unwrap(), checkpoint);
        let extended = format!("{EMPTY}one\ntwo\n");
        let parsed: Checkpoint = extended.parse().unwrap();
        assert_eq!(parsed.extensions(), ["one", "two"]);
        assert_eq!(parsed.to_string(), extended);
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        for bad in [
            String::new(),
            "\n".to_owned(),
            "example.org/log\n".to_owned(),
            "example.org/log\n0\n".to_owned(),
            EMPTY.trim_end().to_owned(),
            EMPTY.replace("\n0\n", "\n00\n"),
            EMPTY.replace("\n0\n", "\n01\n"),
            EMPTY.replace("\n0\n", "\n-1\n"),
            EMPTY.replace("\n0\n", "\n18446744073709551616\n"),
            EMPTY.replace("FU=", "FU"),
            EMPTY.replace("example.org/log", ""),
            format!("{EMPTY}\n"),
            format!("{EMPTY}one\n\ntwo\n"),
        ] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_origin_is_refused() {
        let signer = Ed25519Signer::from_seed("example.org/log", &[3; 32]).unwrap();
        let note = EMPTY.parse::<Checkpoint>().unwrap().sign(&[&signer], 0).unwrap().to_string();
        assert!(open(note.as_bytes(), "example.org/log", &[&signer]).is_ok());
        assert!(open(note.as_bytes(), "example.org/other", &[&signer]).is_err());
        let forged = note.replace("\n0\n", "\n1\n");
        assert!(matches!(open(forged.as_bytes(), "example.org/log", &[&signer]), Err(Error::WrongSignature { .. })));
    }
}
