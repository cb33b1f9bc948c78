//! What a resident is told of breaches that concern her: what happened, which data of hers, what she can do.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::delegation::Power;
use usufruct_core::id::BreachId;
use usufruct_core::{Text, Time};

use super::looked;
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};
use crate::register::breaches::{ShownBreach, block_name, shown_breach};
use crate::session::Anybody;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "own-breaches.html")]
struct OwnBreachesPage {
    page: Page,
    told: Vec<Told>,
}

#[derive(Template)]
#[template(path = "own-breach.html")]
struct OwnBreachPage {
    page: Page,
    told: Told,
}

/// A breach of which she was told.
struct Told {
    shown: ShownBreach,
    told_at: Time,
    /// Names of her blocks that are concerned.
    blocks: Vec<String>,
    /// Where the body can be reached.
    contact: String,
}

impl Told {
    fn advice(&self) -> Option<&Text> {
        self.shown.entry.body.advice.as_ref()
    }
}

pub(crate) async fn list(State(site): State<Arc<Site>>, page: Page, Anybody(session): Anybody) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Footprint).await?;
    let told = of_resident(&site, &page, resident).await?;
    Ok(show(&OwnBreachesPage { page, told }))
}

pub(crate) async fn one(
    State(site): State<Arc<Site>>,
    page: Page,
    Anybody(session): Anybody,
    Path(id): Path<BreachId>,
) -> Result<Response, Fault> {
    let resident = looked(&site, &session, Power::Footprint).await?;
    let told = of_resident(&site, &page, resident).await?;
    let told = told.into_iter().find(|told| told.shown.entry.id == id.as_str()).ok_or_else(|| Fault::not_found("breach"))?;
    Ok(show(&OwnBreachPage { page, told }))
}

async fn of_resident(site: &Arc<Site>, page: &Page, resident: u64) -> Result<Vec<Told>, Fault> {
    let notices = blocking(site, move |app| app.breach_notices(resident)).await?;
    let (register, now) = (site.app.register(), site.app.now());
    let told = notices.into_iter().filter_map(|notice| {
        let entry = register.breaches.get(&notice.id)?;
        let agency = register.agencies.get(&entry.body.body);
        Some(Told {
            shown: shown_breach(&register, page, entry, now),
            told_at: notice.told_at,
            blocks: notice.blocks.iter().map(|id| block_name(&register, page, id)).collect(),
            contact: agency.map(|agency| agency.body.contact.clone()).unwrap_or_default(),
        })
    });
    Ok(told.collect())
}
