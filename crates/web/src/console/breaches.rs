//! `POST /console/api/breaches/count`: whom a breach concerns, whether or not it is published.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde_json::{Value, json};
use usufruct_core::breach::Breach;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

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
