//! The Merkle tree: growing it by its right frontier, and verifying proofs about it.
//!
//! Whole trees follow RFC 6962 section 2.1 (verification as in RFC 9162 section 2.1.3 and 2.1.4), subtrees follow
//! draft-ietf-plants-merkle-tree-certs section 4.

use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root, node_hash};

/// The roots of the largest complete subtrees of a tree, left to right: all it takes to append and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a frontier that was taken down with [`Frontier::nodes`]; `None` if the count does not fit the size.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// Appends a leaf by its hash.
    pub fn append(&mut self, leaf_hash: Hash) {
        let mut hash = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.nodes.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold_right(self.nodes.iter().rev().copied()).unwrap_or_else(empty_root)
    }
}

/// Verifies that the leaf stands at `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(index: u64, size: u64, leaf_hash: &Hash, proof: &[Hash], root: &Hash) -> Result<()> {
    if index >= size {
        return Err(Error::Proof { why: "the index lies beyond the tree" });
    }
    let (inner, border) = inclusion_parts(index, size);
    if proof.len() != inner + border {
        return Err(Error::Proof { why: "it has the wrong length" });
    }
    let (inside, along) = proof.split_at(inner);
    let hash = climb_border(climb(*leaf_hash, inside, index), along);
    require(hash == *root, "it leads to another root")
}

/// Verifies that the tree of `old` leaves is a prefix of the tree of `new` leaves (RFC 9162 section 2.1.4.2).
///
/// Strict about the empty tree: every proof from size 0 is refused, because it proves nothing. Whoever wants to accept
/// the empty proof there, as tlog-witness does, decides so before the call.
pub fn verify_consistency(old: u64, new: u64, proof: &[Hash], old_root: &Hash, new_root: &Hash) -> Result<()> {
    if old == 0 {
        return Err(Error::Proof { why: "the older tree is empty" });
    }
    verify_subtree_consistency(0, old, new, proof, old_root, new_root)
}

/// Verifies that the leaf with the given index in the whole tree stands in the subtree `[start, end)`.
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf_hash: &Hash,
    proof: &[Hash],
    subtree_root: &Hash,
) -> Result<()> {
    if start >= end || !is_subtree(start, end) {
        return Err(Error::Proof { why: "the range is not a subtree" });
    }
    if index < start {
        return Err(Error::Proof { why: "the index lies before the subtree" });
    }
    verify_inclusion(index - start, end - start, leaf_hash, proof, subtree_root)
}

/// Verifies that the subtree `[start, end)` is part of the tree of `size` leaves
/// (draft-ietf-plants-merkle-tree-certs section 4.4.3).
///
/// An empty subtree has the empty root and needs no proof; nothing is then said about the tree.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    proof: &[Hash],
    subtree_root: &Hash,
    root: &Hash,
) -> Result<()> {
    if start > end || end > size || !is_subtree(start, end) {
        return Err(Error::Proof { why: "the range is not a subtree of the tree" });
    }
    if start == end {
        return require(proof.is_empty() && *subtree_root == empty_root(), "an empty subtree has the empty root and no proof");
    }
    let (mut first, mut second, mut last) = (start, end - 1, size - 1);
    while first != second && (second == last || second & 1 == 1) {
        (first, second, last) = (first >> 1, second >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    let seed = if first == second { subtree_root } else { hashes.next().ok_or(Error::Proof { why: "it is too short" })? };
    let (mut inside, mut whole) = (*seed, *seed);
    for hash in hashes {
        if last == 0 {
            return Err(Error::Proof { why: "it is too long" });
        }
        if second & 1 == 1 || second == last {
            if first < second {
                inside = node_hash(hash, &inside);
            }
            whole = node_hash(hash, &whole);
            while second & 1 == 0 && second != 0 {
                (first, second, last) = (first >> 1, second >> 1, last >> 1);
            }
        } else {
            whole = node_hash(&whole, hash);
        }
        (first, second, last) = (first >> 1, second >> 1, last >> 1);
    }
    require(last == 0, "it is too short")?;
    require(inside == *subtree_root, "it leads to another subtree root")?;
    require(whole == *root, "it leads to another root")
}

/// Whether `[start, end)` can be a subtree: the start is a multiple of the smallest power of two that holds the range.
pub fn is_subtree(start: u64, end: u64) -> bool {
    let Some(length) = end.checked_sub(start) else {
        return false;
    };
    match length.max(1).checked_next_power_of_two() {
        Some(span) => start.is_multiple_of(span),
        None => start == 0,
    }
}

/// Hashes a list of subtree roots, rightmost first, into one root.
pub(crate) fn fold_right(roots: impl IntoIterator<Item = Hash>) -> Option<Hash> {
    roots.into_iter().reduce(|right, left| node_hash(&left, &right))
}

/// The root of a complete tree over `hashes`, whose number must be a power of two.
pub(crate) fn complete_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    match hashes {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let mut row: Vec<Hash> = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            while row.len() > 1 {
                row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            }
            row[0]
        }
    }
}

/// Splits an inclusion proof into the part below and the part along the right border of the tree.
fn inclusion_parts(index: u64, size: u64) -> (usize, usize) {
    let inner = 64 - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner as usize, border as usize)
}

fn climb(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    proof.iter().enumerate().fold(seed, |hash, (level, sibling)| {
        if (index >> level) & 1 == 0 { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) }
    })
}

fn climb_border(seed: Hash, proof: &[Hash]) -> Hash {
    proof.iter().fold(seed, |hash, left| node_hash(left, &hash))
}

fn require(holds: bool, why: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Proof { why }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn a_frontier_has_the_root_of_the_definition() {
        let leaves: Vec<Hash> = (0..70u8).map(|i| leaf_hash(&[i])).collect();
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), empty_root());
        for (count, leaf) in leaves.iter().enumerate() {
            frontier.append(*leaf);
            assert_eq!(frontier.root(), by_definition(&leaves[..=count]));
            let again = Frontier::from_nodes(frontier.size(), frontier.nodes().to_vec()).unwrap();
            assert_eq!(again, frontier);
        }
        assert!(Frontier::from_nodes(3, vec![leaf_hash(b"")]).is_none());
    }

    #[test]
    fn subtrees_are_aligned() {
        assert!(is_subtree(0, 5) && is_subtree(4, 7) && is_subtree(8, 16) && is_subtree(3, 4) && is_subtree(0, u64::MAX));
        assert!(!is_subtree(1, 3) && !is_subtree(4, 9) && !is_subtree(5, 4) && !is_subtree(1, u64::MAX));
    }

    #[test]
    fn absurd_sizes_do_not_panic() {
        let hash = empty_root();
        for (a, b) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (u64::MAX, u64::MAX), (1 << 63, u64::MAX)] {
            let _ = verify_inclusion(a, b, &hash, &[hash; 64], &hash);
            let _ = verify_consistency(a, b, &[hash; 64], &hash, &hash);
            let _ = verify_subtree_consistency(a, a, b, &[hash; 3], &hash, &hash);
        }
    }

    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }
}
