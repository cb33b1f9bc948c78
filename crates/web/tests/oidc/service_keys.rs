//! The kinds of keys by which services prove themselves, and what each may sign with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::common::{CARD, SERVICE};
use crate::site::{CALLBACK, ISSUER, LOGIN, LOGIN_CALLBACK, TestSite, plain_exchange_form, publish_service};

/// A service that can sign with keys of three kinds.
struct Keys {
    rsa: RsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::default()).unwrap();
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    fn jwks(&self, site: &TestSite) -> [Value; 3] {
        let public = self.rsa.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (public.modulus(), public.exponent());
        [
            site.library.jwk(),
            json!({ "kid": "rsa", "kty": "RSA", "n": number(n.big_endian_without_leading_zero()), "e": number(e.big_endian_without_leading_zero()) }),
            json!({ "kid": "ed25519", "kty": "OKP", "crv": "Ed25519", "x": number(self.ed25519.public_key().as_ref()) }),
        ]
    }

    /// An assertion under the header's algorithm.
    fn assertion(&self, alg: &str, claims: &Value) -> String {
        let kid = if matches!(alg, "EdDSA" | "Ed25519") { "ed25519" } else { "rsa" };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({ "alg": alg, "kid": kid })), part(claims));
        let by_rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &SystemRandom::default(), text.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match alg {
            "EdDSA" | "Ed25519" => self.ed25519.sign(text.as_bytes()).as_ref().to_vec(),
            "PS256" => by_rsa(&RSA_PSS_SHA256),
            _ => by_rsa(&RSA_PKCS1_SHA256),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "release")];

#[tokio::test]
async fn a_service_may_sign_with_keys_of_three_kinds() {
    let (site, keys) = (TestSite::new(), Keys::new());
    publish_service(&site.city, SERVICE, CALLBACK, &keys.jwks(&site), "fapi2", &[CARD]);
    for (alg, is_good) in [("PS256", true), ("EdDSA", true), ("Ed25519", true), ("RS256", false)] {
        let answer = site.oauth_with(&keys.assertion(alg, &site.claims(SERVICE)), "/oidc/token", &OWN).await;
        assert_eq!(answer.status == StatusCode::OK, is_good, "{alg}: {}", answer.text());
        // A signature of one kind under the name of another.
        let assertion = keys.assertion(alg, &site.claims(SERVICE));
        let (_, rest) = assertion.split_once('.').unwrap();
        for other in ["ES256", "PS256", "EdDSA", "Ed25519", "RS256", "HS256", "none"].into_iter().filter(|other| *other != alg) {
            for kid in ["rsa", "ed25519", "library-1"] {
                let header = URL_SAFE_NO_PAD.encode(json!({ "alg": other, "kid": kid }).to_string());
                let answer = site.oauth_with(&format!("{header}.{rest}"), "/oidc/token", &OWN).await;
                assert_eq!(answer.oauth_error(), "invalid_client", "{alg} as {other} by {kid}");
            }
        }
    }
    assert_eq!(site.oauth("/oidc/token", &OWN).await.status, StatusCode::OK, "the key it had before stands beside them");
}

#[tokio::test]
async fn software_for_plain_openid_connect_may_sign_as_it_can() {
    let (site, keys) = (TestSite::new(), Keys::new());
    let jwks: Vec<Value> = keys.jwks(&site)[1..].to_vec();
    publish_service(&site.city, LOGIN, LOGIN_CALLBACK, &jwks, "oidc", &[]);
    let (_, cookie) = site.resident();
    for (alg, aud, is_good) in [
        ("RS256", json!(format!("{ISSUER}/oidc/token")), true),
        ("RS256", json!(ISSUER), true),
        ("PS256", json!(ISSUER), true),
        ("RS256", json!([format!("{ISSUER}/oidc/token")]), true),
        ("RS256", json!([ISSUER, "https://elsewhere.example/oidc/token"]), false),
        ("RS256", json!([]), false),
        ("RS256", json!(format!("{ISSUER}/oidc/revoke")), false),
        ("RS256", json!("https://elsewhere.example/oidc/token"), false),
    ] {
        let code = site.plain(&cookie, &[]).await.led("code").unwrap();
        let mut claims = site.claims(LOGIN);
        claims["aud"] = aud.clone();
        let answer = site.oauth_proving(&keys.assertion(alg, &claims), "/oidc/token", &plain_exchange_form(&code), &[]).await;
        assert_eq!(answer.status == StatusCode::OK, is_good, "{alg} {aud}: {}", answer.text());
    }
    let mut claims = site.claims(SERVICE);
    claims["aud"] = json!(format!("{ISSUER}/oidc/token"));
    let strict = site.oauth_with(&site.library.sign("ES256", &claims), "/oidc/token", &OWN).await;
    assert_eq!(strict.oauth_error(), "invalid_client", "by FAPI 2.0 the issuer alone is the audience");
}
