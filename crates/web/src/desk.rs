//! Sessions of desks that tickets open: the cookie of each, and the forms that only its own pages send.

use std::sync::Arc;

use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use usufruct_app::{DeskSession, TicketDesk};
use usufruct_core::hash::equal;

use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

#[derive(Deserialize)]
pub(crate) struct TicketForm {
    pub ticket: String,
}

#[derive(Deserialize)]
pub(crate) struct SignOutForm {
    pub form_token: String,
}

/// Whose session the cookie is now. A form asks when all of it has come, for the session may end while it is on its way.
pub(crate) async fn session(site: &Arc<Site>, desk: TicketDesk, headers: &HeaderMap) -> Result<Option<DeskSession>, Fault> {
    let Some(session) = shown(site, desk, headers) else { return Ok(None) };
    let issuer = site.settings.issuer.clone();
    blocking(site, move |app| app.desk_session(desk, &issuer, &session)).await
}

/// The header by which a browser keeps the session that a ticket opens.
pub(crate) async fn sign_in_cookie(
    site: &Arc<Site>,
    desk: TicketDesk,
    ticket: String,
) -> Result<[(HeaderName, HeaderValue); 1], Fault> {
    let issuer = site.settings.issuer.clone();
    let session = blocking(site, move |app| app.desk_sign_in(desk, &issuer, &ticket)).await?;
    Ok([(SET_COOKIE, cookie(site, desk, &session))])
}

/// Ends the session on every node and in every copy of the cookie, and answers the header by which this browser forgets it.
pub(crate) async fn end_session(
    site: &Arc<Site>,
    desk: TicketDesk,
    headers: &HeaderMap,
) -> Result<[(HeaderName, HeaderValue); 1], Fault> {
    if let Some(session) = shown(site, desk, headers) {
        let issuer = site.settings.issuer.clone();
        blocking(site, move |app| app.desk_sign_out(desk, &issuer, &session)).await?;
    }
    Ok([(SET_COOKIE, cookie(site, desk, ""))])
}

/// What the cookie says.
fn shown(site: &Site, desk: TicketDesk, headers: &HeaderMap) -> Option<String> {
    let name = format!("{}=", cookie_name(site, desk));
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(&*name)).map(str::to_owned)
}

/// The session, if the form is one of its own.
pub(crate) fn own_form(session: Option<DeskSession>, token: &str) -> Result<DeskSession, Fault> {
    let session =
        session.ok_or_else(|| Fault::unauthenticated("The session of this desk is over. Sign in with a new ticket."))?;
    if equal(session.form_token.as_bytes(), token.as_bytes()) { Ok(session) } else { Err(Fault::foreign_form()) }
}

fn cookie_name(site: &Site, desk: TicketDesk) -> &'static str {
    match (desk, site.is_https()) {
        (TicketDesk::Office, true) => "__Host-usufruct-office",
        (TicketDesk::Office, false) => "usufruct-office",
        (TicketDesk::Vendor, true) => "__Host-usufruct-vendor",
        (TicketDesk::Vendor, false) => "usufruct-vendor",
    }
}

fn cookie(site: &Site, desk: TicketDesk, session: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let age = if session.is_empty() { "; Max-Age=0" } else { "" };
    let value = format!("{}={session}; Path=/; HttpOnly; SameSite=Strict{secure}{age}", cookie_name(site, desk));
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
