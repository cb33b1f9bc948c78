//! Requests to a witness: any bytes, or a good request that was changed and cut. What parses is written back as it came, the
//! status is one of the specification, and the witness goes nowhere but forward on the one history it was shown.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use usufruct_log::witness::{AddCheckpoint, MemoryState, SignSubtree, Witness, WitnessState};
use usufruct_log::{
    Cosigner, Ed25519Signer, Frontier, Hash, Memory, MemoryHead, MlDsaCosigner, Note, Publisher, TileHashes, VerifierKey,
    leaf_hash, proof,
};

const ORIGIN: &str = "o";
const SIZES: [u64; 2] = [300, 700];
const NOW: u64 = 1_790_000_000;

static LOG: LazyLock<(Memory, Vec<Note>, VerifierKey)> = LazyLock::new(|| {
    let objects = Memory::default();
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).expect("the seed is good");
    let key = signer.verifier_key().clone();
    let mut log = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).expect("it is new");
    let mut begun = 0;
    let notes = SIZES.map(|size| {
        let head =
            log.publish((begun..size).map(|index| (index, index.to_be_bytes().to_vec())), 1).expect("memory does not fail");
        begun = size;
        Note::parse(&head.note).expect("it was made here")
    });
    (objects, notes.to_vec(), key)
});

static REQUESTS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let hashes = TileHashes::new(&LOG.0, SIZES[1]);
    let proof = proof::consistency(&hashes, SIZES[0], SIZES[1]).expect("the log is whole");
    let grow = AddCheckpoint { old: SIZES[0], proof, checkpoint: LOG.1[1].clone() };
    let (start, end) = (256, 512);
    let proof = proof::subtree_consistency(&hashes, start, end, SIZES[1]).expect("the log is whole");
    let mut checkpoint = LOG.1[1].clone();
    let text = checkpoint.text().parse().expect("it was made here");
    checkpoint.add(cosigner().cosign(&text, NOW).expect("the time is good")).expect("it fits");
    let sign = SignSubtree { start, end, root: root(start, end), proof, checkpoint };
    [grow.to_string(), sign.to_string()]
});

fn cosigner() -> MlDsaCosigner {
    MlDsaCosigner::from_seed("w", &[2; 32]).expect("the seed is good")
}

fn root(start: u64, end: u64) -> Hash {
    let mut tree = Frontier::new();
    (start..end).for_each(|index| tree.append(leaf_hash(&index.to_be_bytes())));
    tree.root()
}

fuzz_target!(|input: (u8, Vec<(u16, u8)>, u16, &[u8])| {
    let (kind, changes, length, bytes) = input;
    let mut body = match kind {
        0..=99 => REQUESTS[0].clone().into_bytes(),
        100..=199 => REQUESTS[1].clone().into_bytes(),
        _ => Vec::new(),
    };
    for (at, change) in changes {
        let at = usize::from(at) % body.len().max(1);
        if let Some(byte) = body.get_mut(at) {
            *byte ^= change;
        }
    }
    body.truncate(usize::from(length));
    body.extend_from_slice(bytes);
    if let Ok(text) = std::str::from_utf8(&body) {
        if let Ok(request) = text.parse::<AddCheckpoint>() {
            assert_eq!(request.to_string(), text);
        }
        if let Ok(request) = text.parse::<SignSubtree>() {
            assert_eq!(request.to_string(), text);
        }
    }
    let state = Arc::new(MemoryState::default());
    let known = vec![(ORIGIN.to_owned(), LOG.2.clone())];
    let witness = Witness::new(known, vec![Box::new(cosigner())], Arc::clone(&state)).expect("the keys are good");
    let first = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: LOG.1[0].clone() };
    assert_eq!(witness.add_checkpoint(first.to_string().as_bytes(), NOW).expect("memory does not fail").status, 200);
    let answer = witness.add_checkpoint(&body, NOW + 1).expect("memory does not fail");
    assert!([200, 400, 403, 404, 409, 422].contains(&answer.status), "{}", answer.status);
    let size = state.load(ORIGIN).expect("memory does not fail").expect("it was set").size;
    assert!(SIZES.contains(&size));
    assert!(size == SIZES[0] || answer.status == 200);
    let answer = witness.sign_subtree(&body).expect("memory does not fail");
    assert!([200, 400, 403, 404, 409, 422].contains(&answer.status), "{}", answer.status);
    if answer.status == 200 {
        let request: SignSubtree = String::from_utf8(body).expect("it was read").parse().expect("it was read");
        assert_eq!(request.root, root(request.start, request.end));
    } else {
        assert_ne!(body, REQUESTS[1].as_bytes());
    }
});
