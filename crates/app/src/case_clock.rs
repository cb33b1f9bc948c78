//! The clock over cases: what no office answers in time goes to the overseer by itself, what was ordered of the machine is done, and who is late
//! stands in public.

use usufruct_core::case::Remedy;
use usufruct_core::case_tally::Counted;
use usufruct_core::id::MandateId;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::register::Register;
use usufruct_core::tally::Day;
use usufruct_store::cases::{self, StoredCase};
use usufruct_store::db::{Connection, Error as DbError};
use usufruct_vault::Error as VaultError;

use crate::case::{Place, Step, agency, require_true};
use crate::{App, Error};

impl App {
    /// Takes to the overseer what no office has answered in time, settles answers against which the law gives no more time, and does what was
    /// ordered of the machine. Answers how many cases moved.
    pub fn run_cases(&self) -> Result<usize, Error> {
        let now = self.now();
        let late = self.each_case(|conn, after| cases::unanswered(conn, now, after, PART), |stored| self.escalate(stored))?;
        let lapsed = self.each_case(|conn, after| cases::unsettled(conn, now, after, PART), |stored| self.lapse(stored))?;
        Ok(late + lapsed + self.each_case(|conn, after| cases::unremedied(conn, after, PART), |stored| self.carry_out(stored))?)
    }

    /// Does something with each case of a list that is read in parts. Answers with how many it was done.
    fn each_case(
        &self,
        read: impl Fn(&mut dyn Connection, &str) -> Result<Vec<StoredCase>, DbError>,
        act: impl Fn(&StoredCase) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let (mut done, mut after) = (0, String::new());
        loop {
            let part = self.db.read(|conn| read(conn, &after))?;
            let Some(last) = part.last() else { return Ok(done) };
            after = last.id.to_string();
            for stored in &part {
                done += usize::from(one_alone(stored, act(stored))?);
            }
        }
    }

    fn escalate(&self, stored: &StoredCase) -> Result<(), Error> {
        let now = self.now();
        let place = Place { resident: stored.resident, id: stored.id.clone() };
        let change = move |stored: &mut StoredCase, register: &Register| {
            let law = register.law(agency(stored)?, now);
            stored.case.escalate(&law, now)?;
            let silent = stored.case.acknowledged_at.is_none() && stored.case.is_acknowledged_late(now);
            let counted = [Counted::Late, Counted::Escalated].into_iter();
            Ok(counted.chain(silent.then_some(Counted::AcknowledgedLate)).collect())
        };
        self.step_case(&place, Step { change, letter: None, reason: "escalated", official: None, actor: None }).map(drop)
    }

    fn lapse(&self, stored: &StoredCase) -> Result<(), Error> {
        let now = self.now();
        let place = Place { resident: stored.resident, id: stored.id.clone() };
        let change = move |stored: &mut StoredCase, _: &Register| {
            stored.case.lapse(now)?;
            Ok(vec![Counted::Settled])
        };
        self.step_case(&place, Step { change, letter: None, reason: "lapsed", official: None, actor: None }).map(drop)
    }

    /// Does what an answer or a decision ordered of the machine. After a crash it is done again.
    pub(crate) fn carry_out(&self, stored: &StoredCase) -> Result<(), Error> {
        require_true(&self.vault, stored)?;
        let Some(remedy) = stored.case.remedy.filter(|remedy| remedy.is_by_machine() && stored.case.awaits_remedy()) else {
            return Ok(());
        };
        let register = self.register();
        let of_number = |number| register.mandates.iter().find(|(_, entry)| entry.number == number).map(|(id, _)| id.clone());
        let mandate: Option<MandateId> = stored.mandate.and_then(of_number);
        if let Some(mandate) = mandate.filter(|_| remedy == Remedy::Delete) {
            self.end_loan_by_order(stored.resident, &mandate, stored.case.decided_at.is_none())?;
        }
        let (now, place) = (self.now(), Place { resident: stored.resident, id: stored.id.clone() });
        let change = move |stored: &mut StoredCase, _: &Register| {
            stored.case.remedied(now)?;
            Ok(Vec::new())
        };
        let step = Step { change, letter: None, reason: "remedied", official: None, actor: None };
        self.step_case(&place, step).map(drop)
    }

    /// Offices that owe acknowledgements, answers, decisions or remedies, each once and by the day of the oldest, so that no case can be told by it.
    pub(crate) fn late_cases(&self) -> Result<Vec<Late>, Error> {
        let now = self.now();
        let overdue = self.db.read(|conn| cases::overdue(conn, now))?;
        let late = overdue.into_iter().map(|(what, office, since)| Late {
            duty: match what.as_str() {
                "acknowledgement" => LateDuty::Acknowledgement,
                "answer" => LateDuty::Answer,
                "decision" => LateDuty::Decision,
                _ => LateDuty::Remedy,
            },
            object: office.to_string(),
            agency: office,
            due_at: Day::of(since).map_or(since, Day::begins),
        });
        Ok(late.collect())
    }
}

/// Whether it was done. A case that cannot be handled holds up no other: one whose resident was erased meanwhile, or whose row somebody changed.
fn one_alone(stored: &StoredCase, outcome: Result<(), Error>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Error::Vault(VaultError::NoKey { .. }) | Error::Unknown { .. }) => Ok(false),
        Err(Error::Refused { what, .. }) => {
            tracing::warn!(case = %stored.id, %what, "a case was not moved on");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Cases looked at in one go.
const PART: usize = 500;
