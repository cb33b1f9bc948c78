//! A large log: publishing without a database, memory, restart, and the verification of all of it.

use std::path::Path;

use usufruct_log::{Ed25519Signer, Folder, Head, MemoryHead, Publisher, Reader, Signer, checkpoint};

use crate::machine::Limits;
use crate::{now, own};

const ORIGIN: &str = "bench.example/log";
/// Leaves under one head.
const STEP: u64 = 100_000;

/// Measures and prints.
pub fn rows(dir: &Path, leaves: u64, limits: &Limits) {
    let objects = Folder::open(dir.join("whole")).expect("a folder");
    let head = MemoryHead::default();
    let (memory, written, begin) = (own("status", "VmRSS"), own("io", "write_bytes"), now());
    let mut publisher = Publisher::open(&objects, &head, signers(), ORIGIN, None).expect("a publisher");
    let mut size = 0;
    while size < leaves {
        let end = (size + STEP).min(leaves);
        publisher.publish((size..end).map(|index| (index, leaf(index))), 1).expect("a checkpoint");
        size = end;
    }
    let publishing = begin.elapsed().as_secs_f64();
    let memory = own("status", "VmRSS").saturating_sub(memory);
    let written = (own("io", "write_bytes") - written) as f64 / leaves as f64;
    drop(publisher);

    let begin = now();
    let publisher = Publisher::open(&objects, &head, signers(), ORIGIN, None).expect("the same log");
    assert_eq!(publisher.size().expect("a size"), leaves);
    let restart = begin.elapsed().as_secs_f64() * 1_000.0;

    let key = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).expect("a key");
    let begin = now();
    let (public, _) = checkpoint::fetch(&objects, ORIGIN, &[&key]).expect("the checkpoint");
    let mut read = 0u64;
    Reader::new(&objects, public)
        .entries(0, |_, _| {
            read += 1;
            Ok(())
        })
        .expect("a whole log");
    let verifying = begin.elapsed().as_secs_f64();
    assert_eq!((read, head.load().expect("a head").map(|head| head.size)), (leaves, Some(leaves)));
    let bare = limits.bare_seconds(leaves);

    println!("| a log of {leaves} event leaves | |\n|---|---:|");
    println!("| published by 100,000 under a head, leaves/s | {:.0} |", leaves as f64 / publishing);
    println!("| bytes written a leaf | {written:.1} |");
    println!("| memory of the publisher at the end, kB | {memory} |");
    println!("| opened again, ms | {restart:.1} |");
    println!("| all of it verified on one core, s | {verifying:.2} |");
    println!("| bare hashing of as many leaves and nodes, s | {bare:.2} |");
    println!("| ratio | {:.2} |", verifying / bare);
}

fn leaf(index: u64) -> Vec<u8> {
    let mut leaf = vec![0xa5; 66];
    leaf[..2].copy_from_slice(&[1, 2]);
    leaf[2..10].copy_from_slice(&index.to_be_bytes());
    leaf
}

fn signers() -> Vec<Box<dyn Signer + Send + Sync>> {
    vec![Box::new(Ed25519Signer::from_seed(ORIGIN, &[1; 32]).expect("a key"))]
}
