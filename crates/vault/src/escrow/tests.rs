//! Who can open an escrow, who cannot, and what is left of a key that was turned.

use proptest::prelude::*;

use super::officer::LEAP;
use super::*;
use crate::roots::{Disk, MemoryRoots};
use crate::testing::{Folder, Seeded};
use crate::tree::Key;

fn officer(folder: &Folder, name: &str, period: u32, seed: u64) -> OfficerFile {
    OfficerFile::create(&folder.path().join(name), name, period, Disk::Any, &Seeded::new(seed)).unwrap()
}

fn board(folder: &Folder, count: usize) -> Vec<OfficerFile> {
    (0..count).map(|number| officer(folder, &format!("officer {number}"), 3, number as u64)).collect()
}

fn publics(officers: &[OfficerFile]) -> Vec<PublicKey> {
    officers.iter().map(OfficerFile::public).collect()
}

fn root(seed: u64) -> Root {
    Root { epoch: Epoch(seed % 50), secret: Key::random(&Seeded::new(seed)) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn enough_officers_bring_the_root_back_and_fewer_do_not(threshold in 2u8..5, more in 0u8..3, seed in any::<u64>(), skip in any::<prop::sample::Index>()) {
        let (folder, rng, count) = (Folder::new(), Seeded::new(seed), usize::from(threshold + more));
        let officers = board(&folder, count);
        let machine = officer(&folder, "machine", 0, 99);
        let root = root(seed);
        let sealed = Sealed::seal("city", &root, 3, threshold, &publics(&officers), &rng);
        let sealed = Sealed::parse(&sealed.encode()).unwrap().unwrap();
        let mut shares: Vec<HandedShare> =
            officers.iter().map(|officer| officer.hand_over(&sealed, &machine.public(), &rng).unwrap()).collect();
        for _ in 0..more {
            let gone = skip.index(shares.len());
            shares.remove(gone);
        }
        let shares: Vec<_> = shares.iter().map(|share| HandedShare::parse(&share.encode()).unwrap()).collect();
        let back = recover("city", &shares, &machine).unwrap();
        prop_assert!(back.epoch == root.epoch && back.secret.bytes() == root.secret.bytes());

        let few = recover("city", &shares[1..], &machine);
        let is_short = matches!(few, Err(Error::TooFewOfficers { given, needed }) if given + 1 == needed);
        prop_assert!(is_short);
        // The number that is needed is sealed in: whoever lowers it opens nothing.
        let mut lowered = shares[1..].to_vec();
        lowered.iter_mut().for_each(|share| share.threshold -= 1);
        prop_assert!(recover("city", &lowered, &machine).is_err());
        let twice = [&shares[1..], &shares[1..2]].concat();
        prop_assert!(recover("city", &twice, &machine).is_err());
        prop_assert!(recover("town", &shares, &machine).is_err());
        let other = officer(&folder, "other machine", 0, 100);
        prop_assert!(recover("city", &shares, &other).is_err());
    }

    #[test]
    fn a_changed_bit_anywhere_is_refused(at in 0..HALF, bit in 0u8..8) {
        let folder = Folder::new();
        let officers = board(&folder, 2);
        let mut bytes = Sealed::seal("city", &root(4), 3, 2, &publics(&officers), &Seeded::new(1)).encode();
        bytes[at] ^= 1 << bit;
        let is_refused = matches!(Sealed::parse(&bytes), Err(Error::Escrow { .. }));
        prop_assert!(is_refused);
    }
}

#[test]
fn a_key_that_was_turned_is_gone_and_opens_the_old_escrow_no_more() {
    let (folder, rng) = (Folder::new(), Seeded::new(5));
    let mut officers = board(&folder, 2);
    let machine = officer(&folder, "machine", 0, 99);
    let sealed = Sealed::seal("city", &root(4), 3, 2, &publics(&officers), &rng);
    assert!(officers[0].hand_over(&sealed, &machine.public(), &rng).is_ok());
    let old = *officers[0].key().bytes();
    let file = folder.path().join("officer 0/key");
    let has = |key: &[u8; 32]| std::fs::read(&file).unwrap().windows(32).any(|bytes| bytes == key);
    assert!(has(&old));
    assert!(officers[0].turn(3, &rng).is_err(), "never to the same period");
    for typo in [3 + LEAP + 1, 40, u32::MAX] {
        assert!(officers[0].turn(typo, &rng).is_err(), "nor to one far away");
        assert!(has(&old) && officers[0].period() == 3);
    }
    officers[0].turn(4, &rng).unwrap();
    assert!(!has(&old) && has(officers[0].key().bytes()));
    assert_eq!((officers[0].period(), officers[0].name()), (4, "officer 0"));
    assert!(matches!(officers[0].hand_over(&sealed, &machine.public(), &rng), Err(Error::Escrow { .. })));
    let next = Sealed::seal("city", &root(5), 4, 2, &[officers[0].public(), officers[1].public()], &rng);
    assert!(officers[0].hand_over(&next, &machine.public(), &rng).is_ok());
    let present = *officers.remove(0).key().bytes();
    OfficerFile::open(&folder.path().join("officer 0"), Disk::Any).unwrap().destroy().unwrap();
    assert!(!file.exists() && present != old);
}

#[test]
fn an_interrupted_turn_leaves_both_keys_and_is_finished() {
    use std::os::unix::fs::FileExt as _;
    let (folder, rng) = (Folder::new(), Seeded::new(5));
    let file = folder.path().join("officer/key");
    let mut first = officer(&folder, "officer", 3, 1);
    let (old, before) = (*first.key().bytes(), std::fs::read(&file).unwrap());
    first.turn(4, &rng).unwrap();
    let public = first.public();
    drop(first);
    // As a crash leaves it between the two writes: the new half is there, the old one too.
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&before[..2_048], 0).unwrap();
    let mut back = OfficerFile::open(&folder.path().join("officer"), Disk::Any).unwrap();
    assert!(back.is_between() && back.period() == 4 && back.public() == public);
    back.finish_turn().unwrap();
    assert!(!back.is_between() && back.public() == public);
    assert!(!std::fs::read(&file).unwrap().windows(32).any(|bytes| bytes == old));
    // And where the crash tore the new half, the old key is the present one.
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&before[..2_048], 0).unwrap();
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&[9; 100], 2_048).unwrap();
    drop(back);
    let torn = OfficerFile::open(&folder.path().join("officer"), Disk::Any).unwrap();
    assert!(!torn.is_between() && torn.period() == 3);
}

#[test]
fn officers_who_do_not_fit_are_refused() {
    let folder = Folder::new();
    let keys = publics(&board(&folder, 3));
    assert!(Officers::new(3, 2, keys.clone()).is_ok());
    assert!(Officers::new(3, 1, keys.clone()).is_err(), "one alone");
    assert!(matches!(Officers::new(3, 4, keys.clone()), Err(Error::TooFewOfficers { given: 3, needed: 4 })));
    assert!(Officers::new(3, 2, vec![keys[0], keys[1], keys[0]]).is_err(), "one twice");
    assert!(Officers::new(3, 2, vec![keys[0]; 17]).is_err());
}

#[test]
fn garbage_is_refused_with_its_reason() {
    let folder = Folder::new();
    let keys = publics(&board(&folder, 2));
    let good = Sealed::seal("city", &root(4), 3, 2, &keys, &Seeded::new(1)).encode();
    let summed = |change: &dyn Fn(&mut [u8; HALF])| {
        let mut bytes = good;
        change(&mut bytes);
        let sum = usufruct_core::hash::sha256(&bytes[..HALF - 32]);
        bytes[HALF - 32..].copy_from_slice(&sum.0);
        Sealed::parse(&bytes).unwrap_err().to_string()
    };
    for (reason, said) in [
        ("not the escrow", summed(&|bytes| bytes[0] = b'X')),
        ("way that this version", summed(&|bytes| bytes[9] = 0x10)),
        ("how many are needed", summed(&|bytes| bytes[26] = 1)),
        ("how many are needed", summed(&|bytes| bytes[26] = 3)),
        ("how many are needed", summed(&|bytes| bytes[27] = 17)),
        ("is no text", summed(&|bytes| bytes[29] = 0xff)),
        ("public key in it is none", summed(&|bytes| bytes[65..97].fill(0))),
        ("behind the last share", summed(&|bytes| bytes[1_000] = 1)),
        ("checksum", Sealed::parse(&[&good[..9], &[1], &good[10..]].concat()).unwrap_err().to_string()),
        ("4,096 bytes", Sealed::parse(&good[1..]).unwrap_err().to_string()),
        ("8,192 bytes", sealed_roots(&good).unwrap_err().to_string()),
        ("no root in it", sealed_roots(&[0; 2 * HALF]).unwrap_err().to_string()),
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    // One torn half does not spoil the other.
    let half = [&good[..], &[9; HALF]].concat();
    assert_eq!(sealed_roots(&half).unwrap()[0].epoch, Epoch(4));
    for text in ["", "!", "AAAA", &"A".repeat(300)] {
        assert!(matches!(HandedShare::parse(text), Err(Error::Escrow { .. })), "{text}");
    }
}

#[test]
fn an_escrow_of_another_vault_does_not_count() {
    let (folder, rng) = (Folder::new(), Seeded::new(1));
    let appointed = Officers::new(3, 2, publics(&board(&folder, 2))).unwrap();
    let open = |vault: &str| {
        let place = EscrowFile::open(&folder.path().join("safe"), Disk::Any).unwrap();
        EscrowedRoots::open(MemoryRoots::new(root(4)), Box::new(place), vault, appointed.clone(), &rng).unwrap()
    };
    let read = || std::fs::read(EscrowFile::path(&folder.path().join("safe"))).unwrap();
    drop(open("town"));
    let town = read();
    let city = open("city");
    assert_ne!(read(), town);
    assert_eq!(sealed_roots(&read()).unwrap()[0].vault, "city");
    assert_eq!(city.escrow(), Some(Appointment { period: 3, officers: 2, threshold: 2 }));
    assert!(matches!(EscrowFile::open(&folder.path().join("safe"), Disk::Any), Err(Error::Locked)));
    drop(city);
    // What is there already stays as it is.
    let before = read();
    drop(open("city"));
    assert_eq!(read(), before);
}
