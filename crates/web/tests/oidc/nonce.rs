//! Nonces of the pass in proofs of possession (RFC 9449 8 and 9): asked for, told, taken up, and worth nothing later.

use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use usufruct_core::time::{HOUR, MINUTE, SECOND};

use crate::common::{CARD, SERVICE};
use crate::site::{Answer, TestSite, encode};

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "release")];

/// A request for a token of the service's own, with a proof that has this nonce; whatever else differs.
async fn ask(site: &TestSite, nonce: &str, change: impl FnOnce(&mut Value)) -> Answer {
    ask_at(site, "/oidc/token", &OWN, nonce, change).await
}

async fn ask_at(site: &TestSite, path: &str, form: &[(&str, &str)], nonce: &str, change: impl FnOnce(&mut Value)) -> Answer {
    let mut claims = site.proof_claims("POST", path);
    if !nonce.is_empty() {
        claims["nonce"] = json!(nonce);
    }
    change(&mut claims);
    site.oauth_proving(&site.assertion(SERVICE), path, form, &[&site.bound.prove(&claims)]).await
}

fn nothing(_: &mut Value) {}

fn told(answer: &Answer) -> String {
    answer.header("dpop-nonce").to_owned()
}

/// The nonce, after a first try without one was turned away.
async fn first(site: &TestSite) -> String {
    let answer = ask(site, "", nothing).await;
    assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::BAD_REQUEST, "use_dpop_nonce"));
    told(&answer)
}

#[tokio::test]
async fn a_proof_without_the_nonce_is_told_which_and_one_with_it_is_good() {
    let site = TestSite::new().with_dpop_nonces();
    let nonce = first(&site).await;
    assert!(nonce.len() >= 22 && nonce.bytes().all(|byte| byte.is_ascii_graphic()), "{nonce}");
    let answer = ask(&site, &nonce, nothing).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(told(&answer), nonce, "the newest comes with every answer");
    for wrong in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &nonce[1..], &format!("{nonce}A")] {
        assert_eq!(ask(&site, wrong, nothing).await.oauth_error(), "use_dpop_nonce", "{wrong}");
    }
    // It stands beside the other rules and not in their place.
    for age in [-3_600, -91, 91, 3_600] {
        let error = ask(&site, &nonce, |claims| claims["iat"] = json!(site.now() + age)).await.oauth_error();
        assert_eq!(error, "invalid_dpop_proof", "{age}");
    }
    // The next is told in time, and the one before still holds for as long again.
    site.city.clock.advance(5 * MINUTE);
    let answer = ask(&site, &nonce, nothing).await;
    assert_eq!(answer.status, StatusCode::OK);
    let next = told(&answer);
    assert_ne!(next, nonce);
    site.city.clock.advance(5 * MINUTE);
    assert_eq!(ask(&site, &nonce, nothing).await.oauth_error(), "use_dpop_nonce");
    assert_eq!(ask(&site, &next, nothing).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_are_pushed_and_resources_called_with_it() {
    let site = TestSite::new().with_dpop_nonces();
    let (_, cookie) = site.resident();
    let ask_for = site.ask(&[]);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(ask_for.as_bytes()).into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let refused = ask_at(&site, "/oidc/par", &form, "", nothing).await;
    assert_eq!(refused.oauth_error(), "use_dpop_nonce");
    let nonce = told(&refused);
    let pushed = ask_at(&site, "/oidc/par", &form, &nonce, nothing).await;
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let mut answer =
        site.get(&format!("/oidc/authorize?{}", encode(&[("client_id", SERVICE), ("request_uri", &uri)])), &cookie).await;
    while answer.status == StatusCode::OK {
        answer = site.decide(&cookie, &answer, &[("decision", "agree")]).await;
    }
    let code = answer.led("code").unwrap();
    // A code is not used up by a proof without the nonce.
    let exchange = crate::site::exchange_form(&code);
    assert_eq!(ask_at(&site, "/oidc/token", &exchange, "", nothing).await.oauth_error(), "use_dpop_nonce");
    let tokens = ask_at(&site, "/oidc/token", &exchange, &nonce, nothing).await.json();
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let subject = crate::site::claims_of(tokens["id_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let body =
        json!({ "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" });
    for (method, path) in [("GET", "/oidc/userinfo"), ("POST", "/api/releases")] {
        let call = async |nonce: &str| {
            let mut claims = site.proof_claims(method, path);
            let hash = usufruct_core::hash::sha256(token.as_bytes()).0;
            claims["ath"] = json!(base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, hash));
            if !nonce.is_empty() {
                claims["nonce"] = json!(nonce);
            }
            let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("DPoP {token}"));
            let request = request.header("dpop", site.bound.prove(&claims)).header(CONTENT_TYPE, "application/json");
            site.send(request.body(if method == "POST" { body.to_string().into() } else { String::new().into() }).unwrap()).await
        };
        let refused = call("").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(refused.header("www-authenticate").starts_with("DPoP error=\"use_dpop_nonce\""), "{path}");
        assert_eq!(told(&refused), nonce, "{path}");
        let answer = call(&nonce).await;
        assert_eq!((answer.status, told(&answer)), (StatusCode::OK, nonce.clone()), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn nobody_is_asked_for_one_where_none_is_wanted() {
    let site = TestSite::new();
    let answer = ask(&site, "", nothing).await;
    assert_eq!((answer.status, told(&answer).as_str()), (StatusCode::OK, ""));
    assert_eq!(ask(&site, "whatever", nothing).await.status, StatusCode::OK, "what nobody asked for does no harm");
}

/// After the clock has jumped nobody's `iat` fits, and the nonce says when a proof was made.
#[tokio::test]
async fn a_clock_in_doubt_is_helped_out_by_nonces() {
    let site = TestSite::new();
    let hour_ago = |claims: &mut Value| claims["iat"] = json!(claims["iat"].as_i64().unwrap() - HOUR / SECOND);
    assert_eq!(ask(&site, "", hour_ago).await.oauth_error(), "invalid_dpop_proof");
    site.site.doubt_clock(site.city.app.now().plus(10 * MINUTE));
    let nonce = first(&site).await;
    assert_eq!(ask(&site, "", hour_ago).await.oauth_error(), "use_dpop_nonce");
    assert_eq!(ask(&site, &nonce, hour_ago).await.status, StatusCode::OK);
    // Such a proof works once all the same, for as long as its nonce would hold.
    let mut claims = site.proof_claims("POST", "/oidc/token");
    claims["nonce"] = json!(nonce);
    let proof = site.bound.prove(&claims);
    let show = async || site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &OWN, &[&proof]).await;
    assert_eq!(show().await.status, StatusCode::OK);
    site.city.clock.advance(9 * MINUTE);
    site.city.app.sweep().unwrap();
    assert_eq!(show().await.oauth_error(), "invalid_dpop_proof");
    site.city.clock.advance(MINUTE);
    assert_eq!(ask(&site, "", nothing).await.status, StatusCode::OK, "the doubt is over");
    assert_eq!(ask(&site, "", hour_ago).await.oauth_error(), "invalid_dpop_proof");
}
