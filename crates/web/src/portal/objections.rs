//! Object to a footprint line, and the cases that came of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Actor, FiledCase, ObjectionRequest, OpenSession};
use usufruct_core::delegation::Power;

use super::footprint::{Row, describe, rows};
use super::{looked, see};
use crate::Site;
use crate::fault::Fault;
use crate::form::CheckedOfAnybody;
use crate::page::{Page, render, show};
use crate::session::Anybody;
use crate::site::blocking;

/// Longest objection, in characters.
const MOST_CHARACTERS: usize = 2_000;

#[derive(Template)]
#[template(path = "object.html")]
struct ObjectPage {
    page: Page,
    row: Row,
    /// What was written when it was too long.
    words: String,
    is_too_long: bool,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    page: Page,
    cases: Vec<ShownCase>,
}

struct ShownCase {
    case: FiledCase,
    /// The line objected to, where it still opens.
    row: Option<Row>,
}

pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Path(n): Path<u64>,
) -> Result<Response, Fault> {
    may_object(&session)?;
    let row = line(&site, &page, looked(&site, &session, Power::Footprint).await?, n).await?;
    Ok(show(&ObjectPage { page, row, words: String::new(), is_too_long: false }))
}

#[derive(Deserialize)]
pub(crate) struct Words {
    words: String,
}

pub(crate) async fn object(
    State(site): State<Arc<Site>>,
    page: Page,
    Path(n): Path<u64>,
    CheckedOfAnybody(session, form): CheckedOfAnybody<Words>,
) -> Result<Response, Fault> {
    let actor = may_object(&session)?;
    // Browsers count a line break as one character and send two.
    let words = form.words.replace("\r\n", "\n").trim().to_owned();
    if words.chars().count() > MOST_CHARACTERS {
        let row = line(&site, &page, looked(&site, &session, Power::Footprint).await?, n).await?;
        return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &ObjectPage { page, row, words, is_too_long: true }));
    }
    blocking(&site, move |app| app.object(actor, &ObjectionRequest { line: n, words })).await?;
    see("/me/cases")
}

pub(crate) async fn list(State(site): State<Arc<Site>>, page: Page, Anybody(session): Anybody) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Cases).await?;
    let (cases, footprint) = blocking(&site, move |app| Ok((app.cases(resident)?, app.footprint(resident)?))).await?;
    let mut rows = rows(&site.app.register(), &page, &footprint);
    let cases = cases
        .into_iter()
        .map(|case| ShownCase {
            row: rows.iter().position(|row| row.n == case.line && row.is_asked()).map(|at| rows.swap_remove(at)),
            case,
        })
        .collect();
    Ok(show(&CasesPage { page, cases }))
}

/// To object to a line, a delegate has to see it and to be given cases.
fn may_object(session: &OpenSession) -> Result<Actor, Fault> {
    Ok(session.actor(&[Power::Footprint, Power::Cases])?)
}

async fn line(site: &Arc<Site>, page: &Page, resident: u64, n: u64) -> Result<Row, Fault> {
    let footprint = blocking(site, move |app| app.footprint(resident)).await?;
    let line = footprint.lines.iter().find(|line| line.n == n).ok_or_else(|| Fault::not_found("line in your footprint"))?;
    Ok(describe(&site.app.register(), page, line))
}
