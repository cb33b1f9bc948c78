//! A mirror: a whole copy of another operator's log, every entry proven before it is stored (C2SP tlog-mirror).
//!
//! Like the witness it knows no network and no clock. Its cosignature says more than a witness's: that it holds all the
//! entries, durably, and shows them to everybody.

mod package;
mod upload;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::checkpoint::{self, Checkpoint};
use crate::cosignature::Cosigner;
use crate::edge::Edge;
use crate::error::{Error, Part, Result};
use crate::hash::{Hash, leaf_hash};
use crate::head::SignedHead;
use crate::key::VerifierKey;
use crate::merkle::{Frontier, verify_subtree_consistency};
use crate::note::{Note, Verifier};
use crate::objects::Objects;
use crate::reader::{fetch_bundle, fetch_edge};
use crate::tile::{FULL, Kind, Tile, encode_bundle};
use crate::witness::{Answer, Witness, WitnessState};
use crate::witnessing::origin_hash;

pub use package::{Header, MAX_PACKAGE_BYTES, Package};
pub use upload::{LocalMirror, upload};

/// The mirror of some logs.
pub struct Mirror<O, S> {
    /// Keeps the pending checkpoints: it checks like a witness, and signs nothing.
    pending: Witness<S>,
    copies: BTreeMap<String, Copy<O>>,
    cosigners: Vec<Box<dyn Cosigner>>,
}

/// The copy of one log.
struct Copy<O> {
    origin: String,
    keys: Vec<VerifierKey>,
    objects: O,
    state: Mutex<CopyState>,
}

struct CopyState {
    /// The tree under the mirror checkpoint.
    edge: Edge,
    /// Whether a checkpoint is served.
    is_served: bool,
    /// The first entry that is missing.
    next: u64,
    /// The entries of the last bundle, which is not full yet.
    tail: Vec<Vec<u8>>,
    /// The latest pending checkpoints, oldest first.
    pending: VecDeque<(Checkpoint, Note)>,
}

/// An upload on its way. Feed it the body as it comes, then ask for the answer.
pub struct Upload<'a, O, S> {
    mirror: &'a Mirror<O, S>,
    buffer: Vec<u8>,
    stage: Stage<'a, O>,
    now: u64,
}

enum Stage<'a, O> {
    Header,
    Packages { copy: &'a Copy<O>, header: Header, at: u64, saved: u64 },
    Answered(Answer),
}

impl<O: Objects, S: WitnessState> Mirror<O, S> {
    /// A mirror of these logs, each with its keys and a place of its own for the copy. Opens the copies and verifies the
    /// right edge of each against its checkpoint.
    pub fn open(logs: Vec<(String, Vec<VerifierKey>, O)>, cosigners: Vec<Box<dyn Cosigner>>, state: S) -> Result<Self> {
        let known: Vec<_> =
            logs.iter().flat_map(|(origin, keys, _)| keys.iter().map(move |key| (origin.clone(), key.clone()))).collect();
        let mut copies = BTreeMap::new();
        for (origin, keys, objects) in logs {
            let mut loaded = CopyState::load(&objects, &origin, &keys, &cosigners)?;
            if let Some(head) = state.load(&origin)? {
                loaded.remember(&head.note)?;
            }
            copies.insert(origin.clone(), Copy { origin, keys, objects, state: Mutex::new(loaded) });
        }
        Ok(Self { pending: Witness::new(known, Vec::new(), state)?, copies, cosigners })
    }

    /// The keys it cosigns with.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.cosigners.iter().map(|cosigner| cosigner.verifier_key())
    }

    /// The origins of the logs it mirrors, and how many entries of each it serves.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.copies.values().map(|copy| (copy.origin.as_str(), copy.lock().edge.size()))
    }

    /// A file of the copy of the log whose origin has this hash: the checkpoint, a tile or a bundle.
    pub fn fetch(&self, hash: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let is_file = path == checkpoint::PATH || path.parse::<Tile>().is_ok();
        match self.copies.values().find(|copy| is_file && origin_hash(&copy.origin) == hash) {
            Some(copy) => copy.objects.fetch(path),
            None => Ok(None),
        }
    }

    /// `POST /add-checkpoint`: sets the pending checkpoint. The answer carries no signature.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<Answer> {
        let answer = self.pending.add_checkpoint(body, now)?;
        if answer.status == 200 {
            for copy in self.copies.values() {
                if let Some(head) = self.pending.stored(&copy.origin)? {
                    copy.lock().remember(&head.note)?;
                }
            }
        }
        Ok(answer)
    }

    /// Begins `POST /add-entries` at `now`, in seconds since 1970 UTC.
    pub fn add_entries(&self, now: u64) -> Upload<'_, O, S> {
        Upload { mirror: self, buffer: Vec::new(), stage: Stage::Header, now }
    }
}

impl<'a, O: Objects, S: WitnessState> Upload<'a, O, S> {
    /// Takes the next part of the body. `false`: the answer is ready, and more need not be sent.
    pub fn feed(&mut self, part: &[u8]) -> Result<bool> {
        self.buffer.extend_from_slice(part);
        loop {
            let (used, stage) = match &self.stage {
                Stage::Answered(_) => return Ok(false),
                Stage::Header => match Header::read(&self.buffer) {
                    Ok(Some((header, used))) => (used, self.begin(header)),
                    Ok(None) => return Ok(true),
                    Err(_) => (0, Stage::Answered(bad("The request is not what tlog-mirror describes.\n"))),
                },
                Stage::Packages { copy, header, at, saved } => {
                    if *at >= header.end {
                        return Ok(false);
                    }
                    let end = header.end.min((at / u64::from(FULL) + 1) * u64::from(FULL));
                    match Package::read(&self.buffer, (end - at) as usize) {
                        Ok(Some((package, used))) => match copy.take(header.end, *at, end, &package)? {
                            Some(answer) => (used, Stage::Answered(answer)),
                            None => (used, Stage::Packages { copy, header: header.clone(), at: end, saved: saved + 1 }),
                        },
                        Ok(None) => return Ok(true),
                        Err(_) => (0, Stage::Answered(bad("A package is not what tlog-mirror describes.\n"))),
                    }
                }
            };
            self.buffer.drain(..used);
            self.stage = stage;
        }
    }

    /// The answer, once the body has ended or [`Upload::feed`] has said that it is ready.
    pub fn finish(self) -> Result<Answer> {
        match self.stage {
            Stage::Answered(answer) => Ok(answer),
            Stage::Header => Ok(bad("The request ends within its header.\n")),
            Stage::Packages { copy, header, at, saved } if at >= header.end => {
                let _ = saved;
                copy.commit(header.end, &self.mirror.cosigners, self.now)
            }
            Stage::Packages { saved: 0, .. } => Ok(bad("The request ends within its first package.\n")),
            Stage::Packages { copy, header, .. } => Ok(copy.lock().info(202, Some(header.end))),
        }
    }

    fn begin(&self, header: Header) -> Stage<'a, O> {
        let Some(copy) = self.mirror.copies.get(&header.origin) else {
            return Stage::Answered(Answer {
                status: 404,
                content_type: PLAIN,
                body: b"This mirror does not know the log.\n".to_vec(),
            });
        };
        if header.start > header.end {
            return Stage::Answered(bad("The upload ends before it starts.\n"));
        }
        let state = copy.lock();
        let is_known = state.pending.iter().any(|(pending, _)| pending.size() == header.end);
        if !is_known || header.end < state.edge.size() {
            return Stage::Answered(state.info(409, None));
        }
        if header.start > state.next || state.next - header.start > MOST_AGAIN {
            return Stage::Answered(state.info(409, Some(header.end)));
        }
        drop(state);
        let at = header.start;
        Stage::Packages { copy, header, at, saved: 0 }
    }
}

impl<O: Objects> Copy<O> {
    fn lock(&self) -> MutexGuard<'_, CopyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies the entries `[start, end)` against the pending checkpoint of size `upload_end`, and keeps them.
    fn take(&self, upload_end: u64, start: u64, end: u64, package: &Package) -> Result<Option<Answer>> {
        let mut state = self.lock();
        let Some((pending, _)) = state.pending.iter().find(|(pending, _)| pending.size() == upload_end).cloned() else {
            return Ok(Some(state.info(409, None)));
        };
        if start > state.next {
            return Ok(Some(state.info(409, Some(upload_end))));
        }
        let number = start / u64::from(FULL);
        let first = number * u64::from(FULL);
        let mut entries = state.entries(&self.objects, number)?;
        entries.truncate((start - first) as usize);
        entries.extend(package.entries.iter().cloned());
        let mut subtree = Frontier::new();
        entries.iter().for_each(|entry| subtree.append(leaf_hash(entry)));
        if verify_subtree_consistency(first, end, upload_end, &package.proof, &subtree.root(), pending.root()).is_err() {
            return Ok(Some(Answer {
                status: 422,
                content_type: PLAIN,
                body: b"The entries are not part of the pending checkpoint.\n".to_vec(),
            }));
        }
        if end > state.next {
            state.next = end;
            if entries.len() == usize::from(FULL) {
                if let Some(tile) = Tile::new(Kind::Entries, number, FULL) {
                    self.objects.put(&tile.to_string(), &encode_bundle(&entries)?)?;
                }
                entries.clear();
            }
            state.tail = entries;
        }
        Ok(None)
    }

    /// Makes the copy durable up to the pending checkpoint of this size, cosigns it, and serves it.
    fn commit(&self, size: u64, cosigners: &[Box<dyn Cosigner>], now: u64) -> Result<Answer> {
        let mut state = self.lock();
        let pending = state.pending.iter().find(|(pending, _)| pending.size() == size).cloned();
        let Some((pending, note)) = pending.filter(|_| size >= state.edge.size() && size <= state.next) else {
            return Ok(state.info(409, None));
        };
        let old = state.edge.size();
        let mut edge = state.edge.clone();
        let mut staged = Vec::new();
        while edge.size() < size {
            let number = edge.size() / u64::from(FULL);
            let from = (edge.size() % u64::from(FULL)) as usize;
            let until = (size - number * u64::from(FULL)).min(u64::from(FULL)) as usize;
            let entries = state.entries(&self.objects, number)?;
            let new = entries.get(from..until).ok_or_else(|| Error::Missing { path: format!("entry {}", edge.size()) })?;
            for entry in new {
                edge.append(entry, |tile, bytes| {
                    staged.push((tile.to_string(), bytes.to_vec()));
                    Ok(())
                })?;
            }
            if staged.len() >= STAGED {
                self.objects.put_all(&std::mem::take(&mut staged))?;
            }
        }
        staged.extend(edge.partials_since(old).map(|(tile, bytes)| (tile.to_string(), bytes)));
        self.objects.put_all(&staged)?;
        if edge.root() != *pending.root() {
            return Err(Error::contradiction(Part::Leaves, Part::Checkpoint, format!("the {size} entries lead to another root")));
        }
        let own = |id: (&str, u32)| self.keys.iter().any(|key| (key.name(), key.id()) == id);
        let mut served = Note::unsigned(note.text())?;
        for line in note.signatures().iter().filter(|line| own((line.name(), line.id()))) {
            served.add(line.clone())?;
        }
        let mut body = String::new();
        for cosigner in cosigners {
            let line = cosigner.cosign(&pending, now)?;
            body += &format!("{line}\n");
            served.add(line)?;
        }
        self.objects.replace(checkpoint::PATH, served.to_string().as_bytes())?;
        state.edge = edge;
        state.is_served = true;
        Ok(Answer { status: 200, content_type: PLAIN, body: body.into_bytes() })
    }
}

impl CopyState {
    fn load<O: Objects>(objects: &O, origin: &str, keys: &[VerifierKey], own: &[Box<dyn Cosigner>]) -> Result<Self> {
        let mut state = Self { edge: Edge::default(), is_served: false, next: 0, tail: Vec::new(), pending: VecDeque::new() };
        let Some(note) = objects.fetch(checkpoint::PATH)? else { return Ok(state) };
        let verifiers: Vec<_> = keys.iter().map(VerifierKey::any_verifier).collect::<Result<_>>()?;
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        let (served, note) = checkpoint::open(&note, origin, &verifiers)?;
        for cosigner in own {
            if note.verified_by(&[&**cosigner as &dyn Verifier])?.is_empty() {
                return Err(Error::contradiction(
                    Part::Checkpoint,
                    Part::Checkpoint,
                    format!("the served one of {origin} lacks the cosignature by {}", cosigner.name()),
                ));
            }
        }
        let size = served.size();
        if let Some(tile) = Tile::partial(Kind::Entries, size) {
            state.tail = fetch_bundle(objects, tile)?;
        }
        state.edge = Edge::resume(size, fetch_edge(objects, size)?, &state.tail)?;
        let hashes: Vec<Hash> = state.tail.iter().map(|entry| leaf_hash(entry)).collect();
        let stored = Tile::partial(Kind::Hashes(0), size).map(|tile| crate::reader::fetch_hashes(objects, tile)).transpose()?;
        if state.edge.root() != *served.root() || stored.unwrap_or_default() != hashes {
            return Err(Error::contradiction(
                Part::Checkpoint,
                Part::Tiles,
                format!("the copy of {origin} leads to another root"),
            ));
        }
        state.next = size;
        state.is_served = true;
        Ok(state)
    }

    fn remember(&mut self, note: &[u8]) -> Result<()> {
        let note = Note::parse(note)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        self.pending.retain(|(known, _)| known.size() != checkpoint.size());
        self.pending.push_back((checkpoint, note));
        if self.pending.len() > MOST_PENDING {
            self.pending.pop_front();
        }
        Ok(())
    }

    /// The entries of a bundle, as many as there are.
    fn entries<O: Objects>(&self, objects: &O, number: u64) -> Result<Vec<Vec<u8>>> {
        if number == self.next / u64::from(FULL) {
            return Ok(self.tail.clone());
        }
        let tile = Tile::new(Kind::Entries, number, FULL).ok_or(Error::Proof { why: "the index lies beyond the tree" })?;
        fetch_bundle(objects, tile)
    }

    /// `text/x.tlog.mirror-info`: a pending size to upload to, the next entry, and a ticket, which is empty: the mirror
    /// remembers its pending checkpoints itself.
    fn info(&self, status: u16, wanted: Option<u64>) -> Answer {
        let latest = self.pending.iter().map(|(pending, _)| pending.size()).max().unwrap_or(0);
        let body = format!("{}\n{}\n\n", wanted.unwrap_or(latest), self.next);
        Answer { status, content_type: INFO, body: body.into_bytes() }
    }
}

impl<S: WitnessState> Witness<S> {
    /// The last checkpoint accepted of a log.
    fn stored(&self, origin: &str) -> Result<Option<SignedHead>> {
        self.state().load(origin)
    }
}

fn bad(why: &str) -> Answer {
    Answer { status: 400, content_type: PLAIN, body: why.as_bytes().to_vec() }
}

const INFO: &str = "text/x.tlog.mirror-info";
const PLAIN: &str = "text/plain; charset=utf-8";
/// How many entries an upload may begin before the next one.
const MOST_AGAIN: u64 = 1 << 20;
/// Pending checkpoints that an upload may still go up to.
const MOST_PENDING: usize = 16;
/// Tiles held before they are written.
const STAGED: usize = 64;
