//! What a token is good for: userinfo, introspection (RFC 7662, RFC 9701), revocation (RFC 7009).

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use usufruct_app::Introspection;
use usufruct_core::jwk::KeyUse;
use usufruct_core::means::SignIn;

use super::borne::{self, Unborne};
use super::client::{FromAnyService, FromService};
use super::details;
use super::fields::OAuthError;
use super::jwe;
use super::token::{ID_TOKEN_LIFE_SECONDS, answer, run};
use crate::Site;

/// What the token of the request is good for. It speaks for a resident.
pub(crate) struct Subject(Introspection);

impl FromRequestParts<Arc<Site>> for Subject {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let bearing = borne::read(parts, site).map_err(IntoResponse::into_response)?;
        let found = run(site, move |app| app.bearer(&bearing)).await;
        match found {
            Ok(Some(found)) if found.subject.is_some() => match site.limiters.count_call(&found.service) {
                Ok(()) => Ok(Self(found)),
                Err(seconds) => Err(OAuthError::too_many(seconds).into_response()),
            },
            Ok(_) => Err(Unborne::Invalid.into_response()),
            Err(error) if error.code == "invalid_dpop_proof" => Err(Unborne::Proof(error.description).into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// The pairwise subject, and nothing else: data goes through the release API. The service may have registered to get it as a token
/// (OpenID Connect Core 5.3.2).
pub(crate) async fn userinfo(State(site): State<Arc<Site>>, Subject(found): Subject) -> Result<Response, OAuthError> {
    if !found.scope.split(' ').any(|word| word == "openid") {
        return Ok(Unborne::Scope("openid").into_response());
    }
    let (now, asked) = (site.app.now(), site.app.asked_of_token(&found.service, &found.scope));
    let sign_in = found.auth_time.map(|at| SignIn { means: found.means, at });
    if !sign_in.is_some_and(|sign_in| asked.is_met_by(sign_in, now)) {
        return Ok(Unborne::SignIn(asked).into_response());
    }
    let register = site.app.register();
    let body = register.services.get(&found.service).map(|entry| &entry.body);
    let Some((body, algorithm)) = body.and_then(|body| Some((body, body.userinfo_signed_response_alg?))) else {
        return Ok(answer(json!({ "sub": found.subject })));
    };
    let claims = json!({
        "iss": site.settings.issuer,
        "aud": found.service,
        "iat": now.seconds(),
        "exp": now.seconds() + ID_TOKEN_LIFE_SECONDS,
        "sub": found.subject,
    });
    let unmade = || OAuthError::new("server_error", "the answer could not be signed or encrypted");
    let signed = site.provider_keys.sign_by(algorithm, "JWT", &claims).ok_or_else(unmade)?;
    let keys = site.service_keys.of(&found.service, body, None, now).await?;
    let token = match keys.iter().find(|key| key.key_use == KeyUse::Encryption) {
        Some(key) => jwe::encrypted(&signed, key, site.app.rng()).ok_or_else(unmade)?,
        None => signed,
    };
    Ok(([(CONTENT_TYPE, "application/jwt"), (CACHE_CONTROL, "no-store")], token).into_response())
}

/// Tells a service about its own tokens. Everything else is `active: false`, without a reason.
pub(crate) async fn introspect(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    from: FromService,
) -> Result<Response, OAuthError> {
    let presented = from.presented();
    let asked = FromService::settle(&site, from.spent(), from.fields.required("token", "token is missing")).await?;
    let token = asked.to_owned();
    let found = run(&site, move |app| app.introspect(&token, presented)).await?;
    let body = match found.filter(|found| found.service == from.service) {
        Some(found) => described(&site, &found),
        None => json!({ "active": false }),
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains(SIGNED) {
        return Ok(signed(&site, from.service.as_str(), &body));
    }
    Ok(answer(body))
}

fn described(site: &Site, found: &Introspection) -> Value {
    let mut body = json!({
        "active": true,
        "client_id": found.service,
        "scope": found.scope,
        "token_type": if found.jkt.is_some() { "DPoP" } else { "Bearer" },
        "iss": site.settings.issuer,
        "aud": found.service,
        "iat": found.issued_at.seconds(),
        "exp": found.expires_at.seconds(),
    });
    if let Some(subject) = &found.subject {
        body["sub"] = json!(subject);
        body["acr"] = json!(found.means.acr());
    }
    if let Some(auth_time) = found.auth_time {
        body["auth_time"] = json!(auth_time.seconds());
    }
    if let Some(jkt) = &found.jkt {
        body["cnf"] = json!({ "jkt": jkt });
    }
    if let Some(grant_id) = &found.grant_id {
        body["grant_id"] = json!(grant_id);
    }
    if !found.granted.is_empty() {
        body["authorization_details"] = details::granted(&found.granted, &site.app.register(), &site.settings.issuer);
    }
    body
}

/// The same as a token that can be shown to others (RFC 9701).
fn signed(site: &Site, service: &str, body: &Value) -> Response {
    let claims = json!({
        "iss": site.settings.issuer,
        "aud": service,
        "iat": site.app.now().seconds(),
        "token_introspection": body,
    });
    match site.provider_keys.sign("token-introspection+jwt", &claims) {
        Some(token) => ([(CONTENT_TYPE, SIGNED), (CACHE_CONTROL, "no-store")], token).into_response(),
        None => OAuthError::new("server_error", "the answer could not be signed").into_response(),
    }
}

/// Ends a service's own token. The grant stays; withdrawing is the resident's verb.
pub(crate) async fn revoke(State(site): State<Arc<Site>>, FromAnyService(from): FromAnyService) -> Result<Response, OAuthError> {
    let (service, presented) = (from.service.clone(), from.presented());
    let asked = FromService::settle(&site, from.spent(), from.fields.required("token", "token is missing")).await?;
    let token = asked.to_owned();
    run(&site, move |app| app.revoke(&service, &token, presented)).await?;
    Ok((StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response())
}

const SIGNED: &str = "application/token-introspection+jwt";
