//! Grants: what a service may ask for, what she granted, and who may end it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_core::grant::GrantState;
use usufruct_core::time::DAY;

use crate::common::{CARD, SERVICE, block, mandate};
use crate::site::{OTHER, TestSite};

const TYPE: &str = "https://usufruct.org/rar/use-v1";

#[tokio::test]
async fn what_was_granted_comes_back_narrowed() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let wanted = json!([{ "type": TYPE, "mandate": CARD, "datatypes": ["blk_name"], "actions": ["read"] }]).to_string();
    let page = site.authorize(&cookie, &[("scope", "openid"), ("authorization_details", &wanted)]).await;
    assert!(!page.text().contains("optional_blk_district"), "what is not wanted is not offered");
    let sneaked = site.decide(&cookie, &page, &[("decision", "agree"), ("optional_blk_district", "yes")]).await;
    assert!(sneaked.status.is_client_error());
    let answer = site.decide(&cookie, &page, &[("decision", "agree")]).await;
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    let granted = &tokens["authorization_details"][0];
    assert_eq!((&granted["type"], &granted["datatypes"]), (&json!(TYPE), &json!(["blk_name"])));
    let register = site.city.app.register();
    assert_eq!(granted["mandate"], format!("{CARD}@{}", register.mandates[&mandate()].hash));
    assert_eq!(site.city.app.grants(resident).unwrap()[0].grant.blocks, [block("name")]);
    let introspected = site.introspect(SERVICE, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(introspected["authorization_details"], tokens["authorization_details"]);
}

#[tokio::test]
async fn details_that_the_mandate_does_not_know_are_refused() {
    let site = TestSite::new();
    let lawful = json!({ "type": TYPE, "mandate": CARD, "datatypes": ["blk_name"] });
    let with = |name: &str, value: Value| {
        let mut detail = lawful.clone();
        detail[name] = value;
        json!([detail]).to_string()
    };
    let many = json!(vec![lawful.clone(); 11]).to_string();
    let wrong = [
        "nonsense".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "[1]".to_owned(),
        many,
        format!("[{}]", " ".repeat(9_000)),
        with("type", json!("payment_initiation")),
        with("type", Value::Null),
        with("mandate", json!("mdt_nothing")),
        with("mandate", json!(format!("{CARD}@{}", "0".repeat(64)))),
        with("datatypes", json!(["blk_income"])),
        with("actions", json!(["read", "write"])),
        with("locations", json!(["https://evil.example/"])),
        with("more", json!(1)),
    ];
    for details in wrong {
        let error = site.push_error(&[("authorization_details", &details)]).await;
        assert_eq!(error, "invalid_authorization_details", "{details}");
    }
    let elsewhere = json!([{ "type": TYPE, "mandate": "mdt_short" }]).to_string();
    let changes = [("client_id", OTHER), ("redirect_uri", crate::site::OTHER_CALLBACK), ("scope", "openid")];
    let mut changes = changes.to_vec();
    changes.push(("authorization_details", &elsewhere));
    assert_eq!(site.push_error(&changes).await, "invalid_authorization_details", "a mandate of another service");
    // Each by itself, two details about one mandate are both of them.
    let (_, cookie) = site.resident();
    let two = json!([lawful, { "type": TYPE, "mandate": CARD, "datatypes": ["blk_district"] }]).to_string();
    let page = site.authorize(&cookie, &[("scope", "openid"), ("authorization_details", &two)]).await;
    assert!(page.text().contains("optional_blk_district"), "{}", page.text());
}

#[tokio::test]
async fn only_the_right_token_of_its_service_asks_about_a_grant() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[]).await;
    let (id, of_resident) = (answer["grant_id"].as_str().unwrap(), answer["access_token"].as_str().unwrap());
    assert!(id.starts_with("ufg_") && !answer["id_token"].as_str().unwrap().contains(id));
    let [query, revoke, release] = ["grant_management_query", "grant_management_revoke", "release"];
    for (method, scope) in [("GET", revoke), ("GET", release), ("DELETE", query), ("DELETE", release)] {
        let token = site.own_token(SERVICE, scope).await;
        let denied = site.grant(method, id, &token).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{method} {scope}");
        let wanted = if method == "GET" { query } else { revoke };
        let challenge = denied.header("www-authenticate");
        assert!(challenge.contains(&format!("error=\"insufficient_scope\", scope=\"{wanted}\"")), "{challenge}");
    }
    for method in ["GET", "DELETE"] {
        let denied = site.grant(method, id, of_resident).await;
        assert_eq!(denied.status, StatusCode::UNAUTHORIZED, "{method}");
        assert!(denied.header("www-authenticate").contains("error=\"invalid_token\""));
        let token = site.own_token(OTHER, "grant_management_query grant_management_revoke").await;
        let foreign = site.grant(method, id, &token).await;
        let unknown = site.grant(method, "ufg_unknown", &token).await;
        assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body), "the two are not told apart");
        assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(site.userinfo(of_resident).await.status, StatusCode::OK, "nothing happened");
}

#[tokio::test]
async fn what_a_service_gives_back_it_has_no_more() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (own, others) = (site.token_answer(&cookie, &[]).await, site.other_token_answer(&cookie).await);
    let subject = crate::site::claims_of(own["id_token"].as_str().unwrap())["sub"].clone();
    let release = site.client_token().await;
    let body =
        json!({"subject": subject, "mandate": CARD, "blocks": [{"block": "blk_name", "form": "value"}], "reason": "lending"});
    assert_eq!(site.api("/api/releases", &release, &body).await.status, StatusCode::OK);

    let token = site.own_token(SERVICE, "grant_management_revoke").await;
    assert_eq!(site.grant("DELETE", own["grant_id"].as_str().unwrap(), &token).await.status, StatusCode::NO_CONTENT);
    let denied = site.api("/api/releases", &release, &body).await;
    assert_eq!((denied.status, denied.json()["clauses"][0]["clause"].as_str()), (StatusCode::FORBIDDEN, Some("authorization")));
    assert_eq!(site.userinfo(own["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.refresh(own["refresh_token"].as_str().unwrap(), &[]).await.oauth_error(), "invalid_grant");

    // Nothing else ends: not what she agreed to, nor what another service holds.
    assert_eq!(site.city.app.grants(resident).unwrap()[0].grant.state, GrantState::Given);
    let query = site.own_token(OTHER, "grant_management_query").await;
    assert_eq!(site.grant("GET", others["grant_id"].as_str().unwrap(), &query).await.status, StatusCode::OK);
    let page = site.get("/me/footprint", &cookie).await;
    assert!(page.text().contains("The service gave back your authorization") && !page.text().contains("You withdrew"));
    assert!(site.get("/me/footprint?lang=zh-Hant", &cookie).await.text().contains("服務已交回您給的授權"));

    // When she comes again it is for her to let it in again, and what she agreed to stands meanwhile.
    assert_eq!(site.authorize(&cookie, &[("prompt", "none")]).await.led_error(), "consent_required");
    let again = site.token_answer(&cookie, &[]).await;
    assert_ne!(again["grant_id"], own["grant_id"]);
    assert_eq!(site.api("/api/releases", &release, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_service_cannot_end_what_was_lent_to_another() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let own = site.token_answer(&cookie, &[]).await;
    let others = site.other_token_answer(&cookie).await;
    let (id, subject) =
        (others["grant_id"].as_str().unwrap(), crate::site::claims_of(own["id_token"].as_str().unwrap())["sub"].clone());
    let token = site.own_token(OTHER, "grant_management_revoke").await;
    assert_eq!(site.grant("DELETE", id, &token).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.userinfo(own["access_token"].as_str().unwrap()).await.json()["sub"], subject);
    assert_eq!(site.refresh(own["refresh_token"].as_str().unwrap(), &[]).await.status, StatusCode::OK);
    assert_eq!(site.city.app.grants(resident).unwrap()[0].grant.state, GrantState::Given);
    let query = site.own_token(OTHER, "grant_management_query").await;
    assert_eq!(site.grant("GET", id, &query).await.status, StatusCode::NOT_FOUND, "what the other one had is gone");
    let borne = site.bearing("GET", "/oidc/userinfo", others["access_token"].as_str().unwrap());
    assert_eq!(site.send(borne.body(axum::body::Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_grant_of_another_resident_is_not_hers_to_change() {
    let site = TestSite::new();
    let (_, first) = site.resident();
    let (_, second) = site.resident();
    site.code(&second, &[]).await;
    let id = site.token_answer(&first, &[]).await["grant_id"].as_str().unwrap().to_owned();
    for action in ["merge", "replace"] {
        let changes = [("grant_management_action", action), ("grant_id", id.as_str())];
        assert_eq!(site.authorize(&second, &changes).await.led_error(), "invalid_grant_id", "{action}");
    }
    let query = site.own_token(SERVICE, "grant_management_query").await;
    assert_eq!(site.grant("GET", &id, &query).await.status, StatusCode::OK);
}

/// Its row is there until it is swept away.
#[tokio::test]
async fn a_grant_that_has_ended_is_none_to_change() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let ended = site.token_answer(&cookie, &[("scope", "openid mdt_short")]).await["grant_id"].as_str().unwrap().to_owned();
    site.city.clock.advance(9 * DAY);
    let cookie = site.sign_in(resident);
    let next = site.token_answer(&cookie, &[]).await["grant_id"].as_str().unwrap().to_owned();
    assert_ne!(next, ended);
    for action in ["merge", "replace"] {
        let changes = [("grant_management_action", action), ("grant_id", ended.as_str())];
        let answer = site.authorize(&cookie, &changes).await;
        assert_eq!((answer.led_error().as_str(), answer.led("code")), ("invalid_grant_id", None), "{action}");
    }
    // What is asked without a word about it goes on with the one that lives.
    assert_eq!(site.token_answer(&cookie, &[]).await["grant_id"], next);
}

#[tokio::test]
async fn a_grant_ends_by_itself_and_by_her() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let short = site.token_answer(&cookie, &[("scope", "openid mdt_short")]).await["grant_id"].as_str().unwrap().to_owned();
    let create = [("grant_management_action", "create")];
    let long = site.token_answer(&cookie, &create).await["grant_id"].as_str().unwrap().to_owned();
    assert_ne!(short, long);
    site.city.app.withdraw(resident, &mandate()).unwrap();
    site.city.clock.advance(9 * DAY);
    let query = site.own_token(SERVICE, "grant_management_query").await;
    for id in [short, long] {
        assert_eq!(site.grant("GET", &id, &query).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_withdrawal_ends_the_other_grants_of_the_domain() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let create = ("grant_management_action", "create");
    let card = site.token_answer(&cookie, &[create]).await;
    let short = site.token_answer(&cookie, &[create, ("scope", "openid mdt_short")]).await;
    let elsewhere = site.other_token_answer(&cookie).await;
    assert_ne!(card["grant_id"], short["grant_id"]);
    let subject = |answer: &Value| crate::site::claims_of(answer["id_token"].as_str().unwrap())["sub"].clone();
    assert_eq!(subject(&card), subject(&short));
    site.city.app.withdraw(resident, &"mdt_short".parse().unwrap()).unwrap();
    let query = site.own_token(SERVICE, "grant_management_query").await;
    for held in [&card, &short] {
        let refreshed = site.refresh(held["refresh_token"].as_str().unwrap(), &[]).await;
        assert_eq!((refreshed.status, refreshed.oauth_error()), (StatusCode::BAD_REQUEST, "invalid_grant".to_owned()));
        assert_eq!(site.userinfo(held["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
        let introspected = site.introspect(SERVICE, held["access_token"].as_str().unwrap()).await;
        assert_eq!(introspected, json!({ "active": false }));
        assert_eq!(site.grant("GET", held["grant_id"].as_str().unwrap(), &query).await.status, StatusCode::NOT_FOUND);
    }
    let other = site.introspect(OTHER, elsewhere["access_token"].as_str().unwrap()).await;
    assert_eq!((&other["active"], &other["sub"]), (&json!(true), &subject(&elsewhere)));
    // What she agreed to under the other mandate stands, and she is another person there.
    assert!(site.authorize(&cookie, &[create]).await.text().contains("You have agreed to this before"));
    let next = site.token_answer(&cookie, &[create]).await;
    assert_ne!(subject(&next), subject(&card));
}
