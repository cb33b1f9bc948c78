//! A keeper is lost or slow at a message: every message of everything that a city does with its keepers, counted and not listed, so
//! that one that is added tomorrow is tried too.
//!
//! The attacker who is tried against each outcome has the disks of all keepers and of the city.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::town;
use crate::town::{Fault, NAMES, Seeded, Town, Tree, VAULT, insert, lives, resident, seeded};
use usufruct_core::keeper::Destroyed;
use usufruct_core::ports::Rng;
use usufruct_vault::keytree::{MemoryPages, PageTree};
use usufruct_vault::roots::{Disk, FileRoots, KeeperRoots, MovingRoots, Root, RootSlots};
use usufruct_vault::{Epoch, Error, KeyTree, Result, SlotClass};

const FAULTS: [Fault; 7] =
    [Fault::Lost, Fault::Unanswered, Fault::Down, Fault::Last, Fault::Late(1), Fault::Late(2), Fault::Late(100)];

/// Something that a city does with its keepers.
struct Deed {
    name: &'static str,
    /// What was there before.
    begin: fn(&Town, &Seeded),
    /// Ends as the process would that was interrupted by the error. It can be done again after a new start.
    act: fn(&Town, &Seeded) -> Result<()>,
    /// Residents before and after; nobody is there before a founding.
    before: &'static [u64],
    after: &'static [u64],
    /// Whether it may wait for a keeper that is away.
    needs_all: bool,
    /// The keeper that lacks its share from the beginning. With it, none of the others can be spared.
    weak: Option<usize>,
}

const DEEDS: [Deed; 8] = [
    Deed { name: "founding", begin: |_, _| {}, act: found, before: &[], after: &[], needs_all: true, weak: None },
    Deed { name: "a start", begin: settled, act: start, before: &[2, 3], after: &[2, 3], needs_all: false, weak: None },
    Deed {
        name: "a start after a crash between two roots",
        begin: |town, rng| interrupted(town, rng, Crash::AfterPut),
        act: start,
        before: &[3],
        after: &[3],
        needs_all: false,
        weak: None,
    },
    Deed {
        name: "a start after a crash while a root was put",
        begin: |town, rng| interrupted(town, rng, Crash::InPut),
        act: start,
        before: &[2, 3],
        after: &[2, 3],
        needs_all: false,
        weak: None,
    },
    Deed { name: "an erasure", begin: settled, act: erase, before: &[2, 3], after: &[3], needs_all: false, weak: None },
    Deed { name: "upkeep", begin: asleep, act: heal, before: &[2, 3], after: &[2, 3], needs_all: false, weak: Some(0) },
    Deed {
        name: "replacing a keeper",
        begin: settled,
        act: replace,
        before: &[2, 3],
        after: &[2, 3],
        needs_all: false,
        weak: Some(2),
    },
    Deed { name: "moving to keepers", begin: in_file, act: adopt, before: &[2, 3], after: &[2, 3], needs_all: true, weak: None },
];

fn found(town: &Town, rng: &Seeded) -> Result<()> {
    let roots = town.roots();
    if !roots.is_founded()? {
        roots.put(&Tree::first_root(rng), rng)?;
        roots.keep_only(Epoch(0))?;
    }
    if is_empty(&town.pages) {
        return PageTree::create(Arc::clone(&town.pages), roots, rng).map(drop);
    }
    start(town, rng)
}

fn settled(town: &Town, rng: &Seeded) {
    let tree = town.create(rng);
    insert(&tree, rng, 1..4).unwrap();
    tree.erase(&[resident(1)], &[], rng).unwrap();
    town.compare();
}

fn start(town: &Town, _rng: &Seeded) -> Result<()> {
    open(town).map(drop)
}

fn erase(town: &Town, rng: &Seeded) -> Result<()> {
    let tree = town.open()?;
    tree.erase(&[resident(2)], &[], rng).map(drop)
}

/// The first keeper that sleeps, and an erasure that it sleeps through.
fn asleep(town: &Town, rng: &Seeded) {
    let tree = town.create(rng);
    insert(&tree, rng, 1..4).unwrap();
    town.net.down.lock().unwrap()[0] = true;
    tree.erase(&[resident(1)], &[], rng).unwrap();
    town.net.down.lock().unwrap()[0] = false;
    town.compare();
}

fn heal(town: &Town, _rng: &Seeded) -> Result<()> {
    let tree = town.open()?;
    tree.roots().heal()?;
    tree.roots().heal().map(drop)
}

/// The last keeper is lost for good, and another one takes its place.
fn replace(town: &Town, rng: &Seeded) -> Result<()> {
    let lost = &town.machines[2];
    if lost.replaced.load(Ordering::SeqCst) == 0 {
        lost.replaced.store(1, Ordering::SeqCst);
        *lost.keeper.lock().unwrap() = None;
        std::fs::remove_dir_all(&lost.folder).unwrap();
        lost.signed.lock().unwrap().clear();
        for machine in &town.machines {
            *machine.keeper.lock().unwrap() = None;
            machine.start();
        }
        town.compare();
    }
    let tree = town.open()?;
    tree.roots().heal()?;
    tree.erase(&[], &[], rng).map(drop)
}

fn in_file(town: &Town, rng: &Seeded) {
    let first = Tree::first_root(rng);
    drop(FileRoots::create(town.dir.path(), &first, Disk::Any).unwrap());
    let file = FileRoots::open(town.dir.path(), Disk::Any).unwrap();
    let tree = PageTree::create(Arc::clone(&town.pages), file, rng).unwrap();
    let keys: Vec<_> = [2, 3].map(|number| (resident(number), usufruct_vault::Key::random(rng))).into();
    tree.insert(&keys, rng).unwrap();
}

fn adopt(town: &Town, rng: &Seeded) -> Result<()> {
    town.roots().is_founded()?;
    let tree = open(town)?;
    tree.erase(&[], &[], rng).map(drop)
}

/// Opens the tree with the root where it is: with the keepers, or on its way to them.
fn open(town: &Town) -> Result<PageTree<Arc<MemoryPages>, Box<dyn RootSlots>>> {
    let roots: Box<dyn RootSlots> = match FileRoots::open(town.dir.path(), Disk::Any) {
        Ok(file) => Box::new(MovingRoots::open(Box::new(file), Box::new(town.roots()), &seeded(77))?),
        Err(_) => Box::new(town.roots()),
    };
    PageTree::open(Arc::clone(&town.pages), roots)
}

fn is_empty(pages: &Arc<MemoryPages>) -> bool {
    usufruct_vault::keytree::Pages::each(pages, &mut |_, _| Err(Error::Stopped)).is_ok()
}

/// Where the process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Crash {
    InPut,
    AfterPut,
}

/// The keepers of a process that ends at an erasure.
struct Ending(KeeperRoots<Arc<town::Machine>>, Arc<town::Net>, std::sync::Mutex<Option<Crash>>);

impl RootSlots for Ending {
    fn class(&self) -> SlotClass {
        self.0.class()
    }

    fn roots(&self) -> Result<Vec<Root>> {
        self.0.roots()
    }

    fn put(&self, root: &Root, rng: &dyn Rng) -> Result<()> {
        match *self.2.lock().unwrap() {
            Some(Crash::InPut) => {
                *self.1.down.lock().unwrap() = [false, true, true];
                let outcome = self.0.put(root, rng);
                *self.1.down.lock().unwrap() = [false; 3];
                outcome
            }
            _ => self.0.put(root, rng),
        }
    }

    fn keep_only(&self, epoch: Epoch) -> Result<()> {
        if self.2.lock().unwrap().is_some() { Err(Error::Stopped) } else { self.0.keep_only(epoch) }
    }

    fn statements(&self, epoch: Epoch) -> Result<Vec<Destroyed>> {
        self.0.statements(epoch)
    }

    fn heal(&self) -> Result<()> {
        RootSlots::heal(&self.0)
    }
}

/// A process that ended in the middle of erasing resident 2.
fn interrupted(town: &Town, rng: &Seeded, crash: Crash) {
    settled(town, rng);
    let roots = Ending(town.roots(), Arc::clone(&town.net), std::sync::Mutex::default());
    let tree = PageTree::open(Arc::clone(&town.pages), roots).unwrap();
    *tree.roots().2.lock().unwrap() = Some(crash);
    assert!(tree.erase(&[resident(2)], &[], rng).is_err());
    let both = [Epoch(1), Epoch(2)];
    let expected = if crash == Crash::AfterPut { &both[..] } else { &both[..1] };
    assert_eq!(town.recoverable(), expected.iter().copied().collect());
    assert_eq!(town.holders(Epoch(2)), if crash == Crash::AfterPut { 3 } else { 1 });
}

impl Town {
    fn ready(deed: &Deed) -> (Self, Seeded) {
        let (town, rng) = (Self::new(), seeded(3));
        (deed.begin)(&town, &rng);
        town.machines.iter().for_each(|machine| machine.calls.store(0, Ordering::SeqCst));
        (town, rng)
    }

    fn is_away(&self) -> bool {
        *self.net.down.lock().unwrap() != [false; 3]
    }

    /// Every keeper says a later epoch each time, or the same.
    fn statements_are_in_order(&self, what: &str) {
        for machine in &self.machines {
            let signed = machine.signed.lock().unwrap();
            assert!(signed.is_sorted_by_key(|one| one.epoch), "{what}: {signed:?}");
            assert!(signed.iter().all(|one| one.is_signed_by(&machine.public()) && one.vault == VAULT), "{what}");
        }
    }
}

/// Does it with one fault, and looks at everything that must hold then.
fn try_one(deed: &Deed, keeper: usize, call: usize, fault: Fault) {
    let what = format!("{}, call {call} to {}: {fault:?}", deed.name, NAMES[keeper]);
    let (town, rng) = Town::ready(deed);
    let may_wait = deed.needs_all || deed.weak.is_some_and(|weak| weak != keeper);
    let before = town.recoverable();
    *town.machines[keeper].fault.lock().unwrap() = Some((call, fault));
    let mut outcome = (deed.act)(&town, &rng);
    *town.machines[keeper].fault.lock().unwrap() = None;
    town.statements_are_in_order(&what);
    let after = town.recoverable();
    assert!(after.len() <= 2, "{what}: {after:?} can be had");
    match &outcome {
        Ok(()) => assert_eq!(after.len(), 1, "{what}: it is done, and {after:?} can be had"),
        Err(_) => assert!(before.is_subset(&after) || after.is_disjoint(&before), "{what}: {before:?} became {after:?}"),
    }
    // The process ends, and it is done again. A keeper that is away must keep nothing from being done, unless it is needed.
    for _ in 0..3 {
        if let Err(error) = &outcome {
            assert!(may_wait || matches!(error, Error::TooFewKeepers { .. }) || !town.is_away(), "{what}: {error}");
            if may_wait {
                *town.net.down.lock().unwrap() = [false; 3];
            }
            // A process that has ended says nothing any more of what has not arrived.
            if !is_empty(&town.pages) {
                let tree = open(&town).unwrap_or_else(|error| panic!("{what}: it does not start: {error}"));
                let (alive, roots) = (lives(&tree), town.recoverable());
                assert!([deed.before, deed.after].contains(&&*alive), "{what}: {alive:?} live");
                assert_eq!(roots, BTreeSet::from([tree.state().epoch]), "{what}");
                if alive == deed.after && deed.before != deed.after {
                    outcome = Ok(());
                    break;
                }
            }
            outcome = (deed.act)(&town, &rng);
        }
    }
    outcome.unwrap_or_else(|error| panic!("{what}: it never gets done: {error}"));

    // The next commit works, also with one keeper away.
    let tree = open(&town).unwrap_or_else(|error| panic!("{what}: it does not start: {error}"));
    assert_eq!(lives(&tree), deed.after, "{what}");
    assert_eq!(town.recoverable(), BTreeSet::from([tree.state().epoch]), "{what}");
    tree.insert(&[(resident(9), usufruct_vault::Key::random(&rng))], &rng).unwrap();
    let erased = tree.erase(&[resident(9)], &[], &rng).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(town.recoverable(), BTreeSet::from([erased.after.epoch]), "{what}");
    let signed = tree.statements().unwrap();
    assert!(signed.len() >= 2 && signed.iter().all(|one| one.epoch == erased.after.epoch.0), "{what}: {signed:?}");

    // Whoever was away comes back, and what was under way arrives.
    *town.net.down.lock().unwrap() = [false; 3];
    town.machines.iter().for_each(|machine| machine.arrive(usize::MAX));
    town.compare();
    tree.heal().unwrap();
    assert_eq!(town.holders(erased.after.epoch), 3, "{what}");
    assert_eq!(tree.statements().unwrap().len(), 3, "{what}: all have signed in the end");
    assert_eq!(town.recoverable(), BTreeSet::from([erased.after.epoch]), "{what}");
    town.statements_are_in_order(&what);
    drop(tree);
    assert_eq!(lives(&open(&town).unwrap()), deed.after, "{what}");
}

#[test]
fn a_keeper_may_be_lost_or_slow_at_every_message() {
    for deed in &DEEDS {
        let (town, rng) = Town::ready(deed);
        (deed.act)(&town, &rng).unwrap_or_else(|error| panic!("{}: {error}", deed.name));
        let calls: Vec<usize> = town.machines.iter().map(|machine| machine.calls.load(Ordering::SeqCst)).collect();
        assert!(calls.iter().all(|calls| *calls >= 2), "{}: {calls:?}", deed.name);
        drop(town);
        for (keeper, calls) in calls.into_iter().enumerate() {
            for call in 0..calls {
                FAULTS.into_iter().for_each(|fault| try_one(deed, keeper, call, fault));
            }
        }
    }
}

/// A history in which each step is done again until it works, as the jobs of the server do it; the server starts anew after
/// every failure. Answers how often it failed.
fn history(town: &Town) -> usize {
    let rng = seeded(3);
    let mut failed = 0;
    let mut tree = town.create(&rng);
    insert(&tree, &rng, 1..10).unwrap();
    for number in 1..5 {
        loop {
            match tree.erase(&[resident(number)], &[], &rng) {
                Ok(erased) => {
                    let old = town.holders(erased.before.epoch);
                    assert!(old < 2, "{old} keepers could bring the old root back");
                    let signed = tree.statements().unwrap();
                    assert!(signed.iter().filter(|signed| signed.epoch >= erased.after.epoch.0).count() >= 2);
                    break;
                }
                Err(_) => {
                    failed += 1;
                    assert!(failed < 20, "it never gets well");
                    drop(tree);
                    tree = town.open().expect("two keepers are enough");
                }
            }
        }
        insert(&tree, &rng, 9 + number..10 + number).unwrap();
        assert_eq!(lives(&tree), (number + 1..10 + number).collect::<Vec<_>>());
        // The server's upkeep.
        tree.heal().unwrap();
    }
    drop(tree);
    assert_eq!(lives(&town.open().expect("two keepers are enough")), (5..14).collect::<Vec<_>>());
    failed
}

#[test]
fn a_year_with_one_fault_ends_as_one_without() {
    let calls: Vec<usize> = {
        let town = Town::new();
        assert_eq!(history(&town), 0);
        town.machines.iter().map(|machine| machine.calls.load(Ordering::SeqCst)).collect()
    };
    assert!(calls.iter().sum::<usize>() > 60, "{calls:?}");
    for (keeper, calls) in calls.into_iter().enumerate() {
        // The calls before are those of the founding, which is done by hand.
        for call in 2..calls {
            for fault in FAULTS {
                let town = Town::new();
                *town.machines[keeper].fault.lock().unwrap() = Some((call, fault));
                history(&town);
            }
        }
    }
}

#[test]
fn what_upkeep_said_to_one_that_slept_does_no_harm_when_it_arrives_after_the_next_root() {
    let (town, rng) = (Town::new(), seeded(3));
    asleep(&town, &rng);
    let tree = town.open().unwrap();
    // The start has told the sleeper; it has no share yet. Upkeep brings it one, and what follows is late: the next root comes first.
    let calls = town.machines[0].calls.load(Ordering::SeqCst);
    *town.machines[0].fault.lock().unwrap() = Some((calls + 2, Fault::Late(1)));
    tree.heal().unwrap();
    // The archive is lost just then, so that the sleeper is needed.
    town.net.down.lock().unwrap()[2] = true;
    let erased = tree.erase(&[resident(2)], &[], &rng).unwrap();
    drop(tree);
    assert_eq!(town.recoverable(), BTreeSet::from([erased.after.epoch]));
    *town.net.down.lock().unwrap() = [false; 3];
    assert_eq!(lives(&town.open().expect("two hold the root")), [3]);
}

#[test]
fn one_whose_answer_was_lost_is_asked_again_for_its_signature() {
    let (town, rng) = (Town::new(), seeded(3));
    settled(&town, &rng);
    let tree = town.open().unwrap();
    let calls = town.machines[1].calls.load(Ordering::SeqCst);
    *town.machines[1].fault.lock().unwrap() = Some((calls + 1, Fault::Last));
    let erased = tree.erase(&[resident(2)], &[], &rng).unwrap();
    assert_eq!(town.standing(1).counter, erased.after.epoch, "it has destroyed its share and signed");
    let names = || tree.statements().unwrap().into_iter().map(|one| one.keeper).collect::<Vec<_>>();
    assert_eq!(names(), ["archive", "city"]);
    *town.net.down.lock().unwrap() = [false; 3];
    tree.heal().unwrap();
    assert_eq!(names(), ["archive", "city", "court"]);
    let calls = town.machines[1].calls.load(Ordering::SeqCst);
    tree.heal().unwrap();
    assert_eq!(
        town.machines[1].calls.load(Ordering::SeqCst),
        calls + 1,
        "whoever has signed is asked where it stands and no more"
    );
}

/// Where the answer alone was lost it is asked again at once.
#[test]
fn one_whose_answer_was_lost_signs_with_the_others() {
    let (town, rng) = (Town::new(), seeded(3));
    settled(&town, &rng);
    let tree = town.open().unwrap();
    let calls = town.machines[1].calls.load(Ordering::SeqCst);
    *town.machines[1].fault.lock().unwrap() = Some((calls + 1, Fault::Unanswered));
    tree.erase(&[resident(2)], &[], &rng).unwrap();
    assert_eq!(tree.statements().unwrap().len(), 3);
}
