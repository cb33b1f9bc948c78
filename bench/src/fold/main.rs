//! Measures the register fold and the decision: `cargo run --release -p usufruct-bench --bin fold [-- STATEMENTS [MANDATES]]`.
//!
//! A million statements about 10,000 mandates unless told: each mandate with its notice and the steps that bring it into force, and from
//! then on suspensions by the machine and resumptions by two people. They are made and replayed by 10,000, and only the replay is timed.
//! At the end the decision is timed again beside an agreement about each mandate, and beside breaches that can still do harm.

mod city;
mod decision;
mod neighbours;
mod replay;

use std::time::Instant;

fn main() {
    let argument = |n| std::env::args().nth(n).and_then(|text| text.parse().ok());
    let (statements, mandates) = (argument(1).unwrap_or(1_000_000), argument(2).unwrap_or(10_000));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("# Register\n\n{cores} cores, {mandates} mandates.\n");
    let register = replay::rows(statements, mandates, cores);
    decision::rows(&register, mandates);
    decision::neighbour_rows(register, mandates);
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}
