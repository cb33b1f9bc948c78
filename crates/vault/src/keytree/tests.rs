//! The tree against a model, against crashes at every write, and against an attacker who has kept everything.

mod attacker;
mod crashes;
mod escrow;
mod shape;
mod sim;

use std::collections::BTreeMap;

use crate::keytree::PageTree;
use crate::keytree::pages::Pages;
use crate::roots::RootSlots;
use crate::testing::Seeded;
use crate::tree::{HouseKey, Key, KeyId, KeyTree};

/// The keys that live, as a test knows them.
pub(super) type Model = BTreeMap<KeyId, [u8; 32]>;

/// The tree holds exactly these keys, and says so in public.
pub(super) fn check<P: Pages, R: RootSlots>(tree: &PageTree<P, R>, model: &Model, others: &[KeyId]) {
    for (id, key) in model {
        assert_eq!(tree.get(*id).unwrap().map(|key| *key.bytes()), Some(*key), "{id:?}");
    }
    for id in others.iter().filter(|id| !model.contains_key(id)) {
        assert!(tree.get(*id).unwrap().is_none(), "{id:?}");
    }
    let handles: Vec<_> = model.iter().map(|(id, key)| crate::tree::commit_key(*id, &Key::from_bytes(*key))).collect();
    let (state, proofs) = tree.proofs(&handles);
    assert_eq!((state.count, state.epoch), (model.len() as u64, tree.state().epoch));
    for (handle, proof) in handles.iter().zip(&proofs) {
        assert_eq!(proof.check(handle, &state.root), Some(true));
    }
}

/// Inserts fresh keys for these ids.
pub(super) fn insert<P: Pages, R: RootSlots>(tree: &PageTree<P, R>, model: &mut Model, ids: &[KeyId], rng: &Seeded) {
    let keys: Vec<(KeyId, Key)> = ids.iter().map(|id| (*id, Key::random(rng))).collect();
    tree.insert(&keys, rng).unwrap();
    model.extend(keys.iter().map(|(id, key)| (*id, *key.bytes())));
}

/// Ids of every kind, near each other and far apart.
pub(super) fn some_ids() -> Vec<KeyId> {
    let mut ids: Vec<KeyId> =
        [0, 1, 2, 126, 127, 128, 16_128, 16_129, 16_130, 40_000, 2_048_383, 2_048_384].map(KeyId::Resident).into();
    ids.extend([0, 5, 126, 127, 20_000].map(KeyId::Mandate));
    ids.extend([1, 130].map(KeyId::Sector));
    ids.extend([1, 130].map(KeyId::Second));
    ids.extend([1, 6, 900].map(KeyId::NextMandate));
    ids.extend([(0, 0), (0, 70), (5, 71), (900, 1)].map(|(mandate, month)| KeyId::Month { mandate, month }));
    ids.extend([HouseKey::SeedIndex, HouseKey::Session].map(KeyId::House));
    ids
}
