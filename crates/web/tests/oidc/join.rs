//! Nothing that two services are told about one resident can be joined.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::time::SECOND;

use crate::common::{CARD, SERVICE, library_card, mandate};
use crate::site::{Answer, CALLBACK, OTHER, OTHER_CALLBACK, TestSite, VERIFIER, encode};

/// Letters in a row that make up a value of more than 40 bits in base64url: 8 of them have 48.
const WINDOW: usize = 8;
/// The same for digits: 13 of them have 43 bits.
const WINDOW_OF_DIGITS: usize = 13;

/// A service, and everything that was ever sent to it.
struct Ear {
    id: &'static str,
    callback: &'static str,
    heard: Vec<String>,
}

impl Ear {
    fn of(id: &'static str) -> Self {
        Self { id, callback: if id == SERVICE { CALLBACK } else { OTHER_CALLBACK }, heard: Vec::new() }
    }

    /// Takes in an answer with its headers.
    fn hear(&mut self, answer: &Answer) -> Value {
        self.heard.extend(answer.headers.values().map(|value| value.to_str().unwrap().to_owned()));
        self.heard.push(answer.text().to_owned());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// A request is pushed, she answers it, and is led back.
    async fn asked(&mut self, site: &TestSite, cookie: &str, more: &[(&str, &str)]) -> Option<String> {
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

    async fn own(&mut self, site: &TestSite, path: &str, form: &[(&str, &str)]) -> Value {
        self.hear(&site.oauth_as(self.id, path, form).await)
    }

    async fn own_token(&mut self, site: &TestSite, scope: &str) -> String {
        let answer = self.own(site, "/oidc/token", &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Everything a service can do with a resident who is signed in.
    async fn visit(&mut self, site: &TestSite, cookie: &str) {
        let code = self.asked(site, cookie, &[]).await.unwrap();
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", self.callback), ("code_verifier", VERIFIER)];
        let tokens = self.own(site, "/oidc/token", &form).await;
        let access = tokens["access_token"].as_str().unwrap();
        let subject = self.hear(&site.userinfo(access).await)["sub"].clone();
        let introspected = self.own(site, "/oidc/introspect", &[("token", access)]).await;
        assert_eq!(introspected["active"], true);
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
        self.own(site, "/oidc/token", &form).await;
        self.own(site, "/oidc/revoke", &[("token", access)]).await;
        self.hear(&site.userinfo(access).await);
        let hint = tokens["id_token"].as_str().unwrap();
        let out = site.get(&format!("/oidc/end-session?{}", encode(&[("id_token_hint", hint), ("state", "s1")])), "").await;
        self.heard.push(out.header(LOCATION).to_owned());
    }

    /// What it is told after she has withdrawn. It answers, so that the list has no more of her when somebody else withdraws.
    async fn told(&mut self, site: &TestSite) {
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
fn shared(one: &Ear, other: &Ear) -> BTreeSet<String> {
    one.windows().intersection(&other.windows()).cloned().collect()
}

/// A city whose services also put data into the pass, and get there what the other has put in.
fn site() -> TestSite {
    let site = TestSite::new();
    let mut card = library_card();
    card["operations"] = json!(["disclose", "store", "deposit", "match"]);
    site.city.publish_mandate(CARD, card);
    site
}

/// Two services hear of one resident, and one of them of somebody else too. What the services have in common about one person must
/// not be more than what they have in common about two: that is the city itself, its keys, its mandate and its words.
#[tokio::test]
async fn two_services_have_nothing_in_common_about_one_resident() {
    let site = site();
    let (resident, cookie) = site.resident();
    site.city.clock.advance(1_234_567 * SECOND / 1_000);
    let (stranger, stranger_cookie) = site.resident();
    let mut ears = [Ear::of(SERVICE), Ear::of(OTHER), Ear::of(OTHER)];
    for (ear, cookie) in ears.iter_mut().zip([&cookie, &cookie, &stranger_cookie]) {
        site.city.clock.advance(1_357_913);
        ear.visit(&site, cookie).await;
    }
    let [first, second, of_stranger] = &mut ears;
    for (resident, ears) in [(resident, vec![first, second]), (stranger, vec![of_stranger])] {
        site.city.clock.advance(2_468_024);
        site.city.app.withdraw(resident, &mandate()).unwrap();
        for ear in ears {
            site.city.clock.advance(1_111_111);
            ear.told(&site).await;
            ear.asked(&site, if resident == stranger { &stranger_cookie } else { &cookie }, &[]).await.unwrap();
        }
    }
    let [first, second, of_stranger] = &ears;
    let of_the_city = shared(first, of_stranger);
    let joined: Vec<_> = shared(first, second).difference(&of_the_city).cloned().collect();
    assert!(joined.is_empty(), "both services were told {joined:#?}");
}

/// The measure of the test above finds a pseudonym where there is one.
#[tokio::test]
async fn one_service_knows_its_resident_again() {
    let site = site();
    let (_, cookie) = site.resident();
    let (_, stranger) = site.resident();
    let mut ears = [Ear::of(SERVICE), Ear::of(SERVICE), Ear::of(SERVICE)];
    for (ear, cookie) in ears.iter_mut().zip([&cookie, &cookie, &stranger]) {
        site.city.clock.advance(1_357_913);
        ear.visit(&site, cookie).await;
    }
    let [first, again, of_stranger] = &ears;
    let of_the_city = shared(first, of_stranger);
    let joined = shared(first, again).difference(&of_the_city).count();
    let subject = 22 - WINDOW + 1;
    assert!(joined >= subject, "only {joined} windows");
}
