//! The bodies of requests to a witness.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::note::Note;
use crate::text;

/// Asks for a cosignature on a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness cosigned last.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Note,
}

/// Asks for cosignatures on the subtree `[start, end)` of a checkpoint that the witness has cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignSubtree {
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last one.
    pub end: u64,
    /// The root of the subtree.
    pub root: Hash,
    /// The subtree consistency proof to the checkpoint.
    pub proof: Vec<Hash>,
    /// The checkpoint with the cosignatures.
    pub checkpoint: Note,
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = Error;

    fn from_str(body: &str) -> Result<Self> {
        let (old, proof, note) = Self::read_head(body)?;
        Ok(Self { old, proof, checkpoint: Note::parse(note.as_bytes())? })
    }
}

impl AddCheckpoint {
    /// Old size, proof, and the note as it stands there.
    pub(super) fn read_head(body: &str) -> Result<(u64, Vec<Hash>, &str)> {
        let (mut lines, note) = split(body)?;
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or_else(|| malformed("it has no old size"))?;
        Ok((text::decimal(WHAT, old)?, hashes(lines)?, note))
    }
}

impl fmt::Display for SignSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subtree {} {}\n{}", self.start, self.end, self.root)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for SignSubtree {
    type Err = Error;

    fn from_str(body: &str) -> Result<Self> {
        let (mut lines, note) = split(body)?;
        let range = lines.next().and_then(|line| line.strip_prefix("subtree ")?.split_once(' '));
        let (start, end) = range.ok_or_else(|| malformed("it names no subtree"))?;
        let root = lines.next().ok_or_else(|| malformed("it has no hash"))?;
        Ok(Self {
            start: text::decimal(WHAT, start)?,
            end: text::decimal(WHAT, end)?,
            root: Hash::from_base64(root)?,
            proof: hashes(lines)?,
            checkpoint: Note::parse(note.as_bytes())?,
        })
    }
}

/// The lines before the first empty one, and the note after it.
fn split(body: &str) -> Result<(std::str::Split<'_, char>, &str)> {
    if body.len() > MAX_BYTES {
        return Err(Error::TooLarge { what: WHAT, limit: MAX_BYTES });
    }
    let (head, note) = body.split_once("\n\n").ok_or_else(|| malformed("no empty line stands before the checkpoint"))?;
    Ok((head.split('\n'), note))
}

fn hashes(mut lines: std::str::Split<'_, char>) -> Result<Vec<Hash>> {
    let hashes = lines.by_ref().take(MAX_HASHES).map(Hash::from_base64).collect::<Result<_>>()?;
    if lines.next().is_some() { Err(malformed("it has too many hashes")) } else { Ok(hashes) }
}

fn malformed(why: &str) -> Error {
    Error::malformed(WHAT, why)
}

/// The most bytes a request may have.
pub(crate) const MAX_BYTES: usize = 200_000;
const MAX_HASHES: usize = 63;
const WHAT: &str = "request to the witness";
