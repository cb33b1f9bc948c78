//! `POST /console/api/cases`: what officials of an office signed at the case desk. `.../counter-cases`: what clerks file for a resident who is there.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{About, Approved, CaseRequest, DeskCase};
use usufruct_core::case::{CaseKind, Ground, Relief};
use usufruct_core::id::ServiceId;
use usufruct_core::statement::Approval;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// An act as it was signed, byte for byte, and who signed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    said: String,
    approvals: Vec<Approval>,
}

pub(super) async fn act(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Json<Vec<DeskCase>>, Fault> {
    let Json(Signed { said, approvals }) =
        body.map_err(|_| Fault::malformed("The body is no act. Send {\"said\", \"approvals\"}."))?;
    Ok(Json(blocking(&site, move |app| app.act_at_desk(&said, &approvals)).await?))
}

/// A case that is filed at a counter: about a line, a service, or else the pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: CaseKind,
    line: Option<u64>,
    service: Option<ServiceId>,
    words: String,
    #[serde(default)]
    ground: Option<Ground>,
    #[serde(default)]
    relief: Option<Relief>,
}

/// For whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    resident: u64,
    case: Asked,
}

/// A clerk's signature on a request, and what it is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedCase {
    request: String,
    case: Asked,
    approval: Approval,
}

impl Asked {
    fn request(self) -> CaseRequest {
        let about = match (self.line, self.service) {
            (Some(line), _) => About::Line(line),
            (None, Some(service)) => About::Service(service),
            (None, None) => About::Pass,
        };
        CaseRequest::new(about, self.kind, self.words).asking(self.ground, self.relief)
    }
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Begun>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Fault> {
    let Json(Begun { resident, case }) =
        body.map_err(|_| Fault::malformed("The body is no case. Send {\"resident\", \"case\"}."))?;
    let id = blocking(&site, move |app| app.begin_counter_case(resident, &case.request())).await?;
    Ok((StatusCode::CREATED, Json(json!({ "request": id }))))
}

pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<SignedCase>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(SignedCase { request, case, approval }) =
        body.map_err(|_| Fault::malformed("The body is no approval. Send {\"request\", \"case\", \"approval\"}."))?;
    let approved = blocking(&site, move |app| app.approve_counter_case(&request, &case.request(), &approval)).await?;
    Ok(Json(json!({ "approved": if approved == Approved::Twice { 2 } else { 1 } })))
}
