//! A device that makes a passkey without a browser: enough of WebAuthn (ES256, no attestation) to enrol and to sign in.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;

/// User present and verified (WebAuthn 6.1).
const PRESENT: u8 = 0x01 | 0x04;
/// And a credential attached.
const FLAGS: u8 = PRESENT | 0x40;

/// A passkey that the device holds.
pub struct Held {
    pkcs8: Vec<u8>,
    id: [u8; 32],
    /// The user handle of its resident, base64url.
    user: String,
}

impl Held {
    /// Proves that the device holds it, for a challenge.
    pub fn get(&self, origin: &str, challenge: &str) -> Value {
        let host = url::Url::parse(origin).unwrap().host_str().unwrap().to_owned();
        let client =
            json!({ "type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string();
        let data = [&sha256(host.as_bytes()).0[..], &[PRESENT], &0_u32.to_be_bytes()].concat();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::default(), &[&data[..], &sha256(client.as_bytes()).0].concat()).unwrap();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(client.as_bytes()),
                "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()),
                "userHandle": self.user,
            },
        })
    }
}

/// A new credential for a challenge, as a page at `origin` gets it from the device.
pub fn create(origin: &str, challenge: &str) -> Value {
    make(origin, challenge, "").0
}

/// A new credential for a challenge and the user handle beside it, and what the device holds of it.
pub fn make(origin: &str, challenge: &str, user: &str) -> (Value, Held) {
    let host = url::Url::parse(origin).unwrap().host_str().unwrap().to_owned();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::default()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let id = sha256(point).0;
    let client = json!({ "type": "webauthn.create", "challenge": challenge, "origin": origin, "crossOrigin": false });
    // COSE (RFC 9053): an EC2 key for ES256 on P-256.
    let key = [&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32][..], &point[1..33], &[0x22, 0x58, 32], &point[33..65]];
    let head = [&sha256(host.as_bytes()).0[..], &[FLAGS], &0_u32.to_be_bytes()].concat();
    let data = [&head[..], &[0; 16], &[0, 32], &id, &key.concat()].concat();
    let text = |word: &str| [&[0x60 | u8::try_from(word.len()).unwrap()], word.as_bytes()].concat();
    let attestation = [
        &[0xa3][..],
        &text("fmt"),
        &text("none"),
        &text("attStmt"),
        &[0xa0],
        &text("authData"),
        &[0x58, u8::try_from(data.len()).unwrap()],
        &data,
    ];
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let credential = json!({
        "id": encode(&id),
        "rawId": encode(&id),
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": encode(client.to_string().as_bytes()),
            "attestationObject": encode(&attestation.concat()),
            "transports": ["internal"],
        },
    });
    (credential, Held { pkcs8: pkcs8.as_ref().to_vec(), id, user: user.to_owned() })
}
