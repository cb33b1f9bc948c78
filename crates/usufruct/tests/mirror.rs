//! A mirror as a program: it follows a city, survives being killed, and gives the city back its log after the operator
//! has deleted it.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::common::noise::{Http, Noise};
use crate::common::{Folder, Server, fails, ok, run};
use tokio::runtime::Runtime;
use usufruct_app::log::mirror::{Header, upload};
use usufruct_app::log::witnessing::origin_hash;
use usufruct_app::log::{self, Transport, VerifierKey};
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
    delete_log(folder, &db);
    fails(&["verify", &city, "--state", &seen], 2);
    let stranger = Noise::new().key.to_string();
    assert!(fails(&[&restore[..], &["--vkey", &stranger]].concat(), 1).contains("do not belong to the log"));
    // Keys that are missing are not made anew.
    for name in ["log.seed", "log-ml-dsa.seed"] {
        let (file, aside) = (folder.at(&format!("city/keys/{name}")), folder.at("aside"));
        fs::rename(&file, &aside).unwrap();
        assert!(fails(&restore, 1).contains(&format!("keys/{name}")));
        assert!(!fs::exists(&file).unwrap());
        fs::rename(&aside, &file).unwrap();
    }
    let back = ok(&["restore-log", "--data-dir", &city, "--from", &address, "--vkey", &key.to_string()]);
    assert!(back.contains("leaves and") && !back.contains(" 0 leaves"), "{back}");
    assert!(ok(&restore).contains(" 0 leaves and 0 files were missing"), "the second time nothing is missing");
    ok(&["verify", &city, "--state", &seen, "--vkey", &key.to_string()]);
    ok(&["doctor", "--data-dir", &city]);

    // What the log cannot bring back is named.
    db.transaction("delete", |tx| tx.execute("-- insider\nDELETE FROM lines WHERE n > 0", &[])).unwrap();
    let said = ok(&restore);
    assert!(said.contains("footprint line here") && said.contains("backup of the database"), "{said}");
}

fn delete_log(folder: &Folder, db: &Db) {
    fs::remove_dir_all(folder.at("city/log")).unwrap();
    db.transaction("delete", |tx| {
        tx.execute("-- insider\nDELETE FROM leaves", &[])?;
        let head = "UPDATE log_head SET size = 0, published_size = NULL, published_root = NULL, published_note = NULL";
        tx.execute(&format!("-- insider\n{head}"), &[])
    })
    .unwrap();
}

#[test]
fn a_footprint_saved_before_holds_after_the_log_came_back() {
    let folder = Folder::new("footprint-back");
    let (city, mirror, logs) = (folder.at("city"), folder.at("mirror"), folder.at("logs.policy"));
    let listen = format!("127.0.0.1:{}", free_ports());
    let demo = ["demo", "--residents", "0", "--data-dir", &city, "--listen", &listen];
    let (server, url) = Server::start(&demo, &city);
    let before = as_resident(&url, "footprint.json");
    let saved = folder.write("footprint.json", &before);
    let footprint: serde_json::Value = serde_json::from_str(&before).unwrap();
    verifies(&["footprint", "verify", &saved, "--log", &url, "--whole"]);
    assert!(server.stop());

    let key: VerifierKey = fs::read_to_string(folder.at("city/log/vkey")).unwrap().trim().parse().unwrap();
    fs::write(&logs, format!("log {key}\n")).unwrap();
    let policy = folder.write("all.policy", &format!("log {key}\n{}\n", footprint["policy"].as_str().unwrap()));
    ok(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"]);
    let serve = ["mirror", "serve", "--data-dir", &mirror, "--logs", &logs, "--listen", "127.0.0.1:0", "--follow", &city];
    let (_mirror, address) = Server::start_printing(&serve);
    wait_for(&format!("{address}/{}/checkpoint", origin_hash(key.name())));

    delete_log(&folder, &Db::open(&format!("sqlite:{}", folder.at("city/usufruct.db")), &Options::default()).unwrap());
    ok(&["restore-log", "--data-dir", &city, "--from", &address]);
    let (_server, url) = Server::start(&demo, &city);
    verifies(&["footprint", "verify", &saved, "--log", &url, "--whole"]);
    let lines = footprint["lines"].as_array().unwrap();
    assert!(lines.len() > 5);
    for line in lines {
        let proof = folder.write("line.tlog-proof", &as_resident(&url, &format!("footprint/{}/proof", line["n"])));
        let said = ok(&["verify", "proof", &proof, "--policy", &policy]);
        assert!(said.starts_with(&format!("leaf {} of ", line["index"])), "{said}");
    }
}

#[test]
fn a_mirror_that_is_killed_during_uploads_loses_nothing_it_has_signed() {
    let (folder, log, http) = (Folder::new("killed"), Noise::new(), Http::new());
    let (mirror, logs) = (folder.at("mirror"), folder.write("logs.policy", &format!("log {}\n", log.key)));
    let keys: Vec<VerifierKey> = ok(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"])
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap().parse().unwrap())
        .collect();
    let serve = ["mirror", "serve", "--data-dir", &mirror, "--logs", &logs, "--listen", "127.0.0.1:0"];
    let copy = folder.at(&format!("mirror/copies/{}", origin_hash(log.key.name())));
    let (mut signed, mut interrupted) = (0, 0);
    for (round, size) in [4_000, 9_000, 20_000].into_iter().enumerate() {
        let note = log.grow(size);
        for attempt in 0.. {
            let (server, address) = Server::start_printing(&serve);
            // Later and later, so that the upload comes to its end at last.
            let pause = Duration::from_millis(10 + attempt * (15 + 10 * round as u64));
            let killer = thread::spawn(move || {
                thread::sleep(pause);
                server.kill();
            });
            let outcome = upload(&log.objects, &note, &address, &keys, &http);
            killer.join().unwrap();
            let held = log.check(&copy);
            assert!(held >= signed, "{held} after {signed}");
            match outcome {
                Ok(lines) => {
                    assert_eq!((lines.len(), held), (2, size));
                    signed = size;
                    break;
                }
                Err(error) => {
                    assert!(matches!(error, log::Error::Outside { .. }), "{error}");
                    interrupted += 1;
                }
            }
        }
    }
    assert!(interrupted >= 5, "{interrupted}");
}

#[test]
fn an_upload_that_is_refused_at_its_beginning_still_gets_its_answer() {
    let (folder, log) = (Folder::new("refused"), Noise::new());
    let (mirror, logs) = (folder.at("mirror"), folder.write("logs.policy", &format!("log {}\n", log.key)));
    ok(&["mirror", "init", "--data-dir", &mirror, "--name", "mirror.example"]);
    let serve = ["mirror", "serve", "--data-dir", &mirror, "--logs", &logs, "--listen", "127.0.0.1:0"];
    let (_server, address) = Server::start_printing(&serve);
    let http = Http::new();
    for (origin, status) in [("other.example", 404), (log.key.name(), 409)] {
        let mut body = Header { origin: origin.to_owned(), start: 0, end: 9, ticket: Vec::new() }.encode().unwrap();
        body.resize(16 << 20, 0);
        for _ in 0..5 {
            let answer = http.post(&format!("{address}/add-entries"), "application/octet-stream", &body).unwrap();
            assert_eq!(answer.status, status);
        }
    }
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

/// It holds once the witnesses have signed the checkpoint, which they do after a moment.
fn verifies(command: &[&str]) {
    for _ in 0..600 {
        if run(command).status.success() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    ok(command);
}

/// Signs in to a demo as its first persona and reads something of hers.
fn as_resident(url: &str, path: &str) -> String {
    Runtime::new().unwrap().block_on(async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let signed_in = client.get(format!("{url}/demo/sign-in/chou-yi-ching")).send().await.unwrap();
        let cookies = signed_in.headers().get_all("set-cookie").iter();
        let cookies: Vec<&str> = cookies.filter_map(|cookie| cookie.to_str().unwrap().split(';').next()).collect();
        for _ in 0..600 {
            let request = client.get(format!("{url}/me/{path}")).header("cookie", cookies.join("; "));
            let answer = request.send().await.unwrap();
            if answer.status() == 200 {
                return answer.text().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} is not there");
    })
}

/// The first of four ports in a row that are free now.
fn free_ports() -> u16 {
    let is_free = |first: &u16| (*first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    (23_000..60_000).step_by(13).map(|first| first + (std::process::id() % 4_000) as u16).find(is_free).unwrap()
}

fn wait_for(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..1_200 {
        if runtime.block_on(reqwest::get(url)).is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{url} is not there");
}
