//! The attacker of Reardon et al., against random histories of enrolments, erasures, replacements and restarts. In words:
//!
//! - She sees the medium: every page that was ever written, whole or torn, of every commit, done or broken off.
//! - She gets the secret: at a moment of her choice, after an erasure was acknowledged, every root that exists then. Here it
//!   is after each erasure.
//! - She knows the code, and does not keep to it: any key she has is tried on any page, a root under any epoch.
//! - She does not get a root of the past (that is what destroying it means; [`RootSlots`] says how far it goes), she does not
//!   break AES-256-GCM or HKDF, and she did not copy keys out of the memory of the process while they lived.
//!
//! She must open the live keys and nothing else.
//!
//! [`RootSlots`]: crate::roots::RootSlots

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::sim::{Disk, Sim};
use super::{Model, check, insert, some_ids};
use crate::keytree::PageTree;
use crate::keytree::page::{Cells, FANOUT};
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
    Restart,
}

fn act(count: usize) -> impl Strategy<Value = Act> {
    let ids = || prop::collection::btree_set(0..count, 0..6).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    prop_oneof![
        4 => ids().prop_map(Act::Insert),
        4 => (ids(), ids()).prop_map(|(gone, replaced)| Act::Erase(gone, replaced)),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn everything_old_and_the_current_root_open_exactly_what_lives(acts in prop::collection::vec(act(some_ids().len()), 1..25), seed in any::<u64>()) {
        let (rng, ids) = (Seeded::new(seed), some_ids());
        let sim = Sim::with_root(PageTree::<Sim, Sim>::first_root(&rng));
        let mut tree = PageTree::create(sim.clone(), sim.clone(), &rng).unwrap();
        let mut model = Model::new();
        for act in acts {
            match act {
                Act::Insert(places) => {
                    let new: Vec<KeyId> = places.iter().map(|place| ids[*place]).filter(|id| !model.contains_key(id)).collect();
                    insert(&tree, &mut model, &new, &rng);
                }
                Act::Erase(gone, replaced) => {
                    let gone: Vec<KeyId> = gone.iter().map(|place| ids[*place]).collect();
                    let replaced = replaced.iter().map(|place| ids[*place]).filter(|id| model.contains_key(id) && !gone.contains(id));
                    let replaced: Vec<(KeyId, Key)> = replaced.map(|id| (id, Key::random(&rng))).collect();
                    let before = tree.state();
                    let erased = tree.erase(&gone, &replaced, &rng).unwrap();
                    model.retain(|id, _| !gone.contains(id));
                    model.extend(replaced.iter().map(|(id, key)| (*id, *key.bytes())));
                    prop_assert_eq!((erased.before, erased.after), (before, tree.state()));
                    prop_assert_eq!(erased.after.epoch.0, before.epoch.0 + 1);
                    // The certificate's proofs: gone now.
                    let (state, proofs) = tree.proofs(&erased.handles);
                    for (handle, proof) in erased.handles.iter().zip(&proofs) {
                        prop_assert_eq!(proof.check(handle, &state.root), Some(false));
                    }
                    check_attacker(&sim, &model);
                }
                Act::Restart => {
                    let state = tree.state();
                    drop(tree);
                    tree = PageTree::open(sim.clone(), sim.clone()).unwrap();
                    prop_assert_eq!((tree.state().epoch, tree.state().count), (state.epoch, state.count));
                }
            }
            check(&tree, &model, &ids);
        }
        tree.erase(&[], &[], &rng).unwrap();
        check_attacker(&sim, &model);
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
