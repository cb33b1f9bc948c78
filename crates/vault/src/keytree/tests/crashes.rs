//! The process ends at every step that changes the disk, before it, in the middle of it, and after it.

use super::sim::{Sim, Tear};
use super::{Model, check, insert, some_ids};
use crate::error::Error;
use crate::keytree::PageTree;
use crate::keytree::pages::Pages;
use crate::testing::Seeded;
use crate::tree::{Key, KeyId, KeyTree};

type Tree = PageTree<Sim, Sim>;

fn founded(seed: u64, ids: &[KeyId]) -> (Sim, Model) {
    let rng = Seeded::new(seed);
    let sim = Sim::with_root(Tree::first_root(&rng));
    let mut model = Model::new();
    insert(&PageTree::create(sim.clone(), sim.clone(), &rng).unwrap(), &mut model, ids, &rng);
    (sim, model)
}

/// Runs `work` on copies of a disk, ending it at each step in turn, and checks that the tree comes back as it was or as it was
/// to be. Answers how many steps there were.
fn crash_everywhere(sim: &Sim, old: &Model, new: &Model, work: impl Fn(&Tree) -> Result<(), Error>) -> usize {
    let ids = some_ids();
    for end in 1.. {
        for tear in [Tear::Nothing, Tear::Half, Tear::All] {
            let disk = sim.image();
            let tree = PageTree::open(disk.clone(), disk.clone()).unwrap();
            let opened = disk.disk().steps;
            disk.disk().end = Some((opened + end, tear));
            if work(&tree).is_ok() && disk.disk().steps < opened + end {
                return end;
            }
            drop(tree);
            disk.disk().end = None;
            recover(&disk, old, new, &ids, 0);
        }
    }
    unreachable!()
}

/// Opens a disk after a crash, letting the opening crash too.
fn recover(disk: &Sim, old: &Model, new: &Model, ids: &[KeyId], depth: usize) {
    if depth == 0 {
        for end in 1.. {
            let again = disk.image();
            again.disk().end = Some((end, Tear::All));
            let opened = PageTree::open(again.clone(), again.clone()).is_ok();
            if opened && again.disk().steps < end {
                break;
            }
            again.disk().end = None;
            recover(&again, old, new, ids, 1);
        }
    }
    let tree = PageTree::open(disk.clone(), disk.clone()).unwrap();
    assert_eq!(disk.disk().roots.len(), 1, "one root survives the start");
    let is_new = new.iter().all(|(id, key)| tree.get(*id).unwrap().is_some_and(|found| found.bytes() == key))
        && tree.count() == new.len() as u64;
    check(&tree, if is_new { new } else { old }, ids);
    // Nothing is left over.
    let stored = disk.disk().pages.len();
    tree.erase(&[], &[], &Seeded::new(9)).unwrap();
    assert_eq!(disk.disk().pages.len(), stored, "pages nobody needs are removed");
    check(&tree, if is_new { new } else { old }, ids);
}

#[test]
fn an_erasure_is_done_or_not_at_all() {
    let ids = some_ids();
    let (sim, old) = founded(1, &ids);
    let replaced: Vec<KeyId> = ids.iter().copied().filter(|id| matches!(id, KeyId::Resident(1 | 40_000))).collect();
    let gone: Vec<KeyId> = ids
        .iter()
        .copied()
        .filter(|id| matches!(id, KeyId::Resident(2 | 16_130) | KeyId::Mandate(5) | KeyId::Month { mandate: 5, .. }))
        .collect();
    let mut new = old.clone();
    new.retain(|id, _| !gone.contains(id));
    new.extend(replaced.iter().map(|id| (*id, [7; 32])));
    let keys = || replaced.iter().map(|id| (*id, Key::from_bytes([7; 32]))).collect::<Vec<_>>();
    let steps = crash_everywhere(&sim, &old, &new, |tree| tree.erase(&gone, &keys(), &Seeded::new(5)).map(drop));
    assert!(steps > 20, "{steps}");
}

#[test]
fn an_enrolment_is_done_or_not_at_all() {
    let ids = some_ids();
    let (before, after) = ids.split_at(7);
    let (sim, old) = founded(1, before);
    let mut new = old.clone();
    new.extend(after.iter().map(|id| (*id, [7; 32])));
    let keys = || after.iter().map(|id| (*id, Key::from_bytes([7; 32]))).collect::<Vec<_>>();
    let steps = crash_everywhere(&sim, &old, &new, |tree| tree.insert(&keys(), &Seeded::new(5)));
    assert!(steps > 20, "{steps}");
}

/// The process goes on after the root could not be put: the epoch is the old one, and a root that may have arrived goes before
/// anything else is written.
#[test]
fn a_root_that_could_not_be_put_does_not_come_back() {
    let (ids, rng) = (some_ids(), Seeded::new(5));
    let (sim, mut model) = founded(1, &ids[..7]);
    let tree = PageTree::open(sim.clone(), sim.clone()).unwrap();
    let gone = [ids[0]];
    // Finds the step at which the root is put: the one after the pages.
    let put = (1..).find(|end| {
        let disk = sim.image();
        let tree = PageTree::open(disk.clone(), disk.clone()).unwrap();
        let opened = disk.disk().steps;
        disk.disk().end = Some((opened + end, Tear::All));
        let _ = tree.erase(&gone, &[], &rng);
        disk.disk().roots.len() == 2
    });
    let steps = sim.disk().steps;
    sim.disk().end = Some((steps + put.unwrap(), Tear::All));
    assert!(tree.erase(&gone, &[], &rng).is_err());
    assert_eq!(sim.disk().roots.len(), 2, "it did arrive");
    assert!(tree.insert(&[(ids[8], Key::from_bytes([7; 32]))], &rng).is_err(), "nothing is written while it is there");
    assert!(tree.get(gone[0]).unwrap().is_some(), "readers go on");
    sim.disk().end = None;
    insert(&tree, &mut model, &[ids[8]], &rng);
    assert_eq!(sim.disk().roots.len(), 1);
    check(&PageTree::open(sim.image(), sim.image()).unwrap_or_else(|error| panic!("{error}")), &model, &ids);
}

/// A new root may be lost again before the old one is destroyed: a keeper comes back without its share. Nobody loses a key by it.
#[test]
fn the_old_epoch_is_whole_until_its_root_is_destroyed() {
    let ids = some_ids();
    let (sim, old) = founded(1, &ids);
    let mut tried = 0;
    for end in 1..100 {
        let disk = sim.image();
        let tree = PageTree::open(disk.clone(), disk.clone()).unwrap();
        let opened = disk.disk().steps;
        disk.disk().end = Some((opened + end, Tear::All));
        let _ = tree.erase(&ids[..3], &[], &Seeded::new(5));
        if disk.disk().roots.len() == 2 {
            tried += 1;
            let lost = disk.image();
            lost.disk().roots.truncate(1);
            check(&PageTree::open(lost.clone(), lost).unwrap(), &old, &ids);
        }
    }
    assert!(tried > 0, "there were two roots at some step");
}

#[test]
fn pages_that_are_older_than_the_root_are_refused() {
    let (ids, rng) = (some_ids(), Seeded::new(5));
    let (sim, _) = founded(1, &ids);
    let old = sim.image();
    PageTree::open(sim.clone(), sim.clone()).unwrap().erase(&[ids[0]], &[], &rng).unwrap();
    let mixed = Sim::default();
    mixed.disk().pages = old.disk().pages.clone();
    mixed.disk().roots = sim.disk().roots.iter().map(crate::roots::Root::copy).collect();
    let error = PageTree::open(mixed.clone(), mixed).err().unwrap();
    assert!(error.to_string().contains("older than it"), "{error}");
}

#[test]
fn one_flipped_bit_in_any_page_is_refused() {
    let ids = some_ids();
    let (sim, _) = founded(1, &ids);
    let count = sim.disk().pages.len();
    for number in 0..count {
        for at in [3, 11, 15, 16, 100, 4_079, 4_095] {
            let bad = sim.image();
            let (id, mut page) = bad.disk().pages.iter().nth(number).map(|(id, page)| (*id, page.clone())).unwrap();
            page[at] ^= 1;
            bad.disk().pages.remove(&id);
            bad.write(&[(crate::keytree::page::PageId::of(&page), page)]).unwrap();
            assert!(matches!(PageTree::open(bad.clone(), bad), Err(Error::Damaged { .. })), "{number} {at}");
        }
    }
}
