//! Statistics: what is published in numbers, each release a statement of the log with its leaf.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Serialize;
use serde_json::json;
use usufruct_core::Time;
use usufruct_core::id::{AgencyId, MandateId};
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::mandate::{Mandate, Operation};
use usufruct_core::register::{Entry, Register};
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Day;
use usufruct_core::time::Month;

use super::derived::{Basis, Row};
use super::export::csv_of;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "statistics.html")]
struct StatisticsPage {
    page: Page,
    basis: Basis,
    tallies: Vec<(Series<MandateId, Day>, Link)>,
    cases: Vec<(Series<AgencyId, Month>, Link)>,
    /// Mandates under which statistics may be made.
    mandates: Vec<(Link, String)>,
}

/// Releases about one thing, one after the other.
#[derive(Clone, Debug, Serialize)]
struct Series<T, P> {
    about: T,
    /// The first and the last day or month that was counted.
    first: P,
    last: P,
    releases: u64,
    /// When the last one was published, and its leaf.
    released_at: Time,
    leaf: u64,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (basis, register) = Basis::now(&site).await?;
    let tallies = tallies(&register).into_iter().map(|series| {
        let mandate = Link::object(&register, &page, StatementKind::Mandate, series.about.as_str());
        (series, Link { to: format!("{}/tallies", mandate.to), words: mandate.words })
    });
    let cases = cases(&register).into_iter().map(|series| {
        let link = Link { to: format!("/register/cases#{}", series.about), ..Link::agency(&register, &page, &series.about) };
        (series, link)
    });
    let may = |entry: &&Entry<Mandate>| entry.body.operations.contains(&Operation::Statistics) && entry.state != Stage::Draft;
    let mandates = register.mandates.values().filter(may).map(|entry| (Link::mandate(&page, entry), page.stage(&entry.state)));
    let (tallies, cases, mandates) = (tallies.collect(), cases.collect(), mandates.collect());
    Ok(show(&StatisticsPage { page, basis, tallies, cases, mandates }))
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Response {
    let register = site.app.register();
    open_json(&json!({ "uses": tallies(&register), "cases": cases(&register) }))
}

pub(super) async fn csv(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let register = site.app.register();
    let uses = tallies(&register).into_iter().map(|series| series.line("uses"));
    let cases = cases(&register).into_iter().map(|series| series.line("cases"));
    csv_of(&["what", "about", "first", "last", "releases", "released_at", "leaf"], uses.chain(cases))
}

/// One row for each series, by its last release.
pub(super) fn rows(register: &Register, page: &Page) -> Vec<Row> {
    let uses = tallies(register).into_iter().map(|series| {
        let mandate = Link::object(register, page, StatementKind::Mandate, series.about.as_str());
        series.row("uses", fl!(page.messages, "statistics-uses"), Link { to: format!("{}/tallies", mandate.to), ..mandate })
    });
    let cases = cases(register).into_iter().map(|series| {
        let body = Link::agency(register, page, &series.about);
        let to = format!("/register/cases#{}", series.about);
        series.row("cases", fl!(page.messages, "register-cases"), Link { to, ..body })
    });
    uses.chain(cases).collect()
}

impl<T: Display, P: Display> Series<T, P> {
    fn line(&self, what: &str) -> Vec<String> {
        let [releases, leaf] = [self.releases, self.leaf].map(|number| number.to_string());
        let (first, last, at) = (self.first.to_string(), self.last.to_string(), self.released_at.to_string());
        vec![what.to_owned(), self.about.to_string(), first, last, releases, at, leaf]
    }

    /// The last release as a row, whose id names it for good.
    fn row(&self, what: &str, title: String, about: Link) -> Row {
        Row {
            id: format!("{what}-{}-{}", self.about, self.last),
            title: format!("{title}: {}, {}", about.words, self.last),
            summary: format!("{} – {}: {}", self.first, self.last, self.releases),
            at: self.released_at,
            about: about.to,
            leaves: vec![self.leaf],
            cells: vec![
                ("what", json!(what)),
                ("about", json!(self.about.to_string())),
                ("first", json!(self.first.to_string())),
                ("last", json!(self.last.to_string())),
                ("releases", json!(self.releases)),
            ],
        }
    }
}

fn tallies(register: &Register) -> Vec<Series<MandateId, Day>> {
    series(register.tallies.values(), |tally| (tally.mandate.clone(), tally.day))
}

fn cases(register: &Register) -> Vec<Series<AgencyId, Month>> {
    series(register.case_tallies.values(), |tally| (tally.agency.clone(), tally.month))
}

/// The releases of each thing in one series.
fn series<'a, B: 'a, T: Ord + Clone, P: Ord + Copy>(
    entries: impl Iterator<Item = &'a Entry<B>>,
    of: impl Fn(&B) -> (T, P),
) -> Vec<Series<T, P>> {
    let mut found: BTreeMap<T, Series<T, P>> = BTreeMap::new();
    for entry in entries {
        let (about, period) = of(&entry.body);
        let series = found.entry(about.clone()).or_insert_with(|| Series {
            about,
            first: period,
            last: period,
            releases: 0,
            released_at: entry.since,
            leaf: entry.index,
        });
        series.releases += 1;
        series.first = series.first.min(period);
        if period >= series.last {
            (series.last, series.released_at, series.leaf) = (period, entry.since, entry.index);
        }
    }
    found.into_values().collect()
}
