//! Vendor: people of a vendor sign in with a key of their company and see what they have to do, by tokens alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use usufruct_core::agency::{AgencyKind, SigningKey};
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::{AgencyId, ServiceId};
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::Register;
use usufruct_core::statement::{Approval, Signer};
use usufruct_core::time::{HOUR, SECOND};
use usufruct_core::{Digest, Time};
use usufruct_store::assertions;

use crate::app::AUTOMATION;
use crate::{App, DeletionNotice, Error};

/// What a person of a vendor signs to sign in. It holds nothing about herself but the name of her key, which is her office.
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

/// Somebody of a vendor who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorSession {
    pub agency: AgencyId,
    /// The office, as the agency's statement names its key.
    pub key: String,
    pub until: Time,
    /// For forms of this session.
    pub form_token: String,
}

/// The longest life of a ticket and of the session that it opens.
const TICKET_LIFE: i64 = 12 * HOUR;
/// Bytes of a ticket at most.
const LONGEST: usize = 1_000;

/// A ticket for the vendor desk at `issuer`, good until `until`.
pub fn vendor_ticket(signer: &Signer, issuer: &str, until: Time, rng: &dyn Rng) -> Result<String, Error> {
    let ticket = Ticket {
        agency: signer.agency().clone(),
        key: signer.key().to_owned(),
        issuer: issuer.to_owned(),
        until: until.seconds(),
        nonce: URL_SAFE_NO_PAD.encode(random::<16>(rng)),
    };
    let json = serde_json::to_vec(&ticket).map_err(|error| Error::Corrupt { what: format!("a ticket: {error}") })?;
    let said = URL_SAFE_NO_PAD.encode(json);
    let signature = signer.approve(&message(&said)).signature;
    Ok(format!("{said}.{signature}"))
}

/// What the key signs: no statement and no request at a counter begins with these words.
fn message(said: &str) -> Digest {
    sha256(format!("usufruct/vendor-ticket/v1\n{said}").as_bytes())
}

impl App {
    /// Opens a session for whoever holds a ticket that a present key of a vendor signed for this issuer. A ticket opens one session.
    pub fn vendor_sign_in(&self, issuer: &str, ticket: &str) -> Result<String, Error> {
        let ticket = ticket.trim();
        let Some((_, until)) = self.read_ticket(issuer, ticket) else { return Err(bad_ticket()) };
        let hash = sha256(ticket.as_bytes());
        let is_new =
            self.db.transaction("open vendor session", move |tx| Ok::<_, Error>(assertions::claim(tx, &hash, until)?))?;
        if !is_new {
            return Err(bad_ticket());
        }
        Ok(format!("{ticket}.{}", self.vendor_mark(b"usufruct/vendor-session/v1", ticket)?))
    }

    /// Who holds this session. The key must still stand in the register: a body that drops it ends its sessions.
    pub fn vendor_session(&self, issuer: &str, session: &str) -> Result<Option<VendorSession>, Error> {
        let Some((ticket, mark)) = session.rsplit_once('.') else { return Ok(None) };
        if ticket.len() > LONGEST || !equal(mark.as_bytes(), self.vendor_mark(b"usufruct/vendor-session/v1", ticket)?.as_bytes())
        {
            return Ok(None);
        }
        let Some((said, until)) = self.read_ticket(issuer, ticket) else { return Ok(None) };
        let form_token = self.vendor_mark(b"usufruct/vendor-form/v1", ticket)?;
        Ok(Some(VendorSession { agency: said.agency, key: said.key, until, form_token }))
    }

    /// What each service of a vendor has to delete, by the pseudonyms that it knows. From now on they count as told.
    pub fn vendor_deletions(&self, vendor: &AgencyId) -> Result<Vec<(ServiceId, Vec<DeletionNotice>)>, Error> {
        let register = self.register();
        let own = register.services.iter().filter(|(_, entry)| entry.body.agency == *vendor);
        own.map(|(id, _)| Ok((id.clone(), self.deletion_notices(id)?))).collect()
    }

    fn read_ticket(&self, issuer: &str, ticket: &str) -> Option<(Ticket, Time)> {
        let (said, signature) = ticket.split_once('.').filter(|_| ticket.len() <= LONGEST)?;
        let read: Ticket = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
        let (now, until) = (self.now(), Time::from_micros(read.until.checked_mul(SECOND)?));
        let is_timely = now < until && until <= now.plus(TICKET_LIFE);
        let key = vendor_key(&self.register(), &read.agency, &read.key)?;
        let approval = Approval {
            agency: read.agency.clone(),
            key: read.key.clone(),
            algorithm: "Ed25519".to_owned(),
            signature: signature.to_owned(),
            authenticator_data: None,
            client_data: None,
            among: Vec::new(),
        };
        (is_timely && read.issuer == issuer && approval.verifies(&message(said), &key)).then_some((read, until))
    }

    fn vendor_mark(&self, domain: &[u8], ticket: &str) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(self.vault.session_mark(&[domain, ticket.as_bytes()])?))
    }
}

/// The key of a person of a vendor. Public bodies and automata have no business at this desk.
fn vendor_key(register: &Register, agency: &AgencyId, key: &str) -> Option<SigningKey> {
    let entry = register.agencies.get(agency).filter(|entry| entry.body.kind == AgencyKind::Vendor)?;
    entry.body.key(key).filter(|key| key.role != AUTOMATION).cloned()
}

fn bad_ticket() -> Error {
    Error::refused(
        "This ticket opens nothing: it is used, over, for another pass, or by a key that no vendor of the register names.",
        "Make a new one with `usufruct key ticket`.",
    )
}
