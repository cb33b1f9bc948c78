//! Recovery codes: the way in of a resident who has no device left that knows her.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_core::hash::{hmac_sha256, sha256};
use usufruct_core::time::MINUTE;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::recovery_codes::RecoveryCode;
use usufruct_store::{invitations, recovery_codes};
use usufruct_vault::Vault;
use zeroize::Zeroizing;

use crate::enrol::{ALPHABET, plain_code};
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{find_recovery_code, of_recovery_code};
use crate::{App, Error, OpenSession};

/// How many codes are made at once, and of how many groups of 20 bits.
pub(crate) const CODES: usize = 10;
const GROUPS: usize = 7;
/// Letters of a code that her browser made, 160 bits. A code that was made here has 28, 140 bits.
const OWN_CODE: usize = 32;
/// How long she has to make a passkey once a code was accepted.
const MAKE_LIFE: i64 = 15 * MINUTE;
/// Reasons of status lines in a footprint.
pub(crate) const CODES_MADE: &str = "recovery-codes-made";
const CODE_USED: &str = "recovery-code-used";

impl App {
    /// Makes ten codes of 140 random bits in place of all earlier ones, for the resident of a fresh session whose browser cannot make
    /// them. They are shown once: the store keeps hashes. So many bits need no slow hash and no count of guesses.
    pub fn make_recovery_codes(&self, session: &OpenSession) -> Result<Vec<String>, Error> {
        let now = self.now();
        let (actor, resident, vault) = (session.proven(now)?, session.resident, Arc::clone(&self.vault));
        let codes: Vec<String> = (0..CODES).map(|_| self.fresh_code(GROUPS)).collect();
        let kept: Vec<RecoveryCode> =
            codes.iter().map(|code| self.kept_code(resident, recovery_hash(code), None)).collect::<Result<_, _>>()?;
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("make recovery codes", move |tx| {
            actor.permit(tx, &vault, now)?;
            recovery_codes::replace(tx, resident, &kept, now)?;
            place(tx, &keyring, plain_event(Kind::Status, CODES_MADE, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(codes)
    }

    /// A recovery code as it is kept, with its mark.
    pub(crate) fn kept_code(&self, resident: u64, hash: Digest, wrap: Option<Vec<u8>>) -> Result<RecoveryCode, Error> {
        Ok(RecoveryCode { hash, wrap, mark: of_recovery_code(&self.vault, &hash, resident)? })
    }

    /// The resident an unused code is of.
    pub(crate) fn holder_of_code(&self, code_hash: &Digest) -> Result<u64, Error> {
        self.db.read(|conn| find_recovery_code(conn, &self.vault, code_hash))?.ok_or_else(bad_code)
    }

    /// How many unused codes a resident has.
    pub fn recovery_codes_left(&self, resident: u64) -> Result<i64, Error> {
        Ok(self.db.read(|conn| recovery_codes::count(conn, resident))?)
    }

    /// Uses a code up, says so in the footprint, and answers an invitation code to make a passkey with, good for 15 minutes.
    pub fn recover(&self, code: &str) -> Result<String, Error> {
        let (used, now) = (recovery_hash(code), self.now());
        let resident = self.holder_of_code(&used)?;
        let code = self.fresh_code(GROUPS);
        let invitation = self.invitation(&code, resident, now.plus(MAKE_LIFE))?;
        let (keyring, rng, vault) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), Arc::clone(&self.vault));
        self.db.transaction("recover", move |tx| {
            use_up(tx, &vault, &used, resident, now)?;
            invitations::insert(tx, &invitation)?;
            place(tx, &keyring, plain_event(Kind::Status, CODE_USED, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(code)
    }
}

/// Uses up the code of a resident, inside the transaction of what it is good for.
pub(crate) fn use_up(tx: &mut Tx<'_>, vault: &Vault, code_hash: &Digest, resident: u64, now: Time) -> Result<(), Error> {
    if find_recovery_code(tx, vault, code_hash)? == Some(resident) && recovery_codes::redeem(tx, code_hash, now)? {
        Ok(())
    } else {
        Err(bad_code())
    }
}

/// What is kept of a code. Of one that her browser made that is the hash of a part, which the browser sends in its place: what the
/// code wraps cannot be opened with the part. Without JavaScript the whole code comes, and the part is taken here.
pub(crate) fn recovery_hash(code: &str) -> Digest {
    let code = Zeroizing::new(plain_code(code));
    let part = if code.len() == OWN_CODE { sign_in_part(&code) } else { code };
    sha256(format!("usufruct/recovery/v1\n{}", *part).as_bytes())
}

/// The first 28 letters of HKDF-SHA-256 (RFC 5869) of the code, without salt.
fn sign_in_part(code: &str) -> Zeroizing<String> {
    let extracted = Zeroizing::new(hmac_sha256(&[0; 32], &[code.as_bytes()]));
    let expanded = Zeroizing::new(hmac_sha256(&*extracted, &[b"usufruct/recovery/sign-in/v1", &[1]]));
    Zeroizing::new(expanded[..GROUPS * 4].iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect())
}

/// The same words whatever is wrong.
pub(crate) fn bad_code() -> Error {
    Error::refused("This recovery code is not valid or was used.", "Type another one of your codes, or go to a counter.")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn codes_of_her_browser_are_kept_as_the_vectors_say() {
        let vectors: Value = serde_json::from_str(include_str!("../../../vectors/vault/footprint-key.json")).unwrap();
        let codes = vectors["codes"].as_array().unwrap();
        assert!(codes.len() > 2);
        for vector in codes {
            let [code, part, hash] = ["code", "sign_in_part", "hash"].map(|field| vector[field].as_str().unwrap());
            assert_eq!(*sign_in_part(&plain_code(code)), plain_code(part));
            for typed in [code.to_owned(), code.to_lowercase().replace('-', " "), part.to_owned()] {
                assert_eq!(recovery_hash(&typed).to_string(), hash);
            }
            assert_ne!(recovery_hash(&code[..code.len() - 1]).to_string(), hash);
        }
    }
}
