//! The notice of a mandate in its layers: to read, to print at a counter, and as JSON.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::id::MandateId;
use usufruct_core::layers::Layers;

use super::open_json;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    page: Page,
    layers: Layers,
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
