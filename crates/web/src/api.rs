//! The API for services: ask for blocks of a pseudonym under a mandate, and learn what has to be deleted.

mod conversion;
mod deletions;
mod json;
mod release;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use usufruct_core::id::ServiceId;

use crate::Site;
use crate::fault::Fault;
use crate::oidc::bearer;
use crate::site::blocking;

/// Longest batch, in bytes: 10,000 pseudonyms and room to spare.
const BATCH_LIMIT: usize = 2 * 1024 * 1024;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/conversions", post(conversion::batch).layer(DefaultBodyLimit::max(BATCH_LIMIT)))
        .route("/api/deletions", get(deletions::list))
        .route("/api/deletions/{id}", post(deletions::answer))
        .route("/api/releases", post(release::single))
        .route("/api/releases/batch", post(release::batch).layer(DefaultBodyLimit::max(BATCH_LIMIT)))
}

/// The service whose own token the request carries. Extracted before the body is read.
struct Caller(ServiceId);

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let caller = match bearer(&parts.headers).map(str::to_owned) {
            Some(token) => blocking(site, move |app| app.release_caller(&token)).await.map_err(IntoResponse::into_response)?,
            None => None,
        };
        caller.map(Self).ok_or_else(|| {
            let fault = Fault::unauthenticated(
                "The access token is missing, has ended, or is not for this API. Get a token with the scope `release` and send it as `Authorization: Bearer`.",
            );
            ([(WWW_AUTHENTICATE, "Bearer scope=\"release\"")], fault).into_response()
        })
    }
}
