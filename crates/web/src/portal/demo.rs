//! Shortcuts of the demo: sign in as somebody, and a clerk who enrols anybody. A real pass has none of these routes.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use axum::routing::{get, post};
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::NewResident;
use usufruct_core::Time;
use usufruct_core::ports::random;
use usufruct_core::time::DAY;

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::{Empty, Public};
use crate::page::{Page, show};
use crate::passkey::own_path;
use crate::register::Link;
use crate::session::{MaybeResident, cookie};
use crate::site::{DemoDesk, blocking};

/// As long as an invitation works.
const INVITATION_LIFE: i64 = 14 * DAY;

#[derive(Template)]
#[template(path = "clerk.html")]
struct ClerkPage {
    page: Page,
    /// The code and the last day it works; `None` before the clerk has enrolled anybody.
    slip: Option<(String, Time)>,
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/demo/sign-in/{key}", get(sign_in))
        .route("/demo/clerk", get(ask).post(enrol))
        .route("/demo/officials", get(desk).post(enter))
        .route("/demo/officials/proposal", post(propose))
}

/// How a visitor becomes an official of the sample body.
#[derive(Template)]
#[template(path = "demo-officials.html")]
struct OfficialsPage {
    page: Page,
    body: String,
    name: String,
    /// Whether a key was entered just now.
    is_entered: bool,
    /// What went wrong, in English.
    fault: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    entry: String,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn sign_in(
    State(site): State<Arc<Site>>,
    MaybeResident(before): MaybeResident,
    Path(key): Path<String>,
    Query(next): Query<Next>,
) -> Result<Response, Fault> {
    let personas = site.settings.demo.iter().flat_map(|demo| &demo.personas);
    let resident = personas.into_iter().find(|persona| persona.key == key).ok_or_else(|| Fault::not_found("persona"))?.resident;
    let token = blocking(&site, move |app| app.replace_session(resident, "demo", before.as_ref())).await?;
    let mut response = see(&own_path(&site, &next.next))?;
    response.headers_mut().insert(SET_COOKIE, cookie(&site, &token));
    Ok(response)
}

async fn ask(page: Page) -> Response {
    show(&ClerkPage { page, slip: None })
}

/// Enrols one more invented resident and prints her code.
async fn enrol(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    let code = blocking(&site, |app| {
        let number = u16::from_be_bytes(random(app.rng()));
        let register = app.register();
        let invented = [
            ("blk_name", format!("陳示範{number} Chen Demo {number}")),
            ("blk_birth-date", "1990-05-04".to_owned()),
            ("blk_over-18", "yes".to_owned()),
            ("blk_residence-district", "海濱區 Seaside".to_owned()),
            ("blk_email", format!("demo{number}@example.org")),
            ("blk_mobile-phone", format!("0900-{:06}", number)),
            ("blk_preferred-language", "zh-Hant".to_owned()),
        ];
        let blocks = invented.into_iter().filter_map(|(id, value)| Some((id.parse().ok()?, value)));
        let blocks = blocks.filter(|(id, _)| register.blocks.contains_key(id)).collect();
        let enrolled = app.enrol(&[NewResident { blocks }])?;
        app.invite(enrolled[0].resident, None)
    })
    .await?;
    let until = site.app.now().plus(INVITATION_LIFE);
    Ok(show(&ClerkPage { page, slip: Some((code, until)) }))
}

fn officials_page(site: &Site, page: Page, done: Result<bool, String>) -> Result<Response, Fault> {
    let desk = the_desk(site)?;
    let name = Link::agency(&site.app.register(), &page, &desk.body).words;
    let (is_entered, fault) = done.map_or_else(|fault| (false, Some(fault)), |is_entered| (is_entered, None));
    Ok(show(&OfficialsPage { page, body: desk.body.to_string(), name, is_entered, fault }))
}

async fn desk(State(site): State<Arc<Site>>, page: Page) -> Result<Response, Fault> {
    officials_page(&site, page, Ok(false))
}

/// The entry of a visitor's passkey joins that of the body.
async fn enter(State(site): State<Arc<Site>>, page: Page, Public(form): Public<Entry>) -> Result<Response, Fault> {
    let desk = the_desk(&site)?.clone();
    let done = tokio::task::spawn_blocking(move || (desk.enter)(&form.entry)).await.map_err(|_| Fault::internal())?;
    officials_page(&site, page, done.map(|()| true))
}

/// Something for the officials to approve.
async fn propose(State(site): State<Arc<Site>>, page: Page, Public(_): Public<Empty>) -> Result<Response, Fault> {
    let desk = the_desk(&site)?.clone();
    match tokio::task::spawn_blocking(move || (desk.propose)()).await.map_err(|_| Fault::internal())? {
        Ok(id) => see(&format!("/officials/proposals/{id}")),
        Err(fault) => officials_page(&site, page, Err(fault)),
    }
}

fn the_desk(site: &Site) -> Result<&DemoDesk, Fault> {
    site.settings.demo.as_ref().and_then(|demo| demo.desk.as_ref()).ok_or_else(|| Fault::not_found("page"))
}
