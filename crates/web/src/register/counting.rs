//! What is counted in public: the tallies of each mandate, sources whose record is incomplete, and what the burst brake has stopped.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::{Value, json};
use usufruct_app::{BrakeView, Burst};
use usufruct_core::id::MandateId;
use usufruct_core::incident::Incident;
use usufruct_core::register::{Entry, Register};
use usufruct_core::source::Source;
use usufruct_core::tally::{Count, Tally};
use usufruct_core::time::Month;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "counts.html")]
struct CountsPage {
    page: Page,
    open: Vec<ShownIncident>,
    over: Vec<ShownIncident>,
    brakes: Vec<ShownBrake>,
    bursts: Vec<ShownBurst>,
}

#[derive(Template)]
#[template(path = "tallies.html")]
struct TalliesPage {
    page: Page,
    mandate: Link,
    id: String,
    tallies: Vec<Entry<Tally>>,
    /// Whether lines under it may be in a matter that is closed to residents.
    may_close: bool,
    /// How many were, by month.
    closed: Vec<(Month, Count)>,
}

/// An incident as readers see it.
pub(crate) struct ShownIncident {
    pub entry: Entry<Incident>,
    /// What the source is called.
    pub source: String,
    pub mandate: Link,
}

/// A mandate that was used far more than before, as readers see it.
struct ShownBurst {
    burst: Burst,
    mandate: Link,
}

/// What the brake says, as readers see it.
pub(crate) struct ShownBrake {
    pub view: BrakeView,
    pub body: Link,
    /// The mandate under which is decided, or the word for what clerks do.
    pub what: String,
}

impl ShownBrake {
    /// The word for the day on which it was stopped, or on which a drift was seen.
    pub fn since(&self) -> String {
        self.view.stopped_on.or(self.view.drifted_on).map(|day| day.to_string()).unwrap_or_default()
    }
}

pub(super) async fn counts(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let (brakes, bursts) = blocking(&site, |app| Ok::<_, usufruct_app::Error>((app.brakes()?, app.bursts()?))).await?;
    let register = site.app.register();
    let (open, over) =
        shown_incidents(&register, &page, |_| true).into_iter().partition(|shown| shown.entry.body.ended_at.is_none());
    let brakes = brakes.into_iter().map(|view| shown_brake(&register, &page, view)).collect();
    let shown = |burst: Burst| Some(ShownBurst { mandate: Link::mandate(&page, register.mandates.get(&burst.mandate)?), burst });
    let bursts = bursts.into_iter().filter_map(shown).collect();
    Ok(show(&CountsPage { page, open, over, brakes, bursts }))
}

pub(super) async fn counts_json(State(site): State<Arc<Site>>) -> Result<Response, Fault> {
    let (brakes, bursts) = blocking(&site, |app| Ok::<_, usufruct_app::Error>((app.brakes()?, app.bursts()?))).await?;
    let bursts: Vec<Value> =
        bursts.into_iter().map(|burst| json!({ "mandate": burst.mandate, "day": burst.day, "uses": burst.uses })).collect();
    let brakes: Vec<Value> = brakes
        .into_iter()
        .map(|view| {
            json!({
                "mark": view.mark,
                "body": view.body,
                "reason": view.reason,
                "nobody": view.is_nobody,
                "stopped_on": view.stopped_on,
                "leaf": view.leaf,
                "drifted_on": view.drifted_on,
                "day": view.day,
                "decisions": view.decisions,
                "refused": view.refused,
            })
        })
        .collect();
    Ok(open_json(&json!({ "incidents": site.app.register().incidents, "brakes": brakes, "bursts": bursts })))
}

pub(super) async fn tallies(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let (id, mandate) = find(&register, &id)?;
    let tallies = of_mandate(&register, &id);
    let asked = id.clone();
    let closed = blocking(&site, move |app| app.closed_matters(&asked)).await?;
    let may_close = mandate.body.third_party.is_some() || !closed.is_empty();
    let mandate = Link::mandate(&page, mandate);
    Ok(show(&TalliesPage { mandate, id: id.to_string(), page, tallies, may_close, closed }))
}

/// In how many lines the matter was closed to residents, by month.
pub(super) async fn closed_json(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let (id, _) = find(&site.app.register(), &id)?;
    let closed = blocking(&site, move |app| app.closed_matters(&id)).await?;
    let months: Vec<Value> = closed.into_iter().map(|(month, lines)| json!({ "month": month, "lines": lines })).collect();
    Ok(open_json(&months))
}

pub(super) async fn tallies_json(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let (id, _) = find(&register, &id)?;
    Ok(open_json(&of_mandate(&register, &id)))
}

fn find<'a>(register: &'a Register, id: &str) -> Result<(MandateId, &'a Entry<usufruct_core::mandate::Mandate>), Fault> {
    let unknown = || Fault::not_found("mandate");
    let id: MandateId = id.parse().map_err(|_| unknown())?;
    let entry = register.mandates.get(&id).ok_or_else(unknown)?;
    Ok((id, entry))
}

/// The tallies of a mandate, the newest first.
fn of_mandate(register: &Register, id: &MandateId) -> Vec<Entry<Tally>> {
    let mut tallies: Vec<_> = register.tallies.values().filter(|entry| entry.body.mandate == *id).cloned().collect();
    tallies.sort_by_key(|entry| std::cmp::Reverse(entry.body.day));
    tallies
}

/// The incidents that `keep` keeps, the newest first.
pub(crate) fn shown_incidents(register: &Register, page: &Page, keep: impl Fn(&Incident) -> bool) -> Vec<ShownIncident> {
    let mut kept: Vec<_> = register.incidents.values().filter(|entry| keep(&entry.body)).collect();
    kept.sort_by_key(|entry| std::cmp::Reverse(entry.number));
    kept.into_iter()
        .map(|entry| ShownIncident {
            source: source_words(register, page, &entry.body.source),
            mandate: register.mandates.get(&entry.body.mandate).map_or_else(
                || Link { to: "/register".to_owned(), words: entry.body.mandate.to_string() },
                |mandate| Link::mandate(page, mandate),
            ),
            entry: entry.clone(),
        })
        .collect()
}

/// What a source is called.
pub(crate) fn source_words(register: &Register, page: &Page, source: &Source) -> String {
    match source {
        Source::Pass => fl!(page.messages, "source-pass"),
        Source::Service(id) => {
            register.services.get(id).map_or_else(|| id.to_string(), |service| page.text(&service.body.name).to_owned())
        }
    }
}

pub(crate) fn shown_brake(register: &Register, page: &Page, view: BrakeView) -> ShownBrake {
    let (first, rest) = view.reason.split_once(' ').unwrap_or((&view.reason, ""));
    let mandate = first.parse().ok().and_then(|id: MandateId| register.mandates.get(&id));
    let what = match mandate {
        Some(mandate) => {
            let reason = mandate.body.reason(rest).map_or(rest, |text| page.text(text));
            format!("{}: {reason}", page.text(&mandate.body.title))
        }
        None => fl!(page.messages, "brake-counter"),
    };
    ShownBrake { body: Link::agency(register, page, &view.body), what, view }
}
