//! The authorization endpoint.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{Request, StatusCode};
use serde_json::json;
use usufruct_app::store::residents::ResidentState;
use usufruct_core::time::{MINUTE, SECOND};

use crate::common::SERVICE;
use crate::site::{
    Answer, CALLBACK, Key, LOGIN, LOGIN_CALLBACK, OTHER, OTHER_CALLBACK, TestSite, claims_of, encode, plain_exchange_form,
};

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
    for (callback, plain) in [(CALLBACK, false), (LOGIN_CALLBACK, true)] {
        let strangers = [
            String::new(),
            "https://evil.example/callback".to_owned(),
            format!("{callback}?x=1"),
            format!("{callback}#x"),
            format!("{callback}/"),
            callback.replace("//localhost:808", "//localhost:8081@localhost:808"),
            format!("{callback}%20"),
            OTHER_CALLBACK.to_owned(),
            format!("{callback}\u{0}"),
            callback.replace("http", "HTTP"),
            callback.replace("//", "//user@"),
        ];
        for redirect_uri in &strangers {
            let changes = [("redirect_uri", redirect_uri.as_str())];
            if plain {
                leads_nowhere(&site.plain(&cookie, &changes).await, redirect_uri);
            } else {
                assert_eq!(site.push_error(&changes).await, "invalid_request", "{redirect_uri}");
                leads_nowhere(&site.get(&format!("/oidc/authorize?{}", site.ask(&changes)), &cookie).await, redirect_uri);
            }
        }
    }
    for client in ["", "svc_nobody", "nonsense", "agc_library"] {
        leads_nowhere(&site.plain(&cookie, &[("client_id", client)]).await, client);
    }
    let twice = format!("/oidc/authorize?{}&state=again", site.ask_plainly(&[]));
    leads_nowhere(&site.get(&twice, &cookie).await, "a parameter twice");
    let crowd = format!("/oidc/authorize?{}{}", site.ask_plainly(&[]), "&x=1".repeat(65));
    leads_nowhere(&site.get(&crowd, &cookie).await, "too many parameters");
    let pushed = site.pushed(&[]).await;
    leads_nowhere(&site.get(&format!("{pushed}&client_id={SERVICE}"), &cookie).await, "the service twice");
}

/// What is wrong with a request alone, whoever opens it.
const WRONG: [(&str, &[(&str, &str)]); 14] = [
    ("invalid_request", &[("code_challenge", ""), ("code_challenge_method", "S256")]),
    ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "")]),
    ("invalid_request", &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "plain")]),
    ("invalid_request", &[("code_challenge", "short"), ("code_challenge_method", "S256")]),
    ("invalid_request", &[("response_mode", "fragment")]),
    ("invalid_request", &[("grant_management_action", "burn")]),
    ("invalid_scope", &[("scope", "profile")]),
    ("invalid_scope", &[("scope", "")]),
    ("invalid_scope", &[("scope", "openid mdt_nothing")]),
    ("invalid_scope", &[("scope", "openid mdt_BAD name")]),
    ("invalid_authorization_details", &[("authorization_details", "[]")]),
    ("request_not_supported", &[("request", "a.b.c")]),
    ("unsupported_response_type", &[("response_type", "token")]),
    ("unsupported_response_type", &[("response_type", "code id_token")]),
];

#[tokio::test]
async fn a_wrong_request_cannot_be_pushed() {
    let site = TestSite::new();
    for (error, changes) in WRONG {
        assert_eq!(site.push_error(changes).await, error, "{changes:?}");
    }
    assert_eq!(site.push_error(&[("request_uri", "urn:x")]).await, "invalid_request");
    assert_eq!(site.push_error(&[("code_challenge", ""), ("code_challenge_method", "")]).await, "invalid_request");
    assert_eq!(site.push_error(&[("response_type", "")]).await, "unsupported_response_type");
    let foreign = [("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK), ("scope", "openid mdt_short")];
    assert_eq!(site.push_error(&foreign).await, "invalid_scope", "a mandate of another service");
}

#[tokio::test]
async fn errors_lead_back_with_state_and_issuer() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    for (error, changes) in WRONG {
        let answer = site.plain(&cookie, changes).await;
        assert_eq!(answer.led_error(), error, "{changes:?}");
        assert_eq!(answer.led("state").as_deref(), Some("s1"));
        assert_eq!(answer.led("code"), None);
    }
    let of_the_browser: [(&str, (&str, &str)); 4] = [
        ("invalid_request", ("prompt", "none login")),
        ("invalid_request", ("max_age", "soon")),
        ("invalid_request", ("max_age", "-1")),
        ("consent_required", ("prompt", "none")),
    ];
    for (error, change) in of_the_browser {
        let answer = site.authorize(&cookie, &[change]).await;
        assert_eq!(answer.led_error(), error, "{change:?}");
        assert_eq!((answer.led("state").as_deref(), answer.led("code")), (Some("s1"), None));
    }
    let answer = site.get(&format!("/oidc/authorize?{}", site.ask(&[])), &cookie).await;
    assert_eq!(answer.led_error(), "invalid_request", "a service of the profile fapi2 has to push");
    let query = [("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK), ("prompt", "none login")];
    let answer = site.authorize(&cookie, &query).await;
    assert!(answer.header(LOCATION).starts_with(&format!("{OTHER_CALLBACK}&error=")), "{}", answer.header(LOCATION));
    assert_eq!(site.authorize("", &[("prompt", "none")]).await.led_error(), "login_required");
    site.city.app.set_active(resident, ResidentState::Deactivated).unwrap();
    assert_eq!(site.authorize(&cookie, &[]).await.led_error(), "access_denied");
}

#[tokio::test]
async fn what_stands_beside_a_pushed_request_counts_for_nothing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let beside = [("state", "other"), ("nonce", "other"), ("redirect_uri", "https://evil.example/"), ("prompt", "none login")];
    let answer = site.get(&format!("{}&{}", site.pushed(&[]).await, encode(&beside)), &cookie).await;
    assert!(answer.header(LOCATION).starts_with(&format!("{CALLBACK}?code=")), "{}", answer.header(LOCATION));
    assert_eq!(answer.led("state").as_deref(), Some("s1"));
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    assert_eq!(claims_of(tokens["id_token"].as_str().unwrap())["nonce"], "n1");
    let silent = site.pushed(&[("state", ""), ("nonce", "")]).await;
    let answer = site.get(&format!("{silent}&state=outside&nonce=outside"), &cookie).await;
    assert_eq!(answer.led("state"), None);
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    assert!(claims_of(tokens["id_token"].as_str().unwrap()).get("nonce").is_none());
}

#[tokio::test]
async fn an_operator_can_do_without_plain_requests() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.plain(&cookie, &[]).await.led("code").unwrap();
    let site = site.without_oidc();
    leads_nowhere(&site.plain(&cookie, &[]).await, "the profile is not served");
    assert_eq!(site.oauth_as(LOGIN, "/oidc/token", &plain_exchange_form(&code)).await.oauth_error(), "invalid_client");
    let metadata = site.get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    site.code(&cookie, &[]).await;
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

    let error = site.authorize(&cookie, &[("state", state.as_str()), ("max_age", "soon")]).await;
    assert_eq!(error.led("state").as_deref(), Some(state.as_str()));
    let longer = "s".repeat(5_000);
    assert_eq!(site.push_error(&[("state", &longer)]).await, "invalid_request");
    assert_eq!(site.push_error(&[("nonce", &longer)]).await, "invalid_request");
    let plainly = [("state", state.as_str()), ("nonce", nonce.as_str())];
    assert_eq!(site.plain(&cookie, &plainly).await.led("state").as_deref(), Some(state.as_str()));
    for (name, state) in [("state", None), ("nonce", Some("s1"))] {
        let answer = site.plain(&cookie, &[(name, &longer)]).await;
        assert_eq!((answer.led_error().as_str(), answer.led("state").as_deref()), ("invalid_request", state));
    }
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
        assert!(signed_in > opened);
        leads_nowhere(&site.get(&back, &fresh).await, "a request is answered once");
        // The way back does not work for ever.
        let back = back_from_sign_in(&site.plain(&fresh, &[changes]).await);
        let pushed = back_from_sign_in(&site.authorize(&fresh, &[changes]).await);
        let late = site.sign_in(resident);
        site.city.clock.advance(20 * MINUTE);
        back_from_sign_in(&site.get(&back, &late).await);
        leads_nowhere(&site.get(&pushed, &late).await, "the pushed request has lapsed");
    }
    let long = [("max_age", "100000")];
    assert!(site.authorize(&site.sign_in(resident), &long).await.led("code").is_some());
}

#[tokio::test]
async fn before_she_signs_in_she_reads_how_the_service_is_used_without_the_pass() {
    let site = TestSite::new();
    let led = site.authorize("", &[]).await;
    let page = site.get(led.header(LOCATION), "").await;
    let page = page.text();
    assert!(page.contains("Ask at the counter.") && page.contains("data-testid=\"alternatives\""), "{page}");
    assert!(!site.get("/sign-in?next=/me", "").await.text().contains("Ask at the counter."));
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
        let changes = [("prompt", "login"), ("usufruct_since", forged.as_str())];
        back_from_sign_in(&site.plain(&cookie, &changes).await);
        back_from_sign_in(&site.authorize(&cookie, &changes).await);
        let beside = format!("{}&{}", site.pushed(&[("prompt", "login")]).await, encode(&[("usufruct_since", &forged)]));
        back_from_sign_in(&site.get(&beside, &cookie).await);
    }
}

#[tokio::test]
async fn she_may_read_for_longer_than_a_request_waits() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    site.city.clock.advance(5 * MINUTE);
    let link = page.text().split("href=\"").find(|part| part.contains("lang=zh-Hant")).unwrap().split('"').next().unwrap();
    let chinese = site.get(&link.replace("&#38;", "&"), &cookie).await;
    assert!(chinese.text().contains("<html lang=\"zh-Hant\">"), "{}", chinese.text());
    let answer = site.decide(&cookie, &chinese, &[("decision", "agree")]).await;
    assert_eq!((answer.led("state").as_deref(), answer.led("code").is_some()), (Some("s1"), true));

    let pushed = site.push(&[]).await.json();
    let name = pushed["request_uri"].as_str().unwrap().strip_prefix("urn:ietf:params:oauth:request_uri:").unwrap();
    assert_eq!((name.len(), pushed["expires_in"].as_i64()), (43, Some(90)), "256 bits, for a minute and a half");
    let unseen = site.pushed(&[]).await;
    site.city.clock.advance(89 * SECOND);
    let (_, other) = site.resident();
    let page = site.get(&unseen, &other).await;
    assert_eq!(page.status, StatusCode::OK, "in time");
    site.city.clock.advance(2 * SECOND);
    leads_nowhere(&site.get(&unseen, &other).await, "nobody may open it anew");
    site.city.clock.advance(11 * MINUTE);
    let late = site.decide(&other, &page, &[("decision", "agree")]).await;
    assert_eq!((late.status, late.header(LOCATION)), (StatusCode::BAD_REQUEST, ""));
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
    let pushed = site.pushed(&[]).await.split_once('?').unwrap().1.to_owned();
    for ask in [pushed, site.ask_plainly(&[])] {
        // Browsers keep the cookie back when another site posts, so the request goes once more from here.
        let answer = post(String::new(), ask.clone()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.header(LOCATION).starts_with("/oidc/authorize?"), "{}", answer.header(LOCATION));
        let target = answer.header(LOCATION).to_owned();
        assert!(site.get(&target, &cookie).await.led("code").is_some());
    }
    for ask in [site.pushed(&[]).await.split_once('?').unwrap().1.to_owned(), site.ask_plainly(&[])] {
        let answer = post(cookie.clone(), ask).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.led("code").is_some(), "{}", answer.header(LOCATION));
    }
    leads_nowhere(&post(String::new(), site.ask_plainly(&[("redirect_uri", "https://evil.example/")])).await, "posted");
    let huge = post(cookie.clone(), format!("{}&x={}", site.ask_plainly(&[]), "x".repeat(100_000))).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(huge.header(CONTENT_TYPE).starts_with("text/html"));
    for method in ["PUT", "DELETE"] {
        let request = Request::builder().method(method).uri(format!("/oidc/authorize?{}", site.ask_plainly(&[])));
        assert_eq!(site.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(CALLBACK.starts_with("http://localhost"));
}

#[tokio::test]
async fn a_hint_about_another_resident_gets_no_code() {
    let site = TestSite::new();
    let ((_, alice), (bob_number, bob)) = (site.resident(), site.resident());
    let hint = site.token_answer(&alice, &[]).await["id_token"].as_str().unwrap().to_owned();
    site.code(&bob, &[]).await;
    let silent = |hint| [("prompt", "none"), ("id_token_hint", hint)];
    // It need not be young, only ours.
    site.city.clock.advance(5 * MINUTE);
    assert!(site.authorize(&alice, &silent(&hint)).await.led("code").is_some());
    assert_eq!(site.authorize(&bob, &silent(&hint)).await.led_error(), "login_required");
    assert_eq!(site.authorize("", &silent(&hint)).await.led_error(), "login_required");

    // Not silently, she is asked to sign in; and who is another still after that is sent back.
    let asked = site.authorize(&bob, &[("id_token_hint", &hint)]).await;
    assert!(asked.led("code").is_none() && asked.header(LOCATION).starts_with("/sign-in"), "{}", asked.header(LOCATION));
    let next = asked.led("next").unwrap();
    let again = site.sign_in(bob_number);
    assert_eq!(site.get(&next, &again).await.led_error(), "login_required");

    let library = format!("{hint}x");
    let (forged, foreign) = (site.library.sign("ES256", &crate::site::claims_of(&hint)), site.other_token_answer(&alice).await);
    for bad in ["garbage", library.as_str(), forged.as_str(), foreign["id_token"].as_str().unwrap()] {
        // What is no hint of ours for this service says nothing, and is never an error.
        assert!(site.authorize(&alice, &silent(bad)).await.led("code").is_some(), "{bad}");
        assert!(site.authorize(&bob, &[("id_token_hint", bad)]).await.led("code").is_some(), "{bad}");
    }
}

#[tokio::test]
async fn who_asks_for_the_headers_alone_makes_no_code() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let path = site.pushed(&[]).await;
    let request = Request::head(&path).header(COOKIE, &cookie);
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::METHOD_NOT_ALLOWED, ""));
    assert!(site.get(&path, &cookie).await.led("code").is_some(), "the request is still there to be answered");
}

/// Also where nothing is pushed: a code that was asked for with a key is worth nothing without it.
#[tokio::test]
async fn a_code_is_bound_to_the_key_that_a_plain_request_names() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let jkt = site.bound.thumbprint();
    let exchange = async |proofs: &[&str]| {
        let code = site.plain(&cookie, &[("dpop_jkt", &jkt)]).await.led("code").unwrap();
        site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &plain_exchange_form(&code), proofs).await
    };
    assert_eq!(exchange(&[]).await.oauth_error(), "invalid_grant");
    let other = Key::new("other").prove(&site.proof_claims("POST", "/oidc/token"));
    assert_eq!(exchange(&[&other]).await.oauth_error(), "invalid_grant");
    let answer = exchange(&[&site.proof("POST", "/oidc/token", None)]).await;
    assert_eq!((answer.status, &answer.json()["token_type"]), (StatusCode::OK, &json!("DPoP")));
    for broken in ["short", "not base64url, and forty-three characters!!"] {
        assert_eq!(site.plain(&cookie, &[("dpop_jkt", broken)]).await.led_error(), "invalid_request", "{broken}");
    }
}
