//! Signing out from a service's page (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_core::id::ServiceId;

use super::fields::Fields;
use crate::Site;
use crate::fault::Fault;
use crate::form::Checked;
use crate::page::{Page, show};
use crate::session::cookie;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "sign-out.html")]
struct SignOutPage {
    page: Page,
    /// Where to go afterwards; empty when nowhere registered was named.
    next: String,
}

pub(crate) async fn by_query(State(site): State<Arc<Site>>, page: Page, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    ask(&site, page, query.unwrap_or_default().as_bytes())
}

pub(crate) async fn by_form(State(site): State<Arc<Site>>, page: Page, body: Bytes) -> Result<Response, Fault> {
    ask(&site, page, &body)
}

/// The resident is always asked: a page of a service cannot sign her out behind her back.
fn ask(site: &Site, page: Page, raw: &[u8]) -> Result<Response, Fault> {
    let fields = Fields::parse(raw).map_err(|_| Fault::bad_form())?;
    let next = registered(site, &fields).unwrap_or_default();
    Ok(show(&SignOutPage { page, next }))
}

#[derive(Deserialize)]
pub(crate) struct Confirm {
    #[serde(default)]
    next: String,
}

pub(crate) async fn confirm(State(site): State<Arc<Site>>, Checked(session, form): Checked<Confirm>) -> Result<Response, Fault> {
    let known = site.app.register().services.values().any(|entry| {
        let uris = &entry.body.post_logout_redirect_uris;
        uris.iter()
            .any(|uri| form.next == *uri || form.next.strip_prefix(uri.as_str()).is_some_and(|rest| rest.starts_with("?state=")))
    });
    blocking(&site, move |app| app.close_session(&session)).await?;
    let next = if known { form.next } else { "/".to_owned() };
    let location = HeaderValue::from_str(&next).map_err(|_| Fault::bad_form())?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location), (SET_COOKIE, cookie(&site, ""))]).into_response())
}

/// The registered address the request asks to be led to, with its state.
fn registered(site: &Site, fields: &Fields) -> Option<String> {
    let service: ServiceId = fields.get("client_id")?.parse().ok()?;
    let uri = fields.get("post_logout_redirect_uri")?;
    let register = site.app.register();
    register.services.get(&service)?.body.post_logout_redirect_uris.iter().find(|known| *known == uri)?;
    let state = fields.get("state").map(|state| url::form_urlencoded::byte_serialize(state.as_bytes()).collect::<String>());
    Some(state.map_or_else(|| uri.to_owned(), |state| format!("{uri}?state={state}")))
}
