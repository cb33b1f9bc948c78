//! Services without a key: programs in browsers, which sign residents in and nothing more.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use axum::http::{Request, StatusCode};
use futures_util::stream;
use serde_json::json;
use usufruct_web::{Limit, Limits};

use crate::common::{CARD, LIBRARY, SERVICE};
use crate::site::{Answer, LOGIN, TestSite, VERIFIER, claims_of, encode, publish_body};

const PAGE: &str = "svc_page";
const PAGE_CALLBACK: &str = "http://localhost:8084/app/back";
const PAGE_ORIGIN: &str = "http://localhost:8084";

fn site() -> TestSite {
    let site = TestSite::new();
    let text = |en: &str| json!({ "en": en, "zh-Hant": format!("{en}（中文）") });
    let body = json!({
        "agency": LIBRARY, "name": text("Page"), "sector": "page", "redirect_uris": [PAGE_CALLBACK], "channels": ["web"],
        "alternatives": [text("Ask at the counter.")], "help": text("Shows a page."), "profile": "oidc", "auth": "none",
        "post_logout_redirect_uris": ["http://localhost:8084/"],
    });
    publish_body(&site.city, PAGE, body);
    site
}

/// The page's request for a code, with `changes`.
async fn ask(site: &TestSite, cookie: &str, changes: &[(&str, &str)]) -> Answer {
    let mut all = changes.to_vec();
    let own = [("client_id", PAGE), ("redirect_uri", PAGE_CALLBACK), ("scope", "openid")];
    all.extend(own.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name)));
    site.get(&format!("/oidc/authorize?{}", site.ask(&all)), cookie).await
}

fn exchange_form<'a>(code: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", PAGE_CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", PAGE),
    ];
    let kept = own.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

/// Posts a form from a page of this origin; an empty one is no page.
async fn post(site: &TestSite, path: &str, origin: &str, form: &[(&str, &str)]) -> Answer {
    let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if !origin.is_empty() {
        request = request.header(ORIGIN, origin);
    }
    site.send(request.body(encode(form).into()).unwrap()).await
}

fn refused(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!((answer.status, answer.oauth_error().as_str()), (status, code), "{}", answer.text());
}

#[tokio::test]
async fn a_page_signs_her_in_with_its_challenge_alone_and_learns_a_pseudonym() {
    let site = site();
    let (_, cookie) = site.resident();
    let code = ask(&site, &cookie, &[]).await.led("code").unwrap();
    let answer = post(&site, "/oidc/token", PAGE_ORIGIN, &exchange_form(&code, &[])).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), PAGE_ORIGIN);
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("openid")));
    for member in ["refresh_token", "grant_id", "authorization_details"] {
        assert!(body.get(member).is_none(), "{member}");
    }
    let id_token = body["id_token"].as_str().unwrap();
    assert_eq!(jsonwebtoken::decode_header(id_token).unwrap().alg, jsonwebtoken::Algorithm::RS256);
    let claims = claims_of(id_token);
    assert_eq!(claims["aud"], PAGE);
    let token = body["access_token"].as_str().unwrap();
    let request = Request::get("/oidc/userinfo").header(AUTHORIZATION, format!("Bearer {token}")).header(ORIGIN, PAGE_ORIGIN);
    let info = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(info.header("access-control-allow-origin"), PAGE_ORIGIN);
    assert_eq!(info.json(), json!({ "sub": claims["sub"] }));
    // It may end its own token, and nobody else's.
    let (_, other) = site.resident();
    let theirs = site.plain_token_answer(&other, &[]).await["access_token"].as_str().unwrap().to_owned();
    for (token, status) in [(theirs.as_str(), StatusCode::OK), (token, StatusCode::UNAUTHORIZED)] {
        let ended = post(&site, "/oidc/revoke", PAGE_ORIGIN, &[("token", token), ("client_id", PAGE)]).await;
        assert_eq!(ended.status, StatusCode::OK);
        assert_eq!(site.userinfo_with(&format!("Bearer {token}"), &[]).await.status, status);
    }
}

#[tokio::test]
async fn the_challenge_is_what_binds_a_code_to_the_page() {
    let site = site();
    let (_, cookie) = site.resident();
    let bare = ask(&site, &cookie, &[("code_challenge", ""), ("code_challenge_method", "")]).await;
    assert_eq!(bare.led_error(), "invalid_request");
    assert_eq!(ask(&site, &cookie, &[("code_challenge_method", "plain")]).await.led_error(), "invalid_request");
    let wrong = "another-verifier-of-at-least-forty-three-characters";
    for change in [("code_verifier", ""), ("code_verifier", wrong), ("redirect_uri", "http://localhost:8084/app/other")] {
        let code = ask(&site, &cookie, &[]).await.led("code").unwrap();
        refused(
            &post(&site, "/oidc/token", PAGE_ORIGIN, &exchange_form(&code, &[change])).await,
            StatusCode::BAD_REQUEST,
            "invalid_grant",
        );
    }
    for elsewhere in ["http://localhost:8084/app/back/", "http://localhost:8084/app/back?a=1", "http://localhost:8085/app/back"] {
        let answer = ask(&site, &cookie, &[("redirect_uri", elsewhere)]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""), "{elsewhere}");
    }
    // A code of a service with a key is not to be had by its name alone.
    let code = site.code(&cookie, &[]).await;
    for client in [SERVICE, LOGIN, "svc_nobody"] {
        let form = exchange_form(&code, &[("client_id", client), ("redirect_uri", crate::site::CALLBACK)]);
        refused(&post(&site, "/oidc/token", "", &form).await, StatusCode::UNAUTHORIZED, "invalid_client");
    }
}

#[tokio::test]
async fn a_page_gets_no_data_and_no_token_of_its_own() {
    let site = site();
    let (_, cookie) = site.resident();
    assert_eq!(ask(&site, &cookie, &[("scope", &format!("openid {CARD}"))]).await.led_error(), "invalid_scope");
    let own = post(&site, "/oidc/token", PAGE_ORIGIN, &[("grant_type", "client_credentials"), ("client_id", PAGE)]).await;
    refused(&own, StatusCode::BAD_REQUEST, "unauthorized_client");
    for (path, form) in [("/oidc/introspect", vec![("token", "uft_x")]), ("/oidc/par", vec![("response_type", "code")])] {
        let form = [form, vec![("client_id", PAGE)]].concat();
        refused(&post(&site, path, PAGE_ORIGIN, &form).await, StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let code = ask(&site, &cookie, &[]).await.led("code").unwrap();
    let answer = post(&site, "/oidc/token", PAGE_ORIGIN, &exchange_form(&code, &[])).await.json();
    let token = answer["access_token"].as_str().unwrap();
    let body = json!({ "subject": claims_of(answer["id_token"].as_str().unwrap())["sub"], "mandate": CARD,
        "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "new-card" });
    let request = Request::post("/api/releases").header(AUTHORIZATION, format!("Bearer {token}"));
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap();
    assert_eq!(site.send(request).await.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.to_string().contains("refresh"));
}

#[tokio::test]
async fn only_pages_of_registered_origins_may_call() {
    let site = site();
    let (_, cookie) = site.resident();
    let preflight = async |origin: &str, path: &str| {
        let request = Request::options(path).header(ORIGIN, origin).header("access-control-request-method", "POST");
        site.send(request.body(Body::empty()).unwrap()).await
    };
    for path in ["/oidc/token", "/oidc/userinfo", "/oidc/revoke"] {
        let own = preflight(PAGE_ORIGIN, path).await;
        assert_eq!((own.status, own.header("access-control-allow-origin")), (StatusCode::NO_CONTENT, PAGE_ORIGIN), "{path}");
        assert!(own.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(own.header("access-control-allow-credentials"), "", "no cookie goes with it");
        // The library has a key and is no page; the others are strangers.
        for origin in ["http://localhost:8081", "https://localhost:8084", "http://localhost:8084.evil.example", "null", "*"] {
            let answer = preflight(origin, path).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path} {origin}");
            assert!(answer.header("vary").contains("origin"));
        }
    }
    for path in ["/oidc/par", "/oidc/introspect", "/oidc/authorize", "/api/releases", "/oidc/end-session"] {
        assert_eq!(preflight(PAGE_ORIGIN, path).await.header("access-control-allow-origin"), "", "{path}");
    }
    let code = ask(&site, &cookie, &[]).await.led("code").unwrap();
    let stolen = post(&site, "/oidc/token", "https://evil.example", &exchange_form(&code, &[])).await;
    refused(&stolen, StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(stolen.header("access-control-allow-origin"), "");
    let answer = post(&site, "/oidc/token", "", &exchange_form(&code, &[])).await;
    assert_eq!(answer.status, StatusCode::OK, "a call from no page is not held up: {}", answer.text());
    for path in ["/.well-known/openid-configuration", "/oidc/jwks"] {
        assert_eq!(site.get(path, "").await.header("access-control-allow-origin"), "*", "{path} is for everybody");
    }
}

#[tokio::test]
async fn a_page_reads_that_it_asks_too_often_and_when_to_come_back() {
    let site = site().with_limits(&Limits { services: Limit { per_second: 1, burst: 1 }, ..Limits::default() });
    for (n, (path, method)) in
        [("/oidc/token", "POST"), ("/oidc/userinfo", "GET"), ("/oidc/revoke", "POST")].into_iter().enumerate()
    {
        let send = async |method: &str, origin: &str| {
            let mut request = Request::builder().method(method).uri(path).header(ORIGIN, origin).body(Body::empty()).unwrap();
            let peer = SocketAddr::from(([203, 0, n as u8, 7], 4000));
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            site.send(request).await
        };
        let call = async |origin: &str| {
            let preflight = send("OPTIONS", origin).await;
            assert_eq!(
                preflight.status,
                StatusCode::NO_CONTENT,
                "a browser makes its call only after a preflight that went well: {path}"
            );
            send(method, origin).await
        };
        assert_ne!(call(PAGE_ORIGIN).await.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        let answer = call(PAGE_ORIGIN).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), PAGE_ORIGIN, "{path}");
        assert!(answer.header("access-control-expose-headers").contains("retry-after"), "{path}");
        assert_eq!(call("https://evil.example").await.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn a_page_reads_that_its_request_came_too_slowly() {
    let site = site();
    let silent = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = Request::post("/oidc/token").header(ORIGIN, PAGE_ORIGIN);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from_stream(silent)).unwrap();
    let answer = site.send(request).await;
    refused(&answer, StatusCode::REQUEST_TIMEOUT, "invalid_request");
    assert_eq!(answer.header("access-control-allow-origin"), PAGE_ORIGIN);
}

#[tokio::test]
async fn an_operator_who_serves_fapi2_alone_serves_no_pages() {
    let site = site().without_oidc();
    let (_, cookie) = site.resident();
    let answer = ask(&site, &cookie, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""));
    let form = exchange_form("code", &[]);
    let token = post(&site, "/oidc/token", PAGE_ORIGIN, &form).await;
    refused(&token, StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(token.header("access-control-allow-origin"), "");
    let metadata = site.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256", "EdDSA", "PS256"]));
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
}
