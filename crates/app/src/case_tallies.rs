//! Case tallies: how many cases each body had in each month and what came of them, published by the machine once the month is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use usufruct_core::case_tally::{CaseTally, Numbers};
use usufruct_core::id::{AgencyId, CaseTallyId};
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Day;
use usufruct_core::time::Month;
use usufruct_store::cases;

use crate::{App, Error, Publication};

/// Tallies published in one transaction.
const PART: usize = 100;

impl App {
    /// Publishes the case tallies of all months that are over and not counted, also of months without any case: of every body that the log
    /// counts already, that has a mandate in force, or that ever had a case. Answers how many.
    ///
    /// Each body is published alone, so that what is wrong with the numbers of one keeps none from the others. The first error is answered
    /// once all were tried.
    pub fn run_case_tallies(&self) -> Result<usize, Error> {
        let running = Month::of(self.now());
        let firsts = self.db.read(cases::first_counts)?;
        let (mut count, mut failed) = (0, None);
        for (agency, months) in due(&self.register(), &firsts, running) {
            match self.tally_cases(&agency, &months, running) {
                Ok(()) => count += months.len(),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(count), Err)
    }

    fn tally_cases(&self, agency: &AgencyId, months: &[Month], running: Month) -> Result<(), Error> {
        for part in months.chunks(PART) {
            let numbers = self.close_months(agency, part, running)?;
            let mut statements = Vec::with_capacity(part.len());
            for (month, (numbers, so_far)) in part.iter().zip(&numbers) {
                let body = json!(CaseTally::of(agency.clone(), *month, numbers, so_far));
                let id = CaseTallyId::fresh(self.now(), self.rng());
                let mut statement =
                    self.statement(StatementKind::CaseTally, id.as_str(), self.automation.agency(), body, self.now());
                statement.approve(&self.automation)?;
                statements.push(statement);
            }
            self.publish(&Publication { statements })?;
        }
        Ok(())
    }

    /// What was counted in each of these months, and up to and with it. From then on nothing more can be before `running`: a step that was
    /// begun earlier counts for the first day that is open.
    fn close_months(&self, agency: &AgencyId, months: &[Month], running: Month) -> Result<Vec<(Numbers, Numbers)>, Error> {
        let (agency, months, open) = (agency.clone(), months.to_vec(), Arc::clone(&self.cases_open));
        self.db.transaction("close months of cases", move |tx| {
            open.close(running);
            let mut counted = |from: i64, month: Month| -> Result<Numbers, Error> {
                let counts = cases::counts(tx, &agency, from, first_day(month.next()))?;
                Ok(counts.into_iter().map(|count| ((count.kind, count.what), count.number)).collect())
            };
            months.iter().map(|month| Ok((counted(first_day(*month), *month)?, counted(i64::MIN, *month)?))).collect()
        })
    }
}

/// The first day for which cases are still counted. It is looked at and moved inside of transactions, which one thread runs after another.
#[derive(Debug)]
pub(crate) struct CasesOpen(AtomicI64);

impl CasesOpen {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Closes everything before this month.
    fn close(&self, month: Month) {
        self.0.fetch_max(first_day(month), Ordering::SeqCst);
    }

    /// The day for which something counts that happened on `day`.
    pub(crate) fn day(&self, day: i64) -> i64 {
        day.max(self.0.load(Ordering::SeqCst))
    }
}

/// The first day of a month, counted from 1970 by the calendar of Taipei.
fn first_day(month: Month) -> i64 {
    Day::of(month.begins()).map_or(i64::MAX, Day::number)
}

/// The months that are over and not counted, by body and in order. `firsts` holds the day of the first count of each body.
///
/// What the log says stands first: a body that it counts already goes on, and one with a mandate in force begins when that began, whatever the
/// rows of cases say or do not say any more.
fn due(register: &Register, firsts: &[(AgencyId, i64)], running: Month) -> Vec<(AgencyId, Vec<Month>)> {
    let mut begins = register.cases_begin();
    let mut note = |agency, month: Month| {
        let first = begins.entry(agency).or_insert(month);
        *first = month.min(*first);
    };
    for (agency, day) in firsts {
        Day::from_number(*day).into_iter().for_each(|day| note(agency, Month::of(day.begins())));
    }
    let counted = register.agencies.keys().filter(|agency| register.last_case_tally(agency).is_some());
    let bodies: BTreeSet<&AgencyId> = begins.keys().copied().chain(counted).collect();
    let months = |agency: &AgencyId| -> Option<Vec<Month>> {
        let entered = register.agencies.get(agency)?.history.first().map(|step| Month::of(step.at));
        let first = || begins.get(agency).copied().max(entered);
        let next = register.last_case_tally(agency).map(Month::next).or_else(first)?;
        Some(std::iter::successors(Some(next), |month| Some(month.next())).take_while(|month| *month < running).collect())
    };
    let due = bodies.into_iter().filter_map(|agency| Some((agency.clone(), months(agency)?)));
    due.filter(|(_, months)| !months.is_empty()).collect()
}
