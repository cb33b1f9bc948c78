//! Signing out from a service's page (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Error, OpenSession};
use usufruct_core::hash::equal;
use usufruct_core::id::ServiceId;

use super::authorize::see;
use super::fields::Fields;
use crate::Site;
use crate::fault::Fault;
use crate::form::CheckedOfAnybody;
use crate::headers::policy_with_form_target;
use crate::page::{Page, show};
use crate::session::{MaybeResident, cookie};
use crate::site::blocking;

#[derive(Template)]
#[template(path = "sign-out.html")]
struct SignOutPage {
    page: Page,
    /// Where to go afterwards, and the mark that it may be gone to; empty when nowhere registered was named.
    next: String,
    mark: String,
}

pub(crate) async fn by_query(
    State(site): State<Arc<Site>>,
    page: Page,
    MaybeResident(session): MaybeResident,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    ask(&site, page, session, query.unwrap_or_default().as_bytes())
}

pub(crate) async fn by_form(
    State(site): State<Arc<Site>>,
    page: Page,
    MaybeResident(session): MaybeResident,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    ask(&site, page, session, &body.map_err(|_| Fault::too_large())?)
}

/// The resident is always asked: a page of a service cannot sign her out behind her back.
fn ask(site: &Site, page: Page, session: Option<OpenSession>, raw: &[u8]) -> Result<Response, Fault> {
    let fields = Fields::parse(raw).map_err(|_| Fault::bad_form())?;
    let next = registered(site, &fields);
    match (session, next) {
        (None, Some(next)) => Ok(see(&next)),
        (Some(session), Some(next)) => {
            let origin = url::Url::parse(&next).map(|next| next.origin().ascii_serialization());
            let mark = mark(site, &session, &next)?;
            let mut response = show(&SignOutPage { page, next, mark });
            // The form's answer leads to the service, which the browser counts as a target of the form.
            if let Ok(origin) = origin {
                response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&origin));
            }
            Ok(response)
        }
        (_, None) => Ok(show(&SignOutPage { page, next: String::new(), mark: String::new() })),
    }
}

#[derive(Deserialize)]
pub(crate) struct Confirm {
    #[serde(default)]
    next: String,
    #[serde(default)]
    mark: String,
}

pub(crate) async fn confirm(
    State(site): State<Arc<Site>>,
    CheckedOfAnybody(session, form): CheckedOfAnybody<Confirm>,
) -> Result<Response, Fault> {
    let is_ours = equal(mark(&site, &session, &form.next)?.as_bytes(), form.mark.as_bytes());
    blocking(&site, move |app| app.close_session(&session)).await?;
    let mut response = see(if is_ours { &form.next } else { "/" });
    response.headers_mut().insert(SET_COOKIE, cookie(&site, ""));
    Ok(response)
}

fn mark(site: &Site, session: &OpenSession, next: &str) -> Result<String, Error> {
    site.app.mark("sign-out", Some(session), &[next])
}

/// The registered address the request asks to be led to, with its state. Only an ID token of ours, old or not, says which
/// service asks.
fn registered(site: &Site, fields: &Fields) -> Option<String> {
    let service = site.provider_keys.hint(fields.get("id_token_hint")?, &site.settings.issuer)?.audience;
    if fields.get("client_id").is_some_and(|id| id != service) {
        return None;
    }
    let service: ServiceId = service.parse().ok()?;
    let uri = fields.get("post_logout_redirect_uri")?;
    let register = site.app.register();
    let known = &register.services.get(&service)?.body.post_logout_redirect_uris;
    known.iter().find(|known| *known == uri)?;
    let Some(state) = fields.get("state") else { return Some(uri.to_owned()) };
    let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
    Some(format!("{uri}{}state={state}", if uri.contains('?') { '&' } else { '?' }))
}
