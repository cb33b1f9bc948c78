//! The demo city, loaded and looked at from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::common;
use crate::common::{Folder, city, fails, ok, run};
use usufruct_app::store::db::{Db, Options};
use usufruct_core::order::Standing;

fn load(folder: &Folder) -> String {
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "200", "--data-dir", &dir, "--load-only"]);
    dir
}

#[test]
fn the_loaded_city_shows_every_state_and_its_log_verifies() {
    let folder = Folder::new("demo");
    let dir = load(&folder);
    let list = ok(&["mandate", "list", "--data-dir", &dir]);
    assert!(list.lines().count() >= 12, "{list}");
    for state in [" active ", " coming ", " ending soon "] {
        assert!(list.contains(state), "no mandate is{state}in\n{list}");
    }
    let ended = list.lines().find(|line| line.contains(" ended ")).unwrap();
    assert!(ended.contains("certificate crt_"), "{ended}");

    let cameras = ok(&["camera", "list", "--data-dir", &dir]);
    for state in [" proposed ", " permitted ", " active ", " withheld ", " permit_expired ", " removed "] {
        assert!(cameras.contains(state), "no camera is{state}in\n{cameras}");
    }

    // What the overseer did, in every standing that needs no deadline missed, and cases with an answer and without.
    let db = Db::open(&format!("sqlite:{dir}/usufruct.db"), &Options { readers: 1, queue: 1 }).unwrap();
    let register = usufruct_app::replay(&db).unwrap();
    let now = register.orders.values().map(|entry| entry.since).max().unwrap();
    let standing = |id: &str| {
        let id = id.parse().unwrap();
        register.standing(&id, &register.orders[&id], now)
    };
    let orders = ["ord_suspend-festival", "ord_count-reminders", "ord_notify-venues"].map(standing);
    assert_eq!(orders, [Standing::Lifted, Standing::Complied, Standing::InForce]);
    assert_eq!((register.meetings.len(), register.rulings.len()), (2, 1));
    let sql = "-- cases\nSELECT COUNT(*) FROM cases";
    assert_eq!(db.read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap(), 4, "cases of the personas");
    let ordered = "-- ordered grants\nSELECT COUNT(*) FROM grants WHERE kind = 'ordered'";
    assert_eq!(
        db.read(|conn| conn.query_one(ordered, &[])).unwrap().unwrap().integer(0).unwrap(),
        1,
        "a court asked for one address"
    );
    drop(db);

    let state = folder.at("seen.json");
    let first = ok(&["verify", &dir, "--state", &state]);
    assert!(first.contains("trusted on first use"), "{first}");
    let again = ok(&["verify", &folder.at("demo/log"), "--state", &state]);
    assert!(again.contains("are unchanged"), "{again}");
    ok(&["doctor", "--data-dir", &dir]);
    // A second start finds everything there.
    ok(&["demo", "--data-dir", &dir, "--load-only"]);
    assert_eq!(ok(&["mandate", "list", "--data-dir", &dir]), list);
}

#[test]
fn verify_finds_what_was_tampered_with() {
    let folder = Folder::new("tamper");
    load(&folder);
    let (state, log) = (folder.at("seen.json"), folder.at("demo/log"));
    ok(&["verify", &log, "--state", &state]);

    for kind in ["tile/entries", "tile/0"] {
        let tile = newest(&Path::new(&log).join(kind));
        let whole = fs::read(&tile).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        fs::write(&tile, changed).unwrap();
        fails(&["verify", &log, "--state", &state], 1);
        fs::remove_file(&tile).unwrap();
        fails(&["verify", &log, "--state", &state], 1);
        fs::write(&tile, whole).unwrap();
    }
    ok(&["verify", &log, "--state", &state]);

    let checkpoint = fs::read_to_string(folder.at("demo/log/checkpoint")).unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    fs::write(folder.at("demo/log/checkpoint"), checkpoint.replacen(&size.to_string(), &(size - 1).to_string(), 1)).unwrap();
    let forged = fails(&["verify", &log, "--state", &state], 1);
    assert!(forged.contains("not signed"), "{forged}");
    fs::write(folder.at("demo/log/checkpoint"), checkpoint).unwrap();

    // A log that is whole in itself but is not the one seen before.
    let other = Folder::new("other");
    let other_log = format!("{}/log", load(&other));
    let swapped = fails(&["verify", &other_log, "--state", &state], 1);
    assert!(swapped.contains("findings"), "{swapped}");
}

#[test]
fn what_cannot_be_checked_is_no_finding() {
    let folder = Folder::new("nothing");
    fails(&["verify", &folder.at("")], 2);
    fails(&["verify", "http://127.0.0.1:1/"], 2);
}

#[test]
fn a_demo_is_served_by_nothing_else_and_a_torn_one_by_nothing() {
    let folder = Folder::new("torn");
    let dir = load(&folder);
    let refused = fails(&["serve", "--data-dir", &dir, "--issuer", "http://localhost:8080"], 1);
    assert!(refused.contains("holds a demo"), "{refused}");
    let refused = fails(&["init", "--data-dir", &dir, "--origin", "x/y", "--operator-name", "X", "--operator-name-zh", "X"], 1);
    assert!(refused.contains("already"), "{refused}");

    let marker = folder.at("demo/demo.json");
    let text = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, text.replace("ready", "loading")).unwrap();
    let torn = fails(&["demo", "--data-dir", &dir, "--load-only"], 1);
    assert!(torn.contains("--start-over"), "{torn}");
    ok(&["demo", "--residents", "0", "--data-dir", &dir, "--load-only", "--start-over"]);
    ok(&["verify", &dir, "--state", &folder.at("seen.json")]);
}

#[test]
fn a_demo_killed_while_it_loads_says_so() {
    let folder = Folder::new("killed");
    let dir = folder.at("demo");
    let mut child =
        common::program().args(["demo", "--residents", "5000000", "--data-dir", &dir, "--load-only"]).spawn().unwrap();
    let marker = folder.path().join("demo/demo.json");
    while !marker.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let torn = fails(&["demo", "--data-dir", &dir, "--load-only"], 1);
    assert!(torn.contains("was not loaded to the end"), "{torn}");
}

#[test]
fn one_process_at_a_time() {
    let folder = Folder::new("lock");
    let dir = load(&folder);
    let lock = fs::OpenOptions::new().write(true).open(folder.at("demo/lock")).unwrap();
    lock.lock().unwrap();
    let refused = fails(&["demo", "--data-dir", &dir, "--load-only"], 1);
    assert!(refused.contains("Another process is using"), "{refused}");
    // Reading needs no lock.
    ok(&["mandate", "list", "--data-dir", &dir]);
    drop(lock);
    ok(&["demo", "--data-dir", &dir, "--load-only"]);
}

#[test]
fn the_citys_mandates_are_lawful_and_a_spoiled_one_is_not() {
    let folder = Folder::new("check");
    let dir = load(&folder);
    for entry in fs::read_dir(city("mandates")).unwrap() {
        let path = entry.unwrap().path().display().to_string();
        assert_eq!(ok(&["mandate", "check", &path, "--data-dir", &dir]), "lawful\n", "{path}");
    }
    let good = fs::read_to_string(city("mandates/library-card.toml")).unwrap();
    let spoiled = folder.write("spoiled.toml", &good.replace("sunset_at", "sunset").replace("agc_oversight", "agc_nobody"));
    let problems = fails(&["mandate", "check", &spoiled, "--data-dir", &dir], 1);
    assert!(problems.contains("mandate.sunset_at"), "{problems}");
    let stranger = folder.write("stranger.toml", &good.replace("agc_oversight", "agc_nobody"));
    let problems = fails(&["mandate", "check", &stranger, "--data-dir", &dir], 1);
    assert!(problems.contains("agc_nobody"), "{problems}");
    assert_eq!(ok(&["mandate", "check", &stranger]), "lawful\n", "without a register only the file itself is checked");

    let template = folder.write("template.toml", &ok(&["mandate", "new"]));
    let problems = run(&["mandate", "check", &template]);
    assert_eq!(problems.status.code(), Some(1));
    assert!(!common::out(&problems).contains("No such field"), "the template has a field that does not exist");
    let asked = common::out(&problems) + &String::from_utf8_lossy(&problems.stderr);
    assert!(asked.contains("assessment.summary"), "it asks what the mandate could do to people: {asked}");
    assert!(!asked.contains("Nothing is said of the risk"), "it names each of the five: {asked}");
}

/// Some file below a folder, the largest by name.
fn newest(folder: &Path) -> PathBuf {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Tiles that are not full are named by their width, which has no zeros before it.
    entries.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    let last = entries.pop().unwrap();
    if last.is_dir() { newest(&last) } else { last }
}
