//! Parameters of OAuth requests: each at most once, each at most so long.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use usufruct_app::Error;

use crate::fault::LATER;

/// Most parameters in one request.
const MOST: usize = 64;

/// The parameters of a request.
pub(crate) struct Fields(BTreeMap<String, String>);

/// The parameters of a posted form, for endpoints that answer services.
pub(crate) struct Posted(pub Fields);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::new("invalid_request", "send application/x-www-form-urlencoded"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                OAuthError { status: rejection.status(), ..OAuthError::new("invalid_request", "the request is too large") }
            }
            _ => OAuthError::new("invalid_request", "the body broke off"),
        })?;
        Fields::parse(&bytes).map(Self)
    }
}

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. An empty value counts as absent (RFC 6749 3.1); a repeated parameter is
    /// refused (RFC 6749 3.2).
    pub fn parse(bytes: &[u8]) -> Result<Self, OAuthError> {
        let mut fields = BTreeMap::new();
        for (count, (key, value)) in url::form_urlencoded::parse(bytes).enumerate() {
            if count >= MOST {
                return Err(OAuthError::new("invalid_request", "too many parameters"));
            }
            if !value.is_empty() && fields.insert(key.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::new("invalid_request", "a parameter is repeated"));
            }
        }
        Ok(Self(fields))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn required(&self, name: &'static str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::new("invalid_request", missing))
    }
}

/// An error of RFC 6749 5.2. The description is ASCII without quotes and backslashes, as the RFC asks.
#[derive(Clone, Debug)]
pub(crate) struct OAuthError {
    pub code: &'static str,
    pub description: &'static str,
    status: StatusCode,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
    /// By which scheme of `Authorization` the service tried to prove itself.
    tried: Option<&'static str>,
}

/// Schemes of `Authorization` by which software tries to prove a service. None of them works here.
const SCHEMES: [&str; 3] = ["Basic", "Bearer", "DPoP"];

impl OAuthError {
    /// The same to a request with these headers: whoever tried by `Authorization` is challenged by the same scheme, and nobody else by any
    /// (RFC 6749 5.2).
    #[must_use]
    pub fn to(self, headers: &HeaderMap) -> Self {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scheme = given.split(' ').next().unwrap_or_default();
        Self { tried: SCHEMES.into_iter().find(|known| known.eq_ignore_ascii_case(scheme)), ..self }
    }

    /// A service or a network asks more often than it may; `seconds` until the next request is taken.
    pub fn too_many(seconds: u64) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(seconds),
            ..Self::new("temporarily_unavailable", "too many requests, see Retry-After")
        }
    }

    /// The body did not come in time.
    pub fn too_slow() -> Self {
        let description = "The body of the request did not come within ten seconds, so nothing was done. Send the request again.";
        Self { status: StatusCode::REQUEST_TIMEOUT, ..Self::new("invalid_request", description) }
    }

    /// Something that is needed does not answer now.
    pub fn later(description: &'static str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(LATER),
            ..Self::new("temporarily_unavailable", description)
        }
    }

    pub fn new(code: &'static str, description: &'static str) -> Self {
        let status = match code {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { code, description, status, retry_after: None, tried: None }
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        match error {
            Error::Replayed { what: "client assertion" } => Self::new("invalid_client", "the client assertion was used before"),
            Error::Replayed { .. } => Self::new("invalid_dpop_proof", "the DPoP proof was used before"),
            Error::WiderScope => Self::new("invalid_scope", "the scope is wider than what was granted"),
            Error::Unborne => Self::new("invalid_token", "the token has ended"),
            Error::NoAuthorization => Self::new("invalid_grant_id", "there is no such grant of this resident"),
            Error::Refused { .. } | Error::Unknown { .. } | Error::Unpermitted(_) => {
                Self::new("invalid_grant", "the grant is not valid")
            }
            other if other.is_temporary() => {
                tracing::warn!(error = %other, "a request of a service is put off");
                Self::later("something that is needed does not answer now, try again in a moment")
            }
            other => {
                tracing::error!(error = %other, "token request failed");
                Self::new("server_error", "something broke on our side, try again")
            }
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.code, "error_description": self.description }));
        let mut response = (self.status, [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED
            && let Some(scheme) = self.tried.and_then(|scheme| HeaderValue::try_from(format!("{scheme} realm=\"usufruct\"")).ok())
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn parameters_come_once() {
        assert!(Fields::parse(b"a=1&a=2").is_err());
        assert!(Fields::parse(b"a=&a=2").unwrap().get("a") == Some("2"));
        assert!(Fields::parse("x=1&".repeat(65).as_bytes()).is_err());
        assert!(Fields::parse(b"a=1&b=").unwrap().get("b").is_none());
    }
}
