//! The provider's signing key: P-256, in the data directory, public part under `/oidc/jwks`.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use usufruct_app::{App, Error};
use usufruct_core::hash::sha256;

/// The provider's ES256 key.
pub(crate) struct ProviderKey {
    encoding: jsonwebtoken::EncodingKey,
    kid: String,
    jwk: Value,
}

impl ProviderKey {
    /// Opens the key of a pass, making it on first use.
    pub fn open(app: &App) -> Result<Self, Error> {
        let refused = |_| Error::House { what: "the provider key oidc.p8 is refused".to_owned() };
        let pkcs8 = app.house().secret("oidc.p8", make)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(refused)?;
        // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        // RFC 7638 thumbprint: the required members in lexicographic order.
        let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(&thumbprint.0[..12]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig" });
        Ok(Self { encoding: jsonwebtoken::EncodingKey::from_ec_der(&pkcs8), kid, jwk })
    }

    /// Whom an ID token of this provider was made for. It may have expired; its signature must be ours.
    pub fn audience(&self, id_token: &str, issuer: &str) -> Option<String> {
        let key = DecodingKey::from_ec_components(self.jwk["x"].as_str()?, self.jwk["y"].as_str()?).ok()?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud"]);
        let claims = jsonwebtoken::decode::<Value>(id_token, &key, &validation).ok()?.claims;
        claims["aud"].as_str().map(str::to_owned)
    }

    /// A token of this type over the claims, signed with the key of now.
    pub fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        let mut header = jsonwebtoken::Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).ok()
    }

    /// The public key set (RFC 7517).
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }
}

fn make() -> Vec<u8> {
    // The library draws the key from the system's generator; it offers no other way to make one.
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::default());
    made.map(|pkcs8| pkcs8.as_ref().to_vec()).unwrap_or_default()
}
