//! The drills: an old backup opened with today's keys, and synthetic residents whose keys are searched for once they are erased.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::common;
use crate::common::{City, mandate, on_postgres};
use usufruct_app::AuditReport;
use usufruct_app::store::db::{Connection, Db, Options};
use usufruct_core::audit::Drill;
use usufruct_core::time::DAY;

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

fn database(dir: &Path, url: Option<&str>) -> String {
    url.map_or_else(|| format!("sqlite:{}", dir.join("usufruct.db").display()), str::to_owned)
}

/// A copy of the database as it is now.
fn backup(dir: &Path, url: Option<&str>) -> Db {
    match url {
        None => {
            let copy = dir.join("backup.db");
            copy_files(dir, &copy);
            Db::open(&format!("sqlite:{}", copy.display()), &Options::default()).unwrap()
        }
        Some(url) => {
            let (base, schema) = url.rsplit_once("%3D").unwrap();
            let db = Db::open(url, &Options::default()).unwrap();
            let tables = ["leaves", "residents", "keyrings", "own_blocks", "lent_blocks", "lines", "deposits", "erasures"];
            let copies =
                tables.map(|table| format!("CREATE TABLE {schema}_b.{table} AS SELECT * FROM {schema}.{table};")).concat();
            let make = format!("-- backup\nCREATE SCHEMA {schema}_b; {copies}");
            db.transaction("back up", move |tx| tx.script(&make)).unwrap();
            Db::open(&format!("{base}%3D{schema}_b"), &Options::default()).unwrap()
        }
    }
}

/// Copies main file and write-ahead log, as a careless administrator would; nothing writes meanwhile.
fn copy_files(dir: &Path, copy: &Path) {
    std::fs::copy(dir.join("usufruct.db"), copy).unwrap();
    let wal = dir.join("usufruct.db-wal");
    if wal.exists() {
        std::fs::copy(wal, copy.with_extension("db-wal")).unwrap();
    }
}

fn forget_backup(url: Option<&str>) {
    if let Some(url) = url {
        let (_, schema) = url.rsplit_once("%3D").unwrap();
        let drop = format!("-- drop\nDROP SCHEMA {schema}_b CASCADE");
        Db::open(url, &Options::default()).unwrap().transaction("drop", move |tx| tx.script(&drop)).unwrap();
    }
}

#[test]
fn before_anybody_has_a_pass_there_is_nothing_to_drill_and_afterwards_to_find_nobody_is_a_finding() {
    on_both("nobody", |dir, url| {
        let city = City::found(dir, url);
        let made_at = city.app.now();
        let backup = backup(dir, url);
        let drill = |made_at| {
            let report = city.app.restore_drill(&backup, made_at, 100).unwrap();
            (report.sampled, report.wrong)
        };
        assert_eq!(drill(made_at), (0, 0));
        // Synthetic residents who came and went since then change nothing.
        city.clock.advance(DAY);
        city.app.canary_scan(2, &[]).unwrap();
        assert_eq!(drill(made_at), (0, 0));
        city.clock.advance(DAY);
        let residents = city.enrol(2);
        assert_eq!(drill(made_at), (0, 0), "who came later is in no backup from before");
        city.clock.advance(DAY);
        // A backup that says that it is of now and holds nobody.
        let now = city.app.now();
        assert_eq!(drill(now), (0, 1));
        city.clock.advance(DAY);
        residents.iter().for_each(|resident| drop(city.app.delete_resident(*resident).unwrap()));
        assert_eq!(drill(now), (0, 1), "they have gone since, and it should hold them");
        city.clock.advance(DAY);
        assert_eq!(drill(city.app.now()), (0, 0));
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn a_backup_opens_for_those_who_live_and_for_nobody_else() {
    on_both("drill", |dir, url| {
        let city = City::found(dir, url);
        let residents = city.enrol(30);
        let (reader, _) = city.cardholder();
        let (borrower, _) = city.cardholder();
        let made_at = city.app.now();
        let backup = backup(dir, url);
        let drill = || city.app.restore_drill(&backup, made_at, 100).unwrap();
        let counts = |report: &AuditReport| (report.sampled, report.opened, report.closed, report.wrong);
        assert_eq!(counts(&drill()), (32, 32, 0, 0));
        // Three are erased, one withdraws; the others live on, and new ones come.
        residents[..3].iter().for_each(|resident| drop(city.app.delete_resident(*resident).unwrap()));
        city.app.withdraw(reader, &mandate()).unwrap();
        city.enrol(2);
        assert_eq!(counts(&drill()), (32, 28, 4, 0));

        // Somebody calls a resident erased whose key lives: the drill says so in public.
        let live = Db::open(&database(dir, url), &Options::default()).unwrap();
        let lie = |state: &str| {
            let sql = format!("-- insider\nUPDATE residents SET state = '{state}' WHERE resident = {}", residents[9]);
            live.transaction("lie", move |tx| tx.execute(&sql, &[])).unwrap();
        };
        lie("erased");
        let report = drill();
        assert_eq!((report.wrong, report.findings.len()), (1, 1), "{:?}", report.findings);
        lie("active");
        // Or that she withdrew something, and her keyring from before opens all the same.
        let withdrawn = |resident: u64| {
            let sql = format!("-- insider\nUPDATE erasures SET resident = {resident} WHERE cause = 'withdrawal'");
            live.transaction("lie", move |tx| tx.execute(&sql, &[])).unwrap();
        };
        withdrawn(residents[9]);
        let report = drill();
        assert_eq!(report.wrong, 1, "{:?}", report.findings);
        assert!(report.findings[0].contains("before a withdrawal"), "{:?}", report.findings);
        withdrawn(reader);
        assert_eq!(counts(&drill()), (32, 28, 4, 0));
        // What is on loan and the same in both opens in both.
        for db in [&live, &backup] {
            let sql = format!("-- insider\nUPDATE lent_blocks SET sealed = $1 WHERE resident = {borrower}");
            let bytes = usufruct_app::store::db::Value::from(vec![7; 80]);
            db.transaction("spoil", move |tx| tx.execute(&sql, std::slice::from_ref(&bytes))).unwrap();
        }
        let report = drill();
        assert!(report.wrong > 0 && report.findings[0].contains("on loan"), "{:?}", report.findings);
        let register = city.app.register();
        let audits: Vec<_> = register.audits.values().map(|entry| (entry.body.drill, entry.body.wrong)).collect();
        assert_eq!(audits.iter().filter(|audit| **audit == (Drill::RestoreDrill, 0)).count(), 3);
        assert_eq!(audits.iter().filter(|audit| **audit == (Drill::RestoreDrill, 1)).count(), 3, "{audits:?}");
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn a_drill_looks_at_everybody_who_was_erased_since_the_backup() {
    on_both("erased_first", |dir, url| {
        let city = City::found(dir, url);
        let residents = city.enrol(40);
        let made_at = city.app.now();
        let backup = backup(dir, url);
        city.clock.advance(DAY);
        residents[..3].iter().for_each(|resident| drop(city.app.delete_resident(*resident).unwrap()));
        let report = city.app.restore_drill(&backup, made_at, 2).unwrap();
        // Two from a random place on, who may be of the three.
        assert_eq!((report.closed, report.wrong), (3, 0), "{:?}", report.findings);
        assert!((3..=5).contains(&report.sampled) && report.opened == report.sampled - 3, "{report:?}");
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn a_backup_from_the_future_or_from_before_the_pass_is_refused() {
    on_both("no_time", |dir, url| {
        let city = City::found(dir, url);
        city.enrol(1);
        let backup = backup(dir, url);
        for made_at in [city.app.now().plus(DAY), city.app.now().plus(-400 * DAY)] {
            let refused = city.app.restore_drill(&backup, made_at, 10).unwrap_err().to_string();
            assert!(refused.contains("cannot have been made"), "{refused}");
        }
        // The database in use is no backup.
        if let Some(url) = url {
            let live = Db::open_backup(url).unwrap();
            let refused = city.app.restore_drill(&live, city.app.now(), 10).unwrap_err().to_string();
            assert!(refused.contains("database of this pass"), "{refused}");
        }
        assert!(city.app.register().audits.is_empty(), "they were no drills, so nothing is said of them");
        drop(backup);
        forget_backup(url);
    });
}

/// The files in a folder on which this process has locks of the kind that SQLite uses (proc_locks(5)).
fn file_locks(dir: &Path) -> BTreeSet<String> {
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let own: BTreeSet<&str> = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words[1] == "POSIX" && words[4] == std::process::id().to_string())
        .filter_map(|words| words[5].rsplit(':').next())
        .collect();
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let is_locked = |file: &std::fs::DirEntry| own.contains(file.metadata().unwrap().ino().to_string().as_str());
    files.filter(is_locked).map(|file| file.file_name().into_string().unwrap()).collect()
}

#[test]
fn no_file_holds_the_keys_of_the_erased() {
    on_both("canary", |dir, url| {
        let city = City::found(dir, url);
        let locks = file_locks(dir);
        assert_eq!(locks.is_empty(), url.is_some(), "{locks:?}");
        let report = city.app.canary_scan(3, &[dir.to_owned()]).unwrap();
        assert_eq!(file_locks(dir), locks, "the database is still known to be in use");
        assert_eq!((report.sampled, report.wrong), (3, 0), "{:?}", report.findings);
        assert!(report.searched_bytes > if url.is_some() { 1_000 } else { 100_000 }, "{}", report.searched_bytes);
        assert_eq!(city.app.resident_count().unwrap(), 0);
        let register = city.app.register();
        assert!(register.audits.values().any(|entry| entry.body.drill == Drill::CanaryScan && entry.body.wrong == 0));
        // They say what they are, and no resident is said to have deleted a pass.
        let causes: Vec<&str> = register.certificates.values().map(|entry| entry.body.cause.code()).collect();
        assert_eq!(causes, ["drill"; 3]);
        let ground = &register.certificates.values().next().unwrap().body.ground;
        assert!(ground.en.contains("synthetic") && ground.zh_hant.contains("虛擬"), "{}", ground.en);
    });
}

/// Replaces a sealed value of a resident by bytes that open under nothing.
fn spoil(db: &Db, table: &str, resident: u64) {
    let sql = format!("-- insider\nUPDATE {table} SET sealed = $1 WHERE resident = {resident}");
    let bytes = usufruct_app::store::db::Value::from(vec![7; 400]);
    assert!(db.transaction("spoil", move |tx| tx.execute(&sql, std::slice::from_ref(&bytes))).unwrap() > 0);
}

#[test]
fn a_keyring_of_somebody_who_lives_is_closed_for_a_reason_or_is_a_finding() {
    on_both("closed", |dir, url| {
        let city = City::found(dir, url);
        let residents = city.enrol(4);
        let (reader, _) = city.cardholder();
        let made_at = city.app.now();
        let backup = backup(dir, url);
        let drill = || {
            let report = city.app.restore_drill(&backup, made_at, 100).unwrap();
            (report.opened, report.closed, report.wrong)
        };
        // A consent seals her keyring anew under the same key, so the old one still opens.
        city.app.consent(residents[0], &common::service(), &mandate(), &[]).unwrap();
        assert_eq!(drill(), (5, 0, 0));
        // A withdrawal and a rotation replace her key.
        city.app.withdraw(reader, &mandate()).unwrap();
        city.app.rotate_resident(residents[1]).unwrap();
        assert_eq!(drill(), (3, 2, 0));
        // Nothing replaced the keys of these two: that their keyrings do not open is damage, whatever became of the live ones.
        spoil(&backup, "keyrings", residents[0]);
        assert_eq!(drill(), (2, 2, 1));
        spoil(&backup, "keyrings", residents[2]);
        assert_eq!(drill(), (1, 2, 2));
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn an_erased_resident_of_whom_any_row_opens_is_a_finding() {
    on_both("any_row", |dir, url| {
        let city = City::found(dir, url);
        let residents = city.enrol(2);
        let made_at = city.app.now();
        let backup = backup(dir, url);
        // Her key lives on, and one of her rows is damaged besides.
        let live = Db::open(&database(dir, url), &Options::default()).unwrap();
        let sql = format!("-- insider\nUPDATE residents SET state = 'erased' WHERE resident = {}", residents[1]);
        live.transaction("lie", move |tx| tx.execute(&sql, &[])).unwrap();
        spoil(&backup, "own_blocks", residents[1]);
        let report = city.app.restore_drill(&backup, made_at, 100).unwrap();
        assert_eq!((report.opened, report.closed, report.wrong), (1, 0, 1), "{:?}", report.findings);
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn a_backup_of_another_pass_is_refused() {
    on_both("other_pass", |dir, url| {
        let city = City::found(dir, url);
        city.enrol(2);
        let elsewhere = tempfile::tempdir().unwrap();
        let other = City::found_in(City::open(elsewhere.path(), None, "2026-01-01T00:00:00Z", 77));
        other.enrol(3);
        let foreign = Db::open(&database(elsewhere.path(), None), &Options::default()).unwrap();
        let refused = city.app.restore_drill(&foreign, city.app.now(), 100).unwrap_err().to_string();
        assert!(refused.contains("another pass"), "{refused}");
        assert!(city.app.register().audits.is_empty(), "it was no drill, so nothing is said of it");
    });
}

#[test]
fn a_drill_that_would_look_at_nobody_is_refused() {
    on_both("nobody_asked", |dir, url| {
        let city = City::found(dir, url);
        city.enrol(1);
        let backup = backup(dir, url);
        let refused = city.app.canary_scan(0, &[dir.to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("looks at nobody"), "{refused}");
        let refused = city.app.restore_drill(&backup, city.app.now(), 0).unwrap_err().to_string();
        assert!(refused.contains("looks at nobody"), "{refused}");
        assert!(city.app.register().audits.is_empty());
        drop(backup);
        forget_backup(url);
    });
}

#[test]
fn a_scan_finds_the_root_under_which_a_synthetic_resident_lived() {
    on_both("old_root", |dir, url| {
        let city = City::found(dir, url);
        let kept = tempfile::tempdir().unwrap();
        let mut canaries = city.app.enrol_canaries(2).unwrap();
        // Somebody keeps a copy of the slots from while they live.
        std::fs::copy(dir.join("vault/root"), kept.path().join("root")).unwrap();
        let report = city.app.scan_canaries(&mut canaries, None, &[dir.to_owned(), kept.path().to_owned()]).unwrap();
        assert_eq!((report.sampled, report.wrong), (2, 1), "{:?}", report.findings);
        assert!(report.findings[0].contains("destroyed key"), "{:?}", report.findings);
    });
}

#[test]
fn every_sealed_row_of_a_synthetic_resident_is_tried_and_nobody_counts_her() {
    on_both("tried", |dir, url| {
        let city = City::found(dir, url);
        city.enrol(3);
        let mut canaries = city.app.enrol_canaries(2).unwrap();
        assert_eq!(city.app.resident_count().unwrap(), 3, "they are nobody");
        let (made_at, copy) = (city.app.now(), backup(dir, url));
        let report = city.app.scan_canaries(&mut canaries, Some(&copy), &[dir.to_owned()]).unwrap();
        // A keyring, a block of her own and one on loan, of each; the copy holds the same rows.
        assert_eq!((report.sampled, report.opened, report.closed, report.wrong), (2, 0, 6, 0), "{:?}", report.findings);
        let drilled = city.app.restore_drill(&copy, made_at, 100).unwrap();
        assert_eq!((drilled.sampled, drilled.opened, drilled.wrong), (3, 3, 0), "a restore drill looks at people");
        assert_eq!(city.app.deletion_counts().unwrap().noted, 0, "no service is told to delete what it never got");
        assert!(city.app.restore_drill(&copy, made_at, 1).unwrap().sampled == 1, "a sample is filled with people");
        drop(copy);
        forget_backup(url);

        // A backup in which one never was shows nothing about her.
        let mut others = city.app.enrol_canaries(1).unwrap();
        let copy = backup(dir, url);
        let sql = "-- forget\nDELETE FROM keyrings WHERE resident IN (SELECT MAX(resident) FROM keyrings)";
        assert_eq!(copy.transaction("forget", |tx| tx.execute(sql, &[])).unwrap(), 1);
        let report = city.app.scan_canaries(&mut others, Some(&copy), &[]).unwrap();
        assert!(report.wrong == 1 && report.findings[0].contains("does not hold"), "{:?}", report.findings);
        drop(copy);
        forget_backup(url);
    });
}

#[test]
fn synthetic_residents_that_a_crash_left_are_erased_by_the_next_drill() {
    on_both("left", |dir, url| {
        drop({
            let city = City::found(dir, url);
            city.enrol(1);
            drop(city.app.enrol_canaries(2).unwrap());
            city
        });
        let city = City::open(dir, url, "2026-01-02T00:00:00Z", 9);
        assert_eq!(city.app.resident_count().unwrap(), 1);
        assert!(city.app.register().certificates.is_empty());
        let report = city.app.canary_scan(1, &[dir.to_owned()]).unwrap();
        assert_eq!((report.sampled, report.wrong), (1, 0), "{:?}", report.findings);
        assert_eq!(city.app.register().certificates.len(), 3);
    });
}
