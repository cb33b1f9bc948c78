//! What the provider signs for each service, and what it encrypts: by the algorithm that the service registered, under keys that are public.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use usufruct_core::hash::sha256;

use crate::common::{CARD, SERVICE};
use crate::site::{CALLBACK, ISSUER, LOGIN, LOGIN_CALLBACK, TestSite, publish_body, service_body};

/// Registers the library once more, with `more` in its statement.
fn publish_with(site: &TestSite, more: &[(&str, Value)]) {
    let mut body = service_body(SERVICE, CALLBACK, &[site.library.jwk()], "fapi2", &[CARD]);
    more.iter().for_each(|(name, value)| body[*name] = value.clone());
    publish_body(&site.city, SERVICE, body);
}

/// The claims of a token after its signature was checked with the published key that it names.
async fn verified(site: &TestSite, token: &str, algorithm: Algorithm) -> Value {
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.alg, algorithm);
    let keys: JwkSet = serde_json::from_value(site.get("/oidc/jwks", "").await.json()).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a published key");
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_audience(&[SERVICE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["iss", "aud", "sub"]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

#[tokio::test]
async fn id_tokens_are_signed_as_the_service_registered() {
    let site = TestSite::new();
    for (name, algorithm) in [("EdDSA", Algorithm::EdDSA), ("PS256", Algorithm::PS256), ("ES256", Algorithm::ES256)] {
        let (_, cookie) = site.resident();
        publish_with(&site, &[("id_token_signed_response_alg", json!(name))]);
        let answer = site.token_answer(&cookie, &[]).await;
        let id_token = answer["id_token"].as_str().unwrap();
        let claims = verified(&site, id_token, algorithm).await;
        assert!(claims["sub"].is_string() && claims["auth_time"].is_number(), "{name}");
        // A refreshed one is signed alike, and either is a hint.
        let refreshed = site.refresh(answer["refresh_token"].as_str().unwrap(), &[]).await.json();
        verified(&site, refreshed["id_token"].as_str().unwrap(), algorithm).await;
        let again = site.authorize(&cookie, &[("prompt", "none"), ("id_token_hint", id_token)]).await;
        assert!(again.led("code").is_some(), "{name}: {}", again.header("location"));
    }
    // One that is signed with a key of somebody else is none.
    let forged = site.library.sign("ES256", &json!({ "iss": ISSUER, "aud": SERVICE, "sub": "x" }));
    let (_, cookie) = site.resident();
    let (plain, hinted) = (site.authorize(&cookie, &[]).await, site.authorize(&cookie, &[("id_token_hint", &forged)]).await);
    assert_eq!((plain.status, hinted.status), (StatusCode::OK, StatusCode::OK), "it asks for her agreement as without a hint");
}

#[tokio::test]
async fn a_service_may_register_what_the_profile_allows_and_no_more() {
    let site = TestSite::new();
    let refused = |body: Value| {
        let problems = usufruct_core::service::Service::read(&body).unwrap_err();
        problems.iter().map(|problem| format!("{} {}", problem.field, problem.rule)).collect::<Vec<_>>().join(", ")
    };
    let with = |profile: &str, more: &[(&str, Value)]| {
        let mandates: &[&str] = if profile == "oidc" { &[] } else { &[CARD] };
        let mut body = service_body(SERVICE, CALLBACK, &[site.library.jwk()], profile, mandates);
        more.iter().for_each(|(name, value)| body[*name] = value.clone());
        body
    };
    assert_eq!(
        refused(with("fapi2", &[("id_token_signed_response_alg", json!("RS256"))])),
        "id_token_signed_response_alg forbidden"
    );
    assert_eq!(
        refused(with("fapi2", &[("userinfo_signed_response_alg", json!("RS256"))])),
        "userinfo_signed_response_alg forbidden"
    );
    assert!(refused(with("fapi2", &[("id_token_signed_response_alg", json!("none"))])).contains("unknown-word"));
    assert_eq!(refused(with("fapi2", &[("jwks_uri", json!("https://keys.example.org/jwks"))])), "jwks_uri both");
    assert_eq!(
        refused(with("fapi2", &[("jwks", json!([])), ("jwks_uri", json!("http://keys.example.org/jwks"))])),
        "jwks_uri[0] not-https"
    );
    let mut key = site.library.jwk();
    key["use"] = json!("enc");
    assert_eq!(refused(with("fapi2", &[("jwks", json!([key]))])), "userinfo_signed_response_alg missing");
    for lawful in [
        with("oidc", &[("id_token_signed_response_alg", json!("RS256"))]),
        with("oidc", &[("id_token_signed_response_alg", json!("ES256"))]),
        with("fapi2", &[("signals_signed_response_alg", json!("RS256"))]),
        with("fapi2", &[("jwks", json!([])), ("jwks_uri", json!("https://keys.example.org/jwks"))]),
    ] {
        usufruct_core::service::Service::read(&lawful).unwrap();
    }
}

#[tokio::test]
async fn rs256_for_events_brings_a_key_and_signs_nothing_else() {
    let site = TestSite::new().without_oidc();
    let has_rsa = async || {
        let keys = site.get("/oidc/jwks", "").await.json();
        keys["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "RSA")
    };
    assert!(!has_rsa().await);
    publish_with(&site, &[("signals_signed_response_alg", json!("RS256"))]);
    assert!(has_rsa().await, "it is public before the first event is signed");
    let metadata = site.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256", "EdDSA", "PS256"]));
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    verified(&site, answer["id_token"].as_str().unwrap(), Algorithm::ES256).await;
}

#[tokio::test]
async fn software_for_plain_openid_connect_may_choose_as_well() {
    let site = TestSite::new();
    let mut body = service_body(LOGIN, LOGIN_CALLBACK, &[site.login.jwk()], "oidc", &[]);
    body["id_token_signed_response_alg"] = json!("EdDSA");
    publish_body(&site.city, LOGIN, body);
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[]).await;
    assert_eq!(jsonwebtoken::decode_header(answer["id_token"].as_str().unwrap()).unwrap().alg, Algorithm::EdDSA);
}

#[tokio::test]
async fn the_metadata_says_so() {
    let site = TestSite::new();
    let metadata = site.get("/.well-known/openid-configuration", "").await.json();
    for (name, value) in [
        ("id_token_signing_alg_values_supported", json!(["ES256", "EdDSA", "PS256", "RS256"])),
        ("userinfo_signing_alg_values_supported", json!(["ES256", "EdDSA", "PS256", "RS256"])),
        ("userinfo_encryption_alg_values_supported", json!(["ECDH-ES"])),
        ("userinfo_encryption_enc_values_supported", json!(["A256GCM"])),
        ("op_policy_uri", json!(format!("{ISSUER}/register"))),
        ("op_tos_uri", json!(format!("{ISSUER}/developers#terms"))),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    assert!(site.get("/developers", "").await.text().contains("id=\"terms\""));
    let strict = TestSite::new().without_oidc();
    let metadata = strict.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256", "EdDSA", "PS256"]));
}

#[tokio::test]
async fn userinfo_comes_as_a_token_where_the_service_registered_it() {
    let site = TestSite::new();
    for (name, algorithm) in [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("PS256", Algorithm::PS256)] {
        publish_with(&site, &[("userinfo_signed_response_alg", json!(name))]);
        let (_, cookie) = site.resident();
        let (token, subject) = site.tokens(&cookie, &[]).await;
        let answer = site.userinfo(&token).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/jwt"), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        let claims = verified(&site, answer.text(), algorithm).await;
        assert_eq!(claims, json!({ "iss": ISSUER, "aud": SERVICE, "iat": site.now(), "exp": site.now() + 120, "sub": subject }));
    }
}

#[tokio::test]
async fn userinfo_is_encrypted_to_the_key_that_the_service_registered() {
    let site = TestSite::new();
    let own = PrivateKey::generate(&ECDH_P256).unwrap();
    let point = own.compute_public_key().unwrap();
    let [x, y] = [1..33, 33..65].map(|half| URL_SAFE_NO_PAD.encode(&point.as_ref()[half]));
    let key = json!({ "kid": "for-us", "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "enc" });
    publish_with(&site, &[("userinfo_signed_response_alg", json!("ES256")), ("jwks", json!([site.library.jwk(), key]))]);
    let (_, cookie) = site.resident();
    let (token, subject) = site.tokens(&cookie, &[]).await;
    let answer = site.userinfo(&token).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/jwt"), "{}", answer.text());
    assert!(!answer.text().contains(&subject));
    let parts: Vec<&str> = answer.text().split('.').collect();
    assert_eq!(parts.len(), 5);
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&bytes(parts[0])).unwrap();
    assert_eq!(header["kid"], "for-us");
    let [x, y] = ["x", "y"].map(|name| bytes(header["epk"][name].as_str().unwrap()));
    let theirs = UnparsedPublicKey::new(&ECDH_P256, [&[4][..], &x, &y].concat());
    // RFC 7518 4.6.2, written down once more: round, secret, algorithm, two empty names, bits.
    let secret = agree(&own, theirs, (), |secret| {
        let parts: [&[u8]; 6] = [&[0, 0, 0, 1], secret, &[0, 0, 0, 7], b"A256GCM", &[0; 8], &[0, 0, 1, 0]];
        Ok::<_, ()>(sha256(&parts.concat()).0)
    });
    let opening = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret.unwrap()).unwrap());
    let mut content = [bytes(parts[3]), bytes(parts[4])].concat();
    let nonce = Nonce::try_assume_unique_for_key(&bytes(parts[2])).unwrap();
    let signed = opening.open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut content).unwrap();
    let claims = verified(&site, std::str::from_utf8(signed).unwrap(), Algorithm::ES256).await;
    assert_eq!(claims["sub"], subject);
}
