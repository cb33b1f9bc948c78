//! A witness: it remembers the largest tree it has seen of each log, and cosigns only what extends that (C2SP tlog-witness).
//!
//! The witness itself knows no network and no clock. A server hands it the body of each request and sends the [`Answer`]
//! as it is. An error, in place of an answer, means that nobody knows what is durable: the process must end.

mod request;
mod state;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::checkpoint::Checkpoint;
use crate::cosignature::Cosigner;
use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root};
use crate::head::SignedHead;
use crate::key::VerifierKey;
use crate::merkle::{verify_consistency, verify_subtree_consistency};
use crate::note::{Note, Verifier};
use crate::witnessing::origin_hash;

pub use request::{AddCheckpoint, SignSubtree};
pub use state::{FolderState, MemoryState, WitnessState};

/// What is answered to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// A witness of the logs it knows.
pub struct Witness<S> {
    /// The keys of each log, by origin.
    logs: BTreeMap<String, Vec<VerifierKey>>,
    cosigners: Vec<Box<dyn Cosigner>>,
    state: S,
    /// Check and store are one step for each log.
    locks: BTreeMap<String, Mutex<()>>,
}

impl<S: WitnessState> Witness<S> {
    /// A witness for these logs, each an origin with a key; a log may have several keys. It answers with a line by each
    /// cosigner. [`Error::Damaged`] if it has not signed what the state says that it signed last.
    pub fn new(
        known: impl IntoIterator<Item = (String, VerifierKey)>,
        cosigners: Vec<Box<dyn Cosigner>>,
        state: S,
    ) -> Result<Self> {
        let mut logs: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for (origin, key) in known {
            key.any_verifier()?;
            logs.entry(origin).or_default().push(key);
        }
        for origin in logs.keys() {
            let Some(last) = state.load(origin)? else { continue };
            let note = Note::parse(&last.note)?;
            for cosigner in &cosigners {
                if !note.verified_by(&[&**cosigner as &dyn Verifier]).is_ok_and(|known| !known.is_empty()) {
                    let why = format!("it has no good signature by {}", cosigner.name());
                    return Err(Error::Damaged { path: format!("The last checkpoint of {origin}"), why });
                }
            }
        }
        let locks = logs.keys().map(|origin| (origin.clone(), Mutex::default())).collect();
        Ok(Self { logs, cosigners, state, locks })
    }

    /// The origins of the logs it knows.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// The keys it cosigns with.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.cosigners.iter().map(|cosigner| cosigner.verifier_key())
    }

    /// `POST /add-checkpoint` at `now`, in seconds since 1970 UTC.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<Answer> {
        let Some((request, checkpoint)) = parse::<AddCheckpoint>(body, |request| &request.checkpoint) else {
            return Ok(match has_checkpoint(body) {
                true => plain(403, "The signatures on the checkpoint cannot be read.\n"),
                false => plain(400, "The request is not what tlog-witness describes.\n"),
            });
        };
        let Some(keys) = self.logs.get(checkpoint.origin()) else {
            return Ok(plain(404, "This witness does not know the log.\n"));
        };
        if !is_signed(&request.checkpoint, keys)? {
            return Ok(plain(403, "The checkpoint is not signed by a key of the log.\n"));
        }
        if request.old > checkpoint.size() {
            return Ok(plain(400, "The old size is larger than the checkpoint.\n"));
        }
        let lock = self.locks.get(checkpoint.origin()).map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        let stored = self.state.load(checkpoint.origin())?;
        let (size, root) = stored.as_ref().map_or((0, empty_root()), |stored| (stored.size, stored.root));
        if request.old != size {
            return Ok(Answer { status: 409, content_type: SIZE, body: format!("{size}\n").into_bytes() });
        }
        if !extends(&checkpoint, size, &root, &request.proof) {
            return Ok(plain(422, "The checkpoint does not extend the one that was cosigned last.\n"));
        }
        if let Some(last) = stored.as_ref().map(|stored| stored.time).filter(|last| *last > now) {
            return Err(Error::ClockBack { last, now });
        }
        let signed = self.cosign(&request.checkpoint, &checkpoint, keys, now)?;
        let new =
            SignedHead { size: checkpoint.size(), root: *checkpoint.root(), time: now, note: signed.to_string().into_bytes() };
        if !self.state.swap(checkpoint.origin(), stored.as_ref(), &new)? {
            return Err(Error::Moved);
        }
        drop(lock);
        Ok(Answer { status: 200, content_type: PLAIN, body: self.own_lines(&signed) })
    }

    /// `POST /sign-subtree`: exchanges cosignatures of this witness on a checkpoint for ones on a subtree of it. Only keys
    /// that sign subtrees answer.
    pub fn sign_subtree(&self, body: &[u8]) -> Result<Answer> {
        let Some((request, checkpoint)) = parse::<SignSubtree>(body, |request| &request.checkpoint) else {
            return Ok(plain(400, "The request is not what tlog-witness describes.\n"));
        };
        if !self.logs.contains_key(checkpoint.origin()) {
            return Ok(plain(404, "This witness does not know the log.\n"));
        }
        if request.end > checkpoint.size() {
            return Ok(plain(400, "The subtree reaches beyond the checkpoint.\n"));
        }
        let mut signed = false;
        for cosigner in &self.cosigners {
            match request.checkpoint.verified_by(&[&**cosigner as &dyn Verifier]) {
                Ok(known) => signed |= !known.is_empty(),
                Err(_) => return Ok(plain(403, "A cosignature on the checkpoint is wrong.\n")),
            }
        }
        if !signed {
            return Ok(plain(403, "The checkpoint is not cosigned by this witness.\n"));
        }
        let SignSubtree { start, end, root, proof, .. } = &request;
        if verify_subtree_consistency(*start, *end, checkpoint.size(), proof, root, checkpoint.root()).is_err() {
            return Ok(plain(422, "The subtree is not part of the checkpoint.\n"));
        }
        let mut body = String::new();
        for cosigner in &self.cosigners {
            if let Some(line) = cosigner.cosign_subtree(checkpoint.origin(), *start, *end, root)? {
                body += &format!("{line}\n");
            }
        }
        if body.is_empty() {
            return Ok(plain(403, "This witness has no key that signs subtrees.\n"));
        }
        Ok(Answer { status: 200, content_type: PLAIN, body: body.into_bytes() })
    }

    /// `GET <monitoring prefix>/<origin hash>/checkpoint`: the latest checkpoint, with the signature of the log and
    /// cosignatures that are at most an hour old.
    pub fn latest(&self, hash: &str, now: u64) -> Result<Answer> {
        let Some((origin, keys)) = self.logs.iter().find(|(origin, _)| origin_hash(origin) == hash) else {
            return Ok(plain(404, "This witness does not know the log.\n"));
        };
        let _guard = self.locks.get(origin).map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(stored) = self.state.load(origin)? else {
            return Ok(plain(404, "This witness has cosigned no checkpoint of the log yet.\n"));
        };
        if now < stored.time.saturating_add(MOST_SECONDS) {
            return Ok(Answer { status: 200, content_type: PLAIN, body: stored.note });
        }
        let note = Note::parse(&stored.note)?;
        let signed = self.cosign(&note, &note.text().parse()?, keys, now)?;
        let new = SignedHead { time: now, note: signed.to_string().into_bytes(), ..stored.clone() };
        if !self.state.swap(origin, Some(&stored), &new)? {
            return Err(Error::Moved);
        }
        Ok(Answer { status: 200, content_type: PLAIN, body: new.note })
    }

    /// The checkpoint with the log's own signatures and a fresh line by each cosigner.
    fn cosign(&self, note: &Note, checkpoint: &Checkpoint, keys: &[VerifierKey], now: u64) -> Result<Note> {
        let mut signed = Note::unsigned(note.text())?;
        for line in
            note.signatures().iter().filter(|line| keys.iter().any(|key| (key.name(), key.id()) == (line.name(), line.id())))
        {
            signed.add(line.clone())?;
        }
        for cosigner in &self.cosigners {
            signed.add(cosigner.cosign(checkpoint, now)?)?;
        }
        Ok(signed)
    }

    fn own_lines(&self, note: &Note) -> Vec<u8> {
        let own = |line: &&crate::NoteSignature| self.keys().any(|key| (key.name(), key.id()) == (line.name(), line.id()));
        note.signatures().iter().filter(own).map(|line| format!("{line}\n")).collect::<String>().into_bytes()
    }
}

/// Whether the new tree is the old one or grew out of it.
fn extends(checkpoint: &Checkpoint, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if checkpoint.size() == 0 && *checkpoint.root() != empty_root() {
        return false;
    }
    match size {
        _ if size == checkpoint.size() => proof.is_empty() && root == checkpoint.root(),
        0 => proof.is_empty(),
        _ => verify_consistency(size, checkpoint.size(), proof, root, checkpoint.root()).is_ok(),
    }
}

/// Whether a known key of the log has signed, and none of them wrongly.
fn is_signed(note: &Note, keys: &[VerifierKey]) -> Result<bool> {
    let verifiers: Vec<_> = keys.iter().map(VerifierKey::any_verifier).collect::<Result<_>>()?;
    let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
    Ok(note.verified_by(&verifiers).is_ok_and(|known| !known.is_empty()))
}

fn parse<R: std::str::FromStr<Err = Error>>(body: &[u8], note: impl Fn(&R) -> &Note) -> Option<(R, Checkpoint)> {
    let request: R = std::str::from_utf8(body).ok()?.parse().ok()?;
    let checkpoint = note(&request).text().parse().ok()?;
    Some((request, checkpoint))
}

/// Whether a request that cannot be read is wrong in nothing but the signatures on its checkpoint.
fn has_checkpoint(body: &[u8]) -> bool {
    let note = std::str::from_utf8(body).ok().and_then(|body| AddCheckpoint::read_head(body).ok()).map(|(_, _, note)| note);
    let text = note.and_then(|note| note.rsplit_once("\n\n")).map(|(text, _)| format!("{text}\n"));
    text.is_some_and(|text| text.parse::<Checkpoint>().is_ok())
}

fn plain(status: u16, body: &str) -> Answer {
    Answer { status, content_type: PLAIN, body: body.as_bytes().to_vec() }
}

/// How old the cosignatures on a served checkpoint may be: an hour, with room for the way.
const MOST_SECONDS: u64 = 3_000;
const PLAIN: &str = "text/plain; charset=utf-8";
const SIZE: &str = "text/x.tlog.size";
