//! The provider's signing keys: P-256, in the data directory, replaced every 90 days, public parts under `/oidc/jwks`.
//!
//! A key is published a day before it first signs and stays published a day after it last did, so that nobody who keeps the key
//! set for a while meets a signature by a key unknown to it. Hints of people who sign out are checked with older keys too.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};
use usufruct_app::{App, Error};
use usufruct_core::Time;
use usufruct_core::hash::sha256;
use usufruct_core::time::{DAY, SECOND};

/// All keys there are.
pub(crate) struct ProviderKeys {
    app: Arc<App>,
    /// Oldest first, never empty.
    keys: RwLock<Vec<Arc<Key>>>,
}

/// One ES256 key.
struct Key {
    /// Name of its file.
    name: String,
    made_at: Time,
    encoding: EncodingKey,
    kid: String,
    jwk: Value,
}

impl ProviderKeys {
    /// Opens the keys of a pass, making the first one if there is none.
    pub fn open(app: &Arc<App>) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for name in app.house().secrets(PREFIX)? {
            keys.push(Arc::new(Key::open(app, name)?));
        }
        if keys.is_empty() {
            keys.push(Arc::new(Key::make(app)?));
        }
        keys.sort_by_key(|key| key.made_at);
        Ok(Self { app: Arc::clone(app), keys: RwLock::new(keys) })
    }

    /// A token of this type over the claims, signed with the key of now.
    pub fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        let now = self.app.now();
        let keys = self.all();
        let key = &keys[signing(&keys, now)];
        let mut header = jsonwebtoken::Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.encoding).ok()
    }

    /// Whom an ID token of this provider was made for. It may have expired; its signature must be ours.
    pub fn audience(&self, id_token: &str, issuer: &str) -> Option<String> {
        let kid = jsonwebtoken::decode_header(id_token).ok()?.kid?;
        let keys = self.all();
        let key = &keys.iter().find(|key| key.kid == kid)?.jwk;
        let key = DecodingKey::from_ec_components(key["x"].as_str()?, key["y"].as_str()?).ok()?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud"]);
        let claims = jsonwebtoken::decode::<Value>(id_token, &key, &validation).ok()?.claims;
        claims["aud"].as_str().map(str::to_owned)
    }

    /// The public key set (RFC 7517): the key that signs, the one that will, and the one that did until a day ago.
    pub fn jwks(&self) -> Value {
        let now = self.app.now();
        let keys = self.all();
        let signing = signing(&keys, now);
        let is_published = |place: usize| {
            // The end of a key is the begin of the next one.
            place >= signing || keys.get(place + 1).is_some_and(|next| now <= next.made_at.plus(LEAD + KEPT))
        };
        let keys: Vec<&Value> =
            keys.iter().enumerate().filter(|(place, _)| is_published(*place)).map(|(_, key)| &key.jwk).collect();
        json!({ "keys": keys })
    }

    /// The keys, after a new one was made where it is time. Where that fails the old ones go on.
    fn all(&self) -> Vec<Arc<Key>> {
        let now = self.app.now();
        let is_due = |keys: &[Arc<Key>]| keys.last().is_none_or(|newest| now >= newest.made_at.plus(LIFE));
        {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            if !is_due(&keys) {
                return keys.clone();
            }
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if is_due(&keys) {
            match Key::make(&self.app) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(error) => tracing::error!(%error, "no new signing key could be made, the old one goes on"),
            }
            while keys.len() > MOST {
                let gone = keys.remove(0);
                if let Err(error) = self.app.house().forget_secret(&gone.name) {
                    tracing::error!(%error, "an old signing key could not be removed");
                }
            }
        }
        keys.clone()
    }
}

/// The place of the key that signs now: the newest that was public for a day, or the first one there ever was.
fn signing(keys: &[Arc<Key>], now: Time) -> usize {
    keys.iter().rposition(|key| key.made_at.plus(LEAD) <= now).unwrap_or(0)
}

impl Key {
    fn make(app: &App) -> Result<Self, Error> {
        Self::open(app, format!("{PREFIX}{}.p8", app.now().seconds()))
    }

    /// Opens the key in a file of the folder `keys`, making it if it is not there.
    fn open(app: &App, name: String) -> Result<Self, Error> {
        let refused = || Error::House { what: format!("the provider key {name} is refused") };
        let stem = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(".p8")).ok_or_else(refused)?;
        let made_at = Time::from_micros(stem.parse::<i64>().map_err(|_| refused())?.saturating_mul(SECOND));
        let pkcs8 = app.house().secret(&name, make)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(|_| refused())?;
        // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        // RFC 7638 thumbprint: the required members in lexicographic order.
        let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(&thumbprint.0[..12]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig" });
        let encoding = EncodingKey::from_ec_der(&pkcs8);
        Ok(Self { name, made_at, encoding, kid, jwk })
    }
}

fn make() -> Vec<u8> {
    // The library draws the key from the system's generator; it offers no other way to make one.
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::default());
    made.map(|pkcs8| pkcs8.as_ref().to_vec()).unwrap_or_default()
}

const PREFIX: &str = "oidc-";
/// A key is replaced after this long.
const LIFE: i64 = 90 * DAY;
/// A key is public for this long before it signs.
const LEAD: i64 = DAY;
/// A key is public for this long after it last signed; longer than any token and any cache.
const KEPT: i64 = DAY;
/// Keys kept for checking hints, the newest ones.
const MOST: usize = 4;
