//! What happens to a resident, written down for the services that have to know, in the transaction in which it happens.
//!
//! Every service gets a message of its own: under its own pseudonym, with names that nobody else gets. The pseudonym is sealed under
//! the key of its sector, because the seed behind it may be gone when the message leaves, and so that no row of the store holds it beside
//! anything that leads to the resident.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use usufruct_core::certificate::Cause;
use usufruct_core::id::{DeletionId, MandateId, ServiceId};
use usufruct_core::means::Means;
use usufruct_core::ports::{Rng, random};
use usufruct_core::register::Register;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::deletions::Deletion;
use usufruct_store::outbox::{self, Channel, Message};
use usufruct_store::session_services::{self, SessionService};
use usufruct_store::streams::{self, Stream};
use usufruct_store::{authorizations, keyrings, sessions};
use usufruct_vault::{Error as VaultError, Keyring, Vault};

use crate::row_mark::true_authorizations;
use crate::spread::Spread;
use crate::withdraw::services_under;
use crate::{App, Error};

/// Types of event that are told (CAEP 1.0, and our own).
pub const EVENT_TYPES: &[&str] = &[
    SESSION_REVOKED,
    CREDENTIAL_CHANGE,
    ASSURANCE_LEVEL_CHANGE,
    GRANT_WITHDRAWN,
    MANDATE_ENDED,
    ACCOUNT_FROZEN,
    ACCOUNT_UNFROZEN,
    DELETION_DUE,
    PSEUDONYM_REPLACED,
];

/// A message that one service has to get.
#[derive(Clone, Debug)]
pub struct Event {
    /// Random; no other service gets the same.
    pub id: String,
    pub service: ServiceId,
    /// When the service might hear of it. It happened then or, where it is about a resident, up to some minutes before.
    pub ready_at: Time,
    pub told: Told,
}

/// What one service is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The resident as the service knew her when it happened; `None` where it is about no resident.
    pub subject: Option<String>,
    /// Joins the messages of one event about one resident at one service; no other service gets the same.
    pub txn: String,
    pub happening: Happening,
}

/// What one service is told, as its row keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(flatten)]
    pub told: Told,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
}

/// A pseudonym for which the second keeper is still needed: the resident and her generation, sealed by the house when it happened.
#[derive(Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// Name under which it is sealed.
    pub name: String,
    /// The seal, in base64url.
    pub sealed: String,
}

/// Whom a message is about.
enum About {
    Nobody,
    Subject(String),
    Awaited(Awaited),
}

/// What has happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happening {
    /// One session ended, which the service knows by this name.
    SessionEnded {
        sid: String,
        by: Initiator,
    },
    /// All her sessions ended.
    AllSessionsEnded {
        by: Initiator,
    },
    CredentialChanged {
        credential: Credential,
        change: CredentialChange,
    },
    /// The surest means of her account changed; both as authentication context classes.
    AssuranceChanged {
        from: String,
        to: String,
    },
    GrantWithdrawn {
        mandate: MandateId,
    },
    /// A mandate ended by its date (`sunset`) or before (`revocation`).
    MandateEnded {
        mandate: MandateId,
        cause: String,
    },
    AccountFrozen,
    AccountUnfrozen,
    /// The service has to delete; `mandate` is `None` where she deleted her whole pass.
    DeletionDue {
        deletion: DeletionId,
        mandate: Option<MandateId>,
        due_at: Time,
    },
    /// The service knows her by another pseudonym from now on; without one it learns it when she signs in.
    PseudonymReplaced {
        next: Option<String>,
    },
    /// The service asked whether its stream works.
    Verification {
        stream: String,
        state: Option<String>,
    },
}

/// Who set off the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initiator {
    /// The resident.
    User,
    /// The clock.
    Policy,
}

/// What a resident can prove herself by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    Card,
    Certificate,
    Passkey,
}

/// What happened to it, in the words of CAEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialChange {
    Create,
    Revoke,
    Update,
}

/// Writes messages. Each method is one thing that can happen, called inside the transaction in which it does.
pub(crate) struct Outbox {
    vault: Arc<Vault>,
    register: Arc<Register>,
    rng: Arc<dyn Rng>,
    spread: Spread,
    now: Time,
    is_urgent: bool,
    /// What joins the messages that one service gets about one resident, by both.
    txns: Mutex<BTreeMap<Digest, String>>,
}

impl App {
    /// The outbox as of now, to be moved into a transaction.
    pub(crate) fn outbox(&self) -> Outbox {
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        let (register, spread, now) = (self.register(), self.spread(), self.now());
        Outbox { vault, register, rng, spread, now, is_urgent: false, txns: Mutex::default() }
    }
}

impl Outbox {
    /// The same for an emergency: services hear of it in the moment in which it happens. That two of them hear of something in one moment is
    /// worth less than that whoever uses her pass is shut out everywhere.
    pub fn at_once(self) -> Self {
        Self { is_urgent: true, ..self }
    }

    /// A session ends. Call it before the session is deleted.
    pub fn session_closed(&self, tx: &mut Tx<'_>, token_hash: &Digest, by: Initiator) -> Result<(), Error> {
        for signed_in in session_services::take(tx, token_hash)? {
            let Some(subject) = self.met(&signed_in)? else { continue };
            self.log_out(tx, &signed_in, &subject, by)?;
            let happening = Happening::SessionEnded { sid: signed_in.sid, by };
            self.signal(tx, &signed_in.service, About::Subject(subject), happening)?;
        }
        Ok(())
    }

    /// All sessions of a resident end, and the tokens that services hold for her. Call it before anything of it is deleted.
    pub fn signed_out_everywhere(&self, tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
        self.log_out_all(tx, resident)?;
        self.signal_all(tx, resident, &Happening::AllSessionsEnded { by: Initiator::User })
    }

    /// Her account takes no sign-in and gives no data until further notice. Services end her sessions; whether sessions here end too is
    /// the caller's to say.
    pub fn account_frozen(&self, tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
        self.log_out_all(tx, resident)?;
        self.signal_all(tx, resident, &Happening::AccountFrozen)
    }

    /// Her account is in use again.
    pub fn account_unfrozen(&self, tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
        self.signal_all(tx, resident, &Happening::AccountUnfrozen)
    }

    /// Something by which she proves herself was added, changed or removed.
    pub fn credential_changed(
        &self,
        tx: &mut Tx<'_>,
        resident: u64,
        credential: Credential,
        change: CredentialChange,
    ) -> Result<(), Error> {
        self.signal_all(tx, resident, &Happening::CredentialChanged { credential, change })
    }

    /// The surest means that her account has changed.
    pub fn assurance_changed(&self, tx: &mut Tx<'_>, resident: u64, from: Means, to: Means) -> Result<(), Error> {
        let happening = Happening::AssuranceChanged { from: from.acr().to_owned(), to: to.acr().to_owned() };
        self.signal_all(tx, resident, &happening)
    }

    /// She withdrew from a mandate. Call it before she gets another pseudonym at these services.
    pub fn grant_withdrawn(
        &self,
        tx: &mut Tx<'_>,
        resident: u64,
        services: &[ServiceId],
        mandate: &MandateId,
    ) -> Result<(), Error> {
        let happening = Happening::GrantWithdrawn { mandate: mandate.clone() };
        self.signal_as(tx, resident, services.iter().cloned().collect(), &happening)
    }

    /// What these services hold for her ends with something that is none of theirs: whoever let her in is told what it is told when she signs
    /// out everywhere. Call it before anything of it is deleted.
    pub fn shut_out(&self, tx: &mut Tx<'_>, resident: u64, services: &BTreeSet<ServiceId>) -> Result<(), Error> {
        let known = true_authorizations(&self.vault, authorizations::of_resident(tx, resident, None)?)?;
        let hold = known.into_iter().filter(|known| known.ends_at > self.now).map(|known| known.service);
        let told = hold.filter(|service| services.contains(service)).collect();
        self.signal_as(tx, resident, told, &Happening::AllSessionsEnded { by: Initiator::User })
    }

    /// These services know her by another pseudonym. Call it before she gets it.
    pub fn pseudonym_replaced(
        &self,
        tx: &mut Tx<'_>,
        resident: u64,
        services: BTreeSet<ServiceId>,
        next: Option<String>,
    ) -> Result<(), Error> {
        self.signal_as(tx, resident, services, &Happening::PseudonymReplaced { next })
    }

    /// A mandate ended for everybody.
    pub fn mandate_ended(&self, tx: &mut Tx<'_>, mandate: &MandateId, cause: Cause) -> Result<(), Error> {
        for service in services_under(&self.register, mandate) {
            let happening = Happening::MandateEnded { mandate: mandate.clone(), cause: cause.code().to_owned() };
            self.signal(tx, &service, About::Nobody, happening)?;
        }
        Ok(())
    }

    /// Services have to delete what these notices say.
    pub fn deletions_due(&self, tx: &mut Tx<'_>, notices: &[Deletion]) -> Result<(), Error> {
        for notice in notices {
            let Some(sector) = self.sector(&notice.service) else { continue };
            let about = match &notice.sealed {
                None => About::Nobody,
                Some(sealed) => match self.vault.open_subject(sector, notice.id.as_str(), sealed) {
                    Ok(subject) => About::Subject(subject.to_string()),
                    // Who withdraws does not wait for a second keeper; the message does.
                    Err(VaultError::Keeper { .. }) => About::Awaited(Awaited::new(notice.id.as_str(), sealed)),
                    Err(error) => return Err(error.into()),
                },
            };
            let known = |(id, entry): (&MandateId, &usufruct_core::register::Entry<_>)| {
                (Some(entry.number) == notice.mandate).then(|| id.clone())
            };
            let happening = Happening::DeletionDue {
                deletion: notice.id.clone(),
                mandate: self.register.mandates.iter().find_map(known),
                due_at: notice.due_at,
            };
            // It says that there is a notice, so it comes no sooner.
            self.signal_from(tx, &notice.service, about, happening, notice.ready_at)?;
        }
        Ok(())
    }

    /// A service asked for a sign of life on its stream.
    pub fn verification(&self, tx: &mut Tx<'_>, stream: &Stream, state: Option<String>) -> Result<(), Error> {
        self.signal(tx, &stream.service, About::Nobody, Happening::Verification { stream: stream.id.clone(), state })
    }

    /// Logout tokens to the services of every session of a resident.
    fn log_out_all(&self, tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
        for token_hash in sessions::of_resident(tx, resident)? {
            for signed_in in session_services::take(tx, &token_hash)? {
                if let Some(subject) = self.met(&signed_in)? {
                    self.log_out(tx, &signed_in, &subject, Initiator::User)?;
                }
            }
        }
        Ok(())
    }

    /// A logout token to a service that takes them.
    fn log_out(&self, tx: &mut Tx<'_>, signed_in: &SessionService, subject: &str, by: Initiator) -> Result<(), Error> {
        let entry = self.register.services.get(&signed_in.service);
        if entry.is_none_or(|entry| entry.body.backchannel_logout_uri.is_none()) {
            return Ok(());
        }
        let happening = Happening::SessionEnded { sid: signed_in.sid.clone(), by };
        self.put(tx, &signed_in.service, Channel::Logout, About::Subject(subject.to_owned()), happening, None)
    }

    /// A signal to every service that the resident has authorized, under the pseudonym that it knows her by now. Nobody else learns that
    /// she exists.
    fn signal_all(&self, tx: &mut Tx<'_>, resident: u64, happening: &Happening) -> Result<(), Error> {
        let known = true_authorizations(&self.vault, authorizations::of_resident(tx, resident, None)?)?;
        self.signal_as(tx, resident, known.into_iter().map(|authorization| authorization.service).collect(), happening)
    }

    fn signal_as(
        &self,
        tx: &mut Tx<'_>,
        resident: u64,
        services: BTreeSet<ServiceId>,
        happening: &Happening,
    ) -> Result<(), Error> {
        let mut keyring: Option<Keyring> = None;
        for service in services {
            let Some(sector) = self.sector(&service) else { continue };
            if streams::of_service(tx, &service)?.is_none() {
                continue;
            }
            let keyring = match &keyring {
                Some(keyring) => keyring,
                None => {
                    let candidates = keyrings::candidates(tx, resident)?;
                    let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
                    keyring.insert(self.vault.keyring(resident, &sealed)?)
                }
            };
            let about = match self.vault.subject(sector, keyring) {
                Ok(subject) => About::Subject(subject.to_string()),
                // Its pseudonyms are noise to everybody; there is no name left by which to tell it.
                Err(VaultError::NoKey { .. }) => continue,
                // She does not wait for a second keeper; the message does.
                Err(VaultError::Keeper { .. }) => {
                    let name = self.name("");
                    let sealed = self.vault.seal_subject(sector, keyring, &name, self.rng.as_ref())?;
                    About::Awaited(Awaited::new(&name, &sealed))
                }
                Err(error) => return Err(error.into()),
            };
            self.signal(tx, &service, about, happening.clone())?;
        }
        Ok(())
    }

    /// A signal on the stream of a service, if it has one that takes such signals.
    fn signal(&self, tx: &mut Tx<'_>, service: &ServiceId, about: About, happening: Happening) -> Result<(), Error> {
        self.signal_from(tx, service, about, happening, None)
    }

    /// As [`Outbox::signal`], and not before `earliest`.
    fn signal_from(
        &self,
        tx: &mut Tx<'_>,
        service: &ServiceId,
        about: About,
        happening: Happening,
        earliest: Option<Time>,
    ) -> Result<(), Error> {
        let Some(stream) = streams::of_service(tx, service)? else { return Ok(()) };
        let wanted = match happening.event_type() {
            None => true,
            Some(event_type) => stream.events.is_none_or(|events| events.iter().any(|asked| asked == event_type)),
        };
        if stream.status == streams::Status::Disabled || !wanted {
            return Ok(());
        }
        self.put(tx, service, Channel::Signal, about, happening, earliest)
    }

    fn put(
        &self,
        tx: &mut Tx<'_>,
        service: &ServiceId,
        channel: Channel,
        about: About,
        happening: Happening,
        earliest: Option<Time>,
    ) -> Result<(), Error> {
        let Some(sector) = self.sector(service) else { return Ok(()) };
        let id = self.name("evt_");
        let mut ready_at = if self.is_urgent { earliest } else { self.spread.ready_at(service, self.now).max(earliest) };
        let mut line = None;
        let (subject, awaited) = match about {
            About::Nobody => {
                // What is public or asked for need not wait.
                ready_at = None;
                (None, None)
            }
            About::Subject(subject) => {
                let named = [&b"usufruct/outbox-line/v1"[..], service.as_str().as_bytes(), subject.as_bytes()];
                let known = Digest(self.vault.session_mark(&named)?);
                if self.is_urgent {
                    // What waits goes first, or word that she lifted a freeze before would come after this one.
                    outbox::ready_line(tx, &known, self.now)?;
                } else {
                    // Word of an unfreezing must not come before word of the freeze.
                    ready_at = ready_at.max(outbox::last_of_line(tx, &known)?);
                }
                line = Some(known);
                (Some(subject), None)
            }
            About::Awaited(awaited) => (None, Some(awaited)),
        };
        let txn = line.map_or_else(|| self.name(""), |line| self.txn(line));
        let kept = Kept { told: Told { subject, txn, happening }, awaited };
        let plain = serde_json::to_vec(&kept).map_err(|error| Error::Corrupt { what: format!("a message: {error}") })?;
        let sealed = match self.vault.seal_message(sector, &id, &plain, self.rng.as_ref()) {
            Ok(sealed) => sealed,
            Err(VaultError::NoKey { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let life = match channel {
            Channel::Logout => LOGOUT_LIFE,
            Channel::Signal => SIGNAL_LIFE,
        };
        let message = Message {
            id,
            service: service.clone(),
            channel,
            sealed,
            noted_at: self.now,
            ready_at,
            line,
            due_at: self.now,
            attempts: 0,
            ends_at: self.now.plus(life),
        };
        Ok(outbox::insert(tx, &[message])?)
    }

    /// The pseudonym by which a service met the resident in a session. A row that somebody has altered ends nothing but itself.
    fn met(&self, signed_in: &SessionService) -> Result<Option<String>, Error> {
        let Some(sector) = self.sector(&signed_in.service) else { return Ok(None) };
        match self.vault.open_message(sector, &signed_in.sid, &signed_in.sealed) {
            Ok(subject) => Ok(String::from_utf8(subject.to_vec()).ok()),
            Err(VaultError::NoKey { .. }) => Ok(None),
            Err(VaultError::Unreadable | VaultError::Malformed { .. }) => {
                tracing::error!(service = %signed_in.service, "the record of a sign-in does not open, its service is not told");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn sector(&self, service: &ServiceId) -> Option<u64> {
        self.register.services.get(service).map(|entry| self.register.sector(entry))
    }

    /// What joins the messages of what happens now that one service gets about one resident.
    fn txn(&self, line: Digest) -> String {
        let mut txns = self.txns.lock().unwrap_or_else(PoisonError::into_inner);
        txns.entry(line).or_insert_with(|| self.name("")).clone()
    }

    /// 128 random bits behind a prefix. No time is in it: the same one would be in the names that other services get.
    fn name(&self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<16>(self.rng.as_ref())))
    }
}

impl Awaited {
    fn new(name: &str, sealed: &[u8]) -> Self {
        Self { name: name.to_owned(), sealed: URL_SAFE_NO_PAD.encode(sealed) }
    }

    /// The pseudonym, once the second keeper takes part.
    pub(crate) fn subject(&self, vault: &Vault, sector: u64) -> Result<String, VaultError> {
        let sealed = URL_SAFE_NO_PAD.decode(&self.sealed).map_err(|_| VaultError::Malformed { what: "an awaited pseudonym" })?;
        Ok(vault.open_subject(sector, &self.name, &sealed)?.to_string())
    }
}

impl Happening {
    /// Its type in a security event token; `None` for what belongs to the stream itself and is always told.
    pub fn event_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::SessionEnded { .. } | Self::AllSessionsEnded { .. } => SESSION_REVOKED,
            Self::CredentialChanged { .. } => CREDENTIAL_CHANGE,
            Self::AssuranceChanged { .. } => ASSURANCE_LEVEL_CHANGE,
            Self::GrantWithdrawn { .. } => GRANT_WITHDRAWN,
            Self::MandateEnded { .. } => MANDATE_ENDED,
            Self::AccountFrozen => ACCOUNT_FROZEN,
            Self::AccountUnfrozen => ACCOUNT_UNFROZEN,
            Self::DeletionDue { .. } => DELETION_DUE,
            Self::PseudonymReplaced { .. } => PSEUDONYM_REPLACED,
            Self::Verification { .. } => return None,
        })
    }
}

/// How long a logout token is tried.
const LOGOUT_LIFE: i64 = DAY;
/// How long a signal is tried or waits to be fetched. The protocol's own: by then a service has asked for its keys anew, and no law speaks of it.
const SIGNAL_LIFE: i64 = 7 * DAY;

const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const CREDENTIAL_CHANGE: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
const ASSURANCE_LEVEL_CHANGE: &str = "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change";
const GRANT_WITHDRAWN: &str = "urn:usufruct:event:grant-withdrawn";
const MANDATE_ENDED: &str = "urn:usufruct:event:mandate-ended";
const ACCOUNT_FROZEN: &str = "urn:usufruct:event:account-frozen";
const ACCOUNT_UNFROZEN: &str = "urn:usufruct:event:account-unfrozen";
const DELETION_DUE: &str = "urn:usufruct:event:deletion-due";
const PSEUDONYM_REPLACED: &str = "urn:usufruct:event:pseudonym-replaced";
