//! `POST /console/api/breaches/count`: whom a breach concerns, whether or not it is published. `.../letters`: who of them gets a letter.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_core::breach::Breach;
use usufruct_core::id::BreachId;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Of which breach, and after which resident.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    breach: BreachId,
    after: Option<u64>,
}

pub(super) async fn count(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let malformed = || Fault::malformed("The body is no breach. Send the body of its statement.");
    let Json(body) = body.map_err(|_| malformed())?;
    let breach = Breach::read(&body).map_err(|_| malformed())?;
    let concerned = blocking(&site, move |app| app.concerned(&breach)).await?;
    Ok(Json(json!({ "residents": concerned.residents, "blocks": concerned.blocks })))
}

pub(super) async fn letters(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let malformed = || Fault::malformed("The body names no breach. Send {\"breach\": id, \"after\": number or null}.");
    let Json(asked) = body.map_err(|_| malformed())?;
    let residents = blocking(&site, move |app| app.breach_letters(&asked.breach, asked.after)).await?;
    Ok(Json(json!({ "residents": residents })))
}
