//! `/console/api/proposals`: statements wait here until officials have approved them, at the command line or on the page of officials.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{Error, ProposalView, Proposed};
use usufruct_core::id::AgencyId;
use usufruct_core::statement::Approval;

use super::clerk::Clerk;
use super::publications::unlawful;
use crate::Site;
use crate::fault::Fault;
use crate::site::{attempt, blocking};

/// Approvals by one key, of every statement of a proposal that its body has to approve.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    proposal: String,
    agency: AgencyId,
    key: String,
    approvals: Vec<Approval>,
}

/// What is taken back, and by whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdrawn {
    proposal: String,
    agency: AgencyId,
}

pub(super) async fn list(State(site): State<Arc<Site>>, _: Clerk) -> Result<Json<Vec<ProposalView>>, Fault> {
    let views = blocking(&site, |app| Ok(app.proposals(None)?.iter().map(|proposal| ProposalView::of(app, proposal)).collect()));
    Ok(Json(views.await?))
}

pub(super) async fn propose(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Vec<Proposed>>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(statements) =
        body.map_err(|_| Fault::malformed("The body is no proposal. Send a JSON array of {\"statement\", \"bodies\"}."))?;
    match attempt(&site, move |app| app.propose(statements)).await {
        Ok(id) => Ok((StatusCode::CREATED, Json(json!({ "proposal": id }))).into_response()),
        Err(Error::Unlawful(problems)) => Ok(unlawful(&problems)),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Signed>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Signed { proposal, agency, key, approvals }) = body
        .map_err(|_| Fault::malformed("The body holds no approvals. Send {\"proposal\", \"agency\", \"key\", \"approvals\"}."))?;
    let published = blocking(&site, move |app| app.approve_proposal(&proposal, &agency, &key, approvals)).await?;
    Ok(Json(json!({ "published": published })))
}

pub(super) async fn withdraw(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Withdrawn>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Withdrawn { proposal, agency }) =
        body.map_err(|_| Fault::malformed("The body names no proposal. Send {\"proposal\", \"agency\"}."))?;
    blocking(&site, move |app| app.withdraw_proposal(&proposal, &agency)).await?;
    Ok(Json(json!({})))
}
