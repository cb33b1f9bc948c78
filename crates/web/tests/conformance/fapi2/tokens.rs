//! Codes, tokens, and the keys they are bound to.

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::time::SECOND;

use crate::checks::{RsaKey, claims, refused};
use crate::common::SERVICE;
use crate::site::{Answer, ISSUER, Key, OTHER, TestSite, claims_of, encode, exchange_form};

async fn access_token(site: &TestSite) -> String {
    let (_, cookie) = site.resident();
    site.tokens(&cookie, &[]).await.0
}

pub async fn scheme_in_any_case() {
    let site = TestSite::new();
    let token = access_token(&site).await;
    for scheme in ["DPoP", "dpop", "DPOP", "dPoP"] {
        let proof = site.proof("GET", "/oidc/userinfo", Some(&token));
        assert_eq!(site.userinfo_with(&format!("{scheme} {token}"), &[&proof]).await.status, StatusCode::OK, "{scheme}");
    }
}

/// A code is exchanged, and userinfo asked, with proofs whose claims have these members.
async fn proving_with(members: impl Fn(&TestSite) -> Vec<(&'static str, Value)>) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let mut proof = site.proof_claims("POST", "/oidc/token");
    members(&site).into_iter().for_each(|(name, value)| proof[name] = value);
    let assertion = site.assertion(SERVICE);
    let answer = site.oauth_proving(&assertion, "/oidc/token", &exchange_form(&code), &[&site.bound.prove(&proof)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let mut proof = resource_proof(&site, &token);
    members(&site).into_iter().for_each(|(name, value)| proof[name] = value);
    assert_eq!(site.userinfo_with(&format!("DPoP {token}"), &[&site.bound.prove(&proof)]).await.status, StatusCode::OK);
}

/// Claims of a lawful proof for userinfo.
fn resource_proof(site: &TestSite, token: &str) -> Value {
    let lawful = site.proof("GET", "/oidc/userinfo", Some(token));
    claims_of(&lawful)
}

pub async fn proof_with_nbf_and_exp() {
    proving_with(|site| vec![("nbf", json!(site.now())), ("exp", json!(site.now() + 300)), ("aud", json!("anybody"))]).await;
}

pub async fn proof_of_before() {
    proving_with(|site| vec![("iat", json!(site.now() - 10))]).await;
}

pub async fn proof_of_after() {
    proving_with(|site| vec![("iat", json!(site.now() + 10))]).await;
}

/// Pushes with this proof or `dpop_jkt`, and tries the code with two keys, the wrong one first where `is_wrong`.
async fn bound(by_proof: bool, key_at_the_end: &Key, site: &TestSite) -> Answer {
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let ask = site.ask(&[]);
    let mut form: Vec<(String, String)> = url::form_urlencoded::parse(ask.as_bytes()).into_owned().collect();
    if !by_proof {
        form.push(("dpop_jkt".to_owned(), site.bound.thumbprint()));
    }
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let proof = site.proof("POST", "/oidc/par", None);
    let proofs = [proof.as_str()];
    let assertion = site.assertion(SERVICE);
    let pushed = site.oauth_proving(&assertion, "/oidc/par", &form, if by_proof { &proofs } else { &[] }).await;
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let address = format!("/oidc/authorize?{}", encode(&[("client_id", SERVICE), ("request_uri", &uri)]));
    let code = site.get(&address, &cookie).await.led("code").unwrap();
    let proof = key_at_the_end.prove(&site.proof_claims("POST", "/oidc/token"));
    site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &exchange_form(&code), &[&proof]).await
}

pub async fn bound_by_proof() {
    let site = TestSite::new();
    refused(&bound(true, &Key::new("thief"), &site).await, StatusCode::BAD_REQUEST, &["invalid_grant", "invalid_dpop_proof"]);
}

pub async fn bound_by_name() {
    let site = TestSite::new();
    refused(&bound(false, &Key::new("thief"), &site).await, StatusCode::BAD_REQUEST, &["invalid_grant", "invalid_dpop_proof"]);
}

pub async fn binding_by_proof() {
    let site = TestSite::new();
    assert_eq!(bound(true, &site.bound, &site).await.status, StatusCode::OK);
}

pub async fn binding_by_name() {
    let site = TestSite::new();
    assert_eq!(bound(false, &site.bound, &site).await.status, StatusCode::OK);
}

pub async fn key_required() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let answer = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &exchange_form(&code), &[]).await;
    refused(&answer, StatusCode::BAD_REQUEST, &["invalid_dpop_proof"]);
    let token = site.exchange(&code).await.json()["access_token"].as_str().unwrap().to_owned();
    for scheme in ["DPoP", "Bearer"] {
        assert_eq!(site.userinfo_with(&format!("{scheme} {token}"), &[]).await.status, StatusCode::UNAUTHORIZED);
    }
}

pub async fn code_of_another() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    refused(&site.oauth_as(OTHER, "/oidc/token", &exchange_form(&code)).await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}

pub async fn code_twice() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let answer = site.exchange(&code).await.json();
    site.city.clock.advance(SECOND);
    refused(&site.exchange(&code).await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
    assert_eq!(site.userinfo(answer["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    let refresh = site.refresh(answer["refresh_token"].as_str().unwrap(), &[]).await;
    refused(&refresh, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}

pub async fn expired_code() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    site.city.clock.advance(62 * SECOND);
    refused(&site.exchange(&code).await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}

/// A proof under this header, with another algorithm and a signature of one's own making.
fn resigned(header: &Value, alg: &str, claims: &Value, signature: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut header = header.clone();
    header["alg"] = json!(alg);
    let text = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature(text.as_bytes())))
}

fn by_secret(secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec()
}

/// A coordinate of the public key.
fn coordinate(key: &Key, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(key.jwk()[name].as_str().unwrap()).unwrap()
}

pub async fn possession() {
    let site = TestSite::new();
    let token = access_token(&site).await;
    let scheme = format!("DPoP {token}");
    let header = || json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": site.bound.jwk() });
    let lawful = || resource_proof(&site, &token);
    let mut wrong = vec!["x".to_owned(), "a.b.c".to_owned(), String::new()];
    for (name, value) in [
        ("htm", json!("POST")),
        ("htm", json!("get")),
        ("htu", json!(format!("{ISSUER}/oidc/token"))),
        ("htu", json!("https://elsewhere.example/oidc/userinfo")),
        ("htu", json!("/oidc/userinfo")),
        ("iat", json!(site.now() - 3_600)),
        ("iat", json!(site.now() + 3_600)),
        ("iat", json!("now")),
        ("ath", json!("AAAA")),
        ("jti", json!("")),
        ("jti", json!(7)),
    ] {
        let mut claims = lawful();
        claims[name] = value;
        wrong.push(site.bound.prove(&claims));
    }
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let mut claims = lawful();
        claims.as_object_mut().unwrap().remove(name);
        wrong.push(site.bound.prove(&claims));
    }
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("RS256")),
        ("alg", json!("HS256")),
        ("jwk", Value::Null),
        ("jwk", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
        ("crit", json!(["exp"])),
    ] {
        let mut header = header();
        header[name] = value;
        wrong.push(site.bound.sign_with(&header, &lawful()));
    }
    // As a forger would sign by these names: not at all, and with what everybody knows.
    wrong.push(resigned(&header(), "none", &lawful(), |_| Vec::new()));
    let public = serde_json::to_vec(&site.bound.jwk()).unwrap();
    let point = [&[4][..], &coordinate(&site.bound, "x"), &coordinate(&site.bound, "y")].concat();
    for secret in [&public, &point] {
        wrong.push(resigned(&header(), "HS256", &lawful(), |text| by_secret(secret, text)));
    }
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let mut private = header();
        private["jwk"][member] = json!("AAAA");
        wrong.push(site.bound.sign_with(&private, &lawful()));
    }
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(7)),
        ("key_ops", json!(["encrypt"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("key_ops", json!("verify")),
        ("kty", json!("oct")),
    ] {
        let mut other_use = header();
        other_use["jwk"][name] = value;
        wrong.push(site.bound.sign_with(&other_use, &lawful()));
    }
    for alg in ["HS256", "ES256"] {
        let symmetric = json!({ "typ": "dpop+jwt", "alg": alg, "jwk": { "kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA" } });
        wrong.push(resigned(&symmetric, alg, &lawful(), |text| by_secret(&[0; 16], text)));
    }
    let other = Key::new("other");
    wrong.push(other.prove(&lawful()));
    wrong.push(other.sign_with(&header(), &lawful()));
    for proof in &wrong {
        let answer = site.userinfo_with(&scheme, &[proof]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{proof}");
        assert!(answer.header("www-authenticate").starts_with("DPoP error="), "{proof}");
    }
    let two = [site.bound.prove(&lawful()), site.bound.prove(&lawful())];
    assert_eq!(site.userinfo_with(&scheme, &[&two[0], &two[1]]).await.status, StatusCode::UNAUTHORIZED);
    let once = site.bound.prove(&lawful());
    assert_eq!(site.userinfo_with(&scheme, &[&once]).await.status, StatusCode::OK);
    assert_eq!(site.userinfo_with(&scheme, &[&once]).await.status, StatusCode::UNAUTHORIZED, "shown twice");
    for htu in ["http://localhost:8080/oidc/userinfo?a=1#b", "HTTP://LOCALHOST:8080/oidc/userinfo"] {
        let mut claims = lawful();
        claims["htu"] = json!(htu);
        assert_eq!(site.userinfo_with(&scheme, &[&site.bound.prove(&claims)]).await.status, StatusCode::OK, "{htu}");
    }
    let mut more = header();
    more["kid"] = json!("any");
    (more["jwk"]["use"], more["jwk"]["key_ops"], more["jwk"]["ext"]) = (json!("sig"), json!(["verify"]), json!(true));
    assert_eq!(site.userinfo_with(&scheme, &[&site.bound.sign_with(&more, &lawful())]).await.status, StatusCode::OK);
    // A signature by RS256 is one, and no proof.
    let rsa = RsaKey::new();
    for (alg, status) in [("PS256", StatusCode::OK), ("RS256", StatusCode::BAD_REQUEST)] {
        let header = json!({ "typ": "dpop+jwt", "alg": alg, "jwk": rsa.jwk() });
        let proof = rsa.sign(&header, &site.proof_claims("POST", "/oidc/token"));
        let form = [("grant_type", "client_credentials"), ("scope", "release")];
        let answer = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[&proof]).await;
        assert_eq!(answer.status, status, "{alg}: {}", answer.text());
    }
    let request = Request::get("/oidc/userinfo").header(AUTHORIZATION, &scheme).header("DPOP", site.bound.prove(&lawful()));
    assert_eq!(site.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

pub async fn refresh_token() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let first = claims(&site, &answer, SERVICE).await;
    let token = answer["refresh_token"].as_str().unwrap();
    for _ in 0..2 {
        site.city.clock.advance(400 * SECOND);
        let fresh = site.refresh(token, &[]).await.json();
        assert_eq!(fresh["refresh_token"], token, "it stays as it is");
        assert_ne!(fresh["access_token"], answer["access_token"]);
        let again = claims(&site, &fresh, SERVICE).await;
        for name in ["iss", "sub", "aud", "auth_time", "sid"] {
            assert_eq!(again[name], first[name], "{name}");
        }
        assert!(again["iat"].as_i64() > first["iat"].as_i64() && again.get("nonce").is_none());
        assert_eq!(site.userinfo(fresh["access_token"].as_str().unwrap()).await.json()["sub"], first["sub"]);
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    refused(&site.oauth_as(OTHER, "/oidc/token", &form).await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
    let unauthenticated = site.oauth_proving("", "/oidc/token", &form, &[&site.proof("POST", "/oidc/token", None)]).await;
    refused(&unauthenticated, StatusCode::UNAUTHORIZED, &["invalid_client"]);
    let unproven = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[]).await;
    refused(&unproven, StatusCode::BAD_REQUEST, &["invalid_dpop_proof"]);
    let proof = Key::new("thief").prove(&site.proof_claims("POST", "/oidc/token"));
    let stolen = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[&proof]).await;
    refused(&stolen, StatusCode::BAD_REQUEST, &["invalid_grant", "invalid_dpop_proof"]);
    assert_eq!(site.refresh(token, &[]).await.status, StatusCode::OK, "failed tries do no harm");
}

async fn exchanged_with(verifier: &str) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let mut form = exchange_form(&code);
    form[3].1 = verifier;
    refused(&site.oauth("/oidc/token", &form).await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}

pub async fn without_verifier() {
    exchanged_with("").await;
}

pub async fn other_verifier() {
    exchanged_with("another-verifier-of-at-least-forty-three-chars").await;
}
