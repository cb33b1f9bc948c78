//! The provider's signing keys: in the data directory, replaced every 90 days, public parts under `/oidc/jwks`.
//!
//! One line of P-256 keys signs everything by ES256. Where services of the profile oidc are served, a second line of RSA keys signs
//! what their software expects by RS256, which OpenID Connect Core 1.0 (15.1) asks every provider for and the FAPI 2.0 security
//! profile (5.4.1) forbids.

mod key;
mod line;

use std::sync::Arc;

use serde_json::{Value, json};
use usufruct_app::{App, Error};
use usufruct_core::service::Profile;

use key::Kind;
use line::Line;

/// All keys there are.
pub(crate) struct ProviderKeys {
    es256: Line,
    /// Where services of the profile oidc are served.
    rs256: Option<Line>,
}

/// What an ID token says that a service gives back.
pub(crate) struct Hint {
    /// The service that it was made for.
    pub audience: String,
    /// The pairwise subject.
    pub subject: String,
}

impl ProviderKeys {
    /// Opens the keys of a pass, making the first ones where there are none.
    pub fn open(app: &Arc<App>, allows_oidc: bool) -> Result<Self, Error> {
        let rs256 = if allows_oidc { Some(Line::open(app, Kind::Rs256)?) } else { None };
        Ok(Self { es256: Line::open(app, Kind::Es256)?, rs256 })
    }

    /// A token of this type over the claims, signed by ES256 with the key of now.
    pub fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        self.es256.sign(typ, claims)
    }

    /// A token by which a service of this profile learns who signed in or out: by RS256 for software off the shelf, which takes nothing
    /// else unless it was told to (OpenID Connect Dynamic Client Registration 1.0, 2).
    pub fn sign_for(&self, profile: Profile, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        match profile {
            Profile::Fapi2 => self.es256.sign(typ, claims),
            Profile::Oidc => self.rs256.as_ref()?.sign(typ, claims),
        }
    }

    /// Whom an ID token of this provider was made for, and whom it is about. It may have expired; its signature must be ours.
    pub fn hint(&self, id_token: &str, issuer: &str) -> Option<Hint> {
        let kid = jsonwebtoken::decode_header(id_token).ok()?.kid?;
        let key = self.lines().find_map(|line| line.find(&kid))?;
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
        let keys: Vec<Value> = self.lines().flat_map(Line::published).collect();
        json!({ "keys": keys })
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        [&self.es256].into_iter().chain(&self.rs256)
    }
}

/// Names of the algorithms of ID tokens, for the metadata.
pub(crate) fn id_token_algorithms(allows_oidc: bool) -> &'static [&'static str] {
    if allows_oidc { &["ES256", "RS256"] } else { &["ES256"] }
}
