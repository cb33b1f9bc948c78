//! How often uses were refused, by mandate and by the clause that refused, out of the tallies that were published.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Serialize;
use serde_json::json;
use usufruct_core::id::MandateId;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Day;

use super::derived::{Basis, Row};
use super::export::csv_of;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "refusals.html")]
struct RefusalsPage {
    page: Page,
    basis: Basis,
    lines: Vec<(Refused, Link)>,
}

/// What one clause refused under one mandate. A day with 1 to 9 refusals says no more than that, so the sum lies between two numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Refused {
    mandate: MandateId,
    clause: String,
    at_least: u64,
    at_most: u64,
    /// Days on which it refused.
    days: u64,
    last_day: Day,
    /// The leaf of the tally of each of these days, in the order of the log.
    leaves: Vec<u64>,
}

impl Refused {
    /// The sum in digits, a span where it is not exact.
    fn sum(&self) -> String {
        if self.at_least == self.at_most { self.at_least.to_string() } else { format!("{}–{}", self.at_least, self.at_most) }
    }
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (basis, register) = Basis::now(&site).await?;
    let link = |line: Refused| {
        let mandate = Link::object(&register, &page, StatementKind::Mandate, line.mandate.as_str());
        (line, Link { to: format!("{}/tallies", mandate.to), words: mandate.words })
    };
    let lines = refused(&register).into_iter().map(link).collect();
    Ok(show(&RefusalsPage { page, basis, lines }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    open_json(&refused(&site.app.register()))
}

pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let lines = refused(&site.app.register()).into_iter().map(|line| {
        let [least, most, days] = [line.at_least, line.at_most, line.days].map(|number| number.to_string());
        vec![line.mandate.to_string(), line.clause, least, most, days, line.last_day.to_string(), joined(&line.leaves)]
    });
    csv_of(&["mandate", "clause", "at_least", "at_most", "days", "last_day", "leaves"], lines)
}

/// One row for each mandate and clause, which is as old as its last day.
pub(super) fn rows(register: &Register, page: &Page) -> Vec<Row> {
    let row = |line: Refused| {
        let mandate = Link::object(register, page, StatementKind::Mandate, line.mandate.as_str());
        Row {
            id: format!("{}-{}", line.mandate, line.clause),
            title: format!("{}: {}", mandate.words, page.clause(&line.clause)),
            summary: format!("{}: {}", fl!(page.messages, "refusals-count"), line.sum()),
            at: line.last_day.next().begins(),
            about: format!("{}/tallies", mandate.to),
            cells: vec![
                ("mandate", json!(line.mandate)),
                ("clause", json!(line.clause)),
                ("at_least", json!(line.at_least)),
                ("at_most", json!(line.at_most)),
                ("days", json!(line.days)),
                ("last_day", json!(line.last_day)),
            ],
            leaves: line.leaves,
        }
    };
    refused(register).into_iter().map(row).collect()
}

fn joined(leaves: &[u64]) -> String {
    leaves.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// The sums, the most refused first.
fn refused(register: &Register) -> Vec<Refused> {
    let mut sums: BTreeMap<(&MandateId, &str), Refused> = BTreeMap::new();
    for (tally, leaf) in register.tallies.values().map(|entry| (&entry.body, entry.index)) {
        for line in &tally.refusals {
            let sum = sums.entry((&tally.mandate, &line.clause)).or_insert_with(|| Refused {
                mandate: tally.mandate.clone(),
                clause: line.clause.clone(),
                at_least: 0,
                at_most: 0,
                days: 0,
                last_day: tally.day,
                leaves: Vec::new(),
            });
            sum.at_least += line.count.least();
            sum.at_most += line.count.most();
            sum.days += 1;
            sum.last_day = sum.last_day.max(tally.day);
            sum.leaves.push(leaf);
        }
    }
    let mut lines: Vec<Refused> = sums.into_values().collect();
    lines.iter_mut().for_each(|line| line.leaves.sort_unstable());
    lines.sort_by(|one, other| other.at_most.cmp(&one.at_most).then_with(|| one.mandate.cmp(&other.mandate)));
    lines
}
