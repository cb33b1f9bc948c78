//! Keys that are replaced while what they open lives on. The key of a sector is not among them: notices to services are sealed under
//! keys made from it, and another one would orphan every row that services hold.
//!
//! Each is one commit of the tree, and so one epoch: whatever an old copy holds, the old key is gone with the old root.

use usufruct_core::Digest;
use usufruct_core::id::BlockId;
use usufruct_core::ports::Rng;

use super::month::months_of;
use super::{Vault, Withdrawal};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::seal::Shared;
use crate::tree::{Erased, KeyId, commit_key};

/// What became of a copy on loan when it was to be sealed again for the key that is to come.
pub enum Again {
    /// It is sealed for that key already.
    Already,
    /// It opens under neither key, so nobody loses anything with the old one.
    Closed,
    /// To be stored in the place of the old copy.
    Sealed(Vec<u8>),
}

impl Vault {
    /// Stages a new key for a resident under which everything she lends stays lent.
    pub fn rotate_resident(&self, keyring: Keyring, rng: &dyn Rng) -> Result<Withdrawal> {
        self.withdraw(keyring, &[], rng)
    }

    /// Puts a fresh root in the place of the present one, and destroys no key: what anybody holds of the old root fits nothing
    /// any more.
    pub fn rotate_root(&self, rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        self.destroy(&[], &[], rng)
    }

    /// Puts the key that is to follow that of a mandate beside it, unless it is there. From then on everything is sealed under the
    /// new one, and both open. Answers its public commitment.
    pub fn stage_rotation(&self, mandate: u64, rng: &dyn Rng) -> Result<Digest> {
        let _erasing = self.erasing();
        self.key(KeyId::Mandate(mandate))?;
        self.ensure(KeyId::NextMandate(mandate), rng)
    }

    /// A lent block, sealed again for the key that is staged. Nobody sees what is in it.
    pub fn seal_again(&self, keyring: &Keyring, mandate: u64, block: &BlockId, sealed: &[u8], rng: &dyn Rng) -> Result<Again> {
        let (loan, resident) = (keyring.loan(mandate)?, keyring.resident());
        let next = Shared::of(loan, &self.key(KeyId::NextMandate(mandate))?);
        match next.open(resident, mandate, block, sealed) {
            Err(Error::Unreadable) => {}
            opened => return opened.map(|_| Again::Already),
        }
        match Shared::of(loan, &self.key(KeyId::Mandate(mandate))?).open(resident, mandate, block, sealed) {
            Err(Error::Unreadable) => Ok(Again::Closed),
            opened => Ok(Again::Sealed(next.seal(resident, mandate, block, &opened?, rng))),
        }
    }

    /// Puts the staged key of a mandate in the place of its own, which is destroyed with those of its months, all in one epoch. Nothing that
    /// was lent or deposited under the mandate opens any more, and the mandate goes on.
    pub fn empty_mandate(&self, mandate: u64, months: &[u16], rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let (own, staged) = (KeyId::Mandate(mandate), KeyId::NextMandate(mandate));
        let next = self.key(staged)?;
        let stays = commit_key(own, &next);
        let gone: Vec<KeyId> = months_of(mandate, months).chain([staged]).collect();
        let mut erased = self.destroy(&gone, &[(own, next)], rng)?;
        erased.handles.retain(|handle| *handle != stays);
        Ok(erased)
    }

    /// Puts the staged key of a mandate in the place of its own, which is destroyed. Every copy on loan must be sealed for it by now.
    pub fn commit_rotation(&self, mandate: u64, rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let (own, staged) = (KeyId::Mandate(mandate), KeyId::NextMandate(mandate));
        let next = self.key(staged)?;
        let stays = commit_key(own, &next);
        let mut erased = self.destroy(&[staged], &[(own, next)], rng)?;
        erased.handles.retain(|handle| *handle != stays);
        Ok(erased)
    }
}
