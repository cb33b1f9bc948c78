//! A note that parses prints as it was, and no key has signed it by accident.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Ed25519Signer, Note, VerifierKey};

fuzz_target!(|data: &[u8]| {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        let signer = Ed25519Signer::from_seed("example.org/log", &[1; 32]).expect("the seed is good");
        assert!(Note::open(data, &[&signer]).is_err());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
    }
});
