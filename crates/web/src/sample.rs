//! Two sample relying parties for the demo. They speak to the pass over HTTP only, as any service does.

mod client;
mod pages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use usufruct_core::event::Form;
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::ports::{Clock, Rng};

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
    /// P-256 key, PKCS#8 DER, and its name in the service's statement.
    pub key_pkcs8: Vec<u8>,
    pub kid: String,
    /// Its own base URL, without trailing slash.
    pub own_url: String,
    /// The pass.
    pub issuer: String,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

/// Longest wait for an answer of the pass.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A relying party while it runs.
struct Sample {
    settings: SampleSettings,
    http: reqwest::Client,
    key: jsonwebtoken::EncodingKey,
    /// The key its tokens are bound to, made at the start.
    bound: jsonwebtoken::EncodingKey,
    bound_jwk: jsonwebtoken::jwk::Jwk,
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

/// The pages of a sample relying party. The message says why no HTTP client could be made.
pub fn router(settings: SampleSettings) -> Result<Router, String> {
    let (bound, bound_jwk) = client::fresh_key().ok_or("No key could be made.")?;
    let sample = Sample {
        bound,
        bound_jwk,
        http: reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?,
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
