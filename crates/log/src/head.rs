//! The signed head: the one value of a log that moves, and moves by compare-and-swap.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::hash::Hash;

/// The latest signed state of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// When it was signed, in seconds since 1970 UTC.
    pub time: u64,
    /// The signed checkpoint.
    pub note: Vec<u8>,
}

/// Where the head is kept: durable, and best on another medium than the objects, so that the two cannot be rolled
/// back together.
pub trait Head {
    /// The current head; `None` if nothing has ever been signed.
    fn load(&self) -> Result<Option<SignedHead>>;

    /// Replaces the head if it still is `old`, in one durable step. `false` if it is not.
    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool>;
}

impl<H: Head + ?Sized> Head for &H {
    fn load(&self) -> Result<Option<SignedHead>> {
        (**self).load()
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        (**self).swap(old, new)
    }
}

impl<H: Head + ?Sized> Head for std::sync::Arc<H> {
    fn load(&self) -> Result<Option<SignedHead>> {
        (**self).load()
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        (**self).swap(old, new)
    }
}

/// A head in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryHead(Mutex<Option<SignedHead>>);

impl Head for MemoryHead {
    fn load(&self) -> Result<Option<SignedHead>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> Result<bool> {
        let mut head = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = head.as_ref() == old;
        if unchanged {
            *head = Some(new.clone());
        }
        Ok(unchanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::empty_root;

    #[test]
    fn a_stale_swap_is_refused() {
        let head = MemoryHead::default();
        let one = SignedHead { size: 0, root: empty_root(), time: 7, note: b"one".to_vec() };
        let two = SignedHead { note: b"two".to_vec(), ..one.clone() };
        assert!(head.swap(None, &one).unwrap());
        assert!(!head.swap(None, &two).unwrap());
        assert!(!head.swap(Some(&two), &two).unwrap());
        assert!(head.swap(Some(&one), &two).unwrap());
        assert_eq!(head.load().unwrap(), Some(two));
    }
}
