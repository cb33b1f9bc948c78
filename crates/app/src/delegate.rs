//! Helpers: a resident names another one by a code, and that one takes it up signed in as herself.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::delegation::{Powers, Role};
use usufruct_core::hash::sha256;
use usufruct_core::lawpack::Duty;
use usufruct_core::ports::random;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Connection;
use usufruct_store::delegations::{self, Delegation};
use usufruct_vault::Vault;

use crate::actor::{is_active, keyring_in, open_word, seal_word};
use crate::enrol::plain_code;
use crate::row_mark::{find_delegation, is_ours, put_delegation};
use crate::{App, Error, OpenSession};

/// How long a code works. The house's own: it guards a secret on a slip of paper, and no law speaks of it.
const CODE_LIFE: i64 = 7 * DAY;
/// Groups of 20 random bits in a code.
const GROUPS: usize = 5;
/// Longest word for the other person, in characters.
const LONGEST_WORD: usize = 40;
/// Most delegations that a resident gives at once.
const MOST: usize = 10;

/// What a resident gives a helper.
#[derive(Clone, Debug)]
pub struct NewHelper {
    /// What she calls the helper: it stands in her footprint.
    pub helper_called: String,
    /// What the helper calls her: it stands in the helper's footprint.
    pub person_called: String,
    pub powers: Powers,
    pub ends_at: Time,
}

/// What waits to be taken up with a code.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What the person wants to be called.
    pub person_called: String,
    pub powers: Powers,
    pub ends_at: Time,
}

/// A delegation as one of its two sees it.
#[derive(Clone, Debug)]
pub struct DelegationView {
    pub id: String,
    pub role: Role,
    /// Whether the other one acts for this resident; otherwise it is the other way round.
    pub is_given: bool,
    /// What this resident calls the other one; empty until it was said.
    pub called: String,
    pub powers: Powers,
    pub given_at: Time,
    pub taken_at: Option<Time>,
    /// When the code stops working by which a helper takes it up.
    pub code_ends_at: Option<Time>,
    pub ends_at: Time,
}

impl App {
    /// Gives help, for the resident of a fresh session. Answers the code that the helper types; it is shown once.
    pub fn give_help(&self, session: &OpenSession, new: &NewHelper) -> Result<String, Error> {
        session.require_own()?;
        let now = self.now();
        let (actor, person) = (session.proven(now)?, session.resident);
        if new.powers.is_empty() {
            return Err(Error::refused("Nothing was chosen that the helper may do.", "Choose at least one thing."));
        }
        self.check_end(new.ends_at, now)?;
        let keyring = self.keyring(person)?;
        let seal = |word: &str| seal_word(&self.vault, &keyring, checked_word(word)?, self.rng()).map(Some);
        let code = self.fresh_code(GROUPS);
        let delegation = Delegation {
            id: self.fresh_delegation(),
            role: Role::Helper,
            person,
            delegate: None,
            powers: new.powers.clone(),
            code: Some((code_hash(&code), now.plus(CODE_LIFE).min(new.ends_at))),
            given_at: now,
            taken_at: None,
            ends_at: new.ends_at,
            delegate_called: seal(&new.helper_called)?,
            person_called: seal(&new.person_called)?,
            mark: None,
        };
        let (ending, vault) = (self.ending(), Arc::clone(&self.vault));
        self.db.transaction("give help", move |tx| {
            actor.permit(tx, &vault, now)?;
            require_active(tx, person)?;
            let given = delegations::of_resident(tx, person)?.iter().filter(|found| found.person == person).count();
            if given >= MOST {
                return Err(Error::refused("You have named ten helpers.", "End one of them first."));
            }
            put_delegation(tx, &vault, &delegation)?;
            ending.tell(tx, &delegation, "given", Some(&delegation.powers.to_string()), Some(delegation.ends_at))
        })?;
        Ok(code)
    }

    /// What a code offers to the resident of a fresh session.
    pub fn offered_help(&self, session: &OpenSession, code: &str) -> Result<Offer, Error> {
        session.require_own()?;
        let (now, hash) = (self.now(), code_hash(code));
        let actor = session.proven(now)?;
        let found = self.db.read(|conn| {
            actor.permit(conn, &self.vault, now)?;
            find_offer(conn, &self.vault, &hash, session.resident, now)
        })?;
        let keyring = self.keyring(found.person)?;
        Ok(Offer {
            person_called: open_word(&self.vault, &keyring, found.person_called.as_deref())?,
            powers: found.powers,
            ends_at: found.ends_at,
        })
    }

    /// Takes help up, for the resident of a fresh session. The code is used up.
    pub fn take_up_help(&self, session: &OpenSession, code: &str) -> Result<(), Error> {
        session.require_own()?;
        let now = self.now();
        let (actor, hash, delegate) = (session.proven(now)?, code_hash(code), session.resident);
        let (vault, rng, ending) = (Arc::clone(&self.vault), Arc::clone(&self.rng), self.ending());
        self.db.transaction("take up help", move |tx| {
            actor.permit(tx, &vault, now)?;
            let mut found = find_offer(tx, &vault, &hash, delegate, now)?;
            let (person, own) = (keyring_in(tx, &vault, found.person)?, keyring_in(tx, &vault, delegate)?);
            let called = open_word(&vault, &person, found.person_called.as_deref())?;
            found.person_called = Some(seal_word(&vault, &own, &called, rng.as_ref())?);
            (found.delegate, found.taken_at, found.code) = (Some(delegate), Some(now), None);
            put_delegation(tx, &vault, &found)?;
            ending.tell(tx, &found, "taken-up", Some(&found.powers.to_string()), Some(found.ends_at))
        })
    }

    /// Until when help that is given now may last, by the law that the house is under.
    pub fn latest_help(&self, now: Time) -> Time {
        now.plus(self.register().house_law(now).within(Duty::HelpLongest))
    }

    fn check_end(&self, ends_at: Time, now: Time) -> Result<(), Error> {
        let latest = self.latest_help(now);
        if ends_at > now && ends_at <= latest {
            return Ok(());
        }
        Err(Error::refused(
            &format!("The last day is over already, or after {}, the last one that the law allows.", latest.day()),
            "Choose a day before that.",
        ))
    }

    /// Gives help anew until another day, for the resident of a fresh session. What is given stays as it was.
    pub fn renew_help(&self, session: &OpenSession, id: &str, ends_at: Time) -> Result<(), Error> {
        session.require_own()?;
        let now = self.now();
        let (actor, person, id) = (session.proven(now)?, session.resident, id.to_owned());
        let (ending, vault) = (self.ending(), Arc::clone(&self.vault));
        self.check_end(ends_at, now)?;
        self.db.transaction("renew help", move |tx| {
            actor.permit(tx, &vault, now)?;
            require_active(tx, person)?;
            let found = find_delegation(tx, &vault, &id)?;
            let found = found.filter(|found| found.person == person && found.role == Role::Helper && found.is_in_force(now));
            let mut found = found.ok_or(Error::Unknown { what: "helper of yours" })?;
            found.ends_at = ends_at;
            put_delegation(tx, &vault, &found)?;
            ending.tell(tx, &found, "renewed", Some(&found.powers.to_string()), Some(ends_at))
        })
    }

    /// The delegations that a resident has part in, the oldest first. What has ended is not among them.
    pub fn delegations(&self, session: &OpenSession) -> Result<Vec<DelegationView>, Error> {
        session.require_own()?;
        let (now, resident) = (self.now(), session.resident);
        let keyring = self.keyring(resident)?;
        let stored = self.db.read(|conn| delegations::of_resident(conn, resident))?;
        let mut own = Vec::with_capacity(stored.len());
        for found in stored {
            if is_ours(&self.vault, &found)? {
                own.push(found);
            }
        }
        let is_live = |found: &Delegation| now < found.ends_at && found.code.is_none_or(|(_, ends_at)| now < ends_at);
        own.into_iter()
            .filter(is_live)
            .map(|found| {
                let is_given = found.person == resident;
                let sealed = if is_given { &found.delegate_called } else { &found.person_called };
                Ok(DelegationView {
                    called: open_word(&self.vault, &keyring, sealed.as_deref())?,
                    is_given,
                    id: found.id,
                    role: found.role,
                    powers: found.powers,
                    given_at: found.given_at,
                    taken_at: found.taken_at,
                    code_ends_at: found.code.map(|(_, ends_at)| ends_at),
                    ends_at: found.ends_at,
                })
            })
            .collect()
    }

    pub(crate) fn fresh_delegation(&self) -> String {
        URL_SAFE_NO_PAD.encode(random::<16>(self.rng()))
    }
}

/// What waits under a code, for somebody else than the one who gave it.
fn find_offer(
    conn: &mut dyn Connection,
    vault: &Vault,
    code_hash: &Digest,
    delegate: u64,
    now: Time,
) -> Result<Delegation, Error> {
    let found = delegations::find_by_code(conn, code_hash, now)?.filter(|found| found.person != delegate);
    let found = found.ok_or_else(bad_code)?;
    if is_ours(vault, &found)? && is_active(conn, found.person)? && is_active(conn, delegate)? {
        Ok(found)
    } else {
        Err(bad_code())
    }
}

pub(crate) fn require_active(conn: &mut dyn Connection, resident: u64) -> Result<(), Error> {
    if is_active(conn, resident)? {
        Ok(())
    } else {
        Err(Error::refused("The pass is not active.", "Reactivate it or lift the freeze first."))
    }
}

/// A word for the other person: one line that is not empty.
pub(crate) fn checked_word(word: &str) -> Result<&str, Error> {
    let word = word.trim();
    if word.is_empty() || word.chars().count() > LONGEST_WORD || word.chars().any(char::is_control) {
        return Err(Error::refused(
            "The name is empty, too long or has control characters.",
            "Write 1 to 40 characters by which you both know who is meant.",
        ));
    }
    Ok(word)
}

fn code_hash(code: &str) -> Digest {
    sha256(format!("usufruct/delegation/v1\n{}", plain_code(code)).as_bytes())
}

/// The same words whatever is wrong.
fn bad_code() -> Error {
    Error::refused("This code is not valid, has lapsed or was used.", "Ask for a new one.")
}
