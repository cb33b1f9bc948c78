//! Measures the log and prints a table: `cargo run --release -p usufruct-bench --bin log [-- SECONDS [LEAVES]]`.
//!
//! First what the machine can do at best (hashing, syncing), then appending through the database with a receipt for each
//! entry while a checkpoint is published every second, then the publisher alone, then a log of LEAVES event leaves
//! (10 million unless told): memory, restart and the verification of all of it.

mod appending;
mod machine;
mod whole;

use std::time::{Duration, Instant};

fn main() {
    let argument = |n| std::env::args().nth(n).and_then(|text| text.parse().ok());
    let span = Duration::from_secs(argument(1).unwrap_or(10));
    let leaves = argument(2).unwrap_or(10_000_000);
    let folder = std::env::var_os("USUFRUCT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("a folder to measure in");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("# Log\n\n{cores} cores, files in {}.\n", dir.path().parent().unwrap_or(dir.path()).display());

    let limit = machine::limits(dir.path());
    let event = appending::rows(dir.path(), span);
    whole::rows(dir.path(), leaves, &limit);
    println!("\nAgainst the aim of 100,000 durable event leaves/s: {:.2}", event / 100_000.0);
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// A field of `/proc/self/status` or `/proc/self/io`, as the number it begins with.
pub fn own(file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
