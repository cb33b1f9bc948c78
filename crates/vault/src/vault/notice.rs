//! A pseudonym kept for a notice that its service reads later, when the seed behind it may be gone.
//!
//! It is sealed under the key of its sector, so that no row of the store holds it beside anything that leads to the
//! resident, and it ends with the sector like every pseudonym.

use usufruct_core::id::DeletionId;
use usufruct_core::ports::{Rng, random};

use super::Vault;
use crate::aead::{expand, open, seal};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::pseudonym::Subject;
use crate::tree::KeyId;

impl Vault {
    /// The resident as `sector` knows her now, sealed for one notice.
    pub fn seal_subject(&self, sector: u64, keyring: &Keyring, notice: &DeletionId, rng: &dyn Rng) -> Result<Vec<u8>> {
        // Only as far as the house's own key gets: who withdraws does not wait for a second keeper.
        let half = self.sector(sector)?.half(keyring.seed(), keyring.generation(sector));
        let salt: [u8; SALT_LEN] = random(rng);
        let key = expand(&self.key(KeyId::Sector(sector))?, &[LABEL, &salt]);
        Ok(seal(&key, notice.as_str().as_bytes(), &salt, &half))
    }

    /// What [`Vault::seal_subject`] sealed for this notice.
    pub fn open_subject(&self, sector: u64, notice: &DeletionId, sealed: &[u8]) -> Result<Subject> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT_LEN>().ok_or(Error::Unreadable)?;
        let key = expand(&self.key(KeyId::Sector(sector))?, &[LABEL, salt]);
        let plain = open(&key, notice.as_str().as_bytes(), sealed)?;
        let half = plain.as_slice().try_into().map_err(|_| Error::Malformed { what: "a pseudonym" })?;
        self.sector(sector)?.whole(half)
    }
}

const LABEL: &[u8] = b"usufruct/told/v1";
const SALT_LEN: usize = 16;
