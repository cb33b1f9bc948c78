//! Enrol residents: keys first, then the sealed data, then the row that makes them known.

use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::id::BlockId;
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_store::db::Tx;
use usufruct_store::passkeys::Passkey;
use usufruct_store::{blocks, invitations, keyrings, passkeys, residents};

use crate::outbox::Outbox;
use crate::{App, Credential, CredentialChange, Error, block_names};

/// How long an invitation works, in microseconds: 14 days.
const INVITATION_LIFE: i64 = 14 * usufruct_core::time::DAY;
/// Letters and digits that are not mistaken for each other on paper.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What the clerk knows of a new resident.
#[derive(Clone, Debug, Default)]
pub struct NewResident {
    pub blocks: Vec<(BlockId, String)>,
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

    /// Makes a one-time code that a clerk prints and hands over: three groups of four characters (60 bits).
    pub fn invite(&self, resident: u64) -> Result<String, Error> {
        let now = self.now();
        let bytes: [u8; 12] = random(self.rng());
        let letters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        let code = letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-");
        let hash = code_hash(&code);
        self.db.transaction("invite", move |tx| {
            residents::state(tx, resident)?.ok_or(Error::Unknown { what: "resident" })?;
            Ok::<_, Error>(invitations::insert(tx, &hash, resident, now.plus(INVITATION_LIFE))?)
        })?;
        Ok(code)
    }

    /// The resident an invitation code is for, if it still works.
    pub fn invited(&self, code: &str) -> Result<u64, Error> {
        let (hash, now) = (code_hash(code), self.now());
        self.db.read(|conn| invitations::find(conn, &hash, now))?.ok_or_else(bad_code)
    }

    /// Uses an invitation up and stores the passkey made with it. Neither happens without the other.
    pub fn redeem(&self, code: &str, passkey: &Passkey) -> Result<(), Error> {
        let (hash, now, passkey, outbox) = (code_hash(code), self.now(), passkey.clone(), self.outbox());
        self.db.transaction("redeem invitation", move |tx| {
            if invitations::find(tx, &hash, now)? != Some(passkey.resident) || !invitations::redeem(tx, &hash, now)? {
                return Err(bad_code());
            }
            insert_passkey(tx, &outbox, &passkey)
        })
    }

    /// The passkey with a credential id.
    pub fn passkey(&self, credential: &[u8]) -> Result<Option<Passkey>, Error> {
        Ok(self.db.read(|conn| passkeys::find(conn, credential))?)
    }

    /// The passkeys of a resident.
    pub fn passkeys(&self, resident: u64) -> Result<Vec<Passkey>, Error> {
        Ok(self.db.read(|conn| passkeys::of_resident(conn, resident))?)
    }

    /// Adds a passkey to a resident who is signed in.
    pub fn add_passkey(&self, passkey: &Passkey) -> Result<(), Error> {
        let (passkey, outbox) = (passkey.clone(), self.outbox());
        self.db.transaction("add passkey", move |tx| insert_passkey(tx, &outbox, &passkey))
    }

    /// Stores a passkey's counter after a sign-in.
    pub fn update_passkey(&self, credential: &[u8], passkey: &str) -> Result<(), Error> {
        let (credential, passkey) = (credential.to_vec(), passkey.to_owned());
        Ok(self.db.transaction("update passkey", move |tx| passkeys::update(tx, &credential, &passkey))?)
    }

    /// How many passes there are.
    pub fn resident_count(&self) -> Result<i64, Error> {
        Ok(self.db.read(|conn| residents::count(conn))?)
    }
}

/// Adds a passkey and tells the services that know the resident. The first one makes her account a surer one.
fn insert_passkey(tx: &mut Tx<'_>, outbox: &Outbox, passkey: &Passkey) -> Result<(), Error> {
    let is_first = passkeys::of_resident(tx, passkey.resident)?.is_empty();
    passkeys::insert(tx, passkey)?;
    outbox.credential_changed(tx, passkey.resident, Credential::Passkey, CredentialChange::Create)?;
    if is_first { outbox.assurance_changed(tx, passkey.resident, Means::Card, Means::Passkey) } else { Ok(()) }
}

/// Hash of a code as people type it: case, spaces and hyphens do not matter.
fn code_hash(code: &str) -> Digest {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    sha256(format!("usufruct/invitation/v1\n{plain}").as_bytes())
}

fn bad_code() -> Error {
    Error::refused("This invitation code is not valid, has expired or was used.", "Ask a clerk at a counter for a new one.")
}
