//! Every statement under an address that stays: its words, its hash, its leaf, who approved it, and what it changes in the revision before.

mod changes;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use usufruct_app::{App, Error, Said};
use usufruct_core::Digest;
use usufruct_core::register::{Outline, Register};
use usufruct_core::statement::{Statement, StatementKind};

use self::changes::{Change, changes};
use super::{Link, objects};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage {
    page: Page,
    index: u64,
    statement: Statement,
    hash: Digest,
    /// What it is about.
    object: Link,
    /// Id of that: of a status change the object that it moves.
    about: String,
    speaker: Link,
    approvals: Vec<(Link, String)>,
    /// Leaf of the revision before.
    before: Option<u64>,
    /// Leaf of the present revision, if this is another one.
    present: Option<u64>,
    /// What differs from the revision before, or all there is where there is none.
    changes: Vec<Change>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Path(leaf): Path<String>) -> Result<Response, Fault> {
    let unknown = || Fault::not_found("statement");
    let (digits, is_json) = leaf.strip_suffix(".json").map_or((&*leaf, false), |digits| (digits, true));
    let index: u64 = digits.parse().map_err(|_| unknown())?;
    let (said, before) = blocking(&site, move |app| read(app, index)).await?.ok_or_else(unknown)?;
    if is_json {
        // A leaf never changes.
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ];
        return Ok((headers, said.json).into_response());
    }
    shown(&site.app.register(), page, said, before)
}

/// The statement in a leaf and the revision before it.
fn read(app: &App, index: u64) -> Result<Option<(Said, Option<Said>)>, Error> {
    let Some(said) = app.said(index)? else { return Ok(None) };
    let register = app.register();
    let before = match revised(&register, &said.statement) {
        Some(object) => app.said_before(&object, index)?,
        None => None,
    };
    Ok(Some((said, before)))
}

/// The object that a statement is a revision of.
fn revised<'a>(register: &'a Register, statement: &Statement) -> Option<Outline<'a>> {
    register.outline(statement.kind, &statement.id)
}

fn shown(register: &Register, page: Page, said: Said, before: Option<Said>) -> Result<Response, Fault> {
    let Said { index, statement, .. } = said;
    let moved = statement.body.get("object").and_then(|id| id.as_str());
    let about = match statement.kind {
        StatementKind::StatusChange => moved.unwrap_or(&*statement.id),
        _ => &*statement.id,
    };
    let about = about.to_owned();
    let kind = objects::find(register, &about).map_or(statement.kind, |outline| outline.kind);
    let approvals = statement.approvals.iter();
    let approvals = approvals.map(|approval| (Link::agency(register, &page, &approval.agency), approval.key.clone())).collect();
    let present = revised(register, &statement).map(|object| object.index).filter(|present| *present != index);
    Ok(show(&StatementPage {
        hash: statement.hash().map_err(|_| Fault::internal())?,
        object: Link::object(register, &page, kind, &about),
        about,
        speaker: Link::agency(register, &page, &statement.by),
        approvals,
        before: before.as_ref().map(|before| before.index),
        present,
        changes: changes(before.as_ref().map(|before| &before.statement.body), &statement.body),
        index,
        statement,
        page,
    }))
}
