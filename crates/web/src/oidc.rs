//! The OpenID Connect provider, by the FAPI 2.0 security profile: pushed requests, PKCE, pairwise subjects, opaque tokens bound to
//! keys, clients without secrets.
//!
//! Clients are the services of the public register, and prove themselves with keys that stand in the log
//! (`private_key_jwt`). A sign-in releases a pseudonym and nothing more; data goes through the release API.

mod authorize;
pub(crate) mod borne;
mod claims;
mod client;
mod consent;
pub(crate) mod cross_origin;
mod delegate;
mod details;
pub(crate) mod fields;
mod form_post;
mod grants;
mod jwe;
mod jws;
pub(crate) mod keys;
mod logout;
mod metadata;
pub(crate) mod nonce;
mod par;
mod possession;
pub(crate) mod service_keys;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::Site;
pub(crate) use authorize::origin_behind;
pub(crate) use token::OWN_SCOPES;

/// Whether an error at this address is read by a program, which expects one of OAuth (RFC 6749 5.2), and by nobody in a browser.
pub(crate) fn answers_programs(path: &str) -> bool {
    let endpoints = ["/oidc/introspect", "/oidc/par", "/oidc/revoke", "/oidc/token", "/oidc/userinfo"];
    endpoints.contains(&path) || path.starts_with("/oidc/grants/")
}

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/oidc/token", post(token::token).options(cross_origin::preflight))
        .route("/oidc/userinfo", get(userinfo::userinfo).post(userinfo::userinfo).options(cross_origin::preflight))
        .route("/oidc/revoke", post(userinfo::revoke).options(cross_origin::preflight))
        .route("/.well-known/openid-configuration", get(metadata::configuration))
        .route("/.well-known/oauth-authorization-server", get(metadata::configuration))
        .route("/oidc/jwks", get(metadata::jwks))
        .route("/oidc/authorize", get(authorize::by_query).post(authorize::by_form))
        .route("/oidc/authorize/decide", get(authorize::by_query).post(consent::decide))
        .route("/oidc/authorize/delegate", get(authorize::by_query).post(delegate::decide))
        .route("/oidc/par", post(par::push))
        .route("/oidc/grants/{id}", get(grants::query).delete(grants::revoke))
        .route("/oidc/introspect", post(userinfo::introspect))
        .route("/oidc/end-session", get(logout::by_query).post(logout::by_form))
        .route("/oidc/end-session/confirm", post(logout::confirm))
}
