//! What several modules check alike.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::site::{Answer, ISSUER, LOGIN, TestSite};

/// The claims of an ID token, after its signature was checked with the published key.
pub async fn verified(site: &TestSite, id_token: &str, client: &str) -> Value {
    let header = jsonwebtoken::decode_header(id_token).unwrap();
    // What software off the shelf expects, and what the FAPI 2.0 security profile allows.
    assert_eq!(header.alg, if client == LOGIN { Algorithm::RS256 } else { Algorithm::ES256 });
    let keys: JwkSet = serde_json::from_value(site.get("/oidc/jwks", "").await.json()).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref().unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_audience(&[client]);
    validation.set_issuer(&[ISSUER]);
    let claims = jsonwebtoken::decode::<Value>(id_token, &key, &validation).unwrap().claims;
    assert!(claims["aud"].is_string() && claims["sub"].as_str().unwrap().len() <= 255);
    assert!(claims["exp"].as_i64().unwrap() > site.now());
    claims
}

/// As [`verified`], for a token answer.
pub async fn claims(site: &TestSite, answer: &Value, client: &str) -> Value {
    verified(site, answer["id_token"].as_str().unwrap(), client).await
}

/// A key that signs by PS256, which is lawful, and by RS256, which is not.
pub struct RsaKey(RsaKeyPair);

impl RsaKey {
    pub fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn jwk(&self) -> Value {
        let public = self.0.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        let [n, e] =
            [n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero()].map(|n| URL_SAFE_NO_PAD.encode(n));
        json!({ "kty": "RSA", "n": n, "e": e })
    }

    /// A JWS by the algorithm that the header names.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let encoding: &'static dyn RsaEncoding = if header["alg"] == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::default(), text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A page of ours and no way to the service.
pub fn error_page(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert_eq!(answer.header("location"), "");
    assert!(answer.header("content-type").starts_with("text/html"));
}

/// An OAuth error of this status and one of these codes.
pub fn refused(answer: &Answer, status: StatusCode, codes: &[&str]) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = answer.oauth_error();
    assert!(codes.contains(&error.as_str()), "{error}");
}

/// More than 96 bits by Shannon's measure, as the suite asks of every secret.
pub fn hard_to_guess(secret: &str) {
    let length = secret.len() as f64;
    let mut counts = std::collections::BTreeMap::<u8, f64>::new();
    for byte in secret.bytes() {
        *counts.entry(byte).or_default() += 1.0;
    }
    let bits: f64 = counts.values().map(|count| -(count / length).log2() * count).sum();
    assert!(bits > 96.0, "{bits}");
}
