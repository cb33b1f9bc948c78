//! `POST /console/api/rotations`: another root for the key tree, or another key for a resident.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Whose key is to be replaced; the root of all without a resident.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    resident: Option<u64>,
}

pub(super) async fn rotate(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let Json(Asked { resident }) =
        body.map_err(|_| Fault::malformed("The body is no rotation. Send {\"resident\": number or null}."))?;
    blocking(&site, move |app| resident.map_or_else(|| app.rotate_root(), |resident| app.rotate_resident(resident))).await?;
    Ok(Json(json!({})))
}
