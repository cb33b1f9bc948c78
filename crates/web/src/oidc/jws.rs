//! Signatures of services (RFC 7515): which algorithms count, and the one place where they are checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use usufruct_core::service::Profile;

/// What services may sign with (FAPI 2.0 Security Profile 5.4.1). Ed25519 is EdDSA by the name that says the curve (RFC 9864 2.2).
const ALGORITHMS: [(&str, Algorithm); 4] =
    [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("Ed25519", Algorithm::EdDSA), ("PS256", Algorithm::PS256)];
/// Their names, for the metadata.
pub(crate) const ALGORITHM_NAMES: [&str; 4] = ["ES256", "EdDSA", "Ed25519", "PS256"];
/// Longest signed token that is looked at, in bytes.
pub(crate) const LONGEST: usize = 8 * 1024;

/// What a token says about its signature.
#[derive(Deserialize)]
pub(crate) struct Header {
    alg: String,
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default)]
    pub typ: Option<String>,
    /// The key of a proof of possession.
    #[serde(default)]
    pub jwk: Option<Value>,
    #[serde(default)]
    crit: Option<Value>,
}

/// The header of a token that is no longer than is looked at, and asks for nothing that is not understood here.
pub(crate) fn header(token: &str) -> Option<Header> {
    let header: Header = if token.len() <= LONGEST { part(token.split('.').next()?)? } else { return None };
    header.crit.is_none().then_some(header)
}

/// What a token claims. Nothing of it is to be believed before the signature.
pub(crate) fn unverified<T: DeserializeOwned>(token: &str) -> Option<T> {
    part(token.split('.').nth(1)?)
}

impl Header {
    /// The algorithm, if it is one of ours.
    pub fn algorithm(&self) -> Option<Algorithm> {
        ALGORITHMS.iter().find(|(name, _)| *name == self.alg).map(|(_, algorithm)| *algorithm)
    }

    /// As [`Header::algorithm`], for the assertion by which a service proves itself. What is sold for plain OpenID Connect often signs with
    /// RS256 and nothing else.
    pub fn assertion_algorithm(&self, profile: Profile) -> Option<Algorithm> {
        if profile == Profile::Oidc && self.alg == "RS256" { Some(Algorithm::RS256) } else { self.algorithm() }
    }
}

/// A NumericDate (RFC 7519 2) in microseconds: seconds since 1970, which may have a fraction.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct NumericDate(pub i64);

impl TryFrom<f64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, &'static str> {
        // Up to here a double tells neighbouring microseconds apart.
        if seconds.abs() < 4_000_000_000.0 { Ok(Self((seconds * 1e6).round() as i64)) } else { Err("no time of ours") }
    }
}

/// The claims, if the signature is made with this key by this algorithm. Names and times are the caller's to check.
pub(crate) fn verified<T: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
    let (message, signature) = token.rsplit_once('.')?;
    let (_, claims) = message.split_once('.')?;
    let holds = jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).ok()?;
    if holds { part(claims) } else { None }
}

/// JSON in base64url.
fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
