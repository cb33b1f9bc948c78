//! The token endpoint (OpenID Connect Core 3.1.3, RFC 6749 4.4 and 6).

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use usufruct_app::{Error, Exchange, MANAGE_SCOPE, QUERY_SCOPE, READ_SCOPE, REVOKE_SCOPE, Refresh, Tokens};
use usufruct_core::service::Profile;

use super::client::{FromAnyService, FromService};
use super::details;
use super::fields::OAuthError;
use crate::Site;
use crate::site::scrubbed;

/// How long what the provider says of a resident may be believed.
pub(crate) const ID_TOKEN_LIFE_SECONDS: i64 = 120;
/// Scopes of a service's own token.
pub(crate) const OWN_SCOPES: [&str; 5] = ["release", QUERY_SCOPE, REVOKE_SCOPE, READ_SCOPE, MANAGE_SCOPE];

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
    #[serde(skip_serializing_if = "is_empty")]
    amr: &'a [&'a str],
    sid: &'a str,
    at_hash: String,
}

/// Nothing is said about how a resident proved herself who did not.
fn is_empty(methods: &&[&str]) -> bool {
    methods.is_empty()
}

pub(crate) async fn token(State(site): State<Arc<Site>>, FromAnyService(from): FromAnyService) -> Result<Response, OAuthError> {
    let spent = from.spent();
    FromService::settle(&site, spent, grant(&site, from).await).await
}

async fn grant(site: &Arc<Site>, from: FromService) -> Result<Response, OAuthError> {
    from.require_possession()?;
    match from.fields.get("grant_type") {
        Some("authorization_code") => exchange(site, from).await,
        Some("refresh_token") => refresh(site, from).await,
        Some("client_credentials") => own(site, from).await,
        Some(_) => Err(OAuthError::new("unsupported_grant_type", "use authorization_code, refresh_token or client_credentials")),
        None => Err(OAuthError::new("invalid_request", "grant_type is missing")),
    }
}

async fn exchange(site: &Arc<Site>, from: FromService) -> Result<Response, OAuthError> {
    let verifier = from.fields.get("code_verifier").map(str::to_owned);
    if verifier.is_none() && from.profile == Profile::Fapi2 {
        return Err(OAuthError::new("invalid_grant", "code_verifier is missing"));
    }
    if verifier.as_ref().is_some_and(|verifier| !(43..=128).contains(&verifier.len())) {
        return Err(OAuthError::new("invalid_grant", "code_verifier has not 43 to 128 characters"));
    }
    let exchange = Exchange {
        service: from.service.clone(),
        code: from.fields.required("code", "code is missing")?.to_owned(),
        redirect_uri: from.fields.required("redirect_uri", "redirect_uri is missing")?.to_owned(),
        verifier,
        jkt: from.jkt(),
        presented: from.presented(),
    };
    let tokens = run(site, move |app| app.exchange(&exchange)).await?;
    with_id_token(site, &from, &tokens)
}

async fn refresh(site: &Arc<Site>, from: FromService) -> Result<Response, OAuthError> {
    let refresh = Refresh {
        service: from.service.clone(),
        refresh_token: from.fields.required("refresh_token", "refresh_token is missing")?.to_owned(),
        scope: from.fields.get("scope").map(str::to_owned),
        jkt: from.jkt(),
        presented: from.presented(),
    };
    let tokens = run(site, move |app| app.refresh(&refresh)).await?;
    with_id_token(site, &from, &tokens)
}

/// A token of the service's own.
async fn own(site: &Arc<Site>, from: FromService) -> Result<Response, OAuthError> {
    if from.profile != Profile::Fapi2 {
        return Err(OAuthError::new("unauthorized_client", "a service of the profile oidc signs residents in and nothing else"));
    }
    let scope = from.fields.get("scope").unwrap_or("release").to_owned();
    if !scope.split(' ').all(|word| OWN_SCOPES.contains(&word)) {
        return Err(OAuthError::new(
            "invalid_scope",
            "a service token has the scope release or those of grant management or of signals",
        ));
    }
    let grant = site.app.client_token(&from.service, &scope, from.jkt(), from.presented()).await.map_err(OAuthError::from)?;
    Ok(answer(json!({
        "access_token": grant.access_token,
        "token_type": "DPoP",
        "expires_in": grant.expires_in_seconds,
        "scope": grant.scope,
    })))
}

fn with_id_token(site: &Site, from: &FromService, tokens: &Tokens) -> Result<Response, OAuthError> {
    let mut body = json!({
        "access_token": tokens.access_token,
        "token_type": if tokens.is_bound { "DPoP" } else { "Bearer" },
        "expires_in": tokens.expires_in_seconds,
        "scope": tokens.scope,
    });
    // A refresh may leave openid out, and then it is no sign-in.
    if tokens.scope.split(' ').any(|word| word == "openid") {
        let id_token = id_token(site, from, tokens);
        body["id_token"] = json!(id_token.ok_or_else(|| OAuthError::new("server_error", "the token could not be signed"))?);
    }
    if let Some(refresh_token) = &tokens.refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    if let Some(grant_id) = &tokens.grant_id {
        body["grant_id"] = json!(grant_id);
    }
    if !tokens.granted.is_empty() {
        body["authorization_details"] = details::granted(&tokens.granted, &site.app.register(), &site.settings.issuer);
    }
    Ok(answer(body))
}

/// The ID token: a pseudonym and how it was proven. No attribute, ever.
fn id_token(site: &Site, from: &FromService, tokens: &Tokens) -> Option<String> {
    let now = site.app.now().seconds();
    // OpenID Connect Core 3.1.3.6: the left half of the hash of the access token.
    let hash = digest::digest(&digest::SHA256, tokens.access_token.as_bytes());
    let claims = IdToken {
        iss: &site.settings.issuer,
        sub: &tokens.subject,
        aud: from.service.as_str(),
        exp: now + ID_TOKEN_LIFE_SECONDS,
        iat: now,
        auth_time: tokens.auth_time.seconds(),
        nonce: tokens.nonce.as_deref(),
        acr: tokens.means.acr(),
        amr: tokens.means.amr(),
        sid: &tokens.sid,
        at_hash: URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
    };
    let algorithm = site.app.register().services.get(&from.service)?.body.id_token_algorithm();
    site.provider_keys.sign_by(algorithm, "JWT", &claims)
}

/// Runs a use case for an OAuth endpoint.
pub(crate) async fn run<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&usufruct_app::App) -> Result<T, Error> + Send + 'static,
) -> Result<T, OAuthError> {
    let app = Arc::clone(&site.app);
    let joined = tokio::task::spawn_blocking(move || scrubbed(|| work(&app))).await;
    joined.map_err(|_| OAuthError::new("server_error", "something broke on our side, try again"))?.map_err(OAuthError::from)
}

/// A JSON answer that nobody may keep.
pub(crate) fn answer(body: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
