//! Official: a person of a body signs in with the passkey that the register names, to see what waits for her and to approve it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use usufruct_core::agency::{AUTOMATION, SigningKey};
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::AgencyId;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::Register;
use usufruct_core::time::{HOUR, SECOND};
use usufruct_core::webauthn::Assertion;
use usufruct_core::{Digest, Time};
use usufruct_store::assertions;

use crate::{App, Error};

/// An official who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficialSession {
    pub agency: AgencyId,
    /// Her key, as it stands in the register now.
    pub key: SigningKey,
    pub until: Time,
    /// For forms of this session.
    pub form_token: String,
}

/// What the cookie holds beside the mark of the house. No table keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    agency: AgencyId,
    key: String,
    /// The public key, so that another one under the same name is not signed in.
    public: String,
    /// Seconds since 1970.
    until: i64,
    nonce: String,
}

/// How long an official is signed in.
const SESSION_LIFE: i64 = 8 * HOUR;
/// Bytes of a session at most.
const LONGEST: usize = 1_000;

/// What a passkey is asked at the sign-in of officials. It begins with other words than what is asked for an approval, and is longer than
/// what residents are asked, so that no answer to one of the three serves for another.
pub fn sign_in_challenge(rng: &dyn Rng) -> Vec<u8> {
    [&b"usufruct/official-sign-in/v1\n"[..], &random::<32>(rng)].concat()
}

impl App {
    /// Opens a session for the person whose passkey answered `challenge`, which the caller has made and takes once. Answers its cookie.
    pub fn official_sign_in(&self, challenge: &[u8], credential: &str, answer: Assertion<'_>) -> Result<String, Error> {
        let register = self.register();
        let mut known =
            passkeys(&register).filter(|(_, key)| key.webauthn.as_ref().is_some_and(|it| it.credential == credential));
        let found = known
            .find(|(_, key)| key.webauthn.as_ref().is_some_and(|passkey| passkey.verify(&key.public, challenge, answer).is_ok()));
        let (agency, key) = found.ok_or_else(|| {
            Error::refused(
                "This passkey stands in the register for nobody, or it did not prove itself on this page.",
                "Use the one that your body's entry names, or have it entered first.",
            )
        })?;
        let said = Said {
            agency: agency.clone(),
            key: key.id.clone(),
            public: key.public.clone(),
            until: self.now().plus(SESSION_LIFE).seconds(),
            nonce: URL_SAFE_NO_PAD.encode(random::<16>(self.rng())),
        };
        let json = serde_json::to_vec(&said).map_err(|error| Error::Corrupt { what: format!("a session: {error}") })?;
        let said = URL_SAFE_NO_PAD.encode(json);
        Ok(format!("{said}.{}", self.official_mark(b"usufruct/official-session/v1", &said)?))
    }

    /// Who holds this session. The key must still stand in the register: a body that drops it ends its sessions.
    pub fn official_session(&self, session: &str) -> Result<Option<OfficialSession>, Error> {
        let Some((said, mark)) = session.rsplit_once('.').filter(|_| session.len() <= LONGEST) else { return Ok(None) };
        if !equal(mark.as_bytes(), self.official_mark(b"usufruct/official-session/v1", said)?.as_bytes()) {
            return Ok(None);
        }
        let read: Option<Said> = URL_SAFE_NO_PAD.decode(said).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let Some(Said { agency, key, public, until, .. }) = read else { return Ok(None) };
        let Some(until) = until.checked_mul(SECOND).map(Time::from_micros).filter(|until| self.now() < *until) else {
            return Ok(None);
        };
        if self.db.read(|conn| assertions::is_claimed(conn, &end_of(session)))? {
            return Ok(None);
        }
        let register = self.register();
        let present = passkeys(&register).find(|(of, entry)| **of == agency && entry.id == key && entry.public == public);
        let Some(key) = present.map(|(_, key)| key.clone()) else { return Ok(None) };
        let form_token = self.official_mark(b"usufruct/official-form/v1", said)?;
        Ok(Some(OfficialSession { agency, key, until, form_token }))
    }

    /// Ends the session of this cookie, on every node and in every copy, for ever. What is no session stays none.
    pub fn official_sign_out(&self, session: &str) -> Result<(), Error> {
        let Some(open) = self.official_session(session)? else { return Ok(()) };
        let hash = end_of(session);
        self.db.transaction("close official session", move |tx| Ok(assertions::claim(tx, &hash, open.until).map(drop)?))
    }

    fn official_mark(&self, domain: &[u8], said: &str) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(self.vault.session_mark(&[domain, said.as_bytes()])?))
    }
}

/// The passkeys that stand in the register, each with its body.
fn passkeys(register: &Register) -> impl Iterator<Item = (&AgencyId, &SigningKey)> {
    let keys = register.agencies.iter().flat_map(|(id, entry)| entry.body.signing_keys.iter().map(move |key| (id, key)));
    keys.filter(|(_, key)| key.webauthn.is_some() && key.role != AUTOMATION)
}

/// By what is noted that somebody signed out. Whoever reads the notes cannot make a session of one.
fn end_of(session: &str) -> Digest {
    sha256(format!("usufruct/official-session-end/v1\n{session}").as_bytes())
}
