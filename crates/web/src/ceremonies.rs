//! Ceremonies of browsers: begun by one, sealed, and brought back by the same one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use usufruct_app::{CeremonyKind, OpenCeremony};
use usufruct_core::ports::random;

use crate::Site;
use crate::fault::Fault;
use crate::session::{ceremony_cookie, ceremony_cookie_name, token};
use crate::site::blocking;

/// A browser that may begin ceremonies, and is known again by a cookie.
pub(crate) struct Browser(String);

/// A browser that has begun one, or not.
pub(crate) struct KnownBrowser(Option<String>);

impl FromRequestParts<Arc<Site>> for Browser {
    type Rejection = std::convert::Infallible;

    /// The one it has goes on: a ceremony in another window of it may be under way.
    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        let KnownBrowser(known) = KnownBrowser::from_request_parts(parts, site).await?;
        Ok(Self(known.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(random::<24>(site.app.rng())))))
    }
}

impl Browser {
    /// The `Set-Cookie` value by which it is known again.
    pub fn cookie(&self, site: &Site) -> HeaderValue {
        ceremony_cookie(site, &self.0)
    }

    /// Begins a ceremony in it, and answers what it brings back.
    pub async fn begin<S: Serialize>(&self, site: &Arc<Site>, kind: CeremonyKind, state: &S) -> Result<String, Fault> {
        begin(site, kind, self.0.clone(), state).await
    }
}

impl FromRequestParts<Arc<Site>> for KnownBrowser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Self::Rejection> {
        let known = token(parts, ceremony_cookie_name(site));
        Ok(Self(known.filter(|known| URL_SAFE_NO_PAD.decode(known).is_ok_and(|mark| mark.len() == 24))))
    }
}

impl KnownBrowser {
    /// The ceremony that it brings back, and what was known when it began. `None` when it began none like it, or its time is over.
    pub async fn open<S: DeserializeOwned>(
        self,
        site: &Arc<Site>,
        kind: CeremonyKind,
        ceremony: String,
    ) -> Result<Option<(S, OpenCeremony)>, Fault> {
        match self.0 {
            Some(browser) => open(site, kind, browser, ceremony).await,
            None => Ok(None),
        }
    }
}

/// Begins a ceremony for whoever can show `browser` at its end.
pub(crate) async fn begin<S: Serialize>(
    site: &Arc<Site>,
    kind: CeremonyKind,
    browser: String,
    state: &S,
) -> Result<String, Fault> {
    let state = serde_json::to_vec(state).map_err(|_| Fault::internal())?;
    blocking(site, move |app| app.begin_ceremony(kind, &browser, &state)).await
}

/// The ceremony that `browser` brings back.
pub(crate) async fn open<S: DeserializeOwned>(
    site: &Arc<Site>,
    kind: CeremonyKind,
    browser: String,
    ceremony: String,
) -> Result<Option<(S, OpenCeremony)>, Fault> {
    let Some(open) = blocking(site, move |app| app.open_ceremony(kind, &browser, &ceremony)).await? else { return Ok(None) };
    let state = serde_json::from_slice(&open.state).map_err(|_| Fault::internal())?;
    Ok(Some((state, open)))
}
