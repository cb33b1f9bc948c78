//! The resident's own data: see it and correct it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_core::id::BlockId;

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "data.html")]
struct DataPage {
    page: Page,
    blocks: Vec<Own>,
    corrected: Option<BlockId>,
}

struct Own {
    id: BlockId,
    name: String,
    value: String,
    source: String,
    is_correctable: bool,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    corrected: Option<BlockId>,
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(done): Query<Done>,
) -> Result<Response, Fault> {
    let own = blocking(&site, move |app| app.own_blocks(session.resident)).await?;
    let register = site.app.register();
    let blocks = own
        .into_iter()
        .filter_map(|own| {
            let entry = register.blocks.get(&own.block)?;
            let source = register.agencies.get(&entry.body.source_agency);
            Some(Own {
                name: page.text(&entry.body.name).to_owned(),
                source: source.map(|agency| page.text(&agency.body.legal_name).to_owned()).unwrap_or_default(),
                is_correctable: entry.body.correctable,
                id: own.block,
                value: own.value,
            })
        })
        .collect();
    Ok(show(&DataPage { page, blocks, corrected: done.corrected }))
}

#[derive(Deserialize)]
pub(crate) struct Correction {
    value: String,
}

pub(crate) async fn correct(
    State(site): State<Arc<Site>>,
    Path(block): Path<BlockId>,
    Checked(session, form): Checked<Correction>,
) -> Result<Response, Fault> {
    let target = format!("/me/data?corrected={block}");
    blocking(&site, move |app| app.correct(session.resident, &block, &form.value)).await?;
    see(&target)
}
