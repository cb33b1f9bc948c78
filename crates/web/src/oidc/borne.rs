//! The access token of a request, and the proof that goes with it (RFC 6750, RFC 9449 7).

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use usufruct_app::Bearing;

use super::possession::{Possession, Target};
use crate::Site;

/// What is wrong with a request to a protected resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unborne {
    Absent,
    /// Has ended, is not for this, or is bound to another key.
    Invalid,
    /// Holds, and is not for this: the scope that is missing.
    Scope(&'static str),
    /// Why the proof does not hold, in ASCII.
    Proof(&'static str),
}

/// The token of the request and the proof that goes with it. Whether they fit is for the use case to say.
pub(crate) fn read(parts: &Parts, site: &Site) -> Result<Bearing, Unborne> {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (all.next(), all.next()) else { return Err(Unborne::Absent) };
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Unborne::Absent)?;
    let access_token = token.trim_start().to_owned();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Bearing { access_token, possession: None });
    }
    if !scheme.eq_ignore_ascii_case("dpop") {
        return Err(Unborne::Absent);
    }
    let address = format!("{}{}", site.settings.issuer, parts.uri.path());
    let target = Target { method: &parts.method, address: &address, access_token: Some(&access_token), now: site.app.now() };
    let possession = Possession::read(&parts.headers, &target).map_err(Unborne::Proof)?;
    let possession = possession.ok_or(Unborne::Proof("the DPoP proof is missing"))?;
    Ok(Bearing { access_token, possession: Some((possession.jkt, possession.presented)) })
}

impl Unborne {
    /// The header that says how it has to be done.
    pub fn challenge(self) -> HeaderValue {
        let text = match self {
            Self::Absent => format!("DPoP algs=\"{ALGORITHMS}\", Bearer"),
            Self::Invalid => {
                format!("DPoP error=\"invalid_token\", error_description=\"the token is not valid here\", algs=\"{ALGORITHMS}\"")
            }
            Self::Scope(scope) => format!("DPoP error=\"insufficient_scope\", scope=\"{scope}\", algs=\"{ALGORITHMS}\""),
            Self::Proof(why) => {
                format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{why}\", algs=\"{ALGORITHMS}\"")
            }
        };
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("DPoP"))
    }
}

impl IntoResponse for Unborne {
    fn into_response(self) -> Response {
        let headers = [(WWW_AUTHENTICATE, self.challenge()), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let status = if matches!(self, Self::Scope(_)) { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        (status, headers).into_response()
    }
}

const ALGORITHMS: &str = "ES256 EdDSA PS256";
