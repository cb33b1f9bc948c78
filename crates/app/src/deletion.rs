//! Tell services what to delete, and take their answers: the part of an erasure that is out of our hands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::certificate::{Answer, Recipient};
use usufruct_core::event::Kind;
use usufruct_core::id::{CertificateId, DeletionId, MandateId, ServiceId};
use usufruct_core::lawpack::Duty;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_store::authorizations;
use usufruct_store::deletions::{self, Counts, Deletion};
use usufruct_vault::{Error as VaultError, Keyring};

use crate::row_mark::true_authorizations;
use crate::withdraw::services_under;
use crate::{App, Error, Publication};

/// What a service has to delete.
#[derive(Clone, Debug)]
pub struct DeletionNotice {
    pub id: DeletionId,
    /// The resident as the service knew her; `None` when everything it got under the mandate goes.
    pub subject: Option<String>,
    /// Under which mandate it got the data; `None` when all of it goes.
    pub mandate: Option<MandateId>,
    /// When the service might see it first.
    pub noted_at: Time,
    /// A midnight.
    pub due_at: Time,
}

/// What a service was told to delete and has not answered in time. It names nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverdueDeletion {
    pub id: DeletionId,
    pub service: ServiceId,
    /// Under which mandate it got the data; `None` when all of one resident's goes.
    pub mandate: Option<MandateId>,
    pub noted_at: Time,
    pub due_at: Time,
    /// When the service first read the notice.
    pub told_at: Option<Time>,
    /// When the clock noted that no answer had come.
    pub missed_at: Option<Time>,
}

impl App {
    /// What a service has to delete and has not answered yet, oldest first. From now on it counts as told.
    pub fn deletion_notices(&self, service: &ServiceId) -> Result<Vec<DeletionNotice>, Error> {
        let (now, register) = (self.now(), self.register());
        let sector =
            register.services.get(service).map(|entry| register.sector(entry)).ok_or(Error::Unknown { what: "service" })?;
        let caller = service.clone();
        let open = self.db.transaction("tell deletions", move |tx| deletions::tell(tx, &caller, now, MOST))?;
        open.into_iter()
            .map(|deletion| {
                let sealed = deletion.sealed.as_ref();
                Ok(DeletionNotice {
                    subject: sealed
                        .map(|sealed| Ok::<_, Error>(self.vault.open_subject(sector, deletion.id.as_str(), sealed)?.to_string()))
                        .transpose()?,
                    mandate: deletion.mandate.and_then(|number| mandate_id(&register, number)),
                    id: deletion.id,
                    noted_at: deletion.ready_at.unwrap_or(deletion.noted_at),
                    due_at: deletion.due_at,
                })
            })
            .collect()
    }

    /// Takes a service's word for what it did. Saying the same again is fine; another word is refused.
    pub fn answer_deletion(&self, service: &ServiceId, id: &DeletionId, answer: Answer) -> Result<(), Error> {
        let (now, caller, wanted) = (self.now(), service.clone(), id.clone());
        let is_new = self.db.transaction("answer deletion", move |tx| deletions::answer(tx, &wanted, &caller, answer, now))?;
        if is_new {
            return Ok(());
        }
        let known = self.db.read(|conn| deletions::find(conn, id, service))?.and_then(|deletion| deletion.answer);
        match known {
            Some((known, _)) if known == answer => Ok(()),
            Some(_) => Err(Error::refused(
                "This notice has another answer already.",
                "An answer stands; tell the operator what is wrong with it.",
            )),
            None => Err(Error::Unknown { what: "deletion notice for this service" }),
        }
    }

    /// What services were told about a resident's data, and what they answered, newest first.
    pub fn deletions_of(&self, resident: u64) -> Result<Vec<Deletion>, Error> {
        Ok(self.db.read(|conn| deletions::of_resident(conn, resident))?)
    }

    /// How services have answered so far.
    pub fn deletion_counts(&self) -> Result<Counts, Error> {
        let now = self.now();
        Ok(self.db.read(|conn| deletions::counts(conn, now))?)
    }

    /// Notes which answers have not come in time, and answers how many they were. For the clock: each is noted once, however many
    /// processes serve the pass.
    pub fn note_missed_deletions(&self) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let now = self.now();
            let missed = self.db.transaction("note missed deletions", move |tx| deletions::miss(tx, now, PART))?;
            for deletion in &missed {
                tracing::warn!(
                    service = %deletion.service, deletion = %deletion.id, due_at = %deletion.due_at,
                    "a service has not answered what it was told to delete, see `usufruct deletions`"
                );
            }
            count += missed.len();
            if missed.len() < PART {
                return Ok(count);
            }
        }
    }

    /// What was not answered in time, the longest overdue first: for those who look after breaches.
    pub fn overdue_deletions(&self) -> Result<Vec<OverdueDeletion>, Error> {
        let (now, register) = (self.now(), self.register());
        let overdue = self.db.read(|conn| deletions::overdue(conn, now, MOST))?;
        let described = |deletion: Deletion| OverdueDeletion {
            mandate: deletion.mandate.and_then(|number| mandate_id(&register, number)),
            id: deletion.id,
            service: deletion.service,
            noted_at: deletion.noted_at,
            due_at: deletion.due_at,
            told_at: deletion.told_at,
            missed_at: deletion.missed_at,
        };
        Ok(overdue.into_iter().map(described).collect())
    }

    /// Notices for the services that work under these mandates and have met this resident, under the pseudonyms they know her by now.
    /// No other service hears that she exists. Each has a random name of its own, so that no two services can find out that they speak of one person.
    pub(crate) fn notices_of_resident(
        &self,
        certificate: &CertificateId,
        resident: u64,
        keyring: &Keyring,
        mandates: &[u64],
        mandate: Option<u64>,
    ) -> Result<Vec<Deletion>, Error> {
        let register = self.register();
        let met = self.services_that_met(resident)?;
        let services: BTreeSet<ServiceId> = mandates
            .iter()
            .filter_map(|number| mandate_id(&register, *number))
            .flat_map(|id| services_under(&register, &id))
            .filter(|service| met.contains(service))
            .collect();
        let mut notices = Vec::with_capacity(services.len());
        for service in services {
            let Some(entry) = register.services.get(&service) else { continue };
            let mut notice = self.notice(&register, certificate, &service, mandates, mandate);
            match self.vault.seal_subject(register.sector(entry), keyring, notice.id.as_str(), self.rng()) {
                Ok(sealed) => {
                    notice.sealed = Some(sealed);
                    // Neither when it comes nor when its answer is due is the same for two services.
                    notice.ready_at = self.spread().ready_at(&service, notice.noted_at);
                    let within = due_within(&register, &service, mandates, notice.noted_at);
                    notice.due_at = midnight(notice.ready_at.unwrap_or(notice.noted_at).plus(within));
                }
                // Its pseudonyms are noise to everybody; there is no name left by which to tell it.
                Err(VaultError::NoKey { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            notices.push(notice);
        }
        Ok(notices)
    }

    /// The services that know the resident: she authorized them, agreed at them or signed in to them, they used or put data of hers, or
    /// another service was told how they know her.
    fn services_that_met(&self, resident: u64) -> Result<BTreeSet<ServiceId>, Error> {
        let authorized =
            true_authorizations(&self.vault, self.db.read(|conn| authorizations::of_resident(conn, resident, None))?)?;
        let mut met: BTreeSet<ServiceId> = authorized.into_iter().map(|authorization| authorization.service).collect();
        for event in self.footprint(resident)?.lines.into_iter().filter_map(|line| line.event) {
            if event.kind == Kind::Conversion {
                met.extend(event.detail.as_ref().and_then(|converted| converted.parse().ok()));
            }
            if matches!(event.kind, Kind::Consent | Kind::Conversion | Kind::Deposit | Kind::SignIn | Kind::Use) {
                met.extend(event.service);
            }
        }
        Ok(met)
    }

    /// Notices for the services that worked under a mandate which has ended.
    pub(crate) fn notices_of_mandate(&self, certificate: &CertificateId, mandate: u64) -> Vec<Deletion> {
        let register = self.register();
        let services = mandate_id(&register, mandate).map(|id| services_under(&register, &id)).unwrap_or_default();
        services.iter().map(|service| self.notice(&register, certificate, service, &[mandate], Some(mandate))).collect()
    }

    fn notice(
        &self,
        register: &Register,
        certificate: &CertificateId,
        service: &ServiceId,
        mandates: &[u64],
        mandate: Option<u64>,
    ) -> Deletion {
        let now = self.now();
        Deletion {
            id: DeletionId::random(self.rng()),
            certificate: certificate.clone(),
            service: service.clone(),
            mandate,
            sealed: None,
            noted_at: now,
            ready_at: None,
            due_at: midnight(now.plus(due_within(register, service, mandates, now))),
            told_at: None,
            answer: None,
            missed_at: None,
        }
    }

    /// Adds to the certificates of mandates what their services were told and have answered since. Of one resident's data
    /// nothing is added: the time of it would join her pseudonyms.
    pub(crate) fn publish_answers(&self) -> Result<(), Error> {
        for certificate in self.db.read(|conn| deletions::unpublished(conn, PART))? {
            let notices = self.db.read(|conn| deletions::of_certificate(conn, &certificate))?;
            let register = self.register();
            let Some(entry) = register.certificates.get(&certificate) else { continue };
            let recipients: Vec<Recipient> = notices
                .iter()
                .filter_map(|notice| {
                    Some(Recipient {
                        service: notice.service.clone(),
                        told_at: notice.told_at?,
                        answer: notice.answer.map(|(answer, _)| answer),
                        answered_at: notice.answer.map(|(_, at)| at),
                    })
                })
                .collect();
            if entry.body.recipients != recipients {
                let mut body = serde_json::to_value(&entry.body)
                    .map_err(|error| Error::Corrupt { what: format!("a certificate: {error}") })?;
                body["recipients"] = json!(recipients);
                let id = certificate.as_str();
                let mut statement = self.statement(StatementKind::Certificate, id, self.automation.agency(), body, self.now());
                statement.approve(&self.automation)?;
                self.publish(&Publication { statements: vec![statement] })?;
            }
            self.db.transaction("note published answers", move |tx| deletions::published(tx, &notices))?;
        }
        Ok(())
    }
}

/// The next midnight (UTC), unless it is one.
fn midnight(time: Time) -> Time {
    time.plus((-time.micros()).rem_euclid(DAY))
}

/// In how many microseconds a service has to answer: as its contract says, if it is a vendor's, and as its law says otherwise.
fn due_within(register: &Register, service: &ServiceId, mandates: &[u64], now: Time) -> i64 {
    let agency = register.services.get(service).map(|entry| &entry.body.agency);
    let ids: Vec<MandateId> = mandates.iter().filter_map(|number| mandate_id(register, *number)).collect();
    let contracts = register.contracts.values().map(|entry| &entry.body);
    contracts
        .filter(|contract| Some(&contract.vendor) == agency && contract.mandates.iter().any(|id| ids.contains(id)))
        .map(|contract| contract.delete_within_days * DAY)
        .min()
        .or_else(|| Some(register.law(agency?, now).within(Duty::DeletionAnswer)))
        .unwrap_or(0)
}

fn mandate_id(register: &Register, number: u64) -> Option<MandateId> {
    register.mandates.values().find(|entry| entry.number == number)?.id.parse().ok()
}

/// Notices told or listed in one call.
const MOST: usize = 1_000;
/// Certificates brought up to date, or answers missed, in one transaction.
const PART: usize = 100;
