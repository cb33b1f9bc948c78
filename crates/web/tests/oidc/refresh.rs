//! Refresh tokens: for their service and key alone, and no longer than what she agreed to.

use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_app::store::residents::ResidentState;
use usufruct_core::Text;
use usufruct_core::time::{DAY, SECOND};

use crate::common::{LIBRARY, SERVICE, mandate};
use crate::site::{Answer, Key, LOGIN, OTHER, TestSite};

fn dead(answer: &Answer, why: &str) {
    assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{why}");
}

async fn refresh_token(site: &TestSite, cookie: &str, changes: &[(&str, &str)]) -> String {
    site.token_answer(cookie, changes).await["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_may_ask_for_less_and_never_for_more() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[]).await;
    let less = site.refresh(&token, &[("scope", "openid")]).await.json();
    assert_eq!((&less["scope"], less.get("authorization_details")), (&json!("openid"), None));
    let without = site.refresh(&token, &[("scope", "mdt_library-card")]).await.json();
    assert!(without.get("id_token").is_none() && without.get("access_token").is_some(), "without openid it is no sign-in");
    let denied = site.userinfo(without["access_token"].as_str().unwrap()).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    assert!(denied.header("www-authenticate").contains("error=\"insufficient_scope\", scope=\"openid\""));
    let all = site.refresh(&token, &[]).await.json();
    assert_eq!(all["scope"], "openid mdt_library-card", "asking for less once takes nothing away");
    for more in ["openid mdt_short", "openid mdt_library-card release", "profile"] {
        assert_eq!(site.refresh(&token, &[("scope", more)]).await.oauth_error(), "invalid_scope", "{more}");
    }
    let narrow = refresh_token(&site, &cookie, &[("scope", "openid")]).await;
    let wider = site.refresh(&narrow, &[("scope", "openid mdt_library-card")]).await;
    assert_eq!(wider.oauth_error(), "invalid_scope");
}

#[tokio::test]
async fn another_key_or_service_gets_nothing_from_it() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[]).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    dead(&site.oauth_as(OTHER, "/oidc/token", &form).await, "another service");
    dead(&site.oauth_as(LOGIN, "/oidc/token", &form).await, "a service that only signs in");
    let thief = Key::new("thief").prove(&site.proof_claims("POST", "/oidc/token"));
    dead(&site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[&thief]).await, "another key");
    let unproven = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[]).await;
    assert_eq!(unproven.oauth_error(), "invalid_dpop_proof");
    assert_eq!(site.refresh(&token, &[]).await.status, StatusCode::OK);
    let access = site.refresh(&token, &[]).await.json()["access_token"].as_str().unwrap().to_owned();
    dead(&site.refresh(&access, &[]).await, "an access token");
    let request = site.bearing("GET", "/oidc/userinfo", &token).body(axum::body::Body::empty()).unwrap();
    assert_eq!(site.send(request).await.status, StatusCode::UNAUTHORIZED, "it opens nothing itself");
    assert_eq!(site.introspect(SERVICE, &token).await, json!({ "active": false }));
}

#[tokio::test]
async fn it_ends_with_what_she_agreed_to() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[]).await;
    site.city.app.withdraw(resident, &mandate()).unwrap();
    dead(&site.refresh(&token, &[]).await, "she withdrew");
    dead(&site.refresh(&token, &[("scope", "openid")]).await, "she withdrew, and less is not more than nothing");

    let token = refresh_token(&site, &cookie, &[]).await;
    site.city.app.sign_out_everywhere(resident).unwrap();
    dead(&site.refresh(&token, &[]).await, "she signed out everywhere");

    let cookie = site.sign_in(resident);
    let token = refresh_token(&site, &cookie, &[]).await;
    let code = site.code(&cookie, &[("scope", "openid")]).await;
    site.city.app.set_active(resident, ResidentState::Deactivated).unwrap();
    dead(&site.exchange(&code).await, "she deactivated her pass while a code was on its way");
    dead(&site.refresh(&token, &[]).await, "she deactivated her pass");
    dead(&site.refresh(&token, &[("scope", "openid")]).await, "she deactivated her pass");

    let (resident, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[("scope", "openid")]).await;
    site.city.app.delete_resident(resident).unwrap();
    dead(&site.refresh(&token, &[]).await, "she deleted her pass");
}

#[tokio::test]
async fn what_she_pauses_is_left_out_until_she_resumes_it() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let both = "openid mdt_library-card mdt_short";
    let answer = site.token_answer(&cookie, &[("scope", both)]).await;
    let (token, access) = (answer["refresh_token"].as_str().unwrap(), answer["access_token"].as_str().unwrap());
    let told = |answer: &Value| {
        let details = answer["authorization_details"].as_array().map_or(0, Vec::len);
        (answer["scope"].as_str().unwrap().to_owned(), details)
    };
    assert_eq!(told(&site.introspect(SERVICE, access).await), (both.to_owned(), 2));
    site.city.app.pause(resident, &mandate()).unwrap();
    let rest = ("openid mdt_short".to_owned(), 1);
    assert_eq!(told(&site.introspect(SERVICE, access).await), rest);
    let narrow = site.refresh(token, &[]).await;
    assert_eq!(narrow.status, StatusCode::OK, "{}", narrow.text());
    assert_eq!(told(&narrow.json()), rest);
    let narrow = narrow.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(told(&site.introspect(SERVICE, &narrow).await), rest);
    assert_eq!(site.userinfo(&narrow).await.status, StatusCode::OK);
    let alone = site.refresh(token, &[("scope", "openid mdt_library-card")]).await.json();
    assert_eq!(told(&alone), ("openid".to_owned(), 0));
    assert_eq!(
        site.refresh(token, &[("scope", "mdt_library-card")]).await.oauth_error(),
        "invalid_scope",
        "nothing is left of it"
    );
    site.city.app.resume(resident, &mandate()).unwrap();
    assert_eq!(told(&site.introspect(SERVICE, &narrow).await), rest, "a token is good for no more than it was given for");
    assert_eq!(told(&site.introspect(SERVICE, access).await), (both.to_owned(), 2));
    assert_eq!(told(&site.refresh(token, &[]).await.json()), (both.to_owned(), 2));
}

#[tokio::test]
async fn it_ends_with_its_mandate() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[("scope", "openid mdt_short")]).await;
    site.city.clock.advance(8 * DAY);
    assert_eq!(site.refresh(&token, &[]).await.status, StatusCode::OK, "no idle end");
    site.city.clock.advance(DAY);
    dead(&site.refresh(&token, &[]).await, "the sunset");
    let (_, cookie) = site.resident();
    let token = refresh_token(&site, &cookie, &[]).await;
    site.city.app.end_mandate(&mandate(), &site.city.signer(LIBRARY), Text::new("No longer needed.", "已無必要。")).unwrap();
    dead(&site.refresh(&token, &[]).await, "the agency ended it");
}

#[tokio::test]
async fn revoking_it_ends_what_came_from_it() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let (token, id) = (answer["refresh_token"].as_str().unwrap(), answer["grant_id"].as_str().unwrap());
    let fresh = site.refresh(token, &[]).await.json();
    assert_eq!(site.oauth_as(OTHER, "/oidc/revoke", &[("token", token)]).await.status, StatusCode::OK);
    assert_eq!(site.refresh(token, &[]).await.status, StatusCode::OK, "a stranger cannot revoke it");
    assert_eq!(site.oauth("/oidc/revoke", &[("token", token)]).await.status, StatusCode::OK);
    dead(&site.refresh(token, &[]).await, "revoked");
    for tokens in [&answer, &fresh] {
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(site.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    }
    let query = site.own_token(SERVICE, "grant_management_query").await;
    assert_eq!(site.grant("GET", id, &query).await.status, StatusCode::OK, "the grant stays");
}

#[tokio::test]
async fn a_replayed_assertion_or_proof_wastes_nothing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    let (assertion, proof) = (site.assertion(SERVICE), site.proof("POST", "/oidc/token", None));
    let own = [("grant_type", "client_credentials"), ("scope", "release")];
    assert_eq!(site.oauth_proving(&assertion, "/oidc/token", &own, &[&proof]).await.status, StatusCode::OK);
    let form = crate::site::exchange_form(&code);
    let fresh_proof = site.proof("POST", "/oidc/token", None);
    let replayed = site.oauth_proving(&assertion, "/oidc/token", &form, &[&fresh_proof]).await;
    assert_eq!(replayed.oauth_error(), "invalid_client");
    let replayed = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &form, &[&proof]).await;
    assert_eq!(replayed.oauth_error(), "invalid_dpop_proof");
    let answer = site.exchange(&code).await;
    assert_eq!(answer.status, StatusCode::OK, "whoever replays cannot burn a code");
    let token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke"] {
        let replayed = site.oauth_proving(&assertion, path, &refresh, &[&site.proof("POST", path, None)]).await;
        let error = replayed.oauth_error();
        assert!(["invalid_client", "invalid_request"].contains(&error.as_str()), "{path}: {error}");
    }
    site.city.clock.advance(2 * SECOND);
    let answer: Value = site.refresh(&token, &[]).await.json();
    assert_eq!(answer["refresh_token"], token.as_str());
}
