//! The set of the commitments of all live keys, as the tree keeps it: in memory, made anew from the keys at every start.

use usufruct_core::Digest;
use usufruct_core::handles::{HandleProof, bucket_of, leaf, node, set_root};

/// The set, in buckets of about eight to sixteen.
pub(crate) struct Handles {
    bits: u8,
    count: u64,
    buckets: Vec<Vec<Digest>>,
    /// The binary tree over the buckets as a heap: node 1 is the top, node i has the children 2i and 2i + 1, and the leaf of
    /// bucket b is node 2^bits + b.
    nodes: Vec<Digest>,
}

impl Handles {
    /// A set for about `count` commitments.
    pub(crate) fn new(count: u64) -> Self {
        let bits = bits_for(count);
        let width = 1 << bits;
        let mut handles = Self { bits, count: 0, buckets: vec![Vec::new(); width], nodes: vec![leaf(&[]); 2 * width] };
        handles.hash_all();
        handles
    }

    /// Adds commitments, in any order. The root is right only after [`Handles::settle`].
    pub(crate) fn add(&mut self, some: &[Digest]) {
        some.iter().for_each(|handle| self.put(*handle));
    }

    /// Hashes everything after many additions.
    pub(crate) fn settle(&mut self) {
        match bits_for(self.count) > self.bits {
            true => self.split(),
            false => self.hash_all(),
        }
    }

    /// Takes some commitments out and puts others in.
    pub(crate) fn change(&mut self, removed: &[Digest], added: &[Digest]) {
        let mut dirty = Vec::with_capacity(removed.len() + added.len());
        for handle in removed {
            let number = bucket_of(handle, self.bits);
            let bucket = &mut self.buckets[number as usize];
            if let Ok(at) = bucket.binary_search(handle) {
                bucket.remove(at);
                self.count -= 1;
                dirty.push(number);
            }
        }
        for handle in added {
            self.put(*handle);
            dirty.push(bucket_of(handle, self.bits));
        }
        match bits_for(self.count) > self.bits {
            true => self.split(),
            false => self.hash(dirty),
        }
    }

    pub(crate) fn root(&self) -> Digest {
        set_root(self.bits, self.count, &self.nodes[1])
    }

    /// How many keys live.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The proof that a commitment is in the set, or that it is not.
    pub(crate) fn proof(&self, handle: &Digest) -> HandleProof {
        let number = bucket_of(handle, self.bits) as usize;
        let mut at = self.buckets.len() + number;
        let mut path = Vec::with_capacity(usize::from(self.bits));
        while at > 1 {
            path.push(self.nodes[at ^ 1]);
            at /= 2;
        }
        HandleProof { count: self.count, bucket: self.buckets[number].clone(), path }
    }

    fn put(&mut self, handle: Digest) {
        let bucket = &mut self.buckets[bucket_of(&handle, self.bits) as usize];
        if let Err(at) = bucket.binary_search(&handle) {
            bucket.insert(at, handle);
            self.count += 1;
        }
    }

    fn split(&mut self) {
        let all = std::mem::take(&mut self.buckets);
        *self = Self::new(self.count);
        all.iter().for_each(|bucket| self.add(bucket));
        self.hash_all();
    }

    fn hash_all(&mut self) {
        for (number, bucket) in self.buckets.iter().enumerate() {
            self.nodes[self.buckets.len() + number] = leaf(bucket);
        }
        for at in (1..self.buckets.len()).rev() {
            self.nodes[at] = node(&self.nodes[2 * at], &self.nodes[2 * at + 1]);
        }
    }

    /// Hashes these buckets anew, and every node above one of them once.
    fn hash(&mut self, mut dirty: Vec<u32>) {
        dirty.sort_unstable();
        dirty.dedup();
        let mut level: Vec<usize> = dirty.into_iter().map(|number| self.buckets.len() + number as usize).collect();
        for at in &level {
            self.nodes[*at] = leaf(&self.buckets[at - self.buckets.len()]);
        }
        while level.first().is_some_and(|at| *at > 1) {
            level.iter_mut().for_each(|at| *at /= 2);
            level.dedup();
            for at in &level {
                self.nodes[*at] = node(&self.nodes[2 * at], &self.nodes[2 * at + 1]);
            }
        }
    }
}

/// How many bits make buckets of at most sixteen on average.
fn bits_for(count: u64) -> u8 {
    let buckets = count.div_ceil(16).max(1).next_power_of_two();
    // INVARIANT: a power of two below 2^61 has at most 60 zeros.
    (buckets.trailing_zeros() as u8).min(usufruct_core::handles::MOST_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use usufruct_core::hash::sha256;

    fn handle(number: u32) -> Digest {
        sha256(&number.to_be_bytes())
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_set_and_proofs_tell_what_is_in_it(
            first in prop::collection::btree_set(0u32..400, 0..300),
            steps in prop::collection::vec((prop::collection::btree_set(0u32..400, 0..40), prop::collection::btree_set(400u32..900, 0..60)), 0..6),
        ) {
            let mut set = first.clone();
            let mut handles = Handles::new(first.len() as u64);
            handles.add(&first.iter().map(|number| handle(*number)).collect::<Vec<_>>());
            handles.settle();
            for (removed, added) in steps {
                let removed: Vec<_> = removed.into_iter().filter(|number| set.remove(number)).map(handle).collect();
                let added: Vec<_> = added.into_iter().filter(|number| set.insert(*number)).map(handle).collect();
                let old = handles.root();
                handles.change(&removed, &added);
                prop_assert_eq!(handles.count(), set.len() as u64);
                prop_assert_eq!(old == handles.root(), removed.is_empty() && added.is_empty());
            }
            let root = handles.root();
            for number in 0..900 {
                let proof = handles.proof(&handle(number));
                prop_assert_eq!(proof.check(&handle(number), &root), Some(set.contains(&number)));
                prop_assert_eq!(proof.check(&handle(number), &handle(number)), None);
            }
            let mut again = Handles { bits: handles.bits, count: 0, buckets: vec![Vec::new(); 1 << handles.bits], nodes: vec![leaf(&[]); 2 << handles.bits] };
            again.add(&set.iter().map(|number| handle(*number)).collect::<Vec<_>>());
            again.hash_all();
            prop_assert_eq!(again.root(), root);
        }
    }

    #[test]
    fn false_proofs_lead_nowhere() {
        let mut handles = Handles::new(1_000);
        handles.add(&(0..1_000).map(handle).collect::<Vec<_>>());
        handles.settle();
        let (root, target) = (handles.root(), handle(7));
        let good = handles.proof(&target);
        assert_eq!(good.check(&target, &root), Some(true));
        let mut hidden = good.clone();
        hidden.bucket.retain(|other| *other != target);
        let mut disordered = good.clone();
        disordered.bucket.reverse();
        let mut other_count = good.clone();
        other_count.count -= 1;
        let mut short = good.clone();
        short.path.pop();
        let mut long = good.clone();
        long.path.resize(33, target);
        let elsewhere = handles.proof(&(8..).map(handle).find(|other| bucket_of(other, 6) != bucket_of(&target, 6)).unwrap());
        for bad in [hidden, disordered, other_count, short, long, elsewhere] {
            assert_eq!(bad.check(&target, &root), None);
        }
    }
}
