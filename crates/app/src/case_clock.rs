//! The clock over cases: what no office answers in time goes to the overseer by itself, what was ordered of the machine is done, and who is late
//! stands in public.

use usufruct_core::case::{CaseKind, CaseState, Remedy};
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::register::Register;
use usufruct_core::tally::{Count, Day};
use usufruct_store::cases::{self, Counted, StoredCase};
use usufruct_store::db::{Connection, Error as DbError};
use usufruct_vault::Error as VaultError;

use crate::case::{Place, Step, agency, require_true};
use crate::{App, Error};

/// How many cases of one kind an office had, as it may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseTally {
    pub agency: AgencyId,
    pub kind: CaseKind,
    pub filed: Count,
    /// Answered by the office before the day.
    pub in_time: Count,
    /// Not answered by the day.
    pub late: Count,
    /// Of the answers of the office: she was right, or partly; she was not.
    pub upheld: Count,
    pub dismissed: Count,
    /// Taken to the overseer by the resident.
    pub complained: Count,
    /// Of the decisions of the overseer.
    pub decided_upheld: Count,
    pub decided_dismissed: Count,
}

impl App {
    /// Takes to the overseer what no office has answered in time, and does what was ordered of the machine. Answers how many cases moved.
    pub fn run_cases(&self) -> Result<usize, Error> {
        let now = self.now();
        let late = self.each_case(|conn, after| cases::unanswered(conn, now, after, PART), |stored| self.escalate(stored))?;
        Ok(late + self.each_case(|conn, after| cases::unremedied(conn, after, PART), |stored| self.carry_out(stored))?)
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
            Ok(stored.case.escalate(&law, now)?)
        };
        let counted = vec![Counted::Late];
        self.step_case(&place, Step { change, letter: None, reason: "escalated", official: None, counted, actor: None }).map(drop)
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
            self.end_loan_by_order(stored.resident, &mandate, stored.case.state == CaseState::Answered)?;
        }
        let (now, place) = (self.now(), Place { resident: stored.resident, id: stored.id.clone() });
        let change = move |stored: &mut StoredCase, _: &Register| Ok(stored.case.remedied(now)?);
        let step = Step { change, letter: None, reason: "remedied", official: None, counted: Vec::new(), actor: None };
        self.step_case(&place, step).map(drop)
    }

    /// Offices that owe answers, decisions or remedies, each once and by the day of the oldest, so that no case can be told by it.
    pub(crate) fn late_cases(&self) -> Result<Vec<Late>, Error> {
        let now = self.now();
        let overdue = self.db.read(|conn| cases::overdue(conn, now))?;
        let late = overdue.into_iter().map(|(what, office, since)| Late {
            duty: match what.as_str() {
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

    /// How many cases each office had of each kind up to yesterday, by the small-count rule of the tallies.
    pub fn case_tallies(&self) -> Result<Vec<CaseTally>, Error> {
        let today = crate::release::day(self.now());
        let mut tallies: Vec<CaseTally> = Vec::new();
        for count in self.db.read(|conn| cases::counts(conn, today))? {
            let is_same = tallies.last().is_some_and(|last| last.agency == count.agency && last.kind == count.kind);
            if !is_same {
                tallies.push(CaseTally::none(count.agency, count.kind));
            }
            if let Some(tally) = tallies.last_mut() {
                *tally.place(count.what) = Count::of(count.number);
            }
        }
        Ok(tallies)
    }
}

impl CaseTally {
    fn none(agency: AgencyId, kind: CaseKind) -> Self {
        let none = Count::of(0);
        Self {
            agency,
            kind,
            filed: none,
            in_time: none,
            late: none,
            upheld: none,
            dismissed: none,
            complained: none,
            decided_upheld: none,
            decided_dismissed: none,
        }
    }

    fn place(&mut self, what: Counted) -> &mut Count {
        match what {
            Counted::Filed => &mut self.filed,
            Counted::InTime => &mut self.in_time,
            Counted::Late => &mut self.late,
            Counted::Upheld => &mut self.upheld,
            Counted::Dismissed => &mut self.dismissed,
            Counted::Complained => &mut self.complained,
            Counted::DecidedUpheld => &mut self.decided_upheld,
            Counted::DecidedDismissed => &mut self.decided_dismissed,
        }
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
