//! Bring messages to services: take those that are due, and say what came of each.
//!
//! A message that is taken is due again a minute later. So a process that dies while it sends loses nothing, and a service may get a
//! message twice, under the same name.

use usufruct_core::Time;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::time::{HOUR, MINUTE, SECOND};
use usufruct_store::outbox::{self, Channel, Message};
use usufruct_store::streams;
use usufruct_vault::Error as VaultError;

use crate::outbox::Kept;
use crate::{App, Error, Event};

/// A message that is to be sent now.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub event: Event,
    pub channel: Channel,
    /// An address of the register.
    pub url: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
}

/// What waits for a service that polls.
#[derive(Clone, Debug, Default)]
pub struct PolledEvents {
    pub events: Vec<Event>,
    /// Whether there are more than were asked for.
    pub has_more: bool,
}

/// What became of opening a message.
pub(crate) enum Opened {
    Event(Event),
    /// The second keeper is away, without whom nobody knows under which pseudonym it is told.
    Later,
    /// It cannot be opened any more, because the sector is dissolved or the row was altered.
    Never,
}

impl App {
    /// Up to `limit` messages that are due. Whoever takes one must settle it by one of the next three verbs within a minute, or
    /// it is due again.
    pub fn due_messages(&self, limit: usize) -> Result<Vec<Outgoing>, Error> {
        let now = self.now();
        let taken = self.db.transaction("lease messages", move |tx| outbox::lease(tx, now, now.plus(LEASE), limit))?;
        let register = self.register();
        let mut due = Vec::with_capacity(taken.len());
        for message in taken {
            let event = match self.open_event(&register, &message)? {
                Opened::Event(event) => event,
                Opened::Later => {
                    self.put_off(message, now)?;
                    continue;
                }
                Opened::Never => {
                    self.drop_message(&message)?;
                    continue;
                }
            };
            let Some(url) = self.address(&register, &message)? else {
                // Its service is gone, or takes such messages at no address of the register for now.
                self.put_off(message, now)?;
                continue;
            };
            due.push(Outgoing { event, channel: message.channel, url, attempts: message.attempts });
        }
        Ok(due)
    }

    /// The service has the message.
    pub fn message_taken(&self, sent: &Outgoing) -> Result<(), Error> {
        let id = sent.event.id.clone();
        Ok(self.db.transaction("settle message", move |tx| outbox::settle(tx, &id))?)
    }

    /// The service answered, and did not take this message. Others may still reach it.
    pub fn message_refused(&self, sent: &Outgoing) -> Result<(), Error> {
        let (id, attempts, due_at) = (sent.event.id.clone(), sent.attempts, self.now().plus(back_off(sent.attempts)));
        Ok(self.db.transaction("put message off", move |tx| outbox::put_off(tx, &id, attempts, due_at))?)
    }

    /// The service could not be reached or is in trouble. Everything that would be sent to it on this channel waits as long as the
    /// message that failed; `untried` were taken with it and not sent.
    pub fn receiver_failed(&self, sent: &Outgoing, untried: &[Outgoing]) -> Result<(), Error> {
        let due_at = self.now().plus(back_off(sent.attempts));
        let (service, channel) = (sent.event.service.clone(), sent.channel);
        let all: Vec<(String, i64)> =
            std::iter::once(sent).chain(untried).map(|sent| (sent.event.id.clone(), sent.attempts)).collect();
        self.db.transaction("put messages off", move |tx| {
            for (id, attempts) in &all {
                outbox::put_off(tx, id, *attempts, due_at)?;
            }
            Ok::<_, Error>(outbox::put_off_all(tx, &service, channel, due_at)?)
        })
    }

    /// The secret that goes with pushes to a service, as the service gave it.
    pub fn push_authorization(&self, service: &ServiceId) -> Result<Option<String>, Error> {
        let Some(stream) = self.db.read(|conn| streams::of_service(conn, service))? else { return Ok(None) };
        let Some(sealed) = &stream.authorization_header else { return Ok(None) };
        let register = self.register();
        let entry = register.services.get(service).ok_or(Error::Unknown { what: "service" })?;
        let plain = self.vault.open_message(register.sector(entry), &stream.id, sealed)?;
        Ok(String::from_utf8(plain.to_vec()).ok())
    }

    /// What a message says.
    pub(crate) fn open_event(&self, register: &Register, message: &Message) -> Result<Opened, Error> {
        let Some(entry) = register.services.get(&message.service) else { return Ok(Opened::Never) };
        let sector = register.sector(entry);
        let plain = match self.vault.open_message(sector, &message.id, &message.sealed) {
            Ok(plain) => plain,
            Err(VaultError::NoKey { .. } | VaultError::Unreadable | VaultError::Malformed { .. }) => return Ok(Opened::Never),
            Err(error) => return Err(error.into()),
        };
        let Ok(Kept { mut told, awaited }) = serde_json::from_slice(&plain) else { return Ok(Opened::Never) };
        if let Some(awaited) = awaited {
            told.subject = match awaited.subject(&self.vault, sector) {
                Ok(subject) => Some(subject),
                Err(VaultError::Keeper { .. }) => return Ok(Opened::Later),
                Err(VaultError::NoKey { .. } | VaultError::Unreadable | VaultError::Malformed { .. }) => {
                    return Ok(Opened::Never);
                }
                Err(error) => return Err(error.into()),
            };
        }
        let (id, service) = (message.id.clone(), message.service.clone());
        Ok(Opened::Event(Event { id, service, ready_at: message.ready_at.unwrap_or(message.noted_at), told }))
    }

    /// Tries a message later.
    fn put_off(&self, message: Message, now: Time) -> Result<(), Error> {
        let due_at = now.plus(back_off(message.attempts));
        Ok(self.db.transaction("put message off", move |tx| outbox::put_off(tx, &message.id, message.attempts, due_at))?)
    }

    /// Where the message goes, as the register says it now.
    fn address(&self, register: &Register, message: &Message) -> Result<Option<String>, Error> {
        let entry = register.services.get(&message.service).filter(|entry| entry.state == State::Active);
        let Some(entry) = entry else { return Ok(None) };
        if message.channel == Channel::Logout {
            return Ok(entry.body.backchannel_logout_uri.clone());
        }
        let stream = self.db.read(|conn| streams::of_service(conn, &message.service))?;
        let endpoint = stream.and_then(|stream| stream.endpoint);
        Ok(endpoint.filter(|endpoint| Some(endpoint) == entry.body.signals_uri.as_ref()))
    }

    fn drop_message(&self, message: &Message) -> Result<(), Error> {
        tracing::warn!(service = %message.service, channel = message.channel.code(), "a message does not open and is dropped");
        let id = message.id.clone();
        Ok(self.db.transaction("drop message", move |tx| outbox::settle(tx, &id))?)
    }

    /// Gives up what no service took in time.
    pub(crate) fn give_up(&self) -> Result<u64, Error> {
        let now = self.now();
        let count = self.db.transaction("give messages up", move |tx| outbox::give_up(tx, now))?;
        if count > 0 {
            tracing::warn!(count, "messages to services were given up, because nobody took them in time");
        }
        Ok(count)
    }
}

/// How long to wait after the `attempts`-th try: 5 seconds, twice as long each time, at most an hour.
fn back_off(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 30)).unwrap_or(0);
    (FIRST_WAIT << doublings).min(LONGEST_WAIT)
}

/// The lease of a message that is being sent: longer than any request may take.
const LEASE: i64 = MINUTE;
const FIRST_WAIT: i64 = 5 * SECOND;
const LONGEST_WAIT: i64 = HOUR;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_an_hour() {
        let seconds: Vec<i64> = [0, 1, 2, 3, 10, 11, 1_000, i64::MAX].map(|n| back_off(n) / SECOND).to_vec();
        assert_eq!(seconds, [5, 5, 10, 20, 2_560, 3_600, 3_600, 3_600]);
    }
}
