//! `GET /console/api/log`: how many leaves are committed, so that a command knows how far the public log has to be before it reads it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::clerk::Clerk;
use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

pub(super) async fn size(State(site): State<Arc<Site>>, _: Clerk) -> Result<Response, Fault> {
    let size = blocking(&site, |app| app.committed_size()).await?;
    Ok(Json(json!({ "size": size })).into_response())
}
