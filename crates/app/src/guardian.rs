//! Guardians: for a child, or for somebody who cannot act. Two clerks set them up and end them.

use std::sync::Arc;

use usufruct_core::delegation::{Powers, Role};
use usufruct_core::hash::sha256;
use usufruct_core::lawpack::Duty;
use usufruct_core::statement::Approval;
use usufruct_core::{Digest, Time};
use usufruct_store::counter_requests::{self, CounterRequest};
use usufruct_store::db::{Connection, Tx};
use usufruct_store::delegations::{self, Delegation};
use usufruct_store::residents::{self, ResidentState};
use usufruct_vault::Vault;

use crate::actor::{keyring_in, seal_word};
use crate::counter::{REQUEST_LIFE, lapsed, note_clerk};
use crate::delegate::checked_word;
use crate::end_delegation::{End, Ending};
use crate::row_mark::{find_counter_request, find_delegation, is_ours, put_delegation};
use crate::{App, Approved, Error, OpenSession};

/// Word of these requests among those at a counter.
const WAY: &str = "guardian";

/// What two clerks decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guardianship {
    /// The child, or whoever cannot act.
    pub person: u64,
    pub guardian: u64,
    /// The day of majority, or the one that the decision says; `None` to end the guardianship now.
    pub ends_at: Option<Time>,
}

impl App {
    /// Begins a request about a guardianship. It does nothing until two clerks approve it. Answers its id.
    pub fn begin_guardian_request(&self, asked: &Guardianship) -> Result<String, Error> {
        let (id, now, asked) = (self.fresh_delegation(), self.now(), *asked);
        let request = CounterRequest {
            id: id.clone(),
            resident: asked.person,
            way: WAY.to_owned(),
            guardian: Some((asked.guardian, asked.ends_at)),
            expires_at: now.plus(REQUEST_LIFE),
            clerks: Vec::new(),
            mark: None,
        };
        let (request, vault, latest) = (self.marked(request)?, Arc::clone(&self.vault), self.latest_guardianship(now));
        self.db.transaction("begin guardian request", move |tx| {
            check(tx, &vault, &asked, now, latest)?;
            Ok::<_, Error>(counter_requests::insert(tx, &request)?)
        })?;
        Ok(id)
    }

    /// A clerk approves a request about a guardianship; with the second one it is done, and stands in the footprints of both.
    pub fn approve_guardian_request(&self, id: &str, approval: &Approval) -> Result<Approved, Error> {
        let (now, id) = (self.now(), id.to_owned());
        let request = self.db.read(|conn| find_counter_request(conn, &self.vault, &id, now))?.ok_or_else(lapsed)?;
        let asked = asked(&request).ok_or_else(lapsed)?;
        let clerk = self.clerk(&self.register(), approval, &guardian_message(&self.config.origin, &id, &asked))?;
        let (fresh, ending, desk) = (self.fresh_delegation(), self.ending(), self.desk());
        let latest = self.latest_guardianship(now);
        let approved = self.db.transaction("approve guardian request", move |tx| {
            match note_clerk(tx, &desk, &id, &clerk, now)? {
                Some(Approved::Twice) => {}
                other => return Ok(other),
            }
            check(tx, &desk.vault, &asked, now, latest)?;
            if !counter_requests::redeem(tx, &id, now)? {
                return Err(lapsed());
            }
            apply(tx, &desk.vault, &ending, &asked, &fresh, now)?;
            Ok::<_, Error>(Some(Approved::Twice))
        })?;
        approved.map_or_else(|| Err(self.braked()?), Ok)
    }

    /// Until when a guardianship that begins now may last.
    fn latest_guardianship(&self, now: Time) -> Time {
        now.plus(self.register().house_law(now).within(Duty::GuardianshipLongest))
    }

    /// The guardian of a fresh session takes a guardianship up, and says how the two call each other.
    pub fn take_up_guardianship(
        &self,
        session: &OpenSession,
        id: &str,
        person_called: &str,
        guardian_called: &str,
    ) -> Result<(), Error> {
        session.require_own()?;
        let now = self.now();
        let (actor, guardian, id) = (session.proven(now)?, session.resident, id.to_owned());
        let (person_called, guardian_called) =
            (checked_word(person_called)?.to_owned(), checked_word(guardian_called)?.to_owned());
        let (vault, rng, ending) = (Arc::clone(&self.vault), Arc::clone(&self.rng), self.ending());
        self.db.transaction("take up guardianship", move |tx| {
            actor.permit(tx, &vault, now)?;
            let found = find_delegation(tx, &vault, &id)?;
            let found = found.filter(|found| {
                found.role == Role::Guardian
                    && found.delegate == Some(guardian)
                    && found.taken_at.is_none()
                    && now < found.ends_at
            });
            let mut found = found.ok_or(Error::Unknown { what: "guardianship that waits for you" })?;
            let (person, own) = (keyring_in(tx, &vault, found.person)?, keyring_in(tx, &vault, guardian)?);
            found.delegate_called = Some(seal_word(&vault, &person, &guardian_called, rng.as_ref())?);
            found.person_called = Some(seal_word(&vault, &own, &person_called, rng.as_ref())?);
            found.taken_at = Some(now);
            put_delegation(tx, &vault, &found)?;
            ending.tell(tx, &found, "taken-up", Some(&found.powers.to_string()), Some(found.ends_at))
        })
    }
}

/// What a clerk signs. It is made from what the clerk knows, so that nobody gets a signature for something else.
pub fn guardian_message(origin: &str, id: &str, asked: &Guardianship) -> Digest {
    let Guardianship { person, guardian, ends_at } = asked;
    let until = ends_at.map(|ends_at| ends_at.micros().to_string()).unwrap_or_default();
    sha256(format!("usufruct/guardian/v1\n{origin}\n{id}\n{person}\n{guardian}\n{until}\n").as_bytes())
}

fn asked(request: &CounterRequest) -> Option<Guardianship> {
    let (guardian, ends_at) = request.guardian.filter(|_| request.way == WAY)?;
    Some(Guardianship { person: request.resident, guardian, ends_at })
}

fn check(conn: &mut dyn Connection, vault: &Vault, asked: &Guardianship, now: Time, latest: Time) -> Result<(), Error> {
    for resident in [asked.person, asked.guardian] {
        if matches!(residents::state(conn, resident)?, None | Some(ResidentState::Erased)) {
            return Err(Error::Unknown { what: "resident" });
        }
    }
    if asked.person == asked.guardian {
        return Err(Error::refused("Nobody is her own guardian.", "Check both numbers."));
    }
    match asked.ends_at {
        Some(ends_at) if ends_at <= now || ends_at > latest => Err(Error::refused(
            &format!("The last day is over already, or after {}, the last one that the law allows.", latest.day()),
            "Give the day of majority, or the one that the decision says.",
        )),
        None if between(conn, vault, asked)?.is_none() => Err(Error::Unknown { what: "guardianship between the two" }),
        _ => Ok(()),
    }
}

fn between(conn: &mut dyn Connection, vault: &Vault, asked: &Guardianship) -> Result<Option<Delegation>, Error> {
    for found in delegations::of_resident(conn, asked.person)? {
        let is_between = found.person == asked.person && found.delegate == Some(asked.guardian);
        if found.role == Role::Guardian && is_between && is_ours(vault, &found)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn apply(tx: &mut Tx<'_>, vault: &Vault, ending: &Ending, asked: &Guardianship, fresh: &str, now: Time) -> Result<(), Error> {
    let known = between(tx, vault, asked)?;
    let Some(ends_at) = asked.ends_at else {
        return known.map_or(Ok(()), |known| ending.end(tx, &known, End::Counter));
    };
    let delegation = Delegation {
        ends_at,
        ..known.unwrap_or_else(|| Delegation {
            id: fresh.to_owned(),
            role: Role::Guardian,
            person: asked.person,
            delegate: Some(asked.guardian),
            powers: Powers::all(),
            code: None,
            given_at: now,
            taken_at: None,
            ends_at,
            delegate_called: None,
            person_called: None,
            mark: None,
        })
    };
    put_delegation(tx, vault, &delegation)?;
    ending.tell(tx, &delegation, "set-up", None, Some(ends_at))
}
