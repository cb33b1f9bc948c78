//! A passkey without a device: what an authenticator and a browser make of a touch.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usufruct_core::Digest;
use usufruct_core::hash::sha256;
use usufruct_core::statement::{Approval, approval_challenge};

pub const HOST: &str = "pass.example.org";
pub const ORIGIN: &str = "https://pass.example.org";

/// Touched by an owner whom it knows.
const TOUCHED: u8 = 0x05;

pub struct SoftPasskey {
    pair: EcdsaKeyPair,
}

impl SoftPasskey {
    pub fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap() }
    }

    /// The entry of an agency's statement.
    pub fn entry(&self, id: &str, role: &str) -> Value {
        let public = self.pair.public_key().as_ref();
        json!({"id": id, "role": role, "public": URL_SAFE_NO_PAD.encode(public), "webauthn": {"algorithm": "ES256",
            "credential": self.credential(), "rp_id": HOST, "origins": [ORIGIN]}})
    }

    /// Approves the statements with these hashes by one touch.
    pub fn approve(&self, agency: &str, key: &str, hashes: &[Digest]) -> Approval {
        let [authenticator_data, client_data, signature] = self.answer(&approval_challenge(hashes).unwrap());
        Approval {
            agency: agency.parse().unwrap(),
            key: key.to_owned(),
            algorithm: "webauthn".to_owned(),
            signature: URL_SAFE_NO_PAD.encode(signature),
            authenticator_data: Some(URL_SAFE_NO_PAD.encode(authenticator_data)),
            client_data: Some(URL_SAFE_NO_PAD.encode(client_data)),
            among: if hashes.len() == 1 { Vec::new() } else { hashes.to_vec() },
        }
    }

    /// Data of the device, data of the browser and signature over both, for any challenge.
    #[expect(clippy::disallowed_methods, reason = "the library signs with nothing but its own randomness")]
    pub fn answer(&self, challenge: &[u8]) -> [Vec<u8>; 3] {
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let client_data =
            format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false}}"#);
        let authenticator_data = [&sha256(HOST.as_bytes()).0[..], &[TOUCHED, 0, 0, 0, 0]].concat();
        let signed = [&authenticator_data[..], &sha256(client_data.as_bytes()).0].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        [authenticator_data, client_data.into_bytes(), signature]
    }

    /// The id of the credential.
    pub fn credential(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.pair.public_key().as_ref()).0)
    }
}
