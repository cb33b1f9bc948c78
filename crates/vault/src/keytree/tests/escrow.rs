//! A tree whose root is in escrow: the process ends at every step that changes pages, roots or escrow, and the officers must
//! always be able to bring back the state that counts.

use super::sim::{Sim, Tear};
use super::{Model, check, insert, some_ids};
use crate::error::Error;
use crate::escrow::{EscrowPlace as _, EscrowedRoots, OfficerFile, Officers, Sealed, recover, sealed_roots};
use crate::keytree::PageTree;
use crate::roots::{Disk, MemoryRoots, Root};
use crate::testing::{Folder, Seeded};
use crate::tree::{Key, KeyId, KeyTree};

type Tree = PageTree<Sim, EscrowedRoots<Sim>>;

/// Three officers, of whom two are needed.
struct Board {
    officers: Vec<OfficerFile>,
    machine: OfficerFile,
    _folder: Folder,
}

impl Board {
    fn new(period: u32) -> Self {
        let (folder, rng) = (Folder::new(), Seeded::new(u64::from(period)));
        let make = |name: &str, period| OfficerFile::create(&folder.path().join(name), name, period, Disk::Any, &rng).unwrap();
        let officers = ["chief", "court", "archive"].map(|name| make(name, period)).into();
        Self { officers, machine: make("machine", 0), _folder: folder }
    }

    fn appointed(&self) -> Officers {
        Officers::new(self.officers[0].period(), 2, self.officers.iter().map(OfficerFile::public).collect()).unwrap()
    }

    /// The root that the first and the last officer bring back.
    fn recover(&self, sealed: &Sealed) -> Result<Root, Error> {
        let shares: Vec<_> = [&self.officers[0], &self.officers[2]]
            .iter()
            .map(|officer| officer.hand_over(sealed, &self.machine.public(), &Seeded::new(3)))
            .collect::<Result<_, _>>()?;
        recover("city", &shares, &self.machine)
    }

    fn open(&self, disk: &Sim) -> Result<Tree, Error> {
        let roots = EscrowedRoots::open(disk.clone(), Box::new(disk.clone()), "city", self.appointed(), &Seeded::new(8))?;
        PageTree::open(disk.clone(), roots)
    }
}

fn founded(board: &Board, ids: &[KeyId]) -> (Sim, Model) {
    let rng = Seeded::new(1);
    let sim = Sim::with_root(Tree::first_root(&rng));
    let mut model = Model::new();
    insert(&PageTree::create(sim.clone(), sim.clone(), &rng).unwrap(), &mut model, ids, &rng);
    drop(board.open(&sim).unwrap());
    (sim, model)
}

fn sealed(disk: &Sim) -> Vec<Sealed> {
    sealed_roots(disk.read().unwrap().as_flattened()).unwrap_or_default()
}

/// What the officers bring back from a disk without roots is one of these states, and the one a start would find or the next.
fn check_recovery(board: &Board, disk: &Sim, old: &Model, new: &Model) {
    let start = board.open(&disk.image()).unwrap().state().epoch;
    let held = sealed(disk);
    assert!(held[0].epoch == start || held[0].epoch.0 == start.0 + 1, "{:?} in escrow, {start:?} counts", held[0].epoch);
    let root = board.recover(&held[0]).unwrap();
    let lost = disk.image();
    lost.disk().roots.clear();
    PageTree::<Sim, Sim>::check(&lost, &root).unwrap();
    let tree = PageTree::open(lost, MemoryRoots::new(root)).unwrap();
    let is_new = new.len() == tree.count() as usize;
    check(&tree, if is_new { new } else { old }, &some_ids());
}

#[test]
fn officers_bring_back_what_counts_wherever_the_process_ends() {
    let (ids, board) = (some_ids(), Board::new(5));
    let (sim, old) = founded(&board, &ids);
    let gone: Vec<KeyId> = ids.iter().copied().filter(|id| matches!(id, KeyId::Resident(2 | 16_130))).collect();
    let mut new = old.clone();
    new.retain(|id, _| !gone.contains(id));
    let mut steps = 0;
    'steps: for end in 1.. {
        for tear in [Tear::Nothing, Tear::Half, Tear::All] {
            let disk = sim.image();
            let tree = board.open(&disk).unwrap();
            let opened = disk.disk().steps;
            disk.disk().end = Some((opened + end, tear));
            let is_done = tree.erase(&gone, &[], &Seeded::new(5)).is_ok();
            if is_done && disk.disk().steps < opened + end {
                steps = end;
                break 'steps;
            }
            drop(tree);
            disk.disk().end = None;
            check_recovery(&board, &disk, &old, &new);
            // The start after it leaves one root in escrow, the one that counts.
            let tree = board.open(&disk).unwrap();
            let epochs: Vec<_> = sealed(&disk).iter().map(|sealed| sealed.epoch).collect();
            assert_eq!(epochs, [tree.state().epoch]);
            // What was acknowledged is one in escrow too.
            if is_done {
                assert_eq!(tree.count() as usize, new.len());
            }
        }
    }
    assert!(steps > 10, "{steps}");
}

#[test]
fn an_escrow_for_another_period_is_sealed_anew_wherever_the_process_ends() {
    let ids = some_ids();
    let (before, after) = (Board::new(5), Board::new(6));
    let (sim, model) = founded(&before, &ids[..7]);
    for end in 1.. {
        for tear in [Tear::Nothing, Tear::Half, Tear::All] {
            let disk = sim.image();
            disk.disk().end = Some((end, tear));
            let is_open = after.open(&disk).is_ok();
            if is_open && disk.disk().steps < end {
                assert_eq!(sealed(&disk)[0].period, 6);
                assert!(before.recover(&sealed(&disk)[0]).is_err(), "the keys of the period before open nothing of this one");
                return;
            }
            disk.disk().end = None;
            let tree = after.open(&disk).unwrap();
            check(&tree, &model, &ids);
            assert!(after.recover(&sealed(&disk)[0]).is_ok());
        }
    }
}

#[test]
fn an_erasure_is_refused_while_the_escrow_cannot_be_written() {
    let (ids, board) = (some_ids(), Board::new(5));
    let (sim, mut model) = founded(&board, &ids[..7]);
    let tree = board.open(&sim).unwrap();
    let first = sealed(&sim)[0].epoch;
    // The step at which the escrow of the next root is written.
    let writes = (1..).find(|end| {
        let disk = sim.image();
        let tree = board.open(&disk).unwrap();
        let opened = disk.disk().steps;
        disk.disk().end = Some((opened + end, Tear::All));
        let _ = tree.erase(&ids[..1], &[], &Seeded::new(5));
        sealed(&disk).len() == 2
    });
    let steps = sim.disk().steps;
    sim.disk().end = Some((steps + writes.unwrap(), Tear::Half));
    assert!(tree.erase(&ids[..1], &[], &Seeded::new(5)).is_err());
    assert_eq!(tree.state().epoch, first);
    assert_eq!(sim.disk().roots.len(), 1, "the new root was not put");
    sim.disk().end = None;
    insert(&tree, &mut model, &ids[8..9], &Seeded::new(6));
    assert_eq!(sealed(&sim).iter().map(|sealed| sealed.epoch).collect::<Vec<_>>(), [first]);
    let erased = tree.erase(&ids[..1], &[], &Seeded::new(7)).unwrap();
    model.remove(&ids[0]);
    assert_eq!(sealed(&sim).iter().map(|sealed| sealed.epoch).collect::<Vec<_>>(), [erased.after.epoch]);
    let root = board.recover(&sealed(&sim)[0]).unwrap();
    check(&PageTree::open(sim.image(), MemoryRoots::new(root)).unwrap(), &model, &ids);
}

#[test]
fn an_old_escrow_with_the_newest_pages_opens_nothing_and_one_that_was_changed_is_sealed_anew() {
    let (ids, board) = (some_ids(), Board::new(5));
    let (sim, model) = founded(&board, &ids[..7]);
    let old = sim.disk().escrow.clone();
    let tree = board.open(&sim).unwrap();
    tree.erase(&[], &[(ids[0], Key::from_bytes([7; 32]))], &Seeded::new(5)).unwrap();
    drop(tree);
    let root = board.recover(&sealed_roots(old.0.as_flattened()).unwrap()[0]).unwrap();
    assert!(matches!(PageTree::<Sim, Sim>::check(&sim, &root), Err(Error::Damaged { .. })));

    sim.disk().escrow = old;
    let tree = board.open(&sim).unwrap();
    assert_eq!(sealed(&sim).iter().map(|sealed| sealed.epoch).collect::<Vec<_>>(), [tree.state().epoch]);
    assert_eq!(tree.count() as usize, model.len());
}
