//! The database is lost and its replica too: the program goes on with an old copy or with none, on the safe side, and only when
//! it is told to.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Folder, city, fails, ok};
use usufruct_app::store::db::Db;
use usufruct_app::store::residents::{self, ResidentState};
use usufruct_app::{App, Config, House, Open, VaultSetup};
use usufruct_core::Time;
use usufruct_core::hash::sha256;
use usufruct_core::ports::{Clock, Rng};

/// How a test loses a database, and what it has of it.
trait Place {
    /// As an argument of `init`; `None` for the embedded database.
    fn url(&self) -> Option<String>;
    /// A copy as it is now, by its address.
    fn copy(&self) -> String;
    /// The database is lost; what is there now is empty.
    fn lose(&self);
}

struct Sqlite<'a>(&'a Folder);

impl Place for Sqlite<'_> {
    fn url(&self) -> Option<String> {
        None
    }

    fn copy(&self) -> String {
        let to = self.0.at("old.db");
        assert!(Db::copy(&format!("sqlite:{}/usufruct.db", self.0.at("pass")), Path::new(&to)).unwrap());
        format!("sqlite:{to}")
    }

    fn lose(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}/usufruct.db{end}", self.0.at("pass")));
        }
    }
}

struct Postgres {
    base: String,
    name: String,
}

impl Postgres {
    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.base.rsplit_once('/').unwrap().0)
    }

    fn sql(&self, statement: &str) {
        let status = Command::new("psql").args([self.base.as_str(), "-q", "-c", statement]).status();
        assert!(status.is_ok_and(|status| status.success()), "{statement}");
    }
}

impl Place for Postgres {
    fn url(&self) -> Option<String> {
        Some(self.named(&self.name))
    }

    fn copy(&self) -> String {
        self.sql(&format!("CREATE DATABASE {0}_old TEMPLATE {0}", self.name));
        self.named(&format!("{}_old", self.name))
    }

    fn lose(&self) {
        self.sql(&format!("DROP DATABASE {}", self.name));
        self.sql(&format!("CREATE DATABASE {}", self.name));
    }
}

#[test]
fn an_old_copy_is_no_replica_on_sqlite() {
    let folder = Folder::new("safe-side");
    plays(&folder, &Sqlite(&folder));
}

#[test]
fn an_old_copy_is_no_replica_on_postgresql() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let place = Postgres { base, name: format!("safe_side_{}", std::process::id()) };
    place.sql(&format!("CREATE DATABASE {}", place.name));
    plays(&Folder::new("safe-side-postgres"), &place);
    place.sql(&format!("DROP DATABASE {}", place.name));
    place.sql(&format!("DROP DATABASE {}_old", place.name));
}

/// The pass in this process.
fn app(dir: &str, database: Option<String>) -> Arc<App> {
    let config = Config {
        origin: "pass.example.org/log".into(),
        database,
        operator: "agc_information".parse().unwrap(),
        vault: VaultSetup { any_disk: true, ..VaultSetup::default() },
    };
    let house = House::open(Path::new(dir)).unwrap();
    let (clock, rng) = (Arc::new(Now), Arc::new(Counted));
    let open = Open { config, house, clock, rng, objects: None, second_hand: None, transport: None, root: None };
    Arc::new(App::open(open).unwrap())
}

fn plays(folder: &Folder, place: &dyn Place) {
    let (dir, backups, seen) = (folder.at("pass"), folder.at("backups"), folder.at("seen.json"));
    let url = place.url();
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    let database: Vec<&str> = url.iter().flat_map(|url| ["--database", url.as_str()]).collect();
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..], &database].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    if url.is_some() {
        // With the pages of the key tree in the lost database nothing would be left to open anything with.
        let setup = format!("{dir}/usufruct.toml");
        let text = fs::read_to_string(&setup).unwrap();
        assert!(text.contains("pages = \"database\""), "{text}");
        fs::write(&setup, text.replace("pages = \"database\"", "pages = \"file\"")).unwrap();
        fs::remove_file(format!("{dir}/vault/root")).unwrap();
        ok(&["refound", "--data-dir", &dir, "--key", &keys[0], "--key", &keys[1], "--everything-sealed-is-lost"]);
    }
    let text = fs::read_to_string(city("blocks/name.toml")).unwrap();
    let block = text.replace("agc_civil-affairs", "agc_information");
    ok(&["publish", "block", &folder.write("name.toml", &block), "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    let enrol = || -> u64 {
        let slip = ok(&["enrol", &folder.write("person.toml", "[blocks]\nblk_name = \"王小明\"\n"), "--data-dir", &dir]);
        slip.split("file number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().parse().unwrap()
    };
    let (quiet, busy, gone) = (enrol(), enrol(), enrol());
    ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    let set = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path().display().to_string();
    let old = place.copy();
    let pass = app(&dir, url.clone());
    pass.set_active(busy, ResidentState::Deactivated).unwrap();
    pass.set_active(busy, ResidentState::Active).unwrap();
    pass.delete_resident(gone).unwrap();
    pass.publish_log().unwrap();
    drop(pass);
    ok(&["verify", &dir, "--state", &seen]);

    place.lose();
    let restore = ["restore", "--data-dir", &dir, "--from", &set];
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    assert!(fails(&serve, 1).contains("`usufruct restore`"), "an empty database is older than the log");
    assert!(fails(&restore, 1).contains("There is no live copy"), "and no live copy either");
    let refused = fails(&[&restore[..], &["--live", &old]].concat(), 1);
    for reason in [
        "is behind the log",
        "1 erasures that published certificates prove",
        "1 residents as living",
        "of 1 residents that are in the log",
    ] {
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    assert!(!fs::exists(format!("{dir}/unfinished")).unwrap(), "nothing was touched");
    // The second time one event more is lost: that with which her pass went on after the first.
    for (way, lost) in [(vec!["--live", &old, "--live-is-old"], 2), (vec!["--without-live"], 3)] {
        place.lose();
        let said = ok(&[&restore[..], &way].concat());
        assert!(said.contains("is whole again"), "{said}");
        assert!(said.contains("1 residents were erased since and stay so. 0 have other keys"), "{said}");
        assert!(said.contains(&format!("To 1 something else happened, {lost} lines")), "{said}");
        let doctor = ok(&["doctor", "--data-dir", &dir]);
        assert!(!doctor.contains("FAIL"), "{doctor}");
        ok(&["verify", &dir, "--state", &seen]);
        let pass = app(&dir, url.clone());
        let state = |resident| pass.db().read(|conn| residents::state(conn, resident)).unwrap();
        assert_eq!(state(quiet), Some(ResidentState::Active));
        assert_eq!(state(busy), Some(ResidentState::Deactivated));
        assert_eq!(state(gone), Some(ResidentState::Erased));
        assert_eq!(pass.own_blocks(quiet).unwrap()[0].value, "王小明", "who did nothing opens");
        assert!(pass.own_blocks(busy).is_ok() && pass.own_blocks(gone).is_err());
        drop(pass);
        ok(&["invite", &busy.to_string(), "--data-dir", &dir]);
        let pass = app(&dir, url.clone());
        pass.set_active(busy, ResidentState::Active).unwrap();
        let numbers: Vec<u64> = pass.footprint(busy).unwrap().lines.iter().map(|line| line.n).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        pass.publish_log().unwrap();
        drop(pass);
        // For the next way the world is as it was, but for a log that has grown.
        let again = enrol();
        assert!(again > gone, "enrolled again under a new number");
    }
}

struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "the program under test reads the same clock")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Time::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

/// Other bytes at every call of a test's process.
struct Counted;

impl Rng for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        for chunk in bytes.chunks_mut(32) {
            let count = COUNT.fetch_add(1, Ordering::SeqCst);
            let process = u64::from(std::process::id());
            let block =
                sha256(&[Now.now().micros().cast_unsigned().to_be_bytes(), count.to_be_bytes(), process.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}
