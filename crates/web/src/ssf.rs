//! Shared signals: services learn by themselves what happens to the residents they know (OpenID Shared Signals Framework 1.0,
//! CAEP 1.0), pushed (RFC 8935) or fetched (RFC 8936).
//!
//! A service has one stream, and it is about every resident who has authorized the service: there is nobody else whom it knows, so
//! subjects are neither added nor removed.

mod metadata;
mod poll;
mod status;
mod streams;
pub(crate) mod token;
pub(crate) mod waiting;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use usufruct_app::{Error, MANAGE_SCOPE, OwnCaller, READ_SCOPE};

use crate::Site;
use crate::api::sent::Bearer;
use crate::fault::Fault;
use crate::oidc::borne::{self, Unborne};
use crate::site::attempt;

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/.well-known/ssf-configuration", get(metadata::transmitter))
        .route("/.well-known/oauth-protected-resource", get(metadata::resource))
        .route(
            "/ssf/streams",
            get(streams::read).post(streams::create).patch(streams::update).put(streams::replace).delete(streams::delete),
        )
        .route("/ssf/status", get(status::read).post(status::update))
        .route("/ssf/verify", post(status::verify))
        .route("/ssf/poll/{id}", post(poll::poll))
}

/// The service whose own token may read its stream.
struct MayRead(OwnCaller);

/// The service whose own token may change its stream.
struct MayManage(OwnCaller);

impl FromRequestParts<Arc<Site>> for MayRead {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        caller(parts, site, &[READ_SCOPE, MANAGE_SCOPE]).await.map(Self)
    }
}

impl FromRequestParts<Arc<Site>> for MayManage {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        caller(parts, site, &[MANAGE_SCOPE]).await.map(Self)
    }
}

impl Bearer for MayRead {
    fn refuse(unborne: Unborne) -> Response {
        unborne.into_response()
    }
}

impl Bearer for MayManage {
    fn refuse(unborne: Unborne) -> Response {
        unborne.into_response()
    }
}

/// The service whose own token the request carries, if it has one of the scopes.
async fn caller(parts: &Parts, site: &Arc<Site>, scopes: &[&'static str]) -> Result<OwnCaller, Response> {
    let bearing = borne::read(parts, site).map_err(IntoResponse::into_response)?;
    let (service, granted, token) = match attempt(site, move |app| app.own_held_token(&bearing)).await {
        Ok(Some(own)) => own,
        Ok(None) => return Err(Unborne::Invalid.into_response()),
        Err(Error::Replayed { .. }) => return Err(Unborne::Proof("the DPoP proof was used before").into_response()),
        Err(error) => return Err(Fault::from(error).into_response()),
    };
    site.limiters.count_call(&service).map_err(|seconds| Fault::too_many(seconds).into_response())?;
    match granted.split(' ').any(|word| scopes.contains(&word)) {
        true => Ok((service, token).into()),
        false => Err(Unborne::Scope(scopes[0]).into_response()),
    }
}
