//! The witness: the status table of tlog-witness, known exchanges, the race of the specification, and what it never forgets.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use usufruct_log::witness::{AddCheckpoint, Answer, FolderState, MemoryState, SignSubtree, Witness, WitnessState};
use usufruct_log::witnessing::origin_hash;
use usufruct_log::{
    Checkpoint, CosignatureVerifier, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, Hash, HashReader, MlDsaCosigner, Note,
    NoteSignature, Result, SignatureType, VerifierKey, cosignature, empty_root, leaf_hash, merkle, node_hash, proof,
};

const ORIGIN: &str = "example.org/log";
const NOW: u64 = 1_790_000_000;

fn log() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn cosigners() -> Vec<Box<dyn Cosigner>> {
    vec![
        Box::new(Ed25519Cosigner::from_seed("witness.example", &[2; 32]).unwrap()),
        Box::new(MlDsaCosigner::from_seed("witness.example", &[3; 32]).unwrap()),
    ]
}

fn witness<S: WitnessState>(state: S) -> Witness<S> {
    Witness::new([(ORIGIN.to_owned(), log().verifier_key().clone())], cosigners(), state).unwrap()
}

/// A log of numbered leaves; `branch` tells histories apart.
struct Tree(u8);

impl HashReader for Tree {
    fn read(&self, level: u32, index: u64) -> Result<Hash> {
        match level {
            0 => Ok(leaf_hash(&[&[self.0][..], &index.to_be_bytes()].concat())),
            _ => Ok(node_hash(&self.read(level - 1, 2 * index)?, &self.read(level - 1, 2 * index + 1)?)),
        }
    }
}

impl Tree {
    fn checkpoint(&self, size: u64) -> Note {
        Checkpoint::new(ORIGIN, size, proof::root(self, size).unwrap()).unwrap().sign(&[&log()], NOW).unwrap()
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let hashes = if old == 0 || old > size { Vec::new() } else { proof::consistency(self, old, size).unwrap() };
        AddCheckpoint { old, proof: hashes, checkpoint: self.checkpoint(size) }
    }
}

fn ask<S: WitnessState>(witness: &Witness<S>, request: &AddCheckpoint) -> Answer {
    witness.add_checkpoint(request.to_string().as_bytes(), NOW).unwrap()
}

/// Both cosignatures of an answer, verified over the checkpoint of the request.
fn check_lines<S>(witness: &Witness<S>, request: &AddCheckpoint, answer: &Answer)
where
    S: WitnessState,
{
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let mut note = request.checkpoint.clone();
    let body = String::from_utf8(answer.body.clone()).unwrap();
    for line in body.lines() {
        let line = NoteSignature::parse(line).unwrap();
        assert_eq!(cosignature::timestamp(&line).unwrap(), NOW);
        note.add(line).unwrap();
    }
    for key in witness.keys() {
        assert_eq!(note.verified_by(&[&CosignatureVerifier::new(key.clone()).unwrap()]).unwrap().len(), 1);
    }
}

#[test]
fn known_exchanges_have_the_known_answers() {
    let known: Value = serde_json::from_str(include_str!("../../../vectors/tlog/witness/add-checkpoint.json")).unwrap();
    let sigsum = &known["logs"]["litewitness.txt"];
    let hex = sigsum["ed25519_public_key_hex"].as_str().unwrap();
    let key: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let origin = sigsum["origin"].as_str().unwrap().to_owned();
    let sumdb = &known["logs"]["sumdb.txt"];
    let logs = [
        (origin.clone(), VerifierKey::new(&origin, SignatureType::Ed25519, &key).unwrap()),
        (sumdb["origin"].as_str().unwrap().to_owned(), sumdb["vkey"].as_str().unwrap().parse().unwrap()),
    ];
    let witness = Witness::new(logs, cosigners(), MemoryState::default()).unwrap();
    let cases = known["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for (number, case) in cases.iter().enumerate() {
        let body = case["request_body"].as_str().unwrap();
        let answer = witness.add_checkpoint(body.as_bytes(), NOW).unwrap();
        let expected = case["status_by_tlog_witness_v1.0.0"].as_u64().unwrap();
        assert_eq!(u64::from(answer.status), expected, "case {number}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[test]
fn the_status_table() {
    let (tree, fork) = (Tree(0), Tree(1));
    let witness = witness(MemoryState::default());
    let status = |request: &AddCheckpoint| ask(&witness, request).status;

    // An empty tree is fine, and only with its own root.
    let empty = tree.request(0, 0);
    check_lines(&witness, &empty, &ask(&witness, &empty));
    let other_root = Checkpoint::new(ORIGIN, 0, leaf_hash(b"")).unwrap().sign(&[&log()], NOW).unwrap();
    assert_eq!(status(&AddCheckpoint { old: 0, proof: vec![], checkpoint: other_root }), 422);

    // From nothing, with no proof.
    assert_eq!(status(&AddCheckpoint { proof: vec![empty_root()], ..tree.request(0, 5) }), 422);
    let first = tree.request(0, 5);
    check_lines(&witness, &first, &ask(&witness, &first));

    // Growing, and the same size again.
    let grown = tree.request(5, 12);
    check_lines(&witness, &grown, &ask(&witness, &grown));
    let again = tree.request(12, 12);
    check_lines(&witness, &again, &ask(&witness, &again));
    assert_eq!(status(&AddCheckpoint { proof: vec![empty_root()], ..tree.request(12, 12) }), 422);

    // Another old size is told the right one.
    for old in [0, 5, 11, 13] {
        let answer = ask(&witness, &AddCheckpoint { old, proof: vec![], checkpoint: tree.checkpoint(20) });
        assert_eq!((answer.status, answer.content_type, answer.body.as_slice()), (409, "text/x.tlog.size", b"12\n".as_slice()));
    }

    // What does not extend it.
    assert_eq!(status(&fork.request(12, 12)), 422);
    assert_eq!(status(&fork.request(12, 20)), 422);
    assert_eq!(status(&AddCheckpoint { proof: vec![], ..tree.request(12, 20) }), 422);
    assert_eq!(status(&AddCheckpoint { old: 21, proof: vec![], checkpoint: tree.checkpoint(20) }), 400);

    // Who may ask.
    let unknown = Checkpoint::new("other.example/log", 20, empty_root()).unwrap().sign(&[&log()], NOW).unwrap();
    assert_eq!(status(&AddCheckpoint { old: 12, proof: vec![], checkpoint: unknown }), 404);
    let stranger = Ed25519Signer::from_seed(ORIGIN, &[9; 32]).unwrap();
    let foreign = Checkpoint::new(ORIGIN, 20, proof::root(&tree, 20).unwrap()).unwrap().sign(&[&stranger], NOW).unwrap();
    assert_eq!(status(&AddCheckpoint { checkpoint: foreign, ..tree.request(12, 20) }), 403);
    let mut damaged = tree.checkpoint(20);
    damaged.add(NoteSignature::new(ORIGIN, log().verifier_key().id(), vec![0; 64]).unwrap()).unwrap();
    assert_eq!(status(&AddCheckpoint { checkpoint: damaged, ..tree.request(12, 20) }), 403);

    for bad in ["", "old 12", "old 012\n\nx", "old 12\n\nnot a note", "old 12\nAAAA\n\n", "new 12\n\n"] {
        assert_eq!(witness.add_checkpoint(bad.as_bytes(), NOW).unwrap().status, 400, "{bad}");
    }
    let many = AddCheckpoint { proof: vec![empty_root(); 64], ..tree.request(12, 20) };
    assert_eq!(status(&many), 400);
    // After all of that it stands where it stood.
    let last = tree.request(12, 20);
    check_lines(&witness, &last, &ask(&witness, &last));
}

#[test]
fn the_latest_checkpoint_carries_log_and_witness_and_is_renewed_after_an_hour() {
    let witness = witness(MemoryState::default());
    let hash = origin_hash(ORIGIN);
    assert_eq!(witness.latest(&hash, NOW).unwrap().status, 404);
    assert_eq!(witness.latest("00", NOW).unwrap().status, 404);
    ask(&witness, &Tree(0).request(0, 5));
    for (now, signed_at) in [(NOW, NOW), (NOW + 2_000, NOW), (NOW + 4_000, NOW + 4_000)] {
        let answer = witness.latest(&hash, now).unwrap();
        let note = Note::open(&answer.body, &[&log()]).unwrap();
        assert_eq!(note.signatures().len(), 3);
        assert_eq!(cosignature::timestamp(&note.signatures()[1]).unwrap(), signed_at);
    }
    assert!(matches!(witness.add_checkpoint(Tree(0).request(5, 6).to_string().as_bytes(), NOW), Err(Error::ClockBack { .. })));
}

#[test]
fn subtrees_are_exchanged_for_what_was_cosigned() {
    let (tree, witness) = (Tree(0), witness(MemoryState::default()));
    let answer = ask(&witness, &tree.request(0, 14));
    let mut cosigned = tree.checkpoint(14);
    String::from_utf8(answer.body).unwrap().lines().for_each(|line| cosigned.add(NoteSignature::parse(line).unwrap()).unwrap());
    let root = node_hash(&tree.read(1, 2).unwrap(), &tree.read(1, 3).unwrap());
    let hashes = proof::subtree_consistency(&tree, 4, 8, 14).unwrap();
    let request = SignSubtree { start: 4, end: 8, root, proof: hashes, checkpoint: cosigned.clone() };
    let status = |request: &SignSubtree| witness.sign_subtree(request.to_string().as_bytes()).unwrap();
    let answer = status(&request);
    assert_eq!(answer.status, 200);
    let body = String::from_utf8(answer.body).unwrap();
    let [line] = body.lines().collect::<Vec<_>>()[..] else { panic!("{body}") };
    let key = witness.keys().find(|key| key.kind() == SignatureType::MlDsaCosignature).unwrap();
    let line = NoteSignature::parse(line).unwrap();
    cosignature::verify_subtree(key, ORIGIN, 4, 8, &root, &line).unwrap();
    assert_eq!(cosignature::timestamp(&line).unwrap(), 0);

    assert_eq!(status(&SignSubtree { root: empty_root(), ..request.clone() }).status, 422);
    assert_eq!(status(&SignSubtree { start: 5, ..request.clone() }).status, 422);
    assert_eq!(status(&SignSubtree { end: 15, ..request.clone() }).status, 400);
    assert_eq!(status(&SignSubtree { checkpoint: tree.checkpoint(14), ..request.clone() }).status, 403);
    assert_eq!(witness.sign_subtree(b"subtree 4\n").unwrap().status, 400);
}

#[test]
fn the_race_of_the_specification_is_safe() {
    let tree = Tree(0);
    for round in 0..20 {
        let witness = witness(MemoryState::default());
        ask(&witness, &tree.request(0, 4));
        let wins = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for size in 5..13 {
                let (witness, wins, tree) = (&witness, &wins, &tree);
                scope.spawn(move || {
                    if ask(witness, &tree.request(4, size)).status == 200 {
                        wins.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(wins.load(Ordering::SeqCst), 1, "round {round}: only one request can start from size 4");
    }
}

#[test]
fn a_folder_never_forgets_and_is_held_by_one() {
    let dir = std::env::temp_dir().join(format!("usufruct-witness-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    {
        let witness = witness(FolderState::open(&dir).unwrap());
        assert!(matches!(FolderState::open(&dir), Err(Error::Held { .. })));
        assert_eq!(ask(&witness, &Tree(0).request(0, 5)).status, 200);
        assert_eq!(ask(&witness, &Tree(0).request(5, 9)).status, 200);
    }
    let again = witness(FolderState::open(&dir).unwrap());
    assert_eq!(ask(&again, &Tree(0).request(5, 12)).status, 409);
    assert_eq!(ask(&again, &Tree(0).request(9, 12)).status, 200);
    drop(again);
    let file = dir.join(format!("{}.checkpoint", origin_hash(ORIGIN)));
    let good = std::fs::read(&file).unwrap();
    for bad in [&good[..10], b"", &good.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()] {
        std::fs::write(&file, bad).unwrap();
        assert!(FolderState::open(&dir).is_err());
    }
    std::fs::write(&file, &good).unwrap();
    std::fs::rename(&file, dir.join("00.checkpoint")).unwrap();
    assert!(FolderState::open(&dir).is_err(), "a file under another log's name");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn proofs_of_this_file_are_right() {
    let tree = Tree(0);
    let (old, new) = (proof::root(&tree, 5).unwrap(), proof::root(&tree, 12).unwrap());
    merkle::verify_consistency(5, 12, &proof::consistency(&tree, 5, 12).unwrap(), &old, &new).unwrap();
}
