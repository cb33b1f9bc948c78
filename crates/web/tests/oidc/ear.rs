//! A service, and everything that it is ever told, taken apart into what could be compared with what another service was told.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::time::SECOND;

use crate::common::{CARD, SERVICE};
use crate::site::{ASSERTION_TYPE, Answer, CALLBACK, OTHER_CALLBACK, TestSite, VERIFIER, claims_of, encode};

/// Letters in a row that make up a value of more than 40 bits in base64url: 8 of them have 48.
pub const WINDOW: usize = 8;
/// The same for digits: 13 of them have 43 bits.
const WINDOW_OF_DIGITS: usize = 13;
/// Digits of a number that is compared as a whole, although it has no 40 bits: a second since 1970 has ten.
const SHORTEST_NUMBER: usize = 9;

/// A service, and everything that was ever sent to it.
pub struct Ear {
    pub id: &'static str,
    callback: &'static str,
    heard: Vec<String>,
    /// Seconds that every service hears of by design: when she proved herself, which is one moment for all that she enters by it, and when she froze
    /// her pass, of which nobody is told later than another.
    pub moments: BTreeSet<String>,
}

impl Ear {
    pub fn of(id: &'static str) -> Self {
        let callback = if id == SERVICE { CALLBACK } else { OTHER_CALLBACK };
        Self { id, callback, heard: Vec::new(), moments: BTreeSet::new() }
    }

    /// Takes in an answer with its headers.
    pub fn hear(&mut self, answer: &Answer) -> Value {
        self.hear_of(&answer.headers, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Takes in a message with its headers.
    pub fn hear_of(&mut self, headers: &HeaderMap, body: &str) {
        self.heard.extend(headers.values().map(|value| value.to_str().unwrap().to_owned()));
        self.heard.push(body.to_owned());
    }

    /// A request is pushed, she answers it, and is led back.
    pub async fn asked(&mut self, site: &TestSite, cookie: &str, more: &[(&str, &str)]) -> Option<String> {
        let mut changes = vec![("client_id", self.id), ("redirect_uri", self.callback)];
        changes.extend(more);
        let pushed = self.hear(&site.push(&changes).await);
        let uri = pushed["request_uri"].as_str().unwrap();
        let address = format!("/oidc/authorize?{}", encode(&[("client_id", self.id), ("request_uri", uri)]));
        let mut answer = site.get(&address, cookie).await;
        while answer.status == StatusCode::OK {
            answer = site.decide(cookie, &answer, &[("decision", "agree")]).await;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        self.heard.push(answer.header(LOCATION).to_owned());
        answer.led("code")
    }

    pub async fn own(&mut self, site: &TestSite, path: &str, form: &[(&str, &str)]) -> Value {
        self.hear(&site.oauth_as(self.id, path, form).await)
    }

    pub async fn own_token(&mut self, site: &TestSite, scope: &str) -> String {
        let answer = self.own(site, "/oidc/token", &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// She signs in; the code, and what the service gets for it.
    pub async fn enter(&mut self, site: &TestSite, cookie: &str) -> (String, Value) {
        let code = self.asked(site, cookie, &[]).await.unwrap();
        let tokens = self.own(site, "/oidc/token", &self.form(&code)).await;
        self.moments.insert(claims_of(tokens["id_token"].as_str().unwrap())["auth_time"].to_string());
        (code, tokens)
    }

    fn form<'a>(&self, code: &'a str) -> [(&'a str, &'a str); 4] {
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", self.callback), ("code_verifier", VERIFIER)]
    }

    /// Everything a service can do with a resident who is signed in.
    pub async fn visit(&mut self, site: &TestSite, cookie: &str) {
        let (code, tokens) = self.enter(site, cookie).await;
        let access = tokens["access_token"].as_str().unwrap();
        let subject = self.hear(&site.userinfo(access).await)["sub"].clone();
        let introspected = self.own(site, "/oidc/introspect", &[("token", access)]).await;
        assert_eq!(introspected["active"], true);
        let assertion = site.assertion(self.id);
        let signed = [("token", access), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
        let request = Request::post("/oidc/introspect")
            .header(ACCEPT, "application/token-introspection+jwt")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let signed = site.send(request.body(encode(&signed).into()).unwrap()).await;
        assert_eq!(signed.status, StatusCode::OK, "{}", signed.text());
        self.hear(&signed);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
        self.own(site, "/oidc/token", &refresh).await;
        let query = self.own_token(site, "grant_management_query").await;
        let grant = site.grant("GET", tokens["grant_id"].as_str().unwrap(), &query).await;
        assert_eq!(grant.status, StatusCode::OK);
        self.hear(&grant);
        let release = self.own_token(site, "release").await;
        let visit =
            json!({ "subject": subject, "mandate": CARD, "block": "blk_name", "value": "Main hall", "reason": "lending" });
        let deposited = site.api("/api/deposits", &release, &visit).await;
        assert_eq!(deposited.status, StatusCode::OK, "{}", deposited.text());
        self.hear(&deposited);
        let wanted = json!({ "subject": subject, "mandate": CARD, "blocks": [{ "block": "blk_name", "form": "value" }], "reason": "lending" });
        let released = site.api("/api/releases", &release, &wanted).await;
        assert_eq!(released.status, StatusCode::OK, "{}", released.text());
        assert!(!self.hear(&released)["deposits"].as_array().unwrap().is_empty());
        let nothing = json!({ "subject": subject, "mandate": CARD, "blocks": [], "reason": "lending" });
        self.hear(&site.api("/api/releases", &release, &nothing).await);
        self.asked(site, cookie, &[("prompt", "none")]).await.unwrap();
        self.asked(site, cookie, &[("prompt", "none login"), ("state", "again")]).await;
        self.own(site, "/oidc/token", &self.form(&code)).await;
        self.own(site, "/oidc/revoke", &[("token", access)]).await;
        self.hear(&site.userinfo(access).await);
        let hint = tokens["id_token"].as_str().unwrap();
        let out = site.get(&format!("/oidc/end-session?{}", encode(&[("id_token_hint", hint), ("state", "s1")])), "").await;
        self.heard.push(out.header(LOCATION).to_owned());
    }

    /// What it is told after she has withdrawn. It answers, so that the list has no more of her when somebody else withdraws.
    pub async fn told(&mut self, site: &TestSite) {
        let release = self.own_token(site, "release").await;
        let list = site.send(site.bearing("GET", "/api/deletions", &release).body(Body::empty()).unwrap()).await;
        let notices = self.hear(&list)["deletions"].take();
        assert_eq!(notices.as_array().unwrap().len(), 1, "{} is told of one erasure", self.id);
        let path = format!("/api/deletions/{}", notices[0]["id"].as_str().unwrap());
        let answered = site.api(&path, &release, &json!({ "answer": "deleted" })).await;
        assert_eq!(answered.status, StatusCode::NO_CONTENT, "{}", answered.text());
        self.hear(&answered);
    }

    /// Every row of letters it has heard, with everything decoded that can be decoded.
    fn windows(&self) -> BTreeSet<String> {
        let mut windows = BTreeSet::new();
        self.heard.iter().for_each(|text| take_apart(text, &mut windows));
        windows
    }
}

fn take_apart(text: &str, windows: &mut BTreeSet<String>) {
    let decoded: String = url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| format!("{name} {value} ")).collect();
    for text in [text, &decoded] {
        let is_of_a_value = |letter: char| letter.is_ascii_alphanumeric() || "_-+/".contains(letter);
        for value in text.split(|letter| !is_of_a_value(letter)) {
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            let window = if is_number { WINDOW_OF_DIGITS } else { WINDOW };
            windows.extend(value.as_bytes().windows(window).map(|window| String::from_utf8(window.to_vec()).unwrap()));
            if is_number && (SHORTEST_NUMBER..WINDOW_OF_DIGITS).contains(&value.len()) {
                windows.insert(value.to_owned());
            }
            // Parts of signed tokens.
            let inner = URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(inner) = inner.filter(|inner| inner.starts_with('{')) {
                take_apart(&inner, windows);
            }
        }
        // A time to the microsecond is as good as a name.
        let times = text.split('"').filter(|text| text.parse::<Time>().is_ok_and(|time| time.micros() % SECOND != 0));
        windows.extend(times.map(str::to_owned));
    }
}

/// What two services have in common.
pub fn shared(one: &Ear, other: &Ear) -> BTreeSet<String> {
    one.windows().intersection(&other.windows()).cloned().collect()
}

/// What two services have in common about one resident beyond what they have in common about two, which is the city itself, its keys, its mandate
/// and its words, and beyond the moments that all hear of.
pub fn joined(first: &Ear, second: &Ear, of_stranger: &Ear) -> Vec<String> {
    let known: BTreeSet<String> = &shared(first, of_stranger) | &first.moments;
    shared(first, second).difference(&known).cloned().collect()
}
