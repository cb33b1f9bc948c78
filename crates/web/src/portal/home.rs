//! The front page and the resident's overview.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_app::{DelegationView, FiledCase, WeeklyMessage};
use usufruct_core::Time;
use usufruct_core::delegation::Role;
use usufruct_core::grant::GrantState;
use usufruct_core::time::DAY;

use super::footprint::{Row, rows};
use super::see;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::session::Anybody;
use crate::site::blocking;
use crate::{Persona, Site};

/// How many uses the overview shows, and how early an end is announced.
const RECENT: usize = 3;
const SOON: i64 = 30 * DAY;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    page: Page,
    personas: Vec<Persona>,
    samples: Vec<Sample>,
    /// Conditions of emergencies that are waived for now.
    waivers: usize,
    /// Orders that nobody obeyed in time.
    overdue: usize,
    /// Sources whose record is incomplete.
    incidents: usize,
}

/// A sample relying party of the demo.
struct Sample {
    url: String,
    name: String,
    help: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    recent: Vec<Row>,
    lines: usize,
    consents: usize,
    ending: Vec<Ending>,
    cases: Vec<FiledCase>,
    /// Breaches of which she was told and that are not closed: id and title.
    breaches: Vec<(String, String)>,
    /// The newest weekly message.
    message: Option<WeeklyMessage>,
    /// Guardians that two clerks set up, and when.
    guardians: Vec<Time>,
}

/// A mandate that ends soon.
struct Ending {
    mandate: String,
    title: String,
    until: Time,
}

pub(crate) async fn front(State(site): State<Arc<Site>>, page: Page) -> Response {
    let demo = site.settings.demo.clone();
    let (personas, urls) = demo.map_or_else(Default::default, |demo| (demo.personas, demo.sample_urls));
    let register = site.app.register();
    let samples = urls
        .into_iter()
        .map(|url| {
            let returns_to = |uri: &String| uri.strip_prefix(&url).is_some_and(|rest| rest.starts_with('/'));
            let service = register.services.values().find(|entry| entry.body.redirect_uris.iter().any(returns_to));
            Sample {
                name: service.map_or_else(|| url.clone(), |entry| page.text(&entry.body.name).to_owned()),
                help: service.map(|entry| page.text(&entry.body.help).to_owned()).unwrap_or_default(),
                url,
            }
        })
        .collect();
    let now = site.app.now();
    let in_force = register.mandates.values().filter(|entry| entry.is_in_force(now));
    let conditions = in_force.filter_map(|entry| entry.body.eight_conditions.as_ref());
    let waivers = conditions.map(|eight| eight.waivers().filter(|(_, waiver)| now < waiver.until).count()).sum();
    let overdue = register.overdue_orders(now).count();
    let incidents = register.incidents.values().filter(|entry| entry.body.ended_at.is_none()).count();
    show(&HomePage { page, personas, samples, waivers, overdue, incidents })
}

pub(crate) async fn overview(State(site): State<Arc<Site>>, page: Page, Anybody(session): Anybody) -> Result<Response, Fault> {
    if session.acting.is_some() {
        return see("/me/acting");
    }
    let resident = session.resident;
    let (footprint, grants, cases, delegations, notices, message) = blocking(&site, move |app| {
        Ok((
            app.footprint(resident)?,
            app.grants(resident)?,
            app.cases(resident)?,
            app.delegations(&session)?,
            app.breach_notices(resident)?,
            app.messages(resident)?.into_iter().next(),
        ))
    })
    .await?;
    let is_guardian = |delegation: &&DelegationView| delegation.is_given && delegation.role == Role::Guardian;
    let guardians = delegations.iter().filter(is_guardian).map(|delegation| delegation.given_at).collect();
    let open = notices.iter().filter(|notice| !notice.breach.is_closed());
    let breaches = open.map(|notice| (notice.id.to_string(), page.text(&notice.breach.title).to_owned())).collect();
    let register = site.app.register();
    let now = site.app.now();
    let given: Vec<_> = grants
        .into_iter()
        .filter(|stored| matches!(stored.grant.state, GrantState::Given | GrantState::Paused) && stored.grant.valid_until > now)
        .collect();
    let mut ending: Vec<_> = given
        .iter()
        .filter(|stored| stored.grant.valid_until < now.plus(SOON))
        .filter_map(|stored| {
            let entry = register.mandates.values().find(|entry| entry.number == stored.mandate)?;
            let title = page.text(&entry.body.title).to_owned();
            Some(Ending { mandate: entry.id.clone(), title, until: stored.grant.valid_until })
        })
        .collect();
    ending.sort_by_key(|ending| ending.until);
    let mut recent: Vec<Row> = rows(&register, &page, &footprint).into_iter().filter(Row::is_asked).collect();
    // What was kept back is news on the day on which it opens.
    recent.sort_by_key(|row| std::cmp::Reverse(row.opened_at.or(row.at)));
    recent.truncate(RECENT);
    let lines = footprint.lines.len();
    Ok(show(&OverviewPage { page, recent, lines, consents: given.len(), ending, cases, breaches, message, guardians }))
}
