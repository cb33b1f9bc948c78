//! Breaches: what happened, how many people it concerns, and whether what each law demands was done in time.

use std::collections::BTreeSet;
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
use usufruct_core::id::{AgencyId, BlockId, BreachId, MandateId, ServiceId};
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
    /// The vendors who owe some of them, by their ids.
    pub vendors: Vec<(AgencyId, Link)>,
    /// What its level means, and the article that says so.
    pub level: Option<(String, String)>,
    /// Whether specially protected data is concerned.
    pub is_special: bool,
    /// Until when the law wants its records kept, once it is closed.
    pub records_until: Option<Time>,
}

impl ShownBreach {
    /// How many of its clocks have run out without an answer.
    pub fn late(&self) -> usize {
        self.clocks.iter().filter(|(_, standing)| *standing == ClockStanding::Late).count()
    }

    /// The vendor who owes a clock, where it is not the body.
    fn owed_by(&self, clock: &LegalClock) -> Option<&Link> {
        let vendor = clock.owed_by.as_ref()?;
        self.vendors.iter().find(|(id, _)| id == vendor).map(|(_, link)| link)
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
    let mut csv =
        String::from("breach,body,state,severity,special,cause,law,duty,article,owed_by,due_at,standing,answered_at\r\n");
    for (id, entry) in &register.breaches {
        let (state, special) = (entry.body.state.code(), register.is_special(&entry.body));
        let severity = entry.body.severity.map(|level| level.to_string()).unwrap_or_default();
        for clock in &entry.body.clocks {
            let (body, cause, article) = (&entry.body.body, entry.body.cause.code(), clock.article.replace('"', "\"\""));
            let answered = clock.answer.as_ref().map(|answer| answer.at.to_string()).unwrap_or_default();
            let (law, duty, standing) = (clock.law.replace('"', "\"\""), clock.duty.code(), clock.standing(now).code());
            let owed_by = clock.owed_by.as_ref().unwrap_or(body);
            // Writing to a String cannot fail.
            let _ = write!(csv, "{id},{body},{state},{severity},{special},{cause},\"{law}\",{duty},\"{article}\",{owed_by},");
            let _ = write!(csv, "{},{standing},{answered}\r\n", clock.due_at);
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
    let law = register.law(&body.body, body.aware_at.unwrap_or(body.first_signal_at));
    let level = body.severity.and_then(|level| law.breach_level(level));
    let vendors: BTreeSet<&AgencyId> = body.clocks.iter().filter_map(|clock| clock.owed_by.as_ref()).collect();
    ShownBreach {
        vendors: vendors.into_iter().map(|id| (id.clone(), Link::agency(register, page, id))).collect(),
        level: level.map(|level| (page.text(&level.text).to_owned(), level.article.clone())),
        is_special: register.is_special(body),
        records_until: register.breach_records_until(entry),
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
