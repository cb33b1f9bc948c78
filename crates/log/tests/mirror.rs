//! The mirror: every status of tlog-mirror, uploads broken off anywhere, forks, restarts, and a copy that proves itself.

use std::sync::{Arc, Mutex};

use usufruct_log::mirror::{Header, LocalMirror, MAX_PACKAGE_BYTES, Mirror, Package, upload};
use usufruct_log::witness::{AddCheckpoint, Answer, FolderState, MemoryState, WitnessState};
use usufruct_log::witnessing::origin_hash;
use usufruct_log::{
    Checkpoint, CosignatureVerifier, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, Folder, Memory, MemoryHead, MlDsaCosigner,
    Note, Objects, Publisher, Reader, Response, Result, TileHashes, Transport, VerifierKey, checkpoint, proof,
};

const ORIGIN: &str = "example.org/log";
const NOW: u64 = 1_790_000_000;

fn key() -> VerifierKey {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap().verifier_key().clone()
}

fn cosigners() -> Vec<Box<dyn Cosigner>> {
    vec![
        Box::new(Ed25519Cosigner::from_seed("mirror.example", &[2; 32]).unwrap()),
        Box::new(MlDsaCosigner::from_seed("mirror.example", &[3; 32]).unwrap()),
    ]
}

fn mirror_keys() -> Vec<VerifierKey> {
    cosigners().iter().map(|cosigner| cosigner.verifier_key().clone()).collect()
}

/// A log whose leaves say which history they belong to.
struct Log {
    objects: Memory,
    head: MemoryHead,
    branch: u8,
}

impl Log {
    fn new(branch: u8) -> Self {
        Self { objects: Memory::default(), head: MemoryHead::default(), branch }
    }

    fn grow(&self, size: u64) -> Note {
        let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
        let mut publisher = Publisher::open(&self.objects, &self.head, vec![Box::new(signer)], ORIGIN, None).unwrap();
        let from = publisher.size().unwrap();
        let head = publisher.publish((from..size).map(|index| (index, leaf(self.branch, index))), 1).unwrap();
        Note::parse(&head.note).unwrap()
    }

    fn package(&self, start: u64, end: u64, size: u64) -> Package {
        let first = start / 256 * 256;
        let proof = proof::subtree_consistency(&TileHashes::new(&self.objects, size), first, end, size).unwrap();
        Package { entries: (start..end).map(|index| leaf(self.branch, index)).collect(), proof }
    }

    fn body(&self, start: u64, size: u64) -> Vec<u8> {
        let mut body = header(start, size).encode().unwrap();
        let mut at = start;
        while at < size {
            let end = size.min((at / 256 + 1) * 256);
            body.extend(self.package(at, end, size).encode().unwrap());
            at = end;
        }
        body
    }
}

fn leaf(branch: u8, index: u64) -> Vec<u8> {
    // Up to 300 bytes, and the first history shares its first 300 leaves with the second.
    let branch = if index < 300 { 0 } else { branch };
    let mut leaf = vec![branch; 1 + (index % 300) as usize];
    leaf.extend_from_slice(&index.to_be_bytes());
    leaf
}

fn header(start: u64, end: u64) -> Header {
    Header { origin: ORIGIN.to_owned(), start, end, ticket: Vec::new() }
}

fn open<O: Objects, S: WitnessState>(objects: O, state: S) -> Result<Mirror<O, S>> {
    Mirror::open(vec![(ORIGIN.to_owned(), vec![key()], objects)], cosigners(), state)
}

fn add_entries<O: Objects, S: WitnessState>(mirror: &Mirror<O, S>, body: &[u8]) -> Answer {
    let mut upload = mirror.add_entries();
    for part in body.chunks(1_000) {
        if !upload.feed(part).unwrap() {
            break;
        }
    }
    upload.finish(NOW).unwrap()
}

fn add_checkpoint<O: Objects, S: WitnessState>(mirror: &Mirror<O, S>, log: &Log, note: &Note, old: u64) -> u16 {
    let size = note.text().parse::<Checkpoint>().unwrap().size();
    let proof = if old == 0 { vec![] } else { proof::consistency(&TileHashes::new(&log.objects, size), old, size).unwrap() };
    let request = AddCheckpoint { old, proof, checkpoint: note.clone() };
    mirror.add_checkpoint(request.to_string().as_bytes(), NOW).unwrap().status
}

/// The copy is a log by itself: both signatures on the checkpoint, and every entry under the root.
fn check_copy(objects: &Memory, branch: u8, size: u64) {
    let (public, note) = checkpoint::fetch(objects, ORIGIN, &[&key().verifier().unwrap()]).unwrap();
    assert_eq!(public.size(), size);
    for key in mirror_keys() {
        assert_eq!(note.verified_by(&[&CosignatureVerifier::new(key).unwrap()]).unwrap().len(), 1);
    }
    let mut next = 0;
    Reader::new(objects, public)
        .entries(0, |index, entry| {
            assert_eq!((index, entry), (next, leaf(branch, index).as_slice()));
            next += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(next, size);
}

#[test]
fn a_log_is_copied_as_it_grows() {
    let (log, objects) = (Log::new(0), Arc::new(Memory::default()));
    let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
    let local = LocalMirror { mirror: &mirror, now: NOW };
    for size in [0, 1, 2, 255, 256, 257, 300, 512, 1_000, 9_000, 9_001, 20_000] {
        let note = log.grow(size);
        let lines = upload(&log.objects, &note, "local", &mirror_keys(), &local).unwrap();
        assert_eq!(lines.len(), 2);
        check_copy(&objects, 0, size);
        // Once more changes nothing.
        assert_eq!(upload(&log.objects, &note, "local", &mirror_keys(), &local).unwrap().len(), 2);
    }
    assert!(mirror.fetch(&origin_hash(ORIGIN), "tile/entries/000").unwrap().is_some());
    assert!(mirror.fetch(&origin_hash(ORIGIN), "lock").unwrap().is_none());
    assert!(mirror.fetch("00", "checkpoint").unwrap().is_none());
}

#[test]
fn every_status_of_the_specification() {
    let log = Log::new(0);
    let (first, second) = (log.grow(700), log.grow(1_000));
    let objects = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
    let info = |answer: Answer| (answer.status, answer.content_type, String::from_utf8(answer.body).unwrap());

    let unknown = Header { origin: "other.example".to_owned(), ..header(0, 0) };
    assert_eq!(add_entries(&mirror, &unknown.encode().unwrap()).status, 404);
    // Nothing is known yet: where to begin is told.
    assert_eq!(info(add_entries(&mirror, &log.body(0, 700))), (409, "text/x.tlog.mirror-info", "0\n0\n\n".into()));
    assert_eq!(add_checkpoint(&mirror, &log, &first, 0), 200);
    assert_eq!(
        info(add_entries(&mirror, &header(0, 699).encode().unwrap())),
        (409, "text/x.tlog.mirror-info", "700\n0\n\n".into())
    );
    assert_eq!(info(add_entries(&mirror, &log.body(256, 700))), (409, "text/x.tlog.mirror-info", "700\n0\n\n".into()));

    // Malformed in every way.
    for bad in [vec![], vec![0], header(0, 700).encode().unwrap(), log.body(0, 700)[..200].to_vec()] {
        assert_eq!(add_entries(&mirror, &bad).status, 400, "{} bytes", bad.len());
    }
    assert_eq!(add_entries(&mirror, &header(701, 700).encode().unwrap()).status, 400);
    let mut package = log.package(0, 256, 700).encode().unwrap();
    let hashes = package.len() - 1 - 32 * log.package(0, 256, 700).proof.len();
    package[hashes] = 64;
    let many = [header(0, 700).encode().unwrap(), package, vec![0; 3_000]].concat();
    assert_eq!(add_entries(&mirror, &many).status, 400);

    // After a package that was kept, one that cannot be read is like the end of the body.
    {
        let mirror = open(Memory::default(), MemoryState::default()).unwrap();
        assert_eq!(add_checkpoint(&mirror, &log, &first, 0), 200);
        let mut second = log.package(256, 512, 700).encode().unwrap();
        let hashes = second.len() - 1 - 32 * log.package(256, 512, 700).proof.len();
        second[hashes] = 64;
        let body =
            [header(0, 700).encode().unwrap(), log.package(0, 256, 700).encode().unwrap(), second, vec![0; 3_000]].concat();
        assert_eq!(info(add_entries(&mirror, &body)), (202, "text/x.tlog.mirror-info", "700\n256\n\n".into()));
    }

    // A changed entry, a changed proof.
    let mut changed = log.package(0, 256, 700);
    changed.entries[7][0] ^= 1;
    let body = [header(0, 700).encode().unwrap(), changed.encode().unwrap()].concat();
    assert_eq!(add_entries(&mirror, &body).status, 422);
    let mut changed = log.package(0, 256, 700);
    changed.proof[0].0[0] ^= 1;
    let body = [header(0, 700).encode().unwrap(), changed.encode().unwrap()].concat();
    assert_eq!(add_entries(&mirror, &body).status, 422);

    // A part, the rest, and nothing is served before all is there.
    let whole = log.body(0, 700);
    let one = header(0, 700).encode().unwrap().len() + log.package(0, 256, 700).encode().unwrap().len();
    assert_eq!(info(add_entries(&mirror, &whole[..one + 100])), (202, "text/x.tlog.mirror-info", "700\n256\n\n".into()));
    assert_eq!(mirror.fetch(&origin_hash(ORIGIN), "checkpoint").unwrap(), None);
    // A later checkpoint does not disturb an upload to an earlier one.
    assert_eq!(add_checkpoint(&mirror, &log, &second, 700), 200);
    assert_eq!(add_entries(&mirror, &log.body(256, 700)).status, 200);
    check_copy(&objects, 0, 700);
    // Overlapping what is there, from the middle of a bundle, is fine.
    assert_eq!(add_entries(&mirror, &log.body(650, 1_000)).status, 200);
    check_copy(&objects, 0, 1_000);
    // It never goes back.
    assert_eq!(add_entries(&mirror, &log.body(700, 700)).status, 409);
    check_copy(&objects, 0, 1_000);
}

#[test]
fn an_upload_may_break_off_anywhere() {
    let log = Log::new(0);
    let note = log.grow(1_300);
    let whole = log.body(0, 1_300);
    // Where each package ends.
    let mut ends = vec![header(0, 1_300).encode().unwrap().len()];
    for start in (0..1_300).step_by(256) {
        let package = log.package(start, 1_300.min(start + 256), 1_300).encode().unwrap();
        ends.push(ends[ends.len() - 1] + package.len());
    }
    assert_eq!((ends.len(), ends[6]), (7, whole.len()));
    let at_the_ends = ends.iter().flat_map(|end| [end - 1, *end, end + 1]).filter(|cut| *cut < whole.len());
    for cut in (0..whole.len()).step_by(whole.len() / 97).chain(at_the_ends) {
        let objects = Arc::new(Memory::default());
        let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
        assert_eq!(add_checkpoint(&mirror, &log, &note, 0), 200);
        let answer = add_entries(&mirror, &whole[..cut]);
        match ends.iter().filter(|end| **end <= cut).count() {
            0 | 1 => assert_eq!(answer.status, 400, "{cut}"),
            whole => {
                let info = format!("1300\n{}\n\n", (whole - 1) * 256).into_bytes();
                assert_eq!((answer.status, answer.body), (202, info), "{cut}");
            }
        }
        let local = LocalMirror { mirror: &mirror, now: NOW };
        upload(&log.objects, &note, "local", &mirror_keys(), &local).unwrap();
        check_copy(&objects, 0, 1_300);
    }
}

#[test]
fn of_two_histories_it_keeps_one() {
    let (good, fork) = (Log::new(0), Log::new(1));
    let (note, forked) = (good.grow(600), fork.grow(900));
    let objects = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
    assert_eq!(add_checkpoint(&mirror, &good, &note, 0), 200);
    assert_eq!(add_checkpoint(&mirror, &fork, &forked, 600), 422);
    assert_eq!(add_entries(&mirror, &fork.body(0, 900)).status, 409);
    let body = [
        header(0, 600).encode().unwrap(),
        good.package(0, 256, 600).encode().unwrap(),
        fork.package(256, 512, 900).encode().unwrap(),
    ];
    assert_eq!(add_entries(&mirror, &body.concat()).status, 422);
    let local = LocalMirror { mirror: &mirror, now: NOW };
    upload(&good.objects, &note, "local", &mirror_keys(), &local).unwrap();
    assert!(upload(&fork.objects, &forked, "local", &mirror_keys(), &local).is_err());
    check_copy(&objects, 0, 600);
}

#[test]
fn a_restart_goes_on_where_it_was_and_a_changed_copy_does_not_start() {
    let root = std::env::temp_dir().join(format!("usufruct-mirror-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let log = Log::new(0);
    let note = log.grow(700);
    let start = || open(Folder::hold(root.join("copy")).unwrap(), FolderState::open(root.join("state")).unwrap());
    {
        let mirror = start().unwrap();
        upload(&log.objects, &note, "local", &mirror_keys(), &LocalMirror { mirror: &mirror, now: NOW }).unwrap();
        let larger = log.grow(1_500);
        assert_eq!(add_checkpoint(&mirror, &log, &larger, 700), 200);
        assert_eq!(add_entries(&mirror, &log.body(700, 1_500)[..60_000]).status, 202);
    }
    {
        let mirror = start().unwrap();
        assert_eq!(mirror.sizes().collect::<Vec<_>>(), [(ORIGIN, 700)]);
        assert_eq!(add_entries(&mirror, &log.body(700, 1_500)).status, 200);
        assert_eq!(mirror.sizes().collect::<Vec<_>>(), [(ORIGIN, 1_500)]);
    }
    for path in ["tile/0/005.p/220", "tile/1/000.p/5", "tile/entries/005.p/220", "checkpoint"] {
        let file = root.join("copy").join(path);
        let good = std::fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, &bad).unwrap();
        assert!(start().is_err(), "{path}");
        std::fs::write(&file, &good).unwrap();
    }
    assert!(start().is_ok());
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn many_at_once_make_one_copy() {
    let log = Log::new(0);
    let note = log.grow(5_000);
    let objects = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (mirror, log, note) = (&mirror, &log, &note);
            scope.spawn(move || {
                let local = LocalMirror { mirror, now: NOW };
                upload(&log.objects, note, "local", &mirror_keys(), &local).unwrap();
            });
        }
    });
    check_copy(&objects, 0, 5_000);
}

/// Passes on what a real mirror would be asked, and cuts every second upload.
struct Unreliable<'a, T>(&'a T, Mutex<u32>);

impl<T: Transport> Transport for Unreliable<'_, T> {
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response> {
        let mut count = self.1.lock().unwrap();
        *count += 1;
        let cut = if count.is_multiple_of(2) && body.len() > 100_000 { body.len() / 2 } else { body.len() };
        self.0.post(url, content_type, &body[..cut])
    }

    fn get(&self, url: &str) -> Result<Response> {
        self.0.get(url)
    }
}

#[test]
fn the_client_goes_on_after_broken_uploads() {
    let log = Log::new(0);
    let note = log.grow(30_000);
    let objects = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&objects), MemoryState::default()).unwrap();
    let local = LocalMirror { mirror: &mirror, now: NOW };
    let transport = Unreliable(&local, Mutex::new(0));
    assert_eq!(upload(&log.objects, &note, "local", &mirror_keys(), &transport).unwrap().len(), 2);
    check_copy(&objects, 0, 30_000);
    let stranger = Ed25519Cosigner::from_seed("mirror.example", &[9; 32]).unwrap();
    let error = upload(&log.objects, &note, "local", &[stranger.verifier_key().clone()], &transport).unwrap_err();
    assert!(matches!(error, Error::Unsigned), "{error}");
}

/// A mirror that accepts everything and keeps nothing.
struct Forgetful(Mutex<u32>);

impl Transport for Forgetful {
    fn post(&self, url: &str, _: &str, _: &[u8]) -> Result<Response> {
        *self.0.lock().unwrap() += 1;
        let (status, body) = if url.ends_with("add-checkpoint") { (200, "") } else { (202, "700\n256\n\n") };
        Ok(Response { status, content_type: String::new(), body: body.as_bytes().to_vec() })
    }

    fn get(&self, _: &str) -> Result<Response> {
        unreachable!("nothing is asked for")
    }
}

#[test]
fn the_client_gives_up_on_a_mirror_that_keeps_nothing() {
    let log = Log::new(0);
    let note = log.grow(700);
    let mirror = Forgetful(Mutex::new(0));
    let error = upload(&log.objects, &note, "local", &mirror_keys(), &mirror).unwrap_err();
    assert!(error.to_string().contains("does not get beyond entry 256"), "{error}");
    assert!(*mirror.0.lock().unwrap() < 20);
}

/// Notes the size of the largest body.
struct Measuring<'a, T>(&'a T, Mutex<usize>);

impl<T: Transport> Transport for Measuring<'_, T> {
    fn post(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response> {
        let mut largest = self.1.lock().unwrap();
        *largest = body.len().max(*largest);
        self.0.post(url, content_type, body)
    }

    fn get(&self, url: &str) -> Result<Response> {
        self.0.get(url)
    }
}

#[test]
fn large_entries_go_up_in_small_requests() {
    let objects = Memory::default();
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let mut publisher = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).unwrap();
    let large = |index: u64| (index, vec![index as u8; 65_535]);
    let note = Note::parse(&publisher.publish((0..700).map(large), 1).unwrap().note).unwrap();
    let copy = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&copy), MemoryState::default()).unwrap();
    let local = LocalMirror { mirror: &mirror, now: NOW };
    let transport = Measuring(&local, Mutex::new(0));
    upload(&objects, &note, "local", &mirror_keys(), &transport).unwrap();
    assert!(*transport.1.lock().unwrap() < MAX_PACKAGE_BYTES + 100);
    assert_eq!(mirror.sizes().collect::<Vec<_>>(), [(ORIGIN, 700)]);
}

#[test]
fn an_upload_to_one_of_the_last_checkpoints_is_accepted() {
    let log = Log::new(0);
    let mirror = open(Memory::default(), MemoryState::default()).unwrap();
    let sizes: Vec<u64> = (1..=20).map(|step| step * 40).collect();
    let mut old = 0;
    for size in &sizes {
        let note = log.grow(*size);
        assert_eq!(add_checkpoint(&mirror, &log, &note, old), 200);
        old = *size;
    }
    for size in &sizes {
        let status = add_entries(&mirror, &log.body(0, *size)).status;
        assert_eq!(status, if *size <= 160 { 409 } else { 200 }, "{size}");
    }
}

#[test]
fn packages_have_one_reading() {
    let package = Package { entries: vec![vec![], vec![7; 65_535]], proof: vec![usufruct_log::empty_root(); 63] };
    let bytes = package.encode().unwrap();
    assert!(bytes.len() < MAX_PACKAGE_BYTES);
    assert_eq!(Package::read(&bytes, 2).unwrap(), Some((package, bytes.len())));
    for length in [0, 1, 2, 3, 65_539, bytes.len() - 1] {
        assert_eq!(Package::read(&bytes[..length], 2).unwrap(), None);
    }
    let header = header(5, 9);
    let bytes = header.encode().unwrap();
    assert_eq!(Header::read(&[&bytes[..], b"more"].concat()).unwrap(), Some((header, bytes.len())));
    assert!((0..bytes.len()).all(|length| Header::read(&bytes[..length]).unwrap().is_none()));
    assert!(Header::read(&[&[0, 1, 0xff][..], &[0; 18]].concat()).is_err());
}
