//! The replay, and what its parts cost by themselves.

use std::time::Duration;

use usufruct_core::register::Register;
use usufruct_core::replay::Replay;
use usufruct_core::statement::{SigningKeys, Tried};

use crate::city::Maker;
use crate::now;

/// Statements made and replayed at a time.
const STEP: usize = 10_000;
/// Of these the first are few, since they name the keys.
const FIRST: usize = 32;

/// What the parts of the replay took so far.
#[derive(Default)]
struct Spent {
    /// From leaf to statement, with the hash that is signed.
    read: Duration,
    /// The signatures and nothing else.
    signatures: Duration,
    /// Applying what was read and tried, one after the other.
    apply: Duration,
    /// All of it on one core.
    whole: Duration,
    /// All of it on every core, as a city does it at its start.
    cores: Duration,
    approvals: usize,
    bytes: usize,
}

/// Measures and prints. Answers the register.
pub fn rows(statements: usize, mandates: usize, cores: usize) -> Register {
    let mut maker = Maker::new(mandates);
    let mut spent = Spent::default();
    let mut register = Register::default();
    let (mut alone, mut parallel) = (Replay::new(0), Replay::new(cores));
    let (mut from, mut size) = (0, FIRST);
    while from < statements {
        let leaf = |index: usize| (index as u64, maker.make().leaf().expect("a leaf"));
        let leaves: Vec<_> = (from..statements.min(from + size)).map(leaf).collect();
        spent.step(&leaves, &mut register);
        timed(&mut spent.whole, || assert!(alone.push(&leaves).is_empty()));
        timed(&mut spent.cores, || assert!(parallel.push(&leaves).is_empty()));
        (from, size) = (from + leaves.len(), STEP);
    }
    let bytes = |register: &Register| serde_json::to_vec(register).expect("a register");
    let expected = bytes(&register);
    for (name, replay, spent) in [("one core", alone, &mut spent.whole), ("every core", parallel, &mut spent.cores)] {
        let (other, refused) = timed(spent, || replay.finish());
        assert!(refused.is_empty() && bytes(&other) == expected, "the replay on {name} differs");
    }

    let (seconds, of) = (|span: Duration| span.as_secs_f64(), statements as f64);
    println!("{statements} statements, {} approvals, {:.0} bytes a statement.\n", spent.approvals, spent.bytes as f64 / of);
    println!("| replay | s | µs a statement | against bare signatures |\n|---|---:|---:|---:|");
    for (name, span) in [
        ("whole, on one core", spent.whole),
        ("bare Ed25519, as many signatures on one core", spent.signatures),
        ("whole without the signatures", spent.read + spent.apply),
        ("of it reading and hashing", spent.read),
        ("of it rules and fold", spent.apply),
        ("whole, on every core", spent.cores),
    ] {
        let ratio = seconds(span) / seconds(spent.signatures);
        println!("| {name} | {:.2} | {:.2} | {ratio:.2} |", seconds(span), seconds(span) * 1e6 / of);
    }
    println!();
    register
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begin = now();
    let result = work();
    *spent += begin.elapsed();
    result
}

impl Spent {
    fn step(&mut self, leaves: &[(u64, Vec<u8>)], register: &mut Register) {
        // Under no keys nothing is tried, so this is the reading alone.
        let read = |keys: &SigningKeys| -> Vec<Tried> {
            leaves.iter().map(|(_, leaf)| Tried::from_leaf(leaf, keys).expect("a statement")).collect()
        };
        let untried = timed(&mut self.read, || read(&SigningKeys::default()));
        drop(untried);
        let tried = read(&SigningKeys::of(register));
        timed(&mut self.apply, || {
            for ((index, _), tried) in leaves.iter().zip(&tried) {
                register.apply_tried(tried, *index).unwrap_or_else(|problems| panic!("leaf {index}: {problems:?}"));
            }
        });
        let hashes: Vec<_> = tried.iter().map(|tried| tried.statement().hash().expect("a hash")).collect();
        let hashed = || tried.iter().map(Tried::statement).zip(&hashes);
        timed(&mut self.signatures, || {
            for (statement, hash) in hashed() {
                for approval in &statement.approvals {
                    let key = register.agencies[&approval.agency].body.key(&approval.key);
                    assert!(key.is_some_and(|key| approval.verifies(hash, key)));
                }
            }
        });
        self.approvals += hashed().map(|(statement, _)| statement.approvals.len()).sum::<usize>();
        self.bytes += leaves.iter().map(|(_, leaf)| leaf.len()).sum::<usize>();
    }
}
