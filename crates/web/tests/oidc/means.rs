//! What was enough to sign in: cards open little, and a mandate may ask for more.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use usufruct_app::CardAttempt;
use usufruct_app::store::passkeys::{self, Passkey};
use usufruct_core::Digest;

use crate::common::{CARD, SERVICE, library_card};
use crate::site::{Answer, CALLBACK, TestSite, claims_of, encode, publish_service};

const PIN: &str = "204817";
const CAREFUL: &str = "mdt_careful";

/// A site whose library also works under a mandate that asks for a passkey.
fn site() -> TestSite {
    let site = TestSite::new();
    let mut careful = library_card();
    careful["means"] = json!("passkey");
    site.city.publish_mandate(CAREFUL, careful);
    publish_service(&site.city, SERVICE, CALLBACK, &[site.library.jwk()], "fapi2", &[CARD, "mdt_short", CAREFUL]);
    site
}

/// A resident with a card alone, and the cookie of a session that it opened.
fn cardholder(site: &TestSite) -> (u64, String) {
    let resident = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(resident, PIN, None).unwrap();
    let attempt = CardAttempt { code, pin: PIN.to_owned().into(), device_mark: None };
    let token = site.city.app.sign_in_with_card(&attempt, None, "kiosk").unwrap().token;
    (resident, format!("usufruct={token}"))
}

/// As if two clerks had let her make one.
pub fn add_passkey(site: &TestSite, resident: u64) {
    let passkey = Passkey {
        credential: vec![1],
        resident,
        passkey: "{}".into(),
        label: "phone".into(),
        added_at: site.city.app.now(),
        used_at: None,
    };
    site.city.app.db().transaction("add passkey", move |tx| passkeys::insert(tx, &passkey, &Digest([0; 32]))).unwrap();
}

async fn ask(site: &TestSite, cookie: &str, scope: &str, more: &[(&str, &str)]) -> Answer {
    site.authorize(cookie, &[&[("scope", scope)], more].concat()).await
}

#[tokio::test]
async fn a_card_signs_in_and_the_token_says_so() {
    let site = site();
    let (_, cookie) = cardholder(&site);
    let claims = claims_of(site.token_answer(&cookie, &[]).await["id_token"].as_str().unwrap());
    assert_eq!((&claims["acr"], &claims["amr"]), (&json!("urn:usufruct:acr:card"), &json!(["pin"])));
}

/// At a kiosk the person before has not always signed out.
#[tokio::test]
async fn who_signs_in_by_card_ends_the_session_that_was_open_there() {
    let site = site();
    let (_, before) = site.resident();
    let reader = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(reader, PIN, None).unwrap();
    let session = |cookie: &str| site.city.app.session(cookie.trim_start_matches("usufruct=")).unwrap();
    let sign_in = async |cookie: &str, pin: &str| site.post("/sign-in/card", cookie, &[("code", &code), ("pin", pin)]).await;
    assert_eq!(sign_in(&before, "204818").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(session(&before).is_some(), "a wrong PIN ends nothing");
    let answer = sign_in(&before, PIN).await;
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/me"));
    assert!(session(&before).is_none(), "one browser has one session");
    let cookie = answer.header(SET_COOKIE).split(';').next().unwrap().to_owned();
    assert_eq!(session(&cookie).map(|open| open.resident), Some(reader));
}

#[tokio::test]
async fn a_mandate_that_asks_for_a_passkey_is_not_to_be_had_by_card() {
    let site = site();
    let (resident, cookie) = cardholder(&site);
    let both = format!("openid {CARD} {CAREFUL}");
    for (scope, more) in [
        (format!("openid {CAREFUL}"), vec![]),
        (both.clone(), vec![]),
        (both.clone(), vec![("acr_values", "urn:usufruct:acr:card")]),
        ("openid".to_owned(), vec![("acr_values", "urn:usufruct:acr:passkey")]),
    ] {
        // She has nothing stronger, so the service hears of it and may offer another way.
        assert_eq!(ask(&site, &cookie, &scope, &more).await.led_error(), "unmet_authentication_requirements", "{scope}");
        let silent = [more, vec![("prompt", "none")]].concat();
        assert_eq!(ask(&site, &cookie, &scope, &silent).await.led_error(), "login_required", "{scope}");
    }
    assert!(site.city.app.grants(resident).unwrap().is_empty(), "nobody asked her to agree");
    // With a passkey at hand she is asked for it.
    add_passkey(&site, resident);
    let step = ask(&site, &cookie, &both, &[]).await;
    assert!(step.header(LOCATION).starts_with("/sign-in?next="), "{}", step.header(LOCATION));
    let cookie = site.sign_in(resident);
    let page = ask(&site, &cookie, &both, &[]).await;
    assert_eq!(page.status, StatusCode::OK, "signed in by passkey she is asked to agree");
    let claims = claims_of(site.token_answer(&cookie, &[("scope", &both)]).await["id_token"].as_str().unwrap());
    assert_eq!(claims["acr"], "urn:usufruct:acr:passkey");
}

#[tokio::test]
async fn the_form_of_the_card_may_lead_on_to_the_service_that_waits_and_nowhere_else() {
    let site = site();
    let policy = async |next: &str| {
        let page = site.get(&format!("/sign-in/card?{}", encode(&[("next", next)])), "").await;
        let policy = page.header(CONTENT_SECURITY_POLICY).to_owned();
        policy.split("form-action ").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    let asked = site.pushed(&[]).await;
    let waits = site.get(&asked, "").await;
    let next = url::form_urlencoded::parse(waits.header(LOCATION).split_once('?').unwrap().1.as_bytes())
        .find(|(name, _)| name == "next")
        .unwrap()
        .1
        .into_owned();
    assert_eq!(policy(&next).await, "'self' http://localhost:8081");
    assert_eq!(policy(&asked).await, "'self' http://localhost:8081");
    let plain = format!("/oidc/authorize?{}", site.ask_plainly(&[]));
    assert_eq!(policy(&plain).await, "'self' http://localhost:8083");
    let elsewhere = format!("/oidc/authorize?{}", site.ask_plainly(&[("redirect_uri", "https://evil.example/")]));
    for next in
        [elsewhere.as_str(), "/me", "", "https://evil.example/", "/oidc/authorize?", "/oidc/authorize?client_id=svc_nobody"]
    {
        assert_eq!(policy(next).await, "'self'", "{next}");
    }
    // It holds when the PIN was wrong, too.
    let again = site.post("/sign-in/card", "", &[("code", "ABCD"), ("pin", "204818"), ("next", &next)]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.header(CONTENT_SECURITY_POLICY).contains("form-action 'self' http://localhost:8081;"));
}

/// The parameter `claims` with this about the class of the sign-in.
fn class(acr: Value) -> String {
    json!({ "id_token": { "acr": acr } }).to_string()
}

#[tokio::test]
async fn an_essential_class_is_met_or_the_service_hears_that_it_is_not() {
    let site = site();
    let (resident, by_card) = cardholder(&site);
    let essential = |acr: &str| class(json!({ "essential": true, "value": acr }));
    let (card, passkey) = ("urn:usufruct:acr:card", "urn:usufruct:acr:passkey");
    for (claims, more) in [
        (essential(passkey), vec![]),
        (essential("urn:elsewhere"), vec![]),
        (class(json!({ "essential": true, "values": [] })), vec![]),
        (essential(card), vec![("acr_values", passkey)]),
    ] {
        let asked = [more, vec![("claims", claims.as_str())]].concat();
        assert_eq!(ask(&site, &by_card, "openid", &asked).await.led_error(), "unmet_authentication_requirements", "{claims}");
        let silent = [asked, vec![("prompt", "none")]].concat();
        let error = ask(&site, &by_card, "openid", &silent).await.led_error();
        assert!(["login_required", "unmet_authentication_requirements"].contains(&&*error), "{claims}: {error}");
    }
    let acr = async |cookie: &str, claims: &str| {
        let answer = site.token_answer(cookie, &[("scope", "openid"), ("claims", claims)]).await;
        claims_of(answer["id_token"].as_str().unwrap())["acr"].as_str().unwrap().to_owned()
    };
    assert_eq!(acr(&by_card, &essential(card)).await, card);
    assert_eq!(acr(&by_card, &class(json!({ "essential": true }))).await, card, "any will do");
    assert_eq!(acr(&by_card, &class(json!({ "essential": true, "values": [passkey, card] }))).await, card);
    // With a passkey at hand she is asked for it, and the token has the class that was asked for.
    add_passkey(&site, resident);
    let step = ask(&site, &by_card, "openid", &[("claims", &essential(passkey))]).await;
    assert!(step.header(LOCATION).starts_with("/sign-in?next="), "{}", step.header(LOCATION));
    let by_passkey = site.sign_in(resident);
    assert_eq!(acr(&by_passkey, &essential(passkey)).await, passkey);
    // Stronger is another class than the one that is essential: she may sign in again by what is, and no token says anything else.
    let asked = site.pushed(&[("scope", "openid"), ("claims", &essential(card))]).await;
    let step = site.get(&asked, &by_passkey).await;
    assert!(step.header(LOCATION).starts_with("/sign-in?next="), "{}", step.header(LOCATION));
    let query = step.header(LOCATION).split_once('?').unwrap().1.to_owned();
    let back = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").unwrap().1.into_owned();
    assert_eq!(site.get(&back, &site.sign_in(resident)).await.led_error(), "unmet_authentication_requirements");
}

#[tokio::test]
async fn only_the_resident_whom_claims_name_answers() {
    let site = site();
    let ((_, hers), (_, others)) = (site.resident(), site.resident());
    let (_, subject) = site.tokens(&hers, &[("scope", "openid")]).await;
    let named = json!({ "id_token": { "sub": { "value": subject } } }).to_string();
    let asked = [("claims", named.as_str()), ("prompt", "none")];
    assert!(ask(&site, &hers, "openid", &asked).await.led("code").is_some());
    assert_eq!(ask(&site, &others, "openid", &asked).await.led_error(), "login_required");
    let step = ask(&site, &others, "openid", &asked[..1]).await;
    assert!(step.header(LOCATION).starts_with("/sign-in?next="), "{}", step.header(LOCATION));
}

#[tokio::test]
async fn claims_that_cannot_be_read_are_refused() {
    let site = site();
    let (_, cookie) = site.resident();
    for broken in ["{", "7", "[]", r#"{"id_token":{"acr":"card"}}"#, r#"{"id_token":{"acr":{"essential":1,"value":"a"}}}"#] {
        assert_eq!(site.push_error(&[("claims", broken)]).await, "invalid_request", "{broken}");
        assert_eq!(site.plain(&cookie, &[("claims", broken)]).await.led_error(), "invalid_request", "{broken}");
    }
}
