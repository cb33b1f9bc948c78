//! What somebody outside carries for this house for a while: sealed when it leaves, opened when it comes back, and kept nowhere here.

use usufruct_core::ports::{Rng, random};
use zeroize::Zeroizing;

use super::Vault;
use crate::aead;
use crate::error::{Error, Result};
use crate::tree::Key;

/// Bytes of the salt in front, which no two things share.
const SALT: usize = 24;

impl Vault {
    /// Seals `plain` under a key that the house's session key gives for a fresh salt and for `bound`: what it is for, and whatever whoever
    /// brings it back has to show. Answers the salt and what is sealed, 40 bytes longer than `plain`.
    pub fn seal_carried(&self, bound: &[u8], plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        let salt = random::<SALT>(rng);
        Ok(aead::seal(&self.carried_key(&salt, bound)?, bound, &salt, plain))
    }

    /// What [`Vault::seal_carried`] sealed. [`Error::Unreadable`] when another house or for something else sealed it, or a byte is another.
    pub fn open_carried(&self, bound: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT>().ok_or(Error::Unreadable)?;
        aead::open(&self.carried_key(salt, bound)?, bound, sealed)
    }

    fn carried_key(&self, salt: &[u8; SALT], bound: &[u8]) -> Result<Key> {
        Ok(Key::from_bytes(self.session_mark(&[b"usufruct/carried/v1", salt, bound])?))
    }
}
