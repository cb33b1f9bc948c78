//! A site over the small lawful city of `app`, two services with keys, and a client that drives the router.

#![allow(dead_code, reason = "each test binary uses its own part")]

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
use usufruct_core::status::Grounds;
use usufruct_web::{CardPlace, DemoSettings, Limits, Outbound, Settings, Site};

use crate::common::{CARD, City, LIBRARY, SERVICE, library_card};

pub const ISSUER: &str = "http://localhost:8080";
pub const CALLBACK: &str = "http://localhost:8081/callback";
/// A second service of the same agency, with a pseudonym domain of its own.
pub const OTHER: &str = "svc_second";
pub const OTHER_CALLBACK: &str = "http://localhost:8082/back?kept=1";
/// A service of the profile oidc: off-the-shelf software that signs residents in and nothing else.
pub const LOGIN: &str = "svc_login";
pub const LOGIN_CALLBACK: &str = "http://localhost:8083/back";
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

    /// Thumbprint of the public key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()).0)
    }

    /// A proof of possession over `claims`.
    pub fn prove(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() }), claims)
    }

    /// A JWS under any header, signed with the key.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::default(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
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

/// The site, its city, and the keys of its services.
pub struct TestSite {
    pub city: City,
    pub library: Key,
    pub second: Key,
    pub login: Key,
    /// The key that the tokens of both services are bound to.
    pub bound: Key,
    pub site: Arc<Site>,
    router: Router,
    jti: std::sync::atomic::AtomicU64,
    /// Where it listens, if requests go over a connection.
    listens: Option<(reqwest::Client, String)>,
    _dir: Option<TempDir>,
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
        let (library, second, login) = (Key::new("library-1"), Key::new("second-1"), Key::new("login-1"));
        publish_service(&city, SERVICE, callback, &[library.jwk()], "fapi2", &[CARD, "mdt_short"]);
        publish_service(&city, OTHER, OTHER_CALLBACK, &[second.jwk()], "fapi2", &[CARD]);
        publish_service(&city, LOGIN, LOGIN_CALLBACK, &[login.jwk()], "oidc", &[]);
        let site = site_of(&city, issuer, true);
        let router = usufruct_web::router(Arc::clone(&site));
        let bound = Key::new("bound");
        Self { city, library, second, login, bound, site, router, jti: Default::default(), listens: None, _dir: Some(dir) }
    }

    /// A site over this city, which has services of its own. It listens at a port, and every request goes there.
    pub async fn listening(city: City) -> Self {
        let site = site_of(&city, ISSUER, true);
        let router = usufruct_web::router(Arc::clone(&site));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = router.clone();
        tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let [library, second, login, bound] = ["library-1", "second-1", "login-1", "bound"].map(Key::new);
        let listens = Some((client, base));
        Self { city, library, second, login, bound, site, router, jti: Default::default(), listens, _dir: None }
    }

    /// The same site of an operator who serves the profile fapi2 alone.
    pub fn without_oidc(self) -> Self {
        let site = site_of(&self.city, ISSUER, false);
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// The same site of an operator who wants nonces in proofs of possession.
    pub fn with_dpop_nonces(self) -> Self {
        let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
        let site = Arc::new(Site::new(Arc::clone(&self.city.app), settings).unwrap().with_dpop_nonces());
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// The same site with another way to the addresses of services.
    pub fn with_outbound(self, outbound: Outbound) -> Self {
        let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
        let site = Arc::new(Site::new(Arc::clone(&self.city.app), settings).unwrap().with_outbound(outbound));
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// The same site of an operator who takes certificate cards.
    pub fn with_card_place(self, place: CardPlace) -> Self {
        let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
        let site = Arc::new(Site::new(Arc::clone(&self.city.app), settings).unwrap().with_card_place(place));
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// The same site with other limits than the usual.
    pub fn with_limits(self, limits: &Limits) -> Self {
        let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: None };
        let site = Arc::new(Site::new(Arc::clone(&self.city.app), settings).unwrap().with_limits(limits));
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// The same site as a demo.
    pub fn with_demo(self, demo: DemoSettings) -> Self {
        let settings = Settings { issuer: ISSUER.to_owned(), allows_oidc: true, demo: Some(demo) };
        let site = Arc::new(Site::new(Arc::clone(&self.city.app), settings).unwrap());
        let router = usufruct_web::router(Arc::clone(&site));
        Self { site, router, ..self }
    }

    /// Registers the second service under one more mandate.
    pub fn join_second(&self, mandate: &str) {
        publish_service(&self.city, OTHER, OTHER_CALLBACK, &[self.second.jwk()], "fapi2", &[CARD, mandate]);
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        if let Some((client, base)) = &self.listens {
            return over_connection(client, base, request).await;
        }
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

    /// Pushes a request of the library, or of the `client_id` in the changes.
    pub async fn push(&self, changes: &[(&str, &str)]) -> Answer {
        let client = changes.iter().find(|(name, _)| *name == "client_id").map_or(SERVICE, |(_, client)| client);
        let ask = self.ask(changes);
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(ask.as_bytes()).into_owned().collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.oauth_as(client, "/oidc/par", &pairs).await
    }

    /// The address that a pushed request leads the browser to.
    pub async fn pushed(&self, changes: &[(&str, &str)]) -> String {
        let client = changes.iter().find(|(name, _)| *name == "client_id").map_or(SERVICE, |(_, client)| client);
        let answer = self.push(changes).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let uri = answer.json()["request_uri"].as_str().unwrap().to_owned();
        format!("/oidc/authorize?{}", encode(&[("client_id", client), ("request_uri", &uri)]))
    }

    /// Pushes a request that is refused, and answers the error.
    pub async fn push_error(&self, changes: &[(&str, &str)]) -> String {
        let answer = self.push(changes).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes:?}: {}", answer.text());
        assert!(answer.json().get("request_uri").is_none());
        answer.oauth_error()
    }

    /// A browser opens a plain request of the service of the profile oidc: no PKCE, and its own scope.
    pub async fn plain(&self, cookie: &str, changes: &[(&str, &str)]) -> Answer {
        self.get(&format!("/oidc/authorize?{}", self.ask_plainly(changes)), cookie).await
    }

    /// The parameters of a plain request of the service of the profile oidc.
    pub fn ask_plainly(&self, changes: &[(&str, &str)]) -> String {
        let mut all = changes.to_vec();
        let own = [
            ("client_id", LOGIN),
            ("redirect_uri", LOGIN_CALLBACK),
            ("scope", "openid"),
            ("code_challenge", ""),
            ("code_challenge_method", ""),
        ];
        all.extend(own.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name)));
        self.ask(&all)
    }

    /// Pushes a request and opens it in the browser.
    pub async fn authorize(&self, cookie: &str, changes: &[(&str, &str)]) -> Answer {
        self.get(&self.pushed(changes).await, cookie).await
    }

    /// A proof of possession of the key that tokens are bound to, for `method` and `path`.
    pub fn proof(&self, method: &str, path: &str, access_token: Option<&str>) -> String {
        let mut claims = self.proof_claims(method, path);
        if let Some(token) = access_token {
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()).0));
        }
        self.bound.prove(&claims)
    }

    /// Claims of a lawful proof that goes with no token.
    pub fn proof_claims(&self, method: &str, path: &str) -> Value {
        let jti = self.jti.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        json!({ "htm": method, "htu": format!("{ISSUER}{path}"), "iat": self.now(), "jti": format!("proof-{jti}") })
    }

    /// A request to a protected resource with a token and its proof.
    pub fn bearing(&self, method: &str, path: &str, token: &str) -> axum::http::request::Builder {
        self.bearing_with(method, path, token, &self.proof(method, path, Some(token)))
    }

    /// A request to a protected resource with a token and this proof.
    pub fn bearing_with(&self, method: &str, path: &str, token: &str, proof: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("DPoP {token}")).header("dpop", proof)
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
        self.oauth_with(&self.assertion(client), path, form).await
    }

    fn key_of(&self, client: &str) -> &Key {
        match client {
            OTHER => &self.second,
            LOGIN => &self.login,
            _ => &self.library,
        }
    }

    pub async fn oauth(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.oauth_as(SERVICE, path, form).await
    }

    pub async fn oauth_with(&self, assertion: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.oauth_proving(assertion, path, form, &[&self.proof("POST", path, None)]).await
    }

    /// Posts to an OAuth endpoint with these proofs of possession; an empty assertion is left out.
    pub async fn oauth_proving(&self, assertion: &str, path: &str, form: &[(&str, &str)], proofs: &[&str]) -> Answer {
        let mut form = form.to_vec();
        if !assertion.is_empty() {
            form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]);
        }
        let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        self.send(request.body(encode(&form).into()).unwrap()).await
    }

    /// A lawful assertion of `client`.
    pub fn assertion(&self, client: &str) -> String {
        self.key_of(client).sign("ES256", &self.claims(client))
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

    /// Everything the library gets for a code.
    pub async fn token_answer(&self, cookie: &str, changes: &[(&str, &str)]) -> Value {
        let answer = self.exchange(&self.code(cookie, changes).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// Everything the second service gets for a code.
    pub async fn other_token_answer(&self, cookie: &str) -> Value {
        let code = self.code(cookie, &[("client_id", OTHER), ("redirect_uri", OTHER_CALLBACK)]).await;
        let mut form = exchange_form(&code);
        form[2].1 = OTHER_CALLBACK;
        self.oauth_as(OTHER, "/oidc/token", &form).await.json()
    }

    /// Everything the service of the profile oidc gets for a code, without a proof of possession.
    pub async fn plain_token_answer(&self, cookie: &str, changes: &[(&str, &str)]) -> Value {
        let answer = self.plain(cookie, changes).await;
        let code = answer.led("code").unwrap_or_else(|| panic!("no code: {} {}", answer.header(LOCATION), answer.text()));
        let answer = self.oauth_proving(&self.assertion(LOGIN), "/oidc/token", &plain_exchange_form(&code), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// A new access token for the refresh token, by the library.
    pub async fn refresh(&self, refresh_token: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        form.extend(more);
        self.oauth("/oidc/token", &form).await
    }

    /// A service's own token for the release API.
    pub async fn client_token(&self) -> String {
        self.own_token(SERVICE, "release").await
    }

    /// A token of the service's own with this scope.
    pub async fn own_token(&self, client: &str, scope: &str) -> String {
        let answer = self.oauth_as(client, "/oidc/token", &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Asks about a grant, or with `DELETE` gives it back.
    pub async fn grant(&self, method: &str, id: &str, token: &str) -> Answer {
        let request = self.bearing(method, &format!("/oidc/grants/{id}"), token);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Userinfo with this `Authorization` and these proofs of possession.
    pub async fn userinfo_with(&self, authorization: &str, proofs: &[&str]) -> Answer {
        let mut request = Request::get("/oidc/userinfo").header(AUTHORIZATION, authorization);
        for proof in proofs {
            request = request.header("dpop", *proof);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        let request = self.bearing("GET", "/oidc/userinfo", token);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn introspect(&self, client: &str, token: &str) -> Value {
        self.oauth_as(client, "/oidc/introspect", &[("token", token)]).await.json()
    }

    /// Posts JSON to the release API.
    pub async fn api(&self, path: &str, token: &str, body: &Value) -> Answer {
        let request = self.bearing("POST", path, token).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }
}

/// Sends a request to the site that listens at `base`.
async fn over_connection(client: &reqwest::Client, base: &str, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let request = client.request(parts.method, format!("{base}{}", parts.uri)).headers(parts.headers).body(body);
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

pub fn exchange_form(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}

/// The claims of a JWS, unverified.
pub fn claims_of(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

/// The form by which the service of the profile oidc exchanges a code that was asked for without PKCE.
pub fn plain_exchange_form(code: &str) -> [(&str, &str); 3] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", LOGIN_CALLBACK)]
}

fn site_of(city: &City, issuer: &str, allows_oidc: bool) -> Arc<Site> {
    let settings = Settings { issuer: issuer.to_owned(), allows_oidc, demo: None };
    Arc::new(Site::new(Arc::clone(&city.app), settings).unwrap())
}

pub fn publish_service(city: &City, id: &str, callback: &str, jwks: &[Value], profile: &str, mandates: &[&str]) {
    publish_body(city, id, service_body(id, callback, jwks, profile, mandates));
}

/// A service of the library as it is written down.
pub fn service_body(id: &str, callback: &str, jwks: &[Value], profile: &str, mandates: &[&str]) -> Value {
    let text = |en: &str| json!({ "en": en, "zh-Hant": format!("{en}（中文）") });
    let origin = callback.rsplit_once('/').unwrap().0;
    json!({
        "agency": LIBRARY, "name": text(id), "sector": id.trim_start_matches("svc_"), "redirect_uris": [callback], "channels": ["web", "counter"],
        "alternatives": [text("Ask at the counter.")], "mandates": mandates, "help": text("Lends books."), "jwks": jwks, "profile": profile,
        "post_logout_redirect_uris": [format!("{origin}/"), format!("{origin}/out?kept=1")],
    })
}

/// Publishes a service of the library, and activates it.
pub fn publish_body(city: &City, id: &str, body: Value) {
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
        grounds: Grounds::default(),
    };
    let statement = city.app.step(&step, &LIBRARY.parse().unwrap(), &city.signer(LIBRARY), city.app.now()).unwrap();
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
}
