//! The resident's own data: see it and correct it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_core::id::BlockId;
use usufruct_core::{Digest, Time};

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, render, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "data.html")]
struct DataPage {
    page: Page,
    blocks: Vec<Own>,
    deposits: Vec<Deposit>,
    corrected: Option<BlockId>,
    /// The block whose new value cannot be taken.
    wrong: Option<BlockId>,
    /// The commitment of her key.
    key: Option<Digest>,
}

/// Longest value, in characters.
const MOST_CHARACTERS: usize = 200;

struct Own {
    id: BlockId,
    name: String,
    value: String,
    /// What was typed when it cannot be taken.
    entered: Option<String>,
    source: String,
    is_correctable: bool,
}

/// Something that a service put into the pass.
struct Deposit {
    name: String,
    value: String,
    /// The mandate, by its title.
    under: String,
    at: Time,
    until: Time,
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
    let blocks = own(&site, &page, session.resident).await?;
    let deposits = deposits(&site, &page, session.resident).await?;
    let key = blocking(&site, move |app| app.resident_key(session.resident)).await?;
    Ok(show(&DataPage { page, blocks, deposits, corrected: done.corrected, wrong: None, key }))
}

async fn own(site: &Arc<Site>, page: &Page, resident: u64) -> Result<Vec<Own>, Fault> {
    let own = blocking(site, move |app| app.own_blocks(resident)).await?;
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
                entered: None,
            })
        })
        .collect();
    Ok(blocks)
}

async fn deposits(site: &Arc<Site>, page: &Page, resident: u64) -> Result<Vec<Deposit>, Fault> {
    let deposits = blocking(site, move |app| app.own_deposits(resident)).await?;
    let register = site.app.register();
    let shown = deposits.into_iter().filter_map(|deposit| {
        Some(Deposit {
            name: page.text(&register.blocks.get(&deposit.block)?.body.name).to_owned(),
            under: page.text(&register.mandates.get(&deposit.mandate)?.body.title).to_owned(),
            value: deposit.value,
            at: deposit.at,
            until: deposit.until,
        })
    });
    Ok(shown.collect())
}

#[derive(Deserialize)]
pub(crate) struct Correction {
    value: String,
}

pub(crate) async fn correct(
    State(site): State<Arc<Site>>,
    page: Page,
    Path(block): Path<BlockId>,
    Checked(session, form): Checked<Correction>,
) -> Result<Response, Fault> {
    let value = form.value.trim();
    if value.is_empty() || value.chars().count() > MOST_CHARACTERS || value.chars().any(char::is_control) {
        let mut blocks = own(&site, &page, session.resident).await?;
        if let Some(own) = blocks.iter_mut().find(|own| own.id == block && own.is_correctable) {
            own.entered = Some(form.value);
            let deposits = deposits(&site, &page, session.resident).await?;
            let key = blocking(&site, move |app| app.resident_key(session.resident)).await?;
            let content = DataPage { page, blocks, deposits, corrected: None, wrong: Some(block), key };
            return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &content));
        }
        return Err(Fault::not_found("block to correct"));
    }
    let target = format!("/me/data?corrected={block}");
    blocking(&site, move |app| app.correct(session.herself()?, &block, &form.value)).await?;
    see(&target)
}
