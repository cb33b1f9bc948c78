//! Signatures on subtrees: any range, any origin, any bytes. Nothing but the range that was signed verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Cosigner, MlDsaCosigner, NoteSignature, cosignature, empty_root, merkle};

const SIGNED: (&str, u64, u64) = ("o", 8, 16);

static COSIGNER: LazyLock<MlDsaCosigner> = LazyLock::new(|| MlDsaCosigner::from_seed("w", &[2; 32]).expect("the seed is good"));
static LINE: LazyLock<NoteSignature> = LazyLock::new(|| {
    let line = COSIGNER.cosign_subtree(SIGNED.0, SIGNED.1, SIGNED.2, &empty_root());
    line.expect("it is a subtree").expect("this type signs subtrees")
});

fuzz_target!(|input: (u64, u64, u64, &str, &[u8])| {
    let (start, end, time, origin, bytes) = input;
    let key = COSIGNER.verifier_key();
    let message = cosignature::subtree_message("w", time, origin, start, end, &empty_root());
    let is_subtree = merkle::is_subtree(start, end) && (start == 0 || (start < end && time == 0));
    assert_eq!(message.is_ok(), is_subtree && time < 1 << 63 && (1..=255).contains(&origin.len()));
    if let Ok(message) = message {
        assert_eq!(message.len(), 12 + 2 + 8 + 1 + origin.len() + 8 + 8 + 32);
    }
    let verified = cosignature::verify_subtree(key, origin, start, end, &empty_root(), &LINE).is_ok();
    assert_eq!(verified, (origin, start, end) == SIGNED);
    if let Ok(line) = NoteSignature::new("w", key.id(), bytes.to_vec()) {
        assert!(cosignature::verify_subtree(key, origin, start, end, &empty_root(), &line).is_err() || line == *LINE);
    }
});
