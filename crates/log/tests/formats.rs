//! Notes, keys and cosignatures: the vectors of others, round trips, and everything that must be refused.

use std::collections::BTreeMap;
use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_log::{
    Checkpoint, CosignatureVerifier, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, Hash, MlDsaCosigner, Note, NoteSignature,
    SignatureType, Signer, Verifier, VerifierKey, cosignature, empty_root, leaf_hash,
};

use crate::support::{ORIGIN, checkpoint, golden, hex, vectors};

fn signers() -> Vec<Box<dyn Signer>> {
    vec![
        Box::new(Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()),
        Box::new(Ed25519Cosigner::from_seed("w1.example", &[2; 32]).unwrap()),
        Box::new(MlDsaCosigner::from_seed("w2.example", &[3; 32]).unwrap()),
    ]
}

#[test]
fn cosignatures_of_another_implementation_verify_and_only_as_they_are() {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        seed_hex: String,
        cosigner_name: String,
        log_origin: String,
        start: u64,
        end: u64,
        timestamp: u64,
        hash_b64: String,
        cosigned_message_hex: String,
        key_id_hex: String,
        vkey: String,
        signature_line: String,
    }
    let file = fs::read(vectors().join("notes/mldsa44-cosignature-generated.json")).unwrap();
    let File { cases } = serde_json::from_slice(&file).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let root = Hash::from_base64(&case.hash_b64).unwrap();
        let cosigner = MlDsaCosigner::from_seed(&case.cosigner_name, &hex(&case.seed_hex).try_into().unwrap()).unwrap();
        let key = cosigner.verifier_key();
        assert_eq!(key.to_string(), case.vkey);
        assert_eq!(format!("{:08x}", key.id()), case.key_id_hex);
        let (name, origin) = (case.cosigner_name.as_str(), case.log_origin.as_str());
        let message = cosignature::subtree_message(name, case.timestamp, origin, case.start, case.end, &root).unwrap();
        assert_eq!(message, hex(&case.cosigned_message_hex));
        let line = NoteSignature::parse(case.signature_line.trim_end()).unwrap();
        assert_eq!(cosignature::timestamp(&line).unwrap(), case.timestamp);
        let verify = |origin: &str, start, end, root: &Hash| cosignature::verify_subtree(key, origin, start, end, root, &line);
        verify(origin, case.start, case.end, &root).unwrap();
        for wrong in [
            verify("log.example/other", case.start, case.end, &root),
            verify(origin, case.start, case.end + 1, &root),
            verify(origin, case.start + 512, case.end + 512, &root),
            verify(origin, case.start, case.end, &leaf_hash(b"")),
        ] {
            assert!(wrong.is_err());
        }
        if case.start == 0 {
            let text = format!("{origin}\n{}\n{root}\n", case.end);
            let note = format!("{text}\n{}\n", line);
            Note::open(note.as_bytes(), &[&cosigner]).unwrap();
            // Extension lines are not covered.
            let extended = note.replacen("\n\n", "\nextension\n\n", 1);
            Note::open(extended.as_bytes(), &[&cosigner]).unwrap();
        }
    }
}

/// The flags of the cases that are refused.
const REFUSED: [&str; 3] = ["low_order_residue", "non_canonical_A", "non_canonical_R"];

/// The rule of Ed25519 that this library follows at the edges, for every other implementation to compare itself with:
/// the equation of RFC 8032 without the cofactor, `R` compared as bytes, `S` below the order, and `A` in its canonical
/// form, where it may be of small order.
#[test]
fn the_rule_of_ed25519_is_pinned() {
    #[derive(Deserialize)]
    struct Case {
        number: u64,
        key: String,
        sig: String,
        msg: String,
        flags: Option<Vec<String>>,
    }
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(vectors().join("notes/ed25519vectors.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 914);
    let mut classes: BTreeMap<Vec<String>, (bool, u64)> = BTreeMap::new();
    let mut accepted = Vec::new();
    for case in cases {
        let key = VerifierKey::new("a", SignatureType::Ed25519, &hex(&case.key));
        let is_canonical = key.is_ok();
        let holds = key.is_ok_and(|key| key.verifier().unwrap().verify(&case.msg, &hex(&case.sig)));
        let mut flags = case.flags.unwrap_or_default();
        assert_eq!(is_canonical, !flags.iter().any(|flag| flag == "non_canonical_A"), "{}", case.number);
        assert_eq!(holds, !flags.iter().any(|flag| REFUSED.contains(&flag.as_str())), "{}", case.number);
        flags.sort();
        let class = classes.entry(flags).or_insert((holds, 0));
        assert_eq!(class.0, holds, "{}", case.number);
        class.1 += 1;
        if holds {
            accepted.push(case.number);
        }
    }
    let classes: Vec<Value> =
        classes.iter().map(|(flags, (accepted, count))| json!({"flags": flags, "accepted": accepted, "cases": count})).collect();
    let rule = json!({
        "description": "Which cases of notes/ed25519vectors.json are valid signatures: the equation without the cofactor, R compared as bytes, S below the order, A in its canonical form, where it may be of small order.",
        "refused_when_flagged": REFUSED,
        "classes": classes,
        "accepted": accepted,
    });
    golden("ed25519-rule.json", &rule);
}

#[test]
fn s_beyond_the_order_is_refused() {
    // L = 2^252 + 27742317777372353535851937790883648493, little-endian.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let signer = Ed25519Signer::from_seed("a", &[7; 32]).unwrap();
    let mut signature = signer.sign("text\n", 0).unwrap();
    assert!(signer.verify("text\n", &signature));
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert!(!signer.verify("text\n", &signature));
}

#[test]
fn every_flipped_bit_of_a_signed_note_is_found() {
    for signer in signers() {
        let note = checkpoint(5).sign(&[&*signer], 1_790_000_000).unwrap().to_string();
        Note::open(note.as_bytes(), &[&*signer]).unwrap();
        let text = note.find("\n\n").unwrap();
        for position in 0..note.len() {
            // Each verification by ML-DSA takes a tenth of a millisecond.
            for bit in 0..if position <= text { 8 } else { 1 } {
                let mut damaged = note.clone().into_bytes();
                damaged[position] ^= 1 << bit;
                let opened = Note::open(&damaged, &[&*signer]);
                assert!(opened.is_err(), "{}, bit {bit} of byte {position}", signer.name());
            }
        }
    }
}

#[test]
fn one_wrong_signature_of_a_known_key_refuses_and_unknown_ones_do_not() {
    let signers = signers();
    let all: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
    let verifiers: Vec<&dyn Verifier> = signers.iter().map(|signer| &**signer as &dyn Verifier).collect();
    let note = checkpoint(5).sign(&all, 1_790_000_000).unwrap();
    assert_eq!(note.verified_by(&verifiers).unwrap(), [0, 1, 2]);
    for damaged in 0..3 {
        let mut lines = note.signatures().to_vec();
        let mut bytes = lines[damaged].bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        lines[damaged] = NoteSignature::new(lines[damaged].name(), lines[damaged].id(), bytes).unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let note = format!("{}\n{text}", note.text());
        assert!(matches!(Note::open(note.as_bytes(), &verifiers), Err(Error::WrongSignature { .. })));
        for known in (0..3).filter(|known| *known != damaged) {
            Note::open(note.as_bytes(), &[verifiers[known]]).unwrap();
        }
    }
    // The same name with another id, and the same id with another name, are other keys.
    let first = &note.signatures()[0];
    let mut strangers = note.clone();
    for (name, id) in [(first.name(), first.id() ^ 1), ("stranger.example", first.id())] {
        strangers.add(NoteSignature::new(name, id, vec![0; 64]).unwrap()).unwrap();
    }
    assert_eq!(strangers.verified_by(&verifiers).unwrap(), [0, 1, 2]);
}

#[test]
fn a_note_may_have_many_and_large_signatures() {
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let mut note = checkpoint(5).sign(&[&signer], 0).unwrap();
    for number in 0..99u32 {
        note.add(NoteSignature::new(&format!("w{number}.example"), number, vec![0; 5_000]).unwrap()).unwrap();
    }
    let text = note.to_string();
    assert_eq!(Note::open(text.as_bytes(), &[&signer]).unwrap(), note);
    assert!(note.add(NoteSignature::new("one.more", 1, vec![0]).unwrap()).is_err());
    let line = note.signatures()[0].to_string();
    assert!(matches!(Note::parse(format!("{text}{line}\n").as_bytes()), Err(Error::TooLarge { .. })));
}

#[test]
fn a_time_of_the_past_is_not_the_time_of_now() {
    for signer in signers().into_iter().skip(1) {
        let checkpoint = checkpoint(5);
        let mut bytes = signer.sign(&checkpoint.to_string(), 1_790_000_000).unwrap();
        assert!(signer.verify(&checkpoint.to_string(), &bytes));
        bytes[7] += 1;
        assert!(!signer.verify(&checkpoint.to_string(), &bytes));
        bytes[0] |= 0x80;
        assert!(!signer.verify(&checkpoint.to_string(), &bytes));
        assert!(cosignature::timestamp(&NoteSignature::new("w", 0, bytes).unwrap()).is_err());
        assert!(signer.sign(&checkpoint.to_string(), 1 << 63).is_err());
        assert!(signer.sign(&checkpoint.to_string(), (1 << 63) - 1).is_ok());
        for short in [vec![], vec![0; 7], vec![0; 8], vec![0; 72], vec![0; 2428], vec![0; 2429]] {
            assert!(!signer.verify(&checkpoint.to_string(), &short));
        }
        assert!(signer.sign("no checkpoint\n", 1).is_err());
        assert!(!signer.verify("no checkpoint\n", &[0; 72]));
    }
    assert!(cosignature::timestamp(&NoteSignature::new("w", 0, vec![0; 7]).unwrap()).is_err());
}

#[test]
fn names_that_the_message_has_no_room_for_are_refused() {
    let long = "a".repeat(256);
    let checkpoint = Checkpoint::new(&long, 0, empty_root()).unwrap();
    for signer in signers().into_iter().skip(1) {
        assert!(signer.sign(&checkpoint.to_string(), 1).is_err());
    }
    assert!(MlDsaCosigner::from_seed(&long, &[3; 32]).is_err());
    let fits = Checkpoint::new(&long[1..], 0, empty_root()).unwrap();
    let cosigner = MlDsaCosigner::from_seed(&long[1..], &[3; 32]).unwrap();
    let signed = cosigner.cosign(&fits, 1).unwrap();
    assert!(CosignatureVerifier::new(cosigner.verifier_key().clone()).unwrap().verify(&fits.to_string(), signed.bytes()));
    assert!(!cosigner.verify(&checkpoint.to_string(), signed.bytes()));
}

#[test]
fn a_seed_gives_each_type_a_key_of_its_own() {
    let seed = [9; 32];
    let plain = Ed25519Signer::from_seed("a", &seed).unwrap();
    let cosigner = Ed25519Cosigner::from_seed("a", &seed).unwrap();
    assert_eq!(plain.verifier_key().key(), cosigner.verifier_key().key());
    assert_ne!(plain.id(), Verifier::id(&cosigner));
    // A plain signature is no cosignature, and the other way round.
    let text = checkpoint(5).to_string();
    let (one, two) = (plain.sign(&text, 1).unwrap(), cosigner.sign(&text, 1).unwrap());
    assert!(!cosigner.verify(&text, &[&[0; 8], one.as_slice()].concat()));
    assert!(!plain.verify(&text, &two) && !plain.verify(&text, &two[8..]));
    assert!(CosignatureVerifier::new(plain.verifier_key().clone()).is_err());
    assert!(cosigner.verifier_key().verifier().is_err());
    for key in [plain.verifier_key(), cosigner.verifier_key()] {
        assert_eq!(key.any_verifier().unwrap().id(), key.id());
    }
}

#[test]
fn ml_dsa_is_hedged_and_ed25519_is_not() {
    let text = checkpoint(5).to_string();
    let twice = |signer: &dyn Signer| (signer.sign(&text, 1).unwrap(), signer.sign(&text, 1).unwrap());
    let (one, two) = twice(&Ed25519Cosigner::from_seed("w", &[2; 32]).unwrap());
    assert_eq!(one, two);
    let cosigner = MlDsaCosigner::from_seed("w", &[2; 32]).unwrap();
    let (one, two) = twice(&cosigner);
    assert_ne!(one, two);
    assert!(cosigner.verify(&text, &one) && cosigner.verify(&text, &two));
}

#[test]
fn subtrees_are_cosigned_without_a_time() {
    let root = leaf_hash(b"subtree");
    let ed25519 = Ed25519Cosigner::from_seed("w1.example", &[2; 32]).unwrap();
    assert!(ed25519.cosign_subtree(ORIGIN, 0, 8, &root).unwrap().is_none());
    let cosigner = MlDsaCosigner::from_seed("w2.example", &[3; 32]).unwrap();
    let key = cosigner.verifier_key();
    for (start, end) in [(0, 8), (8, 16), (8, 13), (7, 8), (0, u64::MAX), (1 << 63, u64::MAX)] {
        let line = cosigner.cosign_subtree(ORIGIN, start, end, &root).unwrap().unwrap();
        assert_eq!(cosignature::timestamp(&line).unwrap(), 0);
        cosignature::verify_subtree(key, ORIGIN, start, end, &root, &line).unwrap();
        let moved = cosignature::verify_subtree(key, ORIGIN, start, end - 1, &root, &line);
        assert!(moved.is_err());
        let mut bytes = line.bytes().to_vec();
        bytes[7] = 1;
        let timed = NoteSignature::new(line.name(), line.id(), bytes).unwrap();
        assert!(cosignature::verify_subtree(key, ORIGIN, start, end, &root, &timed).is_err());
        let other = NoteSignature::new("w3.example", line.id(), line.bytes().to_vec()).unwrap();
        assert!(matches!(cosignature::verify_subtree(key, ORIGIN, start, end, &root, &other), Err(Error::Unsigned)));
        let as_ed25519 = cosignature::verify_subtree(ed25519.verifier_key(), ORIGIN, start, end, &root, &line);
        assert!(matches!(as_ed25519, Err(Error::Unsigned)));
    }
    for (start, end) in [(1, 3), (5, 4), (8, 8), (4, 9)] {
        assert!(cosigner.cosign_subtree(ORIGIN, start, end, &root).is_err(), "[{start}, {end})");
    }
    assert!(cosigner.cosign_subtree("", 0, 8, &root).is_err());
    assert!(cosignature::subtree_message("w", 1, ORIGIN, 8, 16, &root).is_err());
}

fn name() -> impl Strategy<Value = String> {
    "[^+\\s\\p{Cc}]{1,60}"
}

fn line() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cosigned_checkpoints_round_trip(
        origin in line(), cosigner in name(), size: u64, root: [u8; 32], seed: [u8; 32], time in 0..1u64 << 63,
        extensions in prop::collection::vec(line(), 0..3), flip: prop::sample::Index,
    ) {
        let checkpoint = Checkpoint::with_extensions(&origin, size, Hash(root), extensions.clone()).unwrap();
        prop_assert_eq!(&checkpoint.to_string().parse::<Checkpoint>().unwrap(), &checkpoint);
        let cosigners: [Box<dyn Cosigner>; 2] =
            [Box::new(Ed25519Cosigner::from_seed(&cosigner, &seed).unwrap()), Box::new(MlDsaCosigner::from_seed(&cosigner, &seed).unwrap())];
        let mut note = checkpoint.sign(&[&Ed25519Signer::from_seed(&cosigner, &[1; 32]).unwrap()], 0).unwrap();
        let mut verifiers = Vec::new();
        for cosigner in cosigners {
            let line = cosigner.cosign(&checkpoint, time).unwrap();
            prop_assert_eq!(&NoteSignature::parse(&line.to_string()).unwrap(), &line);
            prop_assert_eq!(cosignature::timestamp(&line).unwrap(), time);
            note.add(line).unwrap();
            let vkey = cosigner.verifier_key().to_string();
            let key: VerifierKey = vkey.parse().unwrap();
            prop_assert_eq!(key.to_string(), vkey);
            verifiers.push(key.any_verifier().unwrap());
        }
        let verifiers: Vec<&dyn Verifier> = verifiers.iter().map(|verifier| &**verifier as &dyn Verifier).collect();
        let text = note.to_string();
        let opened = Note::open(text.as_bytes(), &verifiers).unwrap();
        prop_assert_eq!(&opened, &note);
        prop_assert_eq!(opened.verified_by(&verifiers).unwrap(), [0, 1]);
        let mut damaged = text.into_bytes();
        damaged[flip.index(checkpoint.to_string().len())] ^= 1;
        prop_assert!(Note::open(&damaged, &verifiers[..1]).is_err());
        if extensions.is_empty() {
            prop_assert!(Note::open(&damaged, &verifiers[1..]).is_err());
        }
    }

    #[test]
    fn damaged_notes_do_not_panic(position: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let signers = signers();
        let all: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
        let verifiers: Vec<&dyn Verifier> = signers.iter().map(|signer| &**signer as &dyn Verifier).collect();
        let mut note = checkpoint(3).sign(&all, 1).unwrap().to_string().into_bytes();
        let at = position.index(note.len());
        note[at] = byte;
        let _ = Note::open(&note, &verifiers);
        note.truncate(cut.index(note.len()));
        let _ = Note::open(&note, &verifiers);
    }

    #[test]
    fn keys_of_all_types_round_trip(name in name(), kind: u8, key in prop::collection::vec(any::<u8>(), 0..100), id: u32) {
        match VerifierKey::new(&name, SignatureType::from(kind), &key) {
            Ok(made) => prop_assert_eq!(made.to_string().parse::<VerifierKey>().unwrap(), made),
            Err(_) => prop_assert!(key.is_empty() || [1, 4, 6].contains(&kind)),
        }
        let typed = [&[kind], key.as_slice()].concat();
        let text = format!("{name}+{id:08x}+{}", STANDARD.encode(typed));
        if let Ok(parsed) = text.parse::<VerifierKey>() {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }
}
