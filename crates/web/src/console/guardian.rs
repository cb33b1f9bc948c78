//! `POST /console/api/guardian-requests`: what two clerks decide about a guardianship.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{Approved, Guardianship};
use usufruct_core::Time;
use usufruct_core::statement::Approval;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// What is asked for; without `ends_at` the guardianship is to end now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    person: u64,
    guardian: u64,
    ends_at: Option<Time>,
}

/// A clerk's signature on a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    request: String,
    approval: Approval,
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let Json(Asked { person, guardian, ends_at }) =
        body.map_err(|_| Fault::malformed("The body is no guardianship. Send {\"person\", \"guardian\", \"ends_at\"}."))?;
    let asked = Guardianship { person, guardian, ends_at };
    let id = blocking(&site, move |app| app.begin_guardian_request(&asked)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "request": id }))))
}

pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Signed { request, approval }) =
        body.map_err(|_| Fault::malformed("The body is no approval. Send {\"request\", \"approval\"}."))?;
    let approved = blocking(&site, move |app| app.approve_guardian_request(&request, &approval)).await?;
    Ok(Json(json!({ "approved": if approved == Approved::Twice { 2 } else { 1 } })))
}
