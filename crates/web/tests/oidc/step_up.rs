//! Step-up at resources (RFC 9470): a token whose sign-in is too weak or too old is turned away with what is asked for, and the service gets on
//! by asking the resident for that.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use serde_json::{Value, json};
use usufruct_app::CardAttempt;
use usufruct_core::id::MandateId;
use usufruct_core::time::{MINUTE, SECOND};

use crate::common::{CARD, LIBRARY, SERVICE, library_card};
use crate::means::add_passkey;
use crate::site::{Answer, CALLBACK, OTHER, OTHER_CALLBACK, TestSite, claims_of, publish_body, publish_service};

const CAREFUL: &str = "mdt_careful";
const PASSKEY: &str = "urn:usufruct:acr:passkey";

/// A site whose library also works under a mandate with a block that asks for more than the others.
fn site(change: impl FnOnce(&mut Value)) -> TestSite {
    let site = TestSite::new();
    let mut careful = library_card();
    change(&mut careful);
    site.city.publish_mandate(CAREFUL, careful);
    publish_service(&site.city, SERVICE, CALLBACK, &[site.library.jwk()], "fapi2", &[CARD, CAREFUL]);
    site
}

/// The district may be used only where she signed in with a passkey.
fn district_by_passkey(mandate: &mut Value) {
    let blocks = mandate["blocks"].as_array_mut().unwrap();
    blocks.iter_mut().find(|block| block["block"] == "blk_district").unwrap()["means"] = json!("passkey");
}

fn within_five_minutes(mandate: &mut Value) {
    mandate["sign_in_within"] = json!("PT5M");
}

/// A resident in a session that a card opened.
fn cardholder(site: &TestSite) -> (u64, String) {
    let resident = site.city.enrol(1)[0];
    let code = site.city.app.issue_card(resident, "204817", None).unwrap();
    let attempt = CardAttempt { code, pin: "204817".to_owned().into(), device_mark: None };
    let token = site.city.app.sign_in_with_card(&attempt, None, "kiosk").unwrap().token;
    (resident, format!("usufruct={token}"))
}

fn ask(subject: &str, block: &str) -> Value {
    json!({ "subject": subject, "mandate": CAREFUL, "blocks": [{ "block": block, "form": "value" }], "reason": "lending" })
}

/// She agrees to everything on the page that asks her, and the service gets its tokens.
async fn tokens(site: &TestSite, resident: u64, cookie: &str, more: &[(&str, &str)]) -> (String, String) {
    agree(site, resident, cookie);
    let scope = format!("openid {CAREFUL}");
    site.tokens(cookie, &[&[("scope", scope.as_str())], more].concat()).await
}

/// She agrees to both blocks, in this session.
fn agree(site: &TestSite, resident: u64, cookie: &str) {
    let app = &site.city.app;
    let mandate: MandateId = CAREFUL.parse().unwrap();
    if app.grants(resident).unwrap().is_empty() {
        let session = app.session(cookie.trim_start_matches("usufruct=")).unwrap().unwrap();
        let actor = session.actor(&[]).unwrap();
        app.consent(actor, &SERVICE.parse().unwrap(), &mandate, &["blk_district".parse().unwrap()]).unwrap();
    }
}

/// What a challenge asks for.
fn challenged(answer: &Answer) -> (Option<String>, Option<String>) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    let header = answer.header("www-authenticate");
    assert!(header.starts_with("DPoP error=\"insufficient_user_authentication\", error_description=\""), "{header}");
    let member = |name: &str| Some(header.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
    (member("acr_values"), member("max_age"))
}

#[tokio::test]
async fn a_block_that_asks_for_a_passkey_is_not_given_to_a_sign_in_by_card() {
    let site = site(district_by_passkey);
    let (resident, cookie) = cardholder(&site);
    let (token, subject) = tokens(&site, resident, &cookie, &[]).await;
    let given = site.api("/api/releases", &token, &ask(&subject, "blk_name")).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    let refused = site.api("/api/releases", &token, &ask(&subject, "blk_district")).await;
    assert_eq!(challenged(&refused), (Some(PASSKEY.into()), None));
    let problem = refused.json();
    assert_eq!((&problem["clauses"][0]["clause"], &problem["acr_values"]), (&json!("sign-in"), &json!(PASSKEY)));
    let lines = site.city.app.footprint(resident).unwrap().lines;
    let last = lines.last().unwrap().event.clone().unwrap();
    assert_eq!(last.clause.as_deref(), Some("sign-in"), "she sees that it was tried");
    // The service asks for what the challenge names. She shows a passkey, and the same use is permitted.
    add_passkey(&site, resident);
    let scope = format!("openid {CAREFUL}");
    let asked = site.pushed(&[("scope", &scope), ("acr_values", PASSKEY)]).await;
    assert!(site.get(&asked, &cookie).await.header(LOCATION).starts_with("/sign-in?next="));
    let cookie = site.sign_in(resident);
    let code = site.get(&asked, &cookie).await.led("code").unwrap();
    let answer = site.exchange(&code).await.json();
    assert_eq!(claims_of(answer["id_token"].as_str().unwrap())["acr"], PASSKEY);
    let token = answer["access_token"].as_str().unwrap();
    let given = site.api("/api/releases", token, &ask(&subject, "blk_district")).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    assert_eq!(given.json()["blocks"][0]["block"], "blk_district");
}

#[tokio::test]
async fn the_service_s_own_token_counts_as_much_as_the_sign_in_in_which_she_agreed() {
    let site = site(district_by_passkey);
    for (opened_by_card, permitted) in [(true, false), (false, true)] {
        let (resident, cookie) = if opened_by_card { cardholder(&site) } else { site.resident() };
        let (_, subject) = tokens(&site, resident, &cookie, &[]).await;
        let own = site.client_token().await;
        assert_eq!(site.api("/api/releases", &own, &ask(&subject, "blk_name")).await.status, StatusCode::OK);
        let answer = site.api("/api/releases", &own, &ask(&subject, "blk_district")).await;
        if permitted {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        } else {
            assert_eq!(challenged(&answer), (Some(PASSKEY.into()), None));
        }
    }
}

#[tokio::test]
async fn a_mandate_may_ask_for_a_sign_in_of_these_minutes() {
    let site = site(within_five_minutes);
    let (resident, cookie) = site.resident();
    site.city.clock.advance(4 * MINUTE);
    let (token, subject) = tokens(&site, resident, &cookie, &[]).await;
    let use_now = async |token: &str| site.api("/api/releases", token, &ask(&subject, "blk_name")).await;
    assert_eq!(use_now(&token).await.status, StatusCode::OK);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    site.city.clock.advance(MINUTE);
    assert_eq!(use_now(&token).await.status, StatusCode::OK, "five minutes are five minutes");
    site.city.clock.advance(SECOND);
    assert_eq!(challenged(&use_now(&token).await), (None, Some("300".into())));
    assert_eq!(challenged(&site.userinfo(&token).await), (None, Some("300".into())));
    // Nor does the token of the service's own help, once she agreed too long ago. In a batch each line says what is asked.
    site.city.clock.advance(4 * MINUTE);
    let own = site.client_token().await;
    assert_eq!(challenged(&use_now(&own).await), (None, Some("300".into())));
    let mut many = ask(&subject, "blk_name");
    many["subjects"] = json!([many.as_object_mut().unwrap().remove("subject").unwrap()]);
    let lines = site.api("/api/releases/batch", &own, &many).await.json()["lines"].clone();
    assert_eq!((&lines[0]["problem"]["clauses"][0]["clause"], &lines[0]["problem"]["max_age"]), (&json!("sign-in"), &json!(300)));
    // The session is too old for a request under this mandate, whether it says so itself or not.
    let scope = format!("openid {CAREFUL}");
    for more in [vec![("max_age", "300")], vec![]] {
        let step = site.authorize(&cookie, &[&[("scope", scope.as_str())], &more[..]].concat()).await;
        assert!(step.header(LOCATION).starts_with("/sign-in?next="), "{more:?}: {}", step.header(LOCATION));
        let silent = site.authorize(&cookie, &[&[("scope", scope.as_str()), ("prompt", "none")], &more[..]].concat()).await;
        assert_eq!(silent.led_error(), "login_required");
    }
    let (token, _) = tokens(&site, resident, &site.sign_in(resident), &[("max_age", "300")]).await;
    assert_eq!(use_now(&token).await.status, StatusCode::OK);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_service_may_ask_for_itself() {
    let site = TestSite::new();
    let (resident, cookie) = cardholder(&site);
    let scope = [("scope", "openid")];
    let (token, _) = site.tokens(&cookie, &scope).await;
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    let text = |en: &str| json!({ "en": en, "zh-Hant": format!("{en}（中文）") });
    let body = json!({
        "agency": LIBRARY, "name": text("library"), "sector": "library", "redirect_uris": [CALLBACK], "channels": ["web"],
        "alternatives": [text("Ask at the counter.")], "mandates": [CARD], "help": text("Lends books."), "jwks": [site.library.jwk()],
        "means": "passkey", "sign_in_within": "PT1H",
    });
    publish_body(&site.city, SERVICE, body);
    assert_eq!(challenged(&site.userinfo(&token).await), (Some(PASSKEY.into()), Some("3600".into())));
    assert_eq!(site.authorize(&cookie, &scope).await.led_error(), "unmet_authentication_requirements");
    let (token, _) = site.tokens(&site.sign_in(resident), &scope).await;
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    let page = site.get(&format!("/register/services/{SERVICE}"), "").await;
    assert!(page.text().contains("Signed in no longer ago than") && page.text().contains("Passkey"), "{}", page.text());
}

#[tokio::test]
async fn a_token_that_a_resident_gave_is_for_her_and_for_what_she_gave_it_for() {
    let site = site(district_by_passkey);
    let (resident, cookie) = site.resident();
    let (token, subject) = tokens(&site, resident, &cookie, &[]).await;
    let (other, other_cookie) = site.resident();
    let (_, other_subject) = tokens(&site, other, &other_cookie, &[]).await;
    let foreign = site.api("/api/releases", &token, &ask(&other_subject, "blk_name")).await;
    assert_eq!((foreign.status, foreign.json()["type"].clone()), (StatusCode::NOT_FOUND, json!("urn:usufruct:problem:unknown")));
    let mut elsewhere = ask(&subject, "blk_name");
    elsewhere["mandate"] = json!(CARD);
    let narrow = site.api("/api/releases", &token, &elsewhere).await;
    assert_eq!(narrow.status, StatusCode::FORBIDDEN);
    assert!(narrow.header("www-authenticate").starts_with("DPoP error=\"insufficient_scope\""));
    // Batches and notices of deletion are for the service's own token.
    let mut many = ask(&subject, "blk_name");
    many["subjects"] = json!([many.as_object_mut().unwrap().remove("subject").unwrap()]);
    assert_eq!(site.api("/api/releases/batch", &token, &many).await.status, StatusCode::UNAUTHORIZED);
    // After a withdrawal it opens nothing.
    site.city.app.withdraw(resident, &CAREFUL.parse().unwrap()).unwrap();
    assert_eq!(site.api("/api/releases", &token, &ask(&subject, "blk_name")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn deposits_and_conversions_ask_for_it_too() {
    let site = TestSite::new();
    let mut careful = library_card();
    within_five_minutes(&mut careful);
    careful["operations"] = json!(["collect", "deposit", "match"]);
    careful["conversions"] =
        json!([{ "from": SERVICE, "to": OTHER, "why": { "en": "They share a desk.", "zh-Hant": "共用櫃台。" } }]);
    site.city.publish_mandate(CAREFUL, careful);
    publish_service(&site.city, SERVICE, CALLBACK, &[site.library.jwk()], "fapi2", &[CARD, CAREFUL]);
    publish_service(&site.city, OTHER, OTHER_CALLBACK, &[site.second.jwk()], "fapi2", &[CARD, CAREFUL]);
    let (resident, cookie) = site.resident();
    let (token, subject) = tokens(&site, resident, &cookie, &[]).await;
    let deposit = json!({ "subject": subject, "mandate": CAREFUL, "block": "blk_name", "value": "A book", "reason": "lending" });
    let convert = json!({ "subjects": [subject], "to": OTHER, "mandate": CAREFUL, "reason": "lending" });
    let converted = async |token: &str| site.api("/api/conversions", token, &convert).await.json()["lines"][0].clone();
    let given = site.api("/api/deposits", &token, &deposit).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    assert!(converted(&token).await["converted"].is_string());
    site.city.clock.advance(5 * MINUTE - SECOND);
    // The token lives as long as this; a newer one has the same old sign-in.
    let (token, _) = tokens(&site, resident, &cookie, &[]).await;
    site.city.clock.advance(2 * SECOND);
    assert_eq!(challenged(&site.api("/api/deposits", &token, &deposit).await), (None, Some("300".into())));
    assert_eq!(converted(&token).await["problem"]["max_age"], 300);
    let (token, _) = tokens(&site, resident, &site.sign_in(resident), &[("max_age", "300")]).await;
    assert_eq!(site.api("/api/deposits", &token, &deposit).await.status, StatusCode::OK);
    assert!(converted(&token).await["converted"].is_string());
}

/// What her browser needs to search the log outlasts her session, so the page hands it out only to whom has just signed in; the file takes a passkey.
#[tokio::test]
async fn the_key_to_her_lines_leaves_within_five_minutes_of_a_sign_in() {
    let site = TestSite::new();
    let (_, by_passkey) = site.resident();
    let (_, by_card) = cardholder(&site);
    for cookie in [&by_passkey, &by_card] {
        let page = site.get("/me/footprint", cookie).await;
        assert!(page.text().contains("\"tagKey\""), "{}", page.text());
        assert!(!page.text().contains("prove-again"));
        assert!(site.get("/me/footprint/sealed", cookie).await.text().contains("\"seed\""));
    }
    assert_eq!(site.get("/me/footprint.json", &by_passkey).await.status, StatusCode::OK);
    assert_eq!(site.get("/me/footprint.json", &by_card).await.status, StatusCode::SEE_OTHER);

    site.city.clock.advance(5 * MINUTE + SECOND);
    for cookie in [&by_passkey, &by_card] {
        let page = site.get("/me/footprint", cookie).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text().contains("prove-again"), "{}", page.text());
        assert!(!page.text().contains("tagKey") && !page.text().contains("footprint-data"), "{}", page.text());
        assert_eq!(site.get("/me/footprint.json", cookie).await.status, StatusCode::SEE_OTHER);
        let sealed = site.get("/me/footprint/sealed", cookie).await;
        assert!(sealed.status != StatusCode::OK && !sealed.text().contains("seed"), "{}", sealed.text());
    }
}
