//! Signing out from a service's page.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use serde_json::Value;

use crate::common::SERVICE;
use crate::site::{Answer, OTHER, TestSite, encode};

const AFTER: &str = "http://localhost:8081/";

async fn id_token(site: &TestSite, cookie: &str) -> String {
    site.exchange(&site.code(cookie, &[]).await).await.json()["id_token"].as_str().unwrap().to_owned()
}

async fn ask(site: &TestSite, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    site.get(&format!("/oidc/end-session?{}", encode(fields)), cookie).await
}

async fn confirm(site: &TestSite, cookie: &str, page: &Answer) -> Answer {
    let hidden = page.hidden();
    let form: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    site.post("/oidc/end-session/confirm", cookie, &form).await
}

#[tokio::test]
async fn a_lawful_request_asks_and_leads_back_with_the_state() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let hint = id_token(&site, &cookie).await;
    // Hints may be old: the session outlives the ID token.
    site.city.clock.advance(10 * usufruct_core::time::MINUTE);
    let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER), ("state", "a b&c")];
    let page = ask(&site, &cookie, &fields).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' http://localhost:8081;"), "browsers block the way back otherwise: {policy}");
    let answer = confirm(&site, &cookie, &page).await;
    assert_eq!(answer.header(LOCATION), "http://localhost:8081/?state=a+b%26c");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(site.authorize(&cookie, &[("prompt", "none")]).await.led_error(), "login_required");
    // Somebody who is signed out already is led back at once.
    assert_eq!(ask(&site, "", &fields).await.header(LOCATION), "http://localhost:8081/?state=a+b%26c");

    let (_, cookie) = site.resident();
    let fields = [
        ("id_token_hint", hint.as_str()),
        ("client_id", SERVICE),
        ("post_logout_redirect_uri", "http://localhost:8081/out?kept=1"),
        ("state", "s"),
    ];
    let page = ask(&site, &cookie, &fields).await;
    assert_eq!(confirm(&site, &cookie, &page).await.header(LOCATION), "http://localhost:8081/out?kept=1&state=s");
}

#[tokio::test]
async fn anything_else_asks_and_leads_nowhere_foreign() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let hint = id_token(&site, &cookie).await;
    let claims: Value = crate::site::claims_of(&hint);
    let (unsigned, foreign) = (site.library.sign("none", &claims), site.library.sign("ES256", &claims));
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("state", "s")],
        &[("post_logout_redirect_uri", AFTER)],
        &[("client_id", SERVICE), ("post_logout_redirect_uri", AFTER)],
        &[("id_token_hint", &hint), ("post_logout_redirect_uri", "http://localhost:8081/?x=1")],
        &[("id_token_hint", &hint), ("client_id", OTHER), ("post_logout_redirect_uri", AFTER)],
        &[("id_token_hint", &unsigned), ("post_logout_redirect_uri", AFTER)],
        &[("id_token_hint", &foreign), ("post_logout_redirect_uri", AFTER)],
    ];
    for fields in cases {
        let page = ask(&site, &cookie, fields).await;
        assert_eq!(page.status, StatusCode::OK, "{fields:?}");
        assert!(!page.header("content-security-policy").contains("localhost:8081"), "{fields:?}");
        let fresh = site.sign_in(site.city.enrol(1)[0]);
        let page = ask(&site, &fresh, fields).await;
        assert_eq!(confirm(&site, &fresh, &page).await.header(LOCATION), "/", "{fields:?}");
        assert_eq!(ask(&site, "", fields).await.status, StatusCode::OK, "{fields:?}");
    }
    // The address on the form cannot be altered.
    let page = ask(&site, &cookie, &[("id_token_hint", &hint), ("post_logout_redirect_uri", AFTER)]).await;
    let mut hidden = page.hidden();
    hidden.iter_mut().filter(|(name, _)| name == "next").for_each(|(_, value)| "https://evil.example/".clone_into(value));
    let form: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(site.post("/oidc/end-session/confirm", &cookie, &form).await.header(LOCATION), "/");
}
