//! What the transmitter can do, truthfully (OpenID Shared Signals Framework 1.0, 7; RFC 9728).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::streams::{POLL, PUSH};
use crate::Site;
use crate::oidc::OWN_SCOPES;

pub(super) async fn transmitter(State(site): State<Arc<Site>>) -> Response {
    let issuer = &site.settings.issuer;
    let document = json!({
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/oidc/jwks"),
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": format!("{issuer}/ssf/streams"),
        "status_endpoint": format!("{issuer}/ssf/status"),
        "verification_endpoint": format!("{issuer}/ssf/verify"),
        "authorization_schemes": [{ "spec_urn": "urn:ietf:rfc:6749" }, { "spec_urn": "urn:ietf:rfc:9449" }],
        "default_subjects": "ALL",
    });
    (CACHED, Json(document)).into_response()
}

pub(super) async fn resource(State(site): State<Arc<Site>>) -> Response {
    let issuer = &site.settings.issuer;
    let document = json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": OWN_SCOPES,
        "bearer_methods_supported": ["header"],
        "dpop_bound_access_tokens_required": true,
    });
    (CACHED, Json(document)).into_response()
}

const CACHED: [(axum::http::HeaderName, &str); 2] = [(CACHE_CONTROL, "public, max-age=300"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
