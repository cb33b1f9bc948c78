//! Grants, asked about, changed and given back.

use axum::http::StatusCode;
use serde_json::Value;

use crate::checks::refused;
use crate::common::SERVICE;
use crate::site::{Answer, OTHER, TestSite};

async fn query(site: &TestSite, client: &str, id: &str) -> Answer {
    site.grant("GET", id, &site.own_token(client, "grant_management_query").await).await
}

async fn give_back(site: &TestSite, client: &str, id: &str) -> StatusCode {
    site.grant("DELETE", id, &site.own_token(client, "grant_management_revoke").await).await.status
}

pub async fn grant_life() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[("grant_management_action", "create")]).await;
    let id = answer["grant_id"].as_str().unwrap();
    let found = query(&site, SERVICE, id).await;
    assert_eq!((found.status, found.header("cache-control")), (StatusCode::OK, "no-store"));
    let words = found.json()["scopes"][0]["scope"].as_str().unwrap().to_owned();
    assert!(words.contains("openid") && words.contains("mdt_library-card"), "{words}");
    assert!(found.json()["authorization_details"][0]["mandate"].as_str().unwrap().starts_with("mdt_library-card@"));
    assert_eq!(give_back(&site, SERVICE, id).await, StatusCode::NO_CONTENT);
    assert_eq!(query(&site, SERVICE, id).await.status, StatusCode::NOT_FOUND);
    assert_eq!(give_back(&site, SERVICE, id).await, StatusCode::NOT_FOUND);
    assert_eq!(site.userinfo(answer["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    let refresh = site.refresh(answer["refresh_token"].as_str().unwrap(), &[]).await;
    refused(&refresh, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}

/// A grant under one mandate, then asked for another one with `action`: both token answers and the scope of the grant.
async fn changed(action: &str) -> (TestSite, Value, Value, String) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let first = site.token_answer(&cookie, &[("grant_management_action", "create")]).await;
    let id = first["grant_id"].as_str().unwrap();
    let changes = [("grant_management_action", action), ("grant_id", id), ("scope", "openid mdt_short")];
    let second = site.token_answer(&cookie, &changes).await;
    assert_eq!(second["grant_id"], id);
    let scope = query(&site, SERVICE, id).await.json()["scopes"][0]["scope"].as_str().unwrap().to_owned();
    (site, first, second, scope)
}

async fn only_the_later_refreshes(site: &TestSite, first: &Value, second: &Value) {
    let early = site.refresh(first["refresh_token"].as_str().unwrap(), &[]).await;
    refused(&early, StatusCode::BAD_REQUEST, &["invalid_grant"]);
    assert_eq!(site.refresh(second["refresh_token"].as_str().unwrap(), &[]).await.status, StatusCode::OK);
}

pub async fn grant_merged() {
    let (site, first, second, scope) = changed("merge").await;
    assert!(scope.contains("mdt_short") && scope.contains("mdt_library-card"), "{scope}");
    only_the_later_refreshes(&site, &first, &second).await;
}

pub async fn grant_replaced() {
    let (site, first, second, scope) = changed("replace").await;
    assert!(scope.contains("mdt_short") && !scope.contains("mdt_library-card"), "{scope}");
    only_the_later_refreshes(&site, &first, &second).await;
}

pub async fn grant_unknown() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    for action in ["merge", "replace"] {
        let changes = [("grant_management_action", action), ("grant_id", "ufg_unknown")];
        assert_eq!(site.authorize(&cookie, &changes).await.led_error(), "invalid_grant_id");
        assert_eq!(site.push_error(&[("grant_management_action", action)]).await, "invalid_grant_id");
    }
}

pub async fn grant_nonexistent() {
    let site = TestSite::new();
    assert_eq!(query(&site, SERVICE, "ufg_unknown").await.status, StatusCode::NOT_FOUND);
    let token = site.own_token(SERVICE, "release").await;
    assert_eq!(site.grant("GET", "ufg_unknown", &token).await.status, StatusCode::FORBIDDEN, "another scope");
}

pub async fn grant_of_another_asked() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let answer = query(&site, OTHER, answer["grant_id"].as_str().unwrap()).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::NOT_FOUND, 0));
}

pub async fn grant_of_another_revoked() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let id = answer["grant_id"].as_str().unwrap();
    assert_eq!(give_back(&site, OTHER, id).await, StatusCode::NOT_FOUND);
    assert_eq!(query(&site, SERVICE, id).await.status, StatusCode::OK);
    assert_eq!(site.userinfo(answer["access_token"].as_str().unwrap()).await.status, StatusCode::OK);
}
