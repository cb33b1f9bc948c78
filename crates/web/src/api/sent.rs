//! Who sends what: the token and its proof are looked at when all of the body has come, for either may end while it is on its way.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};

use super::json::unreadable;
use crate::fault::Fault;
use crate::oidc::borne::{self, Unborne};
use crate::site::attempt;
use crate::{BODY_LIMIT, Site};

/// A caller and what it sends.
pub(crate) struct Sent<C, B>(pub C, pub B);

/// A caller who is known by a token.
pub(crate) trait Bearer: FromRequestParts<Arc<Site>, Rejection = Response> + Send {
    /// What one is told who did not prove that it may call.
    fn refuse(unborne: Unborne) -> Response;
}

impl<C, B> FromRequest<Arc<Site>> for Sent<C, B>
where
    C: Bearer,
    B: FromRequest<Arc<Site>>,
{
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        if !is_short(&parts.headers) {
            // Nobody has us keep megabytes without a token. Its proof is used up afterwards.
            let bearing = borne::read(&parts, site).map_err(C::refuse)?;
            let is_borne = attempt(site, move |app| app.is_borne(&bearing)).await;
            if !is_borne.map_err(|error| Fault::from(error).into_response())? {
                return Err(C::refuse(Unborne::Invalid));
            }
        }
        let whole = Bytes::from_request(Request::from_parts(parts.clone(), body), site).await;
        let whole = whole.map_err(|rejection| unreadable(rejection).into_response())?;
        let caller = C::from_request_parts(&mut parts, site).await?;
        let sent = B::from_request(Request::from_parts(parts, Body::from(whole)), site).await;
        Ok(Self(caller, sent.map_err(IntoResponse::into_response)?))
    }
}

/// Whether a body says that it is no longer than a form may be.
fn is_short(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length <= BODY_LIMIT)
}
