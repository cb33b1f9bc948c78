//! Tell services what to delete, and take their answers: the part of an erasure that is out of our hands.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::case_tally::Figure;
use usufruct_core::certificate::{Answer, Recipient};
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::{CertificateId, DeletionId, MandateId, ServiceId};
use usufruct_core::lawpack::Duty;
use usufruct_core::register::Register;
use usufruct_core::service::Profile;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Count;
use usufruct_core::time::DAY;
use usufruct_store::authorizations;
use usufruct_store::db::Error as DbError;
use usufruct_store::deletions::{self, Counts, Deletion};
use usufruct_vault::{Error as VaultError, Keyring};

use crate::row_mark::{is_true_deletion, marked_deletion, true_authorizations};
use crate::withdraw::services_under;
use crate::{App, Error, OwnCaller, Publication};

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

/// What services keep of what they were told to delete, as it may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub all: Figure,
    /// Each ground with its count.
    pub grounds: Vec<(String, Count)>,
}

impl Kept {
    fn of(all: u64, grounds: Vec<(String, u64)>) -> Self {
        // Answers from before grounds were asked for have none.
        let without = all.saturating_sub(grounds.iter().map(|(_, count)| count).sum());
        let hides = grounds.iter().map(|(_, count)| *count).chain([without]).any(|count| Count::of(count) == Count::Few);
        let all = match Count::of(all) {
            Count::Few => Figure::Few,
            Count::Exact(_) if hides => Figure::Many,
            Count::Exact(all) => Figure::Exact(all),
        };
        Self { all, grounds: grounds.into_iter().map(|(ground, count)| (ground, Count::of(count))).collect() }
    }
}

/// Whom word of the deletion of a whole pass reaches, of the services that know the resident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub told: Vec<ServiceId>,
    /// Services of the profile oidc. They know a pseudonym, and have no token by which they could read a notice or answer it.
    pub untold: Vec<ServiceId>,
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
    /// When the clock noted that somebody else had written to the notice, so that nobody knows what was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altered_at: Option<Time>,
}

/// A service's own word for what it did with what it was told to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub answer: Answer,
    /// Code of the ground on which it keeps the data.
    pub ground: Option<String>,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self { answer, ground: None }
    }
}

impl App {
    /// What a service has to delete and has not answered yet, oldest first. From now on it counts as told.
    pub fn deletion_notices(&self, caller: impl Into<OwnCaller>) -> Result<Vec<DeletionNotice>, Error> {
        let (caller, now, register) = (caller.into(), self.now(), self.register());
        let entry = register.services.get(&caller.service).ok_or(Error::Unknown { what: "service" })?;
        let (sector, vault) = (register.sector(entry), Arc::clone(&self.vault));
        let open = self.db.transaction("tell deletions", move |tx| {
            caller.permit(tx, now)?;
            let mut open = Vec::new();
            let mut told = Vec::new();
            for found in deletions::open(tx, &caller.service, now, MOST)? {
                // What somebody else wrote would have the service delete what it should keep.
                if !is_true_deletion(&vault, &found)? {
                    continue;
                }
                if found.told_at.is_none() {
                    told.push(marked_deletion(&vault, Deletion { told_at: Some(now), ..found.clone() })?);
                }
                open.push(found);
            }
            deletions::set(tx, &told)?;
            Ok::<_, Error>(open)
        })?;
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

    /// Takes a service's word for what it did. Saying the same again is fine; another word is refused. Who keeps something says on which ground
    /// of the law that holds for its body.
    pub fn answer_deletion(
        &self,
        caller: impl Into<OwnCaller>,
        id: &DeletionId,
        answer: impl Into<Answered>,
    ) -> Result<(), Error> {
        let (register, Answered { answer, ground }) = (self.register(), answer.into());
        let (now, caller, wanted, vault) = (self.now(), caller.into(), id.clone(), Arc::clone(&self.vault));
        self.db.transaction("answer deletion", move |tx| {
            caller.permit(tx, now)?;
            let found = deletions::find(tx, &wanted, &caller.service)?;
            let found = found.ok_or(Error::Unknown { what: "deletion notice for this service" })?;
            if found.altered_at.is_some() || !is_true_deletion(&vault, &found)? {
                return Err(Error::refused(
                    "Somebody wrote to this notice in the database of the pass, so it takes no answer.",
                    "Tell the operator in writing what you deleted.",
                ));
            }
            match found.answer {
                Some((known, _)) if known == answer && (found.ground == ground || found.ground.is_none()) => return Ok(()),
                Some(_) => {
                    return Err(Error::refused(
                        "This notice has another answer already.",
                        "An answer stands; tell the operator what is wrong with it.",
                    ));
                }
                None => check_ground(&register, &caller.service, answer, ground.as_deref(), now)?,
            }
            let answered = Deletion {
                sealed: None,
                told_at: found.told_at.or(Some(now)),
                answer: Some((answer, now)),
                ground: ground.clone(),
                missed_at: found.missed_at.or(Some(now).filter(|now| found.due_at < *now)),
                ..found
            };
            Ok(deletions::set(tx, &[marked_deletion(&vault, answered)?])?)
        })
    }

    /// What services were told about a resident's data, and what they answered, newest first. A service that has met her only in a matter that is
    /// closed to her is told like all others, and stands here from the day of that matter on.
    pub fn deletions_of(&self, resident: u64) -> Result<Vec<Deletion>, Error> {
        let told = self.believed(self.db.read(|conn| deletions::of_resident(conn, resident))?)?;
        if told.is_empty() {
            return Ok(told);
        }
        let shown = match self.services_shown(resident) {
            // Her pass is deleted: there is no line any more, and nobody to keep a matter from.
            Err(Error::Vault(VaultError::NoKey { noun: "resident" })) => return Ok(told),
            shown => shown?,
        };
        let met = self.services_that_met(resident)?;
        let is_closed = |service: &ServiceId| met.contains(service) && !shown.contains(service);
        Ok(told.into_iter().filter(|deletion| !is_closed(&deletion.service)).collect())
    }

    /// Which of the services that know a resident would be told if she deleted her pass now, of those that she may know of.
    pub fn reached_by_deletion(&self, resident: u64) -> Result<Reached, Error> {
        let (register, met) = (self.register(), self.services_shown(resident)?);
        let met = met.into_iter().filter(|id| register.services.contains_key(id));
        let (told, untold) = met.partition(|id| takes_notices(&register, id));
        Ok(Reached { told, untold })
    }

    /// How services have answered so far.
    pub fn deletion_counts(&self) -> Result<Counts, Error> {
        let now = self.now();
        Ok(self.db.read(|conn| deletions::counts(conn, now))?)
    }

    /// What services keep of what they were told to delete, and on which grounds, as it may be published: of all together no more than that
    /// they are ten or more, where the small number of one ground could be found by subtracting.
    pub fn kept_deletions(&self) -> Result<Kept, Error> {
        let now = self.now();
        let read = self.db.read(|conn| Ok::<_, DbError>((deletions::counts(conn, now)?.kept, deletions::grounds(conn)?)))?;
        Ok(Kept::of(read.0.unsigned_abs(), read.1))
    }

    /// Notes which answers have not come in time, and answers how many they were. For the clock: each is noted once, however many
    /// processes serve the pass.
    pub fn note_missed_deletions(&self) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let now = self.now();
            let vault = Arc::clone(&self.vault);
            let missed = self.db.transaction("note missed deletions", move |tx| {
                let mut missed = Vec::new();
                for found in deletions::unnoted(tx, now, PART)? {
                    let noted = Deletion { missed_at: Some(now), ..found };
                    // One that somebody wrote to is noted as missed and stays without a mark of the house.
                    let is_ours = is_true_deletion(&vault, &Deletion { missed_at: None, ..noted.clone() })?;
                    missed.push(if is_ours { marked_deletion(&vault, noted)? } else { noted });
                }
                deletions::set(tx, &missed)?;
                Ok::<_, Error>(missed)
            })?;
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
            altered_at: deletion.altered_at,
        };
        Ok(overdue.into_iter().map(described).collect())
    }

    /// Notices for the services that have met this resident, under the pseudonyms they know her by now: those that work under one mandate, or all
    /// of them where her whole pass goes, also those that only signed her in. No other service hears that she exists. Each has a random name of its own, so that no two services can find out that they speak of one person.
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
        let services: BTreeSet<ServiceId> = match mandate {
            None => met.into_iter().filter(|service| takes_notices(&register, service)).collect(),
            Some(number) => {
                let under = mandate_id(&register, number).map(|id| services_under(&register, &id)).unwrap_or_default();
                under.into_iter().filter(|service| met.contains(service)).collect()
            }
        };
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
            notices.push(marked_deletion(&self.vault, notice)?);
        }
        Ok(notices)
    }

    /// The services that know the resident: she authorized them, agreed at them or signed in to them, they used or put data of hers, or
    /// another service was told how they know her.
    fn services_that_met(&self, resident: u64) -> Result<BTreeSet<ServiceId>, Error> {
        let events = self.whole_events(resident)?;
        self.services_in(resident, events.into_iter().flatten())
    }

    /// The same, without those that are closed to her still.
    fn services_shown(&self, resident: u64) -> Result<BTreeSet<ServiceId>, Error> {
        let lines = self.footprint(resident)?.lines;
        self.services_in(resident, lines.into_iter().filter_map(|line| line.event))
    }

    fn services_in(&self, resident: u64, events: impl Iterator<Item = Event>) -> Result<BTreeSet<ServiceId>, Error> {
        let authorized =
            true_authorizations(&self.vault, self.db.read(|conn| authorizations::of_resident(conn, resident, None))?)?;
        let mut met: BTreeSet<ServiceId> = authorized.into_iter().map(|authorization| authorization.service).collect();
        for event in events {
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
    pub(crate) fn notices_of_mandate(&self, certificate: &CertificateId, mandate: u64) -> Result<Vec<Deletion>, Error> {
        let register = self.register();
        let services = mandate_id(&register, mandate).map(|id| services_under(&register, &id)).unwrap_or_default();
        let notice = |service| self.notice(&register, certificate, service, &[mandate], Some(mandate));
        services.iter().map(|service| marked_deletion(&self.vault, notice(service))).collect()
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
            ground: None,
            missed_at: None,
            altered_at: None,
            mark: None,
        }
    }

    /// Adds to the certificates of mandates what their services were told and have answered since. Of one resident's data
    /// nothing is added: the time of it would join her pseudonyms.
    pub(crate) fn publish_answers(&self) -> Result<(), Error> {
        for certificate in self.db.read(|conn| deletions::unpublished(conn, PART))? {
            let notices = self.believed(self.db.read(|conn| deletions::of_certificate(conn, &certificate))?)?;
            let register = self.register();
            let Some(entry) = register.certificates.get(&certificate) else { continue };
            let recipients: Vec<Recipient> = notices
                .iter()
                .filter_map(|notice| {
                    if notice.altered_at.is_some() {
                        // What was published before somebody wrote to it stands.
                        return entry.body.recipients.iter().find(|said| said.service == notice.service).cloned();
                    }
                    Some(Recipient {
                        service: notice.service.clone(),
                        told_at: notice.told_at?,
                        answer: notice.answer.map(|(answer, _)| answer),
                        answered_at: notice.answer.map(|(_, at)| at),
                        ground: notice.ground.clone(),
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

/// Data that is kept is kept on a ground that the law of the service's body lists.
fn check_ground(register: &Register, service: &ServiceId, answer: Answer, ground: Option<&str>, now: Time) -> Result<(), Error> {
    let Some(entry) = register.services.get(service) else { return Err(Error::Unknown { what: "service" }) };
    let grounds = register.law(&entry.body.agency, now).kept_when();
    match (answer, ground) {
        (Answer::Kept, Some(ground)) if grounds.iter().any(|known| known.code == ground) => Ok(()),
        (Answer::Kept, _) => {
            let known: Vec<&str> = grounds.iter().map(|ground| ground.code.as_str()).collect();
            Err(Error::refused(
                "Data that was to be deleted is kept only on a ground of the law.",
                &format!("Give its code as `ground`, one of {}; or delete the data.", known.join(", ")),
            ))
        }
        (_, Some(_)) => Err(Error::refused("A ground belongs to data that is kept.", "Leave it out, or answer `kept`.")),
        (_, None) => Ok(()),
    }
}

/// Whether a service can read what it has to delete. One of the profile oidc gets no token for it.
fn takes_notices(register: &Register, service: &ServiceId) -> bool {
    register.services.get(service).is_some_and(|entry| entry.body.profile == Profile::Fapi2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_small_ground_is_found_by_subtracting() {
        let kept = |all, grounds: &[u64]| {
            let grounds = grounds.iter().enumerate().map(|(i, count)| (format!("ground-{i}"), *count));
            Kept::of(all, grounds.collect()).all.to_string()
        };
        assert_eq!(kept(0, &[]), "0");
        assert_eq!(kept(3, &[3]), "1-9");
        assert_eq!(kept(14, &[12, 2]), "10+");
        assert_eq!(kept(14, &[12]), "10+", "two of them have no ground");
        assert_eq!(kept(24, &[12, 12]), "24");
    }
}
