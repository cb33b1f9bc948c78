//! Browser sessions: opened by a passkey, closed here or everywhere.

use std::sync::Arc;

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
use usufruct_store::{codes, refresh_tokens, tokens};

use crate::outbox::Outbox;
use crate::row_mark::{find_certificate_card, find_session, of_passkey, of_session};
use crate::{Acting, Actor, App, Error, Initiator};

/// A session ends after this long without a request, and after this long in any case.
const IDLE: i64 = 30 * MINUTE;
const ABSOLUTE: i64 = 12 * HOUR;
/// Sessions ended in one transaction.
const PART: usize = 1_000;

/// How long a sign-in is good for steps that cannot be taken back.
pub(crate) const STEP_UP: i64 = 5 * MINUTE;

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
    /// Set while she acts for another resident.
    pub acting: Option<Acting>,
    /// The mark of the certificate card that opened it.
    pub(crate) card: Option<Digest>,
    /// The hash of the token of her own session.
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
        let (token, session) = self.fresh_session(resident, device, means, None)?;
        self.db.transaction("open session", move |tx| sessions::insert(tx, &session))?;
        Ok(token)
    }

    /// Opens a session for a resident of the demo in a browser that may have one already, somebody's else perhaps: that one ends. Answers the token
    /// of the new one. A real way in opens its session in the transaction that looks at it.
    pub fn replace_session(&self, resident: u64, device: &str, before: Option<&OpenSession>) -> Result<String, Error> {
        let (token, session) = self.fresh_session(resident, device, Means::Passkey, None)?;
        let (before, outbox) = (before.map(|session| session.token_hash), self.outbox());
        self.db.transaction("replace session", move |tx| {
            if let Some(before) = before {
                close(tx, &outbox, &before, Initiator::User)?;
            }
            Ok::<_, Error>(sessions::insert(tx, &session)?)
        })?;
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
        // Who acts for somebody has signed in with a passkey.
        let means = |session: &OpenSession| if session.acting.is_some() { Means::Passkey } else { session.means };
        let before = before.map(|session| (session.token_hash, session.resident, means(session)));
        let (token, session) = self.fresh_session(passkey.resident, device, Means::Passkey, None)?;
        let mark = of_passkey(&self.vault, &credential, passkey.resident, &updated)?;
        let vault = Arc::clone(&self.vault);
        let is_new = self.db.transaction("sign in", move |tx| {
            if !passkeys::update(tx, &credential, &updated, now, &mark)? {
                return Err(Error::Unknown { what: "passkey" });
            }
            if let Some((token_hash, resident, means)) = before {
                if resident == session.resident
                    && means == Means::Passkey
                    && let Some(open) = find_session(tx, &vault, &token_hash)?
                {
                    let mark = of_session(&vault, &Session { proved_at: now, ..open })?;
                    sessions::prove(tx, &token_hash, now, &mark)?;
                    return Ok(false);
                }
                close(tx, &outbox, &token_hash, Initiator::User)?;
            }
            sessions::insert(tx, &session)?;
            Ok(true)
        })?;
        Ok(is_new.then_some(token))
    }

    pub(crate) fn fresh_session(
        &self,
        resident: u64,
        device: &str,
        means: Means,
        card: Option<CardBound>,
    ) -> Result<(String, Session), Error> {
        let token = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let now = self.now();
        let mut session = Session {
            token_hash: hash(&token),
            resident,
            opened_at: now,
            proved_at: now,
            seen_at: now,
            device: device.chars().take(60).collect(),
            means,
            acts: None,
            card,
            mark: None,
        };
        session.mark = Some(of_session(&self.vault, &session)?);
        Ok((token, session))
    }

    /// The session of a token, if it is open.
    pub fn session(&self, token: &str) -> Result<Option<OpenSession>, Error> {
        let token_hash = hash(token);
        let now = self.now();
        let found = self.db.read(|conn| {
            // What acts for another works beside its parent only.
            let Some(session) = find_session(conn, &self.vault, &token_hash)?.filter(|session| session.acts.is_none()) else {
                return Ok::<_, Error>(None);
            };
            let state = residents::state(conn, session.resident)?;
            let card = match session.card {
                Some(bound) => find_certificate_card(conn, &self.vault, &bound.mark)?,
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
        if is_over(&session, now) || state == ResidentState::Erased {
            return Ok(None);
        }
        if now.plus(-MINUTE) > session.seen_at {
            self.db.transaction("touch session", move |tx| sessions::touch(tx, &token_hash, now))?;
        }
        Ok(Some(OpenSession {
            resident: session.resident,
            proved_at: session.proved_at,
            form_token: form_token(token),
            state,
            means: session.means,
            acting: None,
            card: session.card.map(|bound| bound.mark),
            token_hash,
        }))
    }

    /// Closes one session.
    pub fn close_session(&self, session: &OpenSession) -> Result<(), Error> {
        let (token_hash, outbox) = (session.token_hash, self.outbox());
        self.db.transaction("close session", move |tx| close(tx, &outbox, &token_hash, Initiator::User))
    }

    /// Closes every session of a resident and kills the tokens that services hold for her.
    pub fn sign_out_everywhere(&self, actor: impl Into<Actor>) -> Result<u64, Error> {
        let (actor, now, outbox, vault) = (actor.into(), self.now(), self.outbox(), Arc::clone(&self.vault));
        let resident = actor.resident;
        self.db.transaction("sign out everywhere", move |tx| {
            actor.permit(tx, &vault, now)?;
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
        let (actor, now, vault) = (own.herself()?, self.now(), Arc::clone(&self.vault));
        let (resident, wanted, outbox) = (own.resident, wanted.to_owned(), self.outbox());
        self.db.transaction("close session", move |tx| {
            actor.permit(tx, &vault, now)?;
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
                close(tx, &outbox, token_hash, Initiator::Policy)?;
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
        self.means == Means::Passkey && self.is_recent(now)
    }

    /// Whether she proved herself lately, by whatever means opened this session.
    pub fn is_recent(&self, now: Time) -> bool {
        self.acting.is_none() && now.plus(-STEP_UP) <= self.proved_at
    }

    /// Who acts for another does nothing of her own until she stops.
    pub(crate) fn require_own(&self) -> Result<(), Error> {
        if self.acting.is_none() { Ok(()) } else { Err(Error::NotGiven) }
    }

    /// The hash of the token that what is done now hangs on: her own session's, or the one in which she acts.
    pub(crate) fn bound_to(&self) -> &Digest {
        self.acting.as_ref().map_or(&self.token_hash, |acting| &acting.token_hash)
    }
}

/// Whether the time of a session is over.
pub(crate) fn is_over(session: &Session, now: Time) -> bool {
    now.plus(-IDLE) > session.seen_at || now.plus(-ABSOLUTE) > session.opened_at
}

/// What every form of a session carries.
pub(crate) fn form_token(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&hmac_sha256(token.as_bytes(), &[b"usufruct/form/v1"])[..24])
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

/// Ends what was opened by one of a resident's means: the sessions, and the codes and tokens that services hold by them. With the mark of a
/// certificate card only what that card opened. Consents and authorizations stay hers, as in a freeze; without a token they are good for nothing.
pub(crate) fn end_opened(
    tx: &mut Tx<'_>,
    outbox: &Outbox,
    resident: u64,
    means: Means,
    card: Option<&Digest>,
    by: Initiator,
) -> Result<(), Error> {
    let is_of = |session: &Session| {
        session.means == means && card.is_none_or(|card| session.card.is_some_and(|bound| bound.mark == *card))
    };
    close_where(tx, outbox, resident, by, is_of)?;
    let mut opened = codes::of_means(tx, resident, means, card)?;
    opened.extend(refresh_tokens::codes_of_means(tx, resident, means, card)?);
    opened.iter().try_for_each(|code| end_code(tx, code))
}

/// Kills what services hold by a passkey of a resident, whichever it was, except what they got in one session. Neither a session nor what it
/// opened says which passkey it was.
pub(crate) fn end_opened_by_passkeys(tx: &mut Tx<'_>, resident: u64, except: &Digest) -> Result<(), Error> {
    let mut opened = codes::of_other_sessions(tx, resident, Means::Passkey, except)?;
    opened.extend(refresh_tokens::codes_of_other_sessions(tx, resident, Means::Passkey, except)?);
    opened.iter().try_for_each(|code| end_code(tx, code))
}

/// Kills a code and what came of it.
pub(crate) fn end_code(tx: &mut Tx<'_>, code: &Digest) -> Result<(), Error> {
    tokens::delete_of_code(tx, code)?;
    refresh_tokens::delete_of_code(tx, code)?;
    Ok(codes::delete(tx, code)?)
}

/// Closes a session, and those in which its resident acts for others.
pub(crate) fn close(tx: &mut Tx<'_>, outbox: &Outbox, token_hash: &Digest, by: Initiator) -> Result<(), Error> {
    for session in sessions::children(tx, token_hash)?.iter().chain([token_hash]) {
        // Whoever exchanged one now would be signed in after the service was told that the session is over.
        codes::delete_unused_of_session(tx, session)?;
        outbox.session_closed(tx, session, by)?;
        sessions::delete(tx, session)?;
    }
    Ok(())
}

/// Ends every session of a resident and those in which somebody acts for her, and what services hold for her. They are told before, by the
/// outbox.
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
