//! Signing in for somebody: whoever acts for a person is asked each time whether it is for her or for herself.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use axum::response::Response;
use i18n_embed_fl::fl;
use serde::Deserialize;
use usufruct_app::{Error, OpenSession};
use usufruct_core::Text;
use usufruct_core::delegation::Power;
use usufruct_core::hash::equal;
use usufruct_core::means::Means;

use super::authorize::{self, Asked};
use super::consent;
use crate::Site;
use crate::fault::Fault;
use crate::form::CheckedOfAnybody;
use crate::headers::policy_with_form_target;
use crate::page::{Page, show};
use crate::session::acting_cookie;
use crate::site::blocking;

#[derive(Template)]
#[template(path = "delegate-sign-in.html")]
struct DelegatePage {
    page: Page,
    service: Text,
    /// What the delegate calls the person.
    person: String,
    /// Whether signing in was given.
    is_given: bool,
    /// Whether the service takes somebody who acts for the person.
    is_enough: bool,
    raw: String,
    mark: String,
}

/// Asks for whom the sign-in is. `wanted` is the weakest means that the service takes.
pub(crate) fn page(site: &Site, page: Page, session: &OpenSession, asked: &Asked, wanted: Means) -> Result<Response, Fault> {
    let register = site.app.register();
    let service = register.services.get(&asked.request.service).ok_or_else(|| Fault::not_found("service"))?;
    let content = DelegatePage {
        page: consent::within(page, asked),
        service: service.body.name.clone(),
        person: session.acting.as_ref().map(|acting| acting.called.clone()).unwrap_or_default(),
        is_given: session.actor(&[Power::SignIn]).is_ok(),
        is_enough: session.means >= wanted,
        mark: mark(site, session, &asked.raw)?,
        raw: asked.raw.clone(),
    };
    let mut response = show(&content);
    // The form's answer may lead to the service, which the browser counts as a target of the form.
    if let Some(origin) = url::Url::parse(&asked.request.redirect_uri).ok().map(|uri| uri.origin().ascii_serialization()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy_with_form_target(&origin));
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    /// The authorization request as it came, and the mark that it was shown to this session.
    request: String,
    mark: String,
    choice: String,
}

/// "For the person" goes on on her rights; "for myself" stops acting and begins the request again.
pub(crate) async fn decide(
    State(site): State<Arc<Site>>,
    page: Page,
    CheckedOfAnybody(session, choice): CheckedOfAnybody<Choice>,
) -> Result<Response, Fault> {
    if !equal(mark(&site, &session, &choice.request)?.as_bytes(), choice.mark.as_bytes()) {
        return Err(Fault::foreign_form());
    }
    if choice.choice != "person" {
        blocking(&site, move |app| app.stop_acting(&session)).await?;
        let mut response = authorize::see(&format!("/oidc/authorize?{}", choice.request));
        response.headers_mut().append(SET_COOKIE, acting_cookie(&site, ""));
        return Ok(response);
    }
    if session.acting.is_none() || session.actor(&[Power::SignIn]).is_err() {
        return Err(Fault::not_given());
    }
    let asked = authorize::reread(&site, &session, &choice.request).await?;
    if session.means < authorize::wanted(&site, &choice.request).await? {
        return Err(Fault::not_given());
    }
    if authorize::declines(&site, session.person(), &asked).await? {
        return authorize::deny(&site, &asked).await;
    }
    let (person, wanted, again) = (session.person(), asked.request.clone(), asked.again);
    let to_ask = blocking(&site, move |app| consent::questions(app, person, &wanted, again)).await?;
    match to_ask.first() {
        None => authorize::answer(&site, &session, asked.request).await,
        Some(_) if session.actor(&[Power::Consents]).is_err() => authorize::deny_agreeing(&site, &asked).await,
        Some(question) => consent::page(&site, page, &session, &asked, question),
    }
}

/// Binds the shown request to the session that acts.
fn mark(site: &Site, session: &OpenSession, raw: &str) -> Result<String, Error> {
    site.app.mark("delegate", Some(session), &[raw])
}
