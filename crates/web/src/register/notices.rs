//! The notice of a mandate in its layers: to read, to print at a counter, and as JSON.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::id::MandateId;
use usufruct_core::layers::Layers;
use usufruct_core::notice::Notice;
use usufruct_core::register::Entry;
use usufruct_core::statement::StatementKind;

use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    page: Page,
    notices: Vec<ShownNotice>,
}

/// A notice as the list has it.
struct ShownNotice {
    entry: Entry<Notice>,
    mandate: Link,
    /// Whether it explains the present revision of its mandate.
    holds: bool,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    page: Page,
    layers: Layers,
}

/// All of them: first those that hold, the newest first.
pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let register = site.app.register();
    let shown = |entry: &Entry<Notice>| {
        let mandate = register.mandates.get(&entry.body.mandate);
        ShownNotice {
            mandate: Link::object(&register, &page, StatementKind::Mandate, entry.body.mandate.as_str()),
            holds: mandate.is_some_and(|mandate| mandate.hash == entry.body.mandate_hash),
            entry: entry.clone(),
        }
    };
    let mut notices: Vec<_> = register.notices.values().map(shown).collect();
    notices.sort_by_key(|shown| (!shown.holds, std::cmp::Reverse(shown.entry.index)));
    show(&NoticesPage { page, notices })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().notices.values().collect::<Vec<_>>())
}

pub(super) async fn page(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    Ok(show(&NoticePage { page, layers: layers(&site, &id)? }))
}

pub(super) async fn json(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Fault> {
    Ok(open_json(&layers(&site, &id)?))
}

fn layers(site: &Site, id: &str) -> Result<Layers, Fault> {
    let id: MandateId = id.parse().map_err(|_| Fault::not_found("mandate"))?;
    Layers::of(&site.app.register(), &id, site.app.now()).ok_or_else(|| Fault::not_found("notice"))
}
