//! What a browser wrote beside an approval: what is read is what any reader of JSON reads, and nothing is accepted under a passkey that did
//! not sign it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::hash::sha256;
use usufruct_core::jwk::Algorithm;
use usufruct_core::webauthn::{Assertion, Member, Passkey, client_data_members};

/// The base point of P-256 (SEC 2, 2.4.2).
const PUBLIC: &str = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (client_data, more, signature) = input;
    if let Some(members) = client_data_members(client_data) {
        let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(client_data).expect("it is JSON");
        assert_eq!(members.len(), whole.len());
        for (name, member) in members {
            match member {
                Member::Flag(flag) => assert_eq!(whole[name], flag),
                Member::Text(text) => assert_eq!(whole[name], text),
            }
        }
    }
    let passkey = Passkey {
        algorithm: Algorithm::Es256,
        credential: "AA".to_owned(),
        rp_id: "a.example".to_owned(),
        origins: vec!["https://a.example".to_owned()],
    };
    let authenticator_data = [&sha256(b"a.example").0[..], more].concat();
    let assertion = Assertion { authenticator_data: &authenticator_data, client_data, signature };
    assert!(passkey.public_key(PUBLIC).is_some());
    assert!(passkey.verify(PUBLIC, b"challenge", assertion).is_err());
});
