//! The front page and the resident's overview.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::grant::GrantState;
use usufruct_core::time::DAY;

use crate::fault::Fault;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;
use crate::{Persona, Site};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    page: Page,
    personas: Vec<Persona>,
    sample_urls: Vec<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    lines: usize,
    consents: usize,
    ending: Vec<(String, Time)>,
    is_active: bool,
}

pub(crate) async fn front(State(site): State<Arc<Site>>, page: Page) -> Response {
    let demo = site.settings.demo.clone();
    let (personas, sample_urls) = demo.map_or_else(Default::default, |demo| (demo.personas, demo.sample_urls));
    show(&HomePage { page, personas, sample_urls })
}

pub(crate) async fn overview(State(site): State<Arc<Site>>, page: Page, Resident(session): Resident) -> Result<Response, Fault> {
    let resident = session.resident;
    let (lines, grants) = blocking(&site, move |app| Ok((app.footprint(resident)?.lines.len(), app.grants(resident)?))).await?;
    let register = site.app.register();
    let now = site.app.now();
    let given: Vec<_> =
        grants.into_iter().filter(|stored| stored.grant.state == GrantState::Given && stored.grant.valid_until > now).collect();
    let ending = given
        .iter()
        .filter(|stored| stored.grant.valid_until < now.plus(30 * DAY))
        .filter_map(|stored| {
            let entry = register.mandates.values().find(|entry| entry.number == stored.mandate)?;
            Some((page.text(&entry.body.title).to_owned(), stored.grant.valid_until))
        })
        .collect();
    Ok(show(&OverviewPage { page, lines, consents: given.len(), ending, is_active: session.active }))
}
