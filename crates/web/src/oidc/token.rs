//! The token endpoint (OpenID Connect Core 3.1.3, RFC 6749 4.4).

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use serde_json::json;
use usufruct_app::{Error, Exchange, Tokens};
use usufruct_core::id::ServiceId;

use super::client::authenticate;
use super::fields::{Fields, OAuthError, Posted};
use crate::Site;

/// Every sign-in is by a passkey with user verification.
pub(crate) const ACR: &str = "urn:usufruct:acr:passkey";
const ID_TOKEN_LIFE_SECONDS: i64 = 120;

#[derive(Serialize)]
struct IdToken<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'a str,
    amr: [&'a str; 2],
    at_hash: String,
}

pub(crate) async fn token(State(site): State<Arc<Site>>, Posted(fields): Posted) -> Result<Response, OAuthError> {
    let service = authenticate(&site, &fields).await?;
    match fields.get("grant_type") {
        Some("authorization_code") => exchange(&site, service, &fields).await,
        Some("client_credentials") => {
            if !matches!(fields.get("scope"), None | Some("release")) {
                return Err(OAuthError::new("invalid_scope", "a service token has the scope release"));
            }
            let grant = run(&site, move |app| app.client_token(&service)).await?;
            Ok(answer(json!({
                "access_token": grant.access_token,
                "token_type": "Bearer",
                "expires_in": grant.expires_in_seconds,
                "scope": grant.scope,
            })))
        }
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "use authorization_code or client_credentials")),
        None => Err(OAuthError::new("invalid_request", "grant_type is missing")),
    }
}

async fn exchange(site: &Arc<Site>, service: ServiceId, fields: &Fields) -> Result<Response, OAuthError> {
    let verifier = fields
        .required("code_verifier", "code_verifier is missing")
        .map_err(|_| OAuthError::new("invalid_grant", "code_verifier is missing"))?;
    if !(43..=128).contains(&verifier.len()) {
        return Err(OAuthError::new("invalid_grant", "code_verifier has not 43 to 128 characters"));
    }
    let exchange = Exchange {
        service: service.clone(),
        code: fields.required("code", "code is missing")?.to_owned(),
        redirect_uri: fields.required("redirect_uri", "redirect_uri is missing")?.to_owned(),
        verifier: verifier.to_owned(),
    };
    let tokens = run(site, move |app| app.exchange(&exchange)).await?;
    let id_token =
        id_token(site, &service, &tokens).ok_or_else(|| OAuthError::new("server_error", "the token could not be signed"))?;
    Ok(answer(json!({
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in_seconds,
        "scope": tokens.scope,
        "id_token": id_token,
    })))
}

/// The ID token: a pseudonym and how it was proven. No attribute, ever.
fn id_token(site: &Site, service: &ServiceId, tokens: &Tokens) -> Option<String> {
    let now = site.app.now().seconds();
    // OpenID Connect Core 3.1.3.6: the left half of the hash of the access token.
    let hash = digest::digest(&digest::SHA256, tokens.access_token.as_bytes());
    let claims = IdToken {
        iss: &site.settings.issuer,
        sub: &tokens.subject,
        aud: service.as_str(),
        exp: now + ID_TOKEN_LIFE_SECONDS,
        iat: now,
        auth_time: tokens.auth_time.seconds(),
        nonce: tokens.nonce.as_deref(),
        acr: ACR,
        amr: ["hwk", "user"],
        at_hash: URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
    };
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(site.provider_key.kid.clone());
    jsonwebtoken::encode(&header, &claims, &site.provider_key.encoding).ok()
}

/// Runs a use case for an OAuth endpoint.
pub(crate) async fn run<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&usufruct_app::App) -> Result<T, Error> + Send + 'static,
) -> Result<T, OAuthError> {
    let app = Arc::clone(&site.app);
    let joined = tokio::task::spawn_blocking(move || work(&app)).await;
    joined.map_err(|_| OAuthError::new("server_error", "something broke on our side, try again"))?.map_err(OAuthError::from)
}

/// A JSON answer that nobody may keep.
pub(crate) fn answer(body: serde_json::Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
