//! Measures the release path and prints a table: `cargo run --release -p usufruct-bench [-- seconds]`.
//!
//! In process with one thread per request in flight, then paced at half of what was reached, then in batches, then over
//! HTTP on loopback. Every figure includes the durable commit; `syncs` counts the commits of the database's one writer.

mod http;
mod table;

#[path = "../../crates/app/tests/common/mod.rs"]
mod city;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use city::{City, block, mandate, service};
use table::{Row, Table};
use usufruct_app::BatchRequest;
use usufruct_core::event::Form;

const RESIDENTS: usize = 10_000;
const IN_FLIGHT: usize = 256;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let folder = std::env::var_os("USUFRUCT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("a folder to measure in");
    let city = City::found(dir.path(), std::env::var("USUFRUCT_BENCH_DATABASE").ok().as_deref());
    let subjects = people(&city);
    let mut table = Table::new();
    table.header(&city, dir.path());

    let full = run("release, in process", &city, &subjects, IN_FLIGHT, None, span);
    let pace = full.per_second() / 2.0;
    table.row(&full);
    table.row(&run("release, one at a time", &city, &subjects, 1, None, span));
    table.row(&run("release, in process, half load", &city, &subjects, IN_FLIGHT, Some(pace), span));
    table.row(&batches(&city, &subjects, span));
    for row in http::rows(&city, &subjects, span) {
        table.row(&row);
    }
    table.ratios();
}

/// Residents who agreed, and their pseudonyms.
fn people(city: &City) -> Vec<String> {
    let residents = city.enrol(RESIDENTS);
    let chunk = residents.len().div_ceil(64);
    std::thread::scope(|scope| {
        let threads: Vec<_> = residents
            .chunks(chunk)
            .map(|part| {
                scope.spawn(move || {
                    let agree = |resident: &u64| {
                        city.app.consent_at_counter(*resident, &service(), &mandate(), &[]).expect("consent");
                        city.app.subject(*resident, &service()).expect("subject")
                    };
                    part.iter().map(agree).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    })
}

/// `threads` callers release one block after the other, as fast as they can or together at `pace` a second.
fn run(name: &'static str, city: &City, subjects: &[String], threads: usize, pace: Option<f64>, span: Duration) -> Row {
    let stop = AtomicBool::new(false);
    let next = AtomicU64::new(0);
    let before = city.app.db().counters();
    let begin = now();
    let latencies: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut latencies = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let mut due = now();
                        if let Some(pace) = pace {
                            // Latency counts from when the request was due, so that a stall is not hidden.
                            due = begin + Duration::from_secs_f64(i as f64 / pace);
                            std::thread::sleep(due.saturating_duration_since(now()));
                        }
                        let subject = &subjects[i as usize % subjects.len()];
                        city.app.release(&city.request(subject)).expect("release");
                        latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    latencies
                })
            })
            .collect();
        std::thread::sleep(span);
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    });
    Row::new(name, latencies.concat(), begin.elapsed(), 1, before, city.app.db().counters())
}

fn batches(city: &City, subjects: &[String], span: Duration) -> Row {
    let batch = BatchRequest {
        service: service(),
        mandate: mandate(),
        subjects: subjects.to_vec(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    };
    let before = city.app.db().counters();
    let begin = now();
    let mut latencies = Vec::new();
    while begin.elapsed() < span {
        let start = now();
        let answer = city.app.release_batch(&batch).expect("batch");
        assert!(answer.lines.iter().all(|line| line.outcome.is_ok()));
        latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Row::new("batch of 10,000, in process", latencies, begin.elapsed(), subjects.len() as u64, before, city.app.db().counters())
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Where the database of a city lies, for the header.
fn database(dir: &Path) -> String {
    std::env::var("USUFRUCT_BENCH_DATABASE")
        .map_or_else(|_| format!("SQLite in {}", dir.parent().unwrap_or(dir).display()), |_| "PostgreSQL".into())
}
