//! What the provider can do (OpenID Connect Discovery 1.0, RFC 8414), truthfully.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Site;

const CACHED: [(axum::http::HeaderName, &str); 2] = [(CACHE_CONTROL, "public, max-age=300"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

pub(crate) async fn configuration(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(document(&site.settings.issuer))).into_response()
}

pub(crate) async fn jwks(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(site.provider_key.jwks())).into_response()
}

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oidc/authorize"),
        "token_endpoint": format!("{issuer}/oidc/token"),
        "userinfo_endpoint": format!("{issuer}/oidc/userinfo"),
        "jwks_uri": format!("{issuer}/oidc/jwks"),
        "revocation_endpoint": format!("{issuer}/oidc/revoke"),
        "introspection_endpoint": format!("{issuer}/oidc/introspect"),
        "end_session_endpoint": format!("{issuer}/oidc/end-session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "at_hash"],
        "acr_values_supported": [super::token::ACR],
        "prompt_values_supported": ["none", "login", "consent"],
        "scopes_supported": ["openid", "release"],
        "ui_locales_supported": ["zh-Hant", "en"],
    })
}
