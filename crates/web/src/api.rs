//! The release API: a service asks for blocks of a pseudonym under a mandate.

mod json;
mod release;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::post;
use usufruct_core::id::ServiceId;

use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// Longest batch, in bytes: 10,000 pseudonyms and room to spare.
const BATCH_LIMIT: usize = 2 * 1024 * 1024;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/releases", post(release::single))
        .route("/api/releases/batch", post(release::batch).layer(DefaultBodyLimit::max(BATCH_LIMIT)))
}

/// The service whose own token the request carries.
async fn caller(site: &Arc<Site>, headers: &HeaderMap) -> Result<ServiceId, Fault> {
    let refused = || {
        Fault::unauthenticated(
            "The access token is missing, has ended, or is not for this API. Get a token with the scope `release` and send it as `Authorization: Bearer`.",
        )
    };
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let token = header.strip_prefix("Bearer ").ok_or_else(refused)?.to_owned();
    blocking(site, move |app| app.release_caller(&token)).await?.ok_or_else(refused)
}
