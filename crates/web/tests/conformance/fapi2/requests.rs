//! Requests, pushed and opened.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use usufruct_core::time::SECOND;

use crate::checks::{claims, error_page, hard_to_guess};
use crate::common::{CARD, SERVICE};
use crate::site::{CALLBACK, ISSUER, Key, OTHER, TestSite, VERIFIER, publish_service};

pub async fn discovery() {
    let site = TestSite::new();
    let answer = site.get("/.well-known/openid-configuration", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let metadata = answer.json();
    assert_eq!(metadata["issuer"], ISSUER);
    for (name, wanted) in [
        ("response_types_supported", "code"),
        ("grant_types_supported", "authorization_code"),
        ("grant_types_supported", "refresh_token"),
        ("token_endpoint_auth_methods_supported", "private_key_jwt"),
        ("code_challenge_methods_supported", "S256"),
        ("subject_types_supported", "pairwise"),
        ("scopes_supported", "openid"),
        ("dpop_signing_alg_values_supported", "PS256"),
        ("id_token_signing_alg_values_supported", "ES256"),
        ("grant_management_actions_supported", "replace"),
    ] {
        assert!(metadata[name].as_array().unwrap().contains(&json!(wanted)), "{name}");
    }
    // Where the profile oidc is served as well, its software may sign by RS256.
    let strict = TestSite::new().without_oidc().get("/.well-known/openid-configuration", "").await.json();
    for name in ["token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"] {
        let lawful = ["ES256", "EdDSA", "Ed25519", "PS256"];
        assert!(strict[name].as_array().unwrap().iter().all(|alg| lawful.contains(&alg.as_str().unwrap())), "{name}");
    }
    for (name, wanted) in [
        ("authorization_response_iss_parameter_supported", true),
        ("request_uri_parameter_supported", false),
        ("request_parameter_supported", false),
        ("claims_parameter_supported", true),
        ("grant_management_action_required", false),
    ] {
        assert_eq!(metadata[name], wanted, "{name}");
    }
    for locale in metadata["ui_locales_supported"].as_array().unwrap() {
        let tag = locale.as_str().unwrap();
        assert_eq!(tag.parse::<unic_langid::LanguageIdentifier>().unwrap().to_string(), tag);
    }
    let mut kids: Vec<_> = Vec::new();
    for key in site.get("/oidc/jwks", "").await.json()["keys"].as_array().unwrap() {
        assert!(["d", "p", "q", "k", "x5u"].into_iter().all(|member| key.get(member).is_none()));
        kids.push(key["kid"].as_str().unwrap().to_owned());
    }
    let count = kids.len();
    kids.sort_unstable();
    kids.dedup();
    assert!(count > 0 && kids.len() == count);
    let strict = site.without_oidc().get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(strict["require_pushed_authorization_requests"], true);
}

pub async fn happy_flow() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let pushed = site.push(&[]).await;
    assert_eq!((pushed.status, pushed.header("cache-control")), (StatusCode::CREATED, "no-store"));
    let body = pushed.json();
    hard_to_guess(body["request_uri"].as_str().unwrap().strip_prefix("urn:ietf:params:oauth:request_uri:").unwrap());
    assert!((5..600).contains(&body["expires_in"].as_i64().unwrap()));
    let code = site.code(&cookie, &[]).await;
    hard_to_guess(&code);
    let exchanged = site.exchange(&code).await;
    assert_eq!((exchanged.status, exchanged.header("cache-control")), (StatusCode::OK, "no-store"));
    let answer = exchanged.json();
    assert_eq!(answer["token_type"], "DPoP");
    assert!(answer["expires_in"].as_i64().unwrap() > 0);
    for secret in ["access_token", "refresh_token", "grant_id"] {
        hard_to_guess(answer[secret].as_str().unwrap());
    }
    let own = claims(&site, &answer, SERVICE).await;
    assert_eq!(own["nonce"], "n1");
    let info = site.userinfo(answer["access_token"].as_str().unwrap()).await;
    assert_eq!(info.json()["sub"], own["sub"]);
    let other = site.other_token_answer(&cookie).await;
    let other = claims(&site, &other, OTHER).await;
    assert_ne!(own["sub"], other["sub"]);
    assert_ne!(own["sid"], other["sid"]);
}

pub async fn user_rejects() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let page = site.authorize(&cookie, &[]).await;
    let answer = site.decide(&cookie, &page, &[("decision", "not-now")]).await;
    assert_eq!((answer.led_error().as_str(), answer.led("state").as_deref()), ("access_denied", Some("s1")));
}

pub async fn without_state() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let answer = site.authorize(&cookie, &[("state", "")]).await;
    assert!(answer.led("code").is_some() && answer.led("state").is_none());
}

pub async fn without_nonce() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[("nonce", "")]).await;
    assert!(claims(&site, &answer, SERVICE).await.get("nonce").is_none());
}

async fn comes_back(name: &str, length: usize) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let value: String = ('!'..='~').filter(|letter| !"\"\\".contains(*letter)).cycle().take(length).collect();
    let led = site.authorize(&cookie, &[(name, &value)]).await;
    let answer = site.exchange(&led.led("code").unwrap()).await.json();
    match name {
        "state" => assert_eq!(led.led("state"), Some(value)),
        _ => assert_eq!(claims(&site, &answer, SERVICE).await[name], value),
    }
}

pub async fn nonce_of_64() {
    comes_back("nonce", 64).await;
}

pub async fn long_nonce() {
    comes_back("nonce", 384).await;
}

pub async fn long_state() {
    comes_back("state", 1_000).await;
}

pub async fn scope_order() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.token_answer(&cookie, &[("scope", "mdt_library-card openid")]).await;
    assert!(answer["scope"].as_str().unwrap().split(' ').any(|word| word == "openid"));
}

pub async fn claims_parameter() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let wanted = json!({ "userinfo": { "name": { "essential": true } }, "id_token": { "email": null, "acr": null } });
    let answer = site.token_answer(&cookie, &[("claims", &wanted.to_string())]).await;
    let claims = claims(&site, &answer, SERVICE).await;
    assert!(claims.get("email").is_none() && claims["acr"].is_string());
    let info = site.userinfo(answer["access_token"].as_str().unwrap()).await.json();
    assert_eq!(info, json!({ "sub": claims["sub"] }));
}

pub async fn mismatched_jkt() {
    let site = TestSite::new();
    let other = Key::new("other").thumbprint();
    assert_eq!(site.push_error(&[("dpop_jkt", &other)]).await, "invalid_dpop_proof");
}

/// What comes of a pushed request whose address says more.
async fn beside(changes: &[(&str, &str)], outside: &str) -> (Option<String>, Value) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let answer = site.get(&format!("{}&{outside}", site.pushed(changes).await), &cookie).await;
    let tokens = site.exchange(&answer.led("code").unwrap()).await.json();
    (answer.led("state"), claims(&site, &tokens, SERVICE).await)
}

pub async fn outside_nonce() {
    assert_eq!(beside(&[], "nonce=outside").await.1["nonce"], "n1");
}

pub async fn outside_state() {
    assert_eq!(beside(&[], "state=outside").await.0.as_deref(), Some("s1"));
}

pub async fn state_only_outside() {
    assert_eq!(beside(&[("state", "")], "state=outside").await.0, None);
}

pub async fn without_redirect_uri() {
    assert_eq!(TestSite::new().push_error(&[("redirect_uri", "")]).await, "invalid_request");
}

pub async fn unregistered() {
    let site = TestSite::new();
    for uri in ["https://evil.example/callback".to_owned(), format!("{CALLBACK}?added=1"), format!("{CALLBACK}/more")] {
        assert_eq!(site.push_error(&[("redirect_uri", &uri)]).await, "invalid_request");
        error_page(&site.get(&format!("/oidc/authorize?{}", site.ask(&[("redirect_uri", &uri)])), "").await);
    }
}

pub async fn not_pushed() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.get(&format!("/oidc/authorize?{}", site.ask(&[])), &cookie).await;
    assert_eq!(answer.led_error(), "invalid_request");
}

pub async fn hybrid() {
    let error = TestSite::new().push_error(&[("response_type", "code id_token")]).await;
    assert_eq!(error, "unsupported_response_type");
}

pub async fn implicit() {
    assert_eq!(TestSite::new().push_error(&[("response_type", "token")]).await, "unsupported_response_type");
}

pub async fn loaded_twice() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let address = site.pushed(&[]).await;
    for cookie in ["", &cookie, ""] {
        assert_ne!(site.get(&address, cookie).await.status, StatusCode::BAD_REQUEST);
    }
    let page = site.get(&address, &cookie).await;
    assert!(site.decide(&cookie, &page, &[("decision", "agree")]).await.led("code").is_some());
}

pub async fn answered_twice() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let address = site.pushed(&[]).await;
    assert!(site.get(&address, &cookie).await.led("code").is_some());
    error_page(&site.get(&address, &cookie).await);
}

pub async fn lapsed() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let address = site.pushed(&[]).await;
    site.city.clock.advance(91 * SECOND);
    error_page(&site.get(&address, &cookie).await);
}

pub async fn request_of_another() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    // The other one returns to the same address, so that nothing but the name of the service is wrong.
    publish_service(&site.city, OTHER, CALLBACK, &[site.second.jwk()], "fapi2", &[CARD]);
    let address = site.pushed(&[]).await;
    error_page(&site.get(&address.replace(SERVICE, OTHER), &cookie).await);
    assert_eq!(site.get(&address, &cookie).await.status, StatusCode::OK, "it waits still");
}

pub async fn request_uri_pushed() {
    let site = TestSite::new();
    let uri = site.push(&[]).await.json()["request_uri"].as_str().unwrap().to_owned();
    assert_eq!(site.push_error(&[("request_uri", &uri)]).await, "invalid_request");
}

pub async fn other_methods() {
    let site = TestSite::new();
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = Request::builder().method(method).uri(format!("/oidc/par?{}", site.ask(&[])));
        assert_eq!(site.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

pub async fn without_challenge() {
    let error = TestSite::new().push_error(&[("code_challenge", ""), ("code_challenge_method", "")]).await;
    assert_eq!(error, "invalid_request");
}

pub async fn plain_challenge() {
    let changes = [("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
    assert_eq!(TestSite::new().push_error(&changes).await, "invalid_request");
}

pub async fn bare_address() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    site.code(&cookie, &[]).await;
    let address = site.pushed(&[]).await;
    assert_eq!(address.matches('=').count(), 2);
    assert!(site.get(&address, &cookie).await.led("code").is_some());
}
