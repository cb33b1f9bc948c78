//! A mirror as a program: it follows a city, survives being killed, and gives the city back its log after the operator
//! has deleted it.

mod common;

use std::fs;
use std::thread;
use std::time::Duration;

use common::{Folder, Server, fails, ok};
use usufruct_app::log::VerifierKey;
use usufruct_app::log::witnessing::origin_hash;
use usufruct_store::db::{Connection, Db, Options, Value};

#[test]
fn a_deleted_log_comes_back_from_a_mirror_on_sqlite() {
    let folder = Folder::new("mirror");
    let url = format!("sqlite:{}", folder.at("city/usufruct.db"));
    deleted_and_restored(&folder, None, &url);
}

#[test]
fn a_deleted_log_comes_back_from_a_mirror_on_postgresql() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let folder = Folder::new("mirror-postgres");
    let schema = format!("mirror_{}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make schema", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{separator}options=-csearch_path%3D{schema}");
    deleted_and_restored(&folder, Some(&url), &url);
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    admin.transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
}

fn deleted_and_restored(folder: &Folder, database: Option<&str>, url: &str) {
    let (city, mirror, logs, seen) = (folder.at("city"), folder.at("mirror"), folder.at("logs.policy"), folder.at("seen.json"));
    let mut load = vec!["demo", "--load-only", "--residents", "20", "--data-dir", &city];
    load.extend(database.iter().flat_map(|url| ["--database", url]));
    ok(&load);
    ok(&["verify", &city, "--state", &seen]);
    let key: VerifierKey = fs::read_to_string(folder.at("city/log/vkey")).unwrap().trim().parse().unwrap();
    fs::write(&logs, format!("log {key}\n")).unwrap();
    assert_eq!(ok(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"]).lines().count(), 2);
    fails(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"], 1);

    let serve = ["mirror", "serve", "--data-dir", &mirror, "--logs", &logs, "--listen", "127.0.0.1:0", "--every", "1"];
    // Killed in the middle of anything, it goes on.
    for pause in [0, 20, 60] {
        let (server, _) = Server::start_printing(&[&serve[..], &["--follow", &city]].concat());
        thread::sleep(Duration::from_millis(pause));
        server.kill();
    }
    let (_server, address) = Server::start_printing(&[&serve[..], &["--follow", &city]].concat());
    assert!(fails(&serve, 1).contains("Another process holds"), "one mirror on a folder");
    let copy = format!("{address}/{}", origin_hash(key.name()));
    wait_for(&format!("{copy}/checkpoint"));
    ok(&["verify", &copy, "--vkey", &key.to_string(), "--state", &folder.at("mirror-seen.json")]);

    // An insider changes one leaf: nothing is restored over it.
    let db = Db::open(url, &Options::default()).unwrap();
    let edit = |to: &str| {
        let sql = format!("-- insider\nUPDATE leaves SET data = {to} WHERE idx = 3");
        db.transaction("edit", move |tx| tx.execute(&sql, &[])).unwrap();
    };
    let old = db.read(|conn| conn.query_one("-- leaf\nSELECT data FROM leaves WHERE idx = 3", &[])).unwrap().unwrap();
    edit("SUBSTR(data, 1, 10)");
    let restore = ["restore-log", "--data-dir", &city, "--from", &copy];
    assert!(fails(&restore, 1).contains("leaf 3 here is another one"));
    let old = old.bytes(0).unwrap().to_vec();
    db.transaction("edit", move |tx| {
        tx.execute("-- insider\nUPDATE leaves SET data = $1 WHERE idx = 3", &[Value::from(old.clone())])
    })
    .unwrap();

    // Only files are lost: they come back from the leaves.
    fs::remove_dir_all(folder.at("city/log/tile/0")).unwrap();
    assert!(!ok(&["restore-log", "--data-dir", &city]).starts_with("0 files"));
    ok(&["verify", &city, "--state", &seen]);

    // The operator deletes its log: files, leaves and head.
    fs::remove_dir_all(folder.at("city/log")).unwrap();
    db.transaction("delete", |tx| {
        tx.execute("-- insider\nDELETE FROM leaves", &[])?;
        let head = "UPDATE log_head SET size = 0, published_size = NULL, published_root = NULL, published_note = NULL";
        tx.execute(&format!("-- insider\n{head}"), &[])
    })
    .unwrap();
    fails(&["verify", &city, "--state", &seen], 2);
    let back = ok(&restore);
    assert!(back.contains("leaves and") && !back.contains(" 0 leaves"), "{back}");
    assert!(ok(&restore).contains(" 0 leaves and 0 files were missing"), "the second time nothing is missing");
    ok(&["verify", &city, "--state", &seen, "--vkey", &key.to_string()]);
    ok(&["doctor", "--data-dir", &city]);
}

#[test]
fn a_city_brings_its_log_to_a_mirror() {
    let folder = Folder::new("brought");
    let (pass, mirror, logs) = (folder.at("pass"), folder.at("mirror"), folder.at("logs.policy"));
    ok(&["init", "--data-dir", &pass, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let key: VerifierKey = fs::read_to_string(folder.at("pass/log/vkey")).unwrap().trim().parse().unwrap();
    fs::write(&logs, format!("log {key}\n")).unwrap();
    ok(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"]);
    let (_mirror, address) =
        Server::start_printing(&["mirror", "serve", "--data-dir", &mirror, "--logs", &logs, "--listen", "127.0.0.1:0"]);
    let setup = folder.at("pass/usufruct.toml");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, format!("{text}mirrors = [\"{address}\"]\n")).unwrap();
    let (_city, _) =
        Server::start(&["serve", "--data-dir", &pass, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"], &pass);
    wait_for(&format!("{address}/{}/checkpoint", origin_hash(key.name())));
    let copy = format!("{address}/{}", origin_hash(key.name()));
    ok(&["verify", &copy, "--vkey", &key.to_string(), "--state", &folder.at("seen.json")]);
}

fn wait_for(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..200 {
        if runtime.block_on(reqwest::get(url)).is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{url} is not there");
}
