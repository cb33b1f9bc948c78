//! Ticket: a person of a body signs in to a desk with the key by which she signs for that body, and without anything about herself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use usufruct_core::agency::{AgencyKind, SigningKey};
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::AgencyId;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::Register;
use usufruct_core::statement::{Approval, Signer};
use usufruct_core::time::{HOUR, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::assertions;
use usufruct_store::db::Connection;

use crate::app::AUTOMATION;
use crate::{App, Error};

/// A desk that tickets open. A ticket for the one opens nothing at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketDesk {
    /// Where officials of a body see the cases of residents.
    Office,
    /// Where people of a vendor see what they have to delete.
    Vendor,
}

/// What a person signs to sign in. It holds nothing about herself but the name of her key, which is her office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticket {
    agency: AgencyId,
    key: String,
    /// The pass it is for.
    issuer: String,
    /// Seconds since 1970.
    until: i64,
    nonce: String,
}

/// Somebody of a body who is signed in at a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskSession {
    pub agency: AgencyId,
    /// The office, as the agency's statement names its key.
    pub key: String,
    pub until: Time,
    /// For forms of this session.
    pub form_token: String,
    /// By what is noted that she signed out.
    end: Digest,
    desk: TicketDesk,
    signed_by: SigningKey,
}

/// A session at a desk that was good when the request came.
#[derive(Clone, Debug)]
pub(crate) struct HeldDesk {
    session: DeskSession,
    /// The present register, and the version that it has once what is being published is in it.
    register: Arc<RwLock<(u64, Arc<Register>)>>,
    version: Arc<AtomicU64>,
}

impl HeldDesk {
    /// Refuses what was asked in a session that has ended, or by a key that stands in the register no more, inside the transaction of what is
    /// done. While a statement is on its way into the register, nobody can say whether the key stands.
    pub fn permit(&self, conn: &mut dyn Connection, now: Time) -> Result<(), Error> {
        let (version, register) = self.register.read().unwrap_or_else(PoisonError::into_inner).clone();
        if self.version.load(Ordering::SeqCst) != version {
            return Err(Error::Stale);
        }
        let DeskSession { agency, key, until, end, desk, signed_by, .. } = &self.session;
        let stands = desk.key(&register, agency, key).is_some_and(|present| present.public == signed_by.public);
        if now >= *until || !stands || assertions::is_claimed(conn, end)? {
            return Err(Error::refused("The session of this desk is over, so nothing was done.", "Sign in with a new ticket."));
        }
        Ok(())
    }
}

/// The longest life of a ticket and of the session that it opens.
const TICKET_LIFE: i64 = 12 * HOUR;
/// Bytes of a ticket at most.
const LONGEST: usize = 1_000;

impl TicketDesk {
    /// The word for it in what is signed.
    fn code(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::Vendor => "vendor",
        }
    }

    /// The key of a person of a body who has business at this desk. Automata have none at any, and public bodies none at that of vendors.
    fn key(self, register: &Register, agency: &AgencyId, key: &str) -> Option<SigningKey> {
        let is_admitted = |kind: AgencyKind| self == Self::Office || kind == AgencyKind::Vendor;
        let entry = register.agencies.get(agency).filter(|entry| is_admitted(entry.body.kind))?;
        entry.body.key(key).filter(|key| key.role != AUTOMATION && key.id != AUTOMATION).cloned()
    }

    /// What the key signs: no statement and no request at a counter begins with these words.
    fn message(self, said: &str) -> Digest {
        sha256(format!("usufruct/{}-ticket/v1\n{said}", self.code()).as_bytes())
    }
}

/// A ticket for a desk at `issuer`, good until `until`.
pub fn desk_ticket(desk: TicketDesk, signer: &Signer, issuer: &str, until: Time, rng: &dyn Rng) -> Result<String, Error> {
    let ticket = Ticket {
        agency: signer.agency().clone(),
        key: signer.key().to_owned(),
        issuer: issuer.to_owned(),
        until: until.seconds(),
        nonce: URL_SAFE_NO_PAD.encode(random::<16>(rng)),
    };
    let json = serde_json::to_vec(&ticket).map_err(|error| Error::Corrupt { what: format!("a ticket: {error}") })?;
    let said = URL_SAFE_NO_PAD.encode(json);
    let signature = signer.approve(&desk.message(&said)).signature;
    Ok(format!("{said}.{signature}"))
}

impl App {
    /// Opens a session for whoever holds a ticket that a present key of a body signed for this issuer and desk. A ticket opens one session.
    pub fn desk_sign_in(&self, desk: TicketDesk, issuer: &str, ticket: &str) -> Result<String, Error> {
        let ticket = ticket.trim();
        let Some((_, until, _)) = self.read_ticket(&self.register(), desk, issuer, ticket) else { return Err(bad_ticket(desk)) };
        let hash = sha256(ticket.as_bytes());
        let is_new = self.db.transaction("open desk session", move |tx| Ok::<_, Error>(assertions::claim(tx, &hash, until)?))?;
        if !is_new {
            return Err(bad_ticket(desk));
        }
        Ok(format!("{ticket}.{}", self.ticket_mark(desk, "session", ticket)?))
    }

    /// Ends the session of this cookie, on every node and in every copy, for ever: its ticket opens no other. What is no session stays none.
    pub fn desk_sign_out(&self, desk: TicketDesk, issuer: &str, session: &str) -> Result<(), Error> {
        let Some(open) = self.desk_session(desk, issuer, session)? else { return Ok(()) };
        let hash = end_of(session);
        self.db.transaction("close desk session", move |tx| Ok(assertions::claim(tx, &hash, open.until).map(drop)?))
    }

    /// Who holds this session. The key must still stand in the register: a body that drops it ends its sessions.
    pub fn desk_session(&self, desk: TicketDesk, issuer: &str, session: &str) -> Result<Option<DeskSession>, Error> {
        let Some((ticket, mark)) = session.rsplit_once('.') else { return Ok(None) };
        if ticket.len() > LONGEST || !equal(mark.as_bytes(), self.ticket_mark(desk, "session", ticket)?.as_bytes()) {
            return Ok(None);
        }
        let Some((said, until, signed_by)) = self.read_ticket(&self.register(), desk, issuer, ticket) else { return Ok(None) };
        let end = end_of(session);
        if self.db.read(|conn| assertions::is_claimed(conn, &end))? {
            return Ok(None);
        }
        let form_token = self.ticket_mark(desk, "form", ticket)?;
        Ok(Some(DeskSession { agency: said.agency, key: said.key, until, form_token, end, desk, signed_by }))
    }

    /// The session, to be looked at again where something is done in it.
    pub(crate) fn held_desk(&self, session: &DeskSession) -> HeldDesk {
        HeldDesk { session: session.clone(), register: Arc::clone(&self.register), version: Arc::clone(&self.register_version) }
    }

    fn read_ticket(
        &self,
        register: &Register,
        desk: TicketDesk,
        issuer: &str,
        ticket: &str,
    ) -> Option<(Ticket, Time, SigningKey)> {
        let (said, signature) = ticket.split_once('.').filter(|_| ticket.len() <= LONGEST)?;
        let read: Ticket = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
        let (now, until) = (self.now(), Time::from_micros(read.until.checked_mul(SECOND)?));
        let is_timely = now < until && until <= now.plus(TICKET_LIFE);
        let key = desk.key(register, &read.agency, &read.key)?;
        let approval = Approval {
            agency: read.agency.clone(),
            key: read.key.clone(),
            algorithm: "Ed25519".to_owned(),
            signature: signature.to_owned(),
            authenticator_data: None,
            client_data: None,
            among: Vec::new(),
        };
        (is_timely && read.issuer == issuer && approval.verifies(&desk.message(said), &key)).then_some((read, until, key))
    }

    fn ticket_mark(&self, desk: TicketDesk, what: &str, ticket: &str) -> Result<String, Error> {
        let domain = format!("usufruct/{}-{what}/v1", desk.code());
        Ok(URL_SAFE_NO_PAD.encode(self.vault.session_mark(&[domain.as_bytes(), ticket.as_bytes()])?))
    }
}

/// By what is noted that somebody signed out. Whoever reads the notes cannot make a session of one.
fn end_of(session: &str) -> Digest {
    sha256(format!("usufruct/desk-session-end/v1\n{session}").as_bytes())
}

fn bad_ticket(desk: TicketDesk) -> Error {
    let who = match desk {
        TicketDesk::Office => "body",
        TicketDesk::Vendor => "vendor",
    };
    Error::refused(
        &format!(
            "This ticket opens nothing: it is used, over, for another pass or desk, or by a key that no {who} of the register names."
        ),
        &format!("Make a new one with `usufruct key ticket --desk {}`.", desk.code()),
    )
}
