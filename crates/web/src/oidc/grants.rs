//! Grants as a service may see and give them back (Grant Management for OAuth 2.0, draft 03).

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use usufruct_app::{Bearing, OwnCaller, QUERY_SCOPE, REVOKE_SCOPE};

use super::borne::{self, Unborne};
use super::details;
use super::fields::OAuthError;
use super::token::{answer, run};
use crate::Site;

/// The token of a request, read and not yet believed.
pub(crate) struct Borne(Bearing);

impl FromRequestParts<Arc<Site>> for Borne {
    type Rejection = Unborne;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Unborne> {
        borne::read(parts, site).map(Self)
    }
}

/// `GET /oidc/grants/{grant_id}`.
pub(crate) async fn query(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Borne(bearing): Borne,
) -> Result<Response, Response> {
    let OwnCaller { service, .. } = caller(&site, bearing, QUERY_SCOPE).await?;
    let found = run(&site, move |app| app.query_authorization(&service, &id)).await.map_err(IntoResponse::into_response)?;
    let found = found.ok_or_else(unknown)?;
    // While the service may not be served the grant is there, and good for nothing.
    let scopes = if found.scope.is_empty() { json!([]) } else { json!([{ "scope": found.scope }]) };
    let body = json!({
        "scopes": scopes,
        "claims": ["sub"],
        "authorization_details": details::granted(&found.granted, &site.app.register(), &site.settings.issuer),
        "created_at": found.created_at,
        // The draft has both names, in its words and in its example.
        "last_updated": found.updated_at,
        "last_updated_at": found.updated_at,
        "expires_at": found.ends_at,
        // What the resident ends is gone and what she pauses changes nothing of it, so it was last changed by a request of the service.
        "updated_by": "client",
    });
    Ok(answer(body))
}

/// `DELETE /oidc/grants/{grant_id}`: the grant ends with all its tokens, and the service gets nothing more by it.
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Borne(bearing): Borne,
) -> Result<Response, Response> {
    let caller = caller(&site, bearing, REVOKE_SCOPE).await?;
    match run(&site, move |app| app.give_back(caller, &id)).await {
        Ok(true) => {}
        Ok(false) => return Err(unknown()),
        Err(error) if error.code == "invalid_token" => return Err(Unborne::Invalid.into_response()),
        Err(error) => return Err(error.into_response()),
    }
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The service whose own token this is, if it has the scope.
async fn caller(site: &Arc<Site>, bearing: Bearing, scope: &'static str) -> Result<OwnCaller, Response> {
    match run(site, move |app| app.own_held_token(&bearing)).await {
        Ok(Some((service, scopes, token))) => {
            site.limiters.count_call(&service).map_err(|seconds| OAuthError::too_many(seconds).into_response())?;
            match scopes.split(' ').any(|word| word == scope) {
                true => Ok((service, token).into()),
                false => Err(Unborne::Scope(scope).into_response()),
            }
        }
        Ok(None) => Err(Unborne::Invalid.into_response()),
        Err(error) if error.code == "invalid_dpop_proof" => Err(Unborne::Proof(error.description).into_response()),
        Err(error) => Err(error.into_response()),
    }
}

/// There is no such grant, or it is another service's: the two are not told apart.
fn unknown() -> Response {
    (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response()
}
