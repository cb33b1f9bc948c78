//! A keeper: holds one share of the root of somebody else's key tree, and forgets it when it is told to (class E3).
//!
//! Like the log's witness it knows no network and no clock. It holds at most two shares, of the epoch that counts and of the one
//! that may follow; its counter only ever grows; what it has destroyed it signs for. Whoever has `threshold` keepers in hand
//! can bring the root back, and can cheat; fewer can do neither.

pub mod shamir;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Digest;
use usufruct_core::hash::equal;
use usufruct_core::keeper::{Counter, Destroyed};
use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::tree::Epoch;

pub use shamir::Share;
pub use state::{Held, KeeperFile};

/// The keeper of one key tree.
pub struct Keeper {
    vault: String,
    name: String,
    pair: Ed25519KeyPair,
    /// Names and public keys of the other keepers of the same tree.
    peers: Vec<(String, String)>,
    inner: Mutex<Inner>,
}

struct Inner {
    file: KeeperFile,
    /// Whether nobody has told of a higher counter since the start. Until then no share is given out.
    is_fresh: bool,
    nonce: [u8; 16],
}

/// What a keeper tells anybody who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It holds nothing of an epoch before this one.
    pub counter: Epoch,
    /// The epochs it holds a share of, ascending, each with the commitment to its root.
    pub held: Vec<(Epoch, Digest)>,
    /// Whether it has compared its counter with another keeper's since its start.
    pub is_fresh: bool,
}

impl Keeper {
    /// A keeper with this state. `seed` is its signing key.
    pub fn new(
        vault: &str,
        name: &str,
        seed: &[u8; 32],
        peers: Vec<(String, String)>,
        file: KeeperFile,
        rng: &dyn Rng,
    ) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Malformed { what: "the seed of the keeper" })?;
        // Who never held anything cannot be an old copy of itself that does harm.
        let is_fresh = file.counter() == Epoch(0) && file.held().next().is_none();
        let inner = Mutex::new(Inner { file, is_fresh, nonce: random(rng) });
        Ok(Self { vault: vault.to_owned(), name: name.to_owned(), pair, peers, inner })
    }

    /// Its public key, base64url.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key tree it belongs to.
    pub fn vault(&self) -> &str {
        &self.vault
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        let inner = self.inner();
        Standing {
            counter: inner.file.counter(),
            held: inner.file.held().map(|held| (held.epoch, held.check)).collect(),
            is_fresh: inner.is_fresh,
        }
    }

    /// Keeps a share beside the one that counts, durable when it returns. `check` is a commitment to the root, by which a
    /// wrong share is noticed. Again the same is no mistake.
    pub fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        self.belongs(vault)?;
        let mut inner = self.inner();
        if epoch < inner.file.counter() {
            return Err(self.refuses(&format!("epoch {} is destroyed, and it stands at {}", epoch.0, inner.file.counter().0)));
        }
        inner.file.put(Held { epoch, share, check })
    }

    /// Destroys every share but that of `epoch`, raises the counter, and signs for it at `now` (seconds since 1970). The
    /// share of `epoch` itself may be missing: a keeper that slept is brought one later.
    pub fn keep_only(&self, vault: &str, epoch: Epoch, now: u64) -> Result<Destroyed> {
        self.belongs(vault)?;
        let mut inner = self.inner();
        if epoch < inner.file.counter() {
            return Err(self.refuses(&format!(
                "it stands at epoch {} and never goes back to {}",
                inner.file.counter().0,
                epoch.0
            )));
        }
        inner.file.keep_only(epoch)?;
        Ok(Destroyed::sign(&self.vault, &self.name, epoch.0, now, &self.pair))
    }

    /// Gives out the share of an epoch, once the keeper knows that it is no old copy of itself.
    pub fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)> {
        self.belongs(vault)?;
        let inner = self.inner();
        if !inner.is_fresh {
            return Err(
                self.refuses("since its start it has not compared its counter with another keeper, so it may be an old copy")
            );
        }
        let held = inner.file.held().find(|held| held.epoch == epoch && epoch >= inner.file.counter());
        held.map(|held| (held.share.copy(), held.check))
            .ok_or_else(|| self.refuses(&format!("it holds no share of epoch {}", epoch.0)))
    }

    /// What the other keepers have to sign, so that an old answer does not count.
    pub fn nonce(&self) -> [u8; 16] {
        self.inner().nonce
    }

    /// Signs the counter for another keeper that has just started.
    pub fn tell_counter(&self, nonce: &[u8; 16]) -> Counter {
        Counter::sign(&self.vault, &self.name, self.inner().file.counter().0, nonce, &self.pair)
    }

    /// Takes the answers of other keepers. If one is ahead, this keeper was restored from an old copy or has slept: what it
    /// holds of epochs that are over is destroyed at once. Answers how many were good; without one, no share is given out.
    pub fn compare(&self, answers: &[Counter]) -> Result<usize> {
        let mut inner = self.inner();
        let nonce = inner.nonce;
        let is_good = |answer: &&Counter| {
            let peer = self.peers.iter().find(|(name, _)| *name == answer.keeper);
            answer.vault == self.vault
                && equal(&answer.nonce_bytes(), &nonce)
                && peer.is_some_and(|(_, public)| answer.is_signed_by(public))
        };
        let good: Vec<&Counter> = answers.iter().filter(is_good).collect();
        let highest = good.iter().map(|answer| Epoch(answer.counter)).max();
        if let Some(highest) = highest.filter(|highest| *highest > inner.file.counter()) {
            inner.file.keep_only(highest)?;
        }
        inner.is_fresh |= !good.is_empty();
        Ok(good.len())
    }

    fn belongs(&self, vault: &str) -> Result<()> {
        if vault == self.vault { Ok(()) } else { Err(self.refuses("it keeps the root of another key tree")) }
    }

    fn refuses(&self, why: &str) -> Error {
        Error::Keeper { name: self.name.clone(), why: why.to_owned() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The public key of a keeper with this seed, base64url.
pub fn public_of(seed: &[u8; 32]) -> Result<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Malformed { what: "the seed of the keeper" })?;
    Ok(URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()))
}

/// The public commitment to a root, by which a wrong share is noticed: nothing of the root follows from it.
pub fn commit_root(vault: &str, epoch: Epoch, root: &crate::tree::Key) -> Digest {
    let mut bytes = Zeroizing::new(b"usufruct/root-check/v1".to_vec());
    bytes.extend_from_slice(&(vault.len() as u64).to_be_bytes());
    bytes.extend_from_slice(vault.as_bytes());
    bytes.extend_from_slice(&epoch.0.to_be_bytes());
    bytes.extend_from_slice(root.bytes());
    usufruct_core::hash::sha256(&bytes)
}
