//! Answers that are posted to the service (OAuth 2.0 Form Post Response Mode).

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::Response;

use crate::fault::Fault;
use crate::headers::policy_with_form_target;
use crate::page::show;
use axum::response::IntoResponse;

#[derive(Template)]
#[template(path = "form-post.html")]
struct FormPost<'a> {
    to: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

/// A page whose form sends itself, or by its button where scripts do not run.
pub(crate) fn page<'a>(to: &'a str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Response {
    let Ok(target) = url::Url::parse(to) else { return Fault::internal().into_response() };
    let mut response = show(&FormPost { to, pairs: pairs.collect() });
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&target.origin().ascii_serialization()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
