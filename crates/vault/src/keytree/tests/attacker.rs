//! The attacker of Reardon et al., against random histories of enrolments, erasures, replacements, restarts, and commits that are
//! broken off at any write. In words:
//!
//! - She sees the medium: every page that was ever written, whole or torn, of every commit, done or broken off.
//! - She gets the secret: at a moment of her choice, after an erasure was acknowledged, every root that exists then. Here it
//!   is after each erasure, and after the start that follows a commit that was broken off.
//! - She knows the code, and does not keep to it: any key she has is tried on any page, a root under any epoch.
//! - She does not get a root of the past (that is what destroying it means; [`RootSlots`] says how far it goes), she does not
//!   break AES-256-GCM or HKDF, and she did not copy keys out of the memory of the process while they lived.
//!
//! She must open the live keys and nothing else.
//!
//! [`RootSlots`]: crate::roots::RootSlots

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::sim::{Disk, Sim, Tear};
use super::{Model, check, insert, some_ids};
use crate::keytree::PageTree;
use crate::keytree::page::{Cells, FANOUT, Page};
use crate::keytree::place::{Segment, id_at};
use crate::keytree::top::{LEVEL, Top};
use crate::roots::Root;
use crate::testing::Seeded;
use crate::tree::{Epoch, Key, KeyId, KeyTree};

/// Every key of the tree that can be had from all pages of all times with the roots that are there.
///
/// She does not keep to the form of the tree: any key she has is tried on any page, until nothing new opens.
fn plunder(disk: &Disk) -> BTreeMap<KeyId, BTreeSet<[u8; 32]>> {
    let (mut loot, mut keys, mut tried): (BTreeMap<KeyId, BTreeSet<_>>, Vec<Key>, BTreeSet<[u8; 32]>) = Default::default();
    // A secret that outlived its epoch would open the pages of the epochs before.
    let at = |root: &Root, epoch| Root { epoch: Epoch(epoch), secret: root.secret.copy() };
    let roots: Vec<Root> = disk.roots.iter().flat_map(|root| (0..=root.epoch.0).map(move |epoch| at(root, epoch))).collect();
    for root in &roots {
        for (id, page) in disk.history.iter().filter(|(id, _)| id.level == LEVEL) {
            let Some(top) = Top::open(*id, page, root) else { continue };
            keys.extend(Segment::ALL.iter().filter_map(|segment| top.key(*segment).map(Key::copy)));
            keys.extend(top.young_key().map(Key::copy));
        }
    }
    while let Some(key) = keys.pop() {
        if !tried.insert(*key.bytes()) {
            continue;
        }
        for (id, page) in &disk.history {
            let Some(cells) = Cells::open(*id, page, &key) else { continue };
            for (cell, inside) in (0..FANOUT).filter_map(|cell| Some((cell, cells.get(cell)?))) {
                let segment = Segment::ALL.into_iter().find(|segment| segment.level(0) == id.level);
                match segment.and_then(|segment| id_at(segment, id.index * FANOUT as u64 + cell as u64)) {
                    Some(key_id) => drop(loot.entry(key_id).or_default().insert(*inside.bytes())),
                    None => keys.push(inside),
                }
            }
        }
    }
    loot
}

fn check_attacker(sim: &Sim, model: &Model) {
    let live: BTreeMap<KeyId, BTreeSet<[u8; 32]>> = model.iter().map(|(id, key)| (*id, BTreeSet::from([*key]))).collect();
    let loot = plunder(&sim.disk());
    assert!(loot == live, "{} ids opened, {} live", loot.len(), live.len());
}

#[derive(Clone, Debug)]
enum Act {
    Insert(Vec<usize>),
    Erase(Vec<usize>, Vec<usize>),
    /// One of the two is broken off at this write, and the process starts again.
    BreakOff(Box<Act>, usize, Tear),
    Restart,
}

fn act(count: usize) -> impl Strategy<Value = Act> {
    let ids = || prop::collection::btree_set(0..count, 0..6).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let insert = move || ids().prop_map(Act::Insert);
    let erase = move || (ids(), ids()).prop_map(|(gone, replaced)| Act::Erase(gone, replaced));
    let tear = prop_oneof![Just(Tear::Nothing), Just(Tear::Half), Just(Tear::All)];
    let commit = prop_oneof![1 => insert(), 2 => erase()];
    prop_oneof![
        4 => insert(),
        4 => erase(),
        6 => (commit, 1..24_usize, tear).prop_map(|(act, step, tear)| Act::BreakOff(Box::new(act), step, tear)),
        1 => Just(Act::Restart),
    ]
}

/// A tree with what should be in it.
struct Story {
    rng: Seeded,
    ids: Vec<KeyId>,
    sim: Sim,
    tree: PageTree<Sim, Sim>,
    model: Model,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let rng = Seeded::new(seed);
        let sim = Sim::with_root(PageTree::<Sim, Sim>::first_root(&rng));
        let tree = PageTree::create(sim.clone(), sim.clone(), &rng).unwrap();
        Self { rng, ids: some_ids(), sim, tree, model: Model::new() }
    }

    fn tell(&mut self, act: &Act) {
        match act {
            Act::Insert(places) => {
                let new: Vec<KeyId> = self.ids_at(places).filter(|id| !self.model.contains_key(id)).collect();
                insert(&self.tree, &mut self.model, &new, &self.rng);
            }
            Act::Erase(gone, replaced) => self.erase(gone, replaced),
            Act::BreakOff(act, step, tear) => self.break_off(act, *step, *tear),
            Act::Restart => {
                let state = self.tree.state();
                self.tree = PageTree::open(self.sim.clone(), self.sim.clone()).unwrap();
                assert_eq!((self.tree.state().epoch, self.tree.state().count), (state.epoch, state.count));
            }
        }
        check(&self.tree, &self.model, &self.ids);
    }

    fn erase(&mut self, gone: &[usize], replaced: &[usize]) {
        let (gone, replaced) = self.erasure(gone, replaced);
        let before = self.tree.state();
        let erased = self.tree.erase(&gone, &replaced, &self.rng).unwrap();
        self.model = without(&self.model, &gone, &replaced);
        assert_eq!((erased.before, erased.after), (before, self.tree.state()));
        assert_eq!(erased.after.epoch.0, before.epoch.0 + 1);
        // The certificate's proofs: gone now.
        let (state, proofs) = self.tree.proofs(&erased.handles);
        for (handle, proof) in erased.handles.iter().zip(&proofs) {
            assert_eq!(proof.check(handle, &state.root), Some(false));
        }
        check_attacker(&self.sim, &self.model);
    }

    /// The process ends in the middle of a commit. What it wrote stays with the attacker. After the start either all of it counts or
    /// nothing, and she gets the roots that are there then.
    fn break_off(&mut self, act: &Act, step: usize, tear: Tear) {
        let steps = self.sim.disk().steps;
        let after = match act {
            Act::Insert(places) => {
                let new: Vec<KeyId> = self.ids_at(places).filter(|id| !self.model.contains_key(id)).collect();
                let keys: Vec<(KeyId, Key)> = new.iter().map(|id| (*id, Key::random(&self.rng))).collect();
                self.sim.disk().end = Some((steps + step, tear));
                let _ = self.tree.insert(&keys, &self.rng);
                self.model.clone().into_iter().chain(keys.iter().map(|(id, key)| (*id, *key.bytes()))).collect()
            }
            Act::Erase(gone, replaced) => {
                let (gone, replaced) = self.erasure(gone, replaced);
                self.sim.disk().end = Some((steps + step, tear));
                let _ = self.tree.erase(&gone, &replaced, &self.rng);
                without(&self.model, &gone, &replaced)
            }
            Act::BreakOff(..) | Act::Restart => unreachable!("only commits are broken off"),
        };
        self.sim.disk().end = None;
        self.tree = PageTree::open(self.sim.clone(), self.sim.clone()).unwrap();
        let holds = |model: &Model| {
            self.tree.count() == model.len() as u64
                && model.iter().all(|(id, key)| self.tree.get(*id).unwrap().is_some_and(|found| found.bytes() == key))
        };
        let old = std::mem::take(&mut self.model);
        self.model = if holds(&after) { after } else { old };
        check_attacker(&self.sim, &self.model);
    }

    fn ids_at(&self, places: &[usize]) -> impl Iterator<Item = KeyId> {
        places.iter().map(|place| self.ids[*place])
    }

    /// What an erasure is about: only what lives is replaced, and nothing that goes.
    fn erasure(&self, gone: &[usize], replaced: &[usize]) -> (Vec<KeyId>, Vec<(KeyId, Key)>) {
        let gone: Vec<KeyId> = self.ids_at(gone).collect();
        let replaced = self.ids_at(replaced).filter(|id| self.model.contains_key(id) && !gone.contains(id));
        let replaced = replaced.map(|id| (id, Key::random(&self.rng))).collect();
        (gone, replaced)
    }
}

fn without(model: &Model, gone: &[KeyId], replaced: &[(KeyId, Key)]) -> Model {
    let stay = model.iter().filter(|(id, _)| !gone.contains(id)).map(|(id, key)| (*id, *key));
    stay.chain(replaced.iter().map(|(id, key)| (*id, *key.bytes()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn everything_old_and_the_current_root_open_exactly_what_lives(acts in prop::collection::vec(act(some_ids().len()), 1..25), seed in any::<u64>()) {
        let mut story = Story::begin(seed);
        for act in &acts {
            story.tell(act);
        }
        story.tree.erase(&[], &[], &story.rng).unwrap();
        check_attacker(&story.sim, &story.model);
    }
}

/// The same at every single write of one erasure and one enrolment, so that no place is left to chance.
#[test]
fn a_commit_that_is_broken_off_at_any_write_gives_her_nothing() {
    for broken in [Act::Insert(vec![1, 4, 7]), Act::Erase(vec![0, 2], vec![3, 5])] {
        for tear in [Tear::Nothing, Tear::Half, Tear::All] {
            let (mut torn, mut counts) = (0, BTreeSet::new());
            for step in 1..40 {
                let mut story = Story::begin(step as u64);
                story.tell(&Act::Insert(vec![0, 2, 3, 5]));
                let written = story.sim.disk().history.len();
                story.tell(&Act::BreakOff(Box::new(broken.clone()), step, tear));
                counts.insert(story.model.len());
                let is_torn = |page: &Page| page[2_048..].iter().all(|byte| *byte == 0);
                torn += story.sim.disk().history[written..].iter().filter(|(_, page)| is_torn(page)).count();
                // She waits for what comes after it.
                story.tell(&Act::Erase(vec![0], vec![]));
                story.tell(&Act::Insert(vec![6]));
                story.tell(&Act::Erase(vec![6], vec![5]));
            }
            assert_eq!(counts.len(), 2, "it was broken off before it counted and after: {tear:?}");
            assert_eq!(torn >= 3, tear == Tear::Half, "{torn} pages are torn: {tear:?}");
        }
    }
}

/// What makes the proof a proof: with an old root she opens what lived then.
#[test]
fn with_an_old_root_everything_of_its_time_opens() {
    let (rng, ids) = (Seeded::new(3), some_ids());
    let sim = Sim::with_root(PageTree::<Sim, Sim>::first_root(&rng));
    let tree = PageTree::create(sim.clone(), sim.clone(), &rng).unwrap();
    let mut model = Model::new();
    insert(&tree, &mut model, &ids, &rng);
    let old_root = sim.disk().roots[0].copy();
    tree.erase(&ids, &[], &rng).unwrap();
    assert!(plunder(&sim.disk()).is_empty());
    sim.disk().roots.push(old_root);
    assert_eq!(plunder(&sim.disk()).len(), model.len());
}
