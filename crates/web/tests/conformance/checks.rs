//! What several modules check alike.

use axum::http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::site::{Answer, ISSUER, TestSite};

/// The claims of an ID token, after its signature was checked with the published key.
pub async fn verified(site: &TestSite, id_token: &str, client: &str) -> Value {
    let header = jsonwebtoken::decode_header(id_token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let keys = site.get("/oidc/jwks", "").await.json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header.kid.as_deref().unwrap()).unwrap();
    let key = DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
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
