//! The token endpoint: codes, assertions, the ID token.

use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::time::SECOND;

use crate::common::SERVICE;
use crate::site::{ISSUER, LOGIN, OTHER, OTHER_CALLBACK, TestSite, VERIFIER, claims_of, encode, exchange_form};

const RELEASE: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "release")];

#[tokio::test]
async fn a_code_becomes_a_pseudonym_and_nothing_more() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let opened = site.now();
    let answer = site.exchange(&site.code(&cookie, &[]).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("DPoP"), &json!(120)));
    assert_eq!(body["scope"], "openid mdt_library-card");
    let access_token = body["access_token"].as_str().unwrap();
    assert!(access_token.starts_with("uft_") && access_token.len() == 47);

    let id_token = body["id_token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(id_token).unwrap();
    let keys = site.get("/oidc/jwks", "").await.json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header.kid.as_deref().unwrap()).unwrap();
    assert!(key.get("d").is_none());
    let key = DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_audience(&[SERVICE]);
    let claims = jsonwebtoken::decode::<Value>(id_token, &key, &validation).unwrap().claims;
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"]);
    let now = site.now();
    assert_eq!((&claims["iss"], &claims["aud"], &claims["nonce"]), (&json!(ISSUER), &json!(SERVICE), &json!("n1")));
    assert_eq!((&claims["iat"], &claims["exp"], &claims["auth_time"]), (&json!(now), &json!(now + 120), &json!(opened)));
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&sha256(access_token.as_bytes()).0[..16]));
    assert_eq!(claims["amr"], json!(["hwk", "user"]));
    assert_eq!(claims["sub"].as_str().unwrap().len(), 22);

    let info = site.userinfo(access_token).await;
    assert_eq!(info.json(), json!({ "sub": claims["sub"] }));
    assert!(!answer.text().contains("Resident 0") && !info.text().contains("Resident 0"));
}

#[tokio::test]
async fn two_services_know_two_pseudonyms() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let (_, subject) = site.tokens(&cookie, &[]).await;
    let code = site.code(&cookie, &[("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK), ("scope", "openid")]).await;
    let mut form = exchange_form(&code);
    form[2].1 = OTHER_CALLBACK;
    let other = site.oauth_as(OTHER, "/oidc/token", &form).await.json();
    assert_ne!(claims_of(other["id_token"].as_str().unwrap())["sub"], subject.as_str());
}

#[tokio::test]
async fn a_wrong_exchange_gets_nothing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let wrong: [(&str, &str); 6] = [
        ("code_verifier", "another-verifier-of-at-least-forty-three-chars"),
        ("code_verifier", ""),
        ("code_verifier", "short"),
        ("redirect_uri", "http://localhost:8081/other"),
        ("redirect_uri", "http://localhost:8081/callback?x=1"),
        ("code", "nonsense"),
    ];
    for (name, value) in wrong {
        let code = site.code(&cookie, &[]).await;
        let form: Vec<_> =
            exchange_form(&code).into_iter().map(|(key, old)| (key, if key == name { value } else { old })).collect();
        let answer = site.oauth("/oidc/token", &form).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{name}={value}");
    }
    let long = "v".repeat(129);
    let code = site.code(&cookie, &[]).await;
    let form: Vec<_> = exchange_form(&code)
        .into_iter()
        .map(|(key, old)| (key, if key == "code_verifier" { long.as_str() } else { old }))
        .collect();
    assert_eq!(site.oauth("/oidc/token", &form).await.oauth_error(), "invalid_grant");

    // Another service's code is not touched by trying it.
    let code = site.code(&cookie, &[]).await;
    assert_eq!(site.oauth_as(OTHER, "/oidc/token", &exchange_form(&code)).await.oauth_error(), "invalid_grant");
    assert_eq!(site.exchange(&code).await.status, StatusCode::OK);
    assert!(VERIFIER.len() >= 43);
}

#[tokio::test]
async fn a_code_lives_for_half_a_minute() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let code = site.code(&cookie, &[]).await;
    site.city.clock.advance(29 * SECOND);
    assert_eq!(site.exchange(&code).await.status, StatusCode::OK);
    let code = site.code(&cookie, &[]).await;
    site.city.clock.advance(31 * SECOND);
    assert_eq!(site.exchange(&code).await.oauth_error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_used_twice_kills_its_tokens() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    for wait in [1, 35] {
        let code = site.code(&cookie, &[]).await;
        let token = site.exchange(&code).await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(site.userinfo(&token).await.status, StatusCode::OK);
        site.city.clock.advance(wait * SECOND);
        assert_eq!(site.exchange(&code).await.oauth_error(), "invalid_grant");
        assert_eq!(site.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_assertion_is_fresh_for_us_and_used_once() {
    let site = TestSite::new();
    let now = site.now();
    let lawful = || site.claims(SERVICE);
    let with = |name: &str, value: Value| {
        let mut claims = lawful();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = lawful();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let refused = [
        with("aud", json!([ISSUER])),
        with("aud", json!(format!("{ISSUER}/oidc/token"))),
        with("aud", json!(format!("{ISSUER}/"))),
        with("aud", json!("https://elsewhere.example")),
        with("iss", json!(OTHER)),
        with("sub", json!(OTHER)),
        with("iss", json!("svc_nobody")),
        with("exp", json!(now)),
        with("exp", json!(now - 1)),
        with("exp", json!(now + 3_600)),
        with("exp", json!(now + 400)),
        with("exp", json!(now + 301)),
        with("exp", json!("soon")),
        with("iat", json!(now + 61)),
        with("nbf", json!(now + 61)),
        with("jti", json!("")),
        with("jti", json!("j".repeat(300))),
        without("aud"),
        without("iss"),
        without("sub"),
        without("exp"),
        without("jti"),
    ];
    // A clock that is ahead makes no assertion live for longer than the ten seconds that are borne.
    let lives = |iat: i64, exp: i64| {
        let mut claims = with("iat", json!(now + iat));
        claims["exp"] = json!(now + exp);
        claims
    };
    for claims in refused.into_iter().chain([lives(59, 359), lives(11, 311), lives(10, 311)]) {
        let answer = site.oauth_with(&site.library.sign("ES256", &claims), "/oidc/token", &RELEASE).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{claims}");
    }
    let ahead = lives(10, 310);
    let answer = site.oauth_with(&site.library.sign("ES256", &ahead), "/oidc/token", &RELEASE).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    for (name, value) in [("iat", json!(now + 8)), ("nbf", json!(now + 8)), ("exp", json!(now + 300))] {
        let claims = with(name, value);
        let answer = site.oauth_with(&site.library.sign("ES256", &claims), "/oidc/token", &RELEASE).await;
        assert_eq!(answer.status, StatusCode::OK, "{claims}: {}", answer.text());
    }
    let once = site.library.sign("ES256", &lawful());
    assert_eq!(site.oauth_with(&once, "/oidc/token", &RELEASE).await.status, StatusCode::OK);
    assert_eq!(site.oauth_with(&once, "/oidc/token", &RELEASE).await.oauth_error(), "invalid_client");
    assert_eq!(site.oauth_with(&once, "/oidc/introspect", &[("token", "x")]).await.oauth_error(), "invalid_client");
}

/// A refused request has used up what proved it, wherever the refusal came from.
#[tokio::test]
async fn proofs_of_a_refused_request_are_spent() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let ask = |redirect: &str| {
        let ask = site.ask(&[("redirect_uri", redirect)]);
        url::form_urlencoded::parse(ask.as_bytes()).into_owned().collect::<Vec<(String, String)>>()
    };
    let push = async |assertion: &str, redirect: &str, proof: &str| {
        let ask = ask(redirect);
        let form: Vec<_> = ask.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        site.oauth_proving(assertion, "/oidc/par", &form, &[proof]).await
    };
    let (assertion, proof) = (site.assertion(SERVICE), site.proof("POST", "/oidc/par", None));
    assert_eq!(push(&assertion, "http://localhost:1/", &proof).await.status, StatusCode::BAD_REQUEST);
    let fresh_proof = site.proof("POST", "/oidc/par", None);
    assert_eq!(push(&assertion, crate::site::CALLBACK, &fresh_proof).await.oauth_error(), "invalid_client");
    let answer = push(&site.assertion(SERVICE), crate::site::CALLBACK, &proof).await;
    assert_eq!(answer.oauth_error(), "invalid_dpop_proof");

    let code = site.code(&cookie, &[]).await;
    let refused: [&[(&str, &str)]; 6] = [
        &exchange_form("nonsense"),
        &[("grant_type", "password")],
        &[("grant_type", "refresh_token"), ("refresh_token", "ufr_forged")],
        &[("grant_type", "client_credentials"), ("scope", "openid")],
        &[("grant_type", "authorization_code"), ("code_verifier", "short")],
        &[RELEASE[0], RELEASE[1], ("client_id", OTHER)],
    ];
    for form in refused {
        let (assertion, proof) = (site.assertion(SERVICE), site.proof("POST", "/oidc/token", None));
        assert!(site.oauth_proving(&assertion, "/oidc/token", form, &[&proof]).await.status.is_client_error(), "{form:?}");
        assert_eq!(site.oauth_with(&assertion, "/oidc/token", &RELEASE).await.oauth_error(), "invalid_client", "{form:?}");
        let answer = site.oauth_proving(&site.assertion(SERVICE), "/oidc/token", &exchange_form(&code), &[&proof]).await;
        assert_eq!(answer.oauth_error(), "invalid_dpop_proof", "{form:?}");
    }
    for path in ["/oidc/introspect", "/oidc/revoke"] {
        let assertion = site.assertion(SERVICE);
        assert_eq!(site.oauth_with(&assertion, path, &[]).await.oauth_error(), "invalid_request");
        assert_eq!(site.oauth_with(&assertion, path, &[("token", "x")]).await.oauth_error(), "invalid_client", "{path}");
    }
    let assertion = site.assertion(SERVICE);
    assert_eq!(site.oauth_proving(&assertion, "/oidc/token", &RELEASE, &["x.y.z"]).await.oauth_error(), "invalid_dpop_proof");
    assert_eq!(site.oauth_with(&assertion, "/oidc/token", &RELEASE).await.oauth_error(), "invalid_client");
    assert_eq!(site.oauth("/oidc/token", &RELEASE).await.status, StatusCode::OK);
    assert_eq!(site.exchange(&code).await.status, StatusCode::OK, "a refused proof does not use up the code");
}

#[tokio::test]
async fn only_es256_with_a_registered_key_proves_a_service() {
    let site = TestSite::new();
    let claims = || site.claims(SERVICE);
    for alg in ["none", "RS256", "HS256", "ES384", "EdDSA", "es256", ""] {
        let answer = site.oauth_with(&site.library.sign(alg, &claims()), "/oidc/token", &RELEASE).await;
        assert_eq!(answer.oauth_error(), "invalid_client", "{alg}");
    }
    let foreign = site.second.sign("ES256", &claims());
    let lawful = site.library.sign("ES256", &claims());
    let cut = &lawful[..lawful.len() - 2];
    let garbage = [foreign.as_str(), cut, "", "a.b.c", "....", "é", "{}"];
    for assertion in garbage {
        let answer = site.oauth_with(assertion, "/oidc/token", &RELEASE).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{assertion}");
    }
    let long = "x".repeat(20_000);
    assert_eq!(site.oauth_with(&long, "/oidc/token", &RELEASE).await.oauth_error(), "invalid_client");
    let other_id = [RELEASE[0], RELEASE[1], ("client_id", OTHER)];
    assert_eq!(site.oauth("/oidc/token", &other_id).await.oauth_error(), "invalid_client");
    let own_id = [RELEASE[0], RELEASE[1], ("client_id", SERVICE)];
    assert_eq!(site.oauth("/oidc/token", &own_id).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_service_proves_itself_in_one_way_at_a_time() {
    let site = TestSite::new();
    let send = async |path: &str, form: &[(&str, &str)], authorization: Option<&str>| {
        let assertion = site.assertion(SERVICE);
        let mut form = form.to_vec();
        form.extend([("client_assertion_type", crate::site::ASSERTION_TYPE), ("client_assertion", assertion.as_str())]);
        let mut request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("dpop", site.proof("POST", path, None));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        site.send(request.body(crate::site::encode(&form).into()).unwrap()).await
    };
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{SERVICE}:secret")));
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke"] {
        for authorization in [basic.as_str(), "basic !", "Bearer x"] {
            let answer = send(path, &RELEASE, Some(authorization)).await;
            assert_eq!(
                (answer.status, answer.oauth_error().as_str()),
                (StatusCode::UNAUTHORIZED, "invalid_client"),
                "{path} {authorization}"
            );
            let challenge =
                if authorization.starts_with("Bearer") { "Bearer realm=\"usufruct\"" } else { "Basic realm=\"usufruct\"" };
            assert_eq!(answer.header("www-authenticate"), challenge, "the scheme that was tried: {path} {authorization}");
        }
        let answer = send(path, &[RELEASE[0], RELEASE[1], ("client_secret", "secret")], None).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{path}");
        assert_eq!(answer.header("www-authenticate"), "", "no scheme was tried");
    }
    assert_eq!(send("/oidc/token", &RELEASE, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn times_may_have_fractions_of_a_second() {
    let site = TestSite::new();
    let now = site.now();
    let mut claims = site.claims(SERVICE);
    (claims["iat"], claims["exp"], claims["nbf"]) =
        (json!(now as f64 - 0.25), json!(now as f64 + 60.75), json!(now as f64 - 0.5));
    let mut proof = site.proof_claims("POST", "/oidc/token");
    proof["iat"] = json!(now as f64 + 0.125);
    let send = async |claims: &Value, proof: &Value| {
        let assertion = site.library.sign("ES256", claims);
        site.oauth_proving(&assertion, "/oidc/token", &RELEASE, &[&site.bound.prove(proof)]).await
    };
    let answer = send(&claims, &proof).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // A fraction makes nothing younger, and what is no time is none.
    for (name, value) in
        [("exp", json!(now as f64 - 0.001)), ("exp", json!(1e300)), ("exp", json!("60")), ("iat", json!(now as f64 + 60.5))]
    {
        let (mut claims, proof) = (site.claims(SERVICE), site.proof_claims("POST", "/oidc/token"));
        claims[name] = value.clone();
        assert_eq!(send(&claims, &proof).await.oauth_error(), "invalid_client", "{name} {value}");
    }
    for value in [json!(now as f64 - 60.5), json!(now as f64 + 30.5), json!(-1e300)] {
        let (claims, mut proof) = (site.claims(SERVICE), site.proof_claims("POST", "/oidc/token"));
        proof["iat"] = value.clone();
        assert_eq!(send(&claims, &proof).await.oauth_error(), "invalid_dpop_proof", "{value}");
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_get_an_oauth_error() {
    let site = TestSite::new();
    let post = |kind: &str, body: String| {
        let request =
            Request::post("/oidc/token").header(CONTENT_TYPE, kind).header("dpop", site.proof("POST", "/oidc/token", None));
        site.send(request.body(body.into()).unwrap())
    };
    let form = "application/x-www-form-urlencoded";
    let lawful = || {
        let assertion = site.library.sign("ES256", &site.claims(SERVICE));
        encode(&[
            RELEASE[0],
            RELEASE[1],
            ("client_assertion_type", crate::site::ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ])
    };
    for (kind, body) in [
        ("application/json", "{}".to_owned()),
        ("text/plain", lawful()),
        ("", lawful()),
        (form, format!("{}&scope=release", lawful())),
        (form, format!("{}{}", lawful(), "&x=1".repeat(65))),
    ] {
        let answer = post(kind, body).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"), "{kind}");
    }
    for path in ["/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke"] {
        let request = Request::post(path).header(CONTENT_TYPE, form);
        let answer = site.send(request.body("x".repeat(100_000).into()).unwrap()).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"));
    }
    assert_eq!(post("application/x-www-form-urlencoded; charset=UTF-8", lawful()).await.status, StatusCode::OK);
    assert_eq!(site.get("/oidc/token", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn grant_types_and_scopes() {
    let site = TestSite::new();
    let error = async |form: &[(&str, &str)]| site.oauth("/oidc/token", form).await.oauth_error();
    assert_eq!(error(&[]).await, "invalid_request");
    assert_eq!(error(&[("grant_type", "password")]).await, "unsupported_grant_type");
    assert_eq!(error(&[("grant_type", "refresh_token")]).await, "invalid_request");
    assert_eq!(error(&[("grant_type", "refresh_token"), ("refresh_token", "ufr_forged")]).await, "invalid_grant");
    assert_eq!(error(&[("grant_type", "client_credentials"), ("scope", "openid")]).await, "invalid_scope");
    assert_eq!(error(&[("grant_type", "authorization_code"), ("code_verifier", VERIFIER)]).await, "invalid_request");
    let body = site.oauth("/oidc/token", &RELEASE).await.json();
    assert_eq!((&body["scope"], &body["token_type"]), (&json!("release"), &json!("DPoP")));
    assert!(body.get("id_token").is_none() && body.get("refresh_token").is_none());
    let refused = site.oauth_as(LOGIN, "/oidc/token", &RELEASE).await;
    assert_eq!(refused.oauth_error(), "unauthorized_client", "a service that only signs residents in");
}

#[tokio::test]
async fn a_service_that_only_signs_in_gets_a_pseudonym_and_nothing_more() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[]).await;
    let names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_token", "expires_in", "id_token", "scope", "token_type"]);
    assert_eq!((&answer["scope"], &answer["token_type"]), (&json!("openid"), &json!("Bearer")));
    let token = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    assert_eq!(site.userinfo_with(&token, &[]).await.json()["sub"], claims_of(answer["id_token"].as_str().unwrap())["sub"]);
    let release = Request::post("/api/releases").header(CONTENT_TYPE, "application/json").header("authorization", &token);
    assert_eq!(site.send(release.body("{}".into()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.plain(&cookie, &[("scope", "openid mdt_library-card")]).await.led_error(), "invalid_scope");
    // It may bind its tokens all the same, and then they are bound.
    let code = site.plain(&cookie, &[]).await.led("code").unwrap();
    let bound = site.oauth_as(LOGIN, "/oidc/token", &crate::site::plain_exchange_form(&code)).await.json();
    assert_eq!(bound["token_type"], "DPoP");
    let stolen = format!("Bearer {}", bound["access_token"].as_str().unwrap());
    assert_eq!(site.userinfo_with(&stolen, &[]).await.status, StatusCode::UNAUTHORIZED);
}
