//! Cosigned notes of both types: whatever stands there, only what the keys have signed opens, and damage is found.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use usufruct_log::{Checkpoint, Ed25519Cosigner, MlDsaCosigner, Note, NoteSignature, Signer, Verifier, cosignature, empty_root};

static ED25519: LazyLock<Ed25519Cosigner> =
    LazyLock::new(|| Ed25519Cosigner::from_seed("w", &[1; 32]).expect("the seed is good"));
static ML_DSA: LazyLock<MlDsaCosigner> = LazyLock::new(|| MlDsaCosigner::from_seed("w", &[2; 32]).expect("the seed is good"));
static GOOD: LazyLock<Note> = LazyLock::new(|| {
    let checkpoint = Checkpoint::new("o", 0, empty_root()).expect("it is well-formed");
    checkpoint.sign(&[&*ED25519 as &dyn Signer, &*ML_DSA], 1).expect("it is signed")
});

fuzz_target!(|data: &[u8]| {
    let verifiers: [&dyn Verifier; 2] = [&*ED25519, &*ML_DSA];
    if let Ok(note) = Note::open(data, &verifiers) {
        assert_eq!(note.to_string().as_bytes(), data);
    }
    let Some((which, bytes)) = data.split_first() else { return };
    let verifier = verifiers[usize::from(which & 1)];
    assert!(!verifier.verify(GOOD.text(), bytes));
    if let Ok(line) = NoteSignature::new(verifier.name(), verifier.id(), bytes.to_vec()) {
        assert_eq!(NoteSignature::parse(&line.to_string()).expect("what is printed is read"), line);
        assert_eq!(cosignature::timestamp(&line).is_ok(), bytes.len() >= 8 && bytes[0] < 0x80);
    }
    // The good note with a few bytes of its text or lines replaced.
    let good = GOOD.to_string().into_bytes();
    let mut note = good.clone();
    for edit in bytes.chunks_exact(3).take(4) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % note.len();
        note[at] = edit[2];
    }
    if note != good && Note::open(&note, &verifiers).is_ok() {
        // One of the two lines may have become a stranger's or, as ML-DSA does not cover them, an extension line.
        let parsed = |note: &Note| note.text().parse::<Checkpoint>().expect("it is cosigned");
        let (opened, good) = (parsed(&Note::parse(&note).expect("it was opened")), parsed(&GOOD));
        assert_eq!((opened.origin(), opened.size(), opened.root()), (good.origin(), good.size(), good.root()));
    }
});
