//! `POST /console/api/residents` and `/invitations`: a clerk enrols a resident, or gives her a new code.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use usufruct_app::{Error, NewResident};
use usufruct_core::id::BlockId;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// A resident's blocks, as the clerk knows them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolment {
    blocks: BTreeMap<BlockId, String>,
}

/// Whom to invite again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Invitation {
    resident: u64,
    /// The request that two clerks approved, for a resident who has a way in already.
    request: Option<String>,
}

/// The one-time code, and the number under which the office files it.
#[derive(Serialize)]
pub(super) struct Invited {
    resident: u64,
    code: String,
}

pub(super) async fn enrol(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Enrolment>, JsonRejection>,
) -> Result<(StatusCode, Json<Invited>), Fault> {
    let Json(enrolment) =
        body.map_err(|_| Fault::malformed("The body is no enrolment. Send {\"blocks\": {\"blk_name\": \"…\"}}."))?;
    let invited = blocking(&site, move |app| {
        let new = NewResident { blocks: enrolment.blocks.into_iter().collect() };
        let resident = app.enrol(&[new])?.first().ok_or(Error::Unknown { what: "resident" })?.resident;
        Ok(Invited { resident, code: app.invite(resident, None)? })
    });
    Ok((StatusCode::CREATED, Json(invited.await?)))
}

pub(super) async fn invite(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Invitation>, JsonRejection>,
) -> Result<(StatusCode, Json<Invited>), Fault> {
    let Json(Invitation { resident, request }) =
        body.map_err(|_| Fault::malformed("The body names no resident. Send {\"resident\": number}."))?;
    let code = blocking(&site, move |app| app.invite(resident, request.as_deref())).await?;
    Ok((StatusCode::CREATED, Json(Invited { resident, code })))
}
