//! `POST /console/api/counter-requests` and `/cards`: what clerks do for a resident who has a pass in use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usufruct_app::{Approved, Way};
use usufruct_core::statement::Approval;
use zeroize::Zeroizing;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// What a resident asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    resident: u64,
    way: String,
}

/// A clerk's signature under a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    request: String,
    approval: Approval,
}

/// A card to make. It has no `Debug`, so that no PIN is printed by mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCard {
    resident: u64,
    pin: String,
    request: Option<String>,
}

/// Whose cards end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    resident: u64,
}

/// The code to print on a card.
#[derive(Serialize)]
pub(super) struct Printed {
    code: String,
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let wrong = || Fault::malformed("The body is no request. Send {\"resident\": number, \"way\": \"passkey\" or \"card\"}.");
    let Json(Asked { resident, way }) = body.map_err(|_| wrong())?;
    let way = Way::from_code(&way).ok_or_else(wrong)?;
    let id = blocking(&site, move |app| app.begin_counter_request(resident, way)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "request": id }))))
}

pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Signed { request, approval }) =
        body.map_err(|_| Fault::malformed("The body is no approval. Send {\"request\", \"approval\"}."))?;
    let approved = blocking(&site, move |app| app.approve_counter_request(&request, &approval)).await?;
    Ok(Json(json!({ "approved": if approved == Approved::Twice { 2 } else { 1 } })))
}

pub(super) async fn issue_card(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<NewCard>, JsonRejection>,
) -> Result<(StatusCode, Json<Printed>), Fault> {
    let Json(NewCard { resident, pin, request }) =
        body.map_err(|_| Fault::malformed("The body is no card. Send {\"resident\": number, \"pin\": \"six digits\"}."))?;
    let pin = Zeroizing::new(pin);
    let code = blocking(&site, move |app| app.issue_card(resident, &pin, request.as_deref())).await?;
    Ok((StatusCode::CREATED, Json(Printed { code })))
}

pub(super) async fn revoke_cards(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Lost>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Lost { resident }) =
        body.map_err(|_| Fault::malformed("The body names no resident. Send {\"resident\": number}."))?;
    Ok(Json(json!({ "cards": blocking(&site, move |app| app.revoke_cards(resident)).await? })))
}
