//! Signing keys of the provider: replaced in time, known before they sign and after.

use serde_json::Value;
use usufruct_core::time::{DAY, HOUR};

use crate::common::{CARD, SERVICE};
use crate::site::{CALLBACK, TestSite, publish_body, service_body};

async fn published(site: &TestSite, algorithm: &str) -> Vec<String> {
    let keys = site.get("/oidc/jwks", "").await.json();
    let of = keys["keys"].as_array().unwrap().iter().filter(|key| key["alg"] == algorithm);
    of.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// An ID token for a new resident, by the algorithm of its profile, and the name of the key that signed it.
async fn id_token(site: &TestSite, algorithm: &str) -> (String, String) {
    let (_, cookie) = site.resident();
    let answer = match algorithm {
        "RS256" => site.plain_token_answer(&cookie, &[]).await,
        _ => site.token_answer(&cookie, &[]).await,
    };
    let token = answer["id_token"].as_str().unwrap().to_owned();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token.split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    assert_eq!(header["alg"], algorithm);
    (token, header["kid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn keys_are_replaced_and_overlap() {
    for algorithm in ["ES256", "RS256", "EdDSA", "PS256"] {
        overlap(algorithm).await;
    }
}

async fn overlap(algorithm: &str) {
    let site = TestSite::new();
    if matches!(algorithm, "EdDSA" | "PS256") {
        assert!(published(&site, algorithm).await.is_empty(), "none where nobody asked for it");
        let mut body = service_body(SERVICE, CALLBACK, &[site.library.jwk()], "fapi2", &[CARD]);
        body["id_token_signed_response_alg"] = serde_json::json!(algorithm);
        publish_body(&site.city, SERVICE, body);
    }
    let first = published(&site, algorithm).await;
    assert_eq!(first.len(), 1);
    let (_, kid) = id_token(&site, algorithm).await;
    assert_eq!(kid, first[0]);
    site.city.clock.advance(90 * DAY - 1);
    assert_eq!(published(&site, algorithm).await, first);
    site.city.clock.advance(1);
    let both = published(&site, algorithm).await;
    assert!(both.len() == 2 && both[0] == first[0], "the next key is public before it signs");
    let (old_token, kid) = id_token(&site, algorithm).await;
    assert_eq!(kid, first[0], "a key must be known for a day before it signs");
    site.city.clock.advance(DAY);
    let (_, kid) = id_token(&site, algorithm).await;
    assert_eq!(kid, both[1]);
    assert_eq!(published(&site, algorithm).await, both, "the old key is public for a day after it last signed");
    site.city.clock.advance(DAY + HOUR);
    assert_eq!(published(&site, algorithm).await, both[1..]);
    // A hint signed with a key that is public no more still tells which service asks.
    let back = if algorithm == "RS256" { "http://localhost:8083/" } else { "http://localhost:8081/" };
    let led = site.get(&format!("/oidc/end-session?id_token_hint={old_token}&post_logout_redirect_uri={back}"), "").await;
    assert_eq!(led.header("location"), back);
    // Nothing is made twice, and a restart finds the same keys.
    let jwks = site.get("/oidc/jwks", "").await.json();
    assert_eq!(jwks_after_restart(&site, true).await, jwks);
}

/// The key set of the same pass after its server was started again.
async fn jwks_after_restart(site: &TestSite, allows_oidc: bool) -> Value {
    let again = usufruct_web::Site::new(
        std::sync::Arc::clone(&site.city.app),
        usufruct_web::Settings { issuer: crate::site::ISSUER.into(), allows_oidc, demo: None },
    );
    let router = usufruct_web::router(std::sync::Arc::new(again.unwrap()));
    let request = axum::http::Request::get("/oidc/jwks").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_pass_from_before_there_were_rsa_keys_gets_one_at_its_next_start() {
    let site = TestSite::new();
    let before = site.get("/oidc/jwks", "").await.json();
    let house = site.city.app.house();
    for name in house.secrets("rs256-").unwrap() {
        house.forget_secret(&name).unwrap();
    }
    let strict = jwks_after_restart(&site, false).await;
    assert!(strict["keys"].as_array().unwrap().iter().all(|key| key["alg"] == "ES256"), "none where nobody needs it");
    assert!(house.secrets("rs256-").unwrap().is_empty());
    let after = jwks_after_restart(&site, true).await;
    assert_eq!(after["keys"][0], before["keys"][0], "the keys there were stay");
    assert_eq!(after["keys"].as_array().unwrap().len(), 2);
    assert_ne!(after["keys"][1], before["keys"][1]);
    assert_eq!(after["keys"][1]["alg"], "RS256");
}
