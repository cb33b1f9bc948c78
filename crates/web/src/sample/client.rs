//! What a relying party says to the pass: discovery, code exchange, release.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;
use usufruct_core::ports::random;
use usufruct_core::time::SECOND;

use super::Sample;

/// What the pass answered instead of data.
pub(super) enum Answer {
    Refused(Value),
    Released(Value),
}

/// What the pass says of itself (OpenID Connect Discovery 1.0).
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    pushed_authorization_request_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct IdClaims {
    sub: String,
    nonce: String,
    iat: i64,
    exp: i64,
}

impl Sample {
    /// A random word for cookies, states and verifiers.
    pub(super) fn word(&self) -> String {
        URL_SAFE_NO_PAD.encode(random::<32>(self.settings.rng.as_ref()))
    }

    /// Reads where the pass answers. A document of another issuer is refused.
    async fn discover(&self) -> Option<Discovered> {
        let url = format!("{}/.well-known/openid-configuration", self.settings.issuer);
        let found: Discovered = self.http.get(url).send().await.ok()?.json().await.ok()?;
        (found.issuer == self.settings.issuer).then_some(found)
    }

    /// Pushes a request (RFC 9126) and answers where to send the visitor to sign in.
    pub(super) async fn authorize_url(&self, state: &str, nonce: &str, verifier: &str, language: &str) -> Option<String> {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()).0);
        let scope = format!("openid {}", self.settings.mandate);
        let redirect_uri = self.redirect_uri();
        let found = self.discover().await?;
        let form = [
            ("response_type", "code"),
            ("client_id", self.settings.service.as_str()),
            ("redirect_uri", &redirect_uri),
            ("scope", &scope),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let pushed = self.post(&found.pushed_authorization_request_endpoint, &form).await?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", self.settings.service.as_str())
            .append_pair("request_uri", pushed["request_uri"].as_str()?)
            .append_pair("lang", language)
            .finish();
        Some(format!("{}?{query}", found.authorization_endpoint))
    }

    fn redirect_uri(&self) -> String {
        format!("{}/callback", self.settings.own_url)
    }

    /// Exchanges a code and verifies the ID token. The answer is the pseudonym.
    pub(super) async fn exchange(&self, code: &str, nonce: &str, verifier: &str) -> Option<String> {
        let uri = self.redirect_uri();
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &uri), ("code_verifier", verifier)];
        let answer = self.post(&self.discover().await?.token_endpoint, &form).await?;
        self.subject(answer["id_token"].as_str()?, nonce).await
    }

    /// Asks the release API for the service's blocks of a pseudonym.
    pub(super) async fn release(&self, subject: &str) -> Option<Answer> {
        let form = [("grant_type", "client_credentials"), ("scope", "release")];
        let token = self.post(&self.discover().await?.token_endpoint, &form).await?;
        let access_token = token["access_token"].as_str()?;
        let blocks: Vec<Value> =
            self.settings.blocks.iter().map(|(block, form)| json!({ "block": block, "form": form })).collect();
        let body =
            json!({ "subject": subject, "mandate": self.settings.mandate, "blocks": blocks, "reason": self.settings.reason });
        let url = format!("{}/api/releases", self.settings.issuer);
        let request = self.http.post(&url).header("dpop", self.proof(&url, Some(access_token))?);
        let answer = request.header("authorization", format!("DPoP {access_token}")).json(&body).send().await.ok()?;
        let released = answer.status().is_success();
        let body = answer.json().await.ok()?;
        Some(if released { Answer::Released(body) } else { Answer::Refused(body) })
    }

    /// Posts a form with an assertion and a proof of possession.
    async fn post(&self, url: &str, form: &[(&str, &str)]) -> Option<Value> {
        let assertion = self.assertion()?;
        let mut form: Vec<(&str, &str)> = form.to_vec();
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        form.push(("client_assertion", &assertion));
        let answer = self.http.post(url).header("dpop", self.proof(url, None)?).form(&form).send().await.ok()?;
        if answer.status().is_success() { answer.json().await.ok() } else { None }
    }

    /// A proof of possession for a POST (RFC 9449 4.2).
    fn proof(&self, url: &str, access_token: Option<&str>) -> Option<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.bound_jwk.clone());
        let mut claims = json!({ "jti": self.word(), "htm": "POST", "htu": url, "iat": self.settings.clock.now().seconds() });
        if let Some(token) = access_token {
            claims["ath"] = json!(URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()).0));
        }
        jsonwebtoken::encode(&header, &claims, &self.bound).ok()
    }

    fn assertion(&self) -> Option<String> {
        let now = self.settings.clock.now().seconds();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.settings.kid.clone());
        let claims = json!({
            "iss": self.settings.service, "sub": self.settings.service, "aud": self.settings.issuer,
            "iat": now, "exp": now + 60, "jti": self.word(),
        });
        jsonwebtoken::encode(&header, &claims, &self.key).ok()
    }

    async fn subject(&self, id_token: &str, nonce: &str) -> Option<String> {
        let keys: Value = self.http.get(self.discover().await?.jwks_uri).send().await.ok()?.json().await.ok()?;
        let kid = jsonwebtoken::decode_header(id_token).ok()?.kid?;
        let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == kid.as_str())?;
        let key = DecodingKey::from_ec_components(key["x"].as_str()?, key["y"].as_str()?).ok()?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&[self.settings.service.as_str()]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        let claims = jsonwebtoken::decode::<IdClaims>(id_token, &key, &validation).ok()?.claims;
        let now = self.settings.clock.now().micros() / SECOND;
        (claims.nonce == nonce && claims.exp > now && claims.iat <= now + 60).then_some(claims.sub)
    }
}

/// A key for proofs of possession, and its public part.
pub(super) fn fresh_key() -> Option<(EncodingKey, Jwk)> {
    // The library draws the key from the system's generator; it offers no other way to make one.
    let rng = aws_lc_rs::rand::SystemRandom::default();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).ok()?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).ok()?;
    // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
    let point = pair.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
    let jwk = serde_json::from_value(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })).ok()?;
    Some((EncodingKey::from_ec_der(pkcs8.as_ref()), jwk))
}
