//! The memory in which PINs are looked at: a piece for each that is looked at at once, used again for the next. The allocator gives back little
//! of such pieces once threads of a pool have freed some.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::{Argon2, Block};

/// Pieces that nobody uses just now, all empty.
pub(crate) struct PinMemory {
    kept: Mutex<Vec<Vec<Block>>>,
    most: usize,
}

impl PinMemory {
    /// Strangers and browsers that are known have each as many turns at once as there are cores.
    pub fn new() -> Self {
        Self { kept: Mutex::default(), most: 2 * std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// Fills `out` with the digest of a secret, and leaves nothing of it in memory.
    pub fn digest(&self, hasher: &Argon2<'_>, secret: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), argon2::Error> {
        let mut piece = self.locked().pop().unwrap_or_default();
        piece.resize(hasher.params().block_count(), Block::new());
        let outcome = hasher.hash_password_into_with_memory(secret, salt, out, &mut piece);
        piece.fill(Block::new());
        let mut kept = self.locked();
        if kept.len() < self.most {
            kept.push(piece);
        }
        outcome
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Params, Version};

    use super::*;

    #[test]
    fn a_piece_is_used_again_and_holds_nothing_meanwhile() {
        let hasher = |kibibytes| Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(kibibytes, 2, 1, None).unwrap());
        let memory = PinMemory::new();
        for kibibytes in [64, 32, 128, 64] {
            let (mut ours, mut theirs) = ([0; 32], [0; 32]);
            memory.digest(&hasher(kibibytes), b"204817", b"salt of sixteen!", &mut ours).unwrap();
            hasher(kibibytes).hash_password_into(b"204817", b"salt of sixteen!", &mut theirs).unwrap();
            assert_eq!(ours, theirs);
            let kept = memory.locked();
            assert_eq!(kept.len(), 1);
            assert!(kept[0].iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        }
    }
}
