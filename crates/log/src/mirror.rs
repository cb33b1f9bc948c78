//! A mirror: a whole copy of another operator's log, every entry proven before it is stored (C2SP tlog-mirror).
//!
//! Like the witness it knows no network and no clock. Its cosignature says more than a witness's: that it holds all the
//! entries, durably, and shows them to everybody. An error, in place of an answer, means that the process must end and
//! begin again from what is durable.

mod copy;
mod package;
mod receive;
mod upload;

use std::collections::BTreeMap;

use crate::checkpoint;
use crate::cosignature::Cosigner;
use crate::error::Result;
use crate::key::VerifierKey;
use crate::objects::Objects;
use crate::tile::Tile;
use crate::witness::{AddCheckpoint, Answer, Witness, WitnessState};

use copy::Copy;

pub use package::{Header, MAX_PACKAGE_BYTES, Package};
pub use receive::Upload;
pub use upload::{LocalMirror, upload};

/// The mirror of some logs.
pub struct Mirror<O, S> {
    /// Keeps the pending checkpoints: it checks like a witness, and signs nothing.
    pending: Witness<S>,
    /// By origin.
    copies: BTreeMap<String, Copy<O>>,
    cosigners: Vec<Box<dyn Cosigner>>,
}

impl<O: Objects, S: WitnessState> Mirror<O, S> {
    /// A mirror of these logs, each with its keys and a place of its own for the copy. Opens the copies, and verifies the
    /// right edge of each against its checkpoint and that against the pending one.
    pub fn open(logs: Vec<(String, Vec<VerifierKey>, O)>, cosigners: Vec<Box<dyn Cosigner>>, state: S) -> Result<Self> {
        let known: Vec<_> =
            logs.iter().flat_map(|(origin, keys, _)| keys.iter().map(move |key| (origin.clone(), key.clone()))).collect();
        let mut copies = BTreeMap::new();
        for (origin, keys, objects) in logs {
            let pending = state.load(&origin)?;
            copies.insert(origin.clone(), Copy::open(origin, keys, objects, &cosigners, pending.as_ref())?);
        }
        Ok(Self { pending: Witness::new(known, Vec::new(), state)?, copies, cosigners })
    }

    /// The keys it cosigns with.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.cosigners.iter().map(|cosigner| cosigner.verifier_key())
    }

    /// The origins of the logs it mirrors, and how many entries of each it serves.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.copies.values().map(|copy| (copy.origin(), copy.size()))
    }

    /// A file of the copy of the log whose origin has this hash: the checkpoint, a tile or a bundle.
    pub fn fetch(&self, hash: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let is_file = path == checkpoint::PATH || path.parse::<Tile>().is_ok();
        match self.copies.values().find(|copy| is_file && copy.hash() == hash) {
            Some(copy) => copy.objects().fetch(path),
            None => Ok(None),
        }
    }

    /// `POST /add-checkpoint` at `now`, in seconds since 1970 UTC: sets the pending checkpoint. The answer carries no
    /// signature.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<Answer> {
        let answer = self.pending.add_checkpoint(body, now)?;
        if answer.status == 200
            && let Ok(request) = std::str::from_utf8(body).unwrap_or_default().parse::<AddCheckpoint>()
        {
            let checkpoint = request.checkpoint.text().parse::<checkpoint::Checkpoint>()?;
            if let Some(copy) = self.copies.get(checkpoint.origin()) {
                copy.remember(&request.checkpoint)?;
            }
        }
        Ok(answer)
    }

    /// Begins `POST /add-entries`.
    pub fn add_entries(&self) -> Upload<'_, O, S> {
        Upload::new(self)
    }

    /// Removes partial tiles whose full tile has been served for a day, some at each call. `now` is in seconds since 1970
    /// UTC. Answers how many it removed.
    pub fn collect(&self, now: u64) -> Result<u64> {
        self.copies.values().map(|copy| copy.collect(now)).sum()
    }
}
