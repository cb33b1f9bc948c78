//! How many cases residents filed with each office and what came of them, month by month as it stands in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::{Map, Value, json};
use usufruct_core::Time;
use usufruct_core::case::CaseKind;
use usufruct_core::case_tally::{CaseTally, Counted, Sum};
use usufruct_core::id::AgencyId;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::register::{Entry, Register};
use usufruct_core::time::Month;

use super::derived::Basis;
use super::export::csv_of;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "case-counts.html")]
struct CountsPage {
    page: Page,
    basis: Basis,
    offices: Vec<ShownOffice>,
    /// Who owes residents something now.
    late: Vec<(Link, Late)>,
}

/// The cases of one office as readers see them.
struct ShownOffice {
    id: AgencyId,
    agency: Link,
    totals: Vec<Total>,
    /// The newest first.
    months: Vec<Entry<CaseTally>>,
    /// Months that are over and that the operator has not counted.
    uncounted: Vec<Month>,
}

/// All cases of one kind with one office, out of its months.
struct Total {
    agency: AgencyId,
    kind: CaseKind,
    months: u64,
    sums: BTreeMap<Counted, Sum>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let late = blocking(&site, |app| app.late()).await?;
    let (basis, register) = Basis::now(&site).await?;
    let owed =
        |late: &Late| matches!(late.duty, LateDuty::Acknowledgement | LateDuty::Answer | LateDuty::Decision | LateDuty::Remedy);
    let late = late.into_iter().filter(owed).map(|late| (Link::agency(&register, &page, &late.agency), late)).collect();
    Ok(show(&CountsPage { offices: offices(&register, &page, site.app.now()), page, basis, late }))
}

/// The statements themselves.
pub(super) async fn tallies_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().case_tallies)
}

/// What the months come to, by office and kind.
pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    let line = |total: Total| {
        let counts = total.all().map(|(word, _, sum)| (word.to_owned(), json!(sum)));
        let mut all: Map<String, Value> = counts.collect();
        all.insert("agency".to_owned(), json!(total.agency));
        all.insert("kind".to_owned(), json!(total.kind));
        all.insert("months".to_owned(), json!(total.months));
        Value::Object(all)
    };
    open_json(&totals(&site.app.register()).into_iter().map(line).collect::<Vec<_>>())
}

/// One line for each office, month and kind of case.
pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let first = ["agency", "month", "kind"];
    let columns: Vec<&str> = first.into_iter().chain(Counted::WORDS.map(|(word, _)| word)).chain(["hash", "leaf"]).collect();
    let register = site.app.register();
    let lines = months(&register).into_iter().flat_map(|entry| {
        entry.body.kinds().into_iter().map(move |kind| {
            let first = [entry.body.agency.to_string(), entry.body.month.to_string(), kind.code().to_owned()];
            let counts = Counted::WORDS.map(|(_, what)| entry.body.count(kind, what).to_string());
            first.into_iter().chain(counts).chain([entry.hash.to_string(), entry.index.to_string()]).collect()
        })
    });
    csv_of(&columns, lines)
}

fn offices(register: &Register, page: &Page, now: Time) -> Vec<ShownOffice> {
    let mut offices: Vec<ShownOffice> = Vec::new();
    let shown = |id: &AgencyId| ShownOffice {
        id: id.clone(),
        agency: Link::agency(register, page, id),
        totals: Vec::new(),
        months: Vec::new(),
        uncounted: Vec::new(),
    };
    for entry in months(register) {
        let id = &entry.body.agency;
        if offices.last().is_none_or(|office| office.id != *id) {
            offices.push(shown(id));
        }
        if let Some(office) = offices.last_mut() {
            office.months.insert(0, entry.clone());
        }
    }
    for total in totals(register) {
        if let Some(office) = offices.iter_mut().find(|office| office.id == total.agency) {
            office.totals.push(total);
        }
    }
    // A body that was never counted stands here too.
    for (id, months) in register.uncounted_months(now) {
        match offices.iter_mut().find(|office| office.id == id) {
            Some(office) => office.uncounted = months,
            None => offices.push(ShownOffice { uncounted: months, ..shown(&id) }),
        }
    }
    offices
}

/// The tallies by office, each in the order of its months.
fn months(register: &Register) -> Vec<&Entry<CaseTally>> {
    let mut entries: Vec<_> = register.case_tallies.values().collect();
    entries.sort_by(|one, other| (&one.body.agency, one.body.month).cmp(&(&other.body.agency, other.body.month)));
    entries
}

fn totals(register: &Register) -> Vec<Total> {
    let mut totals: BTreeMap<(&AgencyId, CaseKind), Total> = BTreeMap::new();
    for entry in months(register) {
        let agency = &entry.body.agency;
        for kind in entry.body.kinds() {
            let empty = || Total { agency: agency.clone(), kind, months: 0, sums: BTreeMap::new() };
            let total = totals.entry((agency, kind)).or_insert_with(empty);
            total.months += 1;
            for line in entry.body.counts.iter().filter(|line| line.kind == kind) {
                let sum = total.sums.entry(line.what).or_default();
                *sum = sum.plus(line.count);
            }
        }
    }
    totals.into_values().collect()
}

impl Total {
    /// All sums in the order in which they are shown, each with its word.
    fn all(&self) -> impl Iterator<Item = (&'static str, Counted, Sum)> {
        Counted::WORDS.into_iter().map(|(word, what)| (word, what, self.sums.get(&what).copied().unwrap_or_default()))
    }
}
