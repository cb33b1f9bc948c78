//! What is too much from one network or one service at the provider: it is told so that programs understand, and nobody else is held up.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use serde_json::json;
use usufruct_core::time::SECOND;
use usufruct_web::{Limit, Limits};

use crate::common::{CARD, SERVICE};
use crate::site::{Answer, OTHER, TestSite};

/// Three at once, and one a second.
const THREE: Limit = Limit { per_second: 1, burst: 3 };

/// RFC 6749 5.2 knows no 429; the code is one that clients of OAuth read as "try again".
fn assert_is_told(answer: &Answer, of: &str) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{of}: {}", answer.text());
    assert_eq!(answer.oauth_error(), "temporarily_unavailable", "{of}");
    assert_eq!((answer.header("retry-after"), answer.header("cache-control")), ("1", "no-store"), "{of}");
    assert_eq!(answer.header("www-authenticate"), "", "{of}");
}

#[tokio::test]
async fn what_is_too_much_from_a_network_is_told_as_an_error_of_oauth() {
    let site = TestSite::new().with_limits(&Limits { services: THREE, ..Limits::default() });
    let call = async |method: &str, path: &str, from: &str| {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(from.parse().unwrap()));
        site.send(request).await
    };
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect"] {
        assert_eq!(call("POST", path, "203.0.113.7:4000").await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for (method, path) in [
        ("POST", "/oidc/token"),
        ("POST", "/oidc/par"),
        ("POST", "/oidc/introspect"),
        ("POST", "/oidc/revoke"),
        ("GET", "/oidc/userinfo"),
        ("DELETE", "/oidc/grants/grant"),
    ] {
        assert_is_told(&call(method, path, "203.0.113.8:4000").await, path);
    }
    assert_eq!(call("POST", "/oidc/token", "198.51.100.1:4000").await.status, StatusCode::BAD_REQUEST, "another network");
    site.city.clock.advance(3 * SECOND);
    let page = call("GET", "/oidc/authorize", "203.0.113.9:4000").await;
    assert_ne!(page.status, StatusCode::TOO_MANY_REQUESTS, "three seconds later");
    for _ in 0..3 {
        call("GET", "/oidc/authorize", "203.0.113.9:4000").await;
    }
    let page = call("GET", "/oidc/authorize", "203.0.113.9:4000").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::TOO_MANY_REQUESTS, "application/problem+json"));
}

#[tokio::test]
async fn one_service_does_not_take_the_provider_from_the_others() {
    let site = TestSite::new().with_limits(&Limits { service: THREE, ..Limits::default() });
    let own = [("grant_type", "client_credentials")];
    for path in ["/oidc/token", "/oidc/introspect", "/oidc/token"] {
        let form = if path == "/oidc/token" { own } else { [("token", "uft_unknown")] };
        assert_eq!(site.oauth(path, &form).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke"] {
        assert_is_told(&site.oauth(path, &own).await, path);
    }
    assert_eq!(site.oauth_as(OTHER, "/oidc/token", &own).await.status, StatusCode::OK, "another service");
    // Whoever only claims to be the service uses up nothing of its share.
    site.city.clock.advance(SECOND);
    for _ in 0..3 {
        let claimed = site.second.sign("ES256", &site.claims(SERVICE));
        assert_eq!(site.oauth_with(&claimed, "/oidc/token", &own).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(site.oauth("/oidc/token", &own).await.status, StatusCode::OK);
    assert_is_told(&site.oauth("/oidc/token", &own).await, "anew");
}

#[tokio::test]
async fn a_service_asks_by_its_tokens_so_often_and_no_more() {
    let site = TestSite::new().with_limits(&Limits { call: THREE, ..Limits::default() });
    let (_, cookie) = site.resident();
    let (token, subject) = site.tokens(&cookie, &[]).await;
    let query = site.own_token(SERVICE, "grant_management_query").await;
    let theirs = site.other_token_answer(&cookie).await;
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    assert_eq!(site.grant("GET", "unknown", &query).await.status, StatusCode::NOT_FOUND);
    let release = json!({
        "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending"
    });
    let answer = site.api("/api/releases", &token, &release).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_is_told(&site.userinfo(&token).await, "userinfo");
    assert_is_told(&site.grant("GET", "unknown", &query).await, "a query");
    assert_is_told(&site.grant("DELETE", "unknown", &query).await, "the end of a grant");
    let answer = site.api("/api/releases", &token, &release).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(answer.json()["type"], "urn:usufruct:problem:too-many");
    let other = theirs["access_token"].as_str().unwrap();
    assert_eq!(site.userinfo(other).await.status, StatusCode::OK, "another service");
}
