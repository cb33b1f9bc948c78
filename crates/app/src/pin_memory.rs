//! The memory in which PINs are looked at: a piece for each that is looked at at once, used again for the next, and given back when no PIN came
//! for a while.
//!
//! The allocator gives little back of pieces of this size once threads of a pool have freed some. So each is longer than what it keeps for
//! later: such a one is a map of its own, and goes back to the system as soon as it is freed. What of it is never written takes no memory.

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::{Argon2, Block};
use usufruct_core::Time;
use usufruct_core::time::MINUTE;

/// Pieces that nobody uses just now, all empty.
pub(crate) struct PinMemory {
    kept: Mutex<Vec<Piece>>,
    most: usize,
}

struct Piece {
    blocks: Vec<Block>,
    used_at: Time,
}

impl PinMemory {
    /// Strangers and browsers that are known have each as many turns at once as there are cores.
    pub fn new() -> Self {
        Self { kept: Mutex::default(), most: 2 * std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// Fills `out` with the digest of a secret, and leaves nothing of it in memory.
    pub fn digest(
        &self,
        hasher: &Argon2<'_>,
        secret: &[u8],
        salt: &[u8],
        out: &mut [u8],
        now: Time,
    ) -> Result<(), argon2::Error> {
        let known = self.locked().pop();
        let mut blocks = known.map_or_else(|| Vec::with_capacity(OWN_MAP), |piece| piece.blocks);
        blocks.resize(hasher.params().block_count(), Block::new());
        let outcome = hasher.hash_password_into_with_memory(secret, salt, out, &mut blocks);
        blocks.fill(Block::new());
        // A piece that is freed next is overwritten as well.
        black_box(&blocks);
        let mut kept = self.locked();
        if kept.len() < self.most {
            kept.push(Piece { blocks, used_at: now });
        }
        outcome
    }

    /// Gives back the pieces that were not used for a minute. Whoever comes next waits some milliseconds longer.
    pub fn rest(&self, now: Time) {
        self.locked().retain(|piece| now < piece.used_at.plus(KEPT_FOR));
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Piece>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KEPT_FOR: i64 = MINUTE;
/// Blocks of 1 KiB: more than the 32 MiB up to which glibc's allocator keeps for later what was freed (`M_MMAP_THRESHOLD` in mallopt(3)).
const OWN_MAP: usize = 33 * 1_024;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use argon2::{Algorithm, Params, Version};
    use usufruct_core::time::SECOND;

    use super::*;

    fn hasher(kibibytes: u32) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(kibibytes, 2, 1, None).unwrap())
    }

    /// Resident memory of this process in MiB.
    fn resident_mib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() / 1_024
    }

    #[test]
    fn a_piece_is_used_again_and_holds_nothing_meanwhile() {
        let memory = PinMemory::new();
        for kibibytes in [64, 32, 128, 64] {
            let (mut ours, mut theirs) = ([0; 32], [0; 32]);
            memory.digest(&hasher(kibibytes), b"204817", b"salt of sixteen!", &mut ours, Time::default()).unwrap();
            hasher(kibibytes).hash_password_into(b"204817", b"salt of sixteen!", &mut theirs).unwrap();
            assert_eq!(ours, theirs);
            let kept = memory.locked();
            assert_eq!(kept.len(), 1);
            assert!(kept[0].blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        }
    }

    #[test]
    fn memory_is_given_back_when_no_pin_came_for_a_minute() {
        const AT_ONCE: usize = 4;
        let memory = PinMemory { most: AT_ONCE, ..PinMemory::new() };
        let begun = Time::default();
        // Often enough for the allocator to have learnt what sizes come again.
        for _ in 0..3 {
            let together = Barrier::new(AT_ONCE);
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        together.wait();
                        memory.digest(&hasher(19 * 1_024), b"204817", b"salt of sixteen!", &mut [0; 32], begun).unwrap();
                    });
                }
            });
        }
        let taken = memory.locked().len();
        assert!(taken > 1, "several were looked at at once");
        let busy = resident_mib();
        memory.rest(begun.plus(59 * SECOND));
        assert_eq!(memory.locked().len(), taken);
        memory.digest(&hasher(19 * 1_024), b"204817", b"salt of sixteen!", &mut [0; 32], begun.plus(59 * SECOND)).unwrap();
        memory.rest(begun.plus(MINUTE));
        assert_eq!(memory.locked().len(), 1, "the one that was used lately stays");
        memory.rest(begun.plus(2 * MINUTE));
        assert!(memory.locked().is_empty());
        let given_back = busy.saturating_sub(resident_mib());
        assert!(given_back >= 18 * taken, "{given_back} MiB of {taken} pieces of 19 MiB");
    }
}
