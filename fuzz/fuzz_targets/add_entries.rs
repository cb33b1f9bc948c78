//! Uploads to a mirror: any bytes, or a good upload that was changed and cut. The answer does not depend on how the body was
//! divided, it has a status of the specification, and nothing is ever stored that is not an entry of the log.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use usufruct_log::mirror::{Header, Mirror, Package};
use usufruct_log::witness::{AddCheckpoint, Answer, MemoryState};
use usufruct_log::{
    Ed25519Cosigner, Ed25519Signer, Memory, MemoryHead, Note, Objects, Publisher, TileHashes, VerifierKey, checkpoint, proof,
};

const ORIGIN: &str = "o";
const SIZE: u64 = 600;
const NOW: u64 = 1_790_000_000;

static LOG: LazyLock<(Memory, Note, VerifierKey)> = LazyLock::new(|| {
    let objects = Memory::default();
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).expect("the seed is good");
    let key = signer.verifier_key().clone();
    let mut log = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).expect("it is new");
    let head = log.publish((0..SIZE).map(|index| (index, index.to_be_bytes()[6..].to_vec())), 1).expect("memory does not fail");
    let note = Note::parse(&head.note).expect("it was made here");
    (objects, note, key)
});

/// The body that uploads everything from `start` on.
fn upload(start: u64) -> Vec<u8> {
    let header = Header { origin: ORIGIN.to_owned(), start, end: SIZE, ticket: Vec::new() };
    let mut body = header.encode().expect("it is small");
    let mut at = start;
    while at < SIZE {
        let (first, end) = (at / 256 * 256, SIZE.min((at / 256 + 1) * 256));
        let proof = proof::subtree_consistency(&TileHashes::new(&LOG.0, SIZE), first, end, SIZE).expect("the log is whole");
        let entries = (at..end).map(|index| index.to_be_bytes()[6..].to_vec()).collect();
        body.extend(Package { entries, proof }.encode().expect("it is small"));
        at = end;
    }
    body
}

/// Uploads all of the first 256 entries, and then this body in parts of `part` bytes.
fn add(body: &[u8], part: usize) -> (Answer, Arc<Memory>) {
    let (_, note, key) = &*LOG;
    let objects = Arc::new(Memory::default());
    let cosigner = Ed25519Cosigner::from_seed("m", &[2; 32]).expect("the seed is good");
    let logs = vec![(ORIGIN.to_owned(), vec![key.clone()], Arc::clone(&objects))];
    let mirror = Mirror::open(logs, vec![Box::new(cosigner)], MemoryState::default()).expect("it is new");
    let request = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: note.clone() };
    let answer = mirror.add_checkpoint(request.to_string().as_bytes(), NOW).expect("memory does not fail");
    assert_eq!(answer.status, 200);
    let whole = upload(0);
    let mut first = mirror.add_entries();
    first.feed(&whole[..whole.len() / 2]).expect("memory does not fail");
    assert_eq!(first.finish(NOW).expect("memory does not fail").status, 202);
    let mut upload = mirror.add_entries();
    for part in body.chunks(part.max(1)) {
        if !upload.feed(part).expect("memory does not fail") {
            break;
        }
    }
    (upload.finish(NOW).expect("memory does not fail"), objects)
}

fuzz_target!(|input: (bool, u16, Vec<(u16, u8)>, u16, u8, &[u8])| {
    let (is_raw, start, changes, length, part, bytes) = input;
    let body = if is_raw {
        bytes.to_vec()
    } else {
        let mut body = upload(u64::from(start) % (SIZE + 1));
        for (at, change) in changes {
            let at = usize::from(at) % body.len();
            body[at] ^= change;
        }
        body.truncate(usize::from(length));
        body.extend_from_slice(bytes);
        body
    };
    if let Ok(Some((header, used))) = Header::read(&body) {
        assert_eq!(header.encode().expect("it was read"), &body[..used]);
    }
    let (answer, objects) = add(&body, usize::MAX);
    let (again, _) = add(&body, usize::from(part));
    assert_eq!((answer.status, &answer.body), (again.status, &again.body));
    assert!([200, 202, 400, 404, 409, 422].contains(&answer.status));
    let is_served = objects.fetch(checkpoint::PATH).expect("memory does not fail").is_some();
    assert_eq!(is_served, answer.status == 200);
    for path in objects.paths().into_iter().filter(|path| path != checkpoint::PATH) {
        let stored = objects.fetch(&path).expect("memory does not fail");
        assert_eq!(stored, Objects::fetch(&LOG.0, &path).expect("memory does not fail"), "{path}");
    }
});
