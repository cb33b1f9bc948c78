//! The register out of the statements of a log, on as many cores as there are.

use std::panic::resume_unwind;
use std::thread;

use crate::draft::Problem;
use crate::register::Register;
use crate::statement::{Malformed, SigningKeys, Tried};

/// A replay that goes on. Statements are handed over in parts; while one part is applied, one statement after the other, the next is read and
/// its signatures are tried. What comes out is what [`Register::apply`] gives, whatever the parts and the threads.
pub struct Replay {
    register: Register,
    /// The keys that stood when the part before was handed over. A signature under a newer one is tried when its statement is applied.
    keys: SigningKeys,
    /// Read and not applied yet.
    waiting: Vec<Waiting>,
    threads: usize,
}

/// A leaf that is no part of the register.
#[derive(Debug)]
pub struct Refused {
    /// Number of the leaf.
    pub index: u64,
    pub why: Why,
}

/// Why a leaf is no part of the register.
#[derive(Debug)]
pub enum Why {
    /// It is no statement.
    Malformed(Malformed),
    /// It is a statement that the register cannot take.
    Unlawful(Vec<Problem>),
}

impl Replay {
    /// Begins with the empty register. `threads` read and try beside the one that applies; with none everything is done here.
    pub fn new(threads: usize) -> Self {
        Self { register: Register::default(), keys: SigningKeys::default(), waiting: Vec::new(), threads }
    }

    /// Takes the next statement leaves, each with its number, and applies those handed over before. The answer is what was refused of those,
    /// in the order of the log; whatever is refused changes nothing.
    pub fn push(&mut self, leaves: &[(u64, Vec<u8>)]) -> Vec<Refused> {
        let Self { register, keys, waiting, threads } = self;
        let waited = std::mem::take(waiting);
        let refused = if *threads == 0 {
            *waiting = read(leaves, keys);
            apply(register, waited)
        } else {
            let share = leaves.len().div_ceil(*threads).max(1);
            let under = &*keys;
            thread::scope(|scope| {
                let shares: Vec<_> = leaves.chunks(share).map(|part| scope.spawn(move || read(part, under))).collect();
                let refused = apply(register, waited);
                for share in shares {
                    waiting.extend(share.join().unwrap_or_else(|panic| resume_unwind(panic)));
                }
                refused
            })
        };
        *keys = SigningKeys::of(register);
        refused
    }

    /// Applies what is left. The answer is the register, and what was refused since the last part.
    pub fn finish(mut self) -> (Register, Vec<Refused>) {
        let waited = std::mem::take(&mut self.waiting);
        let refused = apply(&mut self.register, waited);
        (self.register, refused)
    }
}

type Waiting = (u64, Result<Tried, Malformed>);

fn read(leaves: &[(u64, Vec<u8>)], keys: &SigningKeys) -> Vec<Waiting> {
    leaves.iter().map(|(index, leaf)| (*index, Tried::from_leaf(leaf, keys))).collect()
}

fn apply(register: &mut Register, waited: Vec<Waiting>) -> Vec<Refused> {
    let refusal = |(index, tried): Waiting| {
        let taken = tried.map_err(Why::Malformed).and_then(|tried| register.apply_tried(&tried, index).map_err(Why::Unlawful));
        taken.err().map(|why| Refused { index, why })
    };
    waited.into_iter().filter_map(refusal).collect()
}
