//! Recovery codes: the way in of a resident who has no device left that knows her.

use std::sync::Arc;

use usufruct_core::Digest;
use usufruct_core::event::Kind;
use usufruct_core::hash::sha256;
use usufruct_core::time::MINUTE;
use usufruct_store::db::Tx;
use usufruct_store::{invitations, recovery_codes};

use crate::enrol::{code_hash, plain_code};
use crate::erase::plain_event;
use crate::ledger::place;
use crate::{App, Error, OpenSession};

/// How many codes are made at once, and of how many groups of 20 bits.
const CODES: usize = 10;
const GROUPS: usize = 7;
/// How long she has to make a passkey once a code was accepted.
const MAKE_LIFE: i64 = 15 * MINUTE;
/// Reasons of status lines in a footprint.
const CODES_MADE: &str = "recovery-codes-made";
const CODE_USED: &str = "recovery-code-used";

impl App {
    /// Makes ten codes of 140 random bits in place of all earlier ones, for the resident of a fresh session. They are shown once:
    /// the store keeps hashes. So many bits need no slow hash and no count of guesses.
    pub fn make_recovery_codes(&self, session: &OpenSession) -> Result<Vec<String>, Error> {
        self.require_fresh(session)?;
        let (resident, now) = (session.resident, self.now());
        let codes: Vec<String> = (0..CODES).map(|_| self.fresh_code(GROUPS)).collect();
        let hashes: Vec<Digest> = codes.iter().map(|code| recovery_hash(code)).collect();
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("make recovery codes", move |tx| {
            recovery_codes::replace(tx, resident, &hashes, now)?;
            place(tx, &keyring, plain_event(Kind::Status, CODES_MADE, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(codes)
    }

    /// How many unused codes a resident has.
    pub fn recovery_codes_left(&self, resident: u64) -> Result<i64, Error> {
        Ok(self.db.read(|conn| recovery_codes::count(conn, resident))?)
    }

    /// Uses a code up, says so in the footprint, and answers an invitation code to make a passkey with, good for 15 minutes.
    pub fn recover(&self, code: &str) -> Result<String, Error> {
        let (used, now) = (recovery_hash(code), self.now());
        let resident = self.db.read(|conn| recovery_codes::find(conn, &used))?.ok_or_else(bad_code)?;
        let invitation = self.fresh_code(GROUPS);
        let hash = code_hash(&invitation);
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("recover", move |tx| {
            use_up(tx, &used, resident, now)?;
            invitations::insert(tx, &hash, resident, now.plus(MAKE_LIFE))?;
            place(tx, &keyring, plain_event(Kind::Status, CODE_USED, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(invitation)
    }
}

/// Uses up the code of a resident, inside the transaction of what it is good for.
pub(crate) fn use_up(tx: &mut Tx<'_>, code_hash: &Digest, resident: u64, now: usufruct_core::Time) -> Result<(), Error> {
    if recovery_codes::find(tx, code_hash)? == Some(resident) && recovery_codes::redeem(tx, code_hash, now)? {
        Ok(())
    } else {
        Err(bad_code())
    }
}

pub(crate) fn recovery_hash(code: &str) -> Digest {
    sha256(format!("usufruct/recovery/v1\n{}", plain_code(code)).as_bytes())
}

/// The same words whatever is wrong.
pub(crate) fn bad_code() -> Error {
    Error::refused("This recovery code is not valid or was used.", "Type another one of your codes, or go to a counter.")
}
