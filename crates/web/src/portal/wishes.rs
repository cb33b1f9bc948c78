//! Standing wishes: what holds before any request is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::Wishes;
use usufruct_core::agency::AgencyKind;
use usufruct_core::id::AgencyId;

use super::see;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, show};
use crate::session::Resident;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "wishes.html")]
struct WishesPage {
    page: Page,
    no_optional: bool,
    offices: Vec<Office>,
    is_saved: bool,
}

/// An office that could ask for data.
struct Office {
    id: AgencyId,
    name: String,
    is_declined: bool,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    saved: bool,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    page: Page,
    Resident(session): Resident,
    Query(done): Query<Done>,
) -> Result<Response, Fault> {
    let wished = blocking(&site, move |app| app.wishes(session.resident)).await?;
    let register = site.app.register();
    let asks = |kind: AgencyKind| !matches!(kind, AgencyKind::Auditor | AgencyKind::Oversight);
    let all = register.agencies.iter().filter(|(id, entry)| asks(entry.body.kind) || wished.not_offices.contains(*id));
    let mut offices: Vec<Office> = all
        .map(|(id, entry)| Office {
            id: id.clone(),
            name: page.text(&entry.body.legal_name).to_owned(),
            is_declined: wished.not_offices.contains(id),
        })
        .collect();
    offices.sort_by(|one, other| (!one.is_declined, &one.name).cmp(&(!other.is_declined, &other.name)));
    Ok(show(&WishesPage { page, no_optional: wished.no_optional, offices, is_saved: done.saved }))
}

#[derive(Deserialize)]
pub(crate) struct Wished {
    /// Each ticked box sends a field of its own: `no_optional`, and `not_<office>`.
    #[serde(flatten)]
    fields: BTreeMap<String, String>,
}

pub(crate) async fn set(State(site): State<Arc<Site>>, Checked(session, form): Checked<Wished>) -> Result<Response, Fault> {
    let named = form.fields.keys().filter_map(|field| field.strip_prefix("not_")).map(str::parse);
    let not_offices: BTreeSet<AgencyId> = named.collect::<Result<_, _>>().map_err(|_| Fault::bad_form())?;
    let wished = Wishes { no_optional: form.fields.contains_key("no_optional"), not_offices };
    blocking(&site, move |app| app.wish(session.herself()?, &wished)).await?;
    see("/me/wishes?saved=true")
}
