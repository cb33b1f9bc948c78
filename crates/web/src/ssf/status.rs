//! Whether events flow on a stream, and a sign of life on it (OpenID Shared Signals Framework 1.0, 8.1.2 and 8.1.4).

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::store::streams::{Status, Stream};

use super::streams::{Named, answer, unnamed};
use super::{MayManage, MayRead};
use crate::Site;
use crate::api::json::Strict;
use crate::api::sent::Sent;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
pub(super) struct NewStatus {
    stream_id: String,
    status: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Verify {
    stream_id: String,
    state: Option<String>,
}

/// `GET /ssf/status`.
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    MayRead(caller): MayRead,
    Query(named): Query<Named>,
) -> Result<Response, Fault> {
    let id = named.stream_id.ok_or_else(unnamed)?;
    let stream = blocking(&site, move |app| app.stream(&caller.service)).await?;
    let stream = stream.filter(|stream| stream.id == id).ok_or_else(|| Fault::not_found("stream"))?;
    Ok(answer(document(&stream)))
}

/// `POST /ssf/status`.
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    Sent(MayManage(caller), Strict(new)): Sent<MayManage, Strict<NewStatus>>,
) -> Result<Response, Fault> {
    let status = Status::from_code(&new.status)
        .ok_or_else(|| Fault::malformed("There is no such status. Use enabled, paused or disabled."))?;
    if new.reason.as_ref().is_some_and(|reason| reason.len() > 500) {
        return Err(Fault::malformed("The reason is longer than 500 bytes. Shorten it."));
    }
    let stream = blocking(&site, move |app| app.set_stream_status(caller, &new.stream_id, status, new.reason.clone())).await?;
    Ok(answer(document(&stream)))
}

/// `POST /ssf/verify`.
pub(super) async fn verify(
    State(site): State<Arc<Site>>,
    Sent(MayManage(caller), Strict(verify)): Sent<MayManage, Strict<Verify>>,
) -> Result<StatusCode, Fault> {
    if verify.state.as_ref().is_some_and(|state| state.len() > 1_000) {
        return Err(Fault::malformed("The state is longer than 1,000 bytes. Shorten it."));
    }
    blocking(&site, move |app| app.verify_stream(caller, &verify.stream_id, verify.state.clone())).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn document(stream: &Stream) -> Value {
    let mut document = json!({ "stream_id": stream.id, "status": stream.status.code() });
    if let Some(reason) = &stream.reason {
        document["reason"] = json!(reason);
    }
    document
}
