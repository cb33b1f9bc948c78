//! Streams: a service says how it wants to be told what happens, and fetches it (OpenID Shared Signals Framework 1.0).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::id::ServiceId;
use usufruct_core::ports::random;
use usufruct_core::time::SECOND;
use usufruct_store::db::Connection;
use usufruct_store::outbox;
use usufruct_store::streams::{self, Method, Status, Stream};

use crate::deliver::Opened;
use crate::sign_in::active_service;
use crate::{App, Error, OwnCaller, PolledEvents};

/// Scope of a service's own token that changes its stream.
pub const MANAGE_SCOPE: &str = "ssf.manage";
/// Scope of a service's own token that reads its stream.
pub const READ_SCOPE: &str = "ssf.read";
/// Between two verifications of a stream.
pub const VERIFY_EVERY_SECONDS: i64 = 10;

/// What a service asks of its stream.
#[derive(Clone)]
pub struct StreamRequest {
    /// Where to push to, an address of the register; `None` for a service that polls.
    pub endpoint: Option<String>,
    /// What to send as `Authorization` with a push.
    pub authorization_header: Option<String>,
    /// Types of event; `None` for all.
    pub events: Option<Vec<String>>,
    pub description: Option<String>,
}

impl App {
    /// Makes the stream of a service, which has none.
    pub fn create_stream(&self, caller: impl Into<OwnCaller>, request: StreamRequest) -> Result<Stream, Error> {
        let (caller, now) = (caller.into(), self.now());
        let id = format!("str_{}", URL_SAFE_NO_PAD.encode(random::<16>(self.rng())));
        let stream = Stream {
            id,
            service: caller.service.clone(),
            status: Status::Enabled,
            reason: None,
            method: Method::Poll,
            endpoint: None,
            authorization_header: None,
            events: None,
            description: None,
            created_at: now,
            verified_at: None,
        };
        let stream = self.filled(stream, request)?;
        let made = stream.clone();
        self.db.transaction("make stream", move |tx| {
            caller.permit(tx, now)?;
            if streams::of_service(tx, &made.service)?.is_some() {
                return Err(Error::refused("This service has a stream.", "Change it, or delete it first."));
            }
            Ok::<_, Error>(streams::insert(tx, &made)?)
        })?;
        Ok(stream)
    }

    /// The stream of a service.
    pub fn stream(&self, service: &ServiceId) -> Result<Option<Stream>, Error> {
        Ok(self.db.read(|conn| streams::of_service(conn, service))?)
    }

    /// Sets how a service is told from now on. What waits is told in the new way.
    pub fn change_stream(&self, caller: impl Into<OwnCaller>, id: &str, request: StreamRequest) -> Result<Stream, Error> {
        let caller = caller.into();
        let stream = self.filled(self.stream_by(&caller.service, id)?, request)?;
        let (changed, now) = (stream.clone(), self.now());
        self.db.transaction("change stream", move |tx| {
            caller.permit(tx, now)?;
            if !streams::update(tx, &changed)? {
                return Err(Error::Unknown { what: "stream" });
            }
            Ok::<_, Error>(outbox::hasten(tx, &changed.service, now)?)
        })?;
        Ok(stream)
    }

    /// Lets events flow, holds them, or drops them. What was held flows at once.
    pub fn set_stream_status(
        &self,
        caller: impl Into<OwnCaller>,
        id: &str,
        status: Status,
        reason: Option<String>,
    ) -> Result<Stream, Error> {
        let caller = caller.into();
        let mut stream = self.stream_by(&caller.service, id)?;
        (stream.status, stream.reason) = (status, reason);
        let (changed, now) = (stream.clone(), self.now());
        self.db.transaction("set stream status", move |tx| {
            caller.permit(tx, now)?;
            if !streams::update(tx, &changed)? {
                return Err(Error::Unknown { what: "stream" });
            }
            match status {
                Status::Disabled => outbox::delete_signals(tx, &changed.service).map(drop)?,
                Status::Enabled => outbox::hasten(tx, &changed.service, now)?,
                Status::Paused => {}
            }
            Ok::<_, Error>(())
        })?;
        Ok(stream)
    }

    /// Deletes the stream of a service with everything that waits for it.
    pub fn delete_stream(&self, caller: impl Into<OwnCaller>, id: &str) -> Result<(), Error> {
        let (caller, now, id) = (caller.into(), self.now(), id.to_owned());
        let is_gone = self.db.transaction("delete stream", move |tx| {
            caller.permit(tx, now)?;
            Ok::<_, Error>(streams::delete(tx, &id, &caller.service)?)
        })?;
        if is_gone { Ok(()) } else { Err(Error::Unknown { what: "stream" }) }
    }

    /// Sends a sign of life on a stream, with the word the service gave for it. A paused stream holds it, a disabled one drops it.
    pub fn verify_stream(&self, caller: impl Into<OwnCaller>, id: &str, state: Option<String>) -> Result<(), Error> {
        let (now, outbox, caller, id) = (self.now(), self.outbox(), caller.into(), id.to_owned());
        self.db.transaction("verify stream", move |tx| {
            caller.permit(tx, now)?;
            let mut stream = own_stream(tx, &caller.service, &id)?;
            if stream.verified_at.is_some_and(|last| now < last.plus(VERIFY_EVERY_SECONDS * SECOND)) {
                return Err(Error::TooSoon { seconds: VERIFY_EVERY_SECONDS });
            }
            stream.verified_at = Some(now);
            streams::update(tx, &stream)?;
            outbox.verification(tx, &stream, state.clone())
        })
    }

    /// Notes which events a service has, and which it cannot use; neither comes again.
    pub fn acknowledge_events(&self, caller: impl Into<OwnCaller>, id: &str, ids: Vec<String>) -> Result<(), Error> {
        let (caller, now) = (caller.into(), self.now());
        self.stream_by(&caller.service, id)?;
        if ids.is_empty() {
            return Ok(());
        }
        self.db.transaction("acknowledge events", move |tx| {
            caller.permit(tx, now)?;
            Ok::<_, Error>(outbox::acknowledge(tx, &caller.service, &ids)?)
        })
    }

    /// Up to `limit` events that wait for a service that polls, oldest first. Each comes again until it is acknowledged. A service asks again
    /// and again while nothing waits for it, so its token is looked at each time.
    pub fn waiting_events(&self, caller: impl Into<OwnCaller>, id: &str, limit: usize) -> Result<PolledEvents, Error> {
        let (caller, now) = (caller.into(), self.now());
        let mut messages = self.db.read(|conn| {
            caller.permit(conn, now)?;
            let stream = own_stream(conn, &caller.service, id)?;
            if stream.status != Status::Enabled || stream.method != Method::Poll {
                return Ok(Vec::new());
            }
            Ok::<_, Error>(outbox::waiting(conn, &caller.service, now, limit.saturating_add(1))?)
        })?;
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        let register = self.register();
        let mut events = Vec::with_capacity(messages.len());
        for message in &messages {
            if let Opened::Event(event) = self.open_event(&register, message)? {
                events.push(event);
            }
        }
        // Who got nothing has nothing to acknowledge, and would ask for the same again at once.
        let has_more = has_more && (messages.is_empty() || !events.is_empty());
        Ok(PolledEvents { events, has_more })
    }

    fn stream_by(&self, service: &ServiceId, id: &str) -> Result<Stream, Error> {
        self.db.read(|conn| own_stream(conn, service, id))
    }

    /// The stream as the request wants it.
    fn filled(&self, mut stream: Stream, request: StreamRequest) -> Result<Stream, Error> {
        let register = self.register();
        let entry = active_service(&register, &stream.service)?;
        if request.endpoint.is_some() && request.endpoint != entry.body.signals_uri {
            return Err(Error::ForeignAddress);
        }
        let seal = |secret: &String| self.vault.seal_message(register.sector(entry), &stream.id, secret.as_bytes(), self.rng());
        stream.authorization_header = request.authorization_header.as_ref().map(seal).transpose()?;
        stream.method = if request.endpoint.is_some() { Method::Push } else { Method::Poll };
        stream.endpoint = request.endpoint;
        stream.events = request.events;
        stream.description = request.description;
        Ok(stream)
    }
}

/// The stream of a service, if it has this id. Another service's is not told apart from none.
fn own_stream(conn: &mut dyn Connection, service: &ServiceId, id: &str) -> Result<Stream, Error> {
    let found = streams::of_service(conn, service)?.filter(|stream| stream.id == id);
    found.ok_or(Error::Unknown { what: "stream" })
}
