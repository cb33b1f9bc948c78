//! Destroying keys: withdrawal, erasure of a resident, sunset of a mandate, end of a sector.
//!
//! A withdrawal touches two stores, so it has two steps. [`Vault::withdraw`] stages: it seals the keyring without the loan
//! under a new key that is nowhere yet. The caller stores that keyring *next to* the old one. [`Vault::commit`] puts the
//! new key in the place of the old and destroys the root. Then the caller deletes the old row.
//!
//! - Crash before the commit: the old key lives, the old keyring opens, the new one does not. Nothing was withdrawn; the
//!   job runs again from the start and overwrites the new row.
//! - Crash after the commit: the new keyring opens, the old one never again. The job runs again from the start too: it
//!   finds no loan to end, replaces the key once more, and so gets roots for its certificate; then it deletes the old rows.
//!
//! [`Vault::keyring`] takes both rows, newest first, and so serves reads in every state.

use super::Vault;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::tree::{Erased, Key, KeyId, commit_key};
use usufruct_core::Digest;
use usufruct_core::ports::Rng;

/// A withdrawal that is staged: it takes effect with [`Vault::commit`], and not at all if it is dropped.
pub struct Withdrawal {
    resident: u64,
    ended: usize,
    sealed: Vec<u8>,
    key: Key,
    /// Commitment of the key it replaces. Another withdrawal in between would be undone by this one.
    replaces: Digest,
}

impl Vault {
    /// Stages the withdrawal of everything lent under `mandates`. Other loans stay readable. A mandate nothing is lent under
    /// is no mistake: the key is replaced all the same ([`Withdrawal::ended`] tells).
    pub fn withdraw(&self, mut keyring: Keyring, mandates: &[u64], rng: &dyn Rng) -> Result<Withdrawal> {
        self.current_key(&keyring)?;
        let ended = mandates.iter().filter(|mandate| keyring.withdraw(**mandate)).count();
        let key = Key::random(rng);
        let sealed = keyring.seal(&key, rng);
        Ok(Withdrawal { resident: keyring.resident(), ended, sealed, key, replaces: keyring.opened_with() })
    }

    /// Makes a staged withdrawal final. Its keyring must be stored by now.
    pub fn commit(&self, withdrawal: Withdrawal, rng: &dyn Rng) -> Result<Erased> {
        self.commit_many(vec![withdrawal], rng)
    }

    /// Makes staged withdrawals final, all in one epoch, at most one per resident. Their keyrings must be stored by now.
    pub fn commit_many(&self, withdrawals: Vec<Withdrawal>, rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let mut replace = Vec::with_capacity(withdrawals.len());
        for withdrawal in withdrawals {
            let id = KeyId::Resident(withdrawal.resident);
            if commit_key(id, &self.key(id)?) != withdrawal.replaces {
                return Err(Error::Stale);
            }
            replace.push((id, withdrawal.key));
        }
        self.destroy(&[], &replace, rng)
    }

    /// Destroys residents' keys, all in one epoch, and with them their keyrings, all their data, their footprint lines and the
    /// way back from their pseudonyms.
    pub fn erase_residents(&self, residents: &[u64], rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        let ids: Vec<KeyId> = residents.iter().copied().map(KeyId::Resident).collect();
        self.trace_canaries(residents)?;
        let erased = self.destroy(&ids, &[], rng)?;
        self.canaries_are_erased(residents);
        Ok(erased)
    }

    /// Destroys one resident's key.
    pub fn erase_resident(&self, resident: u64, rng: &dyn Rng) -> Result<Erased> {
        self.erase_residents(&[resident], rng)
    }

    /// Destroys the house's key of a sector, and what it noted of the second one. Its pseudonyms are noise to everybody from now on.
    pub fn dissolve_sector(&self, sector: u64, rng: &dyn Rng) -> Result<Erased> {
        let _erasing = self.erasing();
        // Before the old root goes, which may take a while: nobody is to be known by it meanwhile.
        self.destroy_and(&[KeyId::Sector(sector), KeyId::Second(sector)], &[], &|| self.forget_sector(sector), rng)
    }

    /// Has the second keeper destroy its key of a sector. One of the two is enough; the other follows for good measure.
    pub fn dissolve_second(&self, sector: u64) -> Result<()> {
        self.hand()?.destroy(sector)
    }
}

impl Withdrawal {
    /// The number of the resident.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// How many loans it ends.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// The sealed keyring without the loans, to be stored before the commit.
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }
}
