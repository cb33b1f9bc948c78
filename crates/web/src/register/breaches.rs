//! Breaches: what happened, how many people it concerns, and whether what each law demands was done in time.

use std::fmt::Write;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::audit::{Audit, Drill};
use usufruct_core::breach::{Breach, ClockStanding, LegalClock};
use usufruct_core::id::{BlockId, BreachId, MandateId, ServiceId};
use usufruct_core::register::{Entry, Register};

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "breaches.html")]
struct BreachesPage {
    page: Page,
    open: Vec<ShownBreach>,
    closed: Vec<ShownBreach>,
    /// Drills, the newest first.
    drills: Vec<Entry<Audit>>,
}

#[derive(Template)]
#[template(path = "breach.html")]
struct BreachPage {
    page: Page,
    shown: ShownBreach,
}

/// A breach as readers see it.
pub(crate) struct ShownBreach {
    pub entry: Entry<Breach>,
    pub body: Link,
    pub mandates: Vec<Link>,
    pub services: Vec<Link>,
    /// Names of the blocks, where not all are concerned.
    pub blocks: Vec<String>,
    pub clocks: Vec<(LegalClock, ClockStanding)>,
}

impl ShownBreach {
    /// How many of its clocks have run out without an answer.
    pub fn late(&self) -> usize {
        self.clocks.iter().filter(|(_, standing)| *standing == ClockStanding::Late).count()
    }
}

pub(super) async fn breaches(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let mut all: Vec<_> = register.breaches.values().map(|entry| shown_breach(&register, &page, entry, now)).collect();
    all.sort_by_key(|shown| std::cmp::Reverse(shown.entry.number));
    let (closed, open) = all.into_iter().partition(|shown| shown.entry.body.is_closed());
    let is_drill = |entry: &&Entry<Audit>| entry.body.drill == Drill::BreachDrill;
    let mut drills: Vec<Entry<Audit>> = register.audits.values().filter(is_drill).cloned().collect();
    drills.sort_by_key(|entry| std::cmp::Reverse(entry.number));
    show(&BreachesPage { page, open, closed, drills })
}

pub(super) async fn breaches_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().breaches)
}

/// One line for each clock. Articles are quoted; all else is ids, words of closed lists and times.
pub(super) async fn breaches_csv(State(site): State<Arc<Site>>) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let mut csv = String::from("breach,body,cause,law,duty,article,due_at,standing,answered_at\r\n");
    for (id, entry) in &register.breaches {
        for clock in &entry.body.clocks {
            let (body, cause, article) = (&entry.body.body, entry.body.cause.code(), clock.article.replace('"', "\"\""));
            let answered = clock.answer.as_ref().map(|answer| answer.at.to_string()).unwrap_or_default();
            let (law, duty, standing) = (clock.law.replace('"', "\"\""), clock.duty.code(), clock.standing(now).code());
            // Writing to a String cannot fail.
            let _ = write!(csv, "{id},{body},{cause},\"{law}\",{duty},\"{article}\",{},{standing},{answered}\r\n", clock.due_at);
        }
    }
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response()
}

pub(super) async fn breach(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<BreachId>().ok().and_then(|id| register.breaches.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("breach"))?;
    let shown = shown_breach(&register, &page, entry, site.app.now());
    Ok(show(&BreachPage { page, shown }))
}

pub(crate) fn shown_breach(register: &Register, page: &Page, entry: &Entry<Breach>, now: Time) -> ShownBreach {
    let body = &entry.body;
    let mandate = |id: &MandateId| register.mandates.get(id).map(|entry| Link::mandate(page, entry));
    let service = |id: &ServiceId| register.services.get(id).map(|entry| Link::service(page, entry));
    let mut clocks: Vec<_> = body.clocks.iter().map(|clock| (clock.clone(), clock.standing(now))).collect();
    clocks.sort_by_key(|(clock, _)| clock.due_at);
    ShownBreach {
        body: Link::agency(register, page, &body.body),
        mandates: body.mandates.iter().filter_map(mandate).collect(),
        services: body.services.iter().filter_map(service).collect(),
        blocks: body.blocks.iter().map(|id| block_name(register, page, id)).collect(),
        clocks,
        entry: entry.clone(),
    }
}

/// What a block is called.
pub(crate) fn block_name(register: &Register, page: &Page, id: &BlockId) -> String {
    register.blocks.get(id).map_or_else(|| id.to_string(), |block| page.text(&block.body.name).to_owned())
}
