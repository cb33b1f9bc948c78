//! Backup and restore as an operator does them: what was erased stays erased, what lives opens, the log goes on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::{Folder, Server, fails, ok};
use usufruct_app::store::db::{Db, Options};

/// A pass with a body that holds data, and its server.
fn pass(folder: &Folder) -> (String, Server, String) {
    let dir = folder.at("pass");
    ok(&["init", "--data-dir", &dir, "--origin", "pass.example.org/log", "--operator-name", "City", "--operator-name-zh", "市"]);
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, url) = Server::start(&serve, &dir);
    (dir, server, url)
}

fn only(folder: &str) -> PathBuf {
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.pop().unwrap()
}

/// Every file in a folder.
fn contents(folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

fn restored(said: &str) -> bool {
    said.contains("is whole again")
}

#[test]
fn a_database_comes_back_and_the_erased_do_not() {
    let folder = Folder::new("backup");
    let (dir, backups, seen) = (folder.at("demo"), folder.at("backups"), folder.at("seen.json"));
    ok(&["demo", "--load-only", "--residents", "30", "--data-dir", &dir]);
    let made = ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    assert!(made.contains("checked"), "{made}");
    let set = only(&backups).display().to_string();
    let names: Vec<String> = fs::read_dir(&set).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 3, "database, set-up and manifest, and no key: {names:?}");
    ok(&["verify", &dir, "--state", &seen]);
    let count = |what: &str| {
        let db = Db::open(&format!("sqlite:{dir}/usufruct.db"), &Options::default()).unwrap();
        let sql = format!("-- count\nSELECT COUNT(*) FROM {what}");
        db.read(|conn| conn.query_one(&sql, &[])).unwrap().unwrap().integer(0).unwrap()
    };
    let (residents, leaves) = (count("residents WHERE state <> 'erased'"), count("leaves"));

    // Life goes on: synthetic residents come and go, each with a certificate in the log.
    let said = ok(&["audit", "canary-scan", "--data-dir", &dir, "--residents", "2", "--also", &backups]);
    assert!(said.contains("0 wrong"), "{said}");
    for nobody in [
        vec!["audit", "canary-scan", "--data-dir", &dir, "--residents", "0"],
        vec!["audit", "restore-drill", "--data-dir", &dir, "--backup", &set, "--sample", "0"],
    ] {
        assert!(fails(&nobody, 1).contains("looks at nobody"));
    }
    let before = contents(&set);
    let said = ok(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set, "--sample", "20"]);
    assert!(said.contains("0 wrong"), "{said}");
    assert!(contents(&set) == before, "the drill only reads: {:?}", contents(&set).keys());
    let later = count("leaves");
    assert!(later > leaves);
    ok(&["verify", &dir, "--state", &seen]);

    // The database is lost, with its log. Keys and key tree are as new as ever.
    let keep = folder.at("live.db");
    assert!(Db::copy(&format!("sqlite:{dir}/usufruct.db"), Path::new(&keep)).unwrap());
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{dir}/usufruct.db{end}"));
    }
    let restore = ["restore", "--data-dir", &dir, "--from", &set];
    assert!(fails(&restore, 1).contains("There is no live copy"));
    assert!(!fs::exists(format!("{dir}/usufruct.db")).unwrap(), "it asks before it touches anything");
    let said = ok(&[&restore[..], &["--live", &format!("sqlite:{keep}")]].concat());
    assert!(restored(&said), "{said}");
    assert_eq!(count("residents WHERE state <> 'erased'"), residents);
    assert!(count("leaves") >= later, "the log came back from its own files");
    ok(&["verify", &dir, "--state", &seen]);
    ok(&["doctor", "--data-dir", &dir]);
    ok(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set]);

    // Over a database that still opens, that one is the live copy.
    let said = ok(&restore);
    assert!(restored(&said) && said.contains("lies aside"), "{said}");
    // What is lost beyond the backup can be given up, but only when asked for.
    fs::remove_file(format!("{dir}/usufruct.db")).unwrap();
    let said = ok(&[&restore[..], &["--without-live"]].concat());
    assert!(restored(&said) && said.contains("No live copy"), "{said}");
}

/// What others could read or enter, of a place and everything in it.
fn open_to_others(place: &Path) -> Vec<PathBuf> {
    let is_open = fs::metadata(place).unwrap().permissions().mode() & 0o077 != 0;
    let mut open: Vec<PathBuf> = is_open.then(|| place.to_owned()).into_iter().collect();
    if place.is_dir() {
        open.extend(fs::read_dir(place).unwrap().flat_map(|entry| open_to_others(&entry.unwrap().path())));
    }
    open
}

#[test]
fn only_the_owner_reads_a_backup_and_the_database() {
    let folder = Folder::new("backup-closed");
    let (dir, server, _) = pass(&folder);
    let backups = folder.at("backups");
    ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    assert_eq!(open_to_others(Path::new(&backups)), <Vec<PathBuf>>::new());
    let live: Vec<PathBuf> = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{dir}/usufruct.db{end}"))).into();
    let open: Vec<PathBuf> = live.iter().flat_map(|file| open_to_others(file)).collect();
    assert_eq!(open, <Vec<PathBuf>>::new());
    assert!(server.stop());
    // A database that an earlier release left open to others is closed, and a backup that is open to them is named.
    fs::set_permissions(&live[0], fs::Permissions::from_mode(0o644)).unwrap();
    let setup = format!("{dir}/usufruct.toml");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, format!("{text}\n[nightly]\nbackups = \"{backups}\"\n")).unwrap();
    ok(&["doctor", "--data-dir", &dir]);
    assert_eq!(open_to_others(&live[0]), <Vec<PathBuf>>::new());
    let set = only(&backups);
    fs::set_permissions(&backups, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&set, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(set.join("usufruct.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = fails(&["doctor", "--data-dir", &dir], 1);
    assert!(said.contains("Others can read the backups") && said.contains(&set.display().to_string()), "{said}");
}

#[test]
fn nothing_is_restored_from_what_is_not_whole_or_belongs_elsewhere() {
    let folder = Folder::new("backup-refused");
    let (dir, server, _) = pass(&folder);
    let backups = folder.at("backups");
    ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    let set = only(&backups).display().to_string();
    let restore = ["restore", "--data-dir", &dir, "--from", &set];
    assert!(fails(&restore, 1).contains("Another process is using"), "not while it runs");
    assert!(server.stop());

    let database = Path::new(&set).join("usufruct.db");
    let whole = fs::read(&database).unwrap();
    let mut flipped = whole.clone();
    flipped[5_000] ^= 1;
    fs::write(&database, flipped).unwrap();
    assert!(fails(&restore, 1).contains("is damaged"));
    fs::write(&database, &whole).unwrap();

    let manifest = Path::new(&set).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (from, to) in [("pass.example.org/log", "other.example.org/log"), ("usufruct/backup/v1", "usufruct/backup/v9")] {
        fs::write(&manifest, text.replace(from, to)).unwrap();
        fails(&restore, 1);
        fails(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set], 1);
    }
    fs::write(&manifest, text.replace("\"usufruct.db\"", "\"../usufruct.db\"")).unwrap();
    assert!(fails(&restore, 1).contains("not as this pass wrote it"));
    fs::write(&manifest, &text).unwrap();

    // A live copy that is none, and why.
    let (empty, garbage) = (folder.at("empty.db"), folder.write("garbage.db", &"no database. ".repeat(1_000)));
    fs::write(&empty, "").unwrap();
    for (live, reason) in [
        (format!("sqlite:{}", folder.at("typo.db")), "There is no live copy at"),
        (dir.clone(), "is no address of a database"),
        (format!("sqlite:{dir}"), "is a folder and no database"),
        (format!("sqlite:{garbage}"), "cannot be read"),
        (format!("sqlite:{empty}"), "cannot be read"),
        ("mysql://x".to_owned(), "cannot be read"),
    ] {
        let said = fails(&[&restore[..], &["--live", &live]].concat(), 1);
        assert!(said.contains(reason), "{live}: {said}");
    }
    assert!(!fs::exists(folder.at("typo.db")).unwrap(), "nothing is made where a path is wrong");

    for part in ["keys/log.seed", "vault/root"] {
        let (file, aside) = (format!("{dir}/{part}"), folder.at("aside"));
        fs::rename(&file, &aside).unwrap();
        fails(&restore, 1);
        assert!(!fs::exists(&file).unwrap(), "{part} is not made anew");
        fs::rename(&aside, &file).unwrap();
    }
    assert!(restored(&ok(&restore)));
    // No number of days ends the backup that was just made, and the others with it.
    for days in ["--keep-days=0", "--keep-days=-5", "--keep-days=36501", "--keep-days=999999999999"] {
        let said = fails(&["backup", "--data-dir", &dir, "--to", &backups, days], 1);
        assert!(said.contains("Backups cannot be kept for") && said.contains("nothing was removed"), "{said}");
    }
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 1, "none is made and none removed");
}

#[test]
fn the_server_drills_by_itself_where_the_set_up_asks_for_it() {
    let folder = Folder::new("nightly");
    let (dir, server, _) = pass(&folder);
    assert!(server.stop());
    let (setup, backups) = (format!("{dir}/usufruct.toml"), folder.at("backups"));
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, format!("{text}\n[nightly]\nbackups = \"{backups}\"\ncanaries = 2\n")).unwrap();
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, _) = Server::start(&serve, &dir);
    let db = Db::open(&format!("sqlite:{dir}/usufruct.db"), &Options::default()).unwrap();
    let sql = "-- audits\nSELECT COUNT(*) FROM leaves WHERE INSTR(data, CAST('\"type\":\"Audit\"' AS BLOB)) > 0";
    let audits = || db.read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap();
    for _ in 0..1_200 {
        if audits() == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(audits(), 2, "a restore drill and a canary scan");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!((audits(), fs::read_dir(&backups).unwrap().count()), (2, 1), "once a night");
    let sql = "-- clean\nSELECT COUNT(*) FROM leaves WHERE INSTR(data, CAST('\"type\":\"Audit\"' AS BLOB)) > 0 \
               AND INSTR(data, CAST('\"wrong\":0' AS BLOB)) > 0";
    let clean = db.read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap();
    assert_eq!(clean, 2, "nobody has a pass yet, and that is no finding");
    // The canaries were there when the backup was made, and are erased now.
    let count = |db: &Db, what: &str| {
        let sql = format!("-- count\nSELECT COUNT(*) FROM {what}");
        db.read(|conn| conn.query_one(&sql, &[])).unwrap().unwrap().integer(0).unwrap()
    };
    let copy = folder.at("copy.db");
    fs::copy(only(&backups).join("usufruct.db"), &copy).unwrap();
    let copy = Db::open(&format!("sqlite:{copy}"), &Options::default()).unwrap();
    assert_eq!((count(&copy, "keyrings"), count(&copy, "residents WHERE state <> 'erased'")), (2, 2));
    assert_eq!((count(&db, "keyrings"), count(&db, "canaries")), (0, 2));
    let said = ok(&["doctor", "--data-dir", &dir]);
    assert!(said.contains("both drills found all as it must be"), "{said}");
    drop((db, copy));
    assert!(server.stop());

    // What is missing of the last night stands in the table until it is done.
    fs::rename(&backups, folder.at("aside")).unwrap();
    let said = ok(&["doctor", "--data-dir", &dir]);
    assert!(said.contains("there is no backup."), "{said}");
    // A night that looks at nobody is none.
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, text.replace("canaries = 2", "canaries = 0")).unwrap();
    assert!(fails(&serve, 1).contains("looks at nobody"));
    for (line, words) in [
        ("keep_days = 0", "cannot be kept for 0 days"),
        ("keep_days = 999999999999", "cannot be kept for"),
        ("hour = 99", "no day has that hour"),
        ("hour = -3", "no day has that hour"),
    ] {
        fs::write(&setup, text.replace("canaries = 2", line)).unwrap();
        assert!(fails(&serve, 1).contains(words), "{line}");
    }
}

#[test]
fn a_database_of_postgresql_comes_back_with_the_live_pages_of_the_key_tree() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let sql = |statements: &[&str]| {
        let commands = statements.iter().flat_map(|statement| ["-c", *statement]);
        let status = std::process::Command::new("psql").args([base.as_str(), "-q"]).args(commands).status();
        assert!(status.is_ok_and(|status| status.success()), "{statements:?}");
    };
    let folder = Folder::new("backup-postgres");
    let (dir, backups, seen) = (folder.at("demo"), folder.at("backups"), folder.at("seen.json"));
    let name = format!("restore_{}", std::process::id());
    let (root, _) = base.rsplit_once('/').unwrap();
    let url = |name: &str| format!("{root}/{name}");
    sql(&[&format!("CREATE DATABASE {name}")]);
    ok(&["demo", "--load-only", "--residents", "20", "--data-dir", &dir, "--database", &url(&name)]);
    ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    assert_eq!(open_to_others(Path::new(&backups)), <Vec<PathBuf>>::new());
    let set = only(&backups).display().to_string();
    ok(&["audit", "canary-scan", "--data-dir", &dir]);
    ok(&["verify", &dir, "--state", &seen]);

    let live = format!("{name}_live");
    sql(&[&format!("ALTER DATABASE {name} RENAME TO {live}"), &format!("CREATE DATABASE {name}")]);
    let restore = ["restore", "--data-dir", &dir, "--from", &set];
    fails(&restore, 1);
    assert!(fails(&[&restore[..], &["--without-live"]].concat(), 1).contains("The pages of the key tree"));
    let said = ok(&[&restore[..], &["--live", &url(&live)]].concat());
    assert!(restored(&said), "{said}");
    ok(&["verify", &dir, "--state", &seen]);
    ok(&["doctor", "--data-dir", &dir]);
    // The drill restores the dump elsewhere, and opens it under today's keys.
    let drill = format!("{name}_drill");
    sql(&[&format!("CREATE DATABASE {drill}")]);
    let said = ok(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set, "--database", &url(&drill)]);
    assert!(said.contains(" 0 wrong"), "{said}");
    let pages = Db::open(&url(&drill), &Options::default()).unwrap();
    let count = pages.read(|conn| conn.query_one("-- pages\nSELECT COUNT(*) FROM key_pages", &[])).unwrap().unwrap();
    assert_eq!(count.integer(0).unwrap(), 0, "a backup holds no page of the key tree");
    drop(pages);
    // The server does it by itself in a database that is set aside, twice in a row too.
    let setup = format!("{dir}/usufruct.toml");
    let text = fs::read_to_string(&setup).unwrap();
    let nights = folder.at("nights");
    let table = format!("[nightly]\nbackups = \"{nights}\"\ncanaries = 1\ndrill_database = \"{}\"\n", url(&drill));
    fs::write(&setup, format!("{text}\n{table}")).unwrap();
    fs::remove_file(format!("{dir}/demo.json")).unwrap();
    let audits = || {
        let db = Db::open(&url(&name), &Options::default()).unwrap();
        let count = "-- audits\nSELECT COUNT(*) FROM leaves WHERE POSITION('\"type\":\"Audit\"'::bytea IN data) > 0";
        db.read(|conn| conn.query_one(count, &[])).unwrap().unwrap().integer(0).unwrap()
    };
    let before = audits();
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    for night in 1..=2 {
        let (server, _) = Server::start(&serve, &dir);
        for _ in 0..400 {
            if audits() == before + 2 * night {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(audits(), before + 2 * night, "a restore drill and a canary scan");
        assert!(server.stop());
        fs::remove_dir_all(&nights).unwrap();
    }
    sql(&[&name, &live, &drill].map(|name| format!("DROP DATABASE {name}")).each_ref().map(String::as_str));
}
