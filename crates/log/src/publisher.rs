//! Turning entries into tiles, heads and checkpoints, in the one order that survives a crash at every step.

use crate::checkpoint::{self, Checkpoint};
use crate::edge::{Edge, levels_root};
use crate::error::{Error, Part, Result};
use crate::hash::{Hash, leaf_hash};
use crate::head::{Head, SignedHead};
use crate::merkle::Frontier;
use crate::note::{Note, Signer, Verifier};
use crate::objects::Objects;
use crate::reader::fetch_edge;
use crate::recover;
use crate::tile::{FULL, Kind, Tile, parse_bundle};

/// The entries that have been given an index, as the database holds them. Tiles can always be rebuilt from it.
pub trait LeafSource {
    /// Entries in order, beginning at index `from`: at most `limit`, at least one while there are any.
    fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>>;

    /// The number of entries.
    fn size(&self) -> u64;
}

/// The only writer of a log.
///
/// Publishing goes tiles, signature, head, public checkpoint, each durable before the next. A crash leaves at worst
/// tiles that no head covers, which are written again with the same bytes, or a head that is not public yet.
pub struct Publisher<O: Objects, H: Head> {
    objects: O,
    head: H,
    signers: Vec<Box<dyn Signer + Send + Sync>>,
    origin: String,
    state: Option<State>,
}

/// What the publisher knows for certain.
pub(crate) struct State {
    pub(crate) edge: Edge,
    pub(crate) head: Option<SignedHead>,
    /// Whether the public checkpoint is known to be that of the head.
    pub(crate) announced: bool,
}

impl<O: Objects, H: Head> Publisher<O, H> {
    /// Opens a log, or begins one if there is neither a head nor a checkpoint.
    ///
    /// The head is verified against the right edge of the tiles, the tiles against the last bundle, and, where they
    /// are given, the leaves against the tiles. Whatever contradicts is refused with [`Error::Contradiction`].
    pub fn open(
        objects: O,
        head: H,
        signers: Vec<Box<dyn Signer + Send + Sync>>,
        origin: &str,
        leaves: Option<&dyn LeafSource>,
    ) -> Result<Self> {
        let mut publisher = Self { objects, head, signers, origin: origin.to_owned(), state: None };
        publisher.reload(leaves)?;
        Ok(publisher)
    }

    /// Reads and verifies everything anew, as [`Publisher::open`] does. Needed after every error of a commit.
    pub fn reload(&mut self, leaves: Option<&dyn LeafSource>) -> Result<()> {
        self.state = None;
        self.state = Some(recover::load(&self.objects, &self.head, &self.verifiers(), &self.origin, leaves)?);
        Ok(())
    }

    /// The number of leaves under the current head, which is also the index of the next one.
    pub fn size(&self) -> Result<u64> {
        Ok(self.state()?.edge.size())
    }

    /// The current head; `None` until the first commit.
    pub fn head(&self) -> Result<Option<&SignedHead>> {
        Ok(self.state()?.head.as_ref())
    }

    /// Whether the public checkpoint is known to be that of the head.
    pub fn is_announced(&self) -> Result<bool> {
        Ok(self.state()?.announced)
    }

    /// Where the public files are.
    pub fn objects(&self) -> &O {
        &self.objects
    }

    /// Integrates new leaves, signs, moves the head, and writes the public checkpoint. Without new leaves it only
    /// sees to it that the head there is (of size 0 at first) is public.
    pub fn publish(&mut self, leaves: impl IntoIterator<Item = (u64, Vec<u8>)>, time: u64) -> Result<SignedHead> {
        let head = self.commit(leaves, time)?;
        if !self.state()?.announced {
            self.announce(&head.note)?;
        }
        Ok(head)
    }

    /// Integrates new leaves, signs, and moves the head, but leaves the public checkpoint alone: for logs that show
    /// a checkpoint only once witnesses have signed it.
    ///
    /// After an error the publisher refuses to go on until it is reloaded, since it cannot know how far it came.
    pub fn commit(&mut self, leaves: impl IntoIterator<Item = (u64, Vec<u8>)>, time: u64) -> Result<SignedHead> {
        let mut state = self.state.take().ok_or(Error::Stopped)?;
        let old_size = state.edge.size();
        let before = state.edge.frontier().clone();
        let mut staged = Vec::new();
        if let Some(head) = state.head.as_ref().filter(|head| head.time > time) {
            return Err(Error::ClockBack { last: head.time, now: time });
        }
        for (index, leaf) in leaves {
            if index != state.edge.size() {
                return Err(Error::Gap { expected: state.edge.size(), found: index });
            }
            state.edge.append(&leaf, |tile, bytes| {
                staged.push((tile, bytes.to_vec()));
                Ok(())
            })?;
        }
        let head = match state.head {
            Some(head) if head.size == state.edge.size() => head,
            old => {
                staged.extend(state.edge.partials_since(old_size));
                self.stage(staged, before, state.edge.root())?;
                let new = self.sign(&state.edge, time)?;
                if !self.head.swap(old.as_ref(), &new)? {
                    return Err(Error::Moved);
                }
                state.announced = false;
                new
            }
        };
        self.state = Some(State { head: Some(head.clone()), ..state });
        Ok(head)
    }

    /// Signs the head once more at `time`, so that it carries a fresh time. Nothing else changes.
    pub fn renew(&mut self, time: u64) -> Result<SignedHead> {
        let state = self.state.take().ok_or(Error::Stopped)?;
        let Some(old) = state.head.clone() else {
            self.state = Some(state);
            return self.commit([], time);
        };
        if old.time > time {
            return Err(Error::ClockBack { last: old.time, now: time });
        }
        let new = self.sign(&state.edge, time)?;
        if !self.head.swap(Some(&old), &new)? {
            return Err(Error::Moved);
        }
        self.state = Some(State { head: Some(new.clone()), announced: false, ..state });
        Ok(new)
    }

    /// Writes the public checkpoint: the one of the head, with whatever cosignatures it has gained.
    pub fn announce(&mut self, note: &[u8]) -> Result<()> {
        let signed = Note::open(note, &self.verifiers())?;
        let ours = self.head()?.map(|head| Note::parse(&head.note)).transpose()?;
        if ours.is_none_or(|ours| ours.text() != signed.text()) {
            return Err(Error::contradiction(
                Part::Head,
                Part::Checkpoint,
                "the checkpoint to be announced is not that of the head",
            ));
        }
        let state = self.state.take().ok_or(Error::Stopped)?;
        self.objects.replace(checkpoint::PATH, note)?;
        self.state = Some(State { announced: true, ..state });
        Ok(())
    }

    /// Makes the new tiles durable under their final names, to which nothing public refers yet, and takes a second look:
    /// what is stored must be what was meant, and the stored entries must lead to the root by a way of their own.
    fn stage(&self, staged: Vec<(Tile, Vec<u8>)>, mut frontier: Frontier, root: Hash) -> Result<()> {
        let (tiles, named): (Vec<Tile>, Vec<(String, Vec<u8>)>) =
            staged.into_iter().map(|(tile, bytes)| (tile, (tile.to_string(), bytes))).unzip();
        self.objects.put_all(&named)?;
        let wrong =
            |path: &str| Err(Error::contradiction(Part::Leaves, Part::Tiles, format!("{path} was stored with other bytes")));
        for (tile, (path, meant)) in tiles.iter().zip(&named) {
            let stored = self.objects.fetch(path)?.ok_or_else(|| Error::Missing { path: path.clone() })?;
            if stored != *meant {
                return wrong(path);
            }
            if tile.kind() == Kind::Entries {
                let start = tile.index() * u64::from(FULL);
                for (entry, index) in parse_bundle(&stored, tile.width())?.into_iter().zip(start..) {
                    if index == frontier.size() {
                        frontier.append(leaf_hash(entry));
                    }
                }
            }
        }
        if frontier.root() == root {
            return Ok(());
        }
        Err(Error::contradiction(Part::Leaves, Part::Tiles, "the entries just written lead to another root"))
    }

    /// Signs the tree, after a second look: the root that the stored tiles lead to must be the one in memory.
    fn sign(&self, edge: &Edge, time: u64) -> Result<SignedHead> {
        let (size, root) = (edge.size(), edge.root());
        if levels_root(&fetch_edge(&self.objects, size)?) != root {
            return Err(Error::contradiction(Part::Leaves, Part::Tiles, "the tiles just written lead to another root"));
        }
        let signers: Vec<&dyn Signer> = self.signers.iter().map(|signer| &**signer as &dyn Signer).collect();
        let note = Checkpoint::new(&self.origin, size, root)?.sign(&signers, time)?.to_string().into_bytes();
        checkpoint::open(&note, &self.origin, &self.verifiers())?;
        Ok(SignedHead { size, root, time, note })
    }

    fn verifiers(&self) -> Vec<&dyn Verifier> {
        self.signers.iter().map(|signer| &**signer as &dyn Verifier).collect()
    }

    fn state(&self) -> Result<&State> {
        self.state.as_ref().ok_or(Error::Stopped)
    }
}

/// Writes all full tiles and the partial tiles of the head anew from the leaves, and reports how many were missing
/// or damaged. The leaves must lead to the root of the head, which is verified before anything is written.
///
/// Partial tiles of older sizes are not rebuilt; clients then take the full tile instead.
pub fn rebuild_tiles<O: Objects, H: Head>(
    objects: &O,
    head: &H,
    verifiers: &[&dyn Verifier],
    origin: &str,
    leaves: &dyn LeafSource,
) -> Result<u64> {
    recover::rebuild(objects, head, verifiers, origin, leaves)
}
