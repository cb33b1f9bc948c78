//! Browser sessions: opened by a passkey, closed here or everywhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::hash::{hmac_sha256, sha256};
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_core::time::{HOUR, MINUTE};
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::passkeys::{self, Passkey};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::sessions::{self, CardBound, Session};
use usufruct_store::{certificate_cards, codes, refresh_tokens, tokens};

use crate::outbox::Outbox;
use crate::{App, Error, Initiator};

/// A session ends after this long without a request, and after this long in any case.
const IDLE: i64 = 30 * MINUTE;
const ABSOLUTE: i64 = 12 * HOUR;
/// Sessions ended in one transaction.
const PART: usize = 1_000;

/// How long a sign-in is good for steps that cannot be taken back.
const STEP_UP: i64 = 5 * MINUTE;

/// A session that is open.
#[derive(Clone, Debug)]
pub struct OpenSession {
    pub resident: u64,
    /// When she last proved herself in it.
    pub proved_at: Time,
    /// Token that every form of this session carries.
    pub form_token: String,
    /// Whether the pass is active, deactivated or frozen.
    pub state: ResidentState,
    /// How she proved herself.
    pub means: Means,
    pub(crate) token_hash: Digest,
}

/// A session as its resident sees it in a list.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Name by which it can be closed. It opens nothing.
    pub name: String,
    /// What kind of device, in a word or two.
    pub device: String,
    pub means: Means,
    pub opened_at: Time,
    pub seen_at: Time,
    /// Whether it is the one that looks.
    pub is_own: bool,
}

impl App {
    /// Opens a session after a passkey has proven itself, and answers its token, which only the browser keeps.
    pub fn open_session(&self, resident: u64, device: &str) -> Result<String, Error> {
        self.open_session_by(resident, device, Means::Passkey)
    }

    /// Opens a session after the resident proved herself by other means.
    pub fn open_session_by(&self, resident: u64, device: &str, means: Means) -> Result<String, Error> {
        let (token, session) = self.fresh_session(resident, device, means, None);
        self.db.transaction("open session", move |tx| sessions::insert(tx, &session))?;
        Ok(token)
    }

    /// A passkey has proven itself in a browser that may have a session already. The session of the same resident goes on, and
    /// from now on it is fresh; any other ends. Answers the token of a new session, if there is one.
    pub fn prove_passkey(
        &self,
        passkey: &Passkey,
        updated: &str,
        before: Option<&OpenSession>,
        device: &str,
    ) -> Result<Option<String>, Error> {
        let (now, credential, updated, outbox) = (self.now(), passkey.credential.clone(), updated.to_owned(), self.outbox());
        let before = before.map(|session| (session.token_hash, session.resident, session.means));
        let (token, session) = self.fresh_session(passkey.resident, device, Means::Passkey, None);
        let is_new = self.db.transaction("sign in", move |tx| {
            if !passkeys::update(tx, &credential, &updated, now)? {
                return Err(Error::Unknown { what: "passkey" });
            }
            if let Some((token_hash, resident, means)) = before {
                if resident == session.resident && means == Means::Passkey && sessions::prove(tx, &token_hash, now)? {
                    return Ok(false);
                }
                close(tx, &outbox, &token_hash, Initiator::User)?;
            }
            sessions::insert(tx, &session)?;
            Ok(true)
        })?;
        Ok(is_new.then_some(token))
    }

    pub(crate) fn fresh_session(&self, resident: u64, device: &str, means: Means, card: Option<CardBound>) -> (String, Session) {
        let token = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let now = self.now();
        let session = Session {
            token_hash: hash(&token),
            resident,
            opened_at: now,
            proved_at: now,
            seen_at: now,
            device: device.chars().take(60).collect(),
            means,
            card,
        };
        (token, session)
    }

    /// The session of a token, if it is open.
    pub fn session(&self, token: &str) -> Result<Option<OpenSession>, Error> {
        let token_hash = hash(token);
        let now = self.now();
        let found = self.db.read(|conn| {
            let Some(session) = sessions::find(conn, &token_hash)? else { return Ok::<_, Error>(None) };
            let state = residents::state(conn, session.resident)?;
            let card = match session.card {
                Some(bound) => certificate_cards::find(conn, &bound.mark)?,
                None => None,
            };
            Ok(Some((session, state, card)))
        })?;
        let Some((session, Some(state), card)) = found else { return Ok(None) };
        if session.means == Means::Certificate {
            let is_before_end = session.card.is_some_and(|bound| now < bound.ends_at);
            let card = card.filter(|card| is_before_end && card.resident == session.resident);
            if !card.map_or(Ok(false), |card| self.is_card_good(&card))? {
                return Ok(None);
            }
        }
        if now.plus(-IDLE) > session.seen_at || now.plus(-ABSOLUTE) > session.opened_at || state == ResidentState::Erased {
            return Ok(None);
        }
        if now.plus(-MINUTE) > session.seen_at {
            self.db.transaction("touch session", move |tx| sessions::touch(tx, &token_hash, now))?;
        }
        let form_token = URL_SAFE_NO_PAD.encode(&hmac_sha256(token.as_bytes(), &[b"usufruct/form/v1"])[..24]);
        Ok(Some(OpenSession {
            resident: session.resident,
            proved_at: session.proved_at,
            form_token,
            state,
            means: session.means,
            token_hash,
        }))
    }

    /// Closes one session.
    pub fn close_session(&self, session: &OpenSession) -> Result<(), Error> {
        let (token_hash, outbox) = (session.token_hash, self.outbox());
        self.db.transaction("close session", move |tx| close(tx, &outbox, &token_hash, Initiator::User))
    }

    /// Closes every session of a resident and kills the tokens that services hold for her.
    pub fn sign_out_everywhere(&self, resident: u64) -> Result<u64, Error> {
        let outbox = self.outbox();
        self.db.transaction("sign out everywhere", move |tx| {
            outbox.signed_out_everywhere(tx, resident)?;
            end_all(tx, resident)
        })
    }

    /// How many sessions a resident has open.
    pub fn session_count(&self, resident: u64) -> Result<i64, Error> {
        Ok(self.db.read(|conn| sessions::count(conn, resident))?)
    }

    /// The sessions a resident has open, the one used last first.
    pub fn sessions(&self, own: &OpenSession) -> Result<Vec<SessionView>, Error> {
        let (resident, now) = (own.resident, self.now());
        let open = self.db.read(|conn| sessions::open_of_resident(conn, resident, now.plus(-IDLE)))?;
        let open = open.into_iter().filter(|session| now.plus(-ABSOLUTE) <= session.opened_at);
        let view = |session: Session| SessionView {
            name: name(&session.token_hash),
            is_own: session.token_hash == own.token_hash,
            device: session.device,
            means: session.means,
            opened_at: session.opened_at,
            seen_at: session.seen_at,
        };
        Ok(open.map(view).collect())
    }

    /// Closes one of the resident's sessions by the name it has in her list.
    pub fn close_session_named(&self, own: &OpenSession, wanted: &str) -> Result<(), Error> {
        let (resident, wanted, outbox) = (own.resident, wanted.to_owned(), self.outbox());
        self.db.transaction("close session", move |tx| {
            let open = sessions::open_of_resident(tx, resident, Time::default())?;
            let found = open.iter().find(|session| name(&session.token_hash) == wanted);
            close(tx, &outbox, &found.ok_or(Error::Unknown { what: "session" })?.token_hash, Initiator::User)
        })
    }

    /// Closes sessions whose time is over, a part of them at a time, so that services learn of it. Answers how many.
    pub(crate) fn end_sessions(&self) -> Result<u64, Error> {
        let now = self.now();
        let (seen_before, opened_before) = (now.plus(-IDLE), now.plus(-ABSOLUTE));
        let outbox = self.outbox();
        self.db.transaction("end sessions", move |tx| {
            let ended = sessions::ended(tx, seen_before, opened_before, now, PART)?;
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
}

impl OpenSession {
    /// Whether the pass is active: neither deactivated nor frozen.
    pub fn is_active(&self) -> bool {
        self.state == ResidentState::Active
    }

    /// Whether she proved herself with a passkey so lately that steps which cannot be taken back may follow.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.means == Means::Passkey && now.plus(-STEP_UP) <= self.proved_at
    }
}

/// Closes the sessions of a resident that `which` picks, and tells the services they signed in to.
pub(crate) fn close_where(
    tx: &mut Tx<'_>,
    outbox: &Outbox,
    resident: u64,
    by: Initiator,
    which: impl Fn(&Session) -> bool,
) -> Result<(), Error> {
    let open = sessions::open_of_resident(tx, resident, Time::default())?;
    open.iter().filter(|session| which(session)).try_for_each(|session| close(tx, outbox, &session.token_hash, by))
}

pub(crate) fn close(tx: &mut Tx<'_>, outbox: &Outbox, token_hash: &Digest, by: Initiator) -> Result<(), Error> {
    outbox.session_closed(tx, token_hash, by)?;
    Ok(sessions::delete(tx, token_hash)?)
}

/// Ends every session of a resident, and what services hold for her. They are told before, by the outbox.
pub(crate) fn end_all(tx: &mut Tx<'_>, resident: u64) -> Result<u64, Error> {
    tokens::delete_of_resident(tx, resident, None)?;
    codes::delete_of_resident(tx, resident, None)?;
    refresh_tokens::delete_of_resident(tx, resident)?;
    Ok(sessions::delete_all(tx, resident)?)
}

/// A name for a session that leads to nothing but the session.
fn name(token_hash: &Digest) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(&[&b"usufruct/session-name/v1\n"[..], &token_hash.0].concat()).0[..16])
}

pub(crate) fn hash(secret: &str) -> Digest {
    sha256(secret.as_bytes())
}
