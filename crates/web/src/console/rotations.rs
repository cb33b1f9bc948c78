//! `POST /console/api/rotations`: another root for the key tree, another key for a resident or a mandate, or other pseudonyms for a service.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_core::Text;
use usufruct_core::id::{BreachId, MandateId, ServiceId};

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Whose key is to be replaced; the root of all where nothing is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    resident: Option<u64>,
    mandate: Option<MandateId>,
    service: Option<ServiceId>,
    breach: Option<BreachId>,
    reason: Option<Text>,
}

pub(super) async fn rotate(
    State(site): State<Arc<Site>>,
    _: Clerk,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Value>, Fault> {
    let malformed = || {
        Fault::malformed(
            "The body is no rotation. Send {\"resident\": number}, {\"mandate\": id}, {\"service\": id, \"reason\": text} or neither.",
        )
    };
    let Json(asked) = body.map_err(|_| malformed())?;
    if let Some(service) = asked.service {
        let (breach, reason) = (asked.breach, asked.reason.ok_or_else(malformed)?);
        let rotated = blocking(&site, move |app| app.rotate_service(&service, breach.as_ref(), &reason)).await?;
        return Ok(Json(json!(rotated)));
    }
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
