//! Enrol residents: keys first, then the sealed data, then the row that makes them known.

use std::sync::Arc;

use usufruct_core::event::Kind;
use usufruct_core::hash::sha256;
use usufruct_core::id::BlockId;
use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::invitations::Invitation;
use usufruct_store::passkeys::Passkey;
use usufruct_store::{blocks, cards, certificate_cards, invitations, keyrings, passkeys, residents, sessions};
use zeroize::Zeroizing;

use crate::counter::{self, COUNTER_RECOVERY, Way, has_way_in};
use crate::devices::PASSKEY_ADDED;
use crate::end_delegation::{End, Ending};
use crate::erase::{forget_ways_in, plain_event};
use crate::ledger::place;
use crate::outbox::Outbox;
use crate::row_mark::{find_invitation, of_invitation, of_passkey};
use crate::session::{close, end_all};
use crate::{App, Credential, CredentialChange, Error, Initiator, OpenSession, block_names};

/// How long an invitation works, in microseconds: 14 days. The house's own: time for a letter to come, and no law speaks of it.
const INVITATION_LIFE: i64 = 14 * usufruct_core::time::DAY;
/// Reason of the status line in a footprint.
const WAYS_REMOVED: &str = "ways-in-removed";
/// Letters and digits that are not mistaken for each other on paper.
pub(crate) const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What the clerk knows of a new resident.
#[derive(Clone, Debug, Default)]
pub struct NewResident {
    pub blocks: Vec<(BlockId, String)>,
}

/// What becomes of the ways in that a resident had before a new passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    Keep,
    Remove,
}

/// A resident that was made.
#[derive(Clone, Copy, Debug)]
pub struct Enrolled {
    /// Her number in the house. It never leaves it.
    pub resident: u64,
}

impl App {
    /// Makes passes for new residents, in one commit of the key tree and one transaction.
    pub fn enrol(&self, new: &[NewResident]) -> Result<Vec<Enrolled>, Error> {
        let now = self.now();
        let register = self.register();
        let keys = self.vault.enrol_many(new.len(), self.rng())?;
        let numbers: Vec<u64> = keys.iter().map(|key| key.resident).collect();
        let mut own = Vec::new();
        for (resident, key) in new.iter().zip(&keys) {
            let keyring = self.vault.keyring(key.resident, &[&key.keyring])?;
            for (block, value) in &resident.blocks {
                let number = block_names::number(&register, block)?;
                own.push((key.resident, number, self.vault.seal_own(&keyring, block, value.as_bytes(), self.rng())?));
            }
        }
        let seeds: Vec<_> = keys.iter().map(|key| (key.resident, key.seed_index)).collect();
        let sealed: Vec<_> = keys.iter().map(|key| (key.resident, key.keyring.clone())).collect();
        self.db.transaction("enrol residents", move |tx| {
            residents::insert_many(tx, &seeds, now)?;
            keyrings::insert_many(tx, &sealed)?;
            Ok::<_, Error>(blocks::put_own(tx, &own, now)?)
        })?;
        Ok(numbers.into_iter().map(|resident| Enrolled { resident }).collect())
    }

    /// Makes a one-time code that a clerk prints and hands over: three groups of four characters (60 bits). For a resident who
    /// has a way in already, two clerks must have approved a request.
    pub fn invite(&self, resident: u64, request: Option<&str>) -> Result<String, Error> {
        let now = self.now();
        let code = self.fresh_code(3);
        let invitation = self.invitation(&code, resident, now.plus(INVITATION_LIFE))?;
        let (keyring, request) = (Arc::new(self.keyring(resident)?), request.map(str::to_owned));
        let (desk, rng) = (self.desk(), Arc::clone(&self.rng));
        self.db.transaction("invite", move |tx| {
            residents::state(tx, resident)?.ok_or(Error::Unknown { what: "resident" })?;
            if counter::permit(tx, &desk, resident, Way::Passkey, request.as_deref(), now)? {
                place(tx, &keyring, plain_event(Kind::Status, COUNTER_RECOVERY, None, now), rng.as_ref())?;
            }
            Ok::<_, Error>(invitations::insert(tx, &invitation)?)
        })?;
        Ok(code)
    }

    /// What is kept of an invitation code, with its mark.
    pub(crate) fn invitation(&self, code: &str, resident: u64, expires_at: Time) -> Result<Invitation, Error> {
        let mut invitation = Invitation { code_hash: code_hash(code), resident, expires_at, mark: None };
        invitation.mark = Some(of_invitation(&self.vault, &invitation)?);
        Ok(invitation)
    }

    /// Random letters and digits in groups of four, 20 bits each.
    pub(crate) fn fresh_code(&self, groups: usize) -> String {
        let mut bytes = Zeroizing::new(vec![0; groups * 4]);
        self.rng().fill(&mut bytes);
        let letters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    }

    /// The resident an invitation code is for, if it still works.
    pub fn invited(&self, code: &str) -> Result<u64, Error> {
        let (hash, now) = (code_hash(code), self.now());
        let found = self.db.read(|conn| find_invitation(conn, &self.vault, &hash, now))?;
        found.map(|invitation| invitation.resident).ok_or_else(bad_code)
    }

    /// Uses an invitation up and stores the passkey made with it. Neither happens without the other. `earlier` says what becomes
    /// of what opened her pass before; if it goes, so does all that was opened by it.
    pub fn redeem(&self, code: &str, passkey: &Passkey, earlier: Earlier) -> Result<(), Error> {
        self.redeem_with(code, passkey, earlier, |_| Ok(()))
    }

    /// The same in a browser, which is signed in by it and may have a session already: that one ends. Answers the token of the new one. It is
    /// opened in the same transaction, so that nobody who removes all earlier ways in leaves one that opens a moment later.
    pub fn redeem_and_sign_in(
        &self,
        code: &str,
        passkey: &Passkey,
        earlier: Earlier,
        before: Option<&OpenSession>,
        device: &str,
    ) -> Result<String, Error> {
        let (token, session) = self.fresh_session(passkey.resident, device, Means::Passkey, None)?;
        let (before, outbox) = (before.map(|session| session.token_hash), self.outbox());
        self.redeem_with(code, passkey, earlier, move |tx| {
            if let Some(before) = &before {
                close(tx, &outbox, before, Initiator::User)?;
            }
            Ok(sessions::insert(tx, &session)?)
        })?;
        Ok(token)
    }

    fn redeem_with(
        &self,
        code: &str,
        passkey: &Passkey,
        earlier: Earlier,
        then: impl Fn(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (hash, now, passkey, resident) = (code_hash(code), self.now(), passkey.clone(), passkey.resident);
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        let (ending, vault) = (self.ending(), Arc::clone(&self.vault));
        let mark = of_passkey(&self.vault, &passkey.credential, resident, &passkey.passkey)?;
        self.db.transaction("redeem invitation", move |tx| {
            let found = find_invitation(tx, &vault, &hash, now)?;
            if found.is_none_or(|found| found.resident != resident) || !invitations::redeem(tx, &hash, now)? {
                return Err(bad_code());
            }
            let mut seen = Vec::new();
            // The first one is how a pass begins. Any further one may be somebody else's.
            if has_way_in(tx, resident)? {
                seen.extend((earlier == Earlier::Remove).then_some(WAYS_REMOVED));
                seen.push(PASSKEY_ADDED);
            }
            // Even where there is no way in any more, a session may be open that one has opened.
            if earlier == Earlier::Remove {
                end_ways_in(tx, &outbox, &ending, resident)?;
            }
            for reason in seen {
                place(tx, &keyring, plain_event(Kind::Status, reason, None, now), rng.as_ref())?;
            }
            insert_passkey(tx, &outbox, &passkey, &mark)?;
            then(tx)
        })
    }

    /// How many passes there are.
    pub fn resident_count(&self) -> Result<i64, Error> {
        Ok(self.db.read(|conn| residents::count(conn))?)
    }
}

/// Ends every way into a pass, and all that was opened by one. Whoever had a device of hers may have made codes and cards with it, so no kind of
/// them is left out.
fn end_ways_in(tx: &mut Tx<'_>, outbox: &Outbox, ending: &Ending, resident: u64) -> Result<(), Error> {
    let held = [
        (Credential::Passkey, !passkeys::of_resident(tx, resident)?.is_empty()),
        (Credential::Card, !cards::of_resident(tx, resident)?.is_empty()),
        (Credential::Certificate, !certificate_cards::of_resident(tx, resident)?.is_empty()),
    ];
    for (credential, _) in held.into_iter().filter(|(_, is_held)| *is_held) {
        outbox.credential_changed(tx, resident, credential, CredentialChange::Revoke)?;
    }
    outbox.signed_out_everywhere(tx, resident)?;
    ending.end_of(tx, resident, End::Passkey)?;
    forget_ways_in(tx, resident)?;
    end_all(tx, resident).map(drop)
}

/// Adds a passkey and tells the services that know the resident. The first one makes her account a surer one.
pub(crate) fn insert_passkey(tx: &mut Tx<'_>, outbox: &Outbox, passkey: &Passkey, mark: &Digest) -> Result<(), Error> {
    let is_first = passkeys::of_resident(tx, passkey.resident)?.is_empty();
    passkeys::insert(tx, passkey, mark)?;
    outbox.credential_changed(tx, passkey.resident, Credential::Passkey, CredentialChange::Create)?;
    if is_first { outbox.assurance_changed(tx, passkey.resident, Means::Card, Means::Passkey) } else { Ok(()) }
}

/// Hash of an invitation code as people type it.
fn code_hash(code: &str) -> Digest {
    sha256(format!("usufruct/invitation/v1\n{}", plain_code(code)).as_bytes())
}

/// A code as it is meant: case, spaces and hyphens do not matter.
pub(crate) fn plain_code(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn bad_code() -> Error {
    Error::refused("This invitation code is not valid, has expired or was used.", "Ask a clerk at a counter for a new one.")
}
