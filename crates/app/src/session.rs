//! Browser sessions: opened by a passkey, closed here or everywhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::hash::{hmac_sha256, sha256};
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_core::time::{HOUR, MINUTE};
use usufruct_core::{Digest, Time};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::sessions::{self, Session};

use crate::{App, Error, Initiator};

/// A session ends after this long without a request, and after this long in any case.
const IDLE: i64 = 30 * MINUTE;
const ABSOLUTE: i64 = 12 * HOUR;
/// Sessions ended in one transaction.
const PART: usize = 1_000;

/// A session that is open.
#[derive(Clone, Debug)]
pub struct OpenSession {
    pub resident: u64,
    pub opened_at: Time,
    /// Token that every form of this session carries.
    pub form_token: String,
    /// False when the resident has deactivated the pass.
    pub active: bool,
    /// How she proved herself.
    pub means: Means,
    pub(crate) token_hash: Digest,
}

impl App {
    /// Opens a session after a passkey has proven itself, and answers its token, which only the browser keeps.
    pub fn open_session(&self, resident: u64, device: &str) -> Result<String, Error> {
        self.open_session_by(resident, device, Means::Passkey)
    }

    /// Opens a session after the resident proved herself by other means.
    pub fn open_session_by(&self, resident: u64, device: &str, means: Means) -> Result<String, Error> {
        let token = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let now = self.now();
        let session = Session {
            token_hash: hash(&token),
            resident,
            opened_at: now,
            seen_at: now,
            device: device.chars().take(60).collect(),
            means,
        };
        self.db.transaction("open session", move |tx| sessions::insert(tx, &session))?;
        Ok(token)
    }

    /// The session of a token, if it is open.
    pub fn session(&self, token: &str) -> Result<Option<OpenSession>, Error> {
        let token_hash = hash(token);
        let now = self.now();
        let found = self.db.read(|conn| {
            let Some(session) = sessions::find(conn, &token_hash)? else { return Ok::<_, Error>(None) };
            let state = residents::state(conn, session.resident)?;
            Ok(Some((session, state)))
        })?;
        let Some((session, Some(state))) = found else { return Ok(None) };
        if now.plus(-IDLE) > session.seen_at || now.plus(-ABSOLUTE) > session.opened_at || state == ResidentState::Erased {
            return Ok(None);
        }
        if now.plus(-MINUTE) > session.seen_at {
            self.db.transaction("touch session", move |tx| sessions::touch(tx, &token_hash, now))?;
        }
        let form_token = URL_SAFE_NO_PAD.encode(&hmac_sha256(token.as_bytes(), &[b"usufruct/form/v1"])[..24]);
        Ok(Some(OpenSession {
            resident: session.resident,
            opened_at: session.opened_at,
            form_token,
            active: state == ResidentState::Active,
            means: session.means,
            token_hash,
        }))
    }

    /// Closes one session.
    pub fn close_session(&self, session: &OpenSession) -> Result<(), Error> {
        let (token_hash, outbox) = (session.token_hash, self.outbox());
        self.db.transaction("close session", move |tx| {
            outbox.session_closed(tx, &token_hash, Initiator::User)?;
            Ok::<_, Error>(sessions::delete(tx, &token_hash)?)
        })
    }

    /// Closes every session of a resident and kills the tokens that services hold for her.
    pub fn sign_out_everywhere(&self, resident: u64) -> Result<u64, Error> {
        let outbox = self.outbox();
        self.db.transaction("sign out everywhere", move |tx| {
            outbox.signed_out_everywhere(tx, resident)?;
            usufruct_store::tokens::delete_of_resident(tx, resident, None)?;
            usufruct_store::codes::delete_of_resident(tx, resident, None)?;
            usufruct_store::refresh_tokens::delete_of_resident(tx, resident)?;
            Ok::<_, Error>(sessions::delete_all(tx, resident)?)
        })
    }

    /// Closes sessions whose time is over, a part of them at a time, so that services learn of it. Answers how many.
    pub(crate) fn end_sessions(&self) -> Result<u64, Error> {
        let (seen_before, opened_before) = (self.now().plus(-IDLE), self.now().plus(-ABSOLUTE));
        let outbox = self.outbox();
        self.db.transaction("end sessions", move |tx| {
            let ended = sessions::ended(tx, seen_before, opened_before, PART)?;
            for token_hash in &ended {
                outbox.session_closed(tx, token_hash, Initiator::Policy)?;
                sessions::delete(tx, token_hash)?;
            }
            Ok::<_, Error>(ended.len() as u64)
        })
    }

    /// The handle under which authenticators store a resident's passkeys: 16 bytes that nobody else can derive and that are
    /// no pseudonym anywhere.
    pub fn user_handle(&self, resident: u64) -> Result<[u8; 16], Error> {
        let mark = self.vault.session_mark(&[b"usufruct/user-handle/v1", &resident.to_be_bytes()])?;
        let mut handle = [0; 16];
        handle.copy_from_slice(&mark[..16]);
        Ok(handle)
    }

    /// How many sessions a resident has open.
    pub fn session_count(&self, resident: u64) -> Result<i64, Error> {
        Ok(self.db.read(|conn| sessions::count(conn, resident))?)
    }
}

pub(crate) fn hash(secret: &str) -> Digest {
    sha256(secret.as_bytes())
}
