//! The publisher against its enemies: growth, restarts, crashes between any two steps, damage and rollback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use usufruct_log::merkle::{verify_consistency, verify_inclusion};
use usufruct_log::{
    Checkpoint, Ed25519Signer, Error, Folder, Head, LeafSource, Memory, MemoryHead, Note, NoteSignature, Objects, Part,
    Publisher, Reader, Result, SignedHead, Signer, Source, Stored, Tile, TileHashes, checkpoint, empty_root, leaf_hash, proof,
    rebuild_tiles,
};

const ORIGIN: &str = "example.org/log";

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn signers() -> Vec<Box<dyn Signer + Send + Sync>> {
    vec![Box::new(signer())]
}

fn leaf(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes().repeat((index % 4) as usize)
}

/// The leaves that the database of this log would hold.
struct Database(u64);

impl LeafSource for Database {
    fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>> {
        Ok((from..self.0).take(limit.min(100)).map(leaf).collect())
    }

    fn size(&self) -> u64 {
        self.0
    }
}

fn open<O: Objects, H: Head>(objects: O, head: H) -> Result<Publisher<O, H>> {
    Publisher::open(objects, head, signers(), ORIGIN, None)
}

fn grow<O: Objects, H: Head>(publisher: &mut Publisher<O, H>, size: u64) -> Result<SignedHead> {
    let from = publisher.size()?;
    publisher.publish((from..size).map(|index| (index, leaf(index))), 1)
}

fn published(sizes: &[u64]) -> (Memory, MemoryHead) {
    let (objects, head) = (Memory::default(), MemoryHead::default());
    for size in sizes {
        grow(&mut open(&objects, &head).unwrap(), *size).unwrap();
    }
    (objects, head)
}

fn contents(objects: &Memory) -> BTreeMap<String, Vec<u8>> {
    objects.paths().into_iter().map(|path| (path.clone(), Objects::fetch(objects, &path).unwrap().unwrap())).collect()
}

fn current<S: Source + ?Sized>(source: &S) -> Result<Checkpoint> {
    Ok(checkpoint::fetch(source, ORIGIN, &[&signer()])?.0)
}

fn read_all<S: Source + ?Sized>(source: &S, from: u64) -> Result<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    Reader::new(source, current(source)?).entries(from, |_, entry| {
        entries.push(entry.to_vec());
        Ok(())
    })?;
    Ok(entries)
}

#[test]
fn a_publisher_moves_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&open(Memory::default(), MemoryHead::default()).unwrap());
}

#[test]
fn a_new_log_begins_empty_and_signed() {
    let (objects, head) = (Memory::default(), MemoryHead::default());
    let mut publisher = open(&objects, &head).unwrap();
    assert!(publisher.head().unwrap().is_none());
    let first = grow(&mut publisher, 0).unwrap();
    assert_eq!((first.size, first.root), (0, empty_root()));
    assert_eq!(current(&objects).unwrap().size(), 0);
    assert_eq!(objects.paths().len(), 1);
    assert_eq!(read_all(&objects, 0).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_log_of_two_levels_and_more_has_the_tiles_of_the_specification() {
    let (objects, _) = published(&[70_000]);
    let expected = ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"];
    assert!(expected.iter().all(|path| objects.paths().contains(*path)));
    assert_eq!(objects.paths().len(), 2 * 274 + 2 + 1 + 1);
    assert!(objects.paths().iter().filter(|path| *path != checkpoint::PATH).all(|path| path.parse::<Tile>().is_ok()));
    assert_eq!(read_all(&objects, 0).unwrap().len(), 70_000);
    assert_eq!(read_all(&objects, 69_000).unwrap(), (69_000..70_000).map(leaf).collect::<Vec<_>>());
    assert_eq!(Reader::new(&objects, current(&objects).unwrap()).entry(65_536).unwrap(), leaf(65_536));
}

#[test]
fn publishing_costs_only_the_new_leaves() {
    let counter = Counting::default();
    let head = MemoryHead::default();
    let mut publisher = open(&counter, &head).unwrap();
    grow(&mut publisher, 70_000).unwrap();
    counter.operations.set_to(0);
    grow(&mut publisher, 70_010).unwrap();
    // One bundle, one tile of level 0, the checkpoint; both new files and the three tiles of the edge read again.
    assert_eq!(counter.operations.value(), 8);
}

#[test]
fn gaps_and_oversized_leaves_are_refused_and_stop_the_publisher() {
    let (objects, head) = published(&[3]);
    for leaf in [(4, b"gap".to_vec()), (2, b"again".to_vec()), (3, vec![0; 65_536])] {
        let mut publisher = open(&objects, &head).unwrap();
        assert!(publisher.publish([leaf], 1).is_err());
        assert!(matches!(grow(&mut publisher, 4), Err(Error::Stopped)));
        publisher.reload(None).unwrap();
        assert_eq!(publisher.size().unwrap(), 3);
    }
    assert_eq!(head.load().unwrap().unwrap().size, 3);
}

#[test]
fn the_second_of_two_publishers_loses() {
    let (objects, head) = published(&[3]);
    let (mut one, mut two) = (open(&objects, &head).unwrap(), open(&objects, &head).unwrap());
    grow(&mut one, 5).unwrap();
    assert!(matches!(grow(&mut two, 6), Err(Error::Moved)));
    assert_eq!(current(&objects).unwrap().size(), 5);
    two.reload(None).unwrap();
    grow(&mut two, 6).unwrap();
    assert_eq!(read_all(&objects, 0).unwrap().len(), 6);
}

#[test]
fn a_checkpoint_gains_cosignatures_and_keeps_them() {
    let (objects, head) = published(&[3]);
    let mut publisher = open(&objects, &head).unwrap();
    let committed = publisher.commit([(3, leaf(3))], 1).unwrap();
    assert_eq!(current(&objects).unwrap().size(), 3);
    let witness = Ed25519Signer::from_seed("witness.example", &[2; 32]).unwrap();
    let mut note = Note::parse(&committed.note).unwrap();
    let signature = witness.sign(note.text(), 0).unwrap();
    note.add(NoteSignature::new("witness.example", witness.verifier_key().id(), signature).unwrap()).unwrap();
    let other = Checkpoint::new(ORIGIN, 4, empty_root()).unwrap().sign(&[&signer()], 0).unwrap();
    assert!(publisher.announce(other.to_string().as_bytes()).is_err());
    publisher.announce(note.to_string().as_bytes()).unwrap();
    open(&objects, &head).unwrap().publish([], 1).unwrap();
    let stored = Objects::fetch(&objects, checkpoint::PATH).unwrap().unwrap();
    assert_eq!(checkpoint::open(&stored, ORIGIN, &[&witness]).unwrap().0.size(), 4);
}

#[test]
fn a_missing_partial_tile_is_taken_from_the_full_one() {
    let (objects, _) = published(&[200, 300]);
    let without = Without(&objects, ".p/200");
    let older = Checkpoint::new(ORIGIN, 200, proof::root(&TileHashes::new(&objects, 300), 200).unwrap()).unwrap();
    let reader = Reader::new(&without, older);
    let mut count = 0;
    reader
        .entries(0, |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(count, 200);
    assert_eq!(reader.entry(199).unwrap(), leaf(199));
    assert!(reader.entry(200).is_err());
}

#[test]
fn a_folder_holds_the_same_log_as_memory() {
    let root = std::env::temp_dir().join(format!("usufruct-log-publishing-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let head = MemoryHead::default();
    for size in [0, 5, 256, 300] {
        grow(&mut open(Folder::open(&root).unwrap(), &head).unwrap(), size).unwrap();
    }
    let folder = Folder::open(&root).unwrap();
    for (path, bytes) in contents(&published(&[0, 5, 256, 300]).0) {
        assert_eq!(Objects::fetch(&folder, &path).unwrap().unwrap(), bytes, "{path}");
    }
    std::fs::remove_dir_all(&root).unwrap();
}

// Rollback and contradiction.

fn refusal(result: Result<Publisher<&Memory, &MemoryHead>>) -> (Part, Part) {
    match result {
        Err(Error::Contradiction { one, other, .. }) => (one, other),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn a_rolled_back_head_is_refused() {
    let (objects, _) = published(&[3, 9]);
    assert_eq!(refusal(open(&objects, &MemoryHead::default())), (Part::Head, Part::Checkpoint));
    let (_, old_head) = published(&[3]);
    assert_eq!(refusal(open(&objects, &old_head)), (Part::Head, Part::Checkpoint));
}

#[test]
fn rolled_back_tiles_are_refused_and_can_be_rebuilt() {
    let (objects, _) = published(&[3]);
    let (complete, head) = published(&[3, 300]);
    assert!(matches!(open(&objects, &head), Err(Error::Contradiction { one: Part::Head, other: Part::Tiles, .. })));
    assert!(rebuild_tiles(&objects, &head, &[&signer()], ORIGIN, &Database(300)).unwrap() > 0);
    assert!(open(&objects, &head).unwrap().publish([], 1).is_ok());
    assert_eq!(contents(&objects), contents(&complete));
    assert_eq!(rebuild_tiles(&objects, &head, &[&signer()], ORIGIN, &Database(300)).unwrap(), 0);
}

#[test]
fn lost_or_altered_leaves_are_refused() {
    struct Altered(u64);
    impl LeafSource for Altered {
        fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>> {
            let altered = |(index, entry)| {
                if index == self.0 { b"altered".to_vec() } else { entry }
            };
            Ok((from..).zip(Database(300).leaves(from, limit)?).map(altered).collect())
        }
        fn size(&self) -> u64 {
            300
        }
    }
    for sizes in [[3, 300], [3, 256]] {
        let (objects, head) = published(&sizes);
        let with = |leaves: &dyn LeafSource| Publisher::open(&objects, &head, signers(), ORIGIN, Some(leaves));
        assert!(with(&Database(sizes[1])).is_ok());
        assert!(with(&Database(1000)).is_ok());
        assert_eq!(refusal(with(&Database(255))), (Part::Head, Part::Leaves));
        assert_eq!(refusal(with(&Altered(sizes[1] - 1))), (Part::Leaves, Part::Tiles));
        let rebuilt = rebuild_tiles(&objects, &head, &[&signer()], ORIGIN, &Altered(7));
        assert!(matches!(rebuilt, Err(Error::Contradiction { one: Part::Head, other: Part::Leaves, .. })));
    }
}

#[test]
fn a_head_of_another_key_or_with_another_root_is_refused() {
    let (objects, head) = published(&[3]);
    let signed = head.load().unwrap().unwrap();
    let forged = MemoryHead::default();
    forged.swap(None, &SignedHead { root: empty_root(), ..signed.clone() }).unwrap();
    assert_eq!(refusal(open(&objects, &forged)), (Part::Head, Part::Head));
    let stranger: Vec<Box<dyn Signer + Send + Sync>> = vec![Box::new(Ed25519Signer::from_seed(ORIGIN, &[9; 32]).unwrap())];
    assert!(matches!(Publisher::open(&objects, &head, stranger, ORIGIN, None), Err(Error::Unsigned)));
}

#[test]
fn every_flipped_byte_is_found() {
    for sizes in [[100, 600], [3, 512]] {
        let (objects, head) = published(&sizes);
        let edge: Vec<Tile> =
            [0, 1].into_iter().filter_map(|level| Tile::partial(usufruct_log::tile::Kind::Hashes(level), sizes[1])).collect();
        for (path, bytes) in contents(&objects) {
            let tile = path.parse::<Tile>().ok();
            if tile.is_some_and(|tile| tile.index() == 0 && !tile.is_full() && tile.width() == sizes[0] as u16) {
                continue;
            }
            let stride = if bytes.len() > 400 { 97 } else { 7 };
            for position in (0..bytes.len()).step_by(stride) {
                let mut damaged = bytes.clone();
                damaged[position] ^= 0x10;
                objects.replace(&path, &damaged).unwrap();
                assert!(read_all(&objects, 0).is_err(), "reader, {path} at {position}");
                if tile.is_none_or(|tile| edge.contains(&tile)) {
                    assert!(open(&objects, &head).is_err(), "publisher, {path} at {position}");
                }
            }
            if tile.is_some() {
                assert_eq!(rebuild_tiles(&objects, &head, &[&signer()], ORIGIN, &Database(sizes[1])).unwrap(), 1);
            }
            objects.replace(&path, &bytes).unwrap();
            read_all(&objects, 0).unwrap();
        }
    }
}

// Crashes.

/// When the next operations fail: before they had their effect, or after.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    After,
    Before,
}

/// The power supply of one process: after `left` operations everything fails.
struct Power {
    left: AtomicI64,
    fault: Fault,
}

impl Power {
    fn run<T>(&self, operation: impl FnOnce() -> Result<T>) -> Result<T> {
        let off = || Error::outside("power", "it is off");
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            left if left > 0 => operation(),
            0 if self.fault == Fault::After => operation().and(Err(off())),
            _ => Err(off()),
        }
    }
}

struct Failing<'a, T>(&'a T, &'a Power);

impl Objects for Failing<'_, Memory> {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.1.run(|| self.0.put(path, bytes))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.1.run(|| self.0.replace(path, bytes))
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.1.run(|| Objects::fetch(self.0, path))
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.1.run(|| self.0.list(below, after, limit))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.1.run(|| self.0.remove(path))
    }
}

impl Head for Failing<'_, MemoryHead> {
    fn load(&self) -> Result<Option<SignedHead>> {
        self.1.run(|| self.0.load())
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        self.1.run(|| self.0.swap(old, new))
    }
}

#[test]
fn a_crash_at_any_step_loses_and_changes_nothing() {
    const SIZES: [u64; 7] = [0, 1, 255, 256, 257, 600, 1024];
    let expected = contents(&published(&SIZES).0);
    let grow_all = |objects: &dyn Objects, head: &dyn Head| -> Result<()> {
        let mut publisher = Publisher::open(objects, head, signers(), ORIGIN, Some(&Database(1024)))?;
        for size in SIZES {
            if publisher.size()? <= size {
                grow(&mut publisher, size)?;
            }
        }
        Ok(())
    };
    for fault in [Fault::Before, Fault::After] {
        let mut crashes = 0;
        for step in 0.. {
            let (objects, head) = (Memory::default(), MemoryHead::default());
            let power = Power { left: AtomicI64::new(step), fault };
            if grow_all(&Failing(&objects, &power), &Failing(&head, &power)).is_ok() {
                break;
            }
            crashes += 1;
            // Whatever is public at the moment of the crash is complete.
            if current(&objects).is_ok() {
                read_all(&objects, 0).unwrap();
            }
            grow_all(&objects, &head).unwrap();
            assert_eq!(contents(&objects), expected, "after a crash at step {step}");
            assert_eq!(head.load().unwrap().unwrap().size, 1024);
        }
        assert!(crashes > 40, "{crashes} steps");
    }
}

// Properties.

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn proofs_of_every_published_size_hold_against_every_later_one(steps in prop::collection::vec(0u64..250, 1..6), picks in prop::collection::vec(any::<prop::sample::Index>(), 4)) {
        let sizes: Vec<u64> = steps.iter().scan(0, |size, step| { *size += step; Some(*size) }).collect();
        let (objects, head) = (Memory::default(), MemoryHead::default());
        let mut publisher = open(&objects, &head).unwrap();
        let heads: Vec<SignedHead> = sizes.iter().map(|size| grow(&mut publisher, *size).unwrap()).collect();
        for (position, new) in heads.iter().enumerate() {
            let reader = Reader::new(&objects, checkpoint::open(&new.note, ORIGIN, &[&signer()]).unwrap().0);
            let mut count = 0;
            reader.entries(0, |index, entry| { assert_eq!(entry, leaf(index)); count += 1; Ok(()) }).unwrap();
            prop_assert_eq!(count, new.size);
            for old in &heads[..=position] {
                let older = checkpoint::open(&old.note, ORIGIN, &[&signer()]).unwrap().0;
                let proof = reader.consistency(&older).unwrap();
                if old.size > 0 {
                    verify_consistency(old.size, new.size, &proof, &old.root, &new.root).unwrap();
                }
            }
            for pick in picks.iter().filter(|_| new.size > 0) {
                let index = pick.index(new.size as usize) as u64;
                let proof = reader.inclusion(index, &leaf_hash(&leaf(index))).unwrap();
                verify_inclusion(index, new.size, &leaf_hash(&leaf(index)), &proof, &new.root).unwrap();
            }
        }
    }

    #[test]
    fn a_publisher_reopened_between_steps_writes_the_same_tiles(steps in prop::collection::vec(0u64..250, 1..6)) {
        let sizes: Vec<u64> = steps.iter().scan(0, |size, step| { *size += step; Some(*size) }).collect();
        let (objects, head) = (Memory::default(), MemoryHead::default());
        let mut publisher = open(&objects, &head).unwrap();
        for size in &sizes {
            grow(&mut publisher, *size).unwrap();
        }
        prop_assert_eq!(contents(&objects), contents(&published(&sizes).0));
    }
}

// Helpers.

/// A counter that can be shared between threads, as `Objects` asks.
#[derive(Default)]
struct Counter(AtomicI64);

impl Counter {
    fn set_to(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Counting {
    objects: Memory,
    operations: Counter,
}

impl Counting {
    fn count(&self) {
        self.operations.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Objects for Counting {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.count();
        self.objects.put(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.count();
        self.objects.replace(path, bytes)
    }

    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.count();
        Objects::fetch(&self.objects, path)
    }

    fn list(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.count();
        self.objects.list(below, after, limit)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.count();
        self.objects.remove(path)
    }
}

/// A source without the files whose path ends so.
struct Without<'a>(&'a Memory, &'a str);

impl Source for Without<'_> {
    fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>> {
        if path.ends_with(self.1) { Ok(None) } else { Objects::fetch(self.0, path) }
    }
}
