//! Sunset: at its last day a mandate ends, its key is destroyed, and a certificate says so. What has nobody left ends too.

use std::sync::Arc;

use usufruct_core::certificate::Cause;
use usufruct_core::grant::GrantState;
use usufruct_core::id::{CertificateId, MandateId, ServiceId};
use usufruct_core::lifecycle::State;
use usufruct_core::statement::Signer;
use usufruct_core::status::{Grounds, ReasonCode};
use usufruct_core::time::Month;
use usufruct_core::{Text, Time};
use usufruct_store::db::Tx;
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::{blocks, deletions, deposits, grants, tokens};

use crate::retention::numbers;
use crate::withdraw::services_under;
use crate::{App, Error, LifecycleStep, Publication};

/// Rows of a large table changed in one transaction.
pub(crate) const PART: usize = 5_000;

/// What the sunset job did.
#[derive(Clone, Debug, Default)]
pub struct SunsetReport {
    /// Mandates that were ended and certified in this run.
    pub ended: Vec<MandateId>,
    /// Pseudonym sectors that were dissolved and certified in this run.
    pub dissolved: Vec<String>,
}

impl App {
    /// Ends every mandate whose last day is over and finishes endings that a crash interrupted. Decisions refuse from the
    /// first moment after the last day, whether or not this has run.
    pub fn run_sunsets(&self) -> Result<SunsetReport, Error> {
        let now = self.now();
        let mut report = SunsetReport::default();
        let due: Vec<(MandateId, State)> = self
            .register()
            .mandates
            .iter()
            .filter(|(_, entry)| match entry.state {
                State::Published | State::Active | State::Suspended => entry.body.sunset_at <= now,
                State::Sunset | State::Revoked | State::Erasing => true,
                _ => false,
            })
            .map(|(id, entry)| (id.clone(), entry.state))
            .collect();
        // The keys of all of them go before anything that takes the longer the more they were used.
        let (mut closed, mut failed) = (Vec::with_capacity(due.len()), None);
        for (id, state) in due {
            match self.begin_end(&id, state) {
                Ok(erasure) => closed.extend(erasure.map(|erasure| (id, erasure))),
                // One that cannot be ended holds up no other.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for (id, erasure) in closed {
            self.settle_mandate(&id, &erasure)?;
            if self.register().mandates.get(&id).is_some_and(|entry| entry.state == State::Erased) {
                report.ended.push(id);
            }
        }
        report.dissolved = self.dissolve_sectors()?;
        failed.map_or(Ok(report), Err)
    }

    /// Says that the last day of a mandate is over, if nothing of its end was said yet, and destroys its keys.
    fn begin_end(&self, id: &MandateId, state: State) -> Result<Option<Erasure>, Error> {
        if matches!(state, State::Published | State::Active | State::Suspended) {
            let reason = Text::new("Its last day is over.", "已逾期滿日。");
            self.move_mandate(id, State::Sunset, &[&self.automation], reason, Grounds::of(ReasonCode::TermOver))?;
        }
        self.close_mandate(id)
    }

    /// Ends a mandate before its last day, since what it was for is gone, approved by `signers` of its controller.
    pub fn end_mandate(&self, id: &MandateId, signers: &[&Signer], reason: Text) -> Result<(), Error> {
        self.move_mandate(id, State::Revoked, signers, reason, Grounds::of(ReasonCode::PurposeGone))?;
        match self.close_mandate(id)? {
            Some(erasure) => self.settle_mandate(id, &erasure),
            None => Ok(()),
        }
    }

    /// Destroys the key of a mandate that has ended, and all of its months. It takes as long for one grant or token as for a million: in
    /// this state of the mandate nothing is released and no token for it is good for anything, so everything else may follow. `None` when
    /// there never was a key. Can be repeated after a crash.
    fn close_mandate(&self, id: &MandateId) -> Result<Option<Erasure>, Error> {
        let register = self.register();
        let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
        let number = entry.number;
        let cause = if entry.history.iter().any(|step| step.to == State::Revoked) { Cause::Revocation } else { Cause::Sunset };
        let ending = self.ending_months(number)?;
        let Some(erasure) = self.mandate_erasure(id, number, cause, &ending)? else { return Ok(None) };
        if matches!(entry.state, State::Sunset | State::Revoked) {
            let reason = Text::new("Its key is being destroyed.", "金鑰銷毀中。");
            self.move_mandate(id, State::Erasing, &[&self.automation], reason, Grounds::default())?;
        }
        let months = numbers(&[&erasure.months[..], &ending].concat());
        self.destroying_one(&erasure, || self.vault.sunset(number, &months, self.rng())).map(Some)
    }

    /// Certifies the end of a mandate whose keys are gone, and frees the room of what was lent and deposited. Can be repeated after a crash.
    fn settle_mandate(&self, id: &MandateId, erasure: &Erasure) -> Result<(), Error> {
        let register = self.register();
        let number = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?.number;
        // What was under way before has certificates of its own, and the mandate's names what was left then.
        self.settle_rotation(number, erasure)?;
        self.settle_orders(number, erasure)?;
        self.finish_months_of(number)?;
        let until = self.certify(&[erasure])?.pop().ok_or(Error::Unknown { what: "certificate" })?;
        let ended_as = if erasure.cause == Cause::Revocation.code() { GrantState::Terminated } else { GrantState::Sunset };
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.end_tokens(&services_under(&register, id), now)?;
        self.in_parts("end grants", move |tx| Ok(grants::end_mandate(tx, number, ended_as, PART)?))?;
        self.in_parts("purge lent blocks", move |tx| Ok(blocks::purge_mandate(tx, number, PART)?))?;
        self.forget_months(number, &erasure.months)?;
        self.db.transaction("note end of key", move |tx| Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?))?;
        self.move_mandate(
            id,
            State::Erased,
            &[&self.automation],
            Text::new("Its key is gone; see the certificate.", "金鑰已銷毀，見證明。"),
            Grounds::default(),
        )
    }

    /// Deletes the tokens of these services that speak for residents and were given by `until`.
    pub(crate) fn end_tokens(&self, services: &[ServiceId], until: Time) -> Result<(), Error> {
        for service in services {
            let part = || {
                let service = service.clone();
                let delete = move |tx: &mut Tx<'_>| Ok::<_, Error>(tokens::delete_of_service(tx, &service, until, PART)?);
                self.db.transaction("end tokens", delete)
            };
            while part()? > 0 {}
        }
        Ok(())
    }

    /// Runs a job until it finds nothing more to do, so that others have their turn in between.
    pub(crate) fn in_parts(
        &self,
        name: &'static str,
        part: impl Fn(&mut Tx<'_>) -> Result<u64, Error> + Copy + Send + 'static,
    ) -> Result<(), Error> {
        while self.db.transaction(name, move |tx| part(tx))? > 0 {}
        Ok(())
    }

    /// The note that a mandate's key must go, made while the key lives. `None` when there never was a key: a mandate revoked
    /// as a draft has nothing to destroy.
    ///
    /// `ending` are months whose end was under way before: they are certified by themselves. A note that is not as this house wrote it is
    /// written anew while the key lives.
    fn mandate_erasure(&self, id: &MandateId, number: u64, cause: Cause, ending: &[Month]) -> Result<Option<Erasure>, Error> {
        let noted = self.db.read(|conn| erasures::of_mandate(conn, number))?;
        let commitment = self.vault.mandate_commitment(number)?;
        let spoiled = match (noted, commitment) {
            (Some(noted), Some(_)) if self.evidence(&noted)?.is_none() => Some(noted),
            (Some(noted), _) => return Ok(Some(noted)),
            (None, _) => None,
        };
        let Some(commitment) = commitment else { return Ok(None) };
        let mut commitments = vec![commitment];
        commitments.extend(self.vault.next_mandate_commitment(number)?);
        // Nothing is deposited any more in this state of the mandate, so these are all.
        let mut months = self.db.read(|conn| deposits::months_of(conn, number))?;
        months.retain(|month| !ending.contains(month));
        for month in &months {
            commitments.extend(self.vault.month_commitment(number, month.0)?);
        }
        let now = self.now();
        let erasure = Erasure {
            certificate: match &spoiled {
                Some(spoiled) => spoiled.certificate.clone(),
                None => CertificateId::fresh(now, self.rng()),
            },
            cause: cause.code().to_owned(),
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
        let erasure = self.with_evidence(erasure)?;
        if spoiled.is_some() {
            let renewed = erasure.clone();
            self.db.transaction("note mandate erasure again", move |tx| Ok::<_, Error>(erasures::renew(tx, &renewed)?))?;
            return Ok(Some(erasure));
        }
        let (noted, notices) = (erasure.clone(), self.notices_of_mandate(&erasure.certificate, number)?);
        let (outbox, ended) = (self.outbox(), id.clone());
        self.db.transaction("note mandate erasure", move |tx| {
            outbox.mandate_ended(tx, &ended, cause)?;
            outbox.deletions_due(tx, &notices)?;
            erasures::insert(tx, &noted)?;
            Ok::<_, Error>(deletions::insert(tx, &notices)?)
        })?;
        Ok(Some(erasure))
    }

    /// Publishes one step of a mandate, with what it rests on.
    pub fn move_mandate(
        &self,
        id: &MandateId,
        to: State,
        signers: &[&Signer],
        reason: Text,
        grounds: Grounds,
    ) -> Result<(), Error> {
        let register = self.register();
        let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
        let by = signers.first().map(|signer| signer.agency().clone()).ok_or(Error::Unknown { what: "signer" })?;
        let step = LifecycleStep { object: id.as_str(), revision: entry.hash, from: entry.state, to, reason, grounds };
        let statement = self.step(&step, &by, signers, self.now())?;
        self.publish(&Publication { statements: vec![statement] }).map(drop)
    }

    /// Runs what the clock asks for: a look whether another process writes by now, sunsets, orders to delete, ends of what was kept for its
    /// time, contracts and agreements that are over, cases that nobody answered, messages of the week, unfinished erasures and replacements of
    /// keys, what services answered, the log's next checkpoint, memory that nobody uses. A step that fails holds up no other; answers the first
    /// error.
    pub fn tick(self: &Arc<Self>) -> Result<(), Error> {
        let steps: [Step; 17] = [
            |app| app.require_head(),
            // Before anything that the machine says with a later date.
            |app| app.publish_proposals().map(drop),
            |app| app.make_late_keys().map(drop),
            // The key of a mandate that is over goes before rows that may be many.
            |app| app.run_sunsets().map(drop),
            |app| app.run_orders().map(drop),
            |app| app.run_retention().map(drop),
            |app| app.run_supervision().map(drop),
            |app| app.run_cases().map(drop),
            |app| app.write_messages().map(drop),
            |app| app.send_mail().map(drop),
            |app| app.finish_erasures().map(drop),
            |app| app.finish_rotations().map(drop),
            |app| app.finish_service_rotations().map(drop),
            |app| app.forget_operations(),
            |app| app.publish_answers().map(drop),
            |app| if app.is_publication_due()? { app.publish_log().map(drop) } else { Ok(()) },
            |app| {
                app.pin_memory.rest(app.now());
                Ok(())
            },
        ];
        let mut failed = None;
        for step in steps {
            failed = failed.or(step(self).err());
        }
        failed.map_or(Ok(()), Err)
    }
}

/// One thing that the clock asks for.
type Step = fn(&Arc<App>) -> Result<(), Error>;
