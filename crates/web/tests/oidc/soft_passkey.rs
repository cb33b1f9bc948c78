//! A device that makes a passkey without a browser: enough of WebAuthn (ES256, no attestation) to enrol.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::hash::sha256;

/// User present and verified, and a credential attached (WebAuthn 6.1).
const FLAGS: u8 = 0x01 | 0x04 | 0x40;

/// A new credential for a challenge, as a page at `origin` gets it from the device.
pub fn create(origin: &str, challenge: &str) -> Value {
    let host = url::Url::parse(origin).unwrap().host_str().unwrap().to_owned();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::default()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let id = sha256(point).0;
    let client = json!({ "type": "webauthn.create", "challenge": challenge, "origin": origin, "crossOrigin": false });
    // COSE (RFC 9053): an EC2 key for ES256 on P-256.
    let key = [&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32][..], &point[1..33], &[0x22, 0x58, 32], &point[33..65]];
    let head = [&sha256(host.as_bytes()).0[..], &[FLAGS], &1_u32.to_be_bytes()].concat();
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
    json!({
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
    })
}
