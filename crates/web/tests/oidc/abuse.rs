//! What a hostile page, a hostile service and a thief try.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{Request, StatusCode};
use serde_json::json;
use tokio::sync::Notify;
use tower::ServiceExt;
use usufruct_core::Text;
use usufruct_core::event::Kind;
use usufruct_core::time::SECOND;
use usufruct_web::{DemoSettings, Limit, Limits, Persona, Sandbox, Settings, Site};

use crate::common::{CARD, SERVICE, mandate};
use crate::site::{Answer, CALLBACK, ISSUER, Key, LOGIN, OTHER, TestSite, encode};
use crate::soft_passkey;

#[tokio::test]
async fn every_answer_names_the_issuer_also_by_form() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let state = "\"><script>alert(1)</script>&iss=https://evil.example";
    let by_form = [("response_mode", "form_post"), ("state", state)];
    site.code(&cookie, &[]).await;
    for (more, member) in [(None, "code"), (Some(("prompt", "none login")), "error")] {
        let changes: Vec<_> = by_form.into_iter().chain(more).collect();
        let answer = site.authorize(&cookie, &changes).await;
        assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::OK, ""));
        assert_eq!(answer.action(), CALLBACK);
        let fields = answer.hidden();
        let value = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!((value("iss"), value("state")), (Some(ISSUER), Some(state)));
        assert!(value(member).is_some() && !answer.text().contains("<script>alert"));
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("form-action 'self' http://localhost:8081;") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let refused = site.plain(&cookie, &[("response_mode", "form_post"), ("scope", "profile")]).await;
    assert!(refused.hidden().iter().any(|(name, value)| name == "iss" && value == ISSUER));
}

#[tokio::test]
async fn no_page_can_be_framed_or_read_by_another_site() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let consent = site.pushed(&[]).await;
    for path in [consent.as_str(), "/oidc/end-session", "/sign-in", "/oidc/authorize?client_id=svc_nobody", "/me"] {
        let answer = site.get(path, &cookie).await;
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/userinfo"] {
        let request =
            Request::options(path).header("origin", "https://evil.example").header("access-control-request-method", "POST");
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn consent_cannot_be_sent_from_another_page() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let mut fields = page.hidden();
    fields.push(("decision".to_owned(), "agree".to_owned()));
    let send = async |fields: &[(String, String)], from: &str| {
        let form: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request::post(page.action())
            .header(ACCEPT, "text/html")
            .header(COOKIE, &cookie)
            .header("sec-fetch-site", from)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(encode(&form).into()).unwrap()).await
    };
    for from in ["cross-site", "same-site"] {
        assert_eq!(send(&fields, from).await.status, StatusCode::FORBIDDEN, "{from}");
    }
    for missing in ["form_token", "mark"] {
        let without: Vec<_> = fields.iter().filter(|(name, _)| name != missing).cloned().collect();
        assert!(send(&without, "same-origin").await.status.is_client_error(), "{missing}");
    }
    assert!(site.city.app.grants(resident).unwrap().is_empty());
    assert!(send(&fields, "same-origin").await.led("code").is_some());
}

#[tokio::test]
async fn a_session_is_never_taken_from_outside() {
    let site = TestSite::new();
    let planted = "usufruct=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let answer = site.plain(planted, &[]).await;
    assert!(answer.header(LOCATION).starts_with("/sign-in?next="));
    assert_eq!(answer.header(SET_COOKIE), "", "nothing is kept for a session that does not exist");
    let resident = site.city.enrol(1)[0];
    let (first, second) = (site.sign_in(resident), site.sign_in(resident));
    assert!(first != second && first != planted, "every sign-in is a session of its own");
    site.city.app.sign_out_everywhere(resident).unwrap();
    assert_eq!(site.plain(&first, &[("prompt", "none")]).await.led_error(), "login_required");
    assert_eq!(site.plain(planted, &[("prompt", "none")]).await.led_error(), "login_required");
}

#[tokio::test]
async fn one_network_does_not_take_the_api_from_the_others() {
    let town = TestSite::new();
    let city = &town.city;
    let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
    let limits = Limits { calls: Limit { per_second: 1, burst: 3 }, ..Limits::default() };
    let site = Arc::new(Site::new(Arc::clone(&city.app), settings).unwrap().with_limits(&limits));
    let router = usufruct_web::router(site);
    let call = async |method: &str, path: &str, from: &str| {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(from.parse().unwrap()));
        let answer = router.clone().oneshot(request).await.unwrap();
        let wait = answer.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().to_owned());
        (answer.status(), wait)
    };
    for (method, path) in [("GET", "/api/deletions"), ("POST", "/api/releases"), ("GET", "/ssf/streams")] {
        assert_eq!(call(method, path, "203.0.113.7:4000").await, (StatusCode::UNAUTHORIZED, None), "{path}");
    }
    let turned_away = (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned()));
    for path in ["/api/deletions", "/ssf/streams"] {
        assert_eq!(call("GET", path, "203.0.113.8:4000").await, turned_away, "{path}");
        assert_eq!(call("GET", path, "198.51.100.1:4000").await.0, StatusCode::UNAUTHORIZED, "another network is not held up");
    }
    city.clock.advance(SECOND);
    assert_eq!(call("GET", "/api/deletions", "203.0.113.9:4000").await.0, StatusCode::UNAUTHORIZED);
}

/// A customer who has all networks of a street guesses no faster by it; a neighbour's provider is not held up.
#[tokio::test]
async fn one_customer_does_not_guess_from_many_networks() {
    let town = TestSite::new();
    let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
    let limits = Limits { guesses_of_customer: Limit { per_second: 1, burst: 3 }, ..Limits::default() };
    let router = usufruct_web::router(Arc::new(Site::new(Arc::clone(&town.city.app), settings).unwrap().with_limits(&limits)));
    let guess = async |from: &str| {
        let mut request = Request::post("/sign-in/card")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(&[("code", "AAAA-AAAA"), ("pin", "204817")])))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(from.parse().unwrap()));
        router.clone().oneshot(request).await.unwrap().status()
    };
    for network in 1..=3 {
        assert_eq!(guess(&format!("[2001:db8:1:{network}00::1]:4000")).await, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(guess("[2001:db8:1:400::1]:4000").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess("[2001:db8:2:400::1]:4000").await, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Somebody in the network of this number types the code of a card and a PIN.
async fn show_card(site: &TestSite, code: &str, network: u32, cookie: &str) -> Answer {
    let mut request = Request::post("/sign-in/card")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header(COOKIE, cookie)
        .body(Body::from(encode(&[("code", code), ("pin", "204817")])))
        .unwrap();
    let from = Ipv4Addr::from(0x0a00_0000 + (network << 8));
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((from, 4000))));
    site.send(request).await
}

/// The cookie by which a browser is known where a card was used.
fn card_mark(answer: &Answer) -> &str {
    let kept = answer.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    kept.filter_map(|cookie| cookie.split(';').next()).find(|cookie| cookie.starts_with("usufruct-card=")).unwrap()
}

/// Whoever hangs up while a PIN is looked at leaves the turn taken for as long as the looking goes on.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_gives_no_turn_back_before_the_work_is_done() {
    let site = TestSite::new();
    let resident = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(resident, "204817", None).unwrap();
    let first = show_card(&site, &code, 0, "").await;
    let mark = card_mark(&first);
    // Every guess is counted in the store first, so none is done while somebody else writes there.
    let may_end = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (app, may_end) = (Arc::clone(&site.city.app), Arc::clone(&may_end));
        move || {
            app.db().transaction("write for long", move |_| {
                while !may_end.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok::<_, usufruct_app::Error>(())
            })
        }
    });
    for network in 1..=2 {
        let guess = show_card(&site, &code, network, mark);
        assert!(tokio::time::timeout(Duration::from_millis(500), guess).await.is_err(), "it hangs up unanswered");
    }
    let third = tokio::time::timeout(Duration::from_secs(5), show_card(&site, &code, 3, mark)).await;
    may_end.store(true, Ordering::Relaxed);
    writer.join().unwrap().unwrap();
    assert_eq!(third.expect("it waits for no turn").status, StatusCode::TOO_MANY_REQUESTS);
    let mut status = StatusCode::TOO_MANY_REQUESTS;
    for network in 4..=100 {
        status = show_card(&site, &code, network, mark).await.status;
        if status != StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, StatusCode::SEE_OTHER, "both turns came back with the end of the work");
}

/// Strangers guess from more networks than there are places. Whoever types a card in a network that did not guess has the next turn.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_from_many_networks_holds_up_no_new_network() {
    let site = Arc::new(TestSite::new().with_limits(&Limits::wide()));
    let cards: Vec<String> =
        site.city.enrol(5).into_iter().map(|resident| site.city.app.issue_card(resident, "204817", None).unwrap()).collect();
    let (is_over, looked_at, turned_away) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut strangers = tokio::task::JoinSet::new();
    for network in 1..=150 {
        let (site, is_over) = (Arc::clone(&site), Arc::clone(&is_over));
        let (looked_at, turned_away) = (Arc::clone(&looked_at), Arc::clone(&turned_away));
        strangers.spawn(async move {
            let mut had_a_turn = false;
            while !is_over.load(Ordering::SeqCst) {
                let answer = show_card(&site, "ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345", network, "").await;
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else if !std::mem::replace(&mut had_a_turn, true) {
                    looked_at.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    while looked_at.load(Ordering::SeqCst) < 150 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (card, network) in cards.iter().zip(1_000..) {
        assert_eq!(show_card(&site, card, network, "").await.status, StatusCode::SEE_OTHER, "at the first try");
    }
    is_over.store(true, Ordering::SeqCst);
    strangers.join_all().await;
    assert!(turned_away.load(Ordering::SeqCst) > 0, "there were more than places");
}

/// Strangers guess from more networks than there are turns. Where her card was used before she gets in all the while.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_from_many_networks_holds_up_no_browser_that_is_known() {
    let site = Arc::new(TestSite::new());
    let resident = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(resident, "204817", None).unwrap();
    let first = show_card(&site, &code, 0, "").await;
    let mark = card_mark(&first);

    let (is_over, turned_away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut strangers = tokio::task::JoinSet::new();
    for network in 1..=150 {
        let (site, is_over, turned_away) = (Arc::clone(&site), Arc::clone(&is_over), Arc::clone(&turned_away));
        strangers.spawn(async move {
            for _ in 0..30 {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let answer = show_card(&site, "ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345", network, "").await;
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    while turned_away.load(Ordering::SeqCst) < 30 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..3 {
        let hers = show_card(&site, &code, 1_001, mark).await;
        assert_eq!(hers.status, StatusCode::SEE_OTHER, "{}", hers.text());
    }
    is_over.store(true, Ordering::SeqCst);
    strangers.join_all().await;
}

/// The library asks too fast, from anywhere: the second service beside it in the same network is not held up.
#[tokio::test]
async fn one_service_does_not_take_the_api_from_the_others() {
    let town = TestSite::new();
    let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
    let limits = Limits { call: Limit { per_second: 1, burst: 3 }, ..Limits::default() };
    let site = Arc::new(Site::new(Arc::clone(&town.city.app), settings).unwrap().with_limits(&limits));
    let router = usufruct_web::router(site);
    let call = async |path: &str, token: &str, from: &str| {
        let mut request = town.bearing("GET", path, token).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(from.parse().unwrap()));
        let answer = router.clone().oneshot(request).await.unwrap();
        let wait = answer.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().to_owned());
        (answer.status(), wait)
    };
    let fast = town.own_token(SERVICE, "release ssf.read").await;
    let again = town.own_token(SERVICE, "release ssf.read").await;
    let slow = town.own_token(OTHER, "release ssf.read").await;
    for path in ["/api/deletions", "/ssf/status?stream_id=str_none", "/api/deletions"] {
        assert_ne!(call(path, &fast, "203.0.113.7:4000").await.0, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    let turned_away = (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned()));
    for path in ["/api/deletions", "/ssf/streams"] {
        assert_eq!(call(path, &fast, "198.51.100.1:4000").await, turned_away, "{path}, from another network");
        assert_eq!(call(path, &again, "203.0.113.7:4000").await, turned_away, "{path}, with another token");
        assert_ne!(call(path, &slow, "203.0.113.7:4000").await.0, StatusCode::TOO_MANY_REQUESTS, "{path}, another service");
    }
    // Who shows a token that is not theirs uses up nobody's share.
    town.city.clock.advance(SECOND);
    for _ in 0..3 {
        assert_eq!(call("/api/deletions", "uft_stolen", "203.0.113.7:4000").await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(call("/api/deletions", &fast, "203.0.113.7:4000").await.0, StatusCode::OK);
    assert_eq!(call("/api/deletions", &fast, "203.0.113.7:4000").await, turned_away);
}

/// Whoever was signed in is signed out when somebody else begins in the same browser: a session that a stranger left there, with a service behind
/// it perhaps, goes on in no other window.
#[tokio::test]
async fn a_session_that_is_left_in_a_browser_ends_when_another_begins() {
    let site = TestSite::new();
    let is_open = |cookie: &str| site.city.app.session(cookie.strip_prefix("usufruct=").unwrap()).unwrap().is_some();
    let own = |answer: &Answer| answer.header(SET_COOKIE).split(';').next().unwrap().to_owned();
    let (stranger, newcomer) = (site.city.enrol(1)[0], site.city.enrol(1)[0]);

    let planted = site.sign_in(stranger);
    let code = site.city.app.invite(newcomer, None).unwrap();
    let send = async |path: &str, cookie: &str, body: serde_json::Value| {
        let request = Request::post(path).header(COOKIE, cookie).header("sec-fetch-site", "same-origin");
        site.send(request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap()).await
    };
    let started = send("/webauthn/register/start", &planted, json!({ "code": code })).await;
    let (both, started) = (format!("{planted}; {}", own(&started)), started.json());
    assert!(is_open(&planted));
    let credential = soft_passkey::create(ISSUER, started["options"]["challenge"].as_str().unwrap());
    let done =
        send("/webauthn/register/finish", &both, json!({ "ceremony": started["ceremony"], "credential": credential })).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let fresh = own(&done);
    assert_eq!(site.city.app.session(fresh.strip_prefix("usufruct=").unwrap()).unwrap().unwrap().resident, newcomer);
    assert!(!is_open(&planted), "after an enrolment");

    let persona =
        Persona { key: "mei".into(), resident: newcomer, name: "Mei".into(), story: Text::new("A student.", "學生。") };
    let demo = DemoSettings { personas: vec![persona], sample_urls: Vec::new(), sandbox: None, desk: None };
    let site = site.with_demo(demo);
    let planted = site.sign_in(stranger);
    let answer = site.get("/demo/sign-in/mei", &planted).await;
    assert!(own(&answer).starts_with("usufruct=") && own(&answer) != planted);
    assert!(site.city.app.session(planted.strip_prefix("usufruct=").unwrap()).unwrap().is_none(), "after a shortcut of the demo");
}

#[tokio::test]
async fn signing_in_leads_to_no_other_site() {
    let site = TestSite::new();
    let resident = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(resident, "204817", None).unwrap();
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
        "/\r\nx: y",
        "evil",
        // What browsers leave out of an address.
        "/\t/evil.example/",
        "/\t\\evil.example/",
        "\t//evil.example/",
        "/\n/evil.example/",
        "/\0/evil.example/",
        "/\u{85}/evil.example/",
    ] {
        let page = site.get(&format!("/sign-in?{}", encode(&[("next", next)])), "").await;
        assert!(page.text().contains("data-next=\"/me\""), "{next:?}: {}", page.text());
        let page = site.get(&format!("/sign-in/card?{}", encode(&[("next", next)])), "").await;
        assert_eq!(page.hidden(), [("next".to_owned(), "/me".to_owned())], "{next:?}");
        let answer = site.post("/sign-in/card", "", &[("code", &code), ("pin", "204817"), ("next", next)]).await;
        assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/me"), "{next:?}");
    }
    let answer = site.plain("", &[("state", "a\r\nset-cookie: x=y")]).await;
    assert_eq!(answer.header(SET_COOKIE), "");
}

/// The token of the library does not open anything for anybody without its key, wherever it is shown.
#[tokio::test]
async fn a_stolen_token_opens_nothing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let (access, id) = (answer["access_token"].as_str().unwrap(), answer["grant_id"].as_str().unwrap());
    let own = site.own_token(SERVICE, "release grant_management_query grant_management_revoke").await;
    let subject = crate::site::claims_of(answer["id_token"].as_str().unwrap())["sub"].clone();
    let body =
        json!({ "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" });
    let grant = format!("/oidc/grants/{id}");
    let thief = Key::new("thief");
    let places = [
        ("GET", "/oidc/userinfo", access),
        ("POST", "/api/releases", &own),
        ("GET", "/api/deletions", &own),
        ("GET", &grant, &own),
        ("DELETE", &grant, &own),
    ];
    for (method, path, token) in places {
        let show = async |scheme: &str, proofs: &[String]| {
            let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
            request = request.header(AUTHORIZATION, format!("{scheme} {token}"));
            for proof in proofs {
                request = request.header("dpop", proof);
            }
            site.send(request.body(body.to_string().into()).unwrap()).await
        };
        let own_proof = || site.proof(method, path, Some(token));
        let claims = || crate::site::claims_of(&own_proof());
        let overheard = own_proof();
        let of_another_token = site.proof(method, path, Some("uft_another"));
        let of_another_place = site.proof(method, "/oidc/token", Some(token));
        let of_another_method = site.proof("PUT", path, Some(token));
        for (what, scheme, proofs) in [
            ("as a bearer token", "Bearer", vec![]),
            ("as a bearer token with a proof", "Bearer", vec![own_proof()]),
            ("without a proof", "DPoP", vec![]),
            ("with another key", "DPoP", vec![thief.prove(&claims())]),
            (
                "with another key under the right name",
                "DPoP",
                vec![thief.sign_with(&json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": site.bound.jwk() }), &claims())],
            ),
            ("with the proof for another token", "DPoP", vec![of_another_token]),
            ("with the proof for another place", "DPoP", vec![of_another_place]),
            ("with the proof for another method", "DPoP", vec![of_another_method]),
            ("with two proofs", "DPoP", vec![own_proof(), own_proof()]),
        ] {
            let answer = show(scheme, &proofs).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} {what}");
            assert!(answer.header("www-authenticate").starts_with("DPoP "), "{method} {path} {what}");
        }
        if method == "GET" {
            assert_eq!(show("DPoP", std::slice::from_ref(&overheard)).await.status, StatusCode::OK, "{path}");
        } else {
            site.send(site.bearing_with(method, path, token, &overheard).body(Body::empty()).unwrap()).await;
        }
        assert_eq!(show("DPoP", &[overheard]).await.status, StatusCode::UNAUTHORIZED, "{method} {path} a proof shown twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proof_counts_once_however_fast() {
    let site = Arc::new(TestSite::new());
    let (_, cookie) = site.resident();
    let (token, _) = site.tokens(&cookie, &[]).await;
    let proof = site.proof("GET", "/oidc/userinfo", Some(&token));
    let code = site.code(&cookie, &[]).await;
    let (mut shown, mut exchanged) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (site, token, proof) = (Arc::clone(&site), token.clone(), proof.clone());
        shown.push(tokio::spawn(async move { site.userinfo_with(&format!("DPoP {token}"), &[&proof]).await.status }));
    }
    for _ in 0..20 {
        let (site, code) = (Arc::clone(&site), code.clone());
        exchanged.push(tokio::spawn(async move { site.exchange(&code).await.status }));
    }
    for all in [shown, exchanged] {
        let mut good = 0;
        for one in all {
            good += usize::from(one.await.unwrap() == StatusCode::OK);
        }
        assert_eq!(good, 1);
    }
}

#[tokio::test]
async fn introspection_is_signed_for_its_reader_and_says_nothing_to_others() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let token = site.tokens(&cookie, &[]).await.0;
    let ask = async |client: &str, token: &str| -> Answer {
        let form = [
            ("token", token),
            ("client_assertion_type", crate::site::ASSERTION_TYPE),
            ("client_assertion", &site.assertion(client)),
        ];
        let request = Request::post("/oidc/introspect")
            .header(ACCEPT, "application/token-introspection+jwt")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(encode(&form).into()).unwrap()).await
    };
    let answer = ask(SERVICE, &token).await;
    assert_eq!(answer.header(CONTENT_TYPE), "application/token-introspection+jwt");
    assert_eq!(answer.header("cache-control"), "no-store");
    let header = jsonwebtoken::decode_header(answer.text()).unwrap();
    assert_eq!(header.typ.as_deref(), Some("token-introspection+jwt"));
    let claims = crate::site::claims_of(answer.text());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(SERVICE)));
    assert_eq!(claims["token_introspection"]["cnf"]["jkt"], site.bound.thumbprint());
    assert!(claims.get("sub").is_none() && claims.get("exp").is_none());
    for client in [OTHER, LOGIN] {
        let claims = crate::site::claims_of(ask(client, &token).await.text());
        assert_eq!((&claims["aud"], &claims["token_introspection"]), (&json!(client), &json!({ "active": false })));
    }
}

/// 200 readers and one withdrawal: an answer is before it or there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_read_after_a_withdrawal() {
    let site = Arc::new(TestSite::new());
    let (resident, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let subject = crate::site::claims_of(answer["id_token"].as_str().unwrap())["sub"].clone();
    let refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
    let token = site.client_token().await;
    let is_withdrawn = Arc::new(AtomicBool::new(false));
    let has_read = Arc::new(Notify::new());
    let mut readers = Vec::new();
    for _ in 0..200 {
        let (site, token, subject, is_withdrawn) = (Arc::clone(&site), token.clone(), subject.clone(), Arc::clone(&is_withdrawn));
        let has_read = Arc::clone(&has_read);
        readers.push(tokio::spawn(async move {
            let body = json!({ "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" });
            let mut indices = Vec::new();
            loop {
                let began_late = is_withdrawn.load(Ordering::SeqCst);
                let answer = site.api("/api/releases", &token, &body).await;
                if answer.status != StatusCode::OK {
                    return indices;
                }
                assert!(!began_late, "an answer to a request that began after the withdrawal");
                indices.push(answer.json()["log"]["index"].as_u64().unwrap());
                has_read.notify_one();
            }
        }));
    }
    let refresher = {
        let (site, refresh_token, is_withdrawn) = (Arc::clone(&site), refresh_token.clone(), Arc::clone(&is_withdrawn));
        tokio::spawn(async move {
            loop {
                let began_late = is_withdrawn.load(Ordering::SeqCst);
                if site.refresh(&refresh_token, &[]).await.status != StatusCode::OK {
                    return;
                }
                assert!(!began_late, "a token for a request that began after the withdrawal");
            }
        })
    };
    tokio::time::timeout(Duration::from_secs(60), has_read.notified()).await.expect("somebody reads before");
    let app = Arc::clone(&site.city.app);
    let withdrawn = tokio::task::spawn_blocking(move || app.withdraw(resident, &mandate()).unwrap()).await.unwrap();
    is_withdrawn.store(true, Ordering::SeqCst);
    let mut indices = Vec::new();
    for reader in readers {
        indices.extend(reader.await.unwrap());
    }
    refresher.await.unwrap();
    assert!(!indices.is_empty(), "somebody read before");
    assert!(indices.iter().all(|index| *index < withdrawn.index), "a use stands after the withdrawal in the log");
    let lines = site.city.app.footprint(resident).unwrap().lines;
    let events = || lines.iter().filter_map(|line| line.event.as_ref());
    let uses = events().filter(|event| event.kind == Kind::Use).count();
    // One that the withdrawal overtook behind its line in the log was not answered, and her footprint says so.
    let overtaken = events().filter(|event| event.reason == "use-failed").count();
    assert_eq!(uses, indices.len() + overtaken, "every use in the log was answered or failed, every answer is in the log");
}

#[tokio::test]
async fn one_network_does_not_fill_the_sandbox() {
    let sandbox: Sandbox = Arc::new(|_: &str, _: &str| Ok(SERVICE.parse().unwrap()));
    let demo = DemoSettings { personas: Vec::new(), sample_urls: Vec::new(), sandbox: Some(sandbox), desk: None };
    let site = TestSite::new().with_demo(demo);
    let register = async |address: &str| {
        let mut request = Request::post("/developers")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encode(&[("jwk", "{}"), ("redirect_uri", "http://localhost:9000/")]).into())
            .unwrap();
        let peer: SocketAddr = format!("{address}:40000").parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        site.send(request).await
    };
    for turn in 0..10 {
        assert_eq!(register(&format!("203.0.113.{turn}")).await.status, StatusCode::CREATED);
    }
    let refused = register("203.0.113.99").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(register("198.51.100.7").await.status, StatusCode::CREATED, "another network is not held up");
    site.city.clock.advance(wait * SECOND);
    assert_eq!(register("203.0.113.99").await.status, StatusCode::CREATED, "as it was told");
}

#[tokio::test]
async fn the_sandbox_takes_no_form_of_another_site() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let sandbox: Sandbox = Arc::new(move |jwk: &str, redirect_uri: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!((jwk, redirect_uri), ("{}", "http://localhost:9000/callback"));
        Ok(SERVICE.parse().unwrap())
    });
    let site = TestSite::new().with_demo(DemoSettings {
        personas: Vec::new(),
        sample_urls: Vec::new(),
        sandbox: Some(sandbox),
        desk: None,
    });
    let send = async |sender: &str, accept: &str| {
        let form = encode(&[("jwk", " {}"), ("redirect_uri", "http://localhost:9000/callback ")]);
        let request = Request::post("/developers")
            .header(ACCEPT, accept)
            .header("sec-fetch-site", sender)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(form.into()).unwrap()).await
    };
    for sender in ["cross-site", "same-site"] {
        assert_eq!(send(sender, "text/html").await.status, StatusCode::FORBIDDEN, "{sender}");
    }
    // A browser that is too old to say that says the origin.
    let old = async |origin: &str| {
        let form = encode(&[("jwk", "{}"), ("redirect_uri", "http://localhost:9000/callback")]);
        let request = Request::post("/developers").header("origin", origin).header("host", "127.0.0.1:8080");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send(request.body(form.into()).unwrap()).await.status
    };
    for origin in ["https://elsewhere.example", "null", "http://localhost:8081", "127.0.0.1:8080"] {
        assert_eq!(old(origin).await, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "nothing was registered");
    // What is needed to go on stands there, for people and for programs.
    let page = send("same-origin", "text/html").await;
    assert_eq!(page.status, StatusCode::CREATED);
    assert!(page.text().contains("data-testid=\"kid\">library-1<") && page.text().contains("<code>lending</code>"));
    for origin in [ISSUER, "http://127.0.0.1:8080"] {
        assert_eq!(old(origin).await, StatusCode::CREATED, "{origin}");
    }
    let answer = send("none", "application/json").await;
    let expected = json!({
        "client_id": SERVICE, "kid": "library-1", "redirect_uri": CALLBACK, "mandate": CARD, "reason": "lending",
        "blocks": [{ "block": "blk_name", "form": "value" }],
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::CREATED, expected));
    assert_eq!(site.get("/developers/try", "").await.status, StatusCode::OK);
    assert_eq!(TestSite::new().get("/developers/try", "").await.status, StatusCode::NOT_FOUND, "only a demo has it");
}
