//! Pseudonyms from outside: conversions that are in the log and no others, and sectors with two keepers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use usufruct_core::event::{Event, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::logged::{Logged, Recorder, pair};
use usufruct_core::ports::Rng;
use usufruct_core::service::PseudonymMode;
use usufruct_core::{Digest, Time};
use usufruct_vault::keytree::{PageFile, PageTree};
use usufruct_vault::roots::{Disk, FileRoots};
use usufruct_vault::second_hand::{Call, Remote, SecondHand, SectorKeys, serve};
use usufruct_vault::{Error, Keyring, Seeds, Subject, Vault, Way, Withheld};

struct Seeded(u64, AtomicU64);

impl Rng for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.1.fetch_add(1, Ordering::Relaxed);
            let block = sha256(&[self.0.to_be_bytes(), count.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

fn seeded(seed: u64) -> Arc<Seeded> {
    Arc::new(Seeded(seed, AtomicU64::new(0)))
}

const LIBRARY: u64 = 4;
const PARKS: u64 = 5;
const MANDATE: Digest = Digest([3; 32]);
/// Its number.
const NUMBER: u64 = 7;

/// Three residents and two sectors.
struct House {
    vault: Vault,
    recorder: Recorder,
    keyrings: Vec<Keyring>,
    library: ServiceId,
    parks: ServiceId,
    rng: Arc<Seeded>,
    _folder: tempfile::TempDir,
}

impl House {
    fn new(hand: Option<Arc<dyn SecondHand>>, mode: PseudonymMode) -> Self {
        let (folder, rng) = (tempfile::tempdir().unwrap(), seeded(1));
        let first = PageTree::<PageFile, FileRoots>::first_root(rng.as_ref());
        let roots = FileRoots::create(folder.path(), &first, Disk::Any).unwrap();
        let tree = PageTree::create(PageFile::open(folder.path()).unwrap(), roots, rng.as_ref()).unwrap();
        let (recorder, gate) = pair(rng.as_ref());
        let mut vault = Vault::new(Box::new(tree), gate, rng.as_ref()).unwrap();
        if let Some(hand) = hand {
            vault = vault.with_second_hand(hand);
        }
        vault.withhold(BTreeMap::new());
        vault.create_sector_key(LIBRARY, PseudonymMode::Single, rng.as_ref()).unwrap();
        vault.create_sector_key(PARKS, mode, rng.as_ref()).unwrap();
        let enrolled = vault.enrol_many(3, rng.as_ref()).unwrap();
        let keyrings = enrolled.iter().map(|one| vault.keyring(one.resident, &[&one.keyring]).unwrap()).collect();
        let (library, parks) = ("svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
        Self { vault, recorder, keyrings, library, parks, rng, _folder: folder }
    }

    fn way(&self) -> Way<'_> {
        Way { mandate: (NUMBER, MANDATE), from: (&self.library, LIBRARY), to: (&self.parks, PARKS) }
    }

    fn subjects(&self, sector: u64) -> Vec<Subject> {
        self.vault.subjects(sector, &Seeds::of(&self.keyrings.iter().collect::<Vec<_>>())).unwrap()
    }

    fn logged(&self, resident: usize, change: impl FnOnce(&mut Event)) -> Logged {
        let mut event = Event {
            kind: Kind::Conversion,
            n: 7,
            prev: None,
            at: Time::default(),
            anchor: None,
            mandate: Some(MANDATE),
            service: Some(self.library.clone()),
            blocks: vec![],
            reason: "garden".into(),
            actor: None,
            batch: None,
            clause: None,
            detail: Some(self.parks.to_string()),
            until: None,
            other: None,
            source: None,
            closed: None,
            foreign: None,
        };
        change(&mut event);
        self.recorder.record(event, [9; 32], self.keyrings[resident].tag(7), 4)
    }

    fn convert(&self, subject: Subject, logged: &Logged, resident: usize) -> Result<Subject, Error> {
        self.vault.convert(&self.way(), &[subject], &[(logged, &self.keyrings[resident])]).unwrap().remove(0)
    }
}

fn keys(folder: &Path, seed: u64) -> Arc<SectorKeys> {
    Arc::new(SectorKeys::open(folder, Disk::Any, seeded(seed)).unwrap())
}

#[test]
fn a_logged_conversion_gives_the_pseudonym_of_the_same_resident() {
    let house = House::new(None, PseudonymMode::Single);
    let (held, wanted) = (house.subjects(LIBRARY), house.subjects(PARKS));
    let logged: Vec<Logged> = [2, 0, 1].map(|resident| house.logged(resident, |_| {})).into();
    let conversions: Vec<_> = logged.iter().zip([2, 0, 1]).map(|(logged, at)| (logged, &house.keyrings[at])).collect();
    let converted = house.vault.convert(&house.way(), &[held[2], held[0], held[1]], &conversions).unwrap();
    let converted: Vec<Subject> = converted.into_iter().map(Result::unwrap).collect();
    assert!(converted == [wanted[2], wanted[0], wanted[1]], "in the order asked");
    assert!(house.vault.convert(&house.way(), &held, &conversions[..2]).is_err());
}

#[test]
fn a_conversion_that_does_not_fit_is_refused_by_itself() {
    let house = House::new(None, PseudonymMode::Single);
    let (held, wanted) = (house.subjects(LIBRARY), house.subjects(PARKS));
    let good = house.logged(0, |_| {});
    assert!(house.convert(held[0], &good, 0).unwrap() == wanted[0]);
    let other = |change: fn(&mut Event)| house.convert(held[0], &house.logged(0, change), 0).err();
    assert!(matches!(other(|event| event.kind = Kind::Use), Some(Error::NotConversion)));
    assert!(matches!(other(|event| event.kind = Kind::Refusal), Some(Error::NotConversion)));
    assert!(matches!(other(|event| event.mandate = None), Some(Error::OtherMandate)));
    assert!(matches!(other(|event| event.mandate = Some(Digest([4; 32]))), Some(Error::OtherMandate)));
    assert!(matches!(other(|event| event.service = Some("svc_parks".parse().unwrap())), Some(Error::OtherServices)));
    assert!(matches!(other(|event| event.detail = None), Some(Error::OtherServices)));
    assert!(matches!(other(|event| event.detail = Some("svc_library".into())), Some(Error::OtherServices)));
    // The event of one resident, the pseudonym of another.
    assert!(matches!(house.convert(held[1], &good, 0), Err(Error::OtherResident)));
    assert!(matches!(house.convert(held[1], &good, 1), Err(Error::OtherResident)));
    assert!(matches!(house.convert(Subject::from_bytes([1; 16]), &good, 0), Err(Error::OtherResident)));
    // Another recorder's word.
    let (stranger, _) = pair(house.rng.as_ref());
    let forged = stranger.record(good.event().clone(), [9; 32], house.keyrings[0].tag(7), 4);
    assert!(matches!(house.convert(held[0], &forged, 0), Err(Error::NotLogged(_))));
    // A bad one among good ones.
    let third = house.logged(2, |_| {});
    let conversions = [(&good, &house.keyrings[0]), (&good, &house.keyrings[1]), (&third, &house.keyrings[2])];
    let outcomes = house.vault.convert(&house.way(), &held, &conversions).unwrap();
    assert!(matches!(outcomes[1], Err(Error::OtherResident)));
    assert!(outcomes[0].as_ref().unwrap() == &wanted[0] && outcomes[2].as_ref().unwrap() == &wanted[2]);
}

#[test]
fn what_a_suspended_mandate_logged_is_not_converted() {
    let house = House::new(None, PseudonymMode::Single);
    let (held, logged) = (house.subjects(LIBRARY), house.logged(0, |_| {}));
    assert!(house.convert(held[0], &logged, 0).is_ok());
    house.vault.withhold(BTreeMap::from([(NUMBER, vec![Withheld { from: None, until: None }])]));
    assert!(matches!(house.convert(held[0], &logged, 0), Err(Error::Withheld)));
    house.vault.withhold(BTreeMap::from([(NUMBER + 1, vec![Withheld { from: None, until: None }])]));
    assert!(house.convert(held[0], &logged, 0).is_ok(), "another mandate is suspended");
}

#[test]
fn an_abandoned_generation_and_a_dissolved_sector_convert_to_nothing() {
    let mut house = House::new(None, PseudonymMode::Single);
    let held = house.subjects(LIBRARY);
    let logged = house.logged(0, |_| {});
    house.keyrings[0].next_generation(LIBRARY).unwrap();
    assert!(matches!(house.convert(held[0], &logged, 0), Err(Error::OtherResident)));
    let fresh = house.subjects(LIBRARY)[0];
    let before = house.convert(fresh, &logged, 0).unwrap();
    house.keyrings[0].next_generation(PARKS).unwrap();
    assert!(house.convert(fresh, &logged, 0).unwrap() != before, "her present one");
    for sector in [PARKS, LIBRARY] {
        house.vault.dissolve_sector(sector, house.rng.as_ref()).unwrap();
        let gone = house.vault.convert(&house.way(), &[fresh], &[(&logged, &house.keyrings[0])]);
        assert!(matches!(gone, Err(Error::NoKey { noun: "sector" })));
    }
    // Erased in between: the keyring is there, its key is not.
    let house = House::new(None, PseudonymMode::Single);
    let (held, logged) = (house.subjects(LIBRARY), house.logged(1, |_| {}));
    house.vault.erase_resident(house.keyrings[1].resident(), house.rng.as_ref()).unwrap();
    assert!(matches!(house.convert(held[1], &logged, 1), Err(Error::NoKey { noun: "resident" })));
}

#[test]
fn a_sector_nobody_declared_has_no_pseudonyms() {
    let house = House::new(None, PseudonymMode::Single);
    assert!(matches!(house.vault.subject(99, &house.keyrings[0]), Err(Error::NoKey { noun: "sector" })));
    // Two keepers are asked for and there is one: no pseudonym is made with the one.
    let refused = house.vault.create_sector_key(6, PseudonymMode::TwoKeeper, house.rng.as_ref());
    assert!(matches!(refused, Err(Error::NoSecondHand)));
    assert!(house.vault.sector_commitment(6).unwrap().is_none());
    house.vault.create_sector_key(PARKS, PseudonymMode::TwoKeeper, house.rng.as_ref()).unwrap();
    assert!(matches!(house.vault.subject(PARKS, &house.keyrings[0]), Err(Error::NoSecondHand)));
}

#[test]
fn callers_do_not_see_how_many_keepers_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let hand = keys(folder.path(), 2);
    let house = House::new(Some(hand.clone()), PseudonymMode::TwoKeeper);
    let subjects = house.subjects(PARKS);
    for (subject, keyring) in subjects.iter().zip(&house.keyrings) {
        assert!(house.vault.subject(PARKS, keyring).unwrap() == *subject);
        let single = house.vault.subject(LIBRARY, keyring).unwrap();
        let (index, generation) = house.vault.resolve(PARKS, subject).unwrap();
        assert_eq!((index, generation), house.vault.resolve(LIBRARY, &single).unwrap(), "the same seed behind both");
    }
    let (held, logged) = (house.subjects(LIBRARY), house.logged(0, |_| {}));
    assert!(house.convert(held[0], &logged, 0).unwrap() == subjects[0]);
}

#[test]
fn neither_keeper_gets_anywhere_alone() {
    let folder = tempfile::tempdir().unwrap();
    let hand = keys(folder.path(), 2);
    let house = House::new(Some(hand.clone()), PseudonymMode::TwoKeeper);
    let subject = house.subjects(PARKS)[0];
    // The keeper gets from a pseudonym to the block between, which is no pseudonym of any sector and no seed.
    let mut between = [*subject.bytes()];
    hand.reverse(PARKS, &mut between).unwrap();
    let index = house.vault.resolve(PARKS, &subject).unwrap().0;
    for sector in [LIBRARY, PARKS] {
        assert_ne!(house.vault.resolve(sector, &Subject::from_bytes(between[0])).unwrap().0, index);
    }
    // The house with its own key alone makes that block and not the pseudonym.
    house.vault.create_sector_key(PARKS, PseudonymMode::Single, house.rng.as_ref()).unwrap();
    let alone = house.vault.subject(PARKS, &house.keyrings[0]).unwrap();
    assert!(alone != subject && *alone.bytes() == between[0]);
    assert_ne!(house.vault.resolve(PARKS, &subject).unwrap().0, index);
}

#[test]
fn either_keeper_ends_a_sector() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(Some(keys(folder.path(), 2)), PseudonymMode::TwoKeeper);
    let subject = house.subjects(PARKS)[0];
    let index = house.vault.resolve(PARKS, &subject).unwrap().0;
    house.vault.dissolve_sector(PARKS, house.rng.as_ref()).unwrap();
    assert!(matches!(house.vault.resolve(PARKS, &subject), Err(Error::NoKey { .. })));

    let folder = tempfile::tempdir().unwrap();
    let house = House::new(Some(keys(folder.path(), 2)), PseudonymMode::TwoKeeper);
    let subject = house.subjects(PARKS)[0];
    house.vault.dissolve_second(PARKS).unwrap();
    house.vault.dissolve_second(PARKS).unwrap();
    assert!(matches!(house.vault.resolve(PARKS, &subject), Err(Error::Keeper { .. })), "the sector has not ended for the house");
    assert!(matches!(house.vault.subject(PARKS, &house.keyrings[0]), Err(Error::Keeper { .. })));
    // Declared again, it stays ended: the house's key is there, so no new second key is asked for.
    house.vault.create_sector_key(PARKS, PseudonymMode::TwoKeeper, house.rng.as_ref()).unwrap();
    assert!(matches!(house.vault.resolve(PARKS, &subject), Err(Error::Keeper { .. })));
    // And with a new house key the keeper makes none where it destroyed one.
    house.vault.dissolve_sector(PARKS, house.rng.as_ref()).unwrap();
    let refused = house.vault.create_sector_key(PARKS, PseudonymMode::TwoKeeper, house.rng.as_ref());
    assert!(matches!(refused, Err(Error::NoKey { .. })));
    assert_ne!(index, [0; 32]);
}

#[test]
fn a_keeper_that_lost_its_keys_is_noticed() {
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let house = House::new(Some(keys(folder.path(), 2)), PseudonymMode::TwoKeeper);
    let House { vault, keyrings, rng, .. } = house;
    let vault = vault.with_second_hand(keys(empty.path(), 3));
    vault.create_sector_key(PARKS, PseudonymMode::TwoKeeper, rng.as_ref()).unwrap();
    assert!(matches!(vault.subject(PARKS, &keyrings[0]), Err(Error::Keeper { .. })), "no other pseudonym");
}

/// A second keeper that may be away, and that may be given the keys of others.
struct Changing(Mutex<Option<Arc<SectorKeys>>>);

impl Changing {
    fn to(&self, keys: Option<Arc<SectorKeys>>) {
        *self.0.lock().unwrap() = keys;
    }

    fn with(&self, work: impl FnOnce(&SectorKeys) -> Result<(), Error>) -> Result<(), Error> {
        let keys = self.0.lock().unwrap().clone();
        keys.map_or_else(|| Err(Error::Keeper { name: "parks".into(), why: "it is away".into() }), |keys| work(&keys))
    }
}

impl SecondHand for Changing {
    fn create(&self, sector: u64) -> Result<(), Error> {
        self.with(|keys| keys.create(sector))
    }

    fn permute(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<(), Error> {
        self.with(|keys| keys.permute(sector, blocks))
    }

    fn reverse(&self, sector: u64, blocks: &mut [[u8; 16]]) -> Result<(), Error> {
        self.with(|keys| keys.reverse(sector, blocks))
    }

    fn destroy(&self, sector: u64) -> Result<(), Error> {
        self.with(|keys| keys.destroy(sector))
    }
}

#[test]
fn a_keeper_that_answers_with_another_key_is_not_believed() {
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (own, other) = (keys(folder.path(), 2), keys(others.path(), 3));
    let hand = Arc::new(Changing(Mutex::new(Some(own.clone()))));
    let house = House::new(Some(hand.clone()), PseudonymMode::TwoKeeper);
    let (subjects, held, logged) = (house.subjects(PARKS), house.subjects(LIBRARY), house.logged(0, |_| {}));
    assert!(house.vault.stands(PARKS).is_ok() && house.vault.stands(LIBRARY).is_ok());
    // The keeper of another city, which has a key of a sector of the same number.
    other.create(PARKS).unwrap();
    hand.to(Some(other));
    let refused = |outcome: Result<(), Error>| {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Keeper { why, .. } if why.contains("another key")), "{error}");
    };
    refused(house.vault.stands(PARKS));
    refused(house.vault.subject(PARKS, &house.keyrings[0]).map(drop));
    refused(house.vault.subjects(PARKS, &Seeds::of(&house.keyrings.iter().collect::<Vec<_>>())).map(drop));
    refused(house.vault.resolve(PARKS, &subjects[0]).map(drop));
    refused(
        house
            .vault
            .convert(&house.way(), &held, &house.keyrings.iter().map(|keyring| (&logged, keyring)).collect::<Vec<_>>())
            .map(drop),
    );
    hand.to(None);
    assert!(matches!(house.vault.stands(PARKS), Err(Error::Keeper { .. })) && house.vault.stands(LIBRARY).is_ok());
    hand.to(Some(own));
    assert!(house.subjects(PARKS) == subjects && house.convert(held[0], &logged, 0).unwrap() == subjects[0]);
}

#[test]
fn nobody_is_known_before_the_second_key_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let own = keys(folder.path(), 2);
    let hand = Arc::new(Changing(Mutex::new(None)));
    let house = House::new(Some(hand.clone()), PseudonymMode::Single);
    own.create(PARKS).unwrap();
    let declare = || house.vault.create_sector_key(PARKS, PseudonymMode::TwoKeeper, house.rng.as_ref()).unwrap();
    let is_made = || house.vault.is_sector_made(PARKS, PseudonymMode::TwoKeeper).unwrap();
    declare();
    hand.to(Some(own.clone()));
    assert!(!is_made());
    assert!(matches!(house.vault.subject(PARKS, &house.keyrings[0]), Err(Error::Keeper { .. })));
    declare();
    assert!(is_made());
    let before = house.vault.state().count;
    let subject = house.vault.subject(PARKS, &house.keyrings[0]).unwrap();
    declare();
    assert!(house.vault.subject(PARKS, &house.keyrings[0]).unwrap() == subject);
    house.vault.dissolve_sector(PARKS, house.rng.as_ref()).unwrap();
    assert_eq!(house.vault.state().count, before - 2, "what was noted goes with the key");
}

#[test]
fn sector_keys_outlive_a_restart_and_not_their_destruction() {
    let folder = tempfile::tempdir().unwrap();
    let permuted = |keys: &SectorKeys, sector| {
        let mut blocks = [[7; 16], [8; 16]];
        keys.permute(sector, &mut blocks).map(|()| blocks)
    };
    let hand = keys(folder.path(), 2);
    hand.create(1).unwrap();
    hand.create(2).unwrap();
    let before = permuted(&hand, 1).unwrap();
    assert_ne!(before, permuted(&hand, 2).unwrap());
    hand.create(1).unwrap();
    assert_eq!(permuted(&hand, 1).unwrap(), before, "made once");
    assert!(matches!(SectorKeys::open(folder.path(), Disk::Any, seeded(2)), Err(Error::Locked)));
    drop(hand);
    let file = folder.path().join("sector-1");
    let stored = std::fs::read(&file).unwrap();
    let hand = keys(folder.path(), 3);
    assert_eq!(permuted(&hand, 1).unwrap(), before);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let place = inode(&file);
    hand.destroy(1).unwrap();
    assert_eq!((std::fs::read(&file).unwrap(), inode(&file)), (vec![0; 512], place), "overwritten where it stood");
    assert!(permuted(&hand, 1).is_err() && permuted(&hand, 2).is_ok());
    drop(hand);
    let hand = keys(folder.path(), 4);
    assert!(matches!(hand.create(1), Err(Error::NoKey { .. })), "what ended stays ended");
    drop(hand);
    // A destruction that a crash tore is finished; a file cut short is looked at by people.
    let mut torn = stored.clone();
    torn[..20].fill(0);
    std::fs::write(&file, &torn).unwrap();
    drop(keys(folder.path(), 5));
    assert_eq!(std::fs::read(&file).unwrap(), vec![0; 512]);
    std::fs::write(&file, &stored[..100]).unwrap();
    assert!(matches!(SectorKeys::open(folder.path(), Disk::Any, seeded(2)), Err(Error::Damaged { .. })));
    // The file of one sector under the name of another.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(folder.path().join("sector-9"), &stored).unwrap();
    assert!(permuted(&keys(folder.path(), 6), 9).is_err());
}

/// A wire that carries every call to `serve`.
struct Loop(Arc<SectorKeys>, &'static str);

impl Call for Loop {
    fn call(&self, request: &[u8]) -> Result<Vec<u8>, Error> {
        serve(self.0.as_ref(), self.1, request)
    }
}

#[test]
fn a_second_keeper_at_the_end_of_a_wire_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let near = keys(folder.path(), 2);
    let remote = Remote::new("city.test/log", Loop(near.clone(), "city.test/log")).unwrap();
    remote.create(4).unwrap();
    let mut blocks: Vec<[u8; 16]> = (0..25_000_u128).map(u128::to_be_bytes).collect();
    let plain = blocks.clone();
    remote.permute(4, &mut blocks).unwrap();
    let mut local = plain.clone();
    near.permute(4, &mut local).unwrap();
    assert!(blocks == local && blocks != plain, "more than one request holds");
    remote.reverse(4, &mut blocks).unwrap();
    assert!(blocks == plain);
    remote.destroy(4).unwrap();
    assert!(remote.permute(4, &mut blocks).is_err());
    let stranger = Remote::new("village.test/log", Loop(near, "city.test/log")).unwrap();
    assert!(matches!(stranger.create(5), Err(Error::Keeper { .. })));
    assert!(Remote::new(&"x".repeat(256), Loop(keys(tempfile::tempdir().unwrap().path(), 1), "x")).is_err());
}

/// A wire that answers what it likes.
struct Liar(Vec<u8>);

impl Call for Liar {
    fn call(&self, _request: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.clone())
    }
}

#[test]
fn an_answer_of_another_length_is_refused() {
    for len in [0, 15, 17, 32] {
        let remote = Remote::new("city", Liar(vec![0; len])).unwrap();
        let mut blocks = [[1; 16]];
        assert!(matches!(remote.permute(1, &mut blocks), Err(Error::Keeper { .. })));
        assert_eq!(blocks, [[1; 16]]);
    }
}

proptest! {
    #[test]
    fn garbage_on_the_wire_changes_nothing(request in prop::collection::vec(any::<u8>(), 0..80)) {
        let folder = tempfile::tempdir().unwrap();
        let hand = keys(folder.path(), 2);
        let _ = serve(hand.as_ref(), "city", &request);
        let named = [&[1, 4][..], b"city", &request].concat();
        prop_assert_eq!(serve(hand.as_ref(), "city", &named).is_ok(), request.len() == 8);
    }
}
