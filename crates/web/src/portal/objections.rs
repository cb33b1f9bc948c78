//! Object to a footprint line, and the cases that came of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{FiledCase, ObjectionRequest};

use super::footprint::{Row, describe};
use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "object.html")]
struct ObjectPage {
    page: Page,
    row: Row,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    page: Page,
    cases: Vec<FiledCase>,
}

pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    let footprint = blocking(&site, move |app| app.footprint(session.resident)).await?;
    let line = footprint.lines.iter().find(|line| line.n == n).ok_or_else(|| Fault::not_found("line in your footprint"))?;
    let row = describe(&site.app.register(), &page, line);
    Ok(show(&ObjectPage { page, row }))
}

#[derive(Deserialize)]
pub(crate) struct Words {
    words: String,
}

pub(crate) async fn object(
    State(site): State<Arc<Site>>,
    Path(n): Path<u64>,
    Checked(session, form): Checked<Words>,
) -> Result<Response, Fault> {
    blocking(&site, move |app| app.object(session.resident, &ObjectionRequest { line: n, words: form.words })).await?;
    see("/me/cases")
}

pub(crate) async fn list(State(site): State<Arc<Site>>, page: Page, Resident(session): Resident) -> Result<Response, Fault> {
    let cases = blocking(&site, move |app| app.cases(session.resident)).await?;
    Ok(show(&CasesPage { page, cases }))
}
