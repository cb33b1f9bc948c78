//! `POST /api/deposits`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::DepositRequest;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId};

use super::json::Strict;
use super::release::officer;
use super::sent::Sent;
use super::{Asker, answered};
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
    #[serde(default)]
    third_party: bool,
}

/// Something about one resident: a receipt, or a problem document that names the clause.
pub(crate) async fn deposit(
    State(site): State<Arc<Site>>,
    Sent(asker, Strict(body)): Sent<Asker, Strict<Deposit>>,
) -> Result<Json<Value>, Fault> {
    let (service, token, sign_in) = asker.about(std::slice::from_ref(&body.subject), &body.mandate)?;
    let request = DepositRequest {
        actor: officer(&site, (&service, &token), &body.mandate, std::slice::from_ref(&body.subject), body.actor).await?,
        service,
        mandate: body.mandate,
        subject: body.subject,
        block: body.block,
        value: body.value,
        reason: body.reason,
        sign_in,
        third_party: body.third_party,
    };
    blocking(&site, move |app| {
        let blocks = [(request.block.clone(), Form::Value)];
        Ok(app.deposit_by(&request, &token).map_or_else(
            |error| Err(answered(error, app.asked_of_use(&request.service, &request.mandate, &blocks))),
            |deposited| {
                Ok(Json(json!({
                    "subject": request.subject,
                    "mandate": request.mandate,
                    "block": request.block,
                    "until": deposited.until,
                    "log": { "origin": app.config().origin, "index": deposited.index },
                    "receipt": deposited.receipt,
                })))
            },
        ))
    })
    .await?
}
