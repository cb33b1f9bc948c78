use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::testing::{Folder, Seeded};
use crate::tree::commit_key;

type Contents = BTreeMap<KeyId, [u8; 32]>;

fn contents(store: &KeyFile) -> Contents {
    store.live().keys.iter().map(|(id, key)| (id, *key.bytes())).collect()
}

fn batch(numbers: std::ops::Range<u64>, rng: &Seeded) -> Vec<(KeyId, Key)> {
    numbers.map(|number| (KeyId::Resident(number), Key::random(rng))).collect()
}

/// A hook that ends everything at step number `stop`, as a crash would.
fn crash_at(stop: usize) -> Hook {
    let count = AtomicUsize::new(0);
    Box::new(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == stop {
            resume_unwind(Box::new("crash"));
        }
    })
}

/// One root, the other half zero, one key file, and everything as it is in memory.
fn assert_tidy(folder: &Folder, store: &KeyFile) {
    let files = folder.files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [file_name(store.epoch()).as_str(), slot::NAME]);
    let halves: Vec<bool> = files[1].1.chunks(slot::HALF).map(|half| half.iter().all(|byte| *byte == 0)).collect();
    assert_eq!(halves, if store.epoch().0.is_multiple_of(2) { [false, true] } else { [true, false] });
}

#[test]
fn keys_survive_a_restart_and_erased_ones_do_not() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    let keys = batch(0..1_000, &rng);
    store.insert(&keys, &rng).unwrap();
    store.insert(&[(KeyId::House(crate::HouseKey::SeedIndex), Key::random(&rng))], &rng).unwrap();
    let fresh = Key::random(&rng);
    let erased = store.erase(&[keys[3].0, KeyId::Mandate(9)], &[(keys[4].0, fresh.copy())], &rng).unwrap();
    assert_eq!((erased.before, erased.after), (Epoch(0), Epoch(1)));
    assert_ne!(erased.root_before, erased.root_after);
    assert_eq!(erased.handles, [commit_key(keys[3].0, &keys[3].1), commit_key(keys[4].0, &keys[4].1)]);
    let before = contents(&store);
    assert_tidy(&folder, &store);
    assert!(matches!(KeyFile::open(folder.path()), Err(Error::Locked)));
    drop(store);
    let store = KeyFile::open(folder.path()).unwrap();
    assert_eq!(contents(&store), before);
    assert_eq!(store.get(keys[4].0).unwrap().unwrap().bytes(), fresh.bytes());
    assert!(store.get(keys[3].0).unwrap().is_none());
    assert_eq!((store.epoch(), store.class()), (Epoch(1), SlotClass::E0));
    assert!(matches!(KeyFile::create(folder.path(), &rng), Err(Error::FolderTaken)));
}

#[test]
fn a_crash_after_any_step_leaves_the_old_epoch_or_the_new_one() {
    let rng = Seeded::new(2);
    let keys = batch(0..200, &rng);
    let origin = Folder::new();
    {
        let store = KeyFile::create(origin.path(), &rng).unwrap();
        store.insert(&keys[..150], &rng).unwrap();
    }
    type Work<'a> = (&'a str, Box<dyn Fn(&KeyFile) + 'a>);
    let works: [Work<'_>; 2] = [
        ("insert", Box::new(|store| store.insert(&keys[150..], &rng).unwrap())),
        ("erase", Box::new(|store| drop(store.erase(&[keys[0].0], &[(keys[1].0, Key::from_bytes([1; 32]))], &rng).unwrap()))),
    ];
    for (name, work) in &works {
        let old = contents(&KeyFile::open(origin.path()).unwrap());
        let done = Folder::with(&origin.files());
        let new = {
            let store = KeyFile::open(done.path()).unwrap();
            work(&store);
            contents(&store)
        };
        assert_ne!(old, new);
        let mut seen = [0, 0];
        for stop in 0.. {
            let folder = Folder::with(&origin.files());
            // Opening a tidy folder takes one step, which this lets pass.
            let store = KeyFile::open_with(folder.path(), crash_at(stop + 1)).unwrap();
            let crashed = catch_unwind(AssertUnwindSafe(|| work(&store))).is_err();
            drop(store);
            if !crashed {
                break;
            }
            let image = folder.files();
            let store = KeyFile::open(folder.path()).unwrap();
            let found = contents(&store);
            assert!(found == old || found == new, "{name}, step {stop}");
            seen[usize::from(found == new)] += 1;
            assert_tidy(&folder, &store);
            recovery_may_crash_too(&image, &found);
        }
        assert_eq!(seen, if *name == "insert" { [0, 2] } else { [2, 3] }, "{name}");
    }
}

/// Ends the recovery itself after each of its steps, and recovers again.
fn recovery_may_crash_too(image: &[(String, Vec<u8>)], expected: &Contents) {
    for stop in 0.. {
        let folder = Folder::with(image);
        let crashed = catch_unwind(|| KeyFile::open_with(folder.path(), crash_at(stop)).map(drop)).is_err();
        let store = KeyFile::open(folder.path()).unwrap();
        assert_eq!(contents(&store), *expected);
        assert_tidy(&folder, &store);
        if !crashed {
            break;
        }
    }
}

#[test]
fn a_torn_append_is_cut_and_a_damaged_middle_is_refused() {
    let (folder, rng) = (Folder::new(), Seeded::new(3));
    let keys = batch(0..30, &rng);
    let (old, new, start) = {
        let store = KeyFile::create(folder.path(), &rng).unwrap();
        store.insert(&keys[..10], &rng).unwrap();
        let (old, start) = (contents(&store), store.writer().unwrap().end as usize);
        store.insert(&keys[10..15], &rng).unwrap();
        (old, contents(&store), start)
    };
    let files = folder.files();
    let whole = files[0].1.clone();
    let image = |bytes: Vec<u8>| vec![(files[0].0.clone(), bytes), files[1].clone()];
    for len in start..=whole.len() {
        // The end is missing, or the file is long enough but the blocks never came.
        let mut blank = whole[..len].to_vec();
        blank.resize(whole.len(), 0);
        for bytes in [whole[..len].to_vec(), blank] {
            let intact = bytes == whole;
            let folder = Folder::with(&image(bytes));
            let store = KeyFile::open(folder.path()).unwrap();
            let found = contents(&store);
            assert!(found == old || found == new, "{len}");
            assert!(!intact || found == new);
            store.insert(&keys[20..], &rng).unwrap();
            let more = contents(&store);
            drop(store);
            assert_eq!(contents(&KeyFile::open(folder.path()).unwrap()), more);
        }
    }
    for at in 0..start {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let folder = Folder::with(&image(bytes));
        match KeyFile::open(folder.path()) {
            Err(Error::Damaged { .. }) => (),
            Err(error) => panic!("{at}: {error}"),
            // Padding and unused bytes carry nothing.
            Ok(store) => assert_eq!(contents(&store), new, "{at}"),
        }
    }
}

#[test]
fn a_torn_root_loses_to_the_old_one() {
    let (folder, rng) = (Folder::new(), Seeded::new(4));
    let keys = batch(0..10, &rng);
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    store.insert(&keys, &rng).unwrap();
    let old = (contents(&store), folder.files());
    store.erase(&[keys[0].0], &[], &rng).unwrap();
    let new = (contents(&store), folder.files());
    drop(store);
    let root_of = |files: &[(String, Vec<u8>)]| files.iter().find(|(name, _)| name == slot::NAME).unwrap().1.clone();
    for len in 0..=80 {
        let mut root = root_of(&old.1);
        root[slot::HALF..slot::HALF + len].copy_from_slice(&root_of(&new.1)[slot::HALF..slot::HALF + len]);
        let image = [old.1[0].clone(), new.1[0].clone(), (slot::NAME.to_owned(), root)];
        let folder = Folder::with(&image);
        let store = KeyFile::open(folder.path()).unwrap();
        assert_eq!(contents(&store), if len < 80 { old.0.clone() } else { new.0.clone() }, "{len}");
        assert_tidy(&folder, &store);
        drop(store);
        recovery_may_crash_too(&image, if len < 80 { &old.0 } else { &new.0 });
    }
    // A new root whose key file did not arrive loses too, as long as the old one is there.
    let mut root = root_of(&old.1);
    root[slot::HALF..].copy_from_slice(&root_of(&new.1)[slot::HALF..]);
    let cut = new.1[0].1[..new.1[0].1.len() - 64].to_vec();
    let folder = Folder::with(&[old.1[0].clone(), (new.1[0].0.clone(), cut), (slot::NAME.to_owned(), root)]);
    let store = KeyFile::open(folder.path()).unwrap();
    assert_eq!(contents(&store), old.0);
    assert_tidy(&folder, &store);
}

#[test]
fn contradictions_are_refused() {
    let (folder, rng) = (Folder::new(), Seeded::new(5));
    let keys = batch(0..10, &rng);
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    store.insert(&keys, &rng).unwrap();
    let epoch_0 = folder.files();
    store.erase(&[keys[0].0], &[], &rng).unwrap();
    let epoch_1 = folder.files();
    store.erase(&[keys[1].0], &[], &rng).unwrap();
    store.erase(&[keys[2].0], &[], &rng).unwrap();
    let epoch_3 = folder.files();
    drop(store);
    let root = |bytes: Vec<u8>| (slot::NAME.to_owned(), bytes);
    let join = |even: &[u8], odd: &[u8]| root([&even[..slot::HALF], &odd[slot::HALF..]].concat());
    let swapped = [&epoch_3[1].1[slot::HALF..], &epoch_3[1].1[..slot::HALF]].concat();
    let refused = [
        ("no root", vec![epoch_3[0].clone(), root(vec![0; 4096])]),
        ("a short slot file", vec![epoch_3[0].clone(), root(vec![0; 4095])]),
        ("no key file", vec![epoch_3[1].clone()]),
        ("the root in the wrong half", vec![epoch_3[0].clone(), root(swapped)]),
        ("epochs apart", vec![epoch_0[0].clone(), epoch_3[0].clone(), join(&epoch_0[1].1, &epoch_3[1].1)]),
        ("a key file without its base", vec![(epoch_3[0].0.clone(), epoch_3[0].1[..ALIGN].to_vec()), epoch_3[1].clone()]),
        ("an old key file", vec![(epoch_3[0].0.clone(), epoch_1[0].1.clone()), epoch_3[1].clone()]),
        ("a new key file under an old root", vec![(epoch_1[0].0.clone(), epoch_3[0].1.clone()), epoch_1[1].clone()]),
    ];
    for (name, image) in refused {
        let folder = Folder::with(&image);
        match KeyFile::open(folder.path()) {
            Err(Error::Damaged { .. }) => {
                assert_eq!(folder.files(), Folder::with(&image).files(), "{name} changed the folder")
            }
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => panic!("{name} was opened"),
        }
    }
}

#[test]
fn after_a_failed_write_nothing_is_written() {
    let (folder, rng) = (Folder::new(), Seeded::new(6));
    let keys = batch(0..10, &rng);
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    store.insert(&keys[..5], &rng).unwrap();
    // A folder in the place of the next key file makes the erasure fail.
    fs::create_dir(folder.path().join("keys.1")).unwrap();
    assert!(matches!(store.erase(&[keys[0].0], &[], &rng), Err(Error::Io { .. })));
    assert!(matches!(store.insert(&keys[5..], &rng), Err(Error::Stopped)));
    assert!(matches!(store.erase(&[keys[0].0], &[], &rng), Err(Error::Stopped)));
    assert!(store.get(keys[0].0).unwrap().is_some());
    drop(store);
    fs::remove_dir(folder.path().join("keys.1")).unwrap();
    assert_eq!(contents(&KeyFile::open(folder.path()).unwrap()).len(), 5);
}

#[test]
fn refused_requests_change_nothing() {
    let (folder, rng) = (Folder::new(), Seeded::new(7));
    let keys = batch(0..10, &rng);
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    store.insert(&keys[..5], &rng).unwrap();
    let before = folder.files();
    assert!(matches!(store.insert(&keys, &rng), Err(Error::Exists { noun: "resident" })));
    assert!(matches!(store.erase(&[], &[(keys[7].0, Key::random(&rng))], &rng), Err(Error::NoKey { .. })));
    assert_eq!(folder.files(), before);
    store.insert(&keys[5..], &rng).unwrap();
}

#[test]
fn a_hundred_thousand_keys_take_little_more_than_themselves() {
    let (folder, rng) = (Folder::new(), Seeded::new(8));
    let store = KeyFile::create(folder.path(), &rng).unwrap();
    let keys: Vec<_> = (0..100_000).map(|number| (KeyId::Resident(number), Key::from_bytes([number as u8; 32]))).collect();
    store.insert(&keys, &rng).unwrap();
    store.erase(&[keys[0].0], &[], &rng).unwrap();
    assert!(folder.files()[0].1.len() < 100_000 * 42);
    drop(store);
    assert_eq!(KeyFile::open(folder.path()).unwrap().live().keys.iter().count(), 99_999);
}

#[derive(Clone, Debug)]
enum Act {
    Insert(Vec<u8>),
    Erase(Vec<u8>, Vec<u8>),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let numbers = || prop::collection::vec(0u8..20, 0..4);
    let act = prop_oneof![
        3 => prop::collection::vec(0u8..20, 1..6).prop_map(Act::Insert),
        3 => (numbers(), numbers()).prop_map(|(ids, replace)| Act::Erase(ids, replace)),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// design.md section 7: all old files ever written and today's root open exactly the live keys.
    #[test]
    fn old_files_and_the_newest_root_open_the_live_keys_only(acts in acts(), seed in any::<u64>()) {
        let (folder, rng) = (Folder::new(), Seeded::new(seed));
        let mut store = KeyFile::create(folder.path(), &rng).unwrap();
        let mut model = Contents::new();
        let mut archive = folder.files();
        for act in acts {
            match act {
                Act::Insert(numbers) => {
                    let keys: Vec<_> = numbers.iter().map(|n| (KeyId::Mandate(u64::from(*n)), Key::random(&rng))).collect();
                    if store.insert(&keys, &rng).is_ok() {
                        model.extend(keys.iter().map(|(id, key)| (*id, *key.bytes())));
                    }
                }
                Act::Erase(ids, replace) => {
                    let ids: Vec<_> = ids.iter().map(|n| KeyId::Mandate(u64::from(*n))).collect();
                    let replace: Vec<_> = replace.iter().map(|n| (KeyId::Mandate(u64::from(*n)), Key::random(&rng))).collect();
                    if store.erase(&ids, &replace, &rng).is_ok() {
                        model.retain(|id, _| !ids.contains(id));
                        model.extend(replace.iter().map(|(id, key)| (*id, *key.bytes())));
                    }
                }
                Act::Restart => {
                    drop(store);
                    store = KeyFile::open(folder.path()).unwrap();
                }
            }
            prop_assert_eq!(&contents(&store), &model);
            archive.extend(folder.files());
        }
        let mut opened = Contents::new();
        for (name, bytes) in archive.iter().filter(|(name, _)| name != slot::NAME) {
            // Whoever reads a stolen file does not mind its epoch, so each is tried under its own.
            let epoch = Epoch(name.strip_prefix(FILE_PREFIX).unwrap().parse().unwrap());
            let root = Root { epoch, secret: store.writer().unwrap().root.secret.copy() };
            let read = records::read(bytes, &root, |id, key| {
                opened.insert(id, *key.bytes());
                Ok(())
            });
            prop_assert_eq!(read.is_ok(), epoch == store.epoch(), "{}", name);
        }
        prop_assert_eq!(opened, model);
    }
}
