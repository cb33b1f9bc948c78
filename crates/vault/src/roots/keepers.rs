//! Class E3: the root in shares with several keepers, of whom some are enough to bring it back and one less is not.
//!
//! Each epoch has a polynomial of its own, so shares of two epochs never fit together. A root counts once `threshold` keepers
//! hold their share of it, and is gone once so few hold one that they cannot bring it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use usufruct_core::Digest;
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;

use super::{Root, RootSlots};
use crate::error::{Error, Result};
use crate::keeper::shamir::{at, join, split};
use crate::keeper::{Share, Standing, commit_root};
use crate::scrub::scrub;
use crate::tree::{Epoch, SlotClass};

/// The way to one keeper. Every call blocks, with a limit of its own in time, and may be repeated.
pub trait Link: Send + Sync {
    /// Where it stands.
    fn standing(&self) -> Result<Standing>;

    /// [`crate::keeper::Keeper::prepare`].
    fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()>;

    /// [`crate::keeper::Keeper::keep_only`].
    fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed>;

    /// [`crate::keeper::Keeper::keep_from`].
    fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed>;

    /// [`crate::keeper::Keeper::share`].
    fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)>;
}

impl<L: Link + ?Sized> Link for Arc<L> {
    fn standing(&self) -> Result<Standing> {
        (**self).standing()
    }

    fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        (**self).prepare(vault, epoch, share, check)
    }

    fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        (**self).keep_only(vault, epoch, check)
    }

    fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        (**self).keep_from(vault, epoch, check)
    }

    fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)> {
        (**self).share(vault, epoch)
    }
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn standing(&self) -> Result<Standing> {
        (**self).standing()
    }

    fn prepare(&self, vault: &str, epoch: Epoch, share: Share, check: Digest) -> Result<()> {
        (**self).prepare(vault, epoch, share, check)
    }

    fn keep_only(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        (**self).keep_only(vault, epoch, check)
    }

    fn keep_from(&self, vault: &str, epoch: Epoch, check: &Digest) -> Result<Destroyed> {
        (**self).keep_from(vault, epoch, check)
    }

    fn share(&self, vault: &str, epoch: Epoch) -> Result<(Share, Digest)> {
        (**self).share(vault, epoch)
    }
}

/// The keepers of a city's root.
pub struct KeeperRoots<L> {
    vault: String,
    /// So many bring the root back.
    threshold: usize,
    /// In the order of their shares: keeper i holds the one at i + 1.
    keepers: Vec<Seat<L>>,
    known: Mutex<Known>,
}

/// One keeper as the city knows it.
pub struct Seat<L> {
    pub name: String,
    /// Its public key, base64url.
    pub public: String,
    pub link: L,
}

/// What this process knows.
#[derive(Default)]
struct Known {
    /// What makes all shares of a root, the newest root first. Once it is known which one counts, that one alone.
    roots: Vec<Points>,
    /// The epoch whose root was put by this process, if no keeper can hold one of a later epoch.
    put: Option<Epoch>,
    /// What keepers have signed last, by name.
    signed: BTreeMap<String, Destroyed>,
}

/// Shares of a root, enough to make all others; overwritten when dropped.
struct Points {
    epoch: Epoch,
    check: Digest,
    shares: Vec<Share>,
}

impl Points {
    fn copy(&self) -> Self {
        Self { epoch: self.epoch, check: self.check, shares: self.shares.iter().map(Share::copy).collect() }
    }
}

impl<L: Link> KeeperRoots<L> {
    /// The keepers of the tree `vault`, in an order that never changes. More than half of them must be needed, so that no two
    /// roots can both be had.
    pub fn new(vault: &str, threshold: usize, keepers: Vec<Seat<L>>) -> Result<Self> {
        if threshold < 2 || 2 * threshold <= keepers.len() || threshold > keepers.len() || keepers.len() > 255 {
            return Err(Error::Malformed { what: "the number of keepers and how many are needed" });
        }
        Ok(Self { vault: vault.to_owned(), threshold, keepers, known: Mutex::default() })
    }

    /// Whether a root was ever put here: a keeper has destroyed one, or enough hold one. Shares that too few hold are what is left
    /// of a founding that failed. Without an answer from all keepers, no is never the answer.
    pub fn is_founded(&self) -> Result<bool> {
        let standings = self.ask(|_, link| link.standing());
        let answered: Vec<&Standing> = standings.iter().flatten().collect();
        let holders = |epoch| answered.iter().filter(|other| other.held.iter().any(|(held, _)| *held == epoch)).count();
        let counts = |standing: &&Standing| {
            standing.counter > Epoch(0) || standing.held.iter().any(|(epoch, _)| holders(*epoch) >= self.threshold)
        };
        match answered.iter().any(counts) {
            true => Ok(true),
            false if answered.len() == self.keepers.len() => Ok(false),
            false => Err(self.too_few("answered", self.keepers.len(), &standings)),
        }
    }

    /// Gives every keeper that can be reached and lacks it a share of the newest root, on the same polynomial: one that slept,
    /// or one that took another's place. Those that have not signed for the epoch are asked to. Answers how many hold a share now.
    ///
    /// A new root may be put meanwhile, and what is said here may arrive after it. So nothing of a later epoch is touched.
    pub fn heal(&self) -> Result<usize> {
        self.bring_back().map(|(count, _)| count)
    }

    /// The same, and who says that it is at an epoch that this process never put: it lies, or somebody else speaks for the city.
    fn bring_back(&self) -> Result<(usize, Vec<(String, Epoch)>)> {
        let (points, signed) = {
            let known = self.known();
            let Some(points) = known.roots.first().map(Points::copy) else { return Ok((0, Vec::new())) };
            let signed: BTreeSet<String> = known.signers(points.epoch).map(|signed| signed.keeper.clone()).collect();
            (points, signed)
        };
        let epoch = points.epoch;
        let counters = Mutex::new(BTreeMap::new());
        let healed = self.ask(|number, link| {
            let standing = link.standing()?;
            counters.lock().unwrap_or_else(PoisonError::into_inner).insert(number, standing.counter);
            // A call that was given up may have left a share of a root that never counted.
            let is_missing = !standing.held.contains(&(epoch, points.check));
            if is_missing {
                self.give(number, link, &points)?;
            }
            // One that has the new share may still have slept through the end of the old one, or its answer may have been lost.
            let is_owed = is_missing || standing.counter < epoch || !signed.contains(&self.keepers[number].name);
            is_owed.then(|| self.signed(number, epoch, link.keep_from(&self.vault, epoch, &points.check)?)).transpose()
        });
        let mut known = self.known();
        let count = healed.iter().filter(|outcome| outcome.is_ok()).count();
        for late in healed.into_iter().flatten().flatten() {
            if known.signed.get(&late.keeper).is_none_or(|last| last.epoch < late.epoch) {
                known.signed.insert(late.keeper.clone(), late);
            }
        }
        // An erasure may have begun meanwhile.
        let newest = known.roots.first().map(|points| points.epoch).max(known.put).unwrap_or(epoch);
        let counters = counters.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        let ahead = counters.filter(|(_, counter)| *counter > newest);
        Ok((count, ahead.map(|(number, counter)| (self.keepers[number].name.clone(), counter)).collect()))
    }

    /// Brings a keeper its share of a root, on the same polynomials as those of the others.
    fn give(&self, number: usize, link: &L, points: &Points) -> Result<()> {
        link.prepare(&self.vault, points.epoch, at(&points.shares, place(number)), points.check)
    }

    /// What a keeper answered when it was told to destroy what is older than `epoch`, if that is what it signed.
    fn signed(&self, number: usize, epoch: Epoch, signed: Destroyed) -> Result<Destroyed> {
        let seat = &self.keepers[number];
        let is_right = signed.vault == self.vault
            && signed.keeper == seat.name
            && signed.epoch == epoch.0
            && signed.is_signed_by(&seat.public);
        let why = || "what it signed is not what was asked, or not by its key".to_owned();
        is_right.then_some(signed).ok_or_else(|| Error::Keeper { name: seat.name.clone(), why: why() })
    }

    /// Asks all keepers at once.
    fn ask<T: Send>(&self, work: impl Fn(usize, &L) -> Result<T> + Sync) -> Vec<Result<T>> {
        let lost = |name: &str| Error::Keeper { name: name.to_owned(), why: "the call ended without an answer".to_owned() };
        thread::scope(|scope| {
            let work = &work;
            let calls: Vec<_> = self
                .keepers
                .iter()
                .enumerate()
                .map(|(number, seat)| scope.spawn(move || scrubbed(|| work(number, &seat.link))))
                .collect();
            calls
                .into_iter()
                .zip(&self.keepers)
                .map(|(call, seat)| call.join().unwrap_or_else(|_| Err(lost(&seat.name))))
                .collect()
        })
    }

    fn too_few<T>(&self, what: &'static str, needed: usize, outcomes: &[Result<T>]) -> Error {
        let failed = self.keepers.iter().zip(outcomes).filter_map(|(seat, outcome)| Some((seat, outcome.as_ref().err()?)));
        let others: Vec<String> = failed.map(|(seat, error)| format!("{}: {error}", seat.name)).collect();
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        Error::TooFewKeepers { done, needed, what, others: others.join("; ") }
    }

    /// The root of an epoch, if enough keepers give shares that fit its commitment. Keepers whose share does not fit are left out.
    fn root(&self, epoch: Epoch) -> Result<(Root, Points)> {
        // What a thread answers is moved about; each share stays in the place that is overwritten.
        let outcomes = self.ask(|_, link| link.share(&self.vault, epoch).map(|(share, check)| (Box::new(share), check)));
        let shares: Vec<(usize, &Share, Digest)> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(number, outcome)| outcome.as_ref().ok().map(|(share, check)| (number, &**share, *check)))
            .filter(|(number, share, _)| share.x == place(*number))
            .collect();
        for chosen in choices(shares.len(), self.threshold) {
            let points: Vec<Share> = chosen.iter().map(|number| shares[*number].1.copy()).collect();
            let secret = join(&points);
            let check = commit_root(&self.vault, epoch, &secret);
            if chosen.iter().all(|number| shares[*number].2 == check) {
                return Ok((Root { epoch, secret }, Points { epoch, check, shares: points }));
            }
        }
        match shares.len() >= self.threshold {
            true => Err(Error::Damaged { what: "the shares of the keepers do not fit together" }),
            false => Err(self.too_few("gave their share of the root", self.threshold, &outcomes)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Link> RootSlots for KeeperRoots<L> {
    fn class(&self) -> SlotClass {
        SlotClass::E3
    }

    /// Every root that can be had now. A newer one that too few hold is none: it never counted.
    fn roots(&self) -> Result<Vec<Root>> {
        let standings = self.ask(|_, link| link.standing());
        let mut epochs: Vec<Epoch> = standings
            .iter()
            .filter_map(|standing| standing.as_ref().ok())
            // More than two no keeper holds, and each costs a call to all of them.
            .flat_map(|standing| standing.held.iter().rev().take(2).map(|(epoch, _)| *epoch))
            .collect();
        epochs.sort_unstable();
        epochs.dedup();
        let (mut roots, mut found, mut last) = (Vec::new(), Vec::new(), None);
        for epoch in epochs.into_iter().rev() {
            match self.root(epoch) {
                Ok((root, points)) => {
                    roots.push(root);
                    found.push(points);
                }
                // Of an epoch that one keeper made up there is nothing to say, so the oldest one is told of.
                Err(error) => last = Some(error),
            }
        }
        match roots.is_empty() {
            true => Err(last.unwrap_or_else(|| self.too_few("answered", self.threshold, &standings))),
            false => {
                self.known().roots = found;
                Ok(roots)
            }
        }
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        let mut shares = split(&root.secret, self.threshold as u8, self.keepers.len() as u8, rng);
        let check = commit_root(&self.vault, root.epoch, &root.secret);
        let before = {
            let mut known = self.known();
            known.put = None;
            known.roots.first().filter(|points| points.epoch < root.epoch).map(Points::copy)
        };
        let outcomes = self.ask(|number, link| {
            let give = || link.prepare(&self.vault, root.epoch, shares[number].copy(), check);
            give().or_else(|refusal| {
                // One that slept does not take the next before it has the one that counts.
                let Some(before) = &before else { return Err(refusal) };
                let brought = self.give(number, link, before);
                match brought.and_then(|()| link.keep_from(&self.vault, before.epoch, &before.check)) {
                    Ok(_) => give(),
                    Err(_) => Err(refusal),
                }
            })
        });
        if outcomes.iter().filter(|outcome| outcome.is_ok()).count() < self.threshold {
            return Err(self.too_few("took their share of the new root", self.threshold, &outcomes));
        }
        let mut known = self.known();
        shares.truncate(self.threshold);
        known.roots.retain(|points| points.epoch != root.epoch);
        known.roots.insert(0, Points { epoch: root.epoch, check, shares });
        known.put = Some(root.epoch);
        Ok(())
    }

    /// Returns once so many keepers have signed that they hold nothing else that the rest cannot bring another root back.
    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        // Once the next root is put none of a later epoch can be there, so nothing newer has to go. What does not ask for that
        // does no harm if it arrives late, when the root after this one is there.
        let (is_put, points) = {
            let mut known = self.known();
            // What has to go is brought back to nobody.
            known.roots.retain(|points| points.epoch == epoch);
            (known.put == Some(epoch), known.roots.first().map(Points::copy))
        };
        // The order names the root, so whoever has not brought it back has to do so first.
        let points = points.map_or_else(|| self.root(epoch).map(|(_, points)| points), Ok)?;
        let order = |link: &L| match is_put {
            true => link.keep_from(&self.vault, epoch, &points.check),
            false => link.keep_only(&self.vault, epoch, &points.check),
        };
        let outcomes = self.ask(|number, link| {
            let signed = match order(link) {
                // One that slept has no share of this root, and destroys nothing before it has one.
                Err(refusal) => match self.give(number, link, &points) {
                    Ok(()) => order(link)?,
                    Err(_) => return Err(refusal),
                },
                Ok(signed) => signed,
            };
            self.signed(number, epoch, signed)
        });
        let needed = self.keepers.len() - self.threshold + 1;
        if outcomes.iter().filter(|outcome| outcome.is_ok()).count() < needed {
            return Err(self.too_few("have destroyed their share of the old root", needed, &outcomes));
        }
        let mut known = self.known();
        known.signed = outcomes.into_iter().flatten().map(|signed| (signed.keeper.clone(), signed)).collect();
        Ok(())
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        let needed = self.keepers.len() - self.threshold + 1;
        if self.known().signers(epoch).count() < needed {
            self.keep_only(epoch)?;
        }
        Ok(self.known().signers(epoch).cloned().collect())
    }

    fn heal(&self) -> Result<()> {
        let (_, ahead) = self.bring_back()?;
        match ahead.first() {
            None => Ok(()),
            Some((name, epoch)) => Err(Error::Ahead { name: name.clone(), epoch: epoch.0 }),
        }
    }
}

impl Known {
    /// What was signed about this epoch, by name.
    fn signers(&self, epoch: Epoch) -> impl Iterator<Item = &Destroyed> {
        self.signed.values().filter(move |signed| signed.epoch == epoch.0)
    }
}

/// Does something with shares on a thread that ends with it. Its stack is given to the next thread as it was left.
fn scrubbed<T>(work: impl FnOnce() -> T) -> T {
    let outcome = work();
    scrub();
    outcome
}

/// Where the share of a keeper lies.
fn place(number: usize) -> u8 {
    // INVARIANT: there are at most 255 keepers.
    u8::try_from(number + 1).expect("there are at most 255 keepers")
}

/// All ways to take `count` of the first `from` numbers, one after another: of many keepers there are more ways than memory holds.
pub(crate) fn choices(from: usize, count: usize) -> impl Iterator<Item = Vec<usize>> {
    let mut next = (count <= from).then(|| (0..count).collect::<Vec<usize>>());
    std::iter::from_fn(move || {
        let now = next.take()?;
        // The lowest that can move up without meeting the one above it does; those below it begin anew.
        let moving = (0..count).find(|at| now[*at] + 1 < now.get(at + 1).copied().unwrap_or(from));
        next = moving.map(|at| (0..at).chain([now[at] + 1]).chain(now[at + 1..].iter().copied()).collect());
        Some(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_comes_once() {
        for from in 0..8 {
            for count in 0..=from + 1 {
                let all: Vec<Vec<usize>> = choices(from, count).collect();
                let expected = (0..1_usize << from).filter(|chosen| chosen.count_ones() as usize == count).count();
                assert_eq!(all.len(), expected, "{count} of {from}");
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected);
                assert!(all.iter().all(|chosen| chosen.is_sorted_by(|a, b| a < b) && chosen.iter().all(|number| *number < from)));
            }
        }
    }

    #[test]
    fn many_keepers_are_no_burden() {
        assert_eq!(choices(255, 128).next(), Some((0..128).collect()));
    }
}
