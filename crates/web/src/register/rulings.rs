//! What overseers publish of their decisions about cases, in words that name nobody.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::id::RulingId;
use usufruct_core::register::{Entry, Register};
use usufruct_core::ruling::Ruling;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "rulings.html")]
struct RulingsPage {
    page: Page,
    /// The newest first.
    rulings: Vec<ShownRuling>,
}

#[derive(Template)]
#[template(path = "ruling.html")]
struct RulingPage {
    page: Page,
    shown: ShownRuling,
}

/// A ruling with words for what it names.
struct ShownRuling {
    entry: Entry<Ruling>,
    body: Link,
    office: Link,
    mandate: Option<Link>,
}

pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let mut rulings: Vec<_> = register.rulings.values().map(|entry| shown(&register, &page, entry)).collect();
    rulings.sort_by_key(|shown| std::cmp::Reverse(shown.entry.index));
    show(&RulingsPage { page, rulings })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().rulings)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let register = site.app.register();
    let find = |id: &str| id.parse::<RulingId>().ok().and_then(|id| register.rulings.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let entry = find(&id).ok_or_else(|| Fault::not_found("ruling"))?;
    let shown = shown(&register, &page, entry);
    Ok(show(&RulingPage { page, shown }))
}

fn shown(register: &Register, page: &Page, entry: &Entry<Ruling>) -> ShownRuling {
    let mandate = entry.body.mandate.as_ref().and_then(|id| register.mandates.get(id));
    ShownRuling {
        body: Link::agency(register, page, &entry.body.body),
        office: Link::agency(register, page, &entry.body.office),
        mandate: mandate.map(|mandate| Link::mandate(page, mandate)),
        entry: entry.clone(),
    }
}
