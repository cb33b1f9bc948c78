//! Signing out, begun by a service.

use axum::http::StatusCode;
use axum::http::header::{LOCATION, SET_COOKIE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::Case;
use crate::case;
use crate::checks::RsaKey;
use crate::site::{Answer, ISSUER, LOGIN, TestSite, claims_of, encode};

const AFTER: &str = "http://localhost:8083/";

/// The modules of the list on signing out from a service's page.
#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    vec![
        case!("oidcc-rp-initiated-logout-discovery-endpoint-verification", "The metadata names the endpoint.", discovery),
        case!("oidcc-rp-initiated-logout", "She is asked, signed out, and led back with the state; prompt=none fails afterwards.", lawful),
        case!("oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", "An address that is not registered is never led to.", unregistered),
        case!("oidcc-rp-initiated-logout-modified-id-token-hint", "A hint with alg none leads nowhere.", unsigned_hint),
        case!("oidcc-rp-initiated-logout-no-id-token-hint", "Without a hint it leads nowhere.", without_hint),
        case!("oidcc-rp-initiated-logout-no-params", "She is asked, and stays on a page of ours.", without_parameters),
        case!("oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "She is asked, and stays on a page of ours.", without_address),
        case!("oidcc-rp-initiated-logout-no-state", "She is led back without a state.", without_state),
        case!("oidcc-rp-initiated-logout-only-state", "She is asked, and stays on a page of ours.", only_state),
        case!("oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", "A registered address with a query added leads nowhere.", query_added),
        case!("oidcc-rp-initiated-logout-bad-id-token-hint", "A hint of another key leads nowhere.", foreign_hint),
    ]
}

async fn discovery() {
    let metadata = TestSite::new().get("/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["end_session_endpoint"], format!("{ISSUER}/oidc/end-session"));
}

/// A resident who is signed in at a service: the site, her cookie, and the ID token.
async fn signed_in() -> (TestSite, String, String) {
    let site = TestSite::new();
    let (_, cookie) = site.resident();
    let answer = site.plain_token_answer(&cookie, &[]).await;
    let hint = answer["id_token"].as_str().unwrap().to_owned();
    (site, cookie, hint)
}

/// She is asked, and says yes. Where she is led to.
async fn sign_out(site: &TestSite, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let page = site.get(&format!("/oidc/end-session?{}", encode(fields)), cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.header(LOCATION));
    assert!(site.plain(cookie, &[("prompt", "none")]).await.led("code").is_some(), "nothing happens before she says so");
    let hidden = page.hidden();
    let form: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = site.post("/oidc/end-session/confirm", cookie, &form).await;
    assert!(answer.header(SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(site.plain(cookie, &[("prompt", "none")]).await.led_error(), "login_required");
    answer
}

async fn leads(fields: impl Fn(&str) -> Vec<(&'static str, String)>, to: &str) {
    let (site, cookie, hint) = signed_in().await;
    let fields = fields(&hint);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(sign_out(&site, &cookie, &fields).await.header(LOCATION), to);
}

async fn lawful() {
    leads(|hint| vec![hinted(hint), after(AFTER), state()], "http://localhost:8083/?state=s1").await;
}

async fn unregistered() {
    leads(|hint| vec![hinted(hint), after("https://evil.example/"), state()], "/").await;
}

async fn query_added() {
    leads(|hint| vec![hinted(hint), after(&format!("{AFTER}?foo=bar")), state()], "/").await;
}

async fn without_hint() {
    leads(|_| vec![after(AFTER), state()], "/").await;
}

async fn without_parameters() {
    leads(|_| vec![], "/").await;
}

async fn without_address() {
    leads(|hint| vec![hinted(hint), state()], "/").await;
}

async fn without_state() {
    leads(|hint| vec![hinted(hint), after(AFTER)], AFTER).await;
}

async fn only_state() {
    leads(|_| vec![state()], "/").await;
}

/// A hint that is not ours leads nowhere.
async fn forged(hint: impl Fn(&TestSite, &str) -> String) {
    let (site, cookie, id_token) = signed_in().await;
    let hint = hint(&site, &id_token);
    let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER), ("client_id", LOGIN)];
    assert_eq!(sign_out(&site, &cookie, &fields).await.header(LOCATION), "/");
    assert_eq!(site.get(&format!("/oidc/end-session?{}", encode(&fields)), "").await.header(LOCATION), "");
}

/// The claims of a token under a header that says `alg` and names the key that signed the token.
fn resigned(id_token: &str, alg: &str, signature: impl Fn(&str) -> String) -> String {
    let mut header = header_of(id_token);
    header["alg"] = json!(alg);
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), id_token.split('.').nth(1).unwrap());
    format!("{text}.{}", signature(&text))
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

async fn unsigned_hint() {
    forged(|_, id_token| resigned(id_token, "none", |_| String::new())).await;
    forged(|_, id_token| resigned(id_token, "RS256", |_| String::new())).await;
    forged(|site, id_token| site.login.sign("none", &claims_of(id_token))).await;
}

async fn foreign_hint() {
    // By its own name, and under the name of the key of the pass.
    forged(|site, id_token| site.login.sign("ES256", &claims_of(id_token))).await;
    let rsa = RsaKey::new();
    forged(|_, id_token| rsa.sign(&header_of(id_token), &claims_of(id_token))).await;
    forged(|site, id_token| {
        site.login.sign_with(&json!({ "alg": "ES256", "kid": header_of(id_token)["kid"] }), &claims_of(id_token))
    })
    .await;
    forged(|_, _| "not a token".to_owned()).await;
}

fn hinted(hint: &str) -> (&'static str, String) {
    ("id_token_hint", hint.to_owned())
}

fn after(uri: &str) -> (&'static str, String) {
    ("post_logout_redirect_uri", uri.to_owned())
}

fn state() -> (&'static str, String) {
    ("state", "s1".to_owned())
}
