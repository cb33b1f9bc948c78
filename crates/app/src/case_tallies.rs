//! Case tallies: how many cases each body had in each month and what came of them, published by the machine once the month is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use usufruct_core::case::CaseKind;
use usufruct_core::case_tally::{CaseTally, Counted};
use usufruct_core::id::{AgencyId, CaseTallyId};
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Day;
use usufruct_core::time::Month;
use usufruct_store::cases;

use crate::{App, Error, Publication};

/// Tallies published in one transaction.
const PART: usize = 100;

/// The numbers of one body and month, by kind and by what was counted.
type Numbers = BTreeMap<(CaseKind, Counted), u64>;

impl App {
    /// Publishes the case tallies of all months that are over and not counted, for every body that ever had a case, also of months without
    /// any. Answers how many.
    pub fn run_case_tallies(&self) -> Result<usize, Error> {
        let running = Month::of(self.now());
        let firsts = self.db.read(cases::first_counts)?;
        let due = due(&self.register(), &firsts, running);
        if due.is_empty() {
            return Ok(0);
        }
        for part in due.chunks(PART) {
            let numbers = self.close_months(part, running)?;
            let mut statements = Vec::with_capacity(part.len());
            for ((agency, month), numbers) in part.iter().zip(&numbers) {
                let body = json!(CaseTally::of(agency.clone(), *month, numbers));
                let id = CaseTallyId::fresh(self.now(), self.rng());
                let mut statement =
                    self.statement(StatementKind::CaseTally, id.as_str(), self.automation.agency(), body, self.now());
                statement.approve(&self.automation)?;
                statements.push(statement);
            }
            self.publish(&Publication { statements })?;
        }
        Ok(due.len())
    }

    /// What was counted in these months. From then on nothing more can be before `running`: a step that was begun earlier counts for the first
    /// day that is open.
    fn close_months(&self, due: &[(AgencyId, Month)], running: Month) -> Result<Vec<Numbers>, Error> {
        let (due, open) = (due.to_vec(), Arc::clone(&self.cases_open));
        self.db.transaction("close months of cases", move |tx| {
            open.close(running);
            due.iter()
                .map(|(agency, month)| {
                    let counts = cases::counts(tx, agency, first_day(*month), first_day(month.next()))?;
                    Ok(counts.into_iter().map(|count| ((count.kind, count.what), count.number)).collect())
                })
                .collect()
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
fn due(register: &Register, firsts: &[(AgencyId, i64)], running: Month) -> Vec<(AgencyId, Month)> {
    let mut due = Vec::new();
    for (agency, day) in firsts {
        let Some(first) = Day::from_number(*day).map(|day| Month::of(day.begins())) else { continue };
        let next = register.last_case_tally(agency).map_or(first, Month::next);
        let months = std::iter::successors(Some(next), |month| Some(month.next())).take_while(|month| *month < running);
        due.extend(months.map(|month| (agency.clone(), month)));
    }
    due
}
