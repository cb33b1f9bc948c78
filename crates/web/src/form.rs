//! Forms of signed-in residents: nobody else can send them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use usufruct_app::OpenSession;
use usufruct_core::hash::equal;

use crate::Site;
use crate::fault::Fault;
use crate::session::{Anybody, Fresh, Resident, forget_session};

/// A posted form whose `form_token` belongs to the session of a resident who acts for herself, and the session itself.
pub(crate) struct Checked<T>(pub OpenSession, pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Checked<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Fault> {
        let (mut parts, bytes) = read(request, site).await?;
        let Resident(session) = Resident::from_request_parts(&mut parts, site).await?;
        let form = checked(site, &session, &parts, &bytes)?;
        Ok(Self(session, form))
    }
}

/// As [`Checked`], also for a resident who acts for somebody else. The form token of the one is none of the other.
pub(crate) struct CheckedOfAnybody<T>(pub OpenSession, pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for CheckedOfAnybody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Fault> {
        let (mut parts, bytes) = read(request, site).await?;
        let Anybody(session) = Anybody::from_request_parts(&mut parts, site).await?;
        let form = checked(site, &session, &parts, &bytes)?;
        Ok(Self(session, form))
    }
}

/// Reads the whole body before anybody looks who sends it: a session may end while the body is on its way.
async fn read(request: Request, site: &Arc<Site>) -> Result<(Parts, Bytes), Fault> {
    let (mut parts, body) = request.into_parts();
    let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), site).await.map_err(|_| Fault::too_large())?;
    forget_session(&mut parts);
    Ok((parts, bytes))
}

fn checked<T: DeserializeOwned>(site: &Site, session: &OpenSession, parts: &Parts, bytes: &[u8]) -> Result<T, Fault> {
    require_own_page(site, &parts.headers)?;
    let token = url::form_urlencoded::parse(bytes).find(|(key, _)| key == "form_token").map(|(_, value)| value.into_owned());
    if !token.is_some_and(|token| equal(token.as_bytes(), session.form_token.as_bytes())) {
        return Err(Fault::foreign_form());
    }
    serde_urlencoded::from_bytes(bytes).map_err(|_| Fault::bad_form())
}

/// As [`Checked`], for steps that cannot be taken back: the session has just shown its passkey.
pub(crate) struct Proven<T>(pub OpenSession, pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Proven<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Fault> {
        let (mut parts, bytes) = read(request, site).await?;
        let Fresh(session) = Fresh::from_request_parts(&mut parts, site).await?;
        let form = checked(site, &session, &parts, &bytes)?;
        Ok(Self(session, form))
    }
}

/// A form that anybody may send, but only from a page of this site.
pub(crate) struct Public<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Public<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Fault> {
        require_own_page(site, request.headers())?;
        let bytes = Bytes::from_request(request, site).await.map_err(|_| Fault::too_large())?;
        serde_urlencoded::from_bytes(&bytes).map(Self).map_err(|_| Fault::bad_form())
    }
}

/// Browsers say where a form was sent from; those that are too old for one header say it in the other.
fn require_own_page(site: &Site, headers: &HeaderMap) -> Result<(), Fault> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match (header("sec-fetch-site"), header("origin")) {
        (Some(sender), _) => matches!(sender, "same-origin" | "none"),
        (None, Some(origin)) => origin == site.settings.issuer || header("host").is_some_and(|host| is_of(origin, host)),
        (None, None) => true,
    };
    if is_own { Ok(()) } else { Err(Fault::foreign_form()) }
}

/// Whether an origin is the one under whose name this machine was called.
fn is_of(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

/// A form with nothing but its token.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}
