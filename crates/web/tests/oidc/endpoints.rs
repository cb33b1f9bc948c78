//! Metadata, userinfo, introspection, revocation, and when tokens die.

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{Request, StatusCode};
use serde_json::json;
use usufruct_core::Text;
use usufruct_core::time::{DAY, SECOND};

use crate::common::{LIBRARY, SERVICE, mandate};
use crate::site::{ISSUER, OTHER, TestSite};

#[tokio::test]
async fn metadata_says_what_is_so() {
    let site = TestSite::new();
    let answer = site.get("/.well-known/openid-configuration", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let metadata = answer.json();
    assert_eq!(site.get("/.well-known/oauth-authorization-server", "").await.json(), metadata);
    for (name, value) in [
        ("issuer", json!(ISSUER)),
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query", "form_post"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token", "client_credentials"])),
        ("subject_types_supported", json!(["pairwise"])),
        ("id_token_signing_alg_values_supported", json!(["ES256", "EdDSA", "PS256", "RS256"])),
        ("token_endpoint_auth_methods_supported", json!(["private_key_jwt", "none"])),
        ("introspection_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("request_uri_parameter_supported", json!(false)),
        ("claims_parameter_supported", json!(true)),
        (
            "scopes_supported",
            json!(["openid", "release", "grant_management_query", "grant_management_revoke", "ssf.read", "ssf.manage"]),
        ),
        ("token_endpoint_auth_signing_alg_values_supported", json!(["ES256", "EdDSA", "Ed25519", "PS256", "RS256"])),
        ("dpop_signing_alg_values_supported", json!(["ES256", "EdDSA", "Ed25519", "PS256"])),
        ("grant_management_actions_supported", json!(["query", "revoke", "create", "merge", "replace"])),
        ("authorization_details_types_supported", json!(["https://usufruct.org/rar/use-v1"])),
        ("prompt_values_supported", json!(["none", "login", "consent"])),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    let members = metadata.as_object().unwrap();
    assert!(members.values().filter_map(|value| value.as_array()).all(|list| !list.is_empty()));
    for (name, value) in members.iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri") {
        let mut path = value.as_str().unwrap().strip_prefix(ISSUER).unwrap().to_owned();
        if name == "grant_management_endpoint" {
            path.push_str("/ufg_of_a_service");
        }
        assert_ne!(site.get(&path, "").await.status, StatusCode::NOT_FOUND, "{name}");
    }
    let keys = site.get("/oidc/jwks", "").await.json();
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none() && key["kid"].is_string()));
}

#[tokio::test]
async fn userinfo_wants_a_live_token_of_a_resident() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (token, subject) = site.tokens(&cookie, &[]).await;
    let post = Request::post("/oidc/userinfo")
        .header(AUTHORIZATION, format!("dpop {token}"))
        .header("dpop", site.proof("POST", "/oidc/userinfo", Some(&token)));
    assert_eq!(site.send(post.body(Body::empty()).unwrap()).await.json(), json!({ "sub": subject }));
    let release = site.client_token().await;
    for header in [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("DPoP nonsense".to_owned()),
        Some(format!("DPoP uft_{}", "a".repeat(43))),
        Some(format!("DPoP {}", "x".repeat(6_000))),
        Some(format!("DPoP {release}")),
        Some(format!("Basic {token}")),
        Some(format!("Bearer {token}")),
    ] {
        let mut request = Request::get("/oidc/userinfo");
        if let Some(header) = &header {
            let borne = header.split_once(' ').map_or("", |(_, token)| token);
            request = request.header(AUTHORIZATION, header).header("dpop", site.proof("GET", "/oidc/userinfo", Some(borne)));
        }
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header:?}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("DPoP ") && challenge.contains("algs=\"ES256 EdDSA"), "{header:?}: {challenge}");
    }
    let in_query = site.get(&format!("/oidc/userinfo?access_token={token}"), "").await;
    assert_eq!(in_query.status, StatusCode::UNAUTHORIZED);
    site.city.clock.advance(119 * SECOND);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    site.city.clock.advance(SECOND);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    // By one that opens no data she is known for a little longer.
    let answer = site.token_answer(&cookie, &[("scope", "openid")]).await;
    let (token, own) = (answer["access_token"].as_str().unwrap(), site.own_token(SERVICE, "grant_management_query").await);
    assert_eq!(answer["expires_in"], 300);
    let grant = answer["grant_id"].as_str().unwrap();
    site.city.clock.advance(299 * SECOND);
    assert_eq!(site.userinfo(token).await.status, StatusCode::OK);
    assert_eq!(site.grant("GET", grant, &own).await.status, StatusCode::OK);
    site.city.clock.advance(SECOND);
    assert_eq!(site.userinfo(token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.grant("GET", grant, &own).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn introspection_tells_a_service_about_its_own_tokens_only() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (token, subject) = site.tokens(&cookie, &[]).await;
    let own = site.introspect(SERVICE, &token).await;
    assert_eq!((&own["active"], &own["sub"], &own["client_id"]), (&json!(true), &json!(subject), &json!(SERVICE)));
    assert_eq!(own["iss"], ISSUER);
    let release = site.client_token().await;
    assert!(site.introspect(SERVICE, &release).await.get("sub").is_none());
    for foreign in [token.as_str(), release.as_str(), "nonsense", "uft_"] {
        assert_eq!(site.introspect(OTHER, foreign).await, json!({ "active": false }), "{foreign}");
    }
    let nobody = Request::post("/oidc/introspect").header("content-type", "application/x-www-form-urlencoded");
    let answer = site.send(nobody.body(format!("token={token}").into()).unwrap()).await;
    assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert_eq!(site.oauth("/oidc/introspect", &[]).await.oauth_error(), "invalid_request");
    site.city.clock.advance(121 * SECOND);
    assert_eq!(site.introspect(SERVICE, &token).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_revoked_token_is_dead_and_the_grant_lives() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (token, _) = site.tokens(&cookie, &[]).await;
    assert_eq!(site.oauth_as(OTHER, "/oidc/revoke", &[("token", &token)]).await.status, StatusCode::OK);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK, "a stranger cannot revoke it");
    for _ in 0..2 {
        let hinted = [("token", token.as_str()), ("token_type_hint", "refresh_token")];
        assert_eq!(site.oauth("/oidc/revoke", &hinted).await.status, StatusCode::OK);
        assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(site.introspect(SERVICE, &token).await, json!({ "active": false }));
    }
    assert!(site.authorize(&cookie, &[]).await.led("code").is_some(), "she is not asked again");
}

#[tokio::test]
async fn a_token_dies_with_its_mandate() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let scope = [("scope", "openid mdt_short")];
    site.city.clock.advance(9 * DAY - 100 * SECOND);
    let cookie_late = {
        let (_, cookie) = site.resident();
        cookie
    };
    let (token, _) = site.tokens(&cookie_late, &scope).await;
    assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
    // The clock alone ends it, before any job has run.
    site.city.clock.advance(101 * SECOND);
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.introspect(SERVICE, &token).await, json!({ "active": false }));

    let (resident, fresh) = site.resident();
    let (token, _) = site.tokens(&fresh, &[]).await;
    site.city.app.end_mandate(&mandate(), &site.city.signer(LIBRARY), Text::new("No longer needed.", "已無必要。")).unwrap();
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    assert!(site.city.app.session_count(resident).unwrap() > 0);
    drop(cookie);
}

#[tokio::test]
async fn a_token_dies_with_its_consent_and_its_pass() {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let (token, _) = site.tokens(&cookie, &[]).await;
    let code = site.code(&cookie, &[]).await;
    site.city.app.withdraw(resident, &mandate()).unwrap();
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.exchange(&code).await.oauth_error(), "invalid_grant", "a code on its way dies too");

    let (token, _) = site.tokens(&cookie, &[]).await;
    site.city.app.sign_out_everywhere(resident).unwrap();
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);

    let (token, _) = site.tokens(&site.sign_in(resident), &[]).await;
    let code = site.code(&site.sign_in(resident), &[]).await;
    site.city.app.delete_resident(resident).unwrap();
    assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.exchange(&code).await.oauth_error(), "invalid_grant");
}
