//! What the provider can do (OpenID Connect Discovery 1.0, RFC 8414), truthfully.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use usufruct_app::{MANAGE_SCOPE, QUERY_SCOPE, READ_SCOPE, REVOKE_SCOPE};
use usufruct_core::means::Means;

use super::details;
use super::jws::ALGORITHM_NAMES;
use super::keys::id_token_algorithms;
use crate::{Settings, Site};

const CACHED: [(axum::http::HeaderName, &str); 2] = [(CACHE_CONTROL, "public, max-age=300"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

pub(crate) async fn configuration(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(document(&site.settings))).into_response()
}

pub(crate) async fn jwks(State(site): State<Arc<Site>>) -> Response {
    (CACHED, Json(site.provider_keys.jwks())).into_response()
}

fn document(settings: &Settings) -> Value {
    let issuer = &settings.issuer;
    // Programs in browsers have no key, and exist under the profile oidc alone.
    let auth_methods: &[&str] = if settings.allows_oidc { &["private_key_jwt", "none"] } else { &["private_key_jwt"] };
    // Software for the profile oidc may sign its assertions by RS256 (OpenID Connect Discovery 1.0, 3).
    let rs256: &[&str] = if settings.allows_oidc { &["RS256"] } else { &[] };
    let assertion_algorithms = [&ALGORITHM_NAMES[..], rs256].concat();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oidc/authorize"),
        "pushed_authorization_request_endpoint": format!("{issuer}/oidc/par"),
        "require_pushed_authorization_requests": !settings.allows_oidc,
        "token_endpoint": format!("{issuer}/oidc/token"),
        "userinfo_endpoint": format!("{issuer}/oidc/userinfo"),
        "jwks_uri": format!("{issuer}/oidc/jwks"),
        "revocation_endpoint": format!("{issuer}/oidc/revoke"),
        "introspection_endpoint": format!("{issuer}/oidc/introspect"),
        "grant_management_endpoint": format!("{issuer}/oidc/grants"),
        "grant_management_actions_supported": ["query", "revoke", "create", "merge", "replace"],
        "grant_management_action_required": false,
        "end_session_endpoint": format!("{issuer}/oidc/end-session"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": id_token_algorithms(settings.allows_oidc),
        "token_endpoint_auth_methods_supported": auth_methods,
        "token_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "introspection_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ALGORITHM_NAMES,
        "authorization_details_types_supported": [details::TYPE],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "sid", "at_hash"],
        "acr_values_supported": [Means::Passkey.acr(), Means::Certificate.acr(), Means::Card.acr()],
        "prompt_values_supported": ["none", "login", "consent"],
        "scopes_supported": ["openid", "release", QUERY_SCOPE, REVOKE_SCOPE, READ_SCOPE, MANAGE_SCOPE],
        "ui_locales_supported": ["zh-Hant", "en"],
        "service_documentation": format!("{issuer}/developers"),
        "op_policy_uri": format!("{issuer}/register"),
    });
    if settings.allows_oidc {
        // A member that only means something when it is true (RFC 9126 5).
        document.as_object_mut().map(|members| members.remove("require_pushed_authorization_requests"));
    }
    document
}
