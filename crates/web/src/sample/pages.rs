//! The pages of a sample relying party.

use std::sync::{Arc, PoisonError};

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use i18n_embed::fluent::FluentLanguageLoader;
use i18n_embed_fl::fl;
use serde_json::Value;

use super::client::Answer;
use super::{Sample, SampleKind, Visitor};
use crate::language::{messages, of_request};

const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Visitors kept in memory before all are forgotten.
const MOST_VISITORS: usize = 10_000;

#[derive(Template)]
#[template(path = "sample/front.html")]
struct Front {
    messages: &'static FluentLanguageLoader,
    tag: &'static str,
    is_library: bool,
    issuer: String,
    subject: String,
    outcome: Outcome,
}

enum Outcome {
    Nothing,
    Denied,
    Failed,
    Refused { clause: String, detail: String },
    Released { lines: Vec<(String, String)>, index: String, until: String },
}

pub(super) async fn front(State(sample): State<Arc<Sample>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let visitor = sample.visitor(&headers).map(|(_, visitor)| visitor).unwrap_or_default();
    sample.page(&headers, query.as_deref(), visitor, Outcome::Nothing)
}

pub(super) async fn login(State(sample): State<Arc<Sample>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let (id, state, nonce, verifier) = (sample.word(), sample.word(), sample.word(), sample.word());
    let language = of_request(query.as_deref(), &headers).tag();
    let Some(target) = sample.authorize_url(&state, &nonce, &verifier, language).await else {
        return sample.page(&headers, query.as_deref(), Visitor::default(), Outcome::Failed);
    };
    sample.keep(&id, Visitor { pending: Some((state, nonce, verifier)), subject: None });
    sample.go_as(&target, &id)
}

pub(super) async fn callback(State(sample): State<Arc<Sample>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let get = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let Some((id, visitor)) = sample.visitor(&headers) else {
        return sample.page(&headers, None, Visitor::default(), Outcome::Failed);
    };
    let Some((state, nonce, verifier)) = visitor.pending else { return go("/") };
    // RFC 9207: an answer that names another issuer is not for us.
    if get("state").as_deref() != Some(&*state) || get("iss").as_deref() != Some(&*sample.settings.issuer) {
        return sample.page(&headers, None, Visitor::default(), Outcome::Failed);
    }
    sample.keep(&id, Visitor::default());
    if get("error").as_deref() == Some("access_denied") {
        return sample.page(&headers, None, Visitor::default(), Outcome::Denied);
    }
    let code = get("code").filter(|_| get("error").is_none());
    let Some(code) = code else { return sample.page(&headers, None, Visitor::default(), Outcome::Failed) };
    match sample.exchange(&code, &nonce, &verifier).await {
        Some(subject) => {
            // A new cookie, so that nobody who knew the old one is signed in.
            let fresh = sample.word();
            sample.keep(&fresh, Visitor { pending: None, subject: Some(subject) });
            sample.go_as("/", &fresh)
        }
        None => sample.page(&headers, None, Visitor::default(), Outcome::Failed),
    }
}

pub(super) async fn read(State(sample): State<Arc<Sample>>, headers: HeaderMap) -> Response {
    let Some((_, visitor)) = sample.visitor(&headers) else { return go("/") };
    let Some(subject) = visitor.subject.clone() else { return go("/") };
    let outcome = match sample.release(&subject).await {
        Some(Answer::Released(body)) => released(&body),
        Some(Answer::Refused(body)) => Outcome::Refused {
            clause: body["clauses"][0]["clause"].as_str().or(body["type"].as_str()).unwrap_or_default().to_owned(),
            detail: body["detail"].as_str().unwrap_or_default().to_owned(),
        },
        None => Outcome::Failed,
    };
    sample.page(&headers, None, visitor, outcome)
}

pub(super) async fn logout(State(sample): State<Arc<Sample>>, headers: HeaderMap) -> Response {
    if let Some((id, _)) = sample.visitor(&headers) {
        sample.visitors.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
    go("/")
}

pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-cache")], include_str!("../../assets/sample.css"))
        .into_response()
}

impl Sample {
    fn visitor(&self, headers: &HeaderMap) -> Option<(String, Visitor)> {
        let name = self.cookie_name();
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let id = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)?
            .1
            .to_owned();
        let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.get(&id).cloned().map(|visitor| (id, visitor))
    }

    fn keep(&self, id: &str, visitor: Visitor) {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        if visitors.len() >= MOST_VISITORS {
            visitors.clear();
        }
        visitors.insert(id.to_owned(), visitor);
    }

    /// Cookies of one host are shared by its ports, so each sample has a name of its own.
    fn cookie_name(&self) -> &'static str {
        match self.settings.kind {
            SampleKind::Library => "sample_library",
            SampleKind::Festival => "sample_festival",
        }
    }

    /// Leads to `target` and gives the visitor the cookie `id`.
    fn go_as(&self, target: &str, id: &str) -> Response {
        let mut response = go(target);
        let cookie = format!("{}={id}; Path=/; HttpOnly; SameSite=Lax", self.cookie_name());
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    fn page(&self, headers: &HeaderMap, query: Option<&str>, visitor: Visitor, outcome: Outcome) -> Response {
        let language = of_request(query, headers);
        let front = Front {
            messages: messages(language),
            tag: language.tag(),
            is_library: self.settings.kind == SampleKind::Library,
            issuer: self.settings.issuer.clone(),
            subject: visitor.subject.unwrap_or_default(),
            outcome,
        };
        let html = front.render().unwrap_or_default();
        let secure = [
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (secure, Html(html)).into_response()
    }
}

fn released(body: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
    Outcome::Released {
        lines: blocks
            .iter()
            .map(|block| (format!("{} ({})", text(&block["block"]), text(&block["form"])), text(&block["value"])))
            .collect(),
        index: body["log"]["index"].to_string(),
        until: text(&body["until"]),
    }
}

fn go(target: &str) -> Response {
    match HeaderValue::from_str(target) {
        Ok(target) => (StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
