//! `POST /console/api/publications`: signed statements join the register, all of them or none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use usufruct_app::{Error, Publication};
use usufruct_core::draft::Problem;
use usufruct_core::statement::Statement;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;

pub(super) async fn publish(
    State(site): State<Arc<Site>>,
    Clerk(console): Clerk,
    body: Result<Json<Vec<Statement>>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(statements) = body.map_err(|_| {
        Fault::malformed("The body is no list of statements. Send a JSON array of whole statements with their approvals.")
    })?;
    let app = Arc::clone(&site.app);
    let published = tokio::task::spawn_blocking(move || {
        let indices = app.publish(&Publication { statements })?;
        (console.finish)()?;
        Ok::<_, Error>(indices)
    });
    match published.await.map_err(|_| Fault::internal())? {
        Ok(indices) => Ok((StatusCode::CREATED, Json(json!({ "indices": indices }))).into_response()),
        Err(Error::Unlawful(problems)) => Ok(unlawful(&problems)),
        Err(error) => Err(error.into()),
    }
}

/// The problem document with every reason, not only the first.
pub(super) fn unlawful(problems: &[Problem]) -> Response {
    let fault = Fault::from(Error::Unlawful(problems.to_vec()));
    let mut document = fault.problem();
    document["problems"] = problems
        .iter()
        .map(|problem| json!({ "field": problem.field, "rule": problem.rule, "message": problem.message }))
        .collect();
    (fault.status(), [(CONTENT_TYPE, "application/problem+json")], document.to_string()).into_response()
}
