//! A keeper: holds one share of the root of somebody else's key tree, and forgets it when it is told to (class E3).
//!
//! Like the log's witness it knows no network and no clock. It holds at most two shares, of the epoch that counts and of the one
//! that may follow; its counter only ever grows; what it has destroyed it signs for. Whoever has `threshold` keepers in hand
//! can bring the root back, and can cheat. One that has not heard of an erasure counts as in hand until another one tells it.
//!
//! What one other keeper says is never enough to destroy anything: it makes this one withhold what would be over if it were
//! true. So one that lies can keep a root from being brought back while it is heard, and can lose nobody anything.
//!
//! A share alone never takes the place of one that counts: what the city has ordered to keep, and this keeper has signed for, is
//! overwritten by the order that ends it and by nothing else.

mod sealed;
pub mod shamir;
mod state;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::Digest;
use usufruct_core::hash::equal;
use usufruct_core::keeper::{Counter, Destroyed};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::tree::Epoch;

pub use sealed::{Bound, Facts, OneTimeKey, OneTimeKeys, SEALED};
pub use shamir::Share;
pub use state::{Held, KeeperFile};

/// The keeper of one key tree.
pub struct Keeper {
    vault: String,
    name: String,
    pair: Ed25519KeyPair,
    /// Names and public keys of the other keepers of the same tree.
    peers: Vec<(String, String)>,
    /// So many others cannot all be among those that may lie.
    quorum: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    file: KeeperFile,
    /// What other keepers have signed last since the start, by name.
    told: BTreeMap<String, Epoch>,
}

/// What a keeper tells anybody who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It holds nothing of an epoch before this one.
    pub counter: Epoch,
    /// The epochs it holds a share of, ascending, each with the commitment to its root.
    pub held: Vec<(Epoch, Digest)>,
    /// Whether it has compared its counter with another keeper's since its start, or never held anything.
    pub is_fresh: bool,
    /// The highest counter that another keeper says it is at. It gives out nothing of an epoch before it.
    pub told: Epoch,
}

impl Standing {
    /// Whether it holds a share of `epoch` with this commitment, and would give it out.
    pub fn gives(&self, epoch: Epoch, check: &Digest) -> bool {
        self.is_fresh && epoch >= self.told && epoch >= self.counter && self.held.contains(&(epoch, *check))
    }
}

impl Keeper {
    /// A keeper with this state. `seed` is its signing key; so many of it and its `peers` as `threshold` bring a root back.
    pub fn new(
        vault: &str,
        name: &str,
        seed: &[u8; 32],
        peers: Vec<(String, String)>,
        threshold: usize,
        file: KeeperFile,
    ) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Malformed { what: "the seed of the keeper" })?;
        let quorum = (peers.len() + 2).saturating_sub(threshold);
        let inner = Mutex::new(Inner { file, told: BTreeMap::new() });
        Ok(Self { vault: vault.to_owned(), name: name.to_owned(), pair, peers, quorum, inner })
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
            // Who never held anything cannot be an old copy of itself that does harm.
            is_fresh: !inner.told.is_empty() || (inner.file.counter() == Epoch(0) && inner.file.held().next().is_none()),
            told: inner.told(),
        }
    }

    /// Keeps a share beside the one that counts, durable when it returns. `check` is a commitment to the root, by which a
    /// wrong share is noticed. Again the same is no mistake.
    ///
    /// Refused are a share of another root than the one of this epoch that was signed for, and a leap: an epoch after the next, as long
    /// as no other keeper says that it is so far. Whoever slept is told so by the others, who are to be asked before ([`Self::is_leap`]).
    pub fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        self.belongs(vault)?;
        let mut inner = self.inner();
        let (counter, told, held) = (inner.file.counter(), inner.told(), inner.file.of(epoch));
        if epoch < counter {
            return Err(self.refuses(&format!("epoch {} is destroyed, and it stands at {}", epoch.0, counter.0)));
        }
        if epoch == counter
            && let Some(signed) = inner.file.signed()
        {
            let is_same = signed == check && held.is_none_or(|held| held.share.is_same(&share));
            if !is_same {
                return Err(self.refuses(&format!("it has signed for its share of epoch {}, and takes no other", epoch.0)));
            }
            if held.is_some() {
                return Ok(());
            }
        }
        if inner.is_leap(epoch) && epoch.0 > told.0.saturating_add(1) {
            return Err(self.refuses(&format!(
                "epoch {} does not follow epoch {}, at which it stands, and no other keeper says that it is so far",
                epoch.0, counter.0
            )));
        }
        // The others are there already, so this share may count, and nobody has ordered yet to keep it.
        if let Some(counts) = inner.file.overwritten_by(epoch).filter(|held| *held == told) {
            return Err(self.refuses(&format!(
                "its share of epoch {} would be overwritten, and another keeper says that it is at that epoch",
                counts.0
            )));
        }
        inner.file.put(Held { epoch, share, check })
    }

    /// Whether a share of `epoch` is taken only if another keeper says that it is so far, so that they have to be asked before.
    pub fn is_leap(&self, epoch: Epoch) -> bool {
        self.inner().is_leap(epoch)
    }

    /// Destroys every share but that of `epoch`, raises the counter, and signs for it at `now` (seconds since 1970). Refused without
    /// the share of `epoch` itself, of the root with the commitment `check`, so that no such order leaves a keeper with nothing: one that
    /// slept is brought its share first.
    pub fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest, now: u64) -> Result<Destroyed> {
        self.destroy(vault, epoch, check, now, |held| held == epoch)
    }

    /// The same, but leaves what it holds of a later epoch: for a message that may arrive when that one is there already.
    pub fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest, now: u64) -> Result<Destroyed> {
        self.destroy(vault, epoch, check, now, |held| held >= epoch)
    }

    fn destroy(&self, vault: &str, epoch: Epoch, check: &Digest, now: u64, stays: impl Fn(Epoch) -> bool) -> Result<Destroyed> {
        self.belongs(vault)?;
        let mut inner = self.inner();
        if epoch < inner.file.counter() {
            return Err(self.refuses(&format!(
                "it stands at epoch {} and never goes back to {}",
                inner.file.counter().0,
                epoch.0
            )));
        }
        match inner.file.of(epoch) {
            Some(held) if held.check == *check => {}
            Some(_) => {
                let why = format!(
                    "its share of epoch {} is not of the root that the order names, and it destroys nothing for it",
                    epoch.0
                );
                return Err(self.refuses(&why));
            }
            None => return Err(self.refuses(&format!("it holds no share of epoch {}, and destroys nothing for it", epoch.0))),
        }
        inner.file.keep(stays, epoch, Some(*check))?;
        Ok(Destroyed::sign(&self.vault, &self.name, epoch.0, now, &self.pair))
    }

    /// Gives out the share of an epoch, if another keeper has just answered and none has said that the epoch is over.
    /// `answers` are to `nonce`, which was made for this one call.
    pub fn share(&self, vault: &str, epoch: Epoch, nonce: &[u8; 16], answers: &[Counter]) -> Result<(Share, Digest)> {
        self.belongs(vault)?;
        if self.compare(nonce, answers)? == 0 {
            return Err(self.refuses("no other keeper says where it stands, so this one may be an old copy or have slept"));
        }
        let inner = self.inner();
        if let Some((name, told)) = inner.told.iter().find(|(_, told)| **told > epoch) {
            return Err(self.refuses(&format!("{name} says that it is at epoch {}, so epoch {} may be over", told.0, epoch.0)));
        }
        let held = inner.file.of(epoch).filter(|_| epoch >= inner.file.counter());
        held.map(|held| (held.share.copy(), held.check))
            .ok_or_else(|| self.refuses(&format!("it holds no share of epoch {}", epoch.0)))
    }

    /// Signs the counter for another keeper that asks.
    pub fn tell_counter(&self, nonce: &[u8; 16]) -> Counter {
        Counter::sign(&self.vault, &self.name, self.inner().file.counter().0, nonce, &self.pair)
    }

    /// Takes the answers of other keepers to `nonce`, which must not be used again. An epoch that one of them says is over is
    /// withheld from now on, until that same one says otherwise. What so many say is over that one of them must be honest, is
    /// destroyed at once: this keeper was restored from an old copy or has slept. Answers how many were good.
    pub fn compare(&self, nonce: &[u8; 16], answers: &[Counter]) -> Result<usize> {
        let mut inner = self.inner();
        let mut good = 0;
        for answer in answers {
            let peer = self.peers.iter().find(|(name, _)| *name == answer.keeper);
            let is_good = answer.vault == self.vault
                && equal(&answer.nonce_bytes(), nonce)
                && peer.is_some_and(|(_, public)| answer.is_signed_by(public));
            if is_good {
                good += 1;
                inner.told.insert(answer.keeper.clone(), Epoch(answer.counter));
            }
        }
        let mut told: Vec<Epoch> = inner.told.values().copied().collect();
        told.sort_unstable_by(|a, b| b.cmp(a));
        let proven = self.quorum.checked_sub(1).and_then(|last| told.get(last)).copied();
        if let Some(proven) = proven.filter(|proven| *proven > inner.file.counter()) {
            // The next root may be on its way already.
            inner.file.keep(|held| held >= proven, proven, None)?;
        }
        Ok(good)
    }

    /// Whether so many others have answered since the start that it would know if it were an old copy of itself, and none of
    /// them says that it is one.
    pub fn is_settled(&self) -> bool {
        let inner = self.inner();
        let newest = inner.file.held().map(|held| held.epoch).max().unwrap_or(Epoch(0)).max(inner.file.counter());
        inner.told.len() >= self.quorum && inner.told() <= newest
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

impl Inner {
    fn told(&self) -> Epoch {
        self.told.values().copied().max().unwrap_or(Epoch(0))
    }

    /// Whether `epoch` lies after the next one. A keeper that was never told of any begins anywhere.
    fn is_leap(&self, epoch: Epoch) -> bool {
        let counter = self.file.counter();
        let is_new = counter == Epoch(0) && self.file.signed().is_none();
        !is_new && epoch.0 > counter.0.saturating_add(1)
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
