//! The body of `add-entries`: a header, and packages of up to 256 entries with a proof each.

use crate::error::{Error, Result};
use crate::hash::Hash;

/// What an upload says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The log.
    pub origin: String,
    /// The first entry that is uploaded.
    pub start: u64,
    /// The size of the pending checkpoint that is uploaded to.
    pub end: u64,
    /// What the mirror gave out to recognise the upload by.
    pub ticket: Vec<u8>,
}

/// Entries of one bundle, and the proof that they are part of the pending checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The entries.
    pub entries: Vec<Vec<u8>>,
    /// The subtree consistency proof.
    pub proof: Vec<Hash>,
}

/// The most bytes a package can have: 256 entries of 65,535 bytes, and 63 hashes.
pub const MAX_PACKAGE_BYTES: usize = 256 * (2 + 65_535) + 1 + 63 * 32;

impl Header {
    /// Reads a header from the beginning of a body, and tells its length; `None` if there is not enough of it yet.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut rest = Rest(bytes);
        let parts = (|| Some((rest.text()?, rest.number()?, rest.number()?, rest.text()?)))();
        let Some((origin, start, end, ticket)) = parts else { return Ok(None) };
        let origin = String::from_utf8(origin.to_vec()).map_err(|_| malformed("the origin is not UTF-8"))?;
        let header = Self { origin, start, end, ticket: ticket.to_vec() };
        Ok(Some((header, bytes.len() - rest.0.len())))
    }

    /// The bytes of the header.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let length =
            |bytes: &[u8]| u16::try_from(bytes.len()).map_err(|_| Error::TooLarge { what: "origin or ticket", limit: 65_535 });
        let mut bytes = length(self.origin.as_bytes())?.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.origin.as_bytes());
        bytes.extend_from_slice(&self.start.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        bytes.extend_from_slice(&length(&self.ticket)?.to_be_bytes());
        bytes.extend_from_slice(&self.ticket);
        Ok(bytes)
    }
}

impl Package {
    /// Reads a package of `count` entries from the beginning of `bytes`, and tells its length; `None` if there is not
    /// enough of it yet.
    pub fn read(bytes: &[u8], count: usize) -> Result<Option<(Self, usize)>> {
        // Nothing is copied before all of it is there, for a large package comes in many parts.
        let mut rest = Rest(bytes);
        if (0..count).any(|_| rest.text().is_none()) {
            return Ok(None);
        }
        let Some(hashes) = rest.take(1).map(|count| usize::from(count[0])) else { return Ok(None) };
        if hashes > 63 {
            return Err(malformed("a package has more than 63 hashes"));
        }
        let Some(bytes_of_proof) = rest.take(32 * hashes) else { return Ok(None) };
        let proof = bytes_of_proof.chunks_exact(32).filter_map(Hash::from_slice).collect();
        let used = bytes.len() - rest.0.len();
        let mut again = Rest(bytes);
        let entries = (0..count).filter_map(|_| again.text().map(<[u8]>::to_vec)).collect();
        Ok(Some((Self { entries, proof }, used)))
    }

    /// The bytes of the package.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.entries.iter().try_for_each(|entry| crate::tile::append_entry(&mut bytes, entry))?;
        bytes.push(u8::try_from(self.proof.len()).map_err(|_| malformed("a package has more than 63 hashes"))?);
        self.proof.iter().for_each(|hash| bytes.extend_from_slice(&hash.0));
        Ok(bytes)
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    /// Bytes with their length in two bytes before them.
    fn text(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        self.take(usize::from(u16::from_be_bytes(*length)))
    }
}

fn malformed(why: &str) -> Error {
    Error::malformed("upload to the mirror", why)
}
