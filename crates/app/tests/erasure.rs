//! What erasure is worth: certificates that hold, a root that was set back, pages that are lost, and the purge of what is left.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common;
use crate::common::{City, mandate, on_postgres};
use usufruct_app::store::db::{Connection, Db, Options};
use usufruct_app::store::leaves;
use usufruct_app::{Config, Error, House, Refounded, before_refounding, refound};
use usufruct_core::Text;
use usufruct_core::event::LEAF_PREFIX;

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

#[test]
fn a_root_that_was_set_back_does_not_start() {
    on_both("set_back", |dir, url| {
        let (vault, old) = (dir.join("vault"), tempfile::tempdir().unwrap());
        let resident = {
            let city = City::found(dir, url);
            city.enrol(2)[0]
        };
        let copy = |from: &Path, to: &Path| {
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        };
        copy(&vault, old.path());
        City::open(dir, url, "2026-01-02T00:00:00Z", 2).app.delete_resident(resident).unwrap();
        let start = || City::try_open(dir, url, "2026-01-03T00:00:00Z", 3, None).map(drop);
        start().unwrap();
        let newest = tempfile::tempdir().unwrap();
        copy(&vault, newest.path());
        copy(old.path(), &vault);
        let error = start().unwrap_err();
        // With its pages beside it the old root opens what it opened then, but the log says that this is over. Pages in the
        // database were not set back, and do not open.
        match url {
            None => assert!(error.to_string().contains("was set back"), "{error}"),
            Some(_) => assert!(matches!(error, Error::Vault(_)), "{error}"),
        }
        copy(newest.path(), &vault);
        start().unwrap();
        // Without the root, nothing is made anew.
        std::fs::remove_file(vault.join("root")).unwrap();
        assert!(start().unwrap_err().to_string().contains("is not where the set-up says"));
        assert!(!vault.join("root").exists());
    });
}

/// The pages of a city's key tree as they were, in a file or a table of this name.
struct OldPages(&'static str, Option<Vec<u8>>);

impl OldPages {
    fn keep(dir: &Path, url: Option<&str>, name: &'static str) -> Self {
        Self::script(url, &format!("CREATE TABLE {name} AS SELECT * FROM key_pages"));
        Self(name, url.is_none().then(|| std::fs::read(dir.join("vault/pages")).unwrap()))
    }

    fn put_back(&self, dir: &Path, url: Option<&str>) {
        Self::script(url, &format!("DELETE FROM key_pages; INSERT INTO key_pages SELECT * FROM {}", self.0));
        if let Some(pages) = &self.1 {
            std::fs::write(dir.join("vault/pages"), pages).unwrap();
        }
    }

    fn script(url: Option<&str>, text: &str) {
        let Some(url) = url else { return };
        let script = format!("-- old_pages\n{text}");
        Db::open(url, &Options::default()).unwrap().transaction("old pages", move |tx| tx.script(&script)).unwrap();
    }
}

#[test]
fn a_root_that_was_set_back_is_refused_also_where_no_certificate_tells_of_it() {
    on_both("set_back_uncertified", |dir, url| {
        let root = dir.join("vault/root");
        City::found(dir, url).enrol(2);
        let city = City::open(dir, url, "2026-01-02T00:00:00Z", 2);
        let (old, pages) = (std::fs::read(&root).unwrap(), OldPages::keep(dir, url, "old_pages"));
        let before = city.app.vault_state().0.epoch;
        city.app.rotate_root().unwrap();
        drop(city);
        let (newest, newest_pages) = (std::fs::read(&root).unwrap(), OldPages::keep(dir, url, "newest_pages"));
        pages.put_back(dir, url);
        std::fs::write(&root, &old).unwrap();
        let start = |seed| City::try_open(dir, url, "2026-01-03T00:00:00Z", seed, None);
        let error = start(3).map(drop).expect_err("what was replaced would count again").to_string();
        assert!(error.contains(&format!("at epoch {}", before.0)) && error.contains("was set back"), "{error}");
        assert_eq!(std::fs::read(&root).unwrap(), old, "a start that refuses changes nothing");
        newest_pages.put_back(dir, url);
        std::fs::write(&root, &newest).unwrap();
        assert_eq!(start(4).unwrap().app.vault_state().0.epoch.0, before.0 + 1);
    });
}

#[test]
fn a_start_that_refuses_an_old_tree_leaves_the_newest_root() {
    on_both("refused_start", |dir, url| {
        let root = dir.join("vault/root");
        let resident = City::found(dir, url).enrol(2)[0];
        let (old, pages) = (std::fs::read(&root).unwrap(), OldPages::keep(dir, url, "old_pages"));
        City::open(dir, url, "2026-01-02T00:00:00Z", 2).app.delete_resident(resident).unwrap();
        let newest = std::fs::read(&root).unwrap();
        let newest_pages = OldPages::keep(dir, url, "newest_pages");
        // The root of before beside the newest one, and the pages of before: the newest opens nothing here.
        let both: Vec<u8> = old.iter().zip(&newest).map(|(old, newest)| old | newest).collect();
        let halves = |file: &[u8]| file.chunks(2_048).filter(|half| half.iter().any(|byte| *byte != 0)).count();
        assert_eq!((halves(&old), halves(&newest), halves(&both)), (1, 1, 2), "each in a half of its own");
        std::fs::write(&root, &both).unwrap();
        pages.put_back(dir, url);
        let start = || City::try_open(dir, url, "2026-01-03T00:00:00Z", 3, None).map(drop);
        let error = start().expect_err("she would be back").to_string();
        assert!(error.contains("was set back"), "{error}");
        assert_eq!(std::fs::read(&root).unwrap(), both, "nothing is destroyed before it is known what counts");
        // So the newest pages still open.
        newest_pages.put_back(dir, url);
        start().unwrap();
        assert_eq!(std::fs::read(&root).unwrap(), newest);
    });
}

#[test]
fn a_tree_whose_pages_are_lost_is_not_made_anew() {
    on_both("lost_pages", |dir, url| {
        // Nothing was erased yet, so that the root alone does not tell that there was a tree.
        City::found(dir, url).enrol(2);
        let pages = dir.join("vault/pages");
        let aside = pages.with_extension("aside");
        let table = |from: &'static str, to: &'static str| {
            let db = Db::open(url.unwrap(), &Options::default()).unwrap();
            db.transaction("lose pages", move |tx| tx.script(&format!("-- lose\nALTER TABLE {from} RENAME TO {to}"))).unwrap();
            db
        };
        match url {
            None => std::fs::rename(&pages, &aside).unwrap(),
            Some(_) => {
                let make = "-- make\nCREATE TABLE key_pages (LIKE lost_pages INCLUDING ALL)";
                table("key_pages", "lost_pages").transaction("make", |tx| tx.script(make)).unwrap();
            }
        }
        let start = || City::try_open(dir, url, "2026-01-02T00:00:00Z", 2, None).map(drop);
        let error = start().expect_err("their data would be lost without a word");
        assert!(matches!(error, Error::Vault(_)), "{error}");
        match url {
            None => std::fs::rename(&aside, &pages).unwrap(),
            Some(_) => {
                table("key_pages", "empty_pages");
                table("lost_pages", "key_pages");
            }
        }
        start().unwrap();
    });
}

#[test]
fn a_pass_founded_anew_is_used_like_any_other_and_shares_no_mark_with_the_old_one() {
    on_both("refound", |dir, url| {
        let city = City::found(dir, url);
        let (resident, lost) = city.cardholder();
        city.app.release(&city.request(&lost)).unwrap();
        city.app.delete_resident(city.enrol(1)[0]).unwrap();
        city.app.rotate_root().unwrap();
        let newest = city.app.vault_state().0.epoch.0;
        city.app.publish_log().unwrap();
        drop(city);
        std::fs::remove_file(dir.join("vault/root")).unwrap();
        let config = Config {
            origin: "city.test/log".into(),
            database: url.map(str::to_owned),
            operator: common::OPERATOR.parse().unwrap(),
            vault: common::vault_setup(url),
        };
        let house = House::open(dir).unwrap();
        let rng = common::SeededRng::new(6);
        let (_, first) = before_refounding(&config, &house).unwrap();
        assert!(first > newest, "no epoch begins twice, also none that no certificate names");
        let done = refound(&config, &house, rng.as_ref()).unwrap();
        assert_eq!(done, Refounded { residents: 1, first_epoch: first });
        let again = refound(&config, &house, rng.as_ref()).unwrap();
        assert_eq!(again, Refounded { residents: 0, first_epoch: first }, "interrupted, it is run again");

        let city = City::open(dir, url, "2026-03-01T00:00:00Z", 7);
        assert_eq!(city.app.vault_state().0.epoch.0, first);
        assert!(city.app.release(&city.request(&lost)).is_err(), "what is lost opens no more");
        let old = city.app.register().certificates.clone();
        assert!(old.values().all(|entry| entry.body.epoch_after < first.cast_signed()));
        let (fresh, subject) = city.cardholder();
        assert_eq!(fresh, resident, "numbers begin again");
        assert_ne!(subject, lost);
        city.app.release(&city.request(&subject)).unwrap();
        let lines = city.app.footprint(fresh).unwrap().lines;
        assert!(lines.len() == 2 && lines.iter().all(|line| line.event.is_some()));
        city.app.withdraw(fresh, &mandate()).unwrap();
        city.app.delete_resident(fresh).unwrap();
        assert_eq!(city.app.finish_erasures().unwrap(), 0);
        let register = city.app.register();
        let new: Vec<_> = register.certificates.iter().filter(|(id, _)| !old.contains_key(*id)).collect();
        assert_eq!(new.len(), 2);
        assert!(new.iter().all(|(_, entry)| entry.body.epoch_before >= first.cast_signed()));
        let all = city.app.db().read(|conn| leaves::range(conn, 0, 10_000)).unwrap();
        let tags: Vec<&[u8]> = all.iter().filter_map(|(_, leaf)| Some(&leaf.strip_prefix(&LEAF_PREFIX)?[32..])).collect();
        assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
        drop(city);
        City::open(dir, url, "2026-03-02T00:00:00Z", 8).app.publish_log().unwrap();
    });
}

/// Runs the purges that are due, once other tests on the same server have let go of what they look at.
fn purged(city: &City, oldest_copy: Option<usufruct_core::Time>) -> usize {
    for _ in 0..300 {
        match city.app.run_purges(oldest_copy) {
            Err(Error::Store(usufruct_app::store::db::Error::Unpurged { .. })) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            outcome => return outcome.unwrap(),
        }
    }
    panic!("something looks at the tables for half a minute")
}

/// The files of the tables: of SQLite, or of the database of PostgreSQL, whose server stands on this machine.
fn table_files(city: &City, dir: &Path, url: Option<&str>) -> Vec<std::path::PathBuf> {
    if url.is_none() {
        return ["usufruct.db", "usufruct.db-wal"].map(|name| dir.join(name)).into();
    }
    let sql = "-- place\nSELECT current_setting('data_directory') || '/base/' || oid FROM pg_database WHERE datname = current_database()";
    let row = city.app.db().read(|conn| conn.query_one(sql, &[])).unwrap().unwrap();
    std::fs::read_dir(row.text(0).unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Whether these bytes are in any of the files.
fn holds(files: &[std::path::PathBuf], bytes: &[u8]) -> bool {
    let holds = |file: &std::path::PathBuf| {
        // A file of a table that goes meanwhile holds nothing.
        std::fs::read(file).is_ok_and(|content| memchr::memmem::find(&content, bytes).is_some())
    };
    files.iter().any(holds)
}

#[test]
fn purged_ciphertext_is_in_no_file_of_the_database() {
    on_both("purge_files", |dir, url| {
        // With bytes of its own: cities of other tests stand in the same database, and share theirs.
        let seed = u64::from(std::process::id()) << 20;
        let city = City::found_in(City::open(dir, url, "2026-01-01T00:00:00Z", seed));
        let (resident, _) = city.cardholder();
        let sealed = |table: &str| {
            let sql = format!("-- sealed\nSELECT sealed FROM {table} WHERE resident = {resident}");
            city.app.db().read(|conn| conn.query_one(&sql, &[])).unwrap().unwrap().bytes(0).unwrap().to_vec()
        };
        let tables = ["lent_blocks", "own_blocks", "keyrings", "lines"];
        let values = tables.map(sealed);
        let write_out = || match url {
            None => city.app.db().checkpoint().unwrap(),
            Some(url) => {
                let base = url.split_once('?').unwrap().0;
                let status = std::process::Command::new("psql").args([base, "-qc", "CHECKPOINT"]).status();
                assert!(status.unwrap().success());
            }
        };
        write_out();
        let there = |value: &[u8]| holds(&table_files(&city, dir, url), value);
        assert!(values.iter().all(|value| there(value)), "what is searched for is found while it lives");
        city.app.delete_resident(resident).unwrap();
        city.clock.advance(36 * usufruct_core::time::DAY);
        assert!(purged(&city, None) >= 1);
        write_out();
        for (table, value) in tables.iter().zip(&values) {
            assert!(!there(value), "what stood in {table} is still in a file, on {}", url.map_or("SQLite", |_| "PostgreSQL"));
        }
    });
}

#[test]
fn the_ciphertext_of_a_mandate_is_purged_on_its_date_and_not_before() {
    on_both("purge", |dir, url| {
        let city = City::found(dir, url);
        city.cardholder();
        city.app.end_mandate(&mandate(), &city.signer(common::LIBRARY), Text::new("Over.", "結束。")).unwrap();
        let dates = || {
            let register = city.app.register();
            let body = register.certificate(&mandate()).unwrap().body.clone();
            (body.erased_root_at, body.ciphertext_remains_until, body.ciphertext_purged_at)
        };
        let (erased, until, date) = dates();
        assert!(date.is_none() && until > erased);
        assert_eq!(city.app.run_purges(None).unwrap(), 0, "not yet");
        city.clock.advance(until.micros() - city.app.now().micros());
        assert_eq!(city.app.run_purges(Some(erased.plus(-1))).unwrap(), 0, "a copy from before is still there");
        let aside = dir.join("usufruct.db.before-2026-01-01T00-00-00");
        std::fs::write(&aside, "what a restoration put aside").unwrap();
        assert_eq!(city.app.run_purges(None).unwrap(), 0, "a database that a restoration put aside is still there");
        std::fs::remove_file(&aside).unwrap();
        assert_eq!(purged(&city, Some(until)), 1);
        assert_eq!(dates().2, Some(until));
        assert_eq!(city.app.run_purges(None).unwrap(), 0, "once");
        let register = city.app.register();
        assert_eq!(register.certificate(&mandate()).unwrap().rev, 2);
    });
}

#[test]
fn one_statement_says_of_all_residents_that_their_ciphertext_is_purged() {
    on_both("purge_residents", |dir, url| {
        let city = City::found(dir, url);
        let (withdrawn, _) = city.cardholder();
        let residents = city.enrol(3);
        city.app.withdraw(withdrawn, &mandate()).unwrap();
        city.app.delete_resident(residents[0]).unwrap();
        city.app.end_mandate(&mandate(), &city.signer(common::LIBRARY), Text::new("Over.", "結束。")).unwrap();
        city.app.delete_resident(residents[1]).unwrap();
        city.clock.advance(usufruct_core::time::DAY);
        city.app.delete_resident(residents[2]).unwrap();
        let dates = || {
            let register = city.app.register();
            let mut all: Vec<_> = register.certificates.values().collect();
            all.sort_by_key(|entry| entry.number);
            all.into_iter().map(|entry| (register.purged_at(entry), entry.rev)).collect::<Vec<_>>()
        };
        let said = || city.app.register().purges.len();
        assert_eq!(dates(), [(None, 1); 5]);
        assert_eq!((city.app.run_purges(None).unwrap(), said()), (0, 0), "not yet");
        // The first four are due, the last one a day later.
        city.clock.advance(34 * usufruct_core::time::DAY);
        let first = city.app.now();
        assert_eq!((purged(&city, Some(first)), said()), (4, 1), "one for all of them");
        let expected = [(Some(first), 1), (Some(first), 1), (Some(first), 2), (Some(first), 1), (None, 1)];
        assert_eq!(dates(), expected, "only the mandate's has a date of its own");
        let body = serde_json::to_value(&city.app.register().purges.values().next().unwrap().body).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["purged_at", "through"], "nobody is named");
        assert_eq!((city.app.run_purges(None).unwrap(), said()), (0, 1), "once");
        city.clock.advance(usufruct_core::time::DAY);
        assert_eq!((purged(&city, None), said()), (1, 2));
        assert_eq!(dates()[4].0, Some(city.app.now()));
        assert_eq!(dates()[0].0, Some(first), "and the others keep theirs");
        // A crash between the note and the statement leaves the statement to the next run.
        city.app.delete_resident(city.enrol(1)[0]).unwrap();
        let noted = |tx: &mut usufruct_app::store::db::Tx<'_>| {
            tx.execute("-- note_all\nUPDATE erasures SET purged_at = 1 WHERE purged_at IS NULL", &[])
        };
        city.app.db().transaction("note all", noted).unwrap();
        assert_eq!((city.app.run_purges(None).unwrap(), said()), (0, 3));
    });
}

#[test]
fn erasures_at_the_same_time_are_certified_in_the_order_of_the_key_tree() {
    on_both("order", |dir, url| {
        let city = City::found(dir, url);
        let residents = city.enrol(48);
        std::thread::scope(|scope| {
            for part in residents.chunks(6) {
                let app = &city.app;
                scope.spawn(move || part.iter().for_each(|resident| drop(app.delete_resident(*resident).unwrap())));
            }
        });
        let register = city.app.register();
        assert_eq!(register.certificates.len(), residents.len());
        let mut certificates: Vec<_> =
            register.certificates.values().map(|entry| (entry.index, entry.body.epoch_after)).collect();
        certificates.sort_unstable();
        assert!(certificates.is_sorted_by_key(|(_, epoch)| *epoch), "{certificates:?}");
        drop(city);
        City::open(dir, url, "2026-03-02T00:00:00Z", 8);
    });
}
