//! Passkeys of a resident who is signed in: see them, add one, name one, remove one.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_store::passkeys::{self, Passkey};
use usufruct_store::recovery_codes;

use crate::end_delegation::End;
use crate::enrol::insert_passkey;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{is_equal, of_passkey};
use crate::session::{close_where, end_opened_by_passkeys};
use crate::{Actor, App, Credential, CredentialChange, Error, Initiator, OpenSession};

/// Reasons of status lines in a footprint.
pub(crate) const PASSKEY_ADDED: &str = "passkey-added";
const PASSKEY_REMOVED: &str = "passkey-removed";
/// Longest name of a passkey, in characters.
const LONGEST_LABEL: usize = 40;

impl App {
    /// The passkey with a credential id, if this house added it as it stands there.
    pub fn passkey(&self, credential: &[u8]) -> Result<Option<Passkey>, Error> {
        let Some((found, mark)) = self.db.read(|conn| passkeys::find(conn, credential))? else { return Ok(None) };
        let expected = of_passkey(&self.vault, &found.credential, found.resident, &found.passkey)?;
        Ok(is_equal(mark, expected).then_some(found))
    }

    /// The passkeys of a resident, oldest first.
    pub fn passkeys(&self, resident: u64) -> Result<Vec<Passkey>, Error> {
        Ok(self.db.read(|conn| passkeys::of_resident(conn, resident))?)
    }

    /// Adds a passkey to the resident of a fresh session.
    pub fn add_passkey(&self, session: &OpenSession, passkey: &Passkey) -> Result<(), Error> {
        let now = self.now();
        let actor = session.proven(now)?;
        if passkey.resident != session.resident {
            return Err(Error::refused("The passkey was made for somebody else.", "Start again."));
        }
        let (passkey, vault) = (passkey.clone(), Arc::clone(&self.vault));
        let mark = of_passkey(&self.vault, &passkey.credential, passkey.resident, &passkey.passkey)?;
        let (keyring, rng, outbox) = (Arc::new(self.keyring(passkey.resident)?), Arc::clone(&self.rng), self.outbox());
        self.db.transaction("add passkey", move |tx| {
            actor.permit(tx, &vault, now)?;
            insert_passkey(tx, &outbox, &passkey, &mark)?;
            place(tx, &keyring, plain_event(Kind::Status, PASSKEY_ADDED, None, now), rng.as_ref()).map(drop)
        })
    }

    /// Gives a passkey another name, of at most 40 characters.
    pub fn rename_passkey(&self, actor: impl Into<Actor>, credential: &[u8], label: &str) -> Result<(), Error> {
        let (actor, now, vault) = (actor.into(), self.now(), Arc::clone(&self.vault));
        let (credential, label) = (credential.to_vec(), passkey_label(label));
        self.db.transaction("rename passkey", move |tx| {
            actor.permit(tx, &vault, now)?;
            if passkeys::rename(tx, actor.resident, &credential, &label)? { Ok(()) } else { Err(unknown()) }
        })
    }

    /// Removes a passkey of the resident of a fresh session, and ends her other sessions, which may have been opened with it, with what
    /// services hold by a passkey in them and in those that are over. The last one stays unless she has recovery codes.
    pub fn remove_passkey(&self, session: &OpenSession, credential: &[u8]) -> Result<(), Error> {
        let now = self.now();
        let (actor, vault) = (session.proven(now)?, Arc::clone(&self.vault));
        let (resident, own, credential) = (session.resident, session.token_hash, credential.to_vec());
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        let ending = self.ending();
        self.db.transaction("remove passkey", move |tx| {
            actor.permit(tx, &vault, now)?;
            if !passkeys::delete(tx, resident, &credential)? {
                return Err(unknown());
            }
            if passkeys::of_resident(tx, resident)?.is_empty() && recovery_codes::count(tx, resident)? == 0 {
                return Err(Error::refused(
                    "This is your last passkey, and you have no recovery codes.",
                    "Add another device or print recovery codes first.",
                ));
            }
            close_where(tx, &outbox, resident, Initiator::User, |session| session.token_hash != own)?;
            end_opened_by_passkeys(tx, resident, &own)?;
            // Whoever held it may have given herself a delegation.
            ending.end_of(tx, resident, End::Passkey)?;
            outbox.credential_changed(tx, resident, Credential::Passkey, CredentialChange::Revoke)?;
            place(tx, &keyring, plain_event(Kind::Status, PASSKEY_REMOVED, None, now), rng.as_ref()).map(drop)
        })
    }
}

/// A name for a passkey, as it is kept.
pub fn passkey_label(label: &str) -> String {
    label.trim().chars().filter(|c| !c.is_control()).take(LONGEST_LABEL).collect()
}

fn unknown() -> Error {
    Error::Unknown { what: "passkey of yours" }
}
