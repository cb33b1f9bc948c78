//! A pseudonym, and what is said of it, kept for a service that reads it later, when the seed behind it may be gone.
//!
//! It is sealed under the key of its sector, so that no row of the store holds it beside anything that leads to the
//! resident, and it ends with the sector like every pseudonym.

use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use super::Vault;
use crate::aead::{expand, open, pad, seal, unpad};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::pseudonym::Subject;
use crate::tree::KeyId;

impl Vault {
    /// The resident as `sector` knows her now, sealed under the name of the one notice or message that is about her.
    pub fn seal_subject(&self, sector: u64, keyring: &Keyring, name: &str, rng: &dyn Rng) -> Result<Vec<u8>> {
        // Only as far as the house's own key gets: who withdraws does not wait for a second keeper.
        let half = self.sector(sector)?.half(keyring.seed(), keyring.generation(sector));
        self.seal_for(sector, LABEL, name, &half, rng)
    }

    /// What [`Vault::seal_subject`] sealed under this name.
    pub fn open_subject(&self, sector: u64, name: &str, sealed: &[u8]) -> Result<Subject> {
        let plain = self.open_for(sector, LABEL, name, sealed)?;
        let half = plain.as_slice().try_into().map_err(|_| Error::Malformed { what: "a pseudonym" })?;
        self.sector(sector)?.whole(half)
    }

    /// Something for the services of `sector`, sealed under the name of the one row that holds it. Its length does not tell what it is.
    pub fn seal_message(&self, sector: u64, name: &str, plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        self.seal_for(sector, MESSAGE_LABEL, name, &pad(plain, MESSAGE_STEP), rng)
    }

    /// What [`Vault::seal_message`] sealed under this name.
    pub fn open_message(&self, sector: u64, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        unpad(&self.open_for(sector, MESSAGE_LABEL, name, sealed)?)
    }

    fn seal_for(&self, sector: u64, label: &[u8], name: &str, plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        let salt: [u8; SALT_LEN] = random(rng);
        let key = expand(&self.key(KeyId::Sector(sector))?, &[label, &salt]);
        Ok(seal(&key, name.as_bytes(), &salt, plain))
    }

    fn open_for(&self, sector: u64, label: &[u8], name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT_LEN>().ok_or(Error::Unreadable)?;
        let key = expand(&self.key(KeyId::Sector(sector))?, &[label, salt]);
        open(&key, name.as_bytes(), sealed)
    }
}

const LABEL: &[u8] = b"usufruct/told/v1";
const MESSAGE_LABEL: &[u8] = b"usufruct/message/v1";
const MESSAGE_STEP: usize = 512;
const SALT_LEN: usize = 16;
