//! A policy that is read prints as one of the same meaning, and a stranger's checkpoint never meets it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Checkpoint, Ed25519Signer, Policy, empty_root};

fuzz_target!(|file: &[u8]| {
    let Ok(policy) = Policy::parse(file) else { return };
    let printed = policy.to_string();
    assert_eq!(printed.parse::<Policy>().expect("what is printed is read"), policy);
    let all = policy.is_met(&|_| true);
    let none = policy.is_met(&|_| false);
    assert!(all, "the quorum can be met");
    assert!(!none || printed.ends_with("quorum none\n"));
    let stranger = Ed25519Signer::from_seed("example.org/log", &[1; 32]).expect("the seed is good");
    let checkpoint = Checkpoint::new("example.org/log", 0, empty_root()).expect("it is well-formed");
    let note = checkpoint.sign(&[&stranger], 0).expect("it is signed").to_string();
    if !printed.contains(&stranger.verifier_key().to_string()) {
        assert!(policy.check(note.as_bytes(), None).is_err());
    }
});
