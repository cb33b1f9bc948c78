//! Retention: what was deposited in a month ends when the mandate has kept it for its time. Its key is destroyed, and a certificate
//! says so.

use std::collections::BTreeMap;

use usufruct_core::Digest;
use usufruct_core::certificate::Cause;
use usufruct_core::id::{CertificateId, MandateId};
use usufruct_core::lifecycle::State;
use usufruct_core::time::Month;
use usufruct_store::deposits;
use usufruct_store::erasures::{self, Erasure};

use crate::sunset::PART;
use crate::{App, Error};

impl App {
    /// Deletes what has been kept for its time, and ends every month of which all has: its key goes, in one epoch for all due months of a
    /// mandate. Finishes what a crash interrupted. Answers which months ended.
    pub fn run_retention(&self) -> Result<Vec<(MandateId, Vec<Month>)>, Error> {
        let now = self.now();
        self.in_parts("delete what was kept for its time", move |tx| Ok(deposits::purge_ended(tx, now, PART)?))?;
        for erasure in self.db.read(erasures::of_months)? {
            self.finish_months(&erasure)?;
        }
        let register = self.register();
        let mut due: BTreeMap<u64, Vec<Month>> = BTreeMap::new();
        for (number, month) in self.db.read(deposits::months)? {
            let mandate = register.mandates.values().find(|entry| entry.number == number);
            // At the end of a mandate its months end with it.
            let is_due = mandate.is_some_and(|mandate| {
                matches!(mandate.state, State::Active | State::Suspended)
                    && now < mandate.body.sunset_at
                    && mandate.body.month_until(month) <= now
            });
            if is_due {
                due.entry(number).or_default().push(month);
            }
        }
        let mut ended = Vec::new();
        for (number, months) in due {
            if let Some(erasure) = self.months_erasure(number, &months)? {
                self.finish_months(&erasure)?;
            }
            let mandate = register.mandates.iter().find(|(_, entry)| entry.number == number);
            ended.extend(mandate.map(|(id, _)| (id.clone(), months)));
        }
        Ok(ended)
    }

    /// The months of a mandate whose end is under way.
    pub(crate) fn ending_months(&self, number: u64) -> Result<Vec<Month>, Error> {
        let unfinished = self.db.read(erasures::of_months)?;
        Ok(unfinished.into_iter().filter(|erasure| erasure.mandate == Some(number)).flat_map(|erasure| erasure.months).collect())
    }

    /// Finishes the ends of months of one mandate that were interrupted: what its own end is certified by leaves them out.
    pub(crate) fn finish_months_of(&self, number: u64) -> Result<(), Error> {
        let unfinished = self.db.read(erasures::of_months)?;
        unfinished.iter().filter(|erasure| erasure.mandate == Some(number)).try_for_each(|erasure| self.finish_months(erasure))
    }

    /// Destroys the keys of months, certifies it, and frees the room. Every step can be repeated after a crash.
    fn finish_months(&self, erasure: &Erasure) -> Result<(), Error> {
        let number = erasure.mandate.ok_or_else(|| Error::Corrupt { what: "erasures.mandate".to_owned() })?;
        let erasure = &self.destroying_one(erasure, || self.vault.end_months(number, &numbers(&erasure.months), self.rng()))?;
        let until = self.certify(&[erasure])?.pop().ok_or(Error::Unknown { what: "certificate" })?;
        self.forget_months(number, &erasure.months)?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("note end of months", move |tx| Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?))
    }

    /// The note that the keys of these months must go, made while they live. `None` when none of them ever had one.
    fn months_erasure(&self, number: u64, months: &[Month]) -> Result<Option<Erasure>, Error> {
        let keys = months.iter().map(|month| self.vault.month_commitment(number, month.0));
        let commitments: Vec<Digest> = keys.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        if commitments.is_empty() {
            self.forget_months(number, months)?;
            return Ok(None);
        }
        let now = self.now();
        let erasure = self.with_evidence(Erasure {
            certificate: CertificateId::fresh(now, self.rng()),
            cause: Cause::Retention.code().to_owned(),
            resident: None,
            mandate: Some(number),
            sector: None,
            months: months.to_vec(),
            commitments,
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        })?;
        let noted = erasure.clone();
        self.db.transaction("note erasure of months", move |tx| Ok::<_, Error>(erasures::insert(tx, &noted)?))?;
        Ok(Some(erasure))
    }

    /// Deletes what the keys of these months opened, and the note that there were any.
    pub(crate) fn forget_months(&self, number: u64, months: &[Month]) -> Result<(), Error> {
        for month in months.iter().copied() {
            self.in_parts("purge what was deposited", move |tx| Ok(deposits::purge_month(tx, number, month, PART)?))?;
            self.db.transaction("forget month", move |tx| Ok::<_, Error>(deposits::forget_month(tx, number, month)?))?;
        }
        Ok(())
    }
}

/// The months as the vault counts them.
pub(crate) fn numbers(months: &[Month]) -> Vec<u16> {
    months.iter().map(|month| month.0).collect()
}
