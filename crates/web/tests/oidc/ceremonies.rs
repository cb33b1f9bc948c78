//! Ceremonies as browsers meet them: a flood of begun ones, one that is finished twenty times at once, one that another browser finishes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use usufruct_core::time::MINUTE;

use crate::site::{Answer, ISSUER, TestSite};
use crate::soft_passkey::{self, Held};

const REGISTER: &str = "/webauthn/register";
const SIGN_IN: &str = "/webauthn/sign-in";
const FREEZE: &str = "/webauthn/freeze";
const HERE: &str = "203.0.113.7:4000";

/// What a browser has of a ceremony that it began.
#[derive(Clone)]
struct Begun {
    cookie: String,
    ceremony: String,
    challenge: String,
    user: String,
}

async fn post(site: &TestSite, path: &str, from: SocketAddr, cookie: &str, body: &Value) -> Answer {
    let request = Request::post(path).header(COOKIE, cookie).header("sec-fetch-site", "same-origin");
    let mut request = request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap();
    request.extensions_mut().insert(ConnectInfo(from));
    site.send(request).await
}

async fn begin(site: &TestSite, path: &str, from: SocketAddr, cookie: &str, body: &Value) -> Begun {
    let answer = post(site, &format!("{path}/start"), from, cookie, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let set = answer.header(SET_COOKIE);
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = answer.json();
    Begun {
        cookie: set.split(';').next().unwrap().to_owned(),
        ceremony: text(&said["ceremony"]),
        challenge: text(&said["options"]["challenge"]),
        user: text(&said["options"]["user"]["id"]),
    }
}

async fn finish(site: &TestSite, path: &str, cookie: &str, ceremony: &str, credential: &Value) -> Answer {
    let body = json!({ "ceremony": ceremony, "credential": credential });
    post(site, &format!("{path}/finish"), HERE.parse().unwrap(), cookie, &body).await
}

/// A resident's passkey.
async fn enrolled(site: &TestSite) -> Held {
    let code = site.city.app.invite(site.city.enrol(1)[0], None).unwrap();
    let begun = begin(site, REGISTER, HERE.parse().unwrap(), "", &json!({ "code": code })).await;
    let (credential, held) = soft_passkey::make(ISSUER, &begun.challenge, &begun.user);
    let done = finish(site, REGISTER, &begun.cookie, &begun.ceremony, &credential).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    held
}

async fn sign_in(site: &TestSite) -> Begun {
    begin(site, SIGN_IN, HERE.parse().unwrap(), "", &json!({})).await
}

/// The ceremony with another letter at this place.
fn changed(ceremony: &str, at: usize) -> String {
    let other = if &ceremony[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &ceremony[..at], &ceremony[at + 1..])
}

fn opened(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.header(SET_COOKIE).starts_with("usufruct=")
}

#[tokio::test(flavor = "multi_thread")]
async fn ceremonies_begun_in_many_networks_push_out_none() {
    let site = Arc::new(TestSite::new());
    let passkey = enrolled(&site).await;
    let hers = sign_in(&site).await;
    // Hers is a carrier's that many share: more of it are under way than of any other, and hers is the oldest.
    for _ in 0..90 {
        sign_in(&site).await;
    }
    // From 250 networks 88 each, which is about what one may begin at once.
    let mut flood = JoinSet::new();
    for network in 0..250_u8 {
        let site = Arc::clone(&site);
        flood.spawn(async move {
            for _ in 0..88 {
                begin(&site, SIGN_IN, SocketAddr::from(([198, 51, network, 1], 4_000)), "", &json!({})).await;
            }
        });
    }
    flood.join_all().await;
    let answer = finish(&site, SIGN_IN, &hers.cookie, &hers.ceremony, &passkey.get(ISSUER, &hers.challenge)).await;
    assert!(opened(&answer), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_answers_to_one_ceremony_one_counts() {
    let site = Arc::new(TestSite::new());
    let passkey = Arc::new(enrolled(&site).await);
    let begun = sign_in(&site).await;
    // What does not prove itself uses nothing up.
    let wrong = finish(&site, SIGN_IN, &begun.cookie, &begun.ceremony, &passkey.get(ISSUER, "AAAA")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{}", wrong.text());
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let (site, passkey, begun) = (Arc::clone(&site), Arc::clone(&passkey), begun.clone());
        all.spawn(
            async move { finish(&site, SIGN_IN, &begun.cookie, &begun.ceremony, &passkey.get(ISSUER, &begun.challenge)).await },
        );
    }
    let answers = all.join_all().await;
    assert_eq!(answers.iter().filter(|answer| opened(answer)).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::BAD_REQUEST).count(), 19);
}

#[tokio::test]
async fn a_passkey_that_names_another_resident_or_none_signs_nobody_in() {
    let site = TestSite::new();
    let (hers, others) = (enrolled(&site).await, enrolled(&site).await);
    let begun = sign_in(&site).await;
    let mut proof = hers.get(ISSUER, &begun.challenge);
    let own = proof["response"]["userHandle"].clone();
    for user in [others.get(ISSUER, &begun.challenge)["response"]["userHandle"].clone(), json!(""), Value::Null] {
        proof["response"]["userHandle"] = user.clone();
        let answer = finish(&site, SIGN_IN, &begun.cookie, &begun.ceremony, &proof).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}: {}", answer.text());
    }
    proof["response"]["userHandle"] = own;
    assert!(opened(&finish(&site, SIGN_IN, &begun.cookie, &begun.ceremony, &proof).await));
}

#[tokio::test]
async fn a_ceremony_is_of_its_browser_its_kind_and_its_time() {
    let site = TestSite::new();
    let passkey = enrolled(&site).await;
    let (hers, thiefs) = (sign_in(&site).await, sign_in(&site).await);
    assert_ne!(hers.cookie, thiefs.cookie);
    let proof = passkey.get(ISSUER, &thiefs.challenge);
    for (what, cookie, ceremony) in [
        ("the ceremony of another browser", &hers.cookie, thiefs.ceremony.clone()),
        ("a browser that began none", &String::new(), thiefs.ceremony.clone()),
        ("another byte at the end", &thiefs.cookie, changed(&thiefs.ceremony, thiefs.ceremony.len() - 1)),
        ("another byte at the beginning", &thiefs.cookie, changed(&thiefs.ceremony, 0)),
        ("the ceremony that a challenge is not of", &hers.cookie, hers.ceremony.clone()),
    ] {
        let answer = finish(&site, SIGN_IN, cookie, &ceremony, &proof).await;
        assert!(matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED), "{what}: {}", answer.text());
        assert!(!opened(&answer), "{what}");
    }
    // A passkey is made in no ceremony of signing in.
    let (credential, _) = soft_passkey::make(ISSUER, &thiefs.challenge, "");
    let made = finish(&site, REGISTER, &thiefs.cookie, &thiefs.ceremony, &credential).await;
    assert_eq!(made.status, StatusCode::BAD_REQUEST, "{}", made.text());
    assert!(opened(&finish(&site, SIGN_IN, &thiefs.cookie, &thiefs.ceremony, &proof).await), "in its own browser it counts");

    // A second window of one browser keeps the first one's ceremony alive.
    let second = begin(&site, SIGN_IN, HERE.parse().unwrap(), &hers.cookie, &json!({})).await;
    assert_eq!(second.cookie, hers.cookie);
    assert!(opened(&finish(&site, SIGN_IN, &hers.cookie, &hers.ceremony, &passkey.get(ISSUER, &hers.challenge)).await));
    site.city.clock.advance(5 * MINUTE);
    let late = finish(&site, SIGN_IN, &second.cookie, &second.ceremony, &passkey.get(ISSUER, &second.challenge)).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "its time is over");
}

/// Freezing and signing in ask for the same passkey, so a page that begins the one gets no answer that does the other.
#[tokio::test]
async fn what_was_shown_to_freeze_signs_nobody_in_and_the_other_way_round() {
    let site = TestSite::new();
    let passkey = enrolled(&site).await;
    let here = HERE.parse().unwrap();
    for (asked, used) in [(FREEZE, SIGN_IN), (SIGN_IN, FREEZE)] {
        let begun = begin(&site, asked, here, "", &json!({})).await;
        let proof = passkey.get(ISSUER, &begun.challenge);
        let answer = finish(&site, used, &begun.cookie, &begun.ceremony, &proof).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{asked} as {used}: {}", answer.text());
        assert!(!opened(&answer), "{asked} as {used}");
    }
    let begun = sign_in(&site).await;
    let proof = passkey.get(ISSUER, &begun.challenge);
    assert!(opened(&finish(&site, SIGN_IN, &begun.cookie, &begun.ceremony, &proof).await), "nothing was frozen");
    let begun = begin(&site, FREEZE, here, "", &json!({})).await;
    let proof = passkey.get(ISSUER, &begun.challenge);
    let frozen = finish(&site, FREEZE, &begun.cookie, &begun.ceremony, &proof).await;
    assert_eq!((frozen.status, &frozen.json()["next"]), (StatusCode::OK, &json!("/freeze?done=yes")));
}
