//! Keys that are replaced while what they open lives on. The key of a sector is not among them: notices to services are sealed under
//! keys made from it, and another one would orphan every row that services hold.
//!
//! Each is one commit of the tree, and so one epoch: whatever an old copy holds, the old key is gone with the old root.

use usufruct_core::id::BlockId;
use usufruct_core::ports::Rng;

use super::{Vault, Withdrawal};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::seal::Shared;
use crate::tree::{Erased, Key, KeyId, commit_key};

/// A mandate whose key is being replaced: everything lent under it is sealed again, and then [`Vault::commit_rotation`]
/// makes it final. Until then the old copies open; after it the new ones.
pub struct Rotation {
    mandate: u64,
    old: Key,
    new: Key,
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
        self.tree.erase(&[], &[], rng)
    }

    /// Begins to replace the key of a mandate.
    pub fn rotate_mandate(&self, mandate: u64, rng: &dyn Rng) -> Result<Rotation> {
        Ok(Rotation { mandate, old: self.key(KeyId::Mandate(mandate))?, new: Key::random(rng) })
    }

    /// Makes the new key of a mandate final. What was sealed again must be stored by now, next to the old copies.
    pub fn commit_rotation(&self, rotation: Rotation, rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let id = KeyId::Mandate(rotation.mandate);
        if commit_key(id, &self.key(id)?) != commit_key(id, &rotation.old) {
            return Err(Error::Stale);
        }
        let Rotation { new, .. } = rotation;
        self.tree.erase(&[], &[(id, new)], rng)
    }
}

impl Rotation {
    /// A lent block, sealed again for the new key. Nobody sees what is in it.
    pub fn seal_again(&self, keyring: &Keyring, block: &BlockId, sealed: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        let (loan, resident) = (keyring.loan(self.mandate)?, keyring.resident());
        let plain = Shared::of(loan, &self.old).open(resident, self.mandate, block, sealed)?;
        Ok(Shared::of(loan, &self.new).seal(resident, self.mandate, block, &plain, rng))
    }
}
