//! How an object came to be what it is: every step with its leaf, whatever the object.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde_json::json;
use usufruct_core::Digest;
use usufruct_core::register::Step;
use usufruct_core::statement::StatementKind;

use super::{Link, feed, objects, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    page: Page,
    kind: StatementKind,
    id: String,
    rev: u64,
    hash: Digest,
    /// Leaf of the present revision.
    index: u64,
    object: Link,
    /// The newest first.
    steps: Vec<Step>,
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    if let Some(outline) = id.strip_suffix(".json").and_then(|id| objects::find(&register, id)) {
        return Ok(open_json(&json!({
            "type": outline.kind,
            "id": outline.id,
            "rev": outline.rev,
            "hash": outline.hash,
            "number": outline.number,
            "index": outline.index,
            "state": outline.state,
            "since": outline.since,
            "history": outline.history,
        })));
    }
    if let Some(outline) = id.strip_suffix(".atom").and_then(|id| objects::find(&register, id)) {
        let object = Link::object(&register, &page, outline.kind, outline.id);
        let title = format!("{}: {}", page.thing(&outline.kind), object.words);
        return Ok(feed::answer(&site, &register, &page, &title, &object.to, &[outline]));
    }
    let outline = objects::find(&register, &id).ok_or_else(|| Fault::not_found("object"))?;
    Ok(show(&HistoryPage {
        kind: outline.kind,
        id: outline.id.to_owned(),
        rev: outline.rev,
        hash: outline.hash,
        index: outline.index,
        object: Link::object(&register, &page, outline.kind, outline.id),
        steps: outline.history.iter().rev().cloned().collect(),
        page,
    }))
}
