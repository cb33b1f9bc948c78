//! Signing keys of the provider: replaced in time, known before they sign and after.

use serde_json::Value;
use usufruct_core::time::{DAY, HOUR};

use crate::site::TestSite;

async fn published(site: &TestSite) -> Vec<String> {
    let keys = site.get("/oidc/jwks", "").await.json();
    let kids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
    kids.collect()
}

/// An ID token for a new resident, and the name of the key that signed it.
async fn id_token(site: &TestSite) -> (String, String) {
    let (_, cookie) = site.resident();
    let token = site.exchange(&site.code(&cookie, &[]).await).await.json()["id_token"].as_str().unwrap().to_owned();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token.split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    (token, header["kid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn keys_are_replaced_and_overlap() {
    let site = TestSite::new();
    let first = published(&site).await;
    assert_eq!(first.len(), 1);
    let (_, kid) = id_token(&site).await;
    assert_eq!(kid, first[0]);
    site.city.clock.advance(90 * DAY - 1);
    assert_eq!(published(&site).await, first);
    site.city.clock.advance(1);
    let both = published(&site).await;
    assert!(both.len() == 2 && both[0] == first[0], "the next key is public before it signs");
    let (old_token, kid) = id_token(&site).await;
    assert_eq!(kid, first[0], "a key must be known for a day before it signs");
    site.city.clock.advance(DAY);
    let (_, kid) = id_token(&site).await;
    assert_eq!(kid, both[1]);
    assert_eq!(published(&site).await, both, "the old key is public for a day after it last signed");
    site.city.clock.advance(DAY + HOUR);
    assert_eq!(published(&site).await, both[1..]);
    // A hint signed with a key that is public no more still tells which service asks.
    let (_, cookie) = site.resident();
    let page = site.get(&format!("/oidc/end-session?id_token_hint={old_token}"), &cookie).await;
    assert_eq!(page.status, 200);
    // Nothing is made twice, and a restart finds the same keys.
    let again = usufruct_web::Site::new(
        std::sync::Arc::clone(&site.city.app),
        usufruct_web::Settings { issuer: crate::site::ISSUER.into(), allows_oidc: true, demo: None },
    );
    let router = usufruct_web::router(std::sync::Arc::new(again.unwrap()));
    let request = axum::http::Request::get("/oidc/jwks").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let keys: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(keys["keys"][0]["kid"], both[1].as_str());
}
