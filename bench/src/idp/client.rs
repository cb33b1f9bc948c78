//! A client that signs its requests beforehand and sends them over a few connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;

use crate::server::Server;
use crate::{CONNECTIONS, now};

/// What is asked again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A pushed request.
    Push,
    /// A pushed request, the redirect of a signed-in resident, and the exchange of the code.
    SignIn,
    /// A token of the client's own.
    Token,
}

/// What came of it.
pub struct Measured {
    pub what: &'static str,
    seconds: f64,
    cpu_seconds: f64,
    /// Sorted, in microseconds.
    latencies: Vec<u64>,
}

pub struct Client {
    pub http: reqwest::Client,
    key: EcdsaKeyPair,
    bound: EcdsaKeyPair,
}

/// A request that only has to be sent.
struct Ready {
    proof: String,
    form: Vec<(&'static str, String)>,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &server.key).expect("the key");
        #[expect(clippy::disallowed_methods, reason = "the key of a measurement")]
        let rng = SystemRandom::new();
        let bound = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("a key");
        let bound = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bound.as_ref()).expect("the key");
        Self { http, key, bound }
    }

    /// Asks for at least `span`, with as many requests in flight as there are connections.
    pub async fn run(&self, server: &Server, what: What, span: Duration) -> Measured {
        // As many as a fast server can use up in that time; proofs of possession live for a minute.
        let count = (span.as_secs_f64() * MOST_PER_SECOND) as usize;
        let (first, second) = match what {
            What::Token => (self.ready(server, &server.token, count, &|_| own_token()), Vec::new()),
            What::Push => (self.ready(server, &server.push, count, &|_| request()), Vec::new()),
            What::SignIn => (
                self.ready(server, &server.push, count / 4, &|_| request()),
                self.ready(server, &server.token, count / 4, &|_| exchange()),
            ),
        };
        let (first, second, next) = (Arc::new(first), Arc::new(second), Arc::new(AtomicUsize::new(0)));
        let (begin, cpu) = (now(), server.cpu_seconds());
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let (http, first, second, next) = (self.http.clone(), Arc::clone(&first), Arc::clone(&second), Arc::clone(&next));
                let cookie = server.cookies.get(connection).cloned().unwrap_or_default();
                let urls = [server.token.clone(), server.push.clone(), server.authorize.clone()];
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while begin.elapsed() < span {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(ready) = first.get(place) else { break };
                        let start = now();
                        match what {
                            What::Token => drop(send(&http, &urls[0], ready, None).await),
                            What::Push => drop(send(&http, &urls[1], ready, None).await),
                            What::SignIn => sign_in(&http, &urls, ready, &second[place], &cookie).await,
                        }
                        latencies.push(start.elapsed().as_micros() as u64);
                    }
                    latencies
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.append(&mut task.await.expect("a connection"));
        }
        let (seconds, cpu_seconds) = (begin.elapsed().as_secs_f64(), server.cpu_seconds() - cpu);
        latencies.sort_unstable();
        let what = match what {
            What::Push => "pushed request, assertion and DPoP",
            What::SignIn => "sign-in: push, redirect, token",
            What::Token => "token, assertion and DPoP",
        };
        Measured { what, seconds, cpu_seconds, latencies }
    }

    /// Pushes one request and answers where the browser is sent with it.
    pub async fn begun(&self, server: &Server) -> String {
        let ready = self.ready(server, &server.push, 1, &|_| request());
        let pushed = send(&self.http, &server.push, &ready[0], None).await;
        authorize_url(&server.authorize, &pushed)
    }

    fn ready(&self, server: &Server, url: &str, count: usize, form: &dyn Fn(usize) -> Vec<(&'static str, String)>) -> Vec<Ready> {
        let seconds = unix_seconds();
        (0..count)
            .map(|place| {
                let jti = format!("{url}-{place}-{}", random_word());
                let claims = json!({
                    "iss": CLIENT, "sub": CLIENT, "aud": server.issuer, "iat": seconds, "exp": seconds + 240, "jti": jti,
                });
                let assertion = sign(&self.key, &json!({ "alg": "ES256", "kid": "client" }), &claims);
                let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(&self.bound) });
                // The other provider keeps the names of assertions and proofs in one list.
                let proof = sign(
                    &self.bound,
                    &header,
                    &json!({ "jti": format!("{jti}-proof"), "htm": "POST", "htu": url, "iat": seconds }),
                );
                let mut form = form(place);
                form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()));
                form.push(("client_assertion", assertion));
                Ready { proof, form }
            })
            .collect()
    }
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    pub fn per_cpu_second(&self) -> f64 {
        self.latencies.len() as f64 / self.cpu_seconds.max(0.01)
    }

    pub fn millis(&self, quantile: f64) -> f64 {
        let place = ((self.latencies.len().max(1) - 1) as f64 * quantile) as usize;
        self.latencies.get(place).map_or(0.0, |micros| *micros as f64 / 1_000.0)
    }
}

async fn sign_in(http: &reqwest::Client, [token, push, authorize]: &[String; 3], first: &Ready, second: &Ready, cookie: &str) {
    let pushed = send(http, push, first, None).await;
    let answer = http.get(authorize_url(authorize, &pushed)).header("cookie", cookie).send().await.expect("an answer");
    let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).expect("a way back").to_owned();
    let to = url::Url::parse(&location).expect("an address");
    let code = to.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    send(http, token, second, Some(code)).await;
}

fn authorize_url(authorize: &str, pushed: &Value) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", CLIENT)
        .append_pair("request_uri", pushed["request_uri"].as_str().expect("a request_uri"))
        .finish();
    format!("{authorize}?{query}")
}

async fn send(http: &reqwest::Client, url: &str, ready: &Ready, code: Option<String>) -> Value {
    let mut form: Vec<(&str, &str)> = ready.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if let Some(code) = &code {
        form.push(("code", code));
    }
    let answer = http.post(url).header("dpop", &ready.proof).form(&form).send().await.expect("an answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}

fn own_token() -> Vec<(&'static str, String)> {
    vec![("grant_type", "client_credentials".into())]
}

fn request() -> Vec<(&'static str, String)> {
    vec![
        ("response_type", "code".into()),
        ("client_id", CLIENT.into()),
        ("redirect_uri", REDIRECT.into()),
        ("scope", "openid".into()),
        ("state", "state".into()),
        ("nonce", "nonce".into()),
        ("code_challenge", URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()).0)),
        ("code_challenge_method", "S256".into()),
    ]
}

fn exchange() -> Vec<(&'static str, String)> {
    vec![("grant_type", "authorization_code".into()), ("redirect_uri", REDIRECT.into()), ("code_verifier", VERIFIER.into())]
}

fn sign(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    #[expect(clippy::disallowed_methods, reason = "signatures of a measurement")]
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The public part of a key (RFC 7517).
pub fn jwk(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
}

fn random_word() -> String {
    let mut bytes = [0; 12];
    #[expect(clippy::disallowed_methods, reason = "names of a measurement")]
    aws_lc_rs::rand::fill(&mut bytes).expect("chance");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The client of both providers.
pub const CLIENT: &str = "svc_library";
pub const REDIRECT: &str = "http://localhost:8081/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
/// More than either server answers.
const MOST_PER_SECOND: f64 = 12_000.0;
