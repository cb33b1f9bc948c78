//! The live keys in memory, and a key tree that is nothing more than that, for tests and demonstrations.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use usufruct_core::Digest;
use usufruct_core::ports::Rng;
use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::tree::{Epoch, Erased, Key, KeyId, KeyTree, SlotClass, commit_key, commit_root};

/// A key tree that lives and dies with the process. Its class is that of a file: it proves nothing about the memory.
pub struct MemoryTree(Mutex<State>);

struct State {
    keys: Keys,
    root: Key,
    epoch: Epoch,
}

impl MemoryTree {
    /// An empty tree.
    pub fn new(rng: &dyn Rng) -> Self {
        Self(Mutex::new(State { keys: Keys::default(), root: Key::random(rng), epoch: Epoch(0) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyTree for MemoryTree {
    fn get(&self, id: KeyId) -> Result<Option<Key>> {
        Ok(self.state().keys.get(id).map(Key::copy))
    }

    fn insert(&self, keys: &[(KeyId, Key)], _rng: &dyn Rng) -> Result<()> {
        let mut state = self.state();
        state.keys.check_insert(keys)?;
        state.keys.insert(keys);
        Ok(())
    }

    fn erase(&self, ids: &[KeyId], replace: &[(KeyId, Key)], rng: &dyn Rng) -> Result<Erased> {
        let mut state = self.state();
        let handles = state.keys.check_erase(ids, replace)?;
        let (root, epoch) = (Key::random(rng), Epoch(state.epoch.0 + 1));
        let erased = Erased {
            before: state.epoch,
            after: epoch,
            root_before: commit_root(&state.root, state.epoch),
            root_after: commit_root(&root, epoch),
            handles,
        };
        state.keys.erase(ids, replace);
        (state.root, state.epoch) = (root, epoch);
        Ok(erased)
    }

    fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    fn class(&self) -> SlotClass {
        SlotClass::E0
    }
}

/// Keys by id. A key never moves after it was put in place, so growing leaves no copies behind in freed memory.
#[derive(Default)]
pub(crate) struct Keys {
    places: HashMap<KeyId, u32>,
    chunks: Vec<Vec<Key>>,
    free: Vec<u32>,
}

impl Keys {
    pub(crate) fn get(&self, id: KeyId) -> Option<&Key> {
        self.places.get(&id).map(|place| self.at(*place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.places.iter().map(|(id, place)| (*id, self.at(*place)))
    }

    /// Refuses ids that have a key already or stand twice in the batch.
    pub(crate) fn check_insert(&self, keys: &[(KeyId, Key)]) -> Result<()> {
        let mut seen = BTreeSet::new();
        match keys.iter().find(|(id, _)| self.places.contains_key(id) || !seen.insert(*id)) {
            Some((id, _)) => Err(Error::Exists { noun: id.noun() }),
            None => Ok(()),
        }
    }

    /// Refuses an erasure that would bring back an erased key; answers with the commitments of the keys it destroys.
    pub(crate) fn check_erase(&self, ids: &[KeyId], replace: &[(KeyId, Key)]) -> Result<Vec<Digest>> {
        let mut seen: BTreeSet<KeyId> = BTreeSet::new();
        let mut handles = Vec::with_capacity(ids.len() + replace.len());
        for id in ids {
            if let Some(key) = self.get(*id).filter(|_| seen.insert(*id)) {
                handles.push(commit_key(*id, key));
            }
        }
        for (id, _) in replace {
            let key = self.get(*id).filter(|_| seen.insert(*id)).ok_or(Error::NoKey { noun: id.noun() })?;
            handles.push(commit_key(*id, key));
        }
        Ok(handles)
    }

    /// Adds keys that passed [`Self::check_insert`].
    pub(crate) fn insert(&mut self, keys: &[(KeyId, Key)]) {
        self.places.reserve(keys.len());
        for (id, key) in keys {
            self.put(*id, key.copy());
        }
    }

    /// Destroys and replaces keys that passed [`Self::check_erase`].
    pub(crate) fn erase(&mut self, ids: &[KeyId], replace: &[(KeyId, Key)]) {
        for id in ids {
            if let Some(place) = self.places.remove(id) {
                self.at_mut(place).zeroize();
                self.free.push(place);
            }
        }
        for (id, key) in replace {
            self.put(*id, key.copy());
        }
    }

    /// Puts a key in place; whether the id was free.
    pub(crate) fn put(&mut self, id: KeyId, key: Key) -> bool {
        if let Some(place) = self.places.get(&id).copied() {
            *self.at_mut(place) = key;
            return false;
        }
        let place = match self.free.pop() {
            Some(place) => {
                *self.at_mut(place) = key;
                place
            }
            None => self.append(key),
        };
        self.places.insert(id, place);
        true
    }

    fn append(&mut self, key: Key) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk_count = self.chunks.len();
        let chunk = &mut self.chunks[chunk_count - 1];
        chunk.push(key);
        // INVARIANT: four thousand million keys would need 128 GiB of memory first.
        u32::try_from((chunk_count - 1) * CHUNK + chunk.len() - 1).expect("fewer than 2^32 keys")
    }

    fn at(&self, place: u32) -> &Key {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn at_mut(&mut self, place: u32) -> &mut Key {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }
}

/// Keys in one allocation.
const CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_bytes([byte; 32])
    }

    #[test]
    fn places_are_used_again() {
        let mut keys = Keys::default();
        let ids: Vec<_> = (0..10_000).map(KeyId::Resident).collect();
        for id in &ids {
            keys.put(*id, key(1));
        }
        keys.erase(&ids[..5_000], &[(ids[9_000], key(9))]);
        assert!(keys.get(ids[0]).is_none());
        let all = || keys.chunks.iter().flatten();
        assert_eq!(all().filter(|key| key.bytes() == &[0; 32]).count(), 5_000, "erased keys are overwritten");
        assert_eq!(all().count(), 10_000, "a replaced key leaves no copy");
        for id in &ids[..5_000] {
            assert!(keys.put(*id, key(2)));
        }
        assert_eq!(keys.chunks.len(), 3);
        assert_eq!(keys.get(ids[0]).unwrap().bytes()[0], 2);
        assert_eq!(keys.get(ids[9_000]).unwrap().bytes()[0], 9);
        assert_eq!(keys.get(ids[9_001]).unwrap().bytes()[0], 1);
        assert_eq!(keys.iter().count(), 10_000);
    }

    #[test]
    fn nothing_is_replaced_by_an_insert_or_revived_by_a_replacement() {
        let mut keys = Keys::default();
        let (one, two) = (KeyId::Mandate(1), KeyId::Mandate(2));
        keys.insert(&[(one, key(1))]);
        assert!(matches!(keys.check_insert(&[(one, key(2))]), Err(Error::Exists { noun: "mandate" })));
        assert!(matches!(keys.check_insert(&[(two, key(2)), (two, key(3))]), Err(Error::Exists { .. })));
        assert!(matches!(keys.check_erase(&[], &[(two, key(2))]), Err(Error::NoKey { .. })));
        assert!(matches!(keys.check_erase(&[one], &[(one, key(2))]), Err(Error::NoKey { .. })));
        assert_eq!(keys.check_erase(&[one, one, two], &[]).unwrap(), [commit_key(one, &key(1))]);
    }
}
