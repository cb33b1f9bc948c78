//! What a token is good for: userinfo, introspection (RFC 7662), revocation (RFC 7009).

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::client::authenticate;
use super::fields::{OAuthError, Posted};
use super::token::{answer, run};
use crate::Site;

/// The pairwise subject, and nothing else: data goes through the release API.
pub(crate) async fn userinfo(State(site): State<Arc<Site>>, headers: HeaderMap) -> Result<Response, OAuthError> {
    let token = bearer(&headers).map(str::to_owned);
    let Some(token) = token else { return Ok(challenge("Bearer")) };
    let found = run(&site, move |app| app.introspect(&token)).await?;
    match found.and_then(|found| found.subject) {
        Some(subject) => Ok(answer(json!({ "sub": subject }))),
        None => Ok(challenge(r#"Bearer error="invalid_token", error_description="the token is not valid here""#)),
    }
}

/// Tells a service about its own tokens. Everything else is `active: false`, without a reason.
pub(crate) async fn introspect(State(site): State<Arc<Site>>, Posted(fields): Posted) -> Result<Response, OAuthError> {
    let service = authenticate(&site, &fields).await?;
    let token = fields.required("token", "token is missing")?.to_owned();
    let found = run(&site, move |app| app.introspect(&token)).await?;
    let Some(found) = found.filter(|found| found.service == service) else { return Ok(answer(json!({ "active": false }))) };
    let mut body = json!({
        "active": true,
        "client_id": found.service,
        "scope": found.scope,
        "token_type": "Bearer",
        "iss": site.settings.issuer,
        "aud": found.service,
        "iat": found.issued_at.seconds(),
        "exp": found.expires_at.seconds(),
    });
    if let Some(subject) = found.subject {
        body["sub"] = json!(subject);
    }
    if let Some(auth_time) = found.auth_time {
        body["auth_time"] = json!(auth_time.seconds());
    }
    Ok(answer(body))
}

/// Ends a service's own token. The grant stays; withdrawing is the resident's verb.
pub(crate) async fn revoke(State(site): State<Arc<Site>>, Posted(fields): Posted) -> Result<Response, OAuthError> {
    let service = authenticate(&site, &fields).await?;
    let token = fields.required("token", "token is missing")?.to_owned();
    run(&site, move |app| app.revoke(&service, &token)).await?;
    Ok((StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The bearer token of a request (RFC 6750 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn challenge(words: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, words), (CACHE_CONTROL, "no-store")]).into_response()
}
