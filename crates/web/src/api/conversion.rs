//! `POST /api/conversions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::ConversionBatch;
use usufruct_core::id::{MandateId, ServiceId};

use super::json::Strict;
use super::release::officer;
use super::sent::Sent;
use super::{Asker, answered};
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    subjects: Vec<String>,
    to: ServiceId,
    mandate: MandateId,
    reason: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    third_party: bool,
}

/// Up to 10,000 pseudonyms of the caller: one answer each, in the order asked.
pub(crate) async fn batch(
    State(site): State<Arc<Site>>,
    Sent(asker, Strict(body)): Sent<Asker, Strict<Batch>>,
) -> Result<Json<Value>, Fault> {
    let (service, token, sign_in) = asker.about(&body.subjects, &body.mandate)?;
    let request = ConversionBatch {
        actor: officer(&site, (&service, &token), &body.mandate, &body.subjects, body.actor).await?,
        service,
        to: body.to,
        mandate: body.mandate,
        subjects: body.subjects,
        reason: body.reason,
        sign_in,
        third_party: body.third_party,
    };
    blocking(&site, move |app| {
        let answer = app.convert_by(&request, &token)?;
        let origin = &app.config().origin;
        let asked = app.asked_of_use(&request.service, &request.mandate, &[]);
        let lines: Vec<Value> = answer
            .lines
            .into_iter()
            .map(|line| match line.outcome {
                Ok(converted) => json!({
                    "subject": line.subject,
                    "converted": converted.subject,
                    "until": converted.until,
                    "log": { "origin": origin, "index": converted.index },
                    "receipt": converted.receipt,
                }),
                Err(error) => json!({ "subject": line.subject, "problem": answered(error, asked).problem() }),
            })
            .collect();
        Ok(Json(json!({ "mandate": request.mandate, "to": request.to, "lines": lines })))
    })
    .await
}
