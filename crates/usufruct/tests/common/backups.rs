//! What tests do with the backups of a pass.

use std::fs;
use std::path::{Path, PathBuf};

use usufruct_core::Time;
use usufruct_core::hash::{hex, hmac_sha256, sha256};

/// The only backup in a folder.
pub fn only(folder: &str) -> String {
    let all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].display().to_string()
}

/// Writes the manifest of a backup anew, with the hashes of what lies there now and the mark of the pass in `dir`, as whoever has its keys can.
pub fn forge(dir: &str, set: &str, made_at: impl Fn(Time) -> Time) {
    let path = format!("{set}/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let time: Time = manifest["made_at"].as_str().unwrap().parse().unwrap();
    manifest["made_at"] = made_at(time).to_string().into();
    for file in manifest["files"].as_array_mut().unwrap() {
        let bytes = fs::read(Path::new(set).join(file["name"].as_str().unwrap())).unwrap();
        file["bytes"] = bytes.len().into();
        file["sha256"] = sha256(&bytes).to_string().into();
    }
    let seed = fs::read(format!("{dir}/keys/log.seed")).unwrap();
    let key = hmac_sha256(&seed, &[b"usufruct/backup-key/v1"]);
    manifest["mark"] = serde_json::Value::Null;
    let of = |field: &str| manifest[field].to_string();
    let file = |file: &serde_json::Value| {
        format!("{{\"name\":{},\"bytes\":{},\"sha256\":{}}}", file["name"], file["bytes"], file["sha256"])
    };
    let files: Vec<String> = manifest["files"].as_array().unwrap().iter().map(file).collect();
    let text = format!(
        "{{\"form\":{},\"origin\":{},\"made_at\":{},\"leaves\":{},\"files\":[{}],\"mark\":null}}",
        of("form"),
        of("origin"),
        of("made_at"),
        of("leaves"),
        files.join(",")
    );
    manifest["mark"] = hex(&hmac_sha256(&key, &[b"usufruct/backup-mark/v1", text.as_bytes()])).into();
    fs::write(path, manifest.to_string()).unwrap();
}

/// Has the pass in `dir` work each night as these lines of its set-up say.
pub fn ask_for_nights(dir: &str, table: &str) {
    let setup = format!("{dir}/usufruct.toml");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, format!("{text}\n[nightly]\n{table}\n")).unwrap();
}
