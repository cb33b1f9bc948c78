//! JSON bodies: strict, and with a clear answer to whatever cannot be read.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// A JSON body of a known shape.
pub(crate) struct Strict<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Strict<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Fault::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The request has another content type. Send `Content-Type: application/json`.",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        // Only the place is told: the words of the parser may quote what was sent.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let what =
                if error.is_data() { "has a field too many, too few or of the wrong kind" } else { "is not well-formed JSON" };
            Fault::malformed(&format!(
                "The body {what} at line {}, column {}. Compare it with the documentation and send it again.",
                error.line(),
                error.column()
            ))
        })
    }
}

/// Why a body could not be read to its end.
pub(super) fn unreadable(rejection: BytesRejection) -> Fault {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Fault::too_large()
    } else {
        Fault::malformed("The body broke off. Send the request again.")
    }
}
