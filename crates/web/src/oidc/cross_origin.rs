//! Pages of other origins that call the provider by themselves (CORS): those of services without a key, from the addresses that
//! residents return to. No cookie goes with such a call.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State as Stage;
use usufruct_core::service::Service;

use crate::Site;

/// What a program in a browser calls by itself.
const CALLED: [&str; 3] = ["/oidc/revoke", "/oidc/token", "/oidc/userinfo"];

/// Lets the pages of services without a key read the answer, also where the request came too slowly or was one too many: they learn from
/// it when to come back.
pub(crate) async fn share(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    if !is_called(request.uri().path()) {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin.filter(|origin| is_known(&site, origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate, retry-after, dpop-nonce"));
    }
    response
}

/// Whether pages call this address.
pub(crate) fn is_called(path: &str) -> bool {
    CALLED.contains(&path)
}

/// What such a page may send. Who may is said by [`share`].
pub(super) async fn preflight() -> Response {
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, dpop"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// Whether a call in the name of this service comes from a page of its own, or from no page at all.
pub(super) fn is_origin_of(site: &Site, service: &ServiceId, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    site.app.register().services.get(service).is_some_and(|entry| is_of(&entry.body, origin))
}

fn is_known(site: &Site, origin: &HeaderValue) -> bool {
    let register = site.app.register();
    let mut open = register.services.values().filter(|entry| entry.state == Stage::Active && site.serves(entry.body.profile));
    open.any(|entry| entry.body.is_public() && is_of(&entry.body, origin))
}

/// Whether residents return to this origin.
fn is_of(service: &Service, origin: &HeaderValue) -> bool {
    let own = |uri: &String| url::Url::parse(uri).ok().map(|uri| uri.origin().ascii_serialization());
    service.redirect_uris.iter().filter_map(own).any(|own| own.as_bytes() == origin.as_bytes())
}
