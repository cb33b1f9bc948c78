//! Tallies: what was done under each mandate on each day, published by the machine once the day is over. No day is left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::id::{MandateId, TallyId};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::{Count, Day};
use usufruct_core::time::Month;
use usufruct_store::db::{Connection, Tx};
use usufruct_store::tallies::{self, StoredSpan};

use crate::books::CLOSED;
use crate::ledger::Head;
use crate::{App, Error, Publication};

/// Tallies published in one transaction.
const PART: usize = 100;

/// A day of a mandate that is over and not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    id: MandateId,
    number: u64,
    day: Day,
}

impl App {
    /// Publishes the tallies of all days that are over, also of those on which nothing was done and of those that were missed. Answers how
    /// many.
    pub fn run_tallies(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = due(&self.register(), now);
        if due.is_empty() {
            return Ok(0);
        }
        let days: Vec<(u64, i64)> = due.iter().map(|due| (due.number, due.day.number())).collect();
        let counts = self.close_days(days)?;
        for (part, counts) in due.chunks(PART).zip(counts.chunks(PART)) {
            let mut statements = Vec::with_capacity(part.len());
            for (due, counts) in part.iter().zip(counts) {
                let body = body(due, counts, &self.salted(due)?);
                let id = TallyId::fresh(now, self.rng());
                let mut statement = self.statement(StatementKind::Tally, id.as_str(), self.automation.agency(), body, self.now());
                statement.approve(&self.automation)?;
                statements.push(statement);
            }
            self.publish(&Publication { statements })?;
        }
        Ok(due.len())
    }

    /// In how many lines under a mandate the matter was closed to the resident, by month and as it may be published, the last month first. A
    /// month without any is left out, and so is one that is not over: what it grew by from one day to the next would be a count of a day.
    pub fn closed_matters(&self, mandate: &MandateId) -> Result<Vec<(Month, Count)>, Error> {
        let (register, running) = (self.register(), Month::of(self.now()));
        let number = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?.number;
        let mut months: BTreeMap<Month, u64> = BTreeMap::new();
        for (day, count) in self.db.read(|conn| tallies::by_day(conn, number, CLOSED))? {
            let Some(month) = Day::from_number(day).map(|day| Month::of(day.begins())) else { continue };
            *months.entry(month).or_default() += count;
        }
        let over = months.into_iter().rev().filter(|(month, count)| *month < running && *count > 0);
        Ok(over.map(|(month, count)| (month, Count::of(count))).collect())
    }

    /// What was counted on these days. From then on nothing more can be: a use that was decided before is decided again, and on a later day.
    fn close_days(&self, days: Vec<(u64, i64)>) -> Result<Vec<BTreeMap<String, u64>>, Error> {
        let _guard = self.publishing();
        let version = Arc::clone(&self.register_version);
        let outcome = self.db.transaction("close days", move |tx| {
            version.fetch_add(1, Ordering::SeqCst);
            days.iter().map(|(mandate, day)| counted(tx, *mandate, *day)).collect()
        });
        self.keep_register();
        outcome
    }

    /// The numbers of a day, each with what hides it; the same again after a crash.
    fn salted(&self, due: &Due) -> Result<Vec<StoredSpan>, Error> {
        let (number, day) = (due.number, due.day.number());
        let mut spans = self.db.read(|conn| tallies::spans(conn, number, day))?;
        for span in &mut spans {
            span.salt.get_or_insert_with(|| random(self.rng()));
        }
        let noted = spans.clone();
        self.db.transaction("note salts", move |tx| {
            noted.iter().try_for_each(|span| {
                span.salt.map_or(Ok(()), |salt| Ok::<_, Error>(tallies::salt(tx, number, day, &span.source, &salt)?))
            })
        })?;
        Ok(spans)
    }
}

/// The days that are over and not counted, in order.
fn due(register: &Register, now: Time) -> Vec<Due> {
    let Some(today) = Day::of(now) else { return Vec::new() };
    let mut due = Vec::new();
    for (id, entry) in &register.mandates {
        let Some((first, last)) = counted_days(entry) else { continue };
        let next = register.last_tally(id).map_or(first, Day::next);
        let days = std::iter::successors(Some(next), |day| Some(day.next()));
        let days = days.take_while(|day| *day < today && last.is_none_or(|last| *day <= last));
        due.extend(days.map(|day| Due { id: id.clone(), number: entry.number, day }));
    }
    due
}

/// The first day on which a mandate was active, and the one on which it ended.
fn counted_days(entry: &Entry<Mandate>) -> Option<(Day, Option<Day>)> {
    let first = entry.history.iter().find(|step| step.to == State::Active).and_then(|step| Day::of(step.at))?;
    let end = entry.history.iter().find(|step| matches!(step.to, State::Revoked | State::Sunset));
    Some((first, end.and_then(|step| Day::of(step.at))))
}

/// What stands in the rows of a day, and what lines of the running commit add.
fn counted(tx: &mut Tx<'_>, mandate: u64, day: i64) -> Result<BTreeMap<String, u64>, Error> {
    let (head, conn): (&mut Head, &mut dyn Connection) = tx.group_and_connection::<Head>()?;
    let mut counts: BTreeMap<String, u64> = tallies::counts(conn, mandate, day)?.into_iter().collect();
    for (what, more) in head.books.pending(mandate, day) {
        let count = counts.entry(what).or_default();
        *count = count.saturating_add_signed(more);
    }
    Ok(counts)
}

fn body(due: &Due, counts: &BTreeMap<String, u64>, spans: &[StoredSpan]) -> Value {
    let count = |what: &str| Count::of(counts.get(what).copied().unwrap_or_default());
    let refusals: Vec<Value> = counts
        .iter()
        .filter(|(_, number)| **number > 0)
        .filter_map(|(what, number)| Some(json!({ "clause": what.strip_prefix("refusal:")?, "count": Count::of(*number) })))
        .collect();
    let sources: Vec<Value> = spans
        .iter()
        .filter_map(|span| Some(json!({ "source": span.source, "span": span.span.commitment(&span.source, &span.salt?) })))
        .collect();
    json!({
        "mandate": due.id,
        "day": due.day,
        "uses": count("use"),
        "delayed": count("delayed"),
        "irregular": count("irregular"),
        "batches": count("batch"),
        "residents": count("resident"),
        "refusals": refusals,
        "sources": sources,
    })
}
