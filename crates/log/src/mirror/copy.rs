//! The copy of one log: what is served, what waits to be, and the pending checkpoints that entries are proven against.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Header;
use super::package::Package;
use super::receive::{PLAIN, plain};
use crate::checkpoint::{self, Checkpoint};
use crate::collect::collect;
use crate::cosignature::{self, Cosigner};
use crate::edge::Edge;
use crate::error::{Error, Part, Result};
use crate::hash::{Hash, leaf_hash};
use crate::head::SignedHead;
use crate::key::VerifierKey;
use crate::merkle::{Frontier, verify_subtree_consistency};
use crate::note::{Note, Verifier};
use crate::objects::Objects;
use crate::reader::{fetch_bundle, fetch_edge, fetch_hashes};
use crate::tile::{FULL, Kind, Tile, encode_bundle};
use crate::witness::Answer;
use crate::witnessing::origin_hash;

pub(super) struct Copy<O> {
    origin: String,
    /// Of the origin, as it stands in addresses.
    hash: String,
    keys: Vec<VerifierKey>,
    objects: O,
    state: Mutex<State>,
    /// Where the collection of partial tiles goes on.
    collected: Mutex<Option<String>>,
}

struct State {
    /// The tree under the mirror checkpoint.
    edge: Edge,
    /// When the mirror checkpoint was cosigned, in seconds since 1970 UTC; 0 before the first.
    time: u64,
    /// The first entry that is missing.
    next: u64,
    /// The entries of the last bundle, which is not full yet.
    tail: Vec<Vec<u8>>,
    /// The roots of the full bundles that the mirror checkpoint does not cover yet, by number, as they were proven.
    proven: BTreeMap<u64, Hash>,
    /// The latest pending checkpoints with the signatures of the log, oldest first.
    pending: VecDeque<(Checkpoint, Note)>,
}

impl<O: Objects> Copy<O> {
    /// Opens a copy, whose pending checkpoint was `pending` when the last process ended.
    pub(super) fn open(
        origin: String,
        keys: Vec<VerifierKey>,
        objects: O,
        cosigners: &[Box<dyn Cosigner>],
        pending: Option<&SignedHead>,
    ) -> Result<Self> {
        let state = State::load(&objects, &origin, &keys, cosigners, pending)?;
        let hash = origin_hash(&origin);
        let copy = Self { origin, hash, keys, objects, state: Mutex::new(state), collected: Mutex::default() };
        pending.map_or(Ok(()), |pending| copy.remember(&Note::parse(&pending.note)?))?;
        Ok(copy)
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn objects(&self) -> &O {
        &self.objects
    }

    /// How many entries are served.
    pub(super) fn size(&self) -> u64 {
        self.lock().edge.size()
    }

    /// Accepts uploads to this pending checkpoint, which has been checked.
    pub(super) fn remember(&self, note: &Note) -> Result<()> {
        let checkpoint: Checkpoint = note.text().parse()?;
        let mut signed = Note::unsigned(note.text())?;
        let is_own = |id: (&str, u32)| self.keys.iter().any(|key| (key.name(), key.id()) == id);
        for line in note.signatures().iter().filter(|line| is_own((line.name(), line.id()))) {
            signed.add(line.clone())?;
        }
        let mut state = self.lock();
        state.pending.retain(|(known, _)| known.size() != checkpoint.size());
        state.pending.push_back((checkpoint, signed));
        if state.pending.len() > MOST_PENDING {
            state.pending.pop_front();
        }
        Ok(())
    }

    /// Why an upload cannot begin, if it cannot.
    pub(super) fn refuses(&self, header: &Header) -> Option<Answer> {
        let state = self.lock();
        if state.pending(header.end).is_none() || header.end < state.edge.size() {
            return Some(state.info(409, None));
        }
        let is_near = header.start <= state.next && state.next - header.start <= MOST_AGAIN;
        (!is_near).then(|| state.info(409, Some(header.end)))
    }

    /// Tells where an upload to the pending checkpoint of this size has to go on.
    pub(super) fn accepted(&self, size: u64) -> Answer {
        self.lock().info(202, Some(size))
    }

    /// Verifies the entries `[start, end)` against the pending checkpoint of size `size`, and keeps them. Answers if the
    /// upload ends here.
    pub(super) fn take(&self, size: u64, start: u64, end: u64, package: &Package) -> Result<Option<Answer>> {
        let mut state = self.lock();
        let Some(root) = state.pending(size).map(|(pending, _)| *pending.root()) else {
            return Ok(Some(state.info(409, None)));
        };
        if start > state.next {
            return Ok(Some(state.info(409, Some(size))));
        }
        let number = start / u64::from(FULL);
        let first = number * u64::from(FULL);
        let mut entries = state.entries(&self.objects, number)?;
        entries.truncate((start - first) as usize);
        entries.extend(package.entries.iter().cloned());
        let subtree = root_of(&entries);
        if verify_subtree_consistency(first, end, size, &package.proof, &subtree, &root).is_err() {
            return Ok(Some(plain(422, "The entries are not part of the pending checkpoint.\n")));
        }
        if end <= state.next {
            return Ok(None);
        }
        if entries.len() == usize::from(FULL) {
            if let Some(tile) = Tile::new(Kind::Entries, number, FULL) {
                self.objects.put(&tile.to_string(), &encode_bundle(&entries)?)?;
            }
            state.proven.insert(number, subtree);
            entries.clear();
        }
        state.tail = entries;
        // Last, so that a failed write has changed nothing.
        state.next = end;
        Ok(None)
    }

    /// Makes the copy durable up to the pending checkpoint of this size, cosigns it at `now`, and serves it.
    pub(super) fn commit(&self, size: u64, cosigners: &[Box<dyn Cosigner>], now: u64) -> Result<Answer> {
        let mut state = self.lock();
        let pending = state.pending(size).filter(|_| size >= state.edge.size() && size <= state.next).cloned();
        let Some((pending, mut note)) = pending else {
            return Ok(state.info(409, None));
        };
        if now < state.time {
            return Err(Error::ClockBack { last: state.time, now });
        }
        let edge = state.integrate(&self.objects, size)?;
        if edge.root() != *pending.root() {
            return Err(Error::contradiction(Part::Leaves, Part::Checkpoint, format!("the {size} entries lead to another root")));
        }
        let mut body = String::new();
        for cosigner in cosigners {
            let line = cosigner.cosign(&pending, now)?;
            body += &format!("{line}\n");
            note.add(line)?;
        }
        self.objects.replace(checkpoint::PATH, note.to_string().as_bytes())?;
        state.proven = state.proven.split_off(&(size / u64::from(FULL)));
        (state.edge, state.time) = (edge, now);
        Ok(Answer { status: 200, content_type: PLAIN, body: body.into_bytes() })
    }

    /// Removes some of the partial tiles that nobody needs any more.
    pub(super) fn collect(&self, now: u64) -> Result<u64> {
        let mut from = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let done = collect(&self.objects, from.as_deref(), self.size(), now, KEEP_SECONDS, COLLECTED_AT_ONCE)?;
        *from = done.next;
        Ok(done.removed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn load<O: Objects>(
        objects: &O,
        origin: &str,
        keys: &[VerifierKey],
        cosigners: &[Box<dyn Cosigner>],
        pending: Option<&SignedHead>,
    ) -> Result<Self> {
        let mut state =
            Self { edge: Edge::default(), time: 0, next: 0, tail: Vec::new(), proven: BTreeMap::new(), pending: VecDeque::new() };
        let Some(note) = objects.fetch(checkpoint::PATH)? else { return Ok(state) };
        let verifiers: Vec<_> = keys.iter().map(VerifierKey::any_verifier).collect::<Result<_>>()?;
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        let (served, note) = checkpoint::open(&note, origin, &verifiers)?;
        for cosigner in cosigners {
            let key = cosigner.verifier_key();
            let is_signed = !note.verified_by(&[&**cosigner as &dyn Verifier])?.is_empty();
            let line = note.signatures().iter().find(|line| (line.name(), line.id()) == (key.name(), key.id()));
            let Some(line) = line.filter(|_| is_signed) else {
                let detail = format!("the served one of {origin} lacks the cosignature by {}", cosigner.name());
                return Err(Error::contradiction(Part::Checkpoint, Part::Checkpoint, detail));
            };
            state.time = state.time.max(cosignature::timestamp(line)?);
        }
        let size = served.size();
        let is_ahead = |pending: &SignedHead| pending.size > size || (pending.size == size && pending.root == *served.root());
        if !pending.is_some_and(is_ahead) {
            let detail = format!("the copy of {origin} has {size} entries, and no pending checkpoint like it is remembered");
            return Err(Error::contradiction(Part::Checkpoint, Part::Witness, detail));
        }
        if let Some(tile) = Tile::partial(Kind::Entries, size) {
            state.tail = fetch_bundle(objects, tile)?;
        }
        state.edge = Edge::resume(size, fetch_edge(objects, size)?, &state.tail)?;
        let hashes: Vec<Hash> = state.tail.iter().map(|entry| leaf_hash(entry)).collect();
        let stored = Tile::partial(Kind::Hashes(0), size).map(|tile| fetch_hashes(objects, tile)).transpose()?;
        if state.edge.root() != *served.root() || stored.unwrap_or_default() != hashes {
            let detail = format!("the copy of {origin} leads to another root");
            return Err(Error::contradiction(Part::Checkpoint, Part::Tiles, detail));
        }
        state.next = size;
        Ok(state)
    }

    /// The pending checkpoint of this size, if uploads to it are accepted.
    fn pending(&self, size: u64) -> Option<&(Checkpoint, Note)> {
        self.pending.iter().find(|(pending, _)| pending.size() == size)
    }

    /// Writes the tiles up to `size`, durable when it returns. What was stored is read again, and must still be what was
    /// proven before anything is derived from it.
    fn integrate<O: Objects>(&self, objects: &O, size: u64) -> Result<Edge> {
        let mut edge = self.edge.clone();
        let mut staged = Vec::new();
        while edge.size() < size {
            let number = edge.size() / u64::from(FULL);
            let from = (edge.size() % u64::from(FULL)) as usize;
            let until = (size - number * u64::from(FULL)).min(u64::from(FULL)) as usize;
            let entries = self.entries(objects, number)?;
            if self.proven.get(&number).is_some_and(|proven| *proven != root_of(&entries)) {
                let detail = format!("bundle {number} is not what was stored; remove it and upload it again");
                return Err(Error::contradiction(Part::Checkpoint, Part::Leaves, detail));
            }
            let new = entries.get(from..until).ok_or_else(|| Error::Missing { path: format!("entry {}", edge.size()) })?;
            for entry in new {
                edge.append(entry, |tile, bytes| {
                    staged.push((tile.to_string(), bytes.to_vec()));
                    Ok(())
                })?;
            }
            if staged.len() >= STAGED {
                objects.put_all(&std::mem::take(&mut staged))?;
            }
        }
        staged.extend(edge.partials_since(self.edge.size()).map(|(tile, bytes)| (tile.to_string(), bytes)));
        objects.put_all(&staged)?;
        Ok(edge)
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

/// The root of the tree over these entries alone.
fn root_of(entries: &[Vec<u8>]) -> Hash {
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.append(leaf_hash(entry)));
    tree.root()
}

/// Tiles looked at in one call of a collection.
const COLLECTED_AT_ONCE: usize = 2_000;
const INFO: &str = "text/x.tlog.mirror-info";
/// How long a partial tile is kept for slow clients.
const KEEP_SECONDS: u64 = 86_400;
/// How many entries an upload may begin before the next one.
const MOST_AGAIN: u64 = 1 << 20;
/// Pending checkpoints that an upload may still go up to.
const MOST_PENDING: usize = 16;
/// Tiles held before they are written.
const STAGED: usize = 64;
