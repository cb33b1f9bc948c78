//! Carry out an order to delete: what is lent and deposited under its mandate ends with the mandate's key and those of its months, in one epoch,
//! and the mandate goes on under another key. From the first moment of the order nothing of it is opened, whether or not this has run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usufruct_core::certificate::Cause;
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::grant::GrantState;
use usufruct_core::id::{CertificateId, MandateId, OrderId, ServiceId};
use usufruct_core::mandate::Mandate;
use usufruct_core::register::Entry;
use usufruct_core::tally::Count;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Tx;
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::{authorizations, blocks, codes, deletions, deposits, grants, keyrings, tokens};
use usufruct_vault::Error as VaultError;

use crate::erase::plain_event;
use crate::ledger::place;
use crate::outbox::Outbox;
use crate::release::first_number;
use crate::retention::numbers;
use crate::{App, Error};

/// Which order a destruction carries out, and how many grants stood then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub order: OrderId,
    pub grants: u64,
}

impl Carried {
    /// How many grants ended, as it may be published.
    pub fn count(&self) -> Count {
        Count::of(self.grants)
    }
}

/// What ends for one resident after another once the keys are gone.
#[derive(Clone)]
struct Ended {
    mandate: MandateId,
    number: u64,
    hash: Digest,
    certificate: CertificateId,
    /// Number of the first line, where lines under the mandate are shown later.
    n: u64,
    outbox: Arc<Outbox>,
    now: Time,
}

impl App {
    /// Carries out every order to delete that binds and was not carried out, and finishes what a crash interrupted. Answers which orders it
    /// certified. One that cannot be carried out holds up no other, and of one under which many lend a part is done each time.
    pub fn run_orders(&self) -> Result<Vec<OrderId>, Error> {
        let (register, now) = (self.register(), self.now());
        let mut failed = self.finish_orders().err();
        let (mut waited, mandates) = (Vec::new(), register.mandates.iter().filter(|(_, entry)| entry.has_key()));
        for (id, entry) in mandates {
            for (order, binding) in register.deletions(id.as_str(), now) {
                let is_new = register.carried_out(order).is_none();
                waited.extend(is_new.then(|| order.clone()));
                let outcome = match self.register().carried_out(order) {
                    None => self.delete_by_order(id, order),
                    Some(_) if is_new => Ok(()),
                    // What a database that was put back brought with it.
                    Some(certificate) => self.end_restored(entry, &certificate_id(&certificate.id)?, binding.effective_at()),
                };
                failed = failed.or(outcome.err());
            }
        }
        let register = self.register();
        waited.retain(|order| register.carried_out(order).is_some());
        failed.map_or(Ok(waited), Err)
    }

    /// Finishes what was noted, also where the order was lifted meanwhile: what was begun does not stop half-way.
    fn finish_orders(&self) -> Result<(), Error> {
        let (register, mut failed) = (self.register(), None);
        for erasure in self.db.read(erasures::of_orders)? {
            // The end of a mandate settles it.
            let goes_on = register.mandates.values().find(|entry| Some(entry.number) == erasure.mandate && entry.has_key());
            let Some(entry) = goes_on else { continue };
            let mut progress = self.rotating();
            let outcome = self.destroy_ordered(entry.number, &erasure);
            let outcome = outcome.and_then(|()| self.settle_part(&mut progress, entry.number, &erasure));
            failed = failed.or(outcome.err());
        }
        failed.map_or(Ok(()), Err)
    }

    /// Dates the end of keys that a crash cut off from the note of it, before anybody lends again: what is lent from then on lies under the
    /// next key, also where the order was lifted meanwhile.
    pub(crate) fn date_orders(&self) -> Result<(), Error> {
        let mut dated = Vec::new();
        for erasure in self.db.read(erasures::of_orders)? {
            let own = erasure.mandate.map(|number| self.vault.mandate_commitment(number)).transpose()?.flatten();
            let is_gone = own.is_none_or(|own| !erasure.commitments.contains(&own));
            let erasure = self.with_true_dates(&erasure)?;
            if is_gone && erasure.live_at.is_none() {
                dated.push(self.with_marked_dates(Erasure { live_at: Some(self.now()), ..erasure })?);
            }
        }
        if dated.is_empty() { Ok(()) } else { self.note_dates(dated) }
    }

    /// Ends what a database that was put back brought with it of an order that is carried out.
    fn end_restored(&self, entry: &Entry<Mandate>, certificate: &CertificateId, until: Time) -> Result<(), Error> {
        let (_, failed) = self.end_grants(entry, certificate, until, &mut None)?;
        failed.map_or(Ok(()), Err)
    }

    /// Carries out one order. The note of the erasure comes first, then a new key beside the old one, then the one commit of the key tree,
    /// then the end of each grant, then the certificate. Each step can be repeated after a crash.
    fn delete_by_order(&self, id: &MandateId, order: &OrderId) -> Result<(), Error> {
        let number = self.register().mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?.number;
        // What is staged for a replacement of the key would take its place here.
        let mut progress = loop {
            let rotating = self.rotating();
            if !self.db.read(erasures::of_rotations)?.iter().any(|begun| begun.mandate == Some(number)) {
                break rotating;
            }
            drop(rotating);
            self.rotate_mandate(id)?;
        };
        // What was begun and could not be finished just now comes first.
        if self.db.read(erasures::of_orders)?.iter().any(|begun| begun.mandate == Some(number)) {
            return Ok(());
        }
        self.finish_months_of(number)?;
        let Some(erasure) = self.note_order(id, order)? else { return Ok(()) };
        self.destroy_ordered(number, &erasure)?;
        self.settle_part(&mut progress, number, &erasure)
    }

    /// Settles an order as far as one call may take, and notes how far it came.
    fn settle_part(
        &self,
        progress: &mut BTreeMap<CertificateId, Option<u64>>,
        number: u64,
        erasure: &Erasure,
    ) -> Result<(), Error> {
        let mut after = progress.remove(&erasure.certificate).flatten();
        if !self.settle_order(number, erasure, &mut after)? {
            progress.insert(erasure.certificate.clone(), after);
        }
        Ok(())
    }

    /// Settles what was begun for an order about a mandate that is over meanwhile and whose end was noted as `end`: what went before is
    /// certified, and what did not ends with the mandate.
    pub(crate) fn settle_orders(&self, mandate: u64, end: &Erasure) -> Result<(), Error> {
        for erasure in self.db.read(erasures::of_orders)?.iter().filter(|erasure| erasure.mandate == Some(mandate)) {
            if !erasure.commitments.iter().any(|commitment| end.commitments.contains(commitment)) {
                let mut after = None;
                while !self.settle_order(mandate, erasure, &mut after)? {}
                continue;
            }
            self.forget_note(erasure)?;
        }
        Ok(())
    }

    /// Takes back the note of an order that is carried out, or ends, by another one.
    fn forget_note(&self, erasure: &Erasure) -> Result<(), Error> {
        let certificate = erasure.certificate.clone();
        self.db.transaction("forget order", move |tx| {
            deletions::forget(tx, &certificate)?;
            Ok::<_, Error>(erasures::delete(tx, &certificate)?)
        })
    }

    /// The note that what was lent and deposited must go, made while its keys live, and what services are told of it. `None` where the order
    /// does not bind any more: it was lifted, or carried out, since it was found.
    fn note_order(&self, id: &MandateId, order: &OrderId) -> Result<Option<Erasure>, Error> {
        let _guard = self.publishing();
        let (register, now) = (self.register(), self.now());
        let binds = register.deletions(id.as_str(), now).any(|(known, _)| known == order);
        if !binds || register.carried_out(order).is_some() {
            return Ok(None);
        }
        let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
        let number = entry.number;
        let mut commitments: Vec<_> = self.vault.mandate_commitment(number)?.into_iter().collect();
        let months = self.db.read(|conn| deposits::months_of(conn, number))?;
        for month in &months {
            commitments.extend(self.vault.month_commitment(number, month.0)?);
        }
        let stood = self.db.read(|conn| grants::count_standing(conn, number, now))?;
        let erasure = Erasure {
            certificate: CertificateId::fresh(now, self.rng()),
            cause: Cause::Order.code().to_owned(),
            resident: None,
            mandate: Some(number),
            sector: None,
            months,
            commitments,
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        };
        let erasure = self.with_evidence_of(erasure, Carried { order: order.clone(), grants: stood })?;
        let (noted, notices) = (erasure.clone(), self.notices_of_mandate(&erasure.certificate, number)?);
        let outbox = self.outbox();
        self.db.transaction("note order", move |tx| {
            outbox.deletions_due(tx, &notices)?;
            erasures::insert(tx, &noted)?;
            Ok::<_, Error>(deletions::insert(tx, &notices)?)
        })?;
        Ok(Some(erasure))
    }

    /// Puts a new key in the place of the mandate's own and destroys that, and those of its months, unless they are gone.
    fn destroy_ordered(&self, number: u64, erasure: &Erasure) -> Result<(), Error> {
        let own = self.vault.mandate_commitment(number)?;
        if own.is_none_or(|own| !erasure.commitments.contains(&own)) {
            return Ok(());
        }
        let _guard = self.publishing();
        if !self.register().mandates.values().any(|entry| entry.number == number && entry.has_key()) {
            return Err(Error::Unpermitted(vec![Clause::Mandate]));
        }
        self.vault.stage_rotation(number, self.rng())?;
        self.publish_new_keys()?;
        let months = numbers(&erasure.months);
        let done = self.destroying_one(erasure, || self.vault.empty_mandate(number, &months, self.rng()))?;
        let done = self.with_marked_dates(done)?;
        self.note_dates(vec![done])
    }

    /// Ends the grants whose keys are gone, frees the room, and certifies it. Goes on behind the resident `after`, and answers whether it is done:
    /// of very many grants one call ends a part.
    fn settle_order(&self, number: u64, erasure: &Erasure, after: &mut Option<u64>) -> Result<bool, Error> {
        let noted = self.db.read(erasures::of_orders)?.into_iter().find(|noted| noted.certificate == erasure.certificate);
        let erasure = noted.as_ref().unwrap_or(erasure);
        let carried = self.evidence(erasure)?.and_then(|evidence| evidence.carried);
        let register = self.register();
        let said = carried.and_then(|carried| register.carried_out(&carried.order));
        // Two processes that serve one pass may both have noted it.
        if said.is_some_and(|said| said.id != erasure.certificate.as_str()) {
            self.forget_note(erasure)?;
            return Ok(true);
        }
        let mut failed = None;
        // From the certificate on people lend anew, and that is not what was ordered to be deleted.
        if said.is_none() {
            let entry = register.mandates.values().find(|entry| entry.number == number);
            let entry = entry.ok_or(Error::Unknown { what: "mandate" })?;
            // Whoever was lending when the order came has done so by now.
            self.wait_for_residents();
            // What was lent after its keys went lies under new ones: the order may have been lifted since.
            let until = erasure.live_at.unwrap_or_else(|| self.now());
            let (is_done, error) = self.end_grants(entry, &erasure.certificate, until, after)?;
            if !is_done {
                return Ok(false);
            }
            failed = error;
            self.forget_months(number, &erasure.months)?;
        }
        let erasure = self.with_true_dates(erasure)?;
        let until = self.certify(&[&erasure])?.pop().ok_or(Error::Unknown { what: "certificate" })?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("note end of order", move |tx| Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?))?;
        // The keys of what could not be ended are gone too, and every pass tries it again.
        failed.map_or(Ok(true), Err)
    }

    /// Ends the grants under a mandate that were given by `until`, with a line for each resident, from behind the resident `after` on. Answers
    /// whether it came to the last one, and the first error: one that cannot be ended holds up no other.
    fn end_grants(
        &self,
        entry: &Entry<Mandate>,
        certificate: &CertificateId,
        until: Time,
        after: &mut Option<u64>,
    ) -> Result<(bool, Option<Error>), Error> {
        let (number, now) = (entry.number, self.now());
        let mandate: MandateId = entry.id.parse().map_err(|_| Error::Unknown { what: "mandate" })?;
        let ended = Ended {
            mandate,
            number,
            hash: entry.hash,
            certificate: certificate.clone(),
            n: first_number(entry, now)?,
            outbox: Arc::new(self.outbox()),
            now,
        };
        let mut failed = None;
        for _ in 0..PARTS {
            let residents = self.db.read(|conn| grants::standing(conn, number, until, *after, PART))?;
            let Some(last) = residents.last().copied() else { return Ok((true, failed)) };
            for resident in residents {
                let _guard = self.lock_resident(resident);
                match self.end_grant(resident, until, ended.clone()) {
                    Ok(()) | Err(Error::Vault(VaultError::NoKey { .. })) => {}
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            *after = Some(last);
        }
        Ok((false, failed))
    }

    /// Ends what one resident lends: the loan in her keyring, the copies, what was deposited, and all by which a service could ask for it.
    fn end_grant(&self, resident: u64, until: Time, ended: Ended) -> Result<(), Error> {
        let (vault, rng) = (Arc::clone(&self.vault), Arc::clone(&self.rng));
        self.db.transaction("end grant by order", move |tx| {
            // She may have withdrawn and agreed anew since the list was read.
            let is_meant = grants::find(tx, resident, ended.number)?.is_some_and(|found| found.grant.given_at <= until);
            let candidates = keyrings::candidates(tx, resident)?;
            let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
            let mut keyring = vault.keyring(resident, &sealed)?;
            if !is_meant || !grants::set_state(tx, resident, ended.number, GrantState::Invalidated)? {
                return Ok(());
            }
            keyring.withdraw(ended.number);
            let version = candidates.first().map_or(1, |(version, _)| *version);
            keyrings::put(tx, resident, version, &vault.seal_keyring(&keyring, rng.as_ref())?)?;
            blocks::delete_lent(tx, resident, ended.number)?;
            deposits::delete(tx, resident, ended.number)?;
            let met: Vec<ServiceId> = end_authorizations(tx, resident, &ended.mandate)?.into_iter().collect();
            ended.outbox.grant_withdrawn(tx, resident, &met, &ended.mandate)?;
            let mut event = plain_event(Kind::Withdrawal, BY_ORDER, Some(ended.certificate.to_string()), ended.now);
            (event.n, event.mandate, event.clause) = (ended.n, Some(ended.hash), Some(Clause::Order.code().to_owned()));
            place(tx, &keyring, event, rng.as_ref()).map(drop)
        })
    }
}

fn certificate_id(id: &str) -> Result<CertificateId, Error> {
    id.parse().map_err(|_| Error::Unknown { what: "certificate" })
}

/// Ends every authorization of a resident that covers a mandate, with its tokens and codes. Answers of which services.
pub(crate) fn end_authorizations(tx: &mut Tx<'_>, resident: u64, mandate: &MandateId) -> Result<BTreeSet<ServiceId>, Error> {
    let mut met = BTreeSet::new();
    for known in authorizations::of_resident(tx, resident, None)? {
        if known.scope.split(' ').any(|word| word == mandate.as_str()) {
            authorizations::end(tx, &known.id)?;
            tokens::delete_of_resident(tx, resident, Some(&known.service))?;
            codes::delete_of_resident(tx, resident, Some(&known.service))?;
            met.insert(known.service);
        }
    }
    Ok(met)
}

/// Reason of the line.
pub(crate) const BY_ORDER: &str = "order";
/// Residents whose grants are looked up at once.
const PART: usize = 100;
/// Parts that end in one call. Each grant is a transaction of its own, and everything else that the clock asks for waits for them.
const PARTS: usize = 10;
