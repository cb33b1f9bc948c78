//! Forms of signed-in residents: nobody else can send them.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use serde::de::DeserializeOwned;
use usufruct_app::OpenSession;
use usufruct_core::hash::equal;

use crate::Site;
use crate::fault::Fault;
use crate::session::Resident;

/// A posted form whose `form_token` belongs to the session, and the session itself.
pub(crate) struct Checked<T>(pub OpenSession, pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Checked<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let Resident(session) = Resident::from_request_parts(&mut parts, site).await?;
        let site_of_sender = parts.headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        if !matches!(site_of_sender, None | Some("same-origin" | "none")) {
            return Err(Fault::foreign_form());
        }
        let bytes =
            axum::body::Bytes::from_request(Request::from_parts(parts, body), site).await.map_err(|_| Fault::too_large())?;
        let token = url::form_urlencoded::parse(&bytes).find(|(key, _)| key == "form_token").map(|(_, value)| value.into_owned());
        if !token.is_some_and(|token| equal(token.as_bytes(), session.form_token.as_bytes())) {
            return Err(Fault::foreign_form());
        }
        let form = serde_urlencoded::from_bytes(&bytes).map_err(|_| Fault::bad_form())?;
        Ok(Self(session, form))
    }
}

/// A form with nothing but its token.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}
