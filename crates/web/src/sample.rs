//! Two sample relying parties for the demo. They speak to the pass over HTTP only, as any service does.

mod client;
mod pages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::ports::{Clock, Rng};
use usufruct_core::service::Jwk;

/// Which sample it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// Run by a public body: reads a name.
    Library,
    /// Run by a vendor: never sees a name.
    Festival,
}

/// How a sample relying party is set up.
pub struct SampleSettings {
    pub kind: SampleKind,
    pub service: ServiceId,
    pub mandate: MandateId,
    /// What it asks for with each button press.
    pub blocks: Vec<(BlockId, Form)>,
    /// Reason code of the mandate.
    pub reason: String,
    /// P-256 key, PKCS#8 DER.
    pub key_pkcs8: Vec<u8>,
    /// Its own base URL, without trailing slash.
    pub own_url: String,
    /// The pass.
    pub issuer: String,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

/// A relying party while it runs.
struct Sample {
    settings: SampleSettings,
    http: reqwest::Client,
    kid: String,
    key: jsonwebtoken::EncodingKey,
    /// Visitors by their cookie; nothing is stored.
    visitors: Mutex<HashMap<String, Visitor>>,
}

/// What the relying party knows of a visitor.
#[derive(Clone, Default)]
struct Visitor {
    /// Sign-in under way: state, nonce, PKCE verifier.
    pending: Option<(String, String, String)>,
    /// The pseudonym, once signed in.
    subject: Option<String>,
}

/// The pages of a sample relying party. The message says what is wrong with its key.
pub fn router(settings: SampleSettings) -> Result<Router, String> {
    let jwk = client_jwk(&settings.key_pkcs8).ok_or("The key of the sample service is not P-256 in PKCS#8. Delete it and start again.")?;
    let sample = Sample {
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(|error| error.to_string())?,
        kid: jwk.kid,
        key: jsonwebtoken::EncodingKey::from_ec_der(&settings.key_pkcs8),
        settings,
        visitors: Mutex::default(),
    };
    Ok(Router::new()
        .route("/", get(pages::front))
        .route("/login", get(pages::login))
        .route("/callback", get(pages::callback))
        .route("/read", post(pages::read))
        .route("/logout", post(pages::logout))
        .route("/style.css", get(pages::style))
        .with_state(Arc::new(sample)))
}

/// A fresh P-256 key for a service, PKCS#8 DER. Empty when the system has no randomness.
pub fn new_client_key() -> Vec<u8> {
    crate::oidc::keys::make()
}

/// The public half of a service's key, as its statement carries it.
pub fn client_jwk(pkcs8: &[u8]) -> Option<Jwk> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
    // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
    let point = pair.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
    Some(Jwk { kid: URL_SAFE_NO_PAD.encode(&thumbprint.0[..12]), kty: "EC".into(), crv: "P-256".into(), x, y })
}
