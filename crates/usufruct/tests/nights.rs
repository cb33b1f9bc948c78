//! Nights that were interrupted or meddled with: nothing of their work is left out, and nothing is lost by it.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::common::backups::{ask_for_nights, forge, only};
use crate::common::store::{Postgres, Store, on_every_store};
use crate::common::{Folder, Server, fails, ok, program};
use usufruct_app::replay;
use usufruct_app::store::db::{Db, Options};
use usufruct_core::audit::{Audit, Drill};
use usufruct_core::time::DAY;

/// A pass that was served once and keeps its backups in a folder.
struct Pass<'a> {
    folder: Folder,
    store: &'a Store,
    dir: String,
    backups: String,
    /// Where dumps are restored to.
    aside: Option<Postgres>,
}

impl<'a> Pass<'a> {
    fn found(name: &str, store: &'a Store) -> Self {
        let folder = Folder::new(name);
        let (dir, backups) = (folder.at("pass"), folder.at("backups"));
        let words = [
            "init",
            "--data-dir",
            &dir,
            "--origin",
            "pass.example.org/log",
            "--operator-name",
            "City",
            "--operator-name-zh",
            "市",
        ];
        ok(&[&words[..], &store.arguments()].concat());
        let pass = Self { folder, store, dir, backups, aside: store.beside() };
        assert!(pass.serve().stop());
        pass
    }

    fn serve(&self) -> Server {
        let words = ["serve", "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080", "--data-dir", &self.dir];
        Server::start(&words, &self.dir).0
    }

    fn back_up(&self) {
        ok(&["backup", "--data-dir", &self.dir, "--to", &self.backups]);
    }

    fn ask_for_nights(&self) {
        let aside = self.aside.as_ref().map(|aside| format!("drill_database = \"{}\"", aside.url)).unwrap_or_default();
        ask_for_nights(&self.dir, &format!("backups = \"{}\"\ncanaries = 1\n{aside}", self.backups));
    }

    /// The results of drills in the log.
    fn audits(&self) -> Vec<Audit> {
        let own = format!("sqlite:{}/usufruct.db", self.dir);
        let db = Db::open(self.store.url().unwrap_or(&own), &Options { readers: 1, queue: 1 }).unwrap();
        replay(&db).unwrap().audits.into_values().map(|entry| entry.body).collect()
    }

    /// How many restore drills and how many canary scans there were.
    fn drills(&self) -> [usize; 2] {
        let audits = self.audits();
        [Drill::RestoreDrill, Drill::CanaryScan].map(|drill| audits.iter().filter(|audit| audit.drill == drill).count())
    }

    /// Waits until there were so many, and a while for more than that.
    fn await_drills(&self, count: [usize; 2]) {
        for _ in 0..600 {
            if self.drills() == count {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        sleep(Duration::from_millis(1_500));
        assert_eq!(self.drills(), count, "restore drills and canary scans");
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.backups).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }
}

on_every_store!(
    what_an_interrupted_backup_left_is_told_and_ends_with_the_next,
    a_backup_by_hand_or_a_server_that_was_killed_ends_no_night,
    a_file_that_was_put_into_a_backup_is_a_finding,
    old_backups_end_and_the_one_just_made_does_not,
);

fn what_an_interrupted_backup_left_is_told_and_ends_with_the_next(store: &Store) {
    let pass = Pass::found("night-part", store);
    pass.ask_for_nights();
    let doctor = || String::from_utf8(program().args(["doctor", "--data-dir", &pass.dir]).output().unwrap().stdout).unwrap();
    // The disk is full before it is done: the program is killed by it, or pg_dump is.
    let backup = format!("ulimit -f 40; exec \"$0\" backup --data-dir '{}' --to '{}'", pass.dir, pass.backups);
    let outcome = std::process::Command::new("bash").args(["-c", &backup, env!("CARGO_BIN_EXE_usufruct")]).output().unwrap();
    assert!(!outcome.status.success());
    if store.url().is_some() {
        assert_eq!(pass.names(), <Vec<String>>::new(), "what failed cleans up");
        // The machine stops just before the whole one gets its name.
        pass.back_up();
        let name = format!(".{}.part", pass.names()[0]);
        fs::rename(only(&pass.backups), Path::new(&pass.backups).join(name)).unwrap();
    }
    let [left] = &pass.names()[..] else { panic!("one draft: {:?}", pass.names()) };
    assert!(left.starts_with('.') && left.ends_with(".part"), "{left}");
    let said = doctor();
    assert!(said.contains("still hold ciphertext, so nothing is purged") && said.contains(left.as_str()), "{said}");
    pass.back_up();
    assert!(pass.names().iter().all(|name| !name.starts_with('.')), "{:?}", pass.names());
    let said = doctor();
    assert!(said.contains("No part of an interrupted one lies about"), "{said}");
}

fn a_backup_by_hand_or_a_server_that_was_killed_ends_no_night(store: &Store) {
    let pass = Pass::found("night-hand", store);
    pass.back_up();
    pass.ask_for_nights();
    let server = pass.serve();
    pass.await_drills([1, 1]);
    assert_eq!(pass.names().len(), 1, "the backup by hand is that of the night");
    server.kill();
    // What is done is not done again by the next server.
    let server = pass.serve();
    sleep(Duration::from_secs(2));
    pass.await_drills([1, 1]);
    // Nor is it undone by another backup in the middle of the night's work, of which the next server sees the rest.
    server.kill();
    pass.back_up();
    let server = pass.serve();
    pass.await_drills([2, 1]);
    assert!(server.stop());
    let said = ok(&["doctor", "--data-dir", &pass.dir]);
    assert!(said.contains("both drills found all as it must be"), "{said}");
}

fn a_file_that_was_put_into_a_backup_is_a_finding(store: &Store) {
    let pass = Pass::found("night-file", store);
    pass.back_up();
    let set = only(&pass.backups);
    // That of the other kind of database.
    let name = if store.url().is_some() { "usufruct.db" } else { "database.dump" };
    fs::write(Path::new(&set).join(name), "nothing").unwrap();
    pass.ask_for_nights();
    let server = pass.serve();
    pass.await_drills([1, 1]);
    assert!(server.stop());
    let wrong = || pass.audits().iter().filter(|audit| audit.drill == Drill::RestoreDrill && audit.wrong == 1).count();
    assert_eq!(wrong(), 1, "said in public");
    let drill = ["audit", "restore-drill", "--data-dir", &pass.dir, "--backup", &set];
    let said = fails(&drill, 1);
    assert!(said.contains(&format!("{name} was put into it later")) && said.contains("does not open at all"), "{said}");
    assert_eq!(wrong(), 2, "by hand too");
    let said = fails(&["restore", "--data-dir", &pass.dir, "--from", &set, "--without-live"], 1);
    assert!(said.contains("was put into it later"), "{said}");
    // Moved out, it is the backup that it was.
    fs::rename(Path::new(&set).join(name), pass.folder.at("found")).unwrap();
    let database: Vec<&str> = pass.aside.iter().flat_map(|aside| ["--database", &aside.url]).collect();
    assert!(ok(&[&drill[..], &database].concat()).contains("0 wrong"));
}

fn old_backups_end_and_the_one_just_made_does_not(store: &Store) {
    let pass = Pass::found("night-term", store);
    pass.back_up();
    let old = only(&pass.backups);
    forge(&pass.dir, &old, |time| time.plus(-2 * DAY));
    let keep = |days: &str| ok(&["backup", "--data-dir", &pass.dir, "--to", &pass.backups, "--keep-days", days]);
    assert!(!keep("3").contains("removed") && pass.names().len() == 2);
    let said = keep("1");
    assert!(said.contains(&format!("{old}  removed, older than 1 days")), "{said}");
    assert!(pass.names().len() == 2 && !Path::new(&old).exists(), "{:?}", pass.names());
}
