//! The set of keys that a service publishes at an address: any JSON is read, what is read is public and of a kind that is known, no two keys have
//! one name, and what was read is read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use usufruct_core::jwk::Jwk;

fuzz_target!(|bytes: &[u8]| {
    let Ok(set) = serde_json::from_slice::<Value>(bytes) else { return };
    let keys = Jwk::read_set(&set);
    for key in &keys {
        assert!(["EC", "OKP", "RSA"].contains(&key.kty.as_str()));
        assert_eq!(keys.iter().filter(|other| other.kid == key.kid).count(), 1);
    }
    let written = json!({ "keys": keys });
    assert!(written["keys"].as_array().expect("a list").iter().all(|key| key.get("d").is_none() && key.get("k").is_none()));
    assert_eq!(Jwk::read_set(&written), keys);
});
