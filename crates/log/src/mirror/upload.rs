//! The other side of a mirror: bringing a log to it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Header, Mirror, Package};
use crate::checkpoint::Checkpoint;
use crate::cosignature::CosignatureVerifier;
use crate::error::{Error, Result};
use crate::key::VerifierKey;
use crate::note::{Note, NoteSignature, Verifier};
use crate::objects::Objects;
use crate::proof;
use crate::reader::{Source, TileHashes, fetch_bundle};
use crate::text;
use crate::tile::{FULL, Kind, Tile};
use crate::transport::{Response, Transport};
use crate::witness::{AddCheckpoint, WitnessState};

/// Brings the entries under a signed checkpoint to the mirror at `prefix`, and returns the mirror's verified cosignatures.
///
/// It asks where the mirror stands, sends what is missing in requests of at most 32 packages, and goes on where an
/// interrupted upload ended. `source` must hold the tree of the checkpoint. Of `mirror_keys` at least one must have signed,
/// and none wrongly; without any, the answer is empty and nothing is known about what the mirror holds.
pub fn upload<S: Source + ?Sized, T: Transport + ?Sized>(
    source: &S,
    note: &Note,
    prefix: &str,
    mirror_keys: &[VerifierKey],
    transport: &T,
) -> Result<Vec<NoteSignature>> {
    let checkpoint: Checkpoint = note.text().parse()?;
    let uploading = Uploading { source, note, checkpoint, prefix: prefix.trim_end_matches('/'), transport };
    uploading.add_checkpoint()?;
    uploading.add_entries(mirror_keys)
}

struct Uploading<'a, S: Source + ?Sized, T: Transport + ?Sized> {
    source: &'a S,
    note: &'a Note,
    checkpoint: Checkpoint,
    prefix: &'a str,
    transport: &'a T,
}

impl<S: Source + ?Sized, T: Transport + ?Sized> Uploading<'_, S, T> {
    fn add_checkpoint(&self) -> Result<()> {
        let size = self.checkpoint.size();
        let mut old = 0;
        for _ in 0..3 {
            let proof = if old == 0 { Vec::new() } else { proof::consistency(&TileHashes::new(self.source, size), old, size)? };
            let request = AddCheckpoint { old, proof, checkpoint: self.note.clone() };
            let response = self.post("add-checkpoint", "text/plain; charset=utf-8", request.to_string().as_bytes())?;
            match response.status {
                200 => return Ok(()),
                409 => old = text::decimal(ANSWER, body(&response)?.trim_end_matches('\n'))?,
                _ => return Err(self.refused(&response)),
            }
            if old > size {
                // Somebody brought it a later checkpoint; entries up to this one may still be wanted.
                return Ok(());
            }
        }
        Err(Error::outside("the mirror", format!("{} changed its size between two requests", self.prefix)))
    }

    fn add_entries(&self, mirror_keys: &[VerifierKey]) -> Result<Vec<NoteSignature>> {
        let end = self.checkpoint.size();
        // Nothing is uploaded by the first request. It learns where the mirror stands.
        let mut header = Header { origin: self.checkpoint.origin().to_owned(), start: end, end, ticket: Vec::new() };
        let (mut before, mut in_vain) = (None, 0);
        while in_vain <= MOST_IN_VAIN {
            let response = self.post("add-entries", "application/octet-stream", &self.body(&header)?)?;
            match response.status {
                200 => return self.cosignatures(&response, mirror_keys),
                202 | 409 => {
                    let (size, next, ticket) = info(&response)?;
                    if size != end {
                        return Err(Error::outside("the mirror", format!("{} wants checkpoint {size}, not {end}", self.prefix)));
                    }
                    in_vain = if before.is_some_and(|before| next <= before) { in_vain + 1 } else { 0 };
                    (before, header.start, header.ticket) = (Some(next), next.min(end), ticket);
                }
                _ => return Err(self.refused(&response)),
            }
        }
        Err(Error::outside("the mirror", format!("{} does not get beyond entry {}", self.prefix, header.start)))
    }

    /// The header and up to 32 packages from where it starts, fewer if they are large.
    fn body(&self, header: &Header) -> Result<Vec<u8>> {
        let mut body = header.encode()?;
        let hashes = TileHashes::new(self.source, header.end);
        let mut at = header.start;
        for _ in 0..MOST_PACKAGES {
            if at >= header.end || body.len() >= ENOUGH_BYTES {
                break;
            }
            let number = at / u64::from(FULL);
            let first = number * u64::from(FULL);
            let end = header.end.min(first + u64::from(FULL));
            let tile =
                Tile::at(Kind::Entries, number, header.end).ok_or(Error::Proof { why: "the index lies beyond the tree" })?;
            let entries = fetch_bundle(self.source, tile)?.split_off((at - first) as usize);
            let proof = proof::subtree_consistency(&hashes, first, end, header.end)?;
            body.extend(Package { entries, proof }.encode()?);
            at = end;
        }
        Ok(body)
    }

    fn cosignatures(&self, response: &Response, mirror_keys: &[VerifierKey]) -> Result<Vec<NoteSignature>> {
        let lines: Vec<NoteSignature> =
            text::lines(ANSWER, body(response)?)?.take(MOST_LINES).map(NoteSignature::parse).collect::<Result<_>>()?;
        let mut found = Vec::new();
        for key in mirror_keys {
            let verifier = CosignatureVerifier::new(key.clone())?;
            let Some(line) = lines.iter().find(|line| (line.name(), line.id()) == (key.name(), key.id())) else { continue };
            if !verifier.verify(self.note.text(), line.bytes()) {
                return Err(Error::WrongSignature { name: key.name().to_owned() });
            }
            found.push(line.clone());
        }
        if found.is_empty() && !mirror_keys.is_empty() { Err(Error::Unsigned) } else { Ok(found) }
    }

    fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Response> {
        self.transport.post(&format!("{}/{path}", self.prefix), content_type, body)
    }

    fn refused(&self, response: &Response) -> Error {
        let why = String::from_utf8_lossy(&response.body);
        Error::outside("the mirror", format!("{} answered {}: {:.200}", self.prefix, response.status, why.trim_end()))
    }
}

/// A mirror in the same process, reached as if it were elsewhere. For mirrors that fetch a log by themselves.
pub struct LocalMirror<'a, O, S> {
    /// The mirror.
    pub mirror: &'a Mirror<O, S>,
    /// The time, in seconds since 1970 UTC.
    pub now: u64,
}

impl<O: Objects, S: WitnessState> Transport for LocalMirror<'_, O, S> {
    fn post(&self, url: &str, _: &str, body: &[u8]) -> Result<Response> {
        let answer = if url.ends_with("/add-checkpoint") {
            self.mirror.add_checkpoint(body, self.now)?
        } else {
            let mut upload = self.mirror.add_entries();
            upload.feed(body)?;
            upload.finish(self.now)?
        };
        Ok(Response { status: answer.status, content_type: answer.content_type.to_owned(), body: answer.body })
    }

    fn get(&self, url: &str) -> Result<Response> {
        Err(Error::outside("the mirror", format!("{url} is not asked for here")))
    }
}

fn info(response: &Response) -> Result<(u64, u64, Vec<u8>)> {
    let lines: Vec<&str> = text::lines(ANSWER, body(response)?)?.take(4).collect();
    let [size, next, ticket] = lines[..] else { return Err(Error::malformed(ANSWER, "it does not have three lines")) };
    let ticket = STANDARD.decode(ticket).map_err(|_| Error::malformed(ANSWER, "the ticket is not base64"))?;
    Ok((text::decimal(ANSWER, size)?, text::decimal(ANSWER, next)?, ticket))
}

fn body(response: &Response) -> Result<&str> {
    std::str::from_utf8(&response.body).map_err(|_| Error::malformed(ANSWER, "it is not UTF-8"))
}

/// After so many bytes the next request begins.
const ENOUGH_BYTES: usize = 4 << 20;
const ANSWER: &str = "answer of the mirror";
const MOST_LINES: usize = 64;
const MOST_PACKAGES: usize = 32;
/// Requests one after the other that bring nothing forward, as when somebody stops the mirror.
const MOST_IN_VAIN: u32 = 8;
