//! A proof file that parses prints as it was, and proves nothing about a log whose key has not signed it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Ed25519Signer, TlogProof, leaf_hash};

fuzz_target!(|file: &str| {
    if let Ok(proof) = file.parse::<TlogProof>() {
        assert_eq!(proof.to_string(), file);
        let signer = Ed25519Signer::from_seed("example.org/log", &[1; 32]).expect("the seed is good");
        assert!(proof.verify(&leaf_hash(b""), "example.org/log", &[&signer]).is_err());
    }
});
