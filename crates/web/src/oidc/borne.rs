//! The access token of a request, and the proof that goes with it (RFC 6750, RFC 9449 7).

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use usufruct_app::Bearing;
use usufruct_core::means::{AskedSignIn, Means};
use usufruct_core::time::SECOND;

use super::possession::{Flaw, Possession, Target};
use crate::Site;

/// What is wrong with a request to a protected resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unborne {
    Absent,
    /// Has ended, is not for this, or is bound to another key.
    Invalid,
    /// Holds, and was not given for the mandate that is named.
    Mandate,
    /// The proof has to carry the nonce that the answer names.
    Nonce,
    /// Holds, and is not for this: the scope that is missing.
    Scope(&'static str),
    /// Why the proof does not hold, in ASCII.
    Proof(&'static str),
    /// The sign-in behind it is not enough: what is asked (RFC 9470).
    SignIn(AskedSignIn),
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
    let possession = Possession::read(&parts.headers, &target, site)?;
    let possession = possession.ok_or(Unborne::Proof("the DPoP proof is missing"))?;
    Ok(Bearing { access_token, possession: Some((possession.jkt, possession.presented)) })
}

impl From<Flaw> for Unborne {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Nonce => Self::Nonce,
            Flaw::Other(why) => Self::Proof(why),
        }
    }
}

/// How to ask for a sign-in that will do, as parameters of a request: `acr_values` and `max_age` in seconds.
pub(crate) fn wanted(asked: AskedSignIn) -> (Option<&'static str>, Option<i64>) {
    let class = (asked.means > Means::Delegate).then(|| asked.means.acr());
    (class, asked.within.map(|within| within / SECOND))
}

impl Unborne {
    /// The status that goes with the header.
    pub fn status(self) -> StatusCode {
        if matches!(self, Self::Mandate | Self::Scope(_)) { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED }
    }

    /// The header that says how it has to be done.
    pub fn challenge(self) -> HeaderValue {
        let text = match self {
            Self::Absent => format!("DPoP algs=\"{ALGORITHMS}\", Bearer"),
            Self::Invalid => {
                format!("DPoP error=\"invalid_token\", error_description=\"the token is not valid here\", algs=\"{ALGORITHMS}\"")
            }
            Self::Mandate => {
                format!(
                    "DPoP error=\"insufficient_scope\", error_description=\"the token was not given for this mandate\", algs=\"{ALGORITHMS}\""
                )
            }
            Self::Nonce => {
                format!(
                    "DPoP error=\"use_dpop_nonce\", error_description=\"sign the nonce of the header DPoP-Nonce\", algs=\"{ALGORITHMS}\""
                )
            }
            Self::SignIn(asked) => {
                let (class, age) = wanted(asked);
                let class = class.map(|class| format!(", acr_values=\"{class}\"")).unwrap_or_default();
                let age = age.map(|age| format!(", max_age=\"{age}\"")).unwrap_or_default();
                format!(
                    "DPoP error=\"insufficient_user_authentication\", error_description=\"the resident has to sign in again\"{class}{age}, algs=\"{ALGORITHMS}\""
                )
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
        (self.status(), headers).into_response()
    }
}

const ALGORITHMS: &str = "ES256 EdDSA Ed25519 PS256";
