//! Proof of possession: a token works only with the key it was made for (RFC 9449, DPoP).

use axum::http::{HeaderMap, Method};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde::Deserialize;
use serde_json::Value;
use usufruct_app::Presented;
use usufruct_core::Time;
use usufruct_core::hash::{equal, sha256};
use usufruct_core::time::SECOND;

use super::jws::{self, Header, NumericDate};
use super::nonce::{self, Asked};
use crate::Site;

/// A proof that holds for one request. It counts once it is noted.
#[derive(Clone, Debug)]
pub(crate) struct Possession {
    /// Thumbprint of the key (RFC 7638).
    pub jkt: String,
    pub presented: Presented,
}

/// What a proof must be about.
pub(crate) struct Target<'a> {
    pub method: &'a Method,
    /// The address without query, as the outside sees it.
    pub address: &'a str,
    /// The token it goes with.
    pub access_token: Option<&'a str>,
    pub now: Time,
}

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It has to carry the nonce that the answer names.
    Nonce,
    /// In ASCII.
    Other(&'static str),
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: NumericDate,
    #[serde(default)]
    ath: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
}

impl From<&'static str> for Flaw {
    fn from(what: &'static str) -> Self {
        Self::Other(what)
    }
}

impl Possession {
    /// The proof in the headers of a request; `None` where there is no such header.
    pub fn read(headers: &HeaderMap, target: &Target<'_>, site: &Site) -> Result<Option<Self>, Flaw> {
        let mut all = headers.get_all("dpop").iter();
        let Some(proof) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err("there is more than one DPoP header".into());
        }
        let proof = proof.to_str().map_err(|_| "the DPoP proof is not ASCII")?;
        Self::verify(proof, target, site).map(Some)
    }

    fn verify(proof: &str, target: &Target<'_>, site: &Site) -> Result<Self, Flaw> {
        let header = jws::header(proof).ok_or("the header of the DPoP proof cannot be read")?;
        let key = public_key(&header).ok_or("the header of the DPoP proof lacks typ dpop+jwt or a public jwk for signatures")?;
        let algorithm = header.algorithm().ok_or("the DPoP proof is not signed with ES256, EdDSA or PS256")?;
        let decoding = DecodingKey::from_jwk(&key).map_err(|_| "the key of the DPoP proof cannot be read")?;
        let claims: Claims = jws::verified(proof, &decoding, algorithm).ok_or("the DPoP proof does not hold")?;
        if claims.htm != target.method.as_str() {
            return Err("htm is not the method of the request".into());
        }
        if !is_same_address(&claims.htu, target.address) {
            return Err("htu is not the address of the request".into());
        }
        let asked = site.nonces.asked(target.now);
        if asked != Asked::None && !claims.nonce.is_some_and(|nonce| nonce::holds(&site.app, &nonce, target.now)) {
            return Err(Flaw::Nonce);
        }
        // Most services write whole seconds, so the present one has begun for them.
        let age = target.now.seconds() * SECOND - claims.iat.0;
        if asked != Asked::Instead && !(-AHEAD_SECONDS * SECOND..=LIFE_SECONDS * SECOND).contains(&age) {
            return Err("iat is too old or too far ahead".into());
        }
        if !(1..=256).contains(&claims.jti.len()) {
            return Err("jti is missing or longer than 256 characters".into());
        }
        if let Some(token) = target.access_token {
            let wanted = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()).0);
            if !claims.ath.is_some_and(|ath| equal(ath.as_bytes(), wanted.as_bytes())) {
                return Err("ath is not the hash of the access token".into());
            }
        }
        let jkt = key.thumbprint(ThumbprintHash::SHA256).map_err(|_| "the key of the DPoP proof cannot be read")?;
        // As long as it could be shown again.
        let life = if asked == Asked::Instead { nonce::LONGEST } else { (LIFE_SECONDS + AHEAD_SECONDS) * SECOND };
        let until = target.now.plus(life);
        Ok(Self { presented: Presented::possession(&jkt, &claims.jti, until), jkt })
    }
}

/// The key in the header, if the header is that of a proof, and the key has no private part and is meant for signatures.
fn public_key(header: &Header) -> Option<Jwk> {
    let key = header.jwk.as_ref()?;
    let is_public = PRIVATE.iter().all(|member| key.get(member).is_none());
    let is_proof = header.typ.as_deref() == Some("dpop+jwt");
    if is_public && is_proof && verifies(key) { serde_json::from_value(key.clone()).ok() } else { None }
}

/// Whether nothing in a key says that it is for something else than checking signatures (RFC 7517 4.2 and 4.3).
fn verifies(key: &Value) -> bool {
    let has_verify = |operations: &Vec<Value>| operations.iter().any(|operation| operation == "verify");
    key.get("use").is_none_or(|purpose| purpose == "sig")
        && key.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(has_verify))
}

/// Whether two addresses are the same after the normalisation of RFC 3986 6.2.2 and 6.2.3, without query and fragment (RFC 9449 4.3).
fn is_same_address(given: &str, own: &str) -> bool {
    let normal = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    given == own || normal(given).is_some_and(|given| normal(own) == Some(given))
}

/// How old a proof may be.
const LIFE_SECONDS: i64 = 60;
/// How far the clock of a service may be ahead.
const AHEAD_SECONDS: i64 = 30;
/// Members of a private or symmetric key (RFC 7518 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

#[cfg(test)]
mod tests {
    use super::is_same_address;

    #[test]
    fn addresses_are_compared_as_addresses() {
        let own = "https://pass.example.org/oidc/token";
        for same in [
            own,
            "HTTPS://PASS.example.org/oidc/token",
            "https://pass.example.org:443/oidc/token",
            "https://pass.example.org/oidc/token?a=1#b",
            "https://pass.example.org/oidc/./token",
        ] {
            assert!(is_same_address(same, own), "{same}");
        }
        for other in [
            "http://pass.example.org/oidc/token",
            "https://pass.example.org:444/oidc/token",
            "https://pass.example.org/oidc/token/",
            "https://pass.example.org/oidc/userinfo",
            "https://evil.example/oidc/token",
            "/oidc/token",
            "",
        ] {
            assert!(!is_same_address(other, own), "{other}");
        }
    }
}
