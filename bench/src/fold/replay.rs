//! The replay, and what its parts cost by themselves.

use std::time::Duration;

use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, Tried};

use crate::city::Maker;
use crate::now;

/// Statements made and replayed at a time.
const STEP: usize = 10_000;

/// What the parts of the replay took so far.
#[derive(Default)]
struct Spent {
    /// From leaf to statement.
    read: Duration,
    /// The hashes that are signed.
    hash: Duration,
    /// The signatures and nothing else.
    signatures: Duration,
    /// Applying what was read, one after the other, as [`Register::apply`] does it: with the hash and the signatures.
    apply: Duration,
    /// The same once the signatures were tried.
    apply_tried: Duration,
    /// All of it on every core, as a city does it at its start.
    cores: Duration,
    approvals: usize,
    bytes: usize,
}

/// Measures and prints. Answers the register.
pub fn rows(statements: usize, mandates: usize, cores: usize) -> Register {
    let mut maker = Maker::new(mandates);
    let mut spent = Spent::default();
    let (mut serial, mut parallel) = (Register::default(), Register::default());
    let mut from = 0;
    while from < statements {
        let leaves: Vec<_> = (from..statements.min(from + STEP)).map(|_| maker.make().leaf().expect("a leaf")).collect();
        spent.step(&leaves, from as u64, &mut serial, &mut parallel, cores);
        from += leaves.len();
    }
    let bytes = |register: &Register| serde_json::to_vec(register).expect("a register");
    assert!(bytes(&serial) == bytes(&parallel), "the two ways of replaying differ");
    drop(parallel);

    let (seconds, of) = (|span: Duration| span.as_secs_f64(), statements as f64);
    let whole = spent.read + spent.apply;
    let unsigned = whole.saturating_sub(spent.signatures);
    println!("{statements} statements, {} approvals, {:.0} bytes a statement.\n", spent.approvals, spent.bytes as f64 / of);
    println!("| replay | s | µs a statement | against bare signatures |\n|---|---:|---:|---:|");
    for (name, span) in [
        ("whole, on one core", whole),
        ("bare Ed25519, as many signatures on one core", spent.signatures),
        ("whole without the signatures", unsigned),
        ("of it reading", spent.read),
        ("of it hashing", spent.hash),
        ("of it rules and fold", spent.apply_tried),
        ("whole, on every core", spent.cores),
    ] {
        let ratio = seconds(span) / seconds(spent.signatures);
        println!("| {name} | {:.2} | {:.2} | {ratio:.2} |", seconds(span), seconds(span) * 1e6 / of);
    }
    println!();
    serial
}

impl Spent {
    fn step(&mut self, leaves: &[Vec<u8>], from: u64, serial: &mut Register, parallel: &mut Register, cores: usize) {
        let begin = now();
        let read: Vec<_> = leaves.iter().map(|leaf| Statement::from_leaf(leaf).expect("a statement")).collect();
        self.read += begin.elapsed();
        let begin = now();
        let hashes: Vec<_> = read.iter().map(|statement| statement.hash().expect("a hash")).collect();
        self.hash += begin.elapsed();

        let begin = now();
        for (index, statement) in (from..).zip(&read) {
            serial.apply(statement, index).unwrap_or_else(|problems| panic!("leaf {index}: {problems:?}"));
        }
        self.apply += begin.elapsed();
        let begin = now();
        for (statement, hash) in read.iter().zip(&hashes) {
            for approval in &statement.approvals {
                let key = serial.agencies[&approval.agency].body.key(&approval.key);
                assert!(key.is_some_and(|key| approval.verifies(hash, key)));
            }
        }
        self.signatures += begin.elapsed();
        self.approvals += read.iter().map(|statement| statement.approvals.len()).sum::<usize>();
        self.bytes += leaves.iter().map(Vec::len).sum::<usize>();
        drop(read);

        let begin = now();
        let (keys, share) = (&*parallel, leaves.len().div_ceil(cores));
        let tried: Vec<Tried> = std::thread::scope(|scope| {
            let shares: Vec<_> = leaves.chunks(share).map(|leaves| scope.spawn(move || try_leaves(leaves, keys))).collect();
            shares.into_iter().flat_map(|share| share.join().expect("a share")).collect()
        });
        let applying = now();
        for (index, tried) in (from..).zip(&tried) {
            parallel.apply_tried(tried, index).unwrap_or_else(|problems| panic!("leaf {index}: {problems:?}"));
        }
        self.apply_tried += applying.elapsed();
        self.cores += begin.elapsed();
    }
}

fn try_leaves(leaves: &[Vec<u8>], keys: &Register) -> Vec<Tried> {
    let read = |leaf: &Vec<u8>| Tried::new(Statement::from_leaf(leaf).expect("a statement"), keys).expect("a hash");
    leaves.iter().map(read).collect()
}
