//! What the machine can do at best.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use usufruct_log::{Hash, leaf_hash, node_hash};

use crate::now;

/// Hashes a core makes in a second, by the same functions as the log.
pub struct Limits {
    pub leaves: f64,
    pub nodes: f64,
}

impl Limits {
    /// The seconds that hashing alone takes for a tree of so many event leaves on one core.
    pub fn bare_seconds(&self, leaves: u64) -> f64 {
        leaves as f64 / self.leaves + leaves as f64 / self.nodes
    }
}

/// Measures and prints.
pub fn limits(dir: &Path) -> Limits {
    let mut leaf = [7u8; 66];
    let leaves = per_second(|| {
        let hash = leaf_hash(&leaf);
        leaf[..32].copy_from_slice(&hash.0);
    });
    let mut node = Hash([7; 32]);
    let nodes = per_second(|| node = node_hash(&node, &node));
    let mut file = File::create(dir.join("sync")).expect("a file");
    let mut syncs = Vec::new();
    for _ in 0..200 {
        file.write_all(&[0; 4096]).expect("a write");
        let begin = now();
        file.sync_data().expect("a sync");
        syncs.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    syncs.sort_by(f64::total_cmp);
    println!("| the machine at best | |\n|---|---:|");
    println!("| hashes of event leaves a second and core | {leaves:.0} |");
    println!("| hashes of inner nodes a second and core | {nodes:.0} |");
    println!("| 4 kB appended and synced, p50 and p99 ms | {:.2} / {:.2} |\n", syncs[100], syncs[197]);
    Limits { leaves, nodes }
}

fn per_second(mut step: impl FnMut()) -> f64 {
    const STEPS: u32 = 2_000_000;
    let begin = now();
    for _ in 0..STEPS {
        step();
    }
    f64::from(STEPS) / begin.elapsed().as_secs_f64()
}
