//! Who may use the console: whoever sits at this machine and can read the data directory.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, FORWARDED};
use axum::http::request::Parts;
use usufruct_core::hash::equal;

use super::Console;
use crate::Site;
use crate::fault::Fault;

/// A caller who has proved to be the operator.
pub(super) struct Clerk(pub Arc<Console>);

impl FromRequestParts<Arc<Site>> for Clerk {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _site: &Arc<Site>) -> Result<Self, Fault> {
        let console = parts.extensions.get::<Arc<Console>>().ok_or_else(|| Fault::not_found("page"))?;
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>().ok_or_else(|| Fault::not_found("page"))?;
        // A proxy on this machine would make everybody local, so what came through one is refused too.
        let forwarded = parts.headers.contains_key(FORWARDED) || parts.headers.contains_key("x-forwarded-for");
        if !peer.ip().to_canonical().is_loopback() || forwarded {
            return Err(Fault::not_found("page"));
        }
        let given = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if given.is_some_and(|given| equal(given.as_bytes(), console.token.as_bytes())) {
            Ok(Self(Arc::clone(console)))
        } else {
            Err(Fault::unauthenticated("The token is missing or wrong. Read it from console.json in the data directory."))
        }
    }
}
