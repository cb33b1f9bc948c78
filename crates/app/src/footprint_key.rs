//! The footprint key on the resident's own devices: she seals it in her browser, and the store keeps what she sealed.
//!
//! What seals it, a passkey's PRF output or a recovery code, is never sent here. The vault holds a copy of the key all the same: it
//! writes the lines with it and shows them to residents who have no such device.

use std::sync::Arc;

use usufruct_core::Digest;
use usufruct_core::event::Kind;
use usufruct_store::recovery_codes::RecoveryCode;
use usufruct_store::{lines, passkeys, recovery_codes};
use usufruct_vault::FOOTPRINT_KEYS_LEN;
use zeroize::Zeroizing;

use crate::actor::keyring_in;
use crate::erase::plain_event;
use crate::footprint::{OpenedWeeks, opened_weeks};
use crate::ledger::place;
use crate::recover::{CODES, CODES_MADE};
use crate::{App, Error, OpenSession};

/// Reasons of status lines in a footprint.
const KEY_KEPT: &str = "footprint-key-kept";
const KEY_DROPPED: &str = "footprint-key-dropped";
/// Version, nonce of 12 bytes, ciphertext, tag of 16 bytes.
const WRAP_LEN: usize = 1 + 12 + FOOTPRINT_KEYS_LEN + 16;
const WRAP_VERSION: u8 = 1;

/// A resident's footprint key, sealed in her browser for one passkey or one recovery code. Only its form is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap(Vec<u8>);

impl Wrap {
    /// Refuses what has another length or version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() == WRAP_LEN && bytes[0] == WRAP_VERSION {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(Error::refused("This is not a sealed footprint key.", "Load the page again and repeat the step."))
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a resident's passkeys and unused recovery codes can open.
#[derive(Debug, Default)]
pub struct Wraps {
    /// Credential ids and wraps.
    pub passkeys: Vec<(Vec<u8>, Wrap)>,
    /// Hashes of codes and wraps.
    pub codes: Vec<(Digest, Wrap)>,
}

/// A resident's lines as they are stored, for the browser that holds her key.
pub struct SealedFootprint {
    pub lines: Vec<lines::Line>,
    /// What opens delayed lines together with her key.
    pub delay: OpenedWeeks,
    /// How many leaves the public checkpoint covered before the lines were read.
    pub published_size: u64,
}

impl App {
    /// The footprint key from the vault, for the browser of a fresh session to seal.
    pub fn footprint_key(&self, session: &OpenSession) -> Result<Zeroizing<[u8; FOOTPRINT_KEYS_LEN]>, Error> {
        let now = self.now();
        let actor = session.proven(now)?;
        self.db.read(|conn| {
            actor.permit(conn, &self.vault, now)?;
            Ok(keyring_in(conn, &self.vault, session.resident)?.footprint_keys())
        })
    }

    /// The wraps of a resident.
    pub fn footprint_wraps(&self, resident: u64) -> Result<Wraps, Error> {
        let (passkeys, codes) =
            self.db.read(|conn| Ok::<_, Error>((passkeys::wraps(conn, resident)?, recovery_codes::wraps(conn, resident)?)))?;
        Ok(Wraps {
            passkeys: passkeys.into_iter().map(|(credential, wrap)| (credential, Wrap(wrap))).collect(),
            codes: codes.into_iter().map(|(hash, wrap)| (hash, Wrap(wrap))).collect(),
        })
    }

    /// Keeps the wrap for a passkey of the resident of a fresh session, in place of an earlier one. It goes with the passkey.
    pub fn keep_footprint_wrap(&self, session: &OpenSession, credential: &[u8], wrap: &Wrap) -> Result<(), Error> {
        self.put_footprint_wrap(session, credential, Some(wrap.clone()), KEY_KEPT)
    }

    /// Forgets the wrap for a passkey of the resident of a fresh session.
    pub fn drop_footprint_wrap(&self, session: &OpenSession, credential: &[u8]) -> Result<(), Error> {
        self.put_footprint_wrap(session, credential, None, KEY_DROPPED)
    }

    fn put_footprint_wrap(
        &self,
        session: &OpenSession,
        credential: &[u8],
        wrap: Option<Wrap>,
        reason: &'static str,
    ) -> Result<(), Error> {
        let now = self.now();
        let (actor, vault) = (session.proven(now)?, Arc::clone(&self.vault));
        let (resident, credential) = (session.resident, credential.to_vec());
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("put footprint wrap", move |tx| {
            actor.permit(tx, &vault, now)?;
            if !passkeys::put_wrap(tx, resident, &credential, wrap.as_ref().map(Wrap::bytes))? {
                return Err(Error::Unknown { what: "passkey of yours" });
            }
            place(tx, &keyring, plain_event(Kind::Status, reason, None, now), rng.as_ref()).map(drop)
        })
    }

    /// Takes ten codes that the browser of a fresh session made, in place of all earlier ones: the hash of the part of each that
    /// signs in, and the footprint key sealed under the code. The codes themselves are never seen here.
    pub fn take_recovery_codes(&self, session: &OpenSession, codes: &[(Digest, Wrap)]) -> Result<(), Error> {
        let now = self.now();
        let (actor, vault) = (session.proven(now)?, Arc::clone(&self.vault));
        let mut hashes: Vec<Digest> = codes.iter().map(|(hash, _)| *hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.len() != CODES || codes.len() != CODES {
            return Err(Error::refused("Recovery codes are made by ten.", "Load the page again and repeat the step."));
        }
        let resident = session.resident;
        let codes: Vec<RecoveryCode> =
            codes.iter().map(|(hash, wrap)| self.kept_code(resident, *hash, Some(wrap.0.clone()))).collect::<Result<_, _>>()?;
        let (keyring, rng) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng));
        self.db.transaction("take recovery codes", move |tx| {
            actor.permit(tx, &vault, now)?;
            recovery_codes::replace(tx, resident, &codes, now)?;
            place(tx, &keyring, plain_event(Kind::Status, CODES_MADE, None, now), rng.as_ref()).map(drop)
        })
    }

    /// The lines of a resident as they are stored, oldest first. Her key would open what they are about too, so of a matter that is closed to her
    /// nothing is handed out, sealed or not.
    pub fn sealed_footprint(&self, resident: u64) -> Result<SealedFootprint, Error> {
        let (published_size, now) = (self.published_size(), self.now());
        let delay = opened_weeks(&self.keyring(resident)?, now);
        Ok(SealedFootprint { lines: self.lines_for_her(resident)?, delay, published_size })
    }
}
