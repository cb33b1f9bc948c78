//! Measures the key tree and prints a table: `cargo run --release -p usufruct-bench --bin vault [-- RESIDENTS...]`.
//!
//! For each number of residents (100,000, 2.4 million and 23 million unless told): building, opening, looking up, destroying one
//! key and many, bytes on disk. Then the end of a mandate with 1, 10,000 and a million grants, copies on loan and tokens under it, and
//! another pseudonym for everybody at a service. Then what people do instead: `DELETE` and `VACUUM FULL` of as many rows in PostgreSQL,
//! if `USUFRUCT_TEST_POSTGRES` names one.
//!
//! With `pseudonyms` as its one argument it measures pseudonyms and nothing else, with `sunsets` the end of a mandate and the new
//! pseudonyms, with `keepers` a new root in a file against one with three keepers over TLS.

mod keepers;
mod postgres;
mod pseudonyms;
mod residents;
mod rotations;
mod sunsets;

#[path = "../../../crates/app/tests/common/mod.rs"]
mod city;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use usufruct_app::vault::keytree::{PageFile, PageTree};
use usufruct_app::vault::roots::FileRoots;
use usufruct_core::ports::Rng;

/// The tree as a city of one machine has it.
pub type Tree = PageTree<PageFile, FileRoots>;

fn main() {
    let asked: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![100_000, 2_400_000, 23_000_000] } else { asked };
    let folder = std::env::var_os("USUFRUCT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("a folder to measure in");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    if std::env::args().nth(1).as_deref() == Some("pseudonyms") {
        println!("# Pseudonyms\n\n{cores} cores, one of them measured.\n");
        pseudonyms::print(dir.path());
        return;
    }
    if std::env::args().nth(1).as_deref() == Some("sunsets") {
        println!("# The end of a mandate\n\n{cores} cores, files in {}.", dir.path().parent().unwrap_or(dir.path()).display());
        sunsets::print(dir.path());
        rotations::print(dir.path());
        return;
    }
    if std::env::args().nth(1).as_deref() == Some("keepers") {
        println!("# Keepers\n\n{cores} cores, all programs on this machine.");
        keepers::print(dir.path());
        return;
    }
    println!("# Key tree\n\n{cores} cores, files in {}.\n", dir.path().parent().unwrap_or(dir.path()).display());
    let rows: Vec<residents::Row> = sizes.iter().map(|size| residents::measure(dir.path(), *size)).collect();
    residents::print(&rows);
    sunsets::print(dir.path());
    rotations::print(dir.path());
    postgres::print(&rows);
}

/// Chance from the system, in large helpings, as the server takes it.
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        use std::io::Read;
        static SOURCE: std::sync::Mutex<Option<std::io::BufReader<std::fs::File>>> = std::sync::Mutex::new(None);
        let mut source = SOURCE.lock().expect("nobody panicked with it");
        let reader = source.get_or_insert_with(|| {
            std::io::BufReader::with_capacity(1 << 16, std::fs::File::open("/dev/urandom").expect("the system has chance"))
        });
        reader.read_exact(bytes).expect("the system has chance");
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Runs `work` and answers how long it took, in seconds.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let begun = now();
    work();
    begun.elapsed().as_secs_f64()
}

/// Numbers that jump about below `size`, each once for `size` calls.
pub fn scattered(size: u64) -> impl Iterator<Item = u64> {
    static START: AtomicU64 = AtomicU64::new(1);
    let start = START.fetch_add(7_919, Ordering::Relaxed);
    // A step without a common factor reaches every number.
    (0..size).map(move |at| 1 + (start + at * 982_451_653) % size)
}
