//! `GET /api/deletions` and `POST /api/deletions/{id}`: what a service has to delete, and its own word that it did.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::Answered;
use usufruct_core::Time;
use usufruct_core::certificate::Answer;
use usufruct_core::id::DeletionId;
use usufruct_core::time::HOUR;

use super::Caller;
use super::json::Strict;
use super::sent::Sent;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    answer: Answer,
    /// Code of the ground on which data is kept.
    #[serde(default)]
    ground: Option<String>,
}

/// Every notice the service has not answered, oldest first, at most 1,000. Reading it is being told.
pub(crate) async fn list(State(site): State<Arc<Site>>, Caller(service, token): Caller) -> Result<Response, Fault> {
    let notices = blocking(&site, move |app| app.deletion_notices((service, token))).await?;
    let notices: Vec<Value> = notices
        .into_iter()
        .map(|notice| {
            json!({
                "id": notice.id,
                "subject": notice.subject,
                "mandate": notice.mandate,
                "noted_at": hour(notice.noted_at),
                "due_at": notice.due_at,
            })
        })
        .collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(json!({ "deletions": notices }))).into_response())
}

/// The hour in which it lies: nobody needs to know it better.
fn hour(time: Time) -> Time {
    time.plus(-time.micros().rem_euclid(HOUR))
}

/// The service's answer, which stands.
pub(crate) async fn answer(
    State(site): State<Arc<Site>>,
    Path(id): Path<DeletionId>,
    Sent(Caller(service, token), Strict(body)): Sent<Caller, Strict<Said>>,
) -> Result<StatusCode, Fault> {
    let said = Answered { answer: body.answer, ground: body.ground };
    blocking(&site, move |app| app.answer_deletion((service, token), &id, said)).await?;
    Ok(StatusCode::NO_CONTENT)
}
