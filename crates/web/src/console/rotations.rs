//! `POST /console/api/rotations`: another root for the key tree, or another key for a resident or a mandate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_core::id::MandateId;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Whose key is to be replaced; the root of all without a resident and a mandate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    resident: Option<u64>,
    mandate: Option<MandateId>,
}

pub(super) async fn rotate(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let malformed = || Fault::malformed("The body is no rotation. Send {\"resident\": number}, {\"mandate\": id} or neither.");
    let Json(asked) = body.map_err(|_| malformed())?;
    let answer = match (asked.resident, asked.mandate) {
        (Some(_), Some(_)) => return Err(malformed()),
        (None, Some(mandate)) => {
            let rotated = blocking(&site, move |app| app.rotate_mandate(&mandate)).await?;
            json!(rotated)
        }
        (Some(resident), None) => {
            blocking(&site, move |app| app.rotate_resident(resident)).await?;
            json!({})
        }
        (None, None) => {
            blocking(&site, |app| app.rotate_root()).await?;
            json!({})
        }
    };
    Ok(Json(answer))
}
