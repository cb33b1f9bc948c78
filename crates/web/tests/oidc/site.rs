//! A site over the small lawful city of `app`, two services with keys, and a client that drives the router.

use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use usufruct_app::{LifecycleStep, Publication};
use usufruct_core::Text;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_web::{Settings, Site};

use crate::common::{CARD, City, LIBRARY, SERVICE, library_card};

pub const ISSUER: &str = "http://localhost:8080";
pub const CALLBACK: &str = "http://localhost:8081/callback";
/// A second service of the same agency, with a pseudonym domain of its own.
pub const OTHER: &str = "svc_second";
pub const OTHER_CALLBACK: &str = "http://localhost:8082/back?kept=1";
pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A service's key.
pub struct Key {
    pair: EcdsaKeyPair,
    pub pkcs8: Vec<u8>,
    pub kid: &'static str,
}

impl Key {
    pub fn new(kid: &'static str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::default()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        Self { pair, pkcs8: pkcs8.as_ref().to_vec(), kid }
    }

    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kid": self.kid, "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// A JWS over `claims` whose header says `alg`: signed with the key, or as a forger would for that name.
    pub fn sign(&self, alg: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({ "alg": alg, "kid": self.kid })), part(claims));
        let signature = match alg {
            "none" => Vec::new(),
            "HS256" => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref()), text.as_bytes()).as_ref().to_vec()
            }
            _ => self.pair.sign(&SystemRandom::default(), text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.status, self.text()))
    }

    /// A parameter of the address the answer leads to.
    pub fn led(&self, name: &str) -> Option<String> {
        let location = self.header(LOCATION);
        let query = location.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The error of an authorization response, after checks that hold for every one of them.
    pub fn led_error(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text());
        assert_eq!(self.led("iss").as_deref(), Some(ISSUER));
        assert_description(&self.led("error_description").unwrap());
        self.led("error").unwrap()
    }

    /// The error of a token response, after checks that hold for every one of them.
    pub fn oauth_error(&self) -> String {
        assert_eq!(self.header(CONTENT_TYPE), "application/json", "{}", self.text());
        assert_eq!(self.header("cache-control"), "no-store");
        let body = self.json();
        assert_description(body["error_description"].as_str().unwrap());
        body["error"].as_str().unwrap().to_owned()
    }

    /// Where the page's form goes.
    pub fn action(&self) -> String {
        plain(self.text().split("<form method=\"post\" action=\"").nth(1).unwrap().split('"').next().unwrap())
    }

    /// The hidden fields of the page's form.
    pub fn hidden(&self) -> Vec<(String, String)> {
        let fields = self.text().split("<input type=\"hidden\" name=\"").skip(1);
        let field = |text: &str| {
            let (name, rest) = text.split_once('"').unwrap();
            let value = rest.trim_start_matches(" value=\"").split('"').next().unwrap();
            (name.to_owned(), plain(value))
        };
        fields.map(field).collect()
    }
}

/// RFC 6749 5.2: ASCII without quotes, backslashes and control characters.
fn assert_description(text: &str) {
    assert!(!text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
}

/// HTML text as a browser reads it.
fn plain(html: &str) -> String {
    let mut text = html.to_owned();
    for (escaped, plain) in [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(escaped, plain);
    }
    text
}

pub fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The site, its city, and the keys of its two services.
pub struct TestSite {
    pub city: City,
    pub library: Key,
    pub second: Key,
    router: Router,
    jti: std::sync::atomic::AtomicU64,
    _dir: TempDir,
}

impl TestSite {
    pub fn new() -> Self {
        Self::at(ISSUER, CALLBACK)
    }

    /// A site whose library returns to `callback`.
    pub fn at(issuer: &str, callback: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let city = City::found(dir.path(), None);
        let mut short = library_card();
        short["sunset_at"] = json!("2026-01-10T00:00:00Z");
        city.publish_mandate("mdt_short", short);
        let (library, second) = (Key::new("library-1"), Key::new("second-1"));
        publish_service(&city, SERVICE, callback, &library, &[CARD, "mdt_short"]);
        publish_service(&city, OTHER, OTHER_CALLBACK, &second, &[CARD]);
        let settings = Settings { issuer: issuer.to_owned(), demo: None };
        let site = Site::new(Arc::clone(&city.app), settings).unwrap();
        let router = usufruct_web::router(Arc::new(site));
        Self { city, library, second, router, jti: Default::default(), _dir: dir }
    }

    /// Registers the second service under one more mandate.
    pub fn join_second(&self, mandate: &str) {
        publish_service(&self.city, OTHER, OTHER_CALLBACK, &self.second, &[CARD, mandate]);
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
    }

    /// A browser opens a page; `cookie` is empty for nobody.
    pub async fn get(&self, path: &str, cookie: &str) -> Answer {
        let request = Request::get(path).header(ACCEPT, "text/html").header(COOKIE, cookie);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A browser sends a form from a page of this site.
    pub async fn post(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        let request = Request::post(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, cookie)
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(encode(form).into()).unwrap()).await
    }

    /// A new resident and the cookie of her session.
    pub fn resident(&self) -> (u64, String) {
        let resident = self.city.enrol(1)[0];
        (resident, self.sign_in(resident))
    }

    pub fn sign_in(&self, resident: u64) -> String {
        format!("usufruct={}", self.city.app.open_session(resident, "test").unwrap())
    }

    /// A lawful authorization request of the library, with `changes`; an empty value leaves the parameter out.
    pub fn ask(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()).0);
        let scope = format!("openid {CARD}");
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", SERVICE),
            ("redirect_uri", CALLBACK),
            ("scope", scope.as_str()),
            ("state", "s1"),
            ("nonce", "n1"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        encode(&fields)
    }

    pub async fn authorize(&self, cookie: &str, changes: &[(&str, &str)]) -> Answer {
        self.get(&format!("/oidc/authorize?{}", self.ask(changes)), cookie).await
    }

    /// Answers a consent page.
    pub async fn decide(&self, cookie: &str, page: &Answer, more: &[(&str, &str)]) -> Answer {
        let hidden = page.hidden();
        let mut form: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.extend(more);
        self.post(&page.action(), cookie, &form).await
    }

    /// A code for the library, after agreeing to whatever is asked.
    pub async fn code(&self, cookie: &str, changes: &[(&str, &str)]) -> String {
        let mut answer = self.authorize(cookie, changes).await;
        while answer.status == StatusCode::OK {
            answer = self.decide(cookie, &answer, &[("decision", "agree")]).await;
        }
        answer.led("code").unwrap_or_else(|| panic!("no code: {} {}", answer.header(LOCATION), answer.text()))
    }

    pub fn now(&self) -> i64 {
        self.city.app.now().seconds()
    }

    /// Claims of a lawful assertion of the library.
    pub fn claims(&self, client: &str) -> Value {
        let jti = self.jti.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let now = self.now();
        json!({ "iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": format!("jti-{jti}") })
    }

    /// Posts to an OAuth endpoint with an assertion of `client`.
    pub async fn oauth_as(&self, client: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let key = if client == OTHER { &self.second } else { &self.library };
        let assertion = key.sign("ES256", &self.claims(client));
        self.oauth_with(&assertion, path, form).await
    }

    pub async fn oauth(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.oauth_as(SERVICE, path, form).await
    }

    pub async fn oauth_with(&self, assertion: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut form = form.to_vec();
        form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]);
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(encode(&form).into()).unwrap()).await
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        self.oauth("/oidc/token", &exchange_form(code)).await
    }

    /// An access token for a resident and the pseudonym in its ID token.
    pub async fn tokens(&self, cookie: &str, changes: &[(&str, &str)]) -> (String, String) {
        let answer = self.exchange(&self.code(cookie, changes).await).await;
        let body = answer.json();
        let subject = claims_of(body["id_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
        (body["access_token"].as_str().unwrap().to_owned(), subject)
    }

    /// A service's own token for the release API.
    pub async fn client_token(&self) -> String {
        let answer = self.oauth("/oidc/token", &[("grant_type", "client_credentials"), ("scope", "release")]).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        let request = Request::get("/oidc/userinfo").header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn introspect(&self, client: &str, token: &str) -> Value {
        self.oauth_as(client, "/oidc/introspect", &[("token", token)]).await.json()
    }

    /// Posts JSON to the release API.
    pub async fn api(&self, path: &str, token: &str, body: &Value) -> Answer {
        let request =
            Request::post(path).header(AUTHORIZATION, format!("Bearer {token}")).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }
}

pub fn exchange_form(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}

/// The claims of a JWS, unverified.
pub fn claims_of(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

fn publish_service(city: &City, id: &str, callback: &str, key: &Key, mandates: &[&str]) {
    let text = |en: &str| json!({ "en": en, "zh-Hant": format!("{en}（中文）") });
    let origin = callback.rsplit_once('/').unwrap().0;
    let body = json!({
        "agency": LIBRARY, "name": text(id), "sector": id.trim_start_matches("svc_"), "redirect_uris": [callback], "channels": ["web", "counter"],
        "alternatives": [text("Ask at the counter.")], "mandates": mandates, "help": text("Lends books."), "jwks": [key.jwk()],
        "post_logout_redirect_uris": [format!("{origin}/"), format!("{origin}/out?kept=1")],
    });
    let statement = city.publish(StatementKind::Service, id, LIBRARY, body);
    if city.app.register().services[&id.parse().unwrap()].state == State::Active {
        return;
    }
    let step = LifecycleStep {
        object: id,
        revision: statement.hash().unwrap(),
        from: State::Draft,
        to: State::Active,
        reason: Text::new("Ready.", "就緒。"),
    };
    let statement = city.app.step(&step, &LIBRARY.parse().unwrap(), &city.signer(LIBRARY), city.app.now()).unwrap();
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
}
