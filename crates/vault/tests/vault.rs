//! The promises of the vault, through its public face and with its keys on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use usufruct_core::event::{Event, Form, Kind, tag};
use usufruct_core::hash::sha256;
use usufruct_core::id::{AgencyId, BlockId};
use usufruct_core::logged::{Logged, Recorder, pair};
use usufruct_core::ports::Rng;
use usufruct_core::service::PseudonymMode;
use usufruct_core::{Digest, Time};
use usufruct_vault::keytree::{PageFile, PageTree};
use usufruct_vault::roots::{Disk, FileRoots};
use usufruct_vault::{Again, Epoch, Error, KeyTree, Keyring, Seeds, SlotClass, Vault, Withheld};

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

fn seeded(seed: u64) -> Seeded {
    Seeded(seed, AtomicU64::new(0))
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("usufruct-vault-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn copy_of(other: &Path) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(other).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn block() -> BlockId {
    "blk_name".parse().unwrap()
}

fn mandate_hash(mandate: u64) -> Digest {
    sha256(&mandate.to_be_bytes())
}

fn event(mandate: u64, n: u64) -> Event {
    Event {
        kind: Kind::Use,
        n,
        prev: None,
        at: Time::default(),
        anchor: None,
        mandate: Some(mandate_hash(mandate)),
        service: None,
        blocks: vec![("blk_address".parse().unwrap(), Form::Predicate), (block(), Form::Value)],
        reason: "loan".into(),
        actor: None,
        batch: None,
        clause: None,
        detail: None,
        until: None,
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}

fn logged(recorder: &Recorder, keyring: &Keyring, event: Event) -> Logged {
    let tag = keyring.tag(event.n);
    recorder.record(event, [9; 32], tag, 4)
}

/// Residents 1 to 3, mandates 7 and 8, and what each resident lends under each.
struct House {
    vault: Vault,
    recorder: Recorder,
    rng: Seeded,
    rows: Rows,
}

/// What the caller stores.
#[derive(Clone, Default)]
struct Rows {
    keyrings: Vec<Vec<u8>>,
    lent: Vec<(u64, u64, Vec<u8>)>,
}

const RESIDENTS: [u64; 3] = [1, 2, 3];
const MANDATES: [u64; 2] = [7, 8];

impl House {
    fn new(tree: Box<dyn usufruct_vault::KeyTree>, seed: u64) -> Self {
        let rng = seeded(seed);
        let (recorder, gate) = pair(&rng);
        let vault = Vault::new(tree, gate, &rng).unwrap();
        vault.withhold(BTreeMap::new());
        let mut house = Self { vault, recorder, rng, rows: Rows::default() };
        let enrolled = house.vault.enrol_many(RESIDENTS.len(), &house.rng).unwrap();
        for mandate in MANDATES {
            house.vault.create_mandate_key(mandate, &house.rng).unwrap();
        }
        for enrolled in enrolled {
            let resident = enrolled.resident;
            let mut keyring = house.vault.keyring(resident, &[&enrolled.keyring]).unwrap();
            for mandate in MANDATES {
                keyring.lend(mandate, &house.rng).unwrap();
                let plain = plain(resident, mandate);
                let sealed = house.vault.lend_block(&keyring, resident, mandate, &block(), &plain, &house.rng).unwrap();
                house.rows.lent.push((resident, mandate, sealed));
            }
            house.rows.keyrings.push(house.vault.seal_keyring(&keyring, &house.rng).unwrap());
        }
        house
    }

    fn keyring(&self, resident: u64) -> Result<Keyring, Error> {
        self.vault.keyring(resident, &[&self.rows.keyrings[resident as usize - 1]])
    }

    fn withdraw(&mut self, resident: u64, mandate: u64) -> Result<usize, Error> {
        let staged = self.vault.withdraw(self.keyring(resident)?, &[mandate], &self.rng)?;
        let (ended, sealed) = (staged.ended(), staged.sealed().to_vec());
        self.vault.commit(staged, &self.rng)?;
        self.rows.keyrings[resident as usize - 1] = sealed;
        Ok(ended)
    }

    /// The residents and mandates for which `rows` can be opened.
    fn open_all(&self, rows: &Rows) -> Vec<(u64, u64)> {
        let opens = |(resident, mandate, sealed): &(u64, u64, Vec<u8>)| {
            let keyring = self.vault.keyring(*resident, &[&rows.keyrings[*resident as usize - 1]]).ok()?;
            let logged = logged(&self.recorder, &keyring, event(*mandate, 5));
            let opened =
                self.vault.open(&logged, &keyring, *resident, *mandate, mandate_hash(*mandate), &block(), sealed).ok()?;
            assert_eq!(*opened, plain(*resident, *mandate));
            Some((*resident, *mandate))
        };
        rows.lent.iter().filter_map(opens).collect()
    }
}

fn plain(resident: u64, mandate: u64) -> Vec<u8> {
    format!("data of {resident} under {mandate}").into_bytes()
}

fn memory_house(seed: u64) -> House {
    House::new(Box::new(PageTree::in_memory(&seeded(seed + 1)).unwrap()), seed)
}

fn everything() -> Vec<(u64, u64)> {
    RESIDENTS.iter().flat_map(|resident| MANDATES.map(|mandate| (*resident, mandate))).collect()
}

#[test]
fn a_block_opens_for_its_own_logged_use_only() {
    let house = memory_house(1);
    let (_, _, sealed) = &house.rows.lent[0];
    let keyring = house.keyring(1).unwrap();
    let open = |event: Event| {
        let logged = logged(&house.recorder, &keyring, event);
        house.vault.open(&logged, &keyring, 1, 7, mandate_hash(7), &block(), sealed)
    };
    assert_eq!(*open(event(7, 0)).unwrap(), plain(1, 7));
    for kind in [Kind::Refusal, Kind::Consent, Kind::SignIn, Kind::Status] {
        assert!(matches!(open(Event { kind, ..event(7, 0) }), Err(Error::NotUse)));
    }
    assert!(matches!(open(event(8, 0)), Err(Error::OtherMandate)));
    assert!(matches!(open(Event { mandate: None, ..event(7, 0) }), Err(Error::OtherMandate)));
    let other = vec![("blk_address".parse().unwrap(), Form::Value)];
    assert!(matches!(open(Event { blocks: other, ..event(7, 0) }), Err(Error::OtherBlock)));

    let call = |logged: &Logged, keyring: &Keyring, resident, mandate, hash, sealed: &[u8]| {
        house.vault.open(logged, keyring, resident, mandate, hash, &block(), sealed)
    };
    let right = logged(&house.recorder, &keyring, event(7, 0));
    let (stranger, _) = pair(&house.rng);
    let forged = logged(&stranger, &keyring, event(7, 0));
    assert!(matches!(call(&forged, &keyring, 1, 7, mandate_hash(7), sealed), Err(Error::NotLogged(_))));
    let hers = house.keyring(2).unwrap();
    assert!(matches!(call(&right, &hers, 2, 7, mandate_hash(7), sealed), Err(Error::OtherResident)));
    assert!(matches!(call(&right, &keyring, 2, 7, mandate_hash(7), sealed), Err(Error::OtherResident)));
    let wrong_n = house.recorder.record(event(7, 0), [9; 32], keyring.tag(1), 4);
    assert!(matches!(call(&wrong_n, &keyring, 1, 7, mandate_hash(7), sealed), Err(Error::OtherResident)));
    assert!(matches!(call(&right, &keyring, 1, 99, mandate_hash(7), sealed), Err(Error::NoLoan)));
    assert!(matches!(call(&right, &keyring, 1, 8, mandate_hash(7), sealed), Err(Error::Unreadable)));
    assert!(matches!(call(&right, &keyring, 1, 7, mandate_hash(7), &sealed[1..]), Err(Error::Unreadable)));
    assert!(matches!(call(&right, &keyring, 1, 7, mandate_hash(7), &[]), Err(Error::Unreadable)));
    assert_eq!(tag(keyring.tag_key(), 3), keyring.tag(3));
}

#[test]
fn a_withdrawal_ends_one_loan_and_no_other() {
    let mut house = memory_house(2);
    let before = house.rows.clone();
    assert_eq!(house.open_all(&before), everything());
    assert_eq!(house.withdraw(1, 7).unwrap(), 1);
    assert_eq!(house.open_all(&house.rows), &everything()[1..]);
    // With yesterday's keyring not even resident 1's other loan opens; the others' do.
    assert_eq!(house.open_all(&before), &everything()[2..]);
    assert_eq!(house.withdraw(1, 7).unwrap(), 0);
    assert_eq!(house.open_all(&house.rows), &everything()[1..]);
}

#[test]
fn lending_again_opens_nothing_lent_before() {
    let mut house = memory_house(3);
    house.withdraw(1, 7).unwrap();
    let mut keyring = house.keyring(1).unwrap();
    assert_eq!(keyring.lend(7, &house.rng).unwrap(), 2);
    house.rows.keyrings[0] = house.vault.seal_keyring(&keyring, &house.rng).unwrap();
    assert_eq!(house.open_all(&house.rows), &everything()[1..]);
    house.rows.lent[0].2 = house.vault.lend_block(&keyring, 1, 7, &block(), &plain(1, 7), &house.rng).unwrap();
    assert_eq!(house.open_all(&house.rows), everything());
}

#[test]
fn sunset_and_erasure_take_one_parent_each() {
    let house = memory_house(4);
    let commitment = house.vault.create_mandate_key(7, &house.rng).unwrap();
    let erased = house.vault.sunset(7, &[], &house.rng).unwrap();
    assert_eq!((erased.before.epoch, erased.after.epoch, erased.handles), (Epoch(0), Epoch(1), vec![commitment]));
    assert_eq!(erased.before.count, erased.after.count + 1);
    assert_eq!(house.open_all(&house.rows), [(1, 8), (2, 8), (3, 8)]);
    assert_ne!(house.vault.create_mandate_key(7, &house.rng).unwrap(), commitment);
    assert_eq!(house.open_all(&house.rows), [(1, 8), (2, 8), (3, 8)]);
    house.vault.erase_resident(2, &house.rng).unwrap();
    assert_eq!(house.open_all(&house.rows), [(1, 8), (3, 8)]);
    assert!(matches!(house.keyring(2), Err(Error::NoKey { noun: "resident" })));
    // A job that runs again after a crash gets new roots to print and finds nothing more to destroy.
    let again = house.vault.erase_resident(2, &house.rng).unwrap();
    assert_eq!((again.before.epoch, again.after.epoch, again.handles), (Epoch(2), Epoch(3), vec![]));
    assert_eq!((house.vault.state().epoch, house.vault.class()), (Epoch(3), SlotClass::E0));
}

#[test]
fn traces_of_a_synthetic_resident_are_given_out_once_and_when_her_keys_are_gone() {
    let house = memory_house(5);
    let canary = house.vault.enrol_canary(&house.rng).unwrap();
    let mut keyring = house.vault.keyring(canary.resident, &[&canary.keyring]).unwrap();
    keyring.lend(7, &house.rng).unwrap();
    house.vault.note_canary(&keyring).unwrap();
    assert!(house.vault.is_canary(canary.resident));
    // Nothing of one who lives, and never anything of a person.
    assert!(house.vault.take_traces(canary.resident).is_none());
    assert!(house.vault.note_canary(&house.keyring(1).unwrap()).is_err());
    house.vault.erase_resident(1, &house.rng).unwrap();
    assert!(house.vault.take_traces(1).is_none() && house.vault.take_traces(canary.resident).is_none());
    house.vault.erase_resident(canary.resident, &house.rng).unwrap();
    // Three keys of her own, that of the loan, her key, and the root under which it was.
    let traces = house.vault.take_traces(canary.resident).unwrap();
    let different: std::collections::BTreeSet<_> = traces.iter().map(|trace| *trace.bytes()).collect();
    assert_eq!((traces.len(), different.len()), (6, 6));
    assert!(house.vault.take_traces(canary.resident).is_none() && !house.vault.is_canary(canary.resident));
}

#[test]
fn whoever_watches_hears_of_every_epoch_in_which_keys_go() {
    use std::sync::{Arc, Mutex};
    let (rng, heard) = (seeded(6), Arc::new(Mutex::new(Vec::new())));
    let (_, gate) = pair(&rng);
    let listener = Arc::clone(&heard);
    let tree = Box::new(PageTree::in_memory(&rng).unwrap());
    let vault = Vault::new(tree, gate, &rng).unwrap().with_watch(move |epoch| listener.lock().unwrap().push(epoch));
    let resident = vault.enrol(&rng).unwrap().resident;
    assert!(heard.lock().unwrap().is_empty(), "nothing was destroyed");
    vault.erase_resident(resident, &rng).unwrap();
    vault.rotate_root(&rng).unwrap();
    assert_eq!(*heard.lock().unwrap(), [Epoch(1), Epoch(2)]);
}

/// The restore drill (erasure.md 1.5 d): everything as it was before, opened with today's root.
#[test]
fn a_backup_opens_nothing_that_ended_since() {
    let folder = Folder::new();
    let mut house = House::new(tree_in(&folder.0), 5);
    let (backup, rows) = (Folder::copy_of(&folder.0), house.rows.clone());
    house.withdraw(1, 7).unwrap();
    house.vault.sunset(8, &[], &house.rng).unwrap();
    house.vault.erase_resident(3, &house.rng).unwrap();

    // Old rows with today's keys.
    assert_eq!(house.open_all(&rows), [(2, 7)]);
    assert_eq!(house.open_all(&house.rows), [(2, 7)]);
    drop(house);

    // Old pages with today's root, and today's with the old one.
    for (root, pages) in [(&folder, &backup), (&backup, &folder)] {
        let restored = Folder::new();
        fs::copy(root.0.join("root"), restored.0.join("root")).unwrap();
        fs::copy(pages.0.join("pages"), restored.0.join("pages")).unwrap();
        let roots = FileRoots::open(&restored.0, Disk::Any).unwrap();
        assert!(matches!(PageTree::open(PageFile::open(&restored.0).unwrap(), roots), Err(Error::Damaged { .. })));
    }
    // Beside today's pages they change nothing and are cleared away.
    let both = Folder::copy_of(&folder.0);
    let old = fs::read(backup.0.join("pages")).unwrap();
    let today = fs::read(folder.0.join("pages")).unwrap();
    fs::write(both.0.join("pages"), [&today[..], &old].concat()).unwrap();
    assert_eq!(rows_that_open(&both, &rows), [(2, 7)]);
    // The root is the whole secret: with the old one everything would open.
    assert_eq!(rows_that_open(&backup, &rows), everything());
}

/// The key tree in a folder, made if it is not there.
fn tree_in(folder: &Path) -> Box<dyn KeyTree> {
    let rng = seeded(6);
    let pages = PageFile::open(folder).unwrap();
    if folder.join("root").exists() {
        return Box::new(PageTree::open(pages, FileRoots::open(folder, Disk::Any).unwrap()).unwrap());
    }
    let roots = FileRoots::create(folder, &PageTree::<PageFile, FileRoots>::first_root(&rng), Disk::Any).unwrap();
    Box::new(PageTree::create(pages, roots, &rng).unwrap())
}

fn rows_that_open(folder: &Folder, rows: &Rows) -> Vec<(u64, u64)> {
    let rng = seeded(7);
    let (recorder, gate) = pair(&rng);
    let vault = Vault::new(tree_in(&folder.0), gate, &rng).unwrap();
    vault.withhold(BTreeMap::new());
    House { vault, recorder, rng, rows: Rows::default() }.open_all(rows)
}

/// Whoever asks, and whatever the register says elsewhere: a use that is in the log opens nothing of a mandate that is suspended.
#[test]
fn the_key_of_a_suspended_mandate_is_withheld() {
    let house = memory_house(1);
    let keyring = house.keyring(1).unwrap();
    let month = 72;
    house.vault.create_month_key(7, month, &house.rng).unwrap();
    let library: AgencyId = "agc_library".parse().unwrap();
    let deposit = house.vault.seal_deposit(&keyring, 7, month, &block(), &library, b"a loan", &house.rng).unwrap();
    let at = |seconds: i64| Time::from_micros(seconds * 1_000_000);
    let open = |mandate: u64, at: Time| {
        let logged = logged(&house.recorder, &keyring, Event { at, ..event(mandate, 0) });
        let sealed = &house.rows.lent.iter().find(|(resident, of, _)| (*resident, *of) == (1, mandate)).unwrap().2;
        house.vault.open(&logged, &keyring, 1, mandate, mandate_hash(mandate), &block(), sealed).map(|plain| plain.to_vec())
    };
    let open_deposit = |at: Time| {
        let logged = logged(&house.recorder, &keyring, Event { at, ..event(7, 0) });
        house
            .vault
            .open_deposit(&logged, &keyring, 7, month, mandate_hash(7), &block(), Some(&library), &deposit)
            .map(|plain| plain.to_vec())
    };
    assert_eq!((open(7, at(5)).unwrap(), open_deposit(at(5)).unwrap()), (plain(1, 7), b"a loan".to_vec()));

    house.vault.withhold(BTreeMap::from([(7, vec![Withheld { from: None, until: None }])]));
    for time in [at(0), at(5), at(1_000_000_000)] {
        assert!(matches!(open(7, time), Err(Error::Withheld)), "whatever time the use names");
        assert!(matches!(open_deposit(time), Err(Error::Withheld)));
    }
    assert_eq!(open(8, at(5)).unwrap(), plain(1, 8), "another mandate goes on");
    // What is hers she reads, what is corrected is sealed again, and nothing is lost by it.
    assert!(house.vault.open_own_deposit(&keyring, 7, month, &block(), Some(&library), &deposit).is_ok());
    assert!(house.vault.lend_block(&keyring, 1, 7, &block(), b"new", &house.rng).is_ok());

    // An order of a later day, and a lift of a day after that.
    house.vault.withhold(BTreeMap::from([(7, vec![Withheld { from: Some(at(10)), until: Some(at(20)) }])]));
    assert!(open(7, at(9)).is_ok() && open(7, at(20)).is_ok());
    assert!(matches!(open(7, at(10)), Err(Error::Withheld)) && matches!(open(7, at(19)), Err(Error::Withheld)));
    house.vault.withhold(BTreeMap::new());
    assert_eq!(open(7, at(15)).unwrap(), plain(1, 7));
}

/// After a start nobody knows yet what is suspended.
#[test]
fn a_vault_that_was_told_nothing_opens_nothing() {
    let folder = Folder::new();
    let rows = House::new(tree_in(&folder.0), 3).rows;
    let rng = seeded(7);
    let (recorder, gate) = pair(&rng);
    let house = House { vault: Vault::new(tree_in(&folder.0), gate, &rng).unwrap(), recorder, rng, rows: Rows::default() };
    assert_eq!(house.open_all(&rows), []);
    house.vault.withhold(BTreeMap::new());
    assert_eq!(house.open_all(&rows).len(), rows.lent.len());
}

/// The crash story of a withdrawal: both keyrings are stored, and one of them opens whenever the crash comes.
#[test]
fn a_withdrawal_is_whole_or_nothing() {
    let house = memory_house(8);
    let old = house.rows.keyrings[0].clone();
    let staged = house.vault.withdraw(house.keyring(1).unwrap(), &[7], &house.rng).unwrap();
    let new = staged.sealed().to_vec();
    let candidates = [&new[..], &old[..]];
    assert!(house.vault.keyring(1, &candidates).unwrap().lends(7));
    house.vault.commit(staged, &house.rng).unwrap();
    let keyring = house.vault.keyring(1, &candidates).unwrap();
    assert!(!keyring.lends(7) && keyring.lends(8));
    assert_eq!(keyring.mandates().collect::<Vec<_>>(), [8]);
    // The job that crashed here runs again: no loan ends, and there are two roots for the certificate.
    let again = house.vault.withdraw(keyring, &[7], &house.rng).unwrap();
    assert_eq!((again.resident(), again.ended()), (1, 0));
    assert!(matches!(house.vault.keyring(1, std::slice::from_ref(&old)), Err(Error::Unreadable)));
    assert!(matches!(house.vault.keyring(1, &[&[][..]; 0]), Err(Error::Unreadable)));
}

#[test]
fn nothing_undoes_a_withdrawal_that_came_in_between() {
    let house = memory_house(9);
    let withdraw = |mandate| house.vault.withdraw(house.keyring(1).unwrap(), &[mandate], &house.rng).unwrap();
    let (first, second, held) = (withdraw(7), withdraw(8), house.keyring(1).unwrap());
    let logged = logged(&house.recorder, &held, event(7, 0));
    house.vault.commit(first, &house.rng).unwrap();
    assert!(matches!(house.vault.commit(second, &house.rng), Err(Error::Stale)));
    assert!(matches!(house.vault.seal_keyring(&held, &house.rng), Err(Error::Stale)));
    assert!(matches!(house.vault.lend_block(&held, 1, 7, &block(), b"x", &house.rng), Err(Error::Stale)));
    let sealed = &house.rows.lent[0].2;
    let opened = house.vault.open(&logged, &held, 1, 7, mandate_hash(7), &block(), sealed);
    assert!(matches!(opened, Err(Error::Stale)), "a keyring loaded before a withdrawal opens nothing after it");
    assert!(matches!(house.vault.withdraw(held, &[8], &house.rng), Err(Error::Stale)));
    assert_eq!(house.vault.state().epoch, Epoch(1));
}

#[test]
fn many_withdrawals_share_an_epoch() {
    let house = memory_house(10);
    let staged: Vec<_> =
        RESIDENTS.iter().map(|r| house.vault.withdraw(house.keyring(*r).unwrap(), &[7, 8, 99], &house.rng).unwrap()).collect();
    let erased = house.vault.commit_many(staged, &house.rng).unwrap();
    assert_eq!((erased.handles.len(), erased.after.epoch), (3, Epoch(1)));
    let twice = House::new(Box::new(PageTree::in_memory(&seeded(1)).unwrap()), 11);
    let staged = [7, 8].map(|m| twice.vault.withdraw(twice.keyring(1).unwrap(), &[m], &twice.rng).unwrap());
    assert!(twice.vault.commit_many(staged.into(), &twice.rng).is_err());
    assert_eq!(twice.open_all(&twice.rows), everything());
}

#[test]
fn pseudonyms_lead_back_to_the_seed_index() {
    let house = memory_house(12);
    let vault = &house.vault;
    let enrolled = vault.enrol(&house.rng).unwrap();
    assert!(!RESIDENTS.contains(&enrolled.resident));
    let mut keyring = vault.keyring(enrolled.resident, &[&enrolled.keyring]).unwrap();
    assert!(matches!(vault.subject(4, &keyring), Err(Error::NoKey { noun: "sector" })));
    let commitment = vault.create_sector_key(4, PseudonymMode::Single, &house.rng).unwrap();
    assert_eq!(vault.create_sector_key(4, PseudonymMode::Single, &house.rng).unwrap(), commitment);
    vault.create_sector_key(5, PseudonymMode::Single, &house.rng).unwrap();
    let subject = vault.subject(4, &keyring).unwrap();
    assert!(subject != vault.subject(5, &keyring).unwrap());
    assert_eq!(vault.resolve(4, &subject).unwrap(), (enrolled.seed_index, 0));
    assert_ne!(vault.resolve(5, &subject).unwrap().0, enrolled.seed_index);
    assert_eq!(keyring.next_generation(4).unwrap(), 1);
    let next = vault.subject(4, &keyring).unwrap();
    assert!(next != subject);
    assert_eq!(vault.resolve(4, &next).unwrap(), (enrolled.seed_index, 1));
    let other = house.keyring(1).unwrap();
    assert_eq!(vault.subjects(4, &Seeds::of(&[&other, &keyring])).unwrap(), [vault.subject(4, &other).unwrap(), next]);
    vault.dissolve_sector(4, &house.rng).unwrap();
    assert!(matches!(vault.resolve(4, &next), Err(Error::NoKey { .. })));
    vault.create_sector_key(4, PseudonymMode::Single, &house.rng).unwrap();
    assert_ne!(vault.resolve(4, &next).unwrap().0, enrolled.seed_index);
    assert_eq!(format!("{subject:?}"), "Subject(…)");
}

#[test]
fn a_message_opens_in_its_row_and_its_sector_only() {
    let house = memory_house(14);
    let vault = &house.vault;
    for sector in [4, 5] {
        vault.create_sector_key(sector, PseudonymMode::Single, &house.rng).unwrap();
    }
    let sealed = vault.seal_message(4, "evt_1", b"she signed out", &house.rng).unwrap();
    assert_eq!(*vault.open_message(4, "evt_1", &sealed).unwrap(), b"she signed out");
    let longer = vault.seal_message(4, "evt_1", &[7; 400], &house.rng).unwrap();
    assert_eq!((sealed.len(), *vault.open_message(4, "evt_1", &longer).unwrap() == [7; 400]), (longer.len(), true));
    for (sector, name) in [(5, "evt_1"), (4, "evt_2")] {
        assert!(matches!(vault.open_message(sector, name, &sealed), Err(Error::Unreadable)), "{sector} {name}");
    }
    for broken in [&sealed[..0], &sealed[..16], &sealed[..sealed.len() - 1]] {
        assert!(matches!(vault.open_message(4, "evt_1", broken), Err(Error::Unreadable)));
    }
    vault.dissolve_sector(4, &house.rng).unwrap();
    assert!(matches!(vault.open_message(4, "evt_1", &sealed), Err(Error::NoKey { .. })));
}

#[test]
fn own_copies_and_lines_outlive_withdrawals_and_end_with_the_resident() {
    let mut house = memory_house(13);
    let keyring = house.keyring(1).unwrap();
    let own = house.vault.seal_own(&keyring, &block(), b"Lin", &house.rng).unwrap();
    let line = keyring.seal_line(3, b"a use", &house.rng);
    house.withdraw(1, 7).unwrap();
    let keyring = house.keyring(1).unwrap();
    assert_eq!(*house.vault.open_own(&keyring, &block(), &own).unwrap(), b"Lin");
    assert_eq!(*keyring.open_line(3, &line).unwrap(), b"a use");
    house.vault.erase_resident(1, &house.rng).unwrap();
    assert!(house.keyring(1).is_err());
}

#[test]
fn errors_have_two_sentences() {
    let errors = [
        Error::Damaged { what: "w" },
        Error::Exhausted { noun: "loan" },
        Error::Exists { noun: "resident" },
        Error::FolderTaken,
        Error::Io { action: "a", source: std::io::Error::other("b") },
        Error::Locked,
        Error::Malformed { what: "w" },
        Error::NoKey { noun: "mandate" },
        Error::NoLoan,
        Error::NotLogged(usufruct_core::logged::NotLogged),
        Error::NotSubject,
        Error::NotUse,
        Error::OtherBlock,
        Error::OtherMandate,
        Error::OtherResident,
        Error::Stale,
        Error::Stopped,
        Error::Unreadable,
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.ends_with('.') && text.matches(". ").count() == 1, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Random endings: what opens is what a model says, with the newest rows, and never more with old ones.
    #[test]
    fn what_ended_stays_ended(acts in prop::collection::vec((0u8..4, 0usize..3, 0usize..2), 1..12), seed in any::<u64>()) {
        let mut house = memory_house(seed);
        let mut model = everything();
        let mut archive = vec![house.rows.clone()];
        for (act, resident, mandate) in acts {
            let (resident, mandate) = (RESIDENTS[resident], MANDATES[mandate]);
            match act {
                0 | 1 => {
                    if house.withdraw(resident, mandate).is_ok() {
                        model.retain(|pair| *pair != (resident, mandate));
                    }
                }
                2 => {
                    house.vault.sunset(mandate, &[], &house.rng).unwrap();
                    model.retain(|pair| pair.1 != mandate);
                }
                _ => {
                    house.vault.erase_resident(resident, &house.rng).unwrap();
                    model.retain(|pair| pair.0 != resident);
                }
            }
            archive.push(house.rows.clone());
            prop_assert_eq!(&house.open_all(&house.rows), &model);
            for rows in &archive {
                prop_assert!(house.open_all(rows).iter().all(|pair| model.contains(pair)));
            }
        }
    }
}

#[test]
fn keys_of_months_end_with_their_months() {
    let house = memory_house(21);
    let keyring = house.keyring(1).unwrap();
    let library: AgencyId = "agc_library".parse().unwrap();
    for month in [70, 71, 72] {
        house.vault.create_month_key(7, month, &house.rng).unwrap();
    }
    let seal = |month| house.vault.seal_deposit(&keyring, 7, month, &block(), &library, b"was here", &house.rng);
    let sealed: Vec<_> = [70, 71, 72].map(|month| seal(month).unwrap()).into();
    assert!(matches!(seal(73), Err(Error::NoKey { .. })));
    let opens = |month: u16| {
        let keyring = house.keyring(1).unwrap();
        let logged = logged(&house.recorder, &keyring, event(7, 5));
        let sealed = &sealed[usize::from(month) - 70];
        house
            .vault
            .open_deposit(&logged, &keyring, 7, month, mandate_hash(7), &block(), Some(&library), sealed)
            .map(|plain| plain.to_vec())
    };
    assert_eq!(opens(71).unwrap(), b"was here");
    // Under another body's name it is nobody's, and under none.
    let parks: AgencyId = "agc_parks".parse().unwrap();
    for name in [Some(&library), Some(&parks), None] {
        let opened = house.vault.open_own_deposit(&keyring, 7, 71, &block(), name, &sealed[1]);
        assert_eq!(opened.is_ok(), name == Some(&library), "{name:?}");
    }
    // A use that names the block in a poorer form tells nothing of what was deposited.
    for form in [Form::Predicate, Form::Token] {
        let poorer = logged(&house.recorder, &keyring, Event { blocks: vec![(block(), form)], ..event(7, 4) });
        let opened = house.vault.open_deposit(&poorer, &keyring, 7, 71, mandate_hash(7), &block(), Some(&library), &sealed[1]);
        assert!(matches!(opened, Err(Error::OtherBlock)));
    }
    let before = house.vault.state().epoch.0;
    let erased = house.vault.end_months(7, &[70, 71, 1_000], &house.rng).unwrap();
    assert_eq!((erased.handles.len(), erased.after.epoch.0), (2, before + 1), "all in one epoch");
    assert!(matches!((opens(70), opens(71)), (Err(Error::NoKey { .. }), Err(Error::NoKey { .. }))));
    assert_eq!(opens(72).unwrap(), b"was here");
    // A withdrawal ends them too, whatever the month.
    let staged = house.vault.withdraw(house.keyring(1).unwrap(), &[7], &house.rng).unwrap();
    let renewed = staged.sealed().to_vec();
    house.vault.commit(staged, &house.rng).unwrap();
    let keyring = house.vault.keyring(1, &[&renewed]).unwrap();
    let logged = logged(&house.recorder, &keyring, event(7, 6));
    let opened = house.vault.open_deposit(&logged, &keyring, 7, 72, mandate_hash(7), &block(), Some(&library), &sealed[2]);
    assert!(matches!(opened, Err(Error::NoLoan)));
}

#[test]
fn keys_are_replaced_in_one_commit_and_what_is_lent_stays_lent() {
    let mut house = memory_house(22);
    let old = house.rows.clone();
    // A mandate: a key beside its own, everything sealed again, then final.
    let first = house.vault.mandate_commitment(7).unwrap().unwrap();
    let next = house.vault.stage_rotation(7, &house.rng).unwrap();
    assert_eq!(house.vault.stage_rotation(7, &house.rng).unwrap(), next, "a second time changes nothing");
    assert_eq!(house.vault.next_mandate_commitment(7).unwrap(), Some(next));
    let lives = |commitment| {
        let (state, proofs) = house.vault.proofs(&[commitment]);
        proofs[0].check(&commitment, &state.root).unwrap()
    };
    assert!(lives(first) && lives(next), "both keys live");
    let again = |rows: &[(u64, u64, Vec<u8>)]| -> Vec<(u64, u64, Vec<u8>)> {
        let seal = |(resident, mandate, sealed): &(u64, u64, Vec<u8>)| {
            let keyring = house.keyring(*resident).unwrap();
            let sealed = match mandate {
                7 => match house.vault.seal_again(&keyring, 7, &block(), sealed, &house.rng).unwrap() {
                    Again::Sealed(again) => again,
                    Again::Already => sealed.clone(),
                    Again::Closed => panic!("a copy that lives is closed"),
                },
                _ => sealed.clone(),
            };
            (*resident, *mandate, sealed)
        };
        rows.iter().map(seal).collect()
    };
    let mut half = old.clone();
    half.lent = [again(&old.lent[..3]), old.lent[3..].to_vec()].concat();
    let mut new = old.clone();
    new.lent = again(&half.lent);
    assert!(half.lent != old.lent && half.lent[..3] == new.lent[..3] && new.lent != half.lent, "what is done is left as it is");
    for rows in [&old, &half, &new] {
        assert_eq!(house.open_all(rows), everything(), "until it is final old and new copies open");
    }
    let fresh = house.vault.lend_block(&house.keyring(1).unwrap(), 1, 7, &block(), &plain(1, 7), &house.rng).unwrap();
    let before = house.vault.state();
    let erased = house.vault.commit_rotation(7, &house.rng).unwrap();
    assert_eq!((&erased.handles[..], erased.after.epoch.0), (&[first][..], before.epoch.0 + 1));
    assert_eq!(erased.after.count, before.count - 1);
    assert!(!lives(first) && lives(next), "the old key is gone, the new one lives");
    let (now, staged) = (house.vault.mandate_commitment(7).unwrap(), house.vault.next_mandate_commitment(7).unwrap());
    assert_eq!((now, staged), (Some(next), None));
    assert!(matches!(house.vault.commit_rotation(7, &house.rng), Err(Error::NoKey { .. })), "nothing is staged");
    assert_eq!(house.open_all(&old), [(1, 8), (2, 8), (3, 8)]);
    assert_eq!(house.open_all(&new), everything());
    new.lent[0].2 = fresh;
    assert_eq!(house.open_all(&new), everything(), "what was sealed meanwhile is sealed for the new key");
    // A mandate that ends meanwhile takes both keys with it.
    house.vault.stage_rotation(8, &house.rng).unwrap();
    assert_eq!(house.vault.sunset(8, &[], &house.rng).unwrap().handles.len(), 2);
    assert!(matches!(house.vault.stage_rotation(8, &house.rng), Err(Error::NoKey { .. })));
    house.rows = new;
    let everything = || everything().into_iter().filter(|(_, mandate)| *mandate != 8).collect::<Vec<_>>();
    assert_eq!(house.open_all(&house.rows), everything());
    // A resident: her old keyring is dead, what she lends is not.
    let staged = house.vault.rotate_resident(house.keyring(2).unwrap(), &house.rng).unwrap();
    let renewed = staged.sealed().to_vec();
    house.vault.commit(staged, &house.rng).unwrap();
    assert!(matches!(house.keyring(2), Err(Error::Unreadable)));
    house.rows.keyrings[1] = renewed;
    assert_eq!(house.open_all(&house.rows), everything());
}
