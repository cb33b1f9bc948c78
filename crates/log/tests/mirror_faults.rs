//! The mirror against what disks, operators and clocks do: every call that fails, bundles that change while they wait, a
//! state that was lost or put back, a clock set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use usufruct_log::mirror::{Header, LocalMirror, Mirror, Package, upload};
use usufruct_log::witness::{AddCheckpoint, MemoryState, WitnessState};
use usufruct_log::{
    Checkpoint, Cosigner, Ed25519Cosigner, Ed25519Signer, Error, Memory, MemoryHead, MlDsaCosigner, Note, Objects, Publisher,
    Reader, Result, SignedHead, Stored, TileHashes, VerifierKey, checkpoint, cosignature, proof,
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

fn open<O: Objects, S: WitnessState>(objects: O, state: S) -> Result<Mirror<O, S>> {
    Mirror::open(vec![(ORIGIN.to_owned(), vec![key()], objects)], cosigners(), state)
}

fn leaf(branch: u8, index: u64) -> Vec<u8> {
    vec![branch, (index >> 8) as u8, index as u8]
}

/// A log of `size` entries, and its checkpoint. The histories of two branches differ from the first entry on.
fn log(branch: u8, size: u64) -> (Memory, Note) {
    let objects = Memory::default();
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let mut publisher = Publisher::open(&objects, MemoryHead::default(), vec![Box::new(signer)], ORIGIN, None).unwrap();
    let head = publisher.publish((0..size).map(|index| (index, leaf(branch, index))), 1).unwrap();
    (objects, Note::parse(&head.note).unwrap())
}

/// Brings a log to the mirror; the time is as it was when the mirror first saw it.
fn bring<O: Objects, S: WitnessState>(mirror: &Mirror<O, S>, log: &(Memory, Note)) -> Result<()> {
    upload(&log.0, &log.1, "local", &mirror_keys(), &LocalMirror { mirror, now: NOW }).map(drop)
}

fn add_checkpoint<O: Objects, S: WitnessState>(mirror: &Mirror<O, S>, log: &(Memory, Note), old: u64) -> u16 {
    let size = log.1.text().parse::<Checkpoint>().unwrap().size();
    let proof = if old == 0 { vec![] } else { proof::consistency(&TileHashes::new(&log.0, size), old, size).unwrap() };
    let request = AddCheckpoint { old, proof, checkpoint: log.1.clone() };
    mirror.add_checkpoint(request.to_string().as_bytes(), NOW).unwrap().status
}

/// The body that uploads the packages from `start` on, at most `packages` of them.
fn body(log: &(Memory, Note), branch: u8, start: u64, packages: usize) -> Vec<u8> {
    let size = log.1.text().parse::<Checkpoint>().unwrap().size();
    let mut body = Header { origin: ORIGIN.to_owned(), start, end: size, ticket: Vec::new() }.encode().unwrap();
    let mut at = start;
    for _ in 0..packages {
        let (first, end) = (at / 256 * 256, size.min((at / 256 + 1) * 256));
        let proof = proof::subtree_consistency(&TileHashes::new(&log.0, size), first, end, size).unwrap();
        let entries = (at..end).map(|index| leaf(branch, index)).collect();
        body.extend(Package { entries, proof }.encode().unwrap());
        at = end;
        if at == size {
            break;
        }
    }
    body
}

fn add_entries<O: Objects, S: WitnessState>(mirror: &Mirror<O, S>, body: &[u8], now: u64) -> Result<u16> {
    let mut upload = mirror.add_entries();
    upload.feed(body)?;
    Ok(upload.finish(now)?.status)
}

/// Whatever checkpoint is served, all of its entries are there.
fn check_copy<O: Objects>(objects: &O, branch: u8) -> u64 {
    if Objects::fetch(objects, checkpoint::PATH).unwrap().is_none() {
        return 0;
    }
    let (public, _) = checkpoint::fetch(objects, ORIGIN, &[&key().verifier().unwrap()]).unwrap();
    let (size, mut next) = (public.size(), 0);
    Reader::new(objects, public)
        .entries(0, |index, entry| {
            assert_eq!((index, entry), (next, leaf(branch, index).as_slice()));
            next += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(next, size);
    size
}

/// Objects of which one call fails, and the later ones work again.
struct Failing {
    objects: Arc<Memory>,
    left: AtomicI64,
}

impl Failing {
    fn call(&self, path: &str) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(Error::Io { path: path.to_owned(), source: std::io::Error::from(std::io::ErrorKind::StorageFull) });
        }
        Ok(())
    }
}

impl Objects for Failing {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.call(path)?;
        self.objects.put(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.call(path)?;
        self.objects.replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.call(path)?;
        Objects::fetch(&self.objects, path)
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.call(below)?;
        self.objects.list(below, after, limit)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.call(path)?;
        self.objects.remove(path)
    }
}

/// A process that was told of an error may try again, or end and start again. Neither loses anything.
#[test]
fn every_call_of_the_storage_may_fail_once() {
    let (small, large) = (log(0, 300), log(0, 1_500));
    for restarts in [false, true] {
        let mut failed = 0;
        for call in 0.. {
            let (memory, state) = (Arc::new(Memory::default()), Arc::new(MemoryState::default()));
            let open = |left| open(Failing { objects: Arc::clone(&memory), left: AtomicI64::new(left) }, Arc::clone(&state));
            let mut errors = Vec::new();
            let mirror = open(call).or_else(|error| {
                errors.push(error);
                open(-1)
            });
            let mirror = mirror.unwrap();
            errors.extend([&small, &large].into_iter().filter_map(|log| bring(&mirror, log).err()));
            if errors.is_empty() {
                break;
            }
            assert!(matches!(errors[..], [Error::Io { .. }]), "{call}: {errors:?}");
            failed += 1;
            check_copy(&*memory, 0);
            let mirror = if restarts { open(-1).unwrap() } else { mirror };
            bring(&mirror, &large).unwrap_or_else(|error| panic!("call {call}: {error}"));
            assert_eq!(check_copy(&*memory, 0), 1_500);
        }
        assert!(failed > 15, "{failed}");
    }
}

#[test]
fn a_bundle_that_changed_while_it_waited_is_refused_and_spoils_nothing() {
    let log = log(0, 700);
    let memory = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&memory), MemoryState::default()).unwrap();
    assert_eq!(add_checkpoint(&mirror, &log, 0), 200);
    assert_eq!(add_entries(&mirror, &body(&log, 0, 0, 1), NOW).unwrap(), 202);
    let good = Objects::fetch(&memory, "tile/entries/000").unwrap().unwrap();
    let mut bad = good.clone();
    bad[402] ^= 1;
    memory.replace("tile/entries/000", &bad).unwrap();
    let error = add_entries(&mirror, &body(&log, 0, 256, 9), NOW).unwrap_err();
    assert!(matches!(error, Error::Contradiction { .. }), "{error}");
    assert_eq!(memory.paths().iter().filter(|path| !path.starts_with("tile/entries/")).count(), 0, "{:?}", memory.paths());
    // The disk is mended, and everything goes on.
    memory.replace("tile/entries/000", &good).unwrap();
    bring(&open(Arc::clone(&memory), MemoryState::default()).unwrap(), &log).unwrap();
    assert_eq!(check_copy(&*memory, 0), 700);
}

#[test]
fn a_state_that_was_lost_or_put_back_does_not_start() {
    let (small, large) = (log(0, 300), log(0, 700));
    let (memory, state) = (Arc::new(Memory::default()), Arc::new(MemoryState::default()));
    let open = |state: &Arc<MemoryState>| open(Arc::clone(&memory), Arc::clone(state));
    bring(&open(&state).unwrap(), &small).unwrap();
    let old = state.load(ORIGIN).unwrap().unwrap();
    bring(&open(&state).unwrap(), &large).unwrap();
    let restored = MemoryState::default();
    assert!(restored.swap(ORIGIN, None, &old).unwrap());
    let forked = MemoryState::default();
    let (_, fork) = log(1, 700);
    let checkpoint: Checkpoint = fork.text().parse().unwrap();
    let head = SignedHead { size: 700, root: *checkpoint.root(), time: NOW, note: fork.to_string().into_bytes() };
    assert!(forked.swap(ORIGIN, None, &head).unwrap());
    for wrong in [MemoryState::default(), restored, forked] {
        let error = open(&Arc::new(wrong)).err().expect("it does not start");
        assert!(matches!(error, Error::Contradiction { .. }), "{error}");
    }
    assert!(open(&state).is_ok());
}

#[test]
fn cosignatures_never_go_back_in_time() {
    let (small, large) = (log(0, 300), log(0, 700));
    let (memory, state) = (Arc::new(Memory::default()), Arc::new(MemoryState::default()));
    let open = || open(Arc::clone(&memory), Arc::clone(&state)).unwrap();
    let mirror = open();
    assert_eq!(add_checkpoint(&mirror, &small, 0), 200);
    // An upload that began early and ends late is signed when it ends.
    let mut slow = mirror.add_entries();
    assert!(slow.feed(&body(&small, 0, 0, 1)).unwrap());
    assert_eq!(add_entries(&mirror, &body(&small, 0, 256, 9), NOW + 50).unwrap(), 200);
    let header = body(&small, 0, 256, 0).len();
    assert!(!slow.feed(&body(&small, 0, 256, 9)[header..]).unwrap());
    let answer = slow.finish(NOW + 60).unwrap();
    assert_eq!(answer.status, 200);
    for line in String::from_utf8(answer.body).unwrap().lines() {
        assert_eq!(cosignature::timestamp(&usufruct_log::NoteSignature::parse(line).unwrap()).unwrap(), NOW + 60);
    }
    assert_eq!(add_checkpoint(&mirror, &large, 300), 200);
    for mirror in [mirror, open()] {
        let error = add_entries(&mirror, &body(&large, 0, 256, 9), NOW + 59).unwrap_err();
        assert!(matches!(error, Error::ClockBack { .. }), "{error}");
        assert_eq!(check_copy(&*memory, 0), 300);
    }
    assert_eq!(add_entries(&open(), &body(&large, 0, 256, 9), NOW + 60).unwrap(), 200);
}

/// Two histories come at once, each from several clients. The mirror follows one of them and cosigns nothing of the other.
#[test]
fn of_two_histories_at_once_one_is_kept() {
    let branches = [log(0, 1_500), log(1, 1_700)];
    let mut kept = [0, 0];
    for _ in 0..20 {
        let memory = Arc::new(Memory::default());
        let mirror = open(Arc::clone(&memory), MemoryState::default()).unwrap();
        let signed: Vec<(usize, bool)> = std::thread::scope(|scope| {
            let (mirror, branches) = (&mirror, &branches);
            let one = |number: usize| scope.spawn(move || (number % 2, bring(mirror, &branches[number % 2]).is_ok()));
            let clients: Vec<_> = (0..6).map(one).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let winner = usize::from(check_winner(&memory));
        assert!(signed.iter().any(|(branch, is_signed)| *branch == winner && *is_signed));
        assert!(!signed.iter().any(|(branch, is_signed)| *branch != winner && *is_signed));
        kept[winner] += 1;
    }
    assert_eq!(kept[0] + kept[1], 20);
}

/// Which of the two histories the copy has, all of it.
fn check_winner(memory: &Memory) -> u8 {
    let (public, _) = checkpoint::fetch(memory, ORIGIN, &[&key().verifier().unwrap()]).unwrap();
    let winner = u8::from(public.size() == 1_700);
    assert_eq!(check_copy(memory, winner), if winner == 0 { 1_500 } else { 1_700 });
    winner
}

#[test]
fn partial_tiles_that_are_superseded_are_removed_after_a_day() {
    let memory = Arc::new(Memory::default());
    let mirror = open(Arc::clone(&memory), MemoryState::default()).unwrap();
    for size in [10, 250, 300, 700] {
        bring(&mirror, &log(0, size)).unwrap();
    }
    assert_eq!(mirror.collect(86_000).unwrap(), 0);
    assert_eq!(mirror.collect(NOW).unwrap(), 6);
    let partials: Vec<_> = memory.paths().into_iter().filter(|path| path.contains(".p/")).collect();
    assert!(partials.iter().all(|path| path.ends_with("/188") || path.starts_with("tile/1/")), "{partials:?}");
    assert_eq!(check_copy(&*memory, 0), 700);
}
