//! Act for somebody: a session of its own that hangs on the delegate's, so that neither the browser nor a service mixes the two up.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::delegation::{Power, Powers, Role};
use usufruct_core::event::Kind;
use usufruct_core::means::Means;
use usufruct_core::ports::random;
use usufruct_core::time::MINUTE;
use usufruct_core::{Digest, Time};
use usufruct_store::sessions::{self, Acts, Session};

use crate::actor::{is_active, keyring_in, open_word, place_by};
use crate::erase::plain_event;
use crate::row_mark::{find_delegation, find_session, of_session};
use crate::session::{close, form_token, hash, is_over};
use crate::{Actor, App, Error, Initiator, OpenSession};

/// Reason of the line that a person gets when her delegate looks at something.
const LOOKED: &str = "looked";

/// For whom a session acts, and within what.
#[derive(Clone, Debug)]
pub struct Acting {
    pub(crate) delegation: String,
    pub(crate) token_hash: Digest,
    pub person: u64,
    pub role: Role,
    pub powers: Powers,
    /// What the delegate calls the person.
    pub called: String,
    pub ends_at: Time,
}

impl App {
    /// Begins to act for the person of a delegation. The delegate has signed in with a passkey of her own. Answers the token that the browser
    /// keeps beside the one of her own session, and which works with that one only.
    pub fn begin_acting(&self, session: &OpenSession, delegation: &str) -> Result<String, Error> {
        if session.acting.is_some() || session.means != Means::Passkey {
            return Err(Error::NotGiven);
        }
        let (now, id) = (self.now(), delegation.to_owned());
        let (own, resident) = (session.token_hash, session.resident);
        let token = URL_SAFE_NO_PAD.encode(random::<32>(self.rng()));
        let token_hash = hash(&token);
        let (outbox, vault, actor) = (self.outbox(), Arc::clone(&self.vault), session.herself()?);
        self.db.transaction("begin acting", move |tx| {
            actor.permit(tx, &vault, now)?;
            let found =
                find_delegation(tx, &vault, &id)?.filter(|found| found.is_in_force(now) && found.delegate == Some(resident));
            let found = found.ok_or(Error::Unknown { what: "person for whom you may act" })?;
            if !is_active(tx, found.person)? || !is_active(tx, resident)? {
                return Err(Error::NotGiven);
            }
            let parent = find_session(tx, &vault, &own)?.ok_or(Error::NotGiven)?;
            // One person at a time in a browser.
            for other in sessions::children(tx, &own)? {
                close(tx, &outbox, &other, Initiator::User)?;
            }
            let mut child = Session {
                token_hash,
                resident,
                opened_at: parent.opened_at,
                proved_at: parent.proved_at,
                seen_at: now,
                device: parent.device,
                means: Means::Delegate,
                acts: Some(Acts { parent: own, delegation: id.clone() }),
                card: None,
                mark: None,
            };
            child.mark = Some(of_session(&vault, &child)?);
            Ok(sessions::insert(tx, &child)?)
        })?;
        Ok(token)
    }

    /// The session as it acts for somebody by a token that the browser keeps beside it; `None` where that token is of another session, or what it
    /// stands for has ended.
    pub fn acting(&self, own: &OpenSession, token: &str) -> Result<Option<OpenSession>, Error> {
        let (now, token_hash) = (self.now(), hash(token));
        if !own.is_active() || own.means != Means::Passkey || own.acting.is_some() {
            return Ok(None);
        }
        let found = self.db.read(|conn| {
            let Some(child) = find_session(conn, &self.vault, &token_hash)? else { return Ok::<_, Error>(None) };
            let Some(acts) = &child.acts else { return Ok(None) };
            let Some(delegation) = find_delegation(conn, &self.vault, &acts.delegation)? else { return Ok(None) };
            let is_own = acts.parent == own.token_hash && delegation.delegate == Some(own.resident);
            if !is_own || is_over(&child, now) || !delegation.is_in_force(now) || !is_active(conn, delegation.person)? {
                return Ok(None);
            }
            let keyring = keyring_in(conn, &self.vault, own.resident)?;
            let called = open_word(&self.vault, &keyring, delegation.person_called.as_deref())?;
            Ok(Some((child, delegation, called)))
        })?;
        let Some((child, delegation, called)) = found else { return Ok(None) };
        if now.plus(-MINUTE) > child.seen_at {
            self.db.transaction("touch session", move |tx| sessions::touch(tx, &token_hash, now))?;
        }
        Ok(Some(OpenSession {
            // A form of hers is no form of the person's, nor the other way round.
            form_token: form_token(token),
            means: Means::Delegate,
            acting: Some(Acting {
                delegation: delegation.id,
                token_hash,
                person: delegation.person,
                role: delegation.role,
                powers: delegation.powers,
                called,
                ends_at: delegation.ends_at,
            }),
            ..own.clone()
        }))
    }

    /// Acts for nobody any more. Services where she signed in for the person are told that the session ended.
    pub fn stop_acting(&self, session: &OpenSession) -> Result<(), Error> {
        let Some(acting) = &session.acting else { return Ok(()) };
        let (token_hash, outbox) = (acting.token_hash, self.outbox());
        self.db.transaction("stop acting", move |tx| close(tx, &outbox, &token_hash, Initiator::User))
    }

    /// The resident whose things are looked at. When a delegate looks, both see so, once in a session for each kind of thing.
    pub fn look(&self, session: &OpenSession, power: Power) -> Result<u64, Error> {
        let actor = session.actor(&[power])?;
        let person = actor.resident;
        if let Some(token_hash) = actor.token_hash() {
            self.note_look(actor, token_hash, power)?;
        }
        Ok(person)
    }

    fn note_look(&self, actor: Actor, token_hash: Digest, power: Power) -> Result<(), Error> {
        let (now, vault, rng) = (self.now(), Arc::clone(&self.vault), Arc::clone(&self.rng));
        self.db.transaction("look", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if sessions::look(tx, &token_hash, power.code())? {
                let keyring = keyring_in(tx, &vault, actor.resident)?;
                let event = plain_event(Kind::Delegation, LOOKED, Some(power.code().to_owned()), now);
                place_by(tx, &keyring, event, both.as_ref(), rng.as_ref())?;
            }
            Ok::<_, Error>(())
        })
    }
}
