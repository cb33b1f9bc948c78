//! What a service gets depends on what the register says at that moment: on the contract it works by, and on orders about it.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;

use crate::common::{CARD, LIBRARY, SERVICE, VENDOR, WATCH, library_card, text};
use crate::site::{TestSite, exchange_form};
use crate::vendors::{CONTRACT, THEIRS, step, supervise};

const SHORT: &str = "mdt_short";

/// What a service has of a resident: introspection, userinfo, a refresh, and the scope that its authorization is good for.
async fn held(site: &TestSite, client: &str, tokens: &Value) -> (bool, bool, bool, String) {
    let access = tokens["access_token"].as_str().unwrap();
    let is_active = site.introspect(client, access).await["active"] == true;
    let is_known = site.userinfo(access).await.status == StatusCode::OK;
    let refreshed = refresh(site, client, tokens, None).await.is_ok();
    let query = site.own_token(client, "grant_management_query").await;
    let grant = site.grant("GET", tokens["grant_id"].as_str().unwrap(), &query).await.json();
    (is_active, is_known, refreshed, grant["scopes"][0]["scope"].as_str().unwrap_or_default().to_owned())
}

async fn refresh(site: &TestSite, client: &str, tokens: &Value, scope: Option<&str>) -> Result<Value, String> {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    form.extend(scope.map(|scope| ("scope", scope)));
    let answer = site.oauth_as(client, "/oidc/token", &form).await;
    if answer.status == StatusCode::OK { Ok(answer.json()) } else { Err(answer.oauth_error()) }
}

async fn tokens(site: &TestSite, client: &str, cookie: &str, scope: &str) -> Value {
    let code = site.code(cookie, &[("client_id", client), ("scope", scope)]).await;
    let answer = site.oauth_as(client, "/oidc/token", &exchange_form(&code)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

fn all(scope: &str) -> (bool, bool, bool, String) {
    (true, true, true, scope.to_owned())
}

fn nothing() -> (bool, bool, bool, String) {
    (false, false, false, String::new())
}

/// Whoever is sent there reads that the service is suspended, since when, and where else to go, in her language.
async fn says_suspended(site: &TestSite, request: &str, cookie: &str, service: &str) {
    let day = site.city.app.now().to_string()[..10].to_owned();
    for (language, word, shown) in [("en", "suspended", day.as_str()), ("zh-Hant", "停權", "2026")] {
        let page = site.get(&format!("{request}&lang={language}"), cookie).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text());
        assert_eq!(page.led("code"), None);
        let text = page.text();
        assert!(text.contains(word) && text.contains(shown) && text.contains(&format!("/register/services/{service}")), "{text}");
        assert!(!text.contains("not registered"), "{text}");
    }
}

fn order(site: &TestSite, id: &str, target: &str, kind: Value) {
    let mut body = json!({"body": WATCH, "target": target, "reasons": text("It goes beyond its purpose.")});
    kind.as_object().unwrap().iter().for_each(|(field, value)| body[field] = value.clone());
    site.city.watch(StatementKind::Order, id, body, &site.city.watchers()).unwrap();
}

/// A site with the service of a vendor, which has the key of the library's.
fn site_with_vendor() -> TestSite {
    let site = TestSite::new();
    supervise(&site.city);
    site.city.publish_watch();
    let register = site.city.app.register();
    let mut card = serde_json::to_value(&register.mandates[&CARD.parse().unwrap()].body).unwrap();
    card["oversight_body"] = json!(WATCH);
    site.city.publish_mandate(CARD, card);
    let mut body = serde_json::to_value(&register.services[&THEIRS.parse().unwrap()].body).unwrap();
    body["jwks"] = json!([site.library.jwk()]);
    site.city.publish(StatementKind::Service, THEIRS, VENDOR, body);
    site
}

#[tokio::test]
async fn a_vendor_gets_nothing_while_its_contract_does_not_bind() {
    let site = site_with_vendor();
    let scope = format!("openid {CARD}");
    let [(_, cookie), (_, signed_in), (_, waiting), (_, new)] = [(); 4].map(|()| site.resident());
    let (lent, met) = (tokens(&site, THEIRS, &cookie, &scope).await, tokens(&site, THEIRS, &signed_in, "openid").await);
    let begun = site.pushed(&[("client_id", THEIRS), ("scope", "openid")]).await;
    for is_by_order in [false, true] {
        assert_eq!(held(&site, THEIRS, &lent).await, all(&scope));
        assert_eq!(held(&site, THEIRS, &met).await, all("openid"));
        let code = site.code(&waiting, &[("client_id", THEIRS), ("scope", &scope)]).await;
        if is_by_order {
            order(&site, "ord_1", CONTRACT, json!({"kind": "suspend"}));
        } else {
            step(&site.city, CONTRACT, State::Suspended, &site.city.signer(LIBRARY)).unwrap();
        }
        assert_eq!(held(&site, THEIRS, &lent).await, nothing());
        assert_eq!(held(&site, THEIRS, &met).await, nothing());
        let late = site.oauth_as(THEIRS, "/oidc/token", &exchange_form(&code)).await;
        assert_eq!(late.oauth_error(), "invalid_grant", "a code from before");
        assert_eq!(site.push_error(&[("client_id", THEIRS), ("scope", "openid")]).await, "unauthorized_client");
        says_suspended(&site, &begun, &new, THEIRS).await;
        // It is still told what it has to delete, and by which clause it is refused.
        let own = site.own_token(THEIRS, "release").await;
        let list = site.send(site.bearing("GET", "/api/deletions", &own).body(Body::empty()).unwrap()).await;
        assert_eq!(list.status, StatusCode::OK, "{}", list.text());
        if is_by_order {
            order(&site, "ord_2", CONTRACT, json!({"kind": "lift", "lifts": "ord_1"}));
        } else {
            step(&site.city, CONTRACT, State::Active, &site.city.signer(LIBRARY)).unwrap();
        }
    }
    assert_eq!(held(&site, THEIRS, &lent).await, all(&scope), "nothing was lost by the pause");
}

#[tokio::test]
async fn an_order_stops_a_service_and_one_about_a_mandate_that_alone() {
    let site = TestSite::new();
    site.city.publish_watch();
    let mut short = library_card();
    short["sunset_at"] = json!("2026-01-10T00:00:00Z");
    short["oversight_body"] = json!(WATCH);
    site.city.publish_mandate(SHORT, short);
    let (both, card) = (format!("openid {CARD} {SHORT}"), format!("openid {CARD}"));
    let [(_, cookie), (_, waiting), (_, new)] = [(); 3].map(|()| site.resident());
    let lent = tokens(&site, SERVICE, &cookie, &both).await;
    let other = site.other_token_answer(&cookie).await;

    order(&site, "ord_1", SHORT, json!({"kind": "suspend"}));
    assert_eq!(held(&site, SERVICE, &lent).await, (false, false, false, card.clone()));
    let query = site.own_token(SERVICE, "grant_management_query").await;
    let grant = site.grant("GET", lent["grant_id"].as_str().unwrap(), &query).await.json();
    let named = grant["authorization_details"].as_array().unwrap();
    assert!(named.len() == 1 && named[0]["mandate"].as_str().unwrap().starts_with(&format!("{CARD}@")), "{grant}");
    let less = refresh(&site, SERVICE, &lent, Some(&card)).await.unwrap();
    assert_eq!((&less["scope"], less["authorization_details"].as_array().unwrap().len()), (&json!(card), 1));
    order(&site, "ord_2", SHORT, json!({"kind": "lift", "lifts": "ord_1"}));
    assert_eq!(held(&site, SERVICE, &lent).await, all(&both));

    let code = site.code(&waiting, &[]).await;
    let begun = site.pushed(&[("scope", "openid")]).await;
    order(&site, "ord_3", SERVICE, json!({"kind": "suspend"}));
    assert_eq!(held(&site, SERVICE, &lent).await, nothing());
    assert_eq!(site.exchange(&code).await.oauth_error(), "invalid_grant", "a code from before");
    assert_eq!(site.push_error(&[("scope", "openid")]).await, "unauthorized_client");
    says_suspended(&site, &begun, &new, SERVICE).await;
    let elsewhere = site.introspect(crate::site::OTHER, other["access_token"].as_str().unwrap()).await;
    assert_eq!(elsewhere["active"], true, "another service goes on");
    order(&site, "ord_4", SERVICE, json!({"kind": "lift", "lifts": "ord_3"}));
    assert_eq!(held(&site, SERVICE, &lent).await, all(&both));
}
