//! What the provider can do (OpenID Connect Discovery 1.0, RFC 8414), truthfully.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use usufruct_app::{MANAGE_SCOPE, QUERY_SCOPE, READ_SCOPE, REVOKE_SCOPE};
use usufruct_core::means::Means;

use super::details;
use super::jwe;
use super::jws::ALGORITHM_NAMES;
use super::keys::algorithms;
use crate::{Settings, Site};

const CACHED: [(axum::http::HeaderName, &str); 2] = [(CACHE_CONTROL, "public, max-age=300"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

pub(crate) async fn configuration(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(document(&site.settings))).into_response()
}

pub(crate) async fn jwks(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(site.provider_keys.jwks())).into_response()
}

fn document(settings: &Settings) -> Value {
    let mut members = endpoints(&settings.issuer);
    members.append(&mut abilities(settings));
    if settings.allows_oidc {
        // A member that only means something when it is true (RFC 9126 5).
        members.remove("require_pushed_authorization_requests");
    }
    Value::Object(members)
}

/// Where what is.
fn endpoints(issuer: &str) -> Map<String, Value> {
    let at = |name: &'static str, path: &str| (name.to_owned(), json!(format!("{issuer}{path}")));
    [
        at("issuer", ""),
        at("authorization_endpoint", "/oidc/authorize"),
        at("pushed_authorization_request_endpoint", "/oidc/par"),
        at("token_endpoint", "/oidc/token"),
        at("userinfo_endpoint", "/oidc/userinfo"),
        at("jwks_uri", "/oidc/jwks"),
        at("revocation_endpoint", "/oidc/revoke"),
        at("introspection_endpoint", "/oidc/introspect"),
        at("grant_management_endpoint", "/oidc/grants"),
        at("end_session_endpoint", "/oidc/end-session"),
        at("service_documentation", "/developers"),
        // What a service may do with what it gets stands in the mandates; what it has to keep to, on the page for developers.
        at("op_policy_uri", "/register"),
        at("op_tos_uri", "/developers#terms"),
    ]
    .into_iter()
    .collect()
}

fn abilities(settings: &Settings) -> Map<String, Value> {
    // Programs in browsers have no key, and exist under the profile oidc alone.
    let auth_methods: &[&str] = if settings.allows_oidc { &["private_key_jwt", "none"] } else { &["private_key_jwt"] };
    // Software for the profile oidc may sign its assertions by RS256 (OpenID Connect Discovery 1.0, 3).
    let rs256: &[&str] = if settings.allows_oidc { &["RS256"] } else { &[] };
    let (assertion_algorithms, signatures) = ([&ALGORITHM_NAMES[..], rs256].concat(), algorithms(settings.allows_oidc));
    [
        ("require_pushed_authorization_requests", json!(!settings.allows_oidc)),
        ("grant_management_actions_supported", json!(["query", "revoke", "create", "merge", "replace"])),
        ("grant_management_action_required", json!(false)),
        ("backchannel_logout_supported", json!(true)),
        ("backchannel_logout_session_supported", json!(true)),
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query", "form_post"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token", "client_credentials"])),
        ("subject_types_supported", json!(["pairwise"])),
        ("id_token_signing_alg_values_supported", json!(signatures)),
        ("userinfo_signing_alg_values_supported", json!(signatures)),
        ("userinfo_encryption_alg_values_supported", json!([jwe::AGREEMENT])),
        ("userinfo_encryption_enc_values_supported", json!([jwe::ENCRYPTION])),
        ("token_endpoint_auth_methods_supported", json!(auth_methods)),
        ("token_endpoint_auth_signing_alg_values_supported", json!(assertion_algorithms)),
        ("revocation_endpoint_auth_methods_supported", json!(auth_methods)),
        ("revocation_endpoint_auth_signing_alg_values_supported", json!(assertion_algorithms)),
        ("introspection_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        ("introspection_endpoint_auth_signing_alg_values_supported", json!(assertion_algorithms)),
        ("introspection_signing_alg_values_supported", json!(["ES256"])),
        ("dpop_signing_alg_values_supported", json!(ALGORITHM_NAMES)),
        ("authorization_details_types_supported", json!([details::TYPE])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("request_parameter_supported", json!(false)),
        ("request_uri_parameter_supported", json!(false)),
        ("claims_parameter_supported", json!(true)),
        ("claims_supported", json!(["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "sid", "at_hash"])),
        ("acr_values_supported", json!([Means::Passkey.acr(), Means::Certificate.acr(), Means::Card.acr()])),
        ("prompt_values_supported", json!(["none", "login", "consent"])),
        ("scopes_supported", json!(["openid", "release", QUERY_SCOPE, REVOKE_SCOPE, READ_SCOPE, MANAGE_SCOPE])),
        ("ui_locales_supported", json!(["zh-Hant", "en"])),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
