//! Security headers of every answer, and the cookie that remembers a chosen language.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::Site;
use crate::fault::{ErrorPage, Fault, with_headers_of, with_words};
use crate::language;
use crate::session::MaybeResident;

/// Nothing runs, loads or is sent but from and to this site. Scripts cannot write HTML (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The policy of a page whose form may lead on to `origin` (the consent page: browsers follow `form-action` over redirects).
pub(crate) fn policy_with_form_target(origin: &str) -> HeaderValue {
    let policy = POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static(POLICY))
}

/// Adds the headers, and turns faults into pages in the right language.
pub(crate) async fn secure(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let chosen = language::of_request(request.uri().query(), request.headers());
    let asked = request.uri().query().is_some_and(|query| query.contains("lang="));
    let wants_html = !request.uri().path().starts_with("/api/")
        && !request.uri().path().starts_with("/console/")
        && request
            .headers()
            .get("accept")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
    let (parts, body) = request.into_parts();
    let asker = wants_html.then(|| parts.clone());
    let mut response = with_words(next.run(Request::from_parts(parts, body)).await);
    if let Some(fault) = response.extensions_mut().remove::<Fault>()
        && let Some(mut asker) = asker
    {
        // A page that says no says for whom, too.
        let session = MaybeResident::from_request_parts(&mut asker, &site).await.ok().and_then(|known| known.0);
        response = with_headers_of(response.headers(), ErrorPage::response(&fault, chosen, session));
    }
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    if site.is_https() {
        headers.insert(HeaderName::from_static("strict-transport-security"), HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if asked {
        let cookie = format!("{}={}; Path=/; Max-Age=31536000; SameSite=Lax", language::COOKIE_NAME, chosen.tag());
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    response
}
