//! The provider's signing keys: in the data directory, replaced every 90 days, public parts under `/oidc/jwks`.
//!
//! There is a line of keys for each algorithm that somebody needs. ES256 signs whatever nobody asked to have otherwise. EdDSA and PS256 are for
//! services that registered them. Where services of the profile oidc are served there is RS256, which OpenID Connect Core 1.0 (15.1) asks
//! every provider for and the FAPI 2.0 security profile (5.4.1) forbids; and where a service registered it for the events on its stream, as
//! the CAEP interoperability profile 1.0 asks.

mod key;
mod line;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use usufruct_app::{App, Error};
use usufruct_core::jwk::Algorithm;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Entry;
use usufruct_core::service::Service;

use line::Line;

/// All keys there are.
pub(crate) struct ProviderKeys {
    app: Arc<App>,
    allows_oidc: bool,
    lines: RwLock<BTreeMap<Algorithm, Arc<Line>>>,
}

/// What an ID token says that a service gives back.
pub(crate) struct Hint {
    /// The service that it was made for.
    pub audience: String,
    /// The pairwise subject.
    pub subject: String,
}

impl ProviderKeys {
    /// Opens the keys of a pass, making the first ones where somebody needs them.
    pub fn open(app: &Arc<App>, allows_oidc: bool) -> Result<Self, Error> {
        let keys = Self { app: Arc::clone(app), allows_oidc, lines: RwLock::default() };
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| keys.allows(*algorithm)) {
            let is_standing = algorithm == Algorithm::Es256 || algorithm == Algorithm::Rs256;
            if is_standing || Line::exists(app, algorithm)? || keys.needed().contains(&algorithm) {
                keys.begin(algorithm)?;
            }
        }
        Ok(keys)
    }

    /// A token of this type over the claims, signed by ES256 with the key of now.
    pub fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        self.sign_by(Algorithm::Es256, typ, claims)
    }

    /// As [`ProviderKeys::sign`], by the algorithm that a service registered or its profile expects.
    pub fn sign_by(&self, algorithm: Algorithm, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        self.line(algorithm)?.sign(typ, claims)
    }

    /// Whom an ID token of this provider was made for, and whom it is about. It may have expired; its signature must be ours.
    pub fn hint(&self, id_token: &str, issuer: &str) -> Option<Hint> {
        let kid = jsonwebtoken::decode_header(id_token).ok()?.kid?;
        let key = self.lines().into_iter().find_map(|line| line.find(&kid))?;
        let mut validation = jsonwebtoken::Validation::new(key.algorithm());
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud"]);
        let claims = jsonwebtoken::decode::<Value>(id_token, &key.decoding()?, &validation).ok()?.claims;
        let claim = |name: &str| claims[name].as_str().map(str::to_owned);
        Some(Hint { audience: claim("aud")?, subject: claim("sub")? })
    }

    /// The public key set (RFC 7517): of each line the key that signs, the one that will, and the one that did until a day ago.
    pub fn jwks(&self) -> Value {
        // A key is public before the first service that asks for it has anything signed.
        for algorithm in self.needed() {
            self.line(algorithm);
        }
        let keys: Vec<Value> = self.lines().iter().flat_map(|line| line.published()).collect();
        json!({ "keys": keys })
    }

    /// The algorithms that services asked for.
    fn needed(&self) -> Vec<Algorithm> {
        let register = self.app.register();
        let active = register.services.values().filter(|entry| entry.state == State::Active);
        let all: Vec<Algorithm> = active.flat_map(|entry| entry.body.algorithms().collect::<Vec<_>>()).collect();
        Algorithm::ALL.into_iter().filter(|algorithm| self.allows(*algorithm) && all.contains(algorithm)).collect()
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        let signs_events = |entry: &Entry<Service>| {
            entry.state == State::Active && entry.body.signals_signed_response_alg == Some(Algorithm::Rs256)
        };
        algorithm != Algorithm::Rs256 || self.allows_oidc || self.app.register().services.values().any(signs_events)
    }

    /// The keys of an algorithm, begun where there are none yet.
    fn line(&self, algorithm: Algorithm) -> Option<Arc<Line>> {
        if !self.allows(algorithm) {
            return None;
        }
        let known = self.lines.read().unwrap_or_else(PoisonError::into_inner).get(&algorithm).map(Arc::clone);
        if known.is_some() {
            return known;
        }
        self.begin(algorithm).inspect_err(|error| tracing::error!(%error, "no signing key could be made")).ok()
    }

    fn begin(&self, algorithm: Algorithm) -> Result<Arc<Line>, Error> {
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&algorithm) {
            return Ok(Arc::clone(line));
        }
        let line = Arc::new(Line::open(&self.app, algorithm)?);
        lines.insert(algorithm, Arc::clone(&line));
        Ok(line)
    }

    /// All lines, the one of ES256 first.
    fn lines(&self) -> Vec<Arc<Line>> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let rest = lines.iter().filter(|(algorithm, _)| **algorithm != Algorithm::Es256);
        lines.get(&Algorithm::Es256).into_iter().chain(rest.map(|(_, line)| line)).map(Arc::clone).collect()
    }
}

/// Names of the algorithms by which something can be signed for a service, for the metadata.
pub(crate) fn algorithms(allows_oidc: bool) -> &'static [&'static str] {
    if allows_oidc { &["ES256", "EdDSA", "PS256", "RS256"] } else { &["ES256", "EdDSA", "PS256"] }
}
