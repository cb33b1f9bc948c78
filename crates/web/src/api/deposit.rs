//! `POST /api/deposits`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::DepositRequest;
use usufruct_core::id::{BlockId, MandateId};

use super::Caller;
use super::json::Strict;
use super::release::actor_commitment;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deposit {
    subject: String,
    mandate: MandateId,
    block: BlockId,
    value: String,
    reason: String,
    #[serde(default)]
    actor: Option<String>,
}

/// Something about one resident: a receipt, or a problem document that names the clause.
pub(crate) async fn deposit(
    State(site): State<Arc<Site>>,
    Caller(service): Caller,
    Strict(body): Strict<Deposit>,
) -> Result<Json<Value>, Fault> {
    let request = DepositRequest {
        actor: body.actor.map(|actor| actor_commitment(&service, &actor)),
        service,
        mandate: body.mandate,
        subject: body.subject,
        block: body.block,
        value: body.value,
        reason: body.reason,
    };
    blocking(&site, move |app| {
        let deposited = app.deposit(&request)?;
        Ok(Json(json!({
            "subject": request.subject,
            "mandate": request.mandate,
            "block": request.block,
            "until": deposited.until,
            "log": { "origin": app.config().origin, "index": deposited.index },
            "receipt": deposited.receipt,
        })))
    })
    .await
}
