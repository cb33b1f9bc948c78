//! How a service proves itself.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::checks::{RsaKey, refused};
use crate::common::{CARD, SERVICE};
use crate::site::{CALLBACK, ISSUER, OTHER, TestSite, exchange_form, publish_service};

pub async fn other_client_id() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let mut form = exchange_form(&code).to_vec();
    form.push(("client_id", OTHER));
    refused(&site.oauth("/oidc/token", &form).await, StatusCode::UNAUTHORIZED, &["invalid_client"]);
}

/// The assertion is refused at the token endpoint and where requests are pushed.
async fn refuses(site: &TestSite, assertion: impl Fn(&TestSite) -> String) {
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let answer = site.oauth_with(&assertion(site), "/oidc/token", &exchange_form(&code)).await;
    refused(&answer, StatusCode::UNAUTHORIZED, &["invalid_client"]);
    let ask = site.ask(&[]);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(ask.as_bytes()).into_owned().collect();
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = site.oauth_with(&assertion(site), "/oidc/par", &form).await;
    refused(&answer, StatusCode::UNAUTHORIZED, &["invalid_client"]);
}

async fn refuses_claim(name: &'static str, value: impl Fn(&TestSite) -> Value) {
    let site = TestSite::new();
    refuses(&site, |site| {
        let mut claims = site.claims(SERVICE);
        claims[name] = value(site);
        site.library.sign("ES256", &claims)
    })
    .await;
}

/// The same key is good by PS256.
pub async fn assertion_by_rs256() {
    let (site, key) = (TestSite::new(), RsaKey::new());
    let mut jwk = key.jwk();
    jwk["kid"] = json!("rsa");
    publish_service(&site.city, SERVICE, CALLBACK, &[site.library.jwk(), jwk], "fapi2", &[CARD]);
    let by = |alg: &str, site: &TestSite| key.sign(&json!({ "alg": alg, "kid": "rsa" }), &site.claims(SERVICE));
    assert_eq!(site.oauth_with(&by("PS256", &site), "/oidc/introspect", &[("token", "x")]).await.status, StatusCode::OK);
    refuses(&site, |site| by("RS256", site)).await;
}

pub async fn without_assertion() {
    refuses(&TestSite::new(), |_| String::new()).await;
}

pub async fn expired_assertion() {
    refuses_claim("exp", |site| json!(site.now() - 300)).await;
}

pub async fn foreign_audience() {
    refuses_claim("aud", |_| json!("https://elsewhere.example/")).await;
}

pub async fn assertion_without_sub() {
    let site = TestSite::new();
    refuses(&site, |site| {
        let mut claims = site.claims(SERVICE);
        claims.as_object_mut().unwrap().remove("sub");
        site.library.sign("ES256", &claims)
    })
    .await;
}

pub async fn invalid_assertions() {
    for (name, value) in [("sub", json!(OTHER)), ("iss", json!(OTHER)), ("jti", Value::Null), ("exp", Value::Null)] {
        refuses_claim(name, move |_| value.clone()).await;
    }
    let site = TestSite::new();
    for alg in ["none", "HS256", "ES384"] {
        refuses(&site, |site| site.library.sign(alg, &site.claims(SERVICE))).await;
    }
    refuses(&site, |site| site.second.sign("ES256", &site.claims(SERVICE))).await;
    assert_eq!(site.push(&[]).await.status, StatusCode::CREATED);
}

pub async fn assertion_ahead() {
    let site = TestSite::new();
    for name in ["iat", "nbf"] {
        let mut claims = site.claims(SERVICE);
        claims[name] = json!(site.now() + 8);
        let ask = site.ask(&[]);
        let form: Vec<(String, String)> = url::form_urlencoded::parse(ask.as_bytes()).into_owned().collect();
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = site.oauth_with(&site.library.sign("ES256", &claims), "/oidc/par", &form).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}: {}", answer.text());
    }
}

pub async fn assertion_far_ahead() {
    refuses_claim("nbf", |site| json!(site.now() + 70)).await;
    refuses_claim("iat", |site| json!(site.now() + 70)).await;
}

pub async fn audience_list() {
    refuses_claim("aud", |_| json!([ISSUER])).await;
    refuses_claim("aud", |_| json!([ISSUER, "https://elsewhere.example"])).await;
}

pub async fn audience_par() {
    refuses_claim("aud", |_| json!(format!("{ISSUER}/oidc/par"))).await;
}

pub async fn audience_token() {
    refuses_claim("aud", |_| json!(format!("{ISSUER}/oidc/token"))).await;
}
