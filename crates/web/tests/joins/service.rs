//! A service that speaks for itself, and an ear of it that keeps every byte it is told of one resident.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use axum::body::Body;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;

use crate::site::{ASSERTION_TYPE, Answer, Key, TestSite, encode};
use crate::town::Town;

/// By which way a service is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// `/oidc/par`.
    PushedRequest,
    /// The address that her browser is led back to, with a code or with an error.
    Redirect,
    /// `/oidc/token` for a code.
    Token,
    /// `/oidc/token` for a refresh token.
    Refresh,
    /// `/oidc/token` for the service itself.
    OwnToken,
    /// `/oidc/userinfo`.
    Userinfo,
    /// What was encrypted in it.
    Decrypted,
    Introspection,
    SignedIntrospection,
    Revocation,
    GrantManagement,
    /// `/api/releases`, one or many.
    Release,
    Deposit,
    Conversion,
    FindUsage,
    /// `/api/ldv`.
    Report,
    /// A token whose sign-in is too old.
    StepUp,
    DeletionNotice,
    /// The pages for people of a vendor.
    Desk,
    /// The stream itself, and its status.
    Stream,
    /// SETs that are pushed.
    Push,
    /// SETs that are asked for.
    Poll,
    LogoutToken,
    /// Where her browser is led after she signed out.
    AfterLogout,
}

impl Channel {
    pub const ALL: [Self; 24] = [
        Self::PushedRequest,
        Self::Redirect,
        Self::Token,
        Self::Refresh,
        Self::OwnToken,
        Self::Userinfo,
        Self::Decrypted,
        Self::Introspection,
        Self::SignedIntrospection,
        Self::Revocation,
        Self::GrantManagement,
        Self::Release,
        Self::Deposit,
        Self::Conversion,
        Self::FindUsage,
        Self::Report,
        Self::StepUp,
        Self::DeletionNotice,
        Self::Desk,
        Self::Stream,
        Self::Push,
        Self::Poll,
        Self::LogoutToken,
        Self::AfterLogout,
    ];
}

/// A service with its keys, none of which any other has.
pub struct Service {
    pub agency: &'static str,
    pub contract: &'static str,
    pub id: &'static str,
    pub sector: &'static str,
    pub callback: String,
    pub after_logout: String,
    base: String,
    key: Key,
    /// What its tokens are bound to.
    bound: Key,
    /// What userinfo is encrypted to.
    opening: PrivateKey,
}

impl Service {
    pub fn new(
        agency: &'static str,
        contract: &'static str,
        id: &'static str,
        sector: &'static str,
        port: u16,
        told_at: &str,
    ) -> Self {
        Self {
            agency,
            contract,
            id,
            sector,
            callback: format!("http://localhost:{port}/{sector}"),
            after_logout: format!("http://localhost:{port}/{sector}/out"),
            base: format!("{told_at}/{sector}"),
            key: Key::new(id),
            bound: Key::new(id),
            opening: PrivateKey::generate(&ECDH_P256).unwrap(),
        }
    }

    /// Writes into its statement what it wants to be told, and how.
    pub fn register(&self, body: &mut Value, mandates: &[&str]) {
        let point = self.opening.compute_public_key().unwrap();
        let [x, y] = [1..33, 33..65].map(|half| URL_SAFE_NO_PAD.encode(&point.as_ref()[half]));
        let opening =
            json!({ "kid": format!("{}-opening", self.sector), "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "enc" });
        body["mandates"] = json!(mandates);
        body["redirect_uris"] = json!([self.callback]);
        body["post_logout_redirect_uris"] = json!([self.after_logout]);
        body["jwks"] = json!([self.key.jwk(), opening]);
        body["userinfo_signed_response_alg"] = json!("ES256");
        body["backchannel_logout_uri"] = json!(format!("{}/logout", self.base));
        body["signals_uri"] = json!(self.signals_uri());
    }

    pub fn signals_uri(&self) -> String {
        format!("{}/signals", self.base)
    }

    /// An assertion that it is this service.
    fn assertion(&self, site: &TestSite) -> String {
        self.key.sign("ES256", &site.claims(self.id))
    }

    /// A proof that it holds the key of its tokens.
    fn proof(&self, site: &TestSite, method: &str, path: &str, token: Option<&str>) -> String {
        let mut claims = site.proof_claims(method, path);
        if let Some(token) = token {
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()).0));
        }
        self.bound.prove(&claims)
    }

    /// What was encrypted to it (RFC 7518 4.6.2).
    fn opened(&self, token: &str) -> String {
        let parts: Vec<&str> = token.split('.').collect();
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Value = serde_json::from_slice(&bytes(parts[0])).unwrap();
        let [x, y] = ["x", "y"].map(|name| bytes(header["epk"][name].as_str().unwrap()));
        let theirs = UnparsedPublicKey::new(&ECDH_P256, [&[4][..], &x, &y].concat());
        let secret = agree(&self.opening, theirs, (), |secret| {
            let parts: [&[u8]; 6] = [&[0, 0, 0, 1], secret, &[0, 0, 0, 7], b"A256GCM", &[0; 8], &[0, 0, 1, 0]];
            Ok::<_, ()>(sha256(&parts.concat()).0)
        });
        let opening = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret.unwrap()).unwrap());
        let mut content = [bytes(parts[3]), bytes(parts[4])].concat();
        let nonce = Nonce::try_assume_unique_for_key(&bytes(parts[2])).unwrap();
        let signed = opening.open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut content).unwrap();
        String::from_utf8(signed.to_vec()).unwrap()
    }
}

/// A request with a token.
pub struct Call<'a> {
    method: &'static str,
    path: &'a str,
    body: Option<Value>,
    /// About whom a portal asks, as X-Road carries it.
    user: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, body: None, user: None }
    }

    pub fn post(path: &'a str, body: Value) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(path) }
    }

    pub fn about(self, user: &'a str) -> Self {
        Self { user: Some(user), ..self }
    }
}

/// Something a service was told: a header, an address or a body.
#[derive(Clone, Debug)]
pub struct Heard {
    pub channel: Channel,
    pub text: String,
}

/// Everything one service is told of one resident.
pub struct Ear<'a> {
    pub service: &'a Service,
    pub heard: Vec<Heard>,
}

impl<'a> Ear<'a> {
    pub fn of(service: &'a Service) -> Self {
        Self { service, heard: Vec::new() }
    }

    /// Keeps a message with its headers.
    pub fn hear(&mut self, channel: Channel, headers: &HeaderMap, body: &str) {
        // When an answer was made is no news to whoever waited for it.
        let told = headers.iter().filter(|(name, _)| *name != "date");
        let headers = told.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        self.heard.extend(headers.chain([body.to_owned()]).map(|text| Heard { channel, text }));
    }

    /// Keeps an answer; its JSON is given back.
    pub fn hear_answer(&mut self, channel: Channel, answer: &Answer) -> Value {
        self.hear(channel, &answer.headers, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Keeps where her browser was led, and with what.
    pub fn hear_redirect(&mut self, channel: Channel, answer: &Answer) {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        self.heard.push(Heard { channel, text: answer.header(LOCATION).to_owned() });
    }

    /// Calls an endpoint of the provider as itself.
    pub async fn asks(&mut self, town: &Town, channel: Channel, path: &str, form: &[(&str, &str)]) -> Value {
        let answer = self.asks_for(town, path, form, "application/json").await;
        self.hear_answer(channel, &answer)
    }

    /// As [`Ear::asks`], for an answer of this kind, which is not kept yet.
    pub async fn asks_for(&self, town: &Town, path: &str, form: &[(&str, &str)], kind: &str) -> Answer {
        town.wait();
        let assertion = self.service.assertion(&town.site);
        let proven = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        let request = Request::post(path)
            .header(ACCEPT, kind)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("dpop", self.service.proof(&town.site, "POST", path, None));
        town.site.send(request.body(encode(&[form, &proven].concat()).into()).unwrap()).await
    }

    /// A token of its own.
    pub async fn own_token(&mut self, town: &Town, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = self.asks(town, Channel::OwnToken, "/oidc/token", &form).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Calls an address with a token.
    pub async fn calls(&mut self, town: &Town, channel: Channel, token: &str, call: Call<'_>) -> Answer {
        town.wait();
        let plain = call.path.split('?').next().unwrap();
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(AUTHORIZATION, format!("DPoP {token}"))
            .header("dpop", self.service.proof(&town.site, call.method, plain, Some(token)))
            .header(CONTENT_TYPE, "application/json");
        if let Some(user) = call.user {
            request = request.header("X-Road-UserId", user);
        }
        let body = call.body.map_or_else(Body::empty, |body| body.to_string().into());
        let answer = town.site.send(request.body(body).unwrap()).await;
        self.hear_answer(channel, &answer);
        if answer.header(CONTENT_TYPE) == "application/jwt" {
            let opened = self.service.opened(answer.text());
            self.heard.push(Heard { channel: Channel::Decrypted, text: opened });
        }
        answer
    }

    /// Pushes a request; the address that it leads her to.
    pub async fn pushes(&mut self, town: &Town, scope: &str, more: &[(&str, &str)]) -> Option<String> {
        let [state, nonce] = ["state", "nonce"].map(|name| format!("{}-{name}", self.service.sector));
        let own = [
            ("client_id", self.service.id),
            ("redirect_uri", self.service.callback.as_str()),
            ("scope", scope),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
        ];
        let changes: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
        let asked = town.site.ask(&changes);
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(asked.as_bytes()).into_owned().collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let pushed = self.asks(town, Channel::PushedRequest, "/oidc/par", &pairs).await;
        let uri = pushed["request_uri"].as_str()?;
        Some(format!("/oidc/authorize?{}", encode(&[("client_id", self.service.id), ("request_uri", uri)])))
    }

    /// Asks for what has waited for it, and says that it has it.
    pub async fn polls(&mut self, town: &Town) {
        let token = self.own_token(town, "ssf.read").await;
        let list = self.calls(town, Channel::Stream, &token, Call::get("/ssf/streams")).await.json();
        let Some(stream) = list[0]["stream_id"].as_str() else { return };
        let (path, mut ack) = (format!("/ssf/poll/{stream}"), Vec::new());
        loop {
            let body = json!({ "returnImmediately": true, "ack": ack });
            let answer = self.calls(town, Channel::Poll, &token, Call::post(&path, body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            ack = answer.json()["sets"].as_object().unwrap().keys().cloned().collect();
            if ack.is_empty() {
                break;
            }
        }
    }
}
