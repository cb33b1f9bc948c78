//! The list of the basic profile of OpenID Connect, with a service of the profile `oidc`.

use axum::body::Body;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::time::SECOND;

use crate::case;
use crate::checks::{claims, error_page, refused};
use crate::site::{LOGIN, LOGIN_CALLBACK, TestSite, VERIFIER, encode, plain_exchange_form};
use crate::{Case, not_applicable};

/// The modules of the list, in its order.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    vec![
        case!("oidcc-server", "A code by a plain request, an ID token signed with a published key, state and nonce as sent.", server),
        case!("oidcc-response-type-missing", "A request without response_type leads back with an error.", response_type_missing),
        case!("oidcc-idtoken-signature", "The header of the ID token names a published key, and the signature holds.", id_token_signature),
        not_applicable("oidcc-idtoken-unsigned", "ID tokens are always signed; no service can be registered for none."),
        case!("oidcc-userinfo-get", "Userinfo by GET: the subject of the ID token.", userinfo_get),
        case!("oidcc-userinfo-post-header", "Userinfo by POST with the token in the header.", userinfo_post_header),
        case!("oidcc-userinfo-post-body", "A token in the body is refused with 401, as is allowed.", userinfo_post_body),
        case!("oidcc-ensure-request-without-nonce-succeeds-for-code-flow", "No nonce is sent, none stands in the ID token.", without_nonce),
        case!("oidcc-scope-profile", "The scope is not offered: it is left out, and no attribute is released.", scope_profile),
        case!("oidcc-scope-email", "The scope is not offered: it is left out, and no attribute is released.", scope_email),
        case!("oidcc-scope-address", "The scope is not offered: it is left out, and no attribute is released.", scope_address),
        case!("oidcc-scope-phone", "The scope is not offered: it is left out, and no attribute is released.", scope_phone),
        case!("oidcc-scope-all", "The scopes are not offered: they are left out, and no attribute is released.", scope_all),
        case!("oidcc-ensure-other-scope-order-succeeds", "The order of the scope does not matter.", scope_order),
        case!("oidcc-display-page", "display=page does no harm.", display_page),
        case!("oidcc-display-popup", "display=popup does no harm.", display_popup),
        case!("oidcc-prompt-login", "She signs in again, and auth_time is later.", prompt_login),
        case!("oidcc-prompt-none-not-logged-in", "Nobody is signed in: login_required, without a page.", silent_nobody),
        case!("oidcc-prompt-none-logged-in", "The same subject and auth_time, without a page.", silent_again),
        case!("oidcc-max-age-1", "After a second she signs in again, and auth_time is later.", max_age_1),
        case!("oidcc-max-age-10000", "The session is young enough: the same auth_time.", max_age_10000),
        case!("oidcc-ensure-request-with-unknown-parameter-succeeds", "An unknown parameter does no harm.", unknown_parameter),
        case!("oidcc-id-token-hint", "With prompt=none and her ID token as a hint: the same subject; with another resident's: login_required.", id_token_hint),
        case!("oidcc-login-hint", "A login hint does no harm.", login_hint),
        case!("oidcc-ui-locales", "Languages do no harm, also those that do not exist.", ui_locales),
        case!("oidcc-claims-locales", "Languages of claims do no harm.", claims_locales),
        case!("oidcc-ensure-request-with-acr-values-succeeds", "Classes that exist and classes that do not: acr says what was done.", acr_values),
        case!("oidcc-codereuse", "A code used twice is refused.", code_reuse),
        case!("oidcc-codereuse-30seconds", "A code used again after half a minute is refused, and its token is dead.", code_reuse_late),
        case!("oidcc-ensure-registered-redirect-uri", "An address that is not registered is never led to.", unregistered),
        case!("oidcc-ensure-post-request-succeeds", "The request may be posted.", posted),
        not_applicable("oidcc-server-client-secret-post", "There are no client secrets."),
        case!("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", "A request_uri that was not pushed here is refused, and nothing is fetched.", request_uri),
        case!("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", "Request objects are refused with request_not_supported.", request_object),
        case!("oidcc-claims-essential", "There is no such claim to ask for, and asking does no harm.", claims_essential),
        case!("oidcc-ensure-request-object-with-redirect-uri", "A redirect_uri in a request object counts for nothing.", request_object_with_redirect),
        case!("oidcc-refresh-token", "None is given to a service that only signs in, and none is taken.", no_refresh_token),
        case!("oidcc-ensure-request-with-valid-pkce-succeeds", "A challenge is honoured where it is sent.", pkce),
    ]
}

async fn server() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain(&cookie, &[]).await;
    assert_eq!((answer.led("state").as_deref(), answer.led("iss").as_deref()), (Some("s1"), Some(crate::site::ISSUER)));
    assert!(answer.header(LOCATION).starts_with(&format!("{LOGIN_CALLBACK}?code=")));
    let code = answer.led("code").unwrap();
    let exchanged = site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &plain_exchange_form(&code), &[]).await;
    assert_eq!(exchanged.header("cache-control"), "no-store");
    let answer = exchanged.json();
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("Bearer"), &json!("openid")));
    assert_eq!(claims(&site, &answer, LOGIN).await["nonce"], "n1");
    let unauthenticated = site.oauth_proving("", "/oidc/token", &plain_exchange_form(&code), &[]).await;
    refused(&unauthenticated, StatusCode::UNAUTHORIZED, &["invalid_client"]);
}

async fn response_type_missing() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let error = site.plain(&cookie, &[("response_type", "")]).await.led_error();
    assert!(["invalid_request", "unsupported_response_type"].contains(&error.as_str()), "{error}");
}

async fn id_token_signature() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[]).await;
    claims(&site, &answer, LOGIN).await;
    let hash = sha256(answer["access_token"].as_str().unwrap().as_bytes());
    let claims = claims(&site, &answer, LOGIN).await;
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&hash.0[..16]));
}

/// A token and the subject of its ID token.
async fn signed_in(site: &TestSite, changes: &[(&str, &str)]) -> (String, Value) {
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, changes).await;
    (answer["access_token"].as_str().unwrap().to_owned(), claims(site, &answer, LOGIN).await["sub"].clone())
}

async fn userinfo_get() {
    let site = TestSite::new();
    let (token, subject) = signed_in(&site, &[]).await;
    assert_eq!(site.userinfo_with(&format!("Bearer {token}"), &[]).await.json(), json!({ "sub": subject }));
}

async fn userinfo_post_header() {
    let site = TestSite::new();
    let (token, subject) = signed_in(&site, &[]).await;
    let request = Request::post("/oidc/userinfo").header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(site.send(request.body(Body::empty()).unwrap()).await.json(), json!({ "sub": subject }));
}

async fn userinfo_post_body() {
    let site = TestSite::new();
    let (token, _) = signed_in(&site, &[]).await;
    let request = Request::post("/oidc/userinfo").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = site.send(request.body(encode(&[("access_token", &token)]).into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

async fn without_nonce() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[("nonce", "")]).await;
    assert!(claims(&site, &answer, LOGIN).await.get("nonce").is_none());
}

/// A scope that is not offered is left out, and nothing comes of it.
async fn scope(words: &str) {
    let site = TestSite::new();
    let offered = site.get("/.well-known/openid-configuration", "").await.json()["scopes_supported"].clone();
    let (_, cookie) = site.resident();
    for order in [format!("openid {words}"), format!("{words} openid")] {
        assert!(words.split(' ').all(|word| !offered.as_array().unwrap().contains(&json!(word))));
        let answer = site.plain_token_answer(&cookie, &[("scope", &order)]).await;
        assert_eq!(answer["scope"], "openid");
        let token = answer["access_token"].as_str().unwrap();
        let info = site.userinfo_with(&format!("Bearer {token}"), &[]).await.json();
        assert_eq!(info, json!({ "sub": claims(&site, &answer, LOGIN).await["sub"] }));
    }
}

async fn scope_profile() {
    scope("profile").await;
}

async fn scope_email() {
    scope("email").await;
}

async fn scope_address() {
    scope("address").await;
}

async fn scope_phone() {
    scope("phone").await;
}

async fn scope_all() {
    scope("profile email address phone").await;
}

async fn scope_order() {
    scope("email").await;
}

/// A request with these parameters gets a code.
async fn harmless(changes: &[(&str, &str)]) {
    let site = TestSite::new();
    signed_in(&site, changes).await;
}

async fn display_page() {
    harmless(&[("display", "page")]).await;
}

async fn display_popup() {
    harmless(&[("display", "popup")]).await;
}

async fn unknown_parameter() {
    harmless(&[("extra", "foobar")]).await;
}

async fn login_hint() {
    harmless(&[("login_hint", "resident@city.test")]).await;
}

async fn ui_locales() {
    harmless(&[("ui_locales", "se xx-YY zh-Hant-TW en")]).await;
}

async fn claims_locales() {
    harmless(&[("claims_locales", "se")]).await;
}

async fn claims_essential() {
    harmless(&[("claims", r#"{"userinfo":{"name":{"essential":true}}}"#)]).await;
}

async fn acr_values() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    for asked in ["1 2", "urn:usufruct:acr:passkey", "1 urn:usufruct:acr:card"] {
        let answer = site.plain_token_answer(&cookie, &[("acr_values", asked)]).await;
        assert_eq!(claims(&site, &answer, LOGIN).await["acr"], "urn:usufruct:acr:passkey", "{asked}");
    }
}

/// She has to sign in again, and comes back with a later time.
async fn anew(change: (&str, &str)) {
    let site = TestSite::new();
    let (resident, cookie) = site.resident();
    let first = site.plain_token_answer(&cookie, &[]).await;
    let first = claims(&site, &first, LOGIN).await;
    site.city.clock.advance(2 * SECOND);
    let answer = site.plain(&cookie, &[change]).await;
    assert!(answer.header(LOCATION).starts_with("/sign-in?next="), "{}", answer.header(LOCATION));
    let back = answer.led("next").unwrap();
    site.city.clock.advance(SECOND);
    let answer = site.get(&back, &site.sign_in(resident)).await;
    let form = plain_exchange_form_of(&answer);
    let answer = site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &pairs(&form), &[]).await.json();
    let second = claims(&site, &answer, LOGIN).await;
    assert_eq!(second["sub"], first["sub"]);
    assert!(second["auth_time"].as_i64() > first["auth_time"].as_i64());
}

fn plain_exchange_form_of(answer: &crate::site::Answer) -> Vec<(String, String)> {
    let code = answer.led("code").unwrap();
    plain_exchange_form(&code).map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn pairs(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

async fn prompt_login() {
    anew(("prompt", "login")).await;
}

async fn max_age_1() {
    anew(("max_age", "1")).await;
}

async fn silent_nobody() {
    assert_eq!(TestSite::new().plain("", &[("prompt", "none")]).await.led_error(), "login_required");
}

/// A second request by the same session gets the same subject and time.
async fn again(changes: &[(&str, &str)]) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let first = site.plain_token_answer(&cookie, &[]).await;
    let hint = first["id_token"].as_str().unwrap().to_owned();
    let first = claims(&site, &first, LOGIN).await;
    site.city.clock.advance(SECOND);
    let mut changes = changes.to_vec();
    changes.iter_mut().filter(|(name, _)| *name == "id_token_hint").for_each(|(_, value)| *value = hint.as_str());
    let second = site.plain_token_answer(&cookie, &changes).await;
    let second = claims(&site, &second, LOGIN).await;
    assert_eq!((&second["sub"], &second["auth_time"]), (&first["sub"], &first["auth_time"]));
}

async fn silent_again() {
    again(&[("prompt", "none")]).await;
}

async fn max_age_10000() {
    again(&[("max_age", "10000")]).await;
}

async fn id_token_hint() {
    again(&[("prompt", "none"), ("id_token_hint", "-")]).await;
    let site = TestSite::new();
    let ((_, alice), (_, bob)) = (site.resident(), site.resident());
    let hint = site.plain_token_answer(&alice, &[]).await["id_token"].as_str().unwrap().to_owned();
    let other = site.plain(&bob, &[("prompt", "none"), ("id_token_hint", &hint)]).await;
    assert_eq!((other.led_error().as_str(), other.led("code")), ("login_required", None));
}

async fn reused(seconds: i64) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let form = plain_exchange_form_of(&site.plain(&cookie, &[]).await);
    let exchange = async || site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &pairs(&form), &[]).await;
    let token = exchange().await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(site.userinfo_with(&format!("Bearer {token}"), &[]).await.status, StatusCode::OK);
    site.city.clock.advance(seconds * SECOND);
    refused(&exchange().await, StatusCode::BAD_REQUEST, &["invalid_grant"]);
    assert_eq!(site.userinfo_with(&format!("Bearer {token}"), &[]).await.status, StatusCode::UNAUTHORIZED);
}

async fn code_reuse() {
    reused(0).await;
}

async fn code_reuse_late() {
    reused(30).await;
}

async fn unregistered() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    for uri in ["https://evil.example/".to_owned(), format!("{LOGIN_CALLBACK}?added=1"), LOGIN_CALLBACK.to_uppercase()] {
        error_page(&site.plain(&cookie, &[("redirect_uri", &uri)]).await);
    }
}

async fn posted() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let request = Request::post("/oidc/authorize")
        .header(ACCEPT, "text/html")
        .header(COOKIE, &cookie)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = site.send(request.body(site.ask_plainly(&[]).into()).unwrap()).await;
    assert!(answer.led("code").is_some(), "{}", answer.text());
}

async fn request_uri() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let ours = format!("http://localhost:{}/request.jwt", listener.local_addr().unwrap().port());
    for uri in ["https://client.example/request.jwt", &ours, "urn:ietf:params:oauth:request_uri:x"] {
        error_page(&site.plain(&cookie, &[("request_uri", uri)]).await);
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came to fetch it");
}

fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(claims))
}

async fn request_object() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let object = unsigned(&json!({ "state": "inside" }));
    let answer = site.plain(&cookie, &[("request", &object)]).await;
    assert_eq!((answer.led_error().as_str(), answer.led("state").as_deref()), ("request_not_supported", Some("s1")));
}

async fn request_object_with_redirect() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let object = unsigned(&json!({ "redirect_uri": LOGIN_CALLBACK }));
    error_page(&site.plain(&cookie, &[("request", &object), ("redirect_uri", "https://evil.example/")]).await);
}

async fn no_refresh_token() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[("scope", "openid offline_access")]).await;
    assert!(answer.get("refresh_token").is_none() && answer.get("grant_id").is_none());
    let form = [("grant_type", "refresh_token"), ("refresh_token", answer["access_token"].as_str().unwrap())];
    let refreshed = site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &form, &[]).await;
    refused(&refreshed, StatusCode::BAD_REQUEST, &["invalid_grant", "unsupported_grant_type", "unauthorized_client"]);
}

async fn pkce() {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()).0);
    let changes = [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
    for (verifier, is_right) in [(VERIFIER, true), ("", false), ("another-verifier-of-at-least-forty-three-chars", false)] {
        let mut form = plain_exchange_form_of(&site.plain(&cookie, &changes).await);
        form.push(("code_verifier".to_owned(), verifier.to_owned()));
        let answer = site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &pairs(&form), &[]).await;
        assert_eq!(answer.status == StatusCode::OK, is_right, "{verifier}");
    }
    // A verifier for a code that was asked for without a challenge is a sign that somebody took the challenge out.
    let mut form = plain_exchange_form_of(&site.plain(&cookie, &[]).await);
    form.push(("code_verifier".to_owned(), VERIFIER.to_owned()));
    let answer = site.oauth_proving(&site.assertion(LOGIN), "/oidc/token", &pairs(&form), &[]).await;
    refused(&answer, StatusCode::BAD_REQUEST, &["invalid_grant"]);
}
