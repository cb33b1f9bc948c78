//! A city of many residents.

use std::path::Path;

use usufruct_app::vault::keytree::{PageFile, PageTree};
use usufruct_app::vault::roots::{Disk, FileRoots};
use usufruct_app::vault::{Key, KeyId, KeyTree};

use crate::{SystemRng, Tree, now, scattered, seconds};

/// What one city came to. Times in seconds.
pub struct Row {
    pub residents: u64,
    build: f64,
    open: f64,
    look_up: f64,
    enrol_one: f64,
    pub erase_one: f64,
    erase_one_worst: f64,
    erase_hundred: f64,
    pub erase_many: f64,
    bytes: u64,
    memory: u64,
}

/// Builds a tree and measures it.
pub fn measure(dir: &Path, residents: u64) -> Row {
    let folder = dir.join(residents.to_string());
    let before = own_memory();
    let tree = create(&folder);
    let build = seconds(|| fill(&tree, residents));
    drop(tree);
    let bytes = std::fs::metadata(folder.join("pages")).map_or(0, |metadata| metadata.len());
    let mut tree = None;
    let open = seconds(|| tree = Some(open(&folder)));
    let tree = tree.expect("it was opened");
    let memory = own_memory().saturating_sub(before);
    let look_ups = 200_000.min(residents);
    let look_up = seconds(|| {
        for number in scattered(residents).take(look_ups as usize) {
            assert!(tree.get(KeyId::Resident(number)).expect("the tree is whole").is_some());
        }
    }) / look_ups as f64;
    let enrol_one = typical(200, |_| {
        let number = tree.reserve(1);
        tree.insert(&[(KeyId::Resident(number), Key::random(&SystemRng))], &SystemRng).expect("the tree is whole");
    });
    let mut gone = scattered(residents);
    let mut erase = |count: usize| {
        let ids: Vec<KeyId> = gone.by_ref().take(count).map(KeyId::Resident).collect();
        seconds(|| drop(tree.erase(&ids, &[], &SystemRng).expect("the tree is whole")))
    };
    let mut singles: Vec<f64> = (0..200).map(|_| erase(1)).collect();
    singles.sort_by(f64::total_cmp);
    let mut hundreds: Vec<f64> = (0..9).map(|_| erase(100)).collect();
    hundreds.sort_by(f64::total_cmp);
    let mut many: Vec<f64> = (0..3).map(|_| erase(10_000)).collect();
    many.sort_by(f64::total_cmp);
    drop(tree);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    Row {
        residents,
        build,
        open,
        look_up,
        enrol_one,
        erase_one: singles[100],
        erase_one_worst: singles[197],
        erase_hundred: hundreds[4],
        erase_many: many[1],
        bytes,
        memory,
    }
}

pub fn print(rows: &[Row]) {
    println!(
        "| residents | build s | open and verify s | look-up µs | enrol 1 ms | erase 1 ms (p99) | erase 100 ms | erase 10,000 ms | bytes/resident | memory MB |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} ({:.2}) | {:.1} | {:.0} | {:.2} | {:.0} |",
            row.residents,
            row.build,
            row.open,
            row.look_up * 1e6,
            row.enrol_one * 1e3,
            row.erase_one * 1e3,
            row.erase_one_worst * 1e3,
            row.erase_hundred * 1e3,
            row.erase_many * 1e3,
            row.bytes as f64 / row.residents as f64,
            row.memory as f64 / 1e6,
        );
    }
    if let Some(largest) = rows.last() {
        println!("\nAgainst the aims, at {} residents (below 1 is better):", largest.residents);
        println!("- look-up in 10 µs: {:.2}", largest.look_up / 10e-6);
        println!("- one erasure in 2 ms: {:.2}", largest.erase_one / 2e-3);
        println!("- 10,000 erasures in 0.5 s: {:.2}", largest.erase_many / 0.5);
        println!("- 32.5 bytes per resident: {:.3}", largest.bytes as f64 / largest.residents as f64 / 32.5);
    }
}

pub fn create(folder: &Path) -> Tree {
    let roots = FileRoots::create(folder, &Tree::first_root(&SystemRng), Disk::Any).expect("the folder is empty");
    PageTree::create(PageFile::open(folder).expect("the folder is empty"), roots, &SystemRng).expect("the folder is empty")
}

fn open(folder: &Path) -> Tree {
    let roots = FileRoots::open(folder, Disk::Any).expect("it was made here");
    PageTree::open(PageFile::open(folder).expect("it was made here"), roots).expect("the tree is whole")
}

/// Enrols residents in batches that fill whole pages.
pub fn fill(tree: &Tree, residents: u64) {
    let mut left = residents;
    while left > 0 {
        let count = left.min(BATCH);
        let first = tree.reserve(count);
        let keys: Vec<_> = (first..first + count).map(|number| (KeyId::Resident(number), Key::random(&SystemRng))).collect();
        tree.insert(&keys, &SystemRng).expect("the tree is whole");
        left -= count;
    }
}

/// The median of `times` runs.
fn typical(times: usize, mut work: impl FnMut(usize)) -> f64 {
    let mut all: Vec<f64> = (0..times)
        .map(|number| {
            let begun = now();
            work(number);
            begun.elapsed().as_secs_f64()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[times / 2]
}

/// Bytes of memory that this process has now.
fn own_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Residents enrolled at once.
const BATCH: u64 = 127 * 127 * 8;
