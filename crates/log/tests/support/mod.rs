//! What the tests of the formats share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use usufruct_log::{Checkpoint, empty_root, leaf_hash};

pub const ORIGIN: &str = "log.example/2026";

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/tlog")
}

pub fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors().join(name)).unwrap()).unwrap()
}

/// Fails when a golden file does not hold this. With `USUFRUCT_WRITE_VECTORS` in the environment it is written instead.
pub fn golden(name: &str, value: &Value) {
    if std::env::var_os("USUFRUCT_WRITE_VECTORS").is_some() {
        fs::write(vectors().join(name), format!("{}\n", serde_json::to_string_pretty(value).unwrap())).unwrap();
    }
    assert!(read(name) == *value, "vectors/tlog/{name} is out of date: run this test with USUFRUCT_WRITE_VECTORS=1");
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A checkpoint that is well-formed; there is no tree behind it.
pub fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(ORIGIN, size, if size == 0 { empty_root() } else { leaf_hash(&size.to_be_bytes()) }).unwrap()
}
