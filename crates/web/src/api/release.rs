//! `POST /api/releases` and `POST /api/releases/batch`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::{BatchRequest, HeldToken, OwnCaller, ReleaseRequest, Released};
use usufruct_core::Time;
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId, ServiceId};

use super::json::Strict;
use super::sent::Sent;
use super::{Asker, Caller, answered};
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Most residents one request may name.
const MOST_SUBJECTS: usize = 10_000;
/// Most blocks one request may name.
const MOST_BLOCKS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Single {
    subject: String,
    mandate: MandateId,
    blocks: Vec<AskedBlock>,
    reason: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    third_party: bool,
    /// How far back it asks.
    #[serde(default)]
    since: Option<Time>,
    #[serde(default)]
    written_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    subjects: Vec<String>,
    mandate: MandateId,
    blocks: Vec<AskedBlock>,
    reason: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    third_party: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedBlock {
    block: BlockId,
    form: Form,
}

/// One resident: data and receipt, or a problem document that names the clause.
pub(crate) async fn single(
    State(site): State<Arc<Site>>,
    Sent(asker, Strict(body)): Sent<Asker, Strict<Single>>,
) -> Result<Json<Value>, Fault> {
    let (service, token, sign_in) = asker.about(std::slice::from_ref(&body.subject), &body.mandate)?;
    let request = ReleaseRequest {
        actor: officer(&site, (&service, &token), &body.mandate, std::slice::from_ref(&body.subject), body.actor).await?,
        service,
        mandate: body.mandate,
        subject: body.subject,
        blocks: asked(body.blocks)?,
        reason: body.reason,
        sign_in,
        third_party: body.third_party,
        since: body.since,
        written_reason: body.written_reason,
    };
    blocking(&site, move |app| {
        Ok(app.release_by(&request, &token).map_or_else(
            |error| Err(answered(error, app.asked_of_use(&request.service, &request.mandate, &request.blocks))),
            |released| {
                let mut answer = line(&request.subject, &released, &app.config().origin);
                answer["mandate"] = json!(request.mandate);
                Ok(Json(answer))
            },
        ))
    })
    .await?
}

/// Up to 10,000 residents: one answer each, in the order asked.
pub(crate) async fn batch(
    State(site): State<Arc<Site>>,
    Sent(Caller(service, token), Strict(body)): Sent<Caller, Strict<Batch>>,
) -> Result<Json<Value>, Fault> {
    let request = BatchRequest {
        actor: officer(&site, (&service, &token), &body.mandate, &body.subjects, body.actor).await?,
        service,
        mandate: body.mandate,
        subjects: body.subjects,
        blocks: asked(body.blocks)?,
        reason: body.reason,
        third_party: body.third_party,
    };
    blocking(&site, move |app| {
        let answer = app.release_batch_by(&request, &token)?;
        let asked = app.asked_of_use(&request.service, &request.mandate, &request.blocks);
        let lines: Vec<Value> = answer
            .lines
            .into_iter()
            .map(|of_one| match of_one.outcome {
                Ok(released) => line(&of_one.subject, &released, &app.config().origin),
                Err(error) => json!({ "subject": of_one.subject, "problem": answered(error, asked).problem() }),
            })
            .collect();
        Ok(Json(json!({ "mandate": request.mandate, "lines": lines })))
    })
    .await
}

fn asked(blocks: Vec<AskedBlock>) -> Result<Vec<(BlockId, Form)>, Fault> {
    if blocks.len() > MOST_BLOCKS {
        return Err(Fault::malformed("The request names more than 50 blocks. Ask only for what the mandate names."));
    }
    Ok(blocks.into_iter().map(|asked| (asked.block, asked.form)).collect())
}

fn line(subject: &str, released: &Released, origin: &str) -> Value {
    let blocks: Vec<Value> = released
        .blocks
        .iter()
        .map(|(block, form, value)| json!({ "block": block, "form": form, "value": value.as_str() }))
        .collect();
    let deposits: Vec<Value> = released
        .deposits
        .iter()
        .map(|deposit| {
            // Each moment is the same at every service that gets the deposit, and would join what they know her by.
            json!({ "block": deposit.block, "value": deposit.value.as_str(), "at": deposit.at.day(), "until": deposit.until.day() })
        })
        .collect();
    json!({
        "subject": subject,
        "blocks": blocks,
        "deposits": deposits,
        "until": released.until,
        "log": { "origin": origin, "index": released.index },
        "receipt": released.receipt,
    })
}

/// The commitment to the officer whom a request by this token about these residents names. The word itself is kept sealed.
pub(super) async fn officer(
    site: &Arc<Site>,
    (service, token): (&ServiceId, &HeldToken),
    mandate: &MandateId,
    subjects: &[String],
    word: Option<String>,
) -> Result<Option<[u8; 32]>, Fault> {
    let Some(word) = word else { return Ok(None) };
    let caller = OwnCaller::from((service.clone(), token.clone()));
    // More are refused as a whole, so it is enough to look among these.
    let (mandate, subjects) = (mandate.clone(), subjects.iter().take(MOST_SUBJECTS).cloned().collect::<Vec<_>>());
    blocking(site, move |app| app.officer(caller, &mandate, &subjects, &word)).await.map(Some)
}
