//! Drills as an operator has them done: they hurt nothing, and what one found stays in sight.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::common::backups::{ask_for_nights, forge, only};
use crate::common::store::Store;
use crate::common::{Folder, Server, fails, ok};
use usufruct_app::store::db::{Connection, Db, Options, Value};
use usufruct_app::store::erasures::{self, Erasure};
use usufruct_core::Time;
use usufruct_core::time::DAY;

fn backups_in(folder: &str) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn number(url: &str, sql: &str) -> i64 {
    let db = Db::open(url, &Options { readers: 1, queue: 1 }).unwrap();
    db.read(|conn| conn.query_one(&format!("-- number\n{sql}"), &[])).unwrap().unwrap().integer(0).unwrap()
}

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];

#[test]
fn a_drill_touches_no_database_but_one_that_is_set_aside() {
    Store::on_postgres("file", |store| {
        let folder = Folder::new("drill-live");
        let (dir, backups, nights) = (folder.at("pass"), folder.at("backups"), folder.at("nights"));
        let live = store.url().unwrap();
        ok(&["demo", "--load-only", "--residents", "3", "--data-dir", &dir, "--database", live]);
        ok(&["backup", "--data-dir", &dir, "--to", &backups]);
        let set = only(&backups);
        let drill = |database: &str| {
            ["audit", "restore-drill", "--data-dir", &dir, "--backup", &set, "--database", database].map(str::to_owned)
        };
        let refused = |database: &str| fails(&drill(database).each_ref().map(String::as_str), 1);
        let table = "SELECT CAST(CAST('leaves' AS regclass) AS BIGINT)";
        let (leaves, before) = (number(live, "SELECT COUNT(*) FROM leaves"), number(live, table));

        // By whichever address it is named.
        let alias = live.replace("127.0.0.1", "localhost");
        for address in [live, &alias] {
            let said = refused(address);
            assert!(said.contains("database of this pass"), "{said}");
        }
        // What holds anything else is not set aside either.
        let used = store.beside().unwrap();
        let db = Db::open(&used.url, &Options { readers: 1, queue: 1 }).unwrap();
        db.transaction("use it", |tx| tx.script("-- use\nCREATE TABLE ledger (entry TEXT)")).unwrap();
        drop(db);
        assert!(refused(&used.url).contains("not set aside"));
        assert_eq!(number(&used.url, "SELECT COUNT(*) FROM ledger"), 0);
        // Nor is an embedded one.
        assert!(refused(&format!("sqlite:{}", folder.at("x.db"))).contains("PostgreSQL"));

        // One that a drill filled is filled again.
        let aside = store.beside().unwrap();
        for _ in 0..2 {
            let said = ok(&drill(&aside.url).each_ref().map(String::as_str));
            assert!(said.contains(" 0 wrong"), "{said}");
        }
        let told = number(live, "SELECT COUNT(*) FROM leaves") - leaves;
        assert_eq!(told, 2, "two drills, and nothing is said of the others");
        // A dump that is none certifies nothing.
        fs::write(format!("{set}/database.dump"), "no dump").unwrap();
        forge(&dir, &set, |time| time);
        assert!(fails(&drill(&aside.url).each_ref().map(String::as_str), 2).contains("pg_restore failed"));

        // And at night.
        fs::remove_file(format!("{dir}/demo.json")).unwrap();
        ask_for_nights(&dir, &format!("backups = \"{nights}\"\ncanaries = 1\ndrill_database = \"{live}\""));
        let (server, _) = Server::start(&[&SERVE[..], &["--data-dir", &dir]].concat(), &dir);
        let is_made = || backups_in(&nights).iter().any(|name| !name.starts_with('.'));
        for _ in 0..300 {
            if is_made() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        assert!(is_made(), "the backup of the night was made");
        sleep(Duration::from_secs(4));
        assert!(server.stop());
        assert_eq!(number(live, table), before, "the tables of the pass are the same");
    });
}

#[test]
fn a_finding_is_not_hidden_by_a_later_drill_of_the_same_night() {
    let folder = Folder::new("drill-hidden");
    let (dir, old, new) = (folder.at("pass"), folder.at("old"), folder.at("new"));
    ok(&["demo", "--load-only", "--residents", "5", "--data-dir", &dir]);
    ok(&["backup", "--data-dir", &dir, "--to", &old]);
    ok(&["backup", "--data-dir", &dir, "--to", &new]);
    let (old, set) = (only(&old), only(&new));
    let copy = Db::open(&format!("sqlite:{old}/usufruct.db"), &Options { readers: 1, queue: 1 }).unwrap();
    let bytes = Value::from(vec![7; 400]);
    let sql = "-- spoil\nUPDATE keyrings SET sealed = $1";
    assert!(copy.transaction("spoil", move |tx| tx.execute(sql, std::slice::from_ref(&bytes))).unwrap() > 0);
    copy.checkpoint().unwrap();
    drop(copy);
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{old}/usufruct.db{end}"));
    }
    forge(&dir, &old, |time| time);
    fails(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &old], 1);
    ok(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set]);
    ask_for_nights(&dir, &format!("backups = \"{new}\""));
    let said = fails(&["doctor", "--data-dir", &dir], 1);
    assert!(said.contains("restore drill") && said.contains("found something wrong"), "{said}");
    // An embedded database is opened itself.
    let beside = format!("sqlite:{dir}/usufruct.db");
    let said = fails(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set, "--database", &beside], 1);
    assert!(said.contains("holds no dump"), "{said}");
}

#[test]
fn a_backup_that_does_not_open_at_all_is_a_finding() {
    let folder = Folder::new("drill-damaged");
    let (dir, backups) = (folder.at("pass"), folder.at("backups"));
    ok(&["demo", "--load-only", "--residents", "5", "--data-dir", &dir]);
    let keep = folder.at("keep");
    ok(&["backup", "--data-dir", &dir, "--to", &keep]);
    let set = only(&keep);
    fs::create_dir(&backups).unwrap();
    for name in ["flipped", "unreadable", "part"] {
        let name = if name == "part" { ".part".to_owned() } else { name.to_owned() };
        fs::create_dir(format!("{backups}/{name}")).unwrap();
        for file in ["manifest.json", "usufruct.db", "usufruct.toml"] {
            fs::copy(format!("{set}/{file}"), format!("{backups}/{name}/{file}")).unwrap();
        }
    }
    let flipped = format!("{backups}/flipped");
    forge(&dir, &flipped, |time| time.plus(-DAY));
    let mut bytes = fs::read(format!("{flipped}/usufruct.db")).unwrap();
    bytes[5_000] ^= 1;
    fs::write(format!("{flipped}/usufruct.db"), bytes).unwrap();
    for name in ["unreadable", ".part"] {
        fs::write(format!("{backups}/{name}/manifest.json"), "{").unwrap();
    }
    fs::remove_file(format!("{dir}/demo.json")).unwrap();
    ask_for_nights(&dir, &format!("backups = \"{backups}\"\ncanaries = 1"));
    let url = format!("sqlite:{dir}/usufruct.db");
    let audits = |wrong: i64| {
        let holds = |text: &str| format!("INSTR(data, CAST('{text}' AS BLOB)) > 0");
        let (audit, wrong) = (holds("\"type\":\"Audit\""), holds(&format!("\"wrong\":{wrong}")));
        number(&url, &format!("SELECT COUNT(*) FROM leaves WHERE {audit} AND {wrong}"))
    };
    let before = audits(0);
    let (server, _) = Server::start(&[&SERVE[..], &["--data-dir", &dir]].concat(), &dir);
    for _ in 0..1_200 {
        if (audits(0) - before, audits(1)) == (2, 2) {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    sleep(Duration::from_millis(1_500));
    assert_eq!((audits(0) - before, audits(1)), (2, 2), "the newest and the scan, and two that did not open");
    assert!(server.stop());
    let said = fails(&["doctor", "--data-dir", &dir], 1);
    assert!(said.contains("restore drill") && said.contains("found something wrong"), "{said}");
}

#[test]
fn a_backup_that_was_damaged_or_dated_anew_is_a_finding_by_hand_too() {
    let folder = Folder::new("drill-by-hand");
    let (dir, keep) = (folder.at("pass"), folder.at("keep"));
    ok(&["demo", "--load-only", "--residents", "5", "--data-dir", &dir]);
    ok(&["backup", "--data-dir", &dir, "--to", &keep]);
    let set = only(&keep);
    let drill = ["audit", "restore-drill", "--data-dir", &dir, "--backup", &set];
    let audits = |what: &str| {
        let holds = |text: &str| format!("INSTR(data, CAST('{text}' AS BLOB)) > 0");
        let (audit, what) = (holds("\"type\":\"Audit\""), holds(what));
        number(&format!("sqlite:{dir}/usufruct.db"), &format!("SELECT COUNT(*) FROM leaves WHERE {audit} AND {what}"))
    };
    assert!(ok(&drill).contains(" 0 wrong"));
    let database = format!("{set}/usufruct.db");
    let whole = fs::read(&database).unwrap();
    let mut flipped = whole.clone();
    flipped[5_000] ^= 1;
    fs::write(&database, flipped).unwrap();
    let said = fails(&drill, 1);
    assert!(said.contains("is not what was written") && said.contains("does not open at all"), "{said}");
    assert_eq!((audits("\"wrong\":1"), audits("\"wrong\":0")), (1, 1), "it is said in public");
    fs::write(&database, &whole).unwrap();

    // Another time within the life of the pass, by somebody who has the folder and not the keys.
    let manifest = format!("{set}/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let made_at: Time = serde_json::from_str::<serde_json::Value>(&text).unwrap()["made_at"].as_str().unwrap().parse().unwrap();
    fs::write(&manifest, text.replace(&made_at.to_string(), &made_at.plus(-1_000_000).to_string())).unwrap();
    let said = fails(&drill, 1);
    assert!(said.contains("not as this pass wrote it"), "{said}");
    assert_eq!((audits("\"wrong\":1"), audits("\"backup_made_at\":null,\"closed\":0")), (2, 1), "with no time");
    let said = fails(&["restore", "--data-dir", &dir, "--from", &set, "--without-live"], 1);
    assert!(said.contains("not as this pass wrote it"), "{said}");
    fs::write(&manifest, &text).unwrap();

    // What is no backup is a slip of the hand and no finding.
    fs::create_dir(folder.at("empty")).unwrap();
    for nothing in ["empty", "nowhere"] {
        let said = fails(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &folder.at(nothing)], 1);
        assert!(said.contains("holds no backup"), "{said}");
    }
    assert_eq!(audits("\"wrong\":1"), 2);
    assert!(ok(&drill).contains(" 0 wrong"));
}

#[test]
fn the_key_of_a_mandate_that_waits_for_its_destruction_is_seen() {
    let folder = Folder::new("drill-waits");
    let dir = folder.at("pass");
    ok(&["init", "--data-dir", &dir, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let (server, _) = Server::start(&[&SERVE[..], &["--data-dir", &dir]].concat(), &dir);
    assert!(server.stop());
    ok(&["doctor", "--data-dir", &dir]);
    let db = Db::open(&format!("sqlite:{dir}/usufruct.db"), &Options { readers: 1, queue: 1 }).unwrap();
    let long_ago: Time = "2026-06-01T00:00:00Z".parse().unwrap();
    let erasure = Erasure {
        certificate: "crt_00000000-0000-7000-8000-000000000000".parse().unwrap(),
        cause: "sunset".to_owned(),
        resident: None,
        mandate: Some(7),
        sector: None,
        months: Vec::new(),
        commitments: Vec::new(),
        evidence: String::new(),
        requested_at: long_ago,
        live_at: None,
        root_at: None,
    };
    db.transaction("ask", move |tx| erasures::insert(tx, &erasure)).unwrap();
    let said = fails(&["doctor", "--data-dir", &dir], 1);
    assert!(said.contains("1 keys wait for their destruction"), "{said}");
}
