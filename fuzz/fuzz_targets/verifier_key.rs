//! A key that is read prints as it was, and verifies nothing by accident.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::VerifierKey;

fuzz_target!(|vkey: &str| {
    let Ok(key) = vkey.parse::<VerifierKey>() else { return };
    assert_eq!(key.to_string(), vkey);
    if let Ok(verifier) = key.any_verifier() {
        assert_eq!((verifier.name(), verifier.id()), (key.name(), key.id()));
        assert!(!verifier.verify("text\n", &[0; 64]));
        assert!(!verifier.verify("example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", &[0; 2428]));
    }
});
