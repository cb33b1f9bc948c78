//! How many cases residents filed with each office, what came of them, and what overseers publish of their decisions.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::{Map, Value, json};
use usufruct_app::CaseTally;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::register::{Entry, Register};
use usufruct_core::ruling::Ruling;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "case-counts.html")]
struct CountsPage {
    page: Page,
    tallies: Vec<(Link, CaseTally)>,
    /// Who owes residents something now.
    late: Vec<(Link, Late)>,
    /// The newest first.
    rulings: Vec<ShownRuling>,
}

/// What an overseer published of a decision, with words for what it names.
struct ShownRuling {
    entry: Entry<Ruling>,
    body: Link,
    office: Link,
    mandate: Option<Link>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (tallies, late) = blocking(&site, |app| Ok((app.case_tallies()?, app.late()?))).await?;
    let register = site.app.register();
    let tallies = tallies.into_iter().map(|tally| (Link::agency(&register, &page, &tally.agency), tally)).collect();
    let owed =
        |late: &Late| matches!(late.duty, LateDuty::Acknowledgement | LateDuty::Answer | LateDuty::Decision | LateDuty::Remedy);
    let late = late.into_iter().filter(owed).map(|late| (Link::agency(&register, &page, &late.agency), late)).collect();
    let mut rulings: Vec<_> = register.rulings.values().map(|entry| shown_ruling(&register, &page, entry)).collect();
    rulings.sort_by_key(|shown| std::cmp::Reverse(shown.entry.index));
    Ok(show(&CountsPage { page, tallies, late, rulings }))
}

/// What overseers published of their decisions.
pub(super) async fn rulings_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().rulings)
}

fn shown_ruling(register: &Register, page: &Page, entry: &Entry<Ruling>) -> ShownRuling {
    let mandate = entry.body.mandate.as_ref().and_then(|id| register.mandates.get(id));
    ShownRuling {
        body: Link::agency(register, page, &entry.body.body),
        office: Link::agency(register, page, &entry.body.office),
        mandate: mandate.map(|mandate| Link::mandate(page, mandate)),
        entry: entry.clone(),
    }
}

pub(super) async fn json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let tallies = blocking(&site, |app| app.case_tallies()).await?;
    let tallies: Vec<Value> = tallies
        .into_iter()
        .map(|tally| {
            let counts = tally.all().map(|(word, _, count)| (word.to_owned(), json!(count)));
            let mut all: Map<String, Value> = counts.collect();
            all.insert("agency".to_owned(), json!(tally.agency));
            all.insert("kind".to_owned(), json!(tally.kind));
            Value::Object(all)
        })
        .collect();
    Ok(open_json(&tallies))
}
