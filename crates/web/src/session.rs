//! Who is signed in: the session cookie and the extractors that read it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use usufruct_app::OpenSession;

use crate::Site;
use crate::fault::Fault;
use crate::site::blocking;

/// A signed-in resident who acts for herself. Without one the browser is sent to sign in and back here; who acts for somebody else is told that
/// this is not hers to do.
pub(crate) struct Resident(pub OpenSession);

/// A signed-in resident who acts for herself or for somebody else. Only pages that look at what was given take it.
pub(crate) struct Anybody(pub OpenSession);

/// A resident who has just shown her passkey. Others are sent to do so and back to this page.
pub(crate) struct Fresh(pub OpenSession);

/// A signed-in resident or nobody.
pub(crate) struct MaybeResident(pub Option<OpenSession>);

impl FromRequestParts<Arc<Site>> for Resident {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        let Anybody(session) = Anybody::from_request_parts(parts, site).await?;
        if session.acting.is_some() { Err(Fault::not_given()) } else { Ok(Self(session)) }
    }
}

impl FromRequestParts<Arc<Site>> for Anybody {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        let MaybeResident(session) = MaybeResident::from_request_parts(parts, site).await?;
        let here = parts.uri.path_and_query().map_or("/me", |here| here.as_str());
        session.map(Self).ok_or_else(|| match parts.method {
            Method::GET | Method::HEAD => Fault::sign_in(here),
            _ => Fault::sign_in(page_of_form(here)),
        })
    }
}

impl FromRequestParts<Arc<Site>> for Fresh {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        let Resident(session) = Resident::from_request_parts(parts, site).await?;
        if session.is_fresh(site.app.now()) {
            return Ok(Self(session));
        }
        let here = parts.uri.path_and_query().map_or("/me", |here| here.as_str());
        Err(Fault::step_up(if parts.method == Method::GET { here } else { page_of_form(here) }))
    }
}

impl FromRequestParts<Arc<Site>> for MaybeResident {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Fault> {
        if let Some(found) = parts.extensions.get::<Option<OpenSession>>() {
            return Ok(Self(found.clone()));
        }
        let Some(token) = token(parts, cookie_name(site)) else { return Ok(Self(None)) };
        let acting = self::token(parts, acting_cookie_name(site));
        let session = blocking(site, move |app| {
            let Some(own) = app.session(&token)? else { return Ok(None) };
            let acting = acting.map_or(Ok(None), |acting| app.acting(&own, &acting))?;
            Ok(Some(acting.unwrap_or(own)))
        })
        .await?;
        parts.extensions.insert(session.clone());
        Ok(Self(session))
    }
}

/// Has the session looked up anew by the next extractor.
pub(crate) fn forget_session(parts: &mut Parts) {
    parts.extensions.remove::<Option<OpenSession>>();
}

/// The page to come back to from a form of the portal or from signing out. Other forms are sent to addresses that are pages too.
fn page_of_form(here: &str) -> &str {
    if here.starts_with("/oidc/end-session/") {
        return "/oidc/end-session";
    }
    let own = ["/me/account/delete", "/me/account/recovery", "/me/delegations/give", "/me/delegations/take-up"];
    if own.contains(&here) {
        return here;
    }
    if here.starts_with("/me/account/footprint-key") {
        return "/me/account/devices";
    }
    if here == "/me/account/recovery/own" {
        return "/me/account/recovery";
    }
    let pages = [
        "/me/account/devices",
        "/me/account",
        "/me/consents",
        "/me/data",
        "/me/delegations",
        "/me/footprint",
        "/me/messages",
        "/me",
    ];
    pages.into_iter().find(|page| here.strip_prefix(page).is_some_and(|rest| rest.starts_with('/'))).unwrap_or(here)
}

/// What kind of device asks, in a word or two, so that a resident knows her sessions apart.
pub(crate) struct Device(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Device {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = |words: &[(&str, &'static str)]| words.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
        let words = [first(&BROWSERS), first(&SYSTEMS)];
        Ok(Self(words.into_iter().flatten().collect::<Vec<_>>().join(", ")))
    }
}

/// Signs in a user agent and what they mean; what contains another's sign comes first.
const BROWSERS: [(&str, &str); 4] = [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS", "Mac"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
];

/// The `Set-Cookie` value by which a browser is known for a card that was used in it.
pub(crate) fn card_cookie(site: &Site, mark: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let value = format!("{}={mark}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={CARD_SECONDS}", card_cookie_name(site));
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The mark of a card that was used in this browser.
pub(crate) struct CardMark(pub Option<String>);

impl FromRequestParts<Arc<Site>> for CardMark {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        Ok(Self(token(parts, card_cookie_name(site))))
    }
}

/// The `Set-Cookie` value by which a browser that went to show a certificate card is known when it comes back, or forgotten when
/// `mark` is empty.
pub(crate) fn errand_cookie(site: &Site, mark: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let age = if mark.is_empty() { 0 } else { ERRAND_SECONDS };
    let value = format!("{}={mark}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}", errand_cookie_name(site));
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The mark of a browser that went to show a certificate card.
pub(crate) struct ErrandMark(pub Option<String>);

impl FromRequestParts<Arc<Site>> for ErrandMark {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        Ok(Self(token(parts, errand_cookie_name(site))))
    }
}

/// The `Set-Cookie` value by which a browser that began a ceremony is known when it ends it.
pub(crate) fn ceremony_cookie(site: &Site, mark: &str) -> HeaderValue {
    let (name, secure) = (ceremony_cookie_name(site), if site.is_https() { "; Secure" } else { "" });
    let value = format!("{name}={mark}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={ERRAND_SECONDS}");
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub(crate) fn ceremony_cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct-ceremony" } else { "usufruct-ceremony" }
}

fn errand_cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct-errand" } else { "usufruct-errand" }
}

/// As long as a ceremony may take.
const ERRAND_SECONDS: i64 = 5 * 60;

fn card_cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct-card" } else { "usufruct-card" }
}

/// How long a browser is known for a card: 400 days, the longest that browsers keep a cookie.
const CARD_SECONDS: i64 = 400 * 24 * 60 * 60;

/// The `Set-Cookie` value that keeps a session, or ends it when `token` is empty.
pub(crate) fn cookie(site: &Site, token: &str) -> HeaderValue {
    session_cookie(site, cookie_name(site), token)
}

/// As [`cookie`], for the session in which she acts for somebody, beside the one of her own.
pub(crate) fn acting_cookie(site: &Site, token: &str) -> HeaderValue {
    session_cookie(site, acting_cookie_name(site), token)
}

fn session_cookie(site: &Site, name: &str, token: &str) -> HeaderValue {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let age = if token.is_empty() { "; Max-Age=0" } else { "" };
    let value = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn acting_cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct-acting" } else { "usufruct-acting" }
}

fn cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-usufruct" } else { "usufruct" }
}

/// The value of a cookie; none where it is empty.
pub(crate) fn token(parts: &Parts, name: &str) -> Option<String> {
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value.to_owned())
}
