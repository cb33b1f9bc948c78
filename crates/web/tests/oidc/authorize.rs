//! The authorization endpoint.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{Request, StatusCode};
use usufruct_app::store::residents::ResidentState;
use usufruct_core::time::{MINUTE, SECOND};

use crate::site::{Answer, CALLBACK, OTHER, OTHER_CALLBACK, TestSite, claims_of, encode};

fn leads_nowhere(answer: &Answer, why: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{why}");
    assert_eq!(answer.header(LOCATION), "", "{why}");
    assert!(answer.header(CONTENT_TYPE).starts_with("text/html"), "{why}");
}

/// Whether the answer leads to the page for signing in, and from there back to this request.
fn back_from_sign_in(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert!(answer.header(LOCATION).starts_with("/sign-in?next="), "{}", answer.header(LOCATION));
    answer.led("next").unwrap()
}

#[tokio::test]
async fn an_unregistered_address_gets_nothing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let strangers = [
        "",
        "https://evil.example/callback",
        "http://localhost:8081/callback?x=1",
        "http://localhost:8081/callback#x",
        "http://localhost:8081/callback/",
        "http://localhost:8081/Callback",
        "http://localhost:8081/callback%20",
        OTHER_CALLBACK,
        "http://localhost:8081/callback\u{0}",
        "HTTP://localhost:8081/callback",
        "http://user@localhost:8081/callback",
    ];
    for redirect_uri in strangers {
        leads_nowhere(&site.authorize(&cookie, &[("redirect_uri", redirect_uri)]).await, redirect_uri);
    }
    for client in ["", "svc_nobody", "nonsense", "agc_library"] {
        leads_nowhere(&site.authorize(&cookie, &[("client_id", client)]).await, client);
    }
    let twice = format!("/oidc/authorize?{}&state=again", site.ask(&[]));
    leads_nowhere(&site.get(&twice, &cookie).await, "a parameter twice");
    let crowd = format!("/oidc/authorize?{}{}", site.ask(&[]), "&x".repeat(65));
    leads_nowhere(&site.get(&crowd, &cookie).await, "too many parameters");
}

#[tokio::test]
async fn errors_lead_back_with_state_and_issuer() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("invalid_request", &[("code_challenge", "")]),
        ("invalid_request", &[("code_challenge_method", "")]),
        ("invalid_request", &[("code_challenge_method", "plain")]),
        ("invalid_request", &[("code_challenge", "short")]),
        ("invalid_request", &[("response_mode", "fragment")]),
        ("invalid_request", &[("prompt", "none login")]),
        ("invalid_request", &[("max_age", "soon")]),
        ("invalid_request", &[("max_age", "-1")]),
        ("invalid_scope", &[("scope", "profile")]),
        ("invalid_scope", &[("scope", "")]),
        ("invalid_scope", &[("scope", "openid mdt_nothing")]),
        ("invalid_scope", &[("scope", "openid mdt_BAD name")]),
        ("request_not_supported", &[("request", "a.b.c")]),
        ("request_uri_not_supported", &[("request_uri", "urn:x")]),
        ("unsupported_response_type", &[("response_type", "token")]),
        ("unsupported_response_type", &[("response_type", "code id_token")]),
        ("consent_required", &[("prompt", "none")]),
    ];
    for (error, changes) in cases {
        let answer = site.authorize(&cookie, changes).await;
        assert_eq!(answer.led_error(), *error, "{changes:?}");
        assert_eq!(answer.led("state").as_deref(), Some("s1"));
        assert_eq!(answer.led("code"), None);
    }
    let foreign = [("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK), ("scope", "openid mdt_short")];
    let answer = site.authorize(&cookie, &foreign).await;
    assert_eq!(answer.led_error(), "invalid_scope", "a mandate of another service");
    assert!(answer.header(LOCATION).starts_with(&format!("{OTHER_CALLBACK}&error=")), "{}", answer.header(LOCATION));
    assert_eq!(site.authorize("", &[("prompt", "none")]).await.led_error(), "login_required");
    site.city.app.set_active(resident, ResidentState::Deactivated).unwrap();
    assert_eq!(site.authorize(&cookie, &[]).await.led_error(), "access_denied");
}

#[tokio::test]
async fn long_state_and_nonce_come_back_unchanged() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let state: String = "aB0-._~+/=&%?#;,:@!$'()* ".chars().cycle().take(2_000).collect();
    let nonce: String = "n/+=&".chars().cycle().take(500).collect();
    let asked = [("state", state.as_str()), ("nonce", nonce.as_str())];

    // On the way over the page for signing in nothing is lost either.
    let back = back_from_sign_in(&site.authorize("", &asked).await);
    let page = site.get(&format!("/sign-in?{}", encode(&[("next", &back)])), "").await;
    assert!(page.text().contains("data-next=\"/oidc/authorize?"), "sign-in leads back to a long request");
    site.city.clock.advance(SECOND);
    let cookie_of_return = site.sign_in(resident);
    let page = site.get(&back, &cookie_of_return).await;
    let answer = site.decide(&cookie_of_return, &page, &[("decision", "agree")]).await;
    assert_eq!(answer.led("state").as_deref(), Some(state.as_str()));

    let answer = site.authorize(&cookie, &asked).await;
    assert_eq!(answer.led("state").as_deref(), Some(state.as_str()));
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    assert_eq!(claims_of(tokens["id_token"].as_str().unwrap())["nonce"], nonce.as_str());

    let error = site.authorize(&cookie, &[("state", state.as_str()), ("scope", "profile")]).await;
    assert_eq!(error.led("state").as_deref(), Some(state.as_str()));
    let longer = "s".repeat(5_000);
    assert_eq!(site.authorize(&cookie, &[("state", &longer)]).await.led_error(), "invalid_request");
    assert_eq!(site.authorize(&cookie, &[("nonce", &longer)]).await.led_error(), "invalid_request");
}

#[tokio::test]
async fn what_was_not_sent_does_not_come_back() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    assert!(code.len() >= 43);
    let answer = site.authorize(&cookie, &[("state", ""), ("nonce", "")]).await;
    assert_eq!(answer.led("state"), None);
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    assert!(claims_of(tokens["id_token"].as_str().unwrap()).get("nonce").is_none());
}

#[tokio::test]
async fn unknown_parameters_and_hints_are_ignored() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let hints = [
        ("display", "touch"),
        ("ui_locales", "xx zh-Hant"),
        ("claims_locales", "se"),
        ("login_hint", "me"),
        ("acr_values", "1 2"),
        ("extra", "x"),
    ];
    assert!(site.authorize(&cookie, &hints).await.led("code").is_some());
    let order = [("scope", "mdt_library-card address openid")];
    assert!(site.authorize(&cookie, &order).await.led("code").is_some());
}

#[tokio::test]
async fn prompt_none_answers_in_silence() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    site.city.clock.advance(2 * SECOND);
    let answer = site.authorize(&cookie, &[("prompt", "none")]).await;
    assert!(answer.led("code").is_some(), "{}", answer.header(LOCATION));
    assert_eq!(site.authorize(&cookie, &[("prompt", "none"), ("max_age", "1")]).await.led_error(), "login_required");
}

#[tokio::test]
async fn prompt_login_and_max_age_ask_for_a_new_sign_in() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let opened = site.now();
    for changes in [("prompt", "login"), ("max_age", "1"), ("max_age", "0")] {
        site.city.clock.advance(2 * SECOND);
        let back = back_from_sign_in(&site.authorize(&cookie, &[changes]).await);
        back_from_sign_in(&site.get(&back, &cookie).await);
        site.city.clock.advance(SECOND);
        let fresh = site.sign_in(resident);
        let signed_in = site.now();
        // A slow network after the ceremony does not ask again.
        site.city.clock.advance(20 * SECOND);
        let answer = site.get(&back, &fresh).await;
        let code = answer.led("code").unwrap_or_else(|| panic!("{changes:?}: {}", answer.header(LOCATION)));
        let tokens = site.exchange(&code).await.json();
        assert_eq!(claims_of(tokens["id_token"].as_str().unwrap())["auth_time"], signed_in);
        // The way back does not work for ever.
        site.city.clock.advance(20 * MINUTE);
        back_from_sign_in(&site.get(&back, &fresh).await);
        assert!(signed_in > opened);
    }
    let long = [("max_age", "100000")];
    assert!(site.authorize(&site.sign_in(resident), &long).await.led("code").is_some());
}

#[tokio::test]
async fn a_service_cannot_make_up_that_she_has_just_signed_in() {
    let site = TestSite::new();
    let real = back_from_sign_in(&site.authorize("", &[]).await);
    let query = real.split_once('?').unwrap().1;
    let sealed = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "usufruct_since").unwrap().1.into_owned();
    let (since, mark) = sealed.split_once('.').unwrap();
    site.city.clock.advance(SECOND);
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    // Every time here lies before her sign-in and is recent, so that only the mark can tell.
    let earlier = site.city.app.now().plus(-SECOND).micros();
    for forged in
        [earlier.to_string(), format!("{earlier}."), format!("{since}.AAAA"), format!("{}.{mark}", earlier + 1), sealed.clone()]
    {
        back_from_sign_in(&site.authorize(&cookie, &[("prompt", "login"), ("usufruct_since", &forged)]).await);
    }
}

#[tokio::test]
async fn a_posted_request_is_answered_alike() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let post = |cookie: String, body: String| {
        let request = Request::post("/oidc/authorize")
            .header(ACCEPT, "text/html")
            .header(COOKIE, cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(body.into()).unwrap())
    };
    let answer = post(cookie.clone(), site.ask(&[])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.led("code").is_some(), "{}", answer.header(LOCATION));
    // Browsers keep the cookie back when another site posts, so the request goes once more from here.
    let answer = post(String::new(), site.ask(&[])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(LOCATION).starts_with("/oidc/authorize?"), "{}", answer.header(LOCATION));
    let target = answer.header(LOCATION).to_owned();
    assert!(site.get(&target, &cookie).await.led("code").is_some());
    leads_nowhere(&post(String::new(), site.ask(&[("redirect_uri", "https://evil.example/")])).await, "posted");
    let huge = post(cookie.clone(), format!("{}&x={}", site.ask(&[]), "x".repeat(100_000))).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(huge.header(CONTENT_TYPE).starts_with("text/html"));
    for method in ["PUT", "DELETE"] {
        let request = Request::builder().method(method).uri(format!("/oidc/authorize?{}", site.ask(&[])));
        assert_eq!(site.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(CALLBACK.starts_with("http://localhost"));
}
