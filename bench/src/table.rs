//! The printed table: one row a measurement.

use std::path::Path;
use std::time::Duration;

use usufruct_store::db::Counters;

use crate::city::City;

/// What one measurement came to.
pub struct Row {
    name: &'static str,
    uses: u64,
    seconds: f64,
    /// Sorted, in microseconds, one a request.
    latencies: Vec<u32>,
    commits: u64,
}

pub struct Table {
    rows: Vec<(&'static str, f64)>,
}

impl Row {
    pub fn new(
        name: &'static str,
        mut latencies: Vec<u32>,
        span: Duration,
        uses_each: u64,
        before: Counters,
        after: Counters,
    ) -> Self {
        latencies.sort_unstable();
        Self {
            name,
            uses: latencies.len() as u64 * uses_each,
            seconds: span.as_secs_f64(),
            latencies,
            commits: after.commits - before.commits,
        }
    }

    pub fn per_second(&self) -> f64 {
        self.uses as f64 / self.seconds
    }

    fn millis(&self, quantile: f64) -> f64 {
        let at = ((self.latencies.len().max(1) - 1) as f64 * quantile) as usize;
        self.latencies.get(at).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }
}

impl Table {
    pub fn new() -> Self {
        Self { rows: Vec::new() }
    }

    pub fn header(&self, city: &City, dir: &Path) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        println!(
            "# Release path\n\n{cores} cores, {}, {} residents.\n",
            crate::database(dir),
            city.app.resident_count().unwrap_or(0)
        );
        println!("| what | uses/s | p50 ms | p99 ms | uses per disk sync |");
        println!("|---|---:|---:|---:|---:|");
    }

    pub fn row(&mut self, row: &Row) {
        let per_sync = row.uses as f64 / row.commits.max(1) as f64;
        println!("| {} | {:.0} | {:.2} | {:.2} | {per_sync:.1} |", row.name, row.per_second(), row.millis(0.5), row.millis(0.99));
        self.rows.push((row.name, row.per_second()));
    }

    pub fn ratios(&self) {
        let Some((base_name, base)) = self.rows.first() else { return };
        println!("\nAgainst `{base_name}`:");
        for (name, rate) in &self.rows[1..] {
            println!("- {name}: {:.2}", rate / base);
        }
        println!("- the aim of 40,000 uses/s: {:.2}", base / 40_000.0);
    }
}
