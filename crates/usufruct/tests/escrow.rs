//! The root in escrow, through the program: set up, lost with everything that held it, brought back by officers, and turned.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::store::{Store, on_every_store};
use crate::common::{Folder, Server, city, fails, ok};
use crate::insider::now;
use usufruct_app::{App, Config, EscrowSetup, House, Open, VaultSetup};
use usufruct_core::Time;
use usufruct_core::hash::sha256;
use usufruct_core::ports::{Clock, Rng};

const ORIGIN: &str = "pass.example.org/log";
const PERIOD_DAYS: i64 = 90;

/// A pass whose terms name an escrow, and three officers.
struct Pass<'a> {
    folder: Folder,
    store: &'a Store,
    dir: String,
    period: u64,
}

impl<'a> Pass<'a> {
    fn found(name: &str, store: &'a Store) -> Self {
        let folder = Folder::new(name);
        let dir = folder.at("pass");
        let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
        ok(&[&["init", "--data-dir", &dir, "--origin", ORIGIN], &operator[..], &store.arguments()].concat());
        Self { folder, store, dir, period: now() / 86_400 / PERIOD_DAYS as u64 }
    }

    fn head(&self) -> [String; 2] {
        ["head", "data-protection"].map(|office| self.folder.at(&format!("pass/officials/agc_information.{office}.json")))
    }

    /// Publishes terms of the vault with these lines for the escrow.
    fn publish_terms(&self, escrow: &str) {
        let text = format!("vault = \"{ORIGIN}\"\nslot_class = \"E0\"\nthreshold = 0\nbackup_days = 30\n{escrow}");
        let (file, keys) = (self.folder.write("terms.toml", &text), self.head());
        ok(&["publish", "vault", &file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &self.dir]);
    }

    /// Writes the table of the escrow into the set-up, or takes it out.
    fn set_up(&self, is_in: Setting) {
        let path = format!("{}/usufruct.toml", self.dir);
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\n[vault.escrow]").next().unwrap();
        let table = format!("\n[vault.escrow]\nfolder = \"{}\"\nthreshold = 2\nperiod_days = {PERIOD_DAYS}\n", self.safe());
        fs::write(path, if is_in == Setting::In { text.to_owned() + &table } else { text.to_owned() }).unwrap();
    }

    fn safe(&self) -> String {
        self.folder.at("safe")
    }

    fn officer(&self, name: &str) -> String {
        self.folder.at(&format!("officer {name}"))
    }

    /// Makes officers with keys for a period, and answers their entries.
    fn make_officers(&self, names: &[&str], period: u64) -> Vec<String> {
        let period = period.to_string();
        let make =
            |name: &&str| ok(&["escrow", "officer", "--officer", &self.officer(name), "--name", name, "--period", &period]);
        names.iter().map(make).collect()
    }

    fn appoint(&self, entries: &[String]) -> [String; 6] {
        let file = self.folder.write("officers.toml", &entries.concat());
        ["escrow", "appoint", "--data-dir", &self.dir, "--officers", &file].map(str::to_owned)
    }

    fn status(&self) -> String {
        ok(&["escrow", "status", "--data-dir", &self.dir])
    }

    /// The pass in this process, at a moment some days from now.
    fn app(&self, days: i64) -> App {
        let escrow = EscrowSetup { vault: ORIGIN.into(), folder: self.safe().into(), threshold: 2, period_days: PERIOD_DAYS };
        let config = Config {
            origin: ORIGIN.into(),
            database: self.store.url().map(str::to_owned),
            operator: "agc_information".parse().unwrap(),
            vault: VaultSetup {
                any_disk: true,
                escrow: Some(escrow),
                pages_in_database: self.store.has_pages(),
                ..VaultSetup::default()
            },
        };
        let house = House::open(Path::new(&self.dir)).unwrap();
        let clock = Arc::new(At(Time::from_micros(micros() + days * 86_400_000_000)));
        App::open(Open {
            config,
            house,
            clock,
            rng: Arc::new(Counted),
            objects: None,
            second_hand: None,
            transport: None,
            root: None,
        })
        .unwrap()
    }

    /// Enrols somebody, and answers her number.
    fn enrol(&self) -> String {
        let slip =
            ok(&["enrol", &self.folder.write("person.toml", "[blocks]\nblk_name = \"王小明\"\n"), "--data-dir", &self.dir]);
        slip.split("file number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().to_owned()
    }

    /// An officer opens her share, in a file.
    fn open(&self, name: &str, escrow: &str, to: &str) -> String {
        let out = self.folder.at(&format!("{name}.share"));
        ok(&["escrow", "open", "--officer", &self.officer(name), "--escrow", escrow, "--for", to, "--out", &out]);
        out
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    In,
    Out,
}

struct At(Time);

impl Clock for At {
    fn now(&self) -> Time {
        self.0
    }
}

/// Other bytes at every call of a test's process.
struct Counted;

impl Rng for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        for chunk in bytes.chunks_mut(32) {
            let count = COUNT.fetch_add(1, Ordering::SeqCst);
            let block = sha256(&[now().to_be_bytes(), count.to_be_bytes(), u64::from(std::process::id()).to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

/// Microseconds since 1970: a statement must not be dated before the last one.
#[expect(clippy::disallowed_methods, reason = "the program under test reads the same clock")]
fn micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

const TERMS: &str = "[escrow]\nperiod_days = 90\nofficers = 3\nthreshold = 2\n";

on_every_store!(a_lost_root_comes_back_and_the_erased_do_not, officers_turn_their_keys_and_certificates_follow);

fn a_lost_root_comes_back_and_the_erased_do_not(store: &Store) {
    let pass = Pass::found("escrow", store);
    let (head, dir) = (pass.head(), pass.dir.as_str());
    let block = fs::read_to_string(city("blocks/name.toml")).unwrap();
    let block =
        block.lines().map(|line| if line.starts_with("source_agency") { "source_agency = \"agc_information\"" } else { line });
    let block = pass.folder.write("name.toml", &block.collect::<Vec<_>>().join("\n"));
    ok(&["publish", "block", &block, "--key", &head[0], "--key", &head[1], "--data-dir", dir]);
    pass.publish_terms(TERMS);
    pass.set_up(Setting::In);
    let entries = pass.make_officers(&["chief", "court", "archive"], pass.period);
    ok(&words(&pass.appoint(&entries)));
    let (erased, lives) = (pass.enrol(), pass.enrol());
    assert_ne!(erased, lives);
    let backups = pass.folder.at("backups");
    ok(&["backup", "--data-dir", dir, "--to", &backups]);
    let set = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path().display().to_string();

    // An insider keeps the escrow of before.
    let escrow = format!("{}/escrow", pass.safe());
    let old_escrow = pass.folder.at("old-escrow");
    fs::copy(&escrow, &old_escrow).unwrap();
    let app = pass.app(0);
    let certificate = app.delete_resident(erased.parse::<u64>().unwrap()).unwrap();
    let promised = app.register().certificates[&certificate].body.erased_escrow_at.unwrap();
    assert_eq!(promised.micros(), (pass.period as i64 + 1) * PERIOD_DAYS * 86_400_000_000);
    app.publish_log().unwrap();
    drop(app);
    let said = ok(&["verify", "certificate", certificate.as_str(), "--log", dir]);
    assert!(said.contains(&format!("escrow        {promised}, which lies ahead")), "{said}");
    let doctor = ok(&["doctor", "--data-dir", dir]);
    assert!(doctor.contains("escrow       ok"), "{doctor}");
    let prepare = ["escrow", "prepare", "--data-dir", dir];
    assert!(fails(&prepare, 1).contains("There is a root"));

    // The root is lost.
    fs::remove_file(format!("{dir}/vault/root")).unwrap();
    let serve = ["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    assert!(fails(&serve, 1).contains("root of the key tree"));
    let recover = |shares: &[&String]| {
        let shares = shares.iter().flat_map(|share| ["--share", share.as_str()]);
        ["escrow", "recover", "--data-dir", dir].into_iter().chain(shares).map(str::to_owned).collect::<Vec<_>>()
    };
    let garbage = pass.folder.write("garbage.share", "not a share\n");
    assert!(fails(&words(&recover(&[&garbage])), 1).contains("escrow prepare"));
    let key = ok(&prepare).trim().to_owned();
    assert_eq!(ok(&prepare).trim(), key, "asked again it is the same key");
    let chief = pass.open("chief", &escrow, &key);
    for (shares, reason) in [(vec![&garbage], "base64url"), (vec![&chief], "2 are needed"), (vec![&chief, &chief], "given twice")]
    {
        let said = fails(&words(&recover(&shares)), 1);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    // Nobody brings back the root of before: a certificate says that it is destroyed.
    let stale = [pass.open("archive", &old_escrow, &key), chief.clone()];
    assert!(fails(&words(&recover(&[&stale[0], &stale[1]])), 1).contains("different roots"));
    let stale = ["archive", "court"].map(|name| pass.open(name, &old_escrow, &key));
    assert!(fails(&words(&recover(&[&stale[0], &stale[1]])), 1).contains("a certificate says"));
    assert!(!fs::exists(format!("{dir}/vault/root")).unwrap());
    // Garbage, and the escrow of somebody else.
    let wrong = pass.folder.write("wrong", &"x".repeat(8_192));
    let open = |file: &str| fails(&["escrow", "open", "--officer", &pass.officer("chief"), "--escrow", file, "--for", &key], 1);
    assert!(open(&wrong).contains("not the escrow of a root"));
    assert!(open(&garbage).contains("8,192 bytes"));
    let mut other = fs::read(&escrow).unwrap();
    let at = other.windows(4).position(|bytes| bytes == b"pass").unwrap();
    other[at] = b'P';
    fs::write(&wrong, &other).unwrap();
    assert!(open(&wrong).contains("checksum"));

    let court = pass.open("court", &escrow, &key);
    let said = ok(&words(&recover(&[&chief, &court])));
    assert!(said.contains("is back"), "{said}");
    assert!(!fs::exists(format!("{dir}/recovery")).unwrap(), "the key of the recovery is destroyed");
    assert!(fails(&words(&recover(&[&chief, &court])), 1).contains("There is a root"));
    let (server, _) = Server::start(&serve, dir);
    let beside = store.beside();
    let database = beside.iter().flat_map(|beside| ["--database", beside.url.as_str()]).collect::<Vec<_>>();
    let drill = ok(&[&["audit", "restore-drill", "--data-dir", dir, "--backup", &set], &database[..]].concat());
    assert!(drill.contains("1 opened as they must, 1 stayed closed as they must, 0 wrong"), "{drill}");
    ok(&["invite", &lives, "--data-dir", dir]);
    assert!(server.stop());
    ok(&["doctor", "--data-dir", dir]);
    ok(&["verify", dir, "--state", &pass.folder.at("seen.json")]);
}

fn officers_turn_their_keys_and_certificates_follow(store: &Store) {
    let pass = Pass::found("escrow-turn", store);
    let dir = pass.dir.as_str();
    assert!(fails(&["escrow", "status", "--data-dir", dir], 1).contains("has no escrow"));
    let names = ["chief", "court", "archive"];
    let entries = pass.make_officers(&names, pass.period);

    // An escrow that the terms do not name is none that a city runs with.
    pass.set_up(Setting::In);
    assert!(fails(&["serve", "--data-dir", dir, "--issuer", "http://localhost:8080"], 1).contains("no officers are appointed"));
    assert!(fails(&words(&pass.appoint(&entries)), 1).contains("terms of the vault do not say so"));
    pass.set_up(Setting::Out);
    pass.publish_terms(TERMS);
    assert!(ok(&["doctor", "--data-dir", dir]).contains("none is set up"));
    pass.set_up(Setting::In);
    let past = pass.make_officers(&["old a", "old b", "old c"], pass.period - 1);
    let far = pass.make_officers(&["far a", "far b"], pass.period + 2);
    let broken = entries[0].replace("public = \"", "public = \"AA");
    for (entries, reason) in [
        (vec![entries[0].clone()], "2 are needed"),
        (vec![entries[0].clone(), entries[1].clone(), entries[0].clone()], "the same key"),
        (past, "is over"),
        (far.clone(), "far ahead"),
        (vec![entries[0].clone(), far[0].clone()], "different periods"),
        (vec![entries[0].clone(), broken], "is no public key"),
        (vec!["nonsense".to_owned()], "does not list officers"),
        (vec![entries[0].clone(), entries[1].clone()], "terms of the vault do not say so"),
    ] {
        let said = fails(&words(&pass.appoint(&entries)), 1);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let left = fs::read_dir(pass.safe()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nobody is appointed and nothing sealed before the terms say so");
    let doctor = fails(&["doctor", "--data-dir", dir], 1);
    assert!(doctor.contains("No officers are appointed"), "{doctor}");
    let said = ok(&words(&pass.appoint(&entries)));
    assert!(said.contains("3 officers hold the root"), "{said}");
    // The set-up goes another way than the terms: the doctor says so, and a start seals nothing.
    let (setup, sealed) = (format!("{dir}/usufruct.toml"), fs::read(format!("{}/escrow", pass.safe())).unwrap());
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, text.replace("period_days = 90", "period_days = 30")).unwrap();
    let doctor = fails(&["doctor", "--data-dir", dir], 1);
    assert!(doctor.contains("terms of the vault do not say so"), "{doctor}");
    let serve = ["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    assert!(fails(&serve, 1).contains("terms of the vault do not say so"));
    assert_eq!(fs::read(format!("{}/escrow", pass.safe())).unwrap(), sealed);
    fs::write(&setup, text).unwrap();
    // The folder is moved under a running server: nothing is erased, no date is promised, and the doctor says it.
    let (server, _) = Server::start(&serve, dir);
    assert!(ok(&["doctor", "--data-dir", dir]).contains("escrow       ok"));
    let aside = pass.folder.at("safe-aside");
    fs::rename(pass.safe(), &aside).unwrap();
    let rotate = ["rotate", "root", "--data-dir", dir];
    fails(&rotate, 1);
    assert_eq!(fs::read(format!("{aside}/escrow")).unwrap(), sealed, "nothing is written where nobody looks for it");
    assert!(fails(&["doctor", "--data-dir", dir], 1).contains("The running server opened another file"));
    // Nor does a copy of it in the old place count.
    fs::create_dir(pass.safe()).unwrap();
    for name in ["escrow", "officers.json"] {
        fs::copy(format!("{aside}/{name}"), format!("{}/{name}", pass.safe())).unwrap();
    }
    fails(&rotate, 1);
    assert!(fails(&["doctor", "--data-dir", dir], 1).contains("The running server opened another file"));
    fs::remove_dir_all(pass.safe()).unwrap();
    fs::rename(&aside, pass.safe()).unwrap();
    ok(&rotate);
    assert!(ok(&["doctor", "--data-dir", dir]).contains("escrow       ok"));
    assert!(server.stop());
    let status = pass.status();
    assert!(status.contains("officer 1        chief") && status.contains(&format!("keys of period {}", pass.period)), "{status}");

    // The ceremony, before the period is over: from now on certificates promise the end of the next one.
    let date = |app: &App| {
        let resident = app.enrol(&[usufruct_app::NewResident { blocks: vec![] }]).unwrap()[0].resident;
        let certificate = app.delete_resident(resident).unwrap();
        let body = &app.register().certificates[&certificate].body;
        (body.erased_escrow_at.map(Time::micros), body.limits.en.clone())
    };
    let end = |period: u64| Some((period as i64 + 1) * PERIOD_DAYS * 86_400_000_000);
    let first = date(&pass.app(0));
    assert!(first.0 == end(pass.period) && first.1.contains("bound to have destroyed"), "{first:?}");
    let (escrow, old) = (format!("{}/escrow", pass.safe()), pass.folder.at("old-escrow"));
    fs::copy(&escrow, &old).unwrap();
    let turn = |name: &str| ok(&["escrow", "turn", "--officer", &pass.officer(name)]);
    let turned = names.map(turn);
    assert_eq!(ok(&["escrow", "status", "--officer", &pass.officer("chief")]), turned[0]);
    assert!(turned[0].contains(&format!("period = {}", pass.period + 1)), "{}", turned[0]);
    ok(&words(&pass.appoint(&turned)));
    assert!(fails(&words(&pass.appoint(&entries)), 1).contains("later period"));
    assert_eq!(date(&pass.app(0)).0, end(pass.period + 1), "not the end of the present period");
    let to = turned[1].split('"').nth(3).unwrap();
    for name in names {
        let said = fails(&["escrow", "open", "--officer", &pass.officer(name), "--escrow", &old, "--for", to], 1);
        assert!(said.contains("no share in it is sealed to the key"), "{said}");
        ok(&["escrow", "open", "--officer", &pass.officer(name), "--escrow", &escrow, "--for", to]);
    }

    // One key in 64 looks like an option.
    let dashed = format!("-{}", "A".repeat(42));
    ok(&["escrow", "open", "--officer", &pass.officer("chief"), "--escrow", &escrow, "--for", &dashed]);

    // Late officers: the root stays in escrow, and nothing is promised.
    let late = date(&pass.app(2 * PERIOD_DAYS));
    assert!(late.0.is_none() && late.1.contains("no date is given"), "{late:?}");
    ok(&["doctor", "--data-dir", dir]);
}

#[test]
fn no_slip_of_the_hand_costs_an_officer_her_key() {
    let folder = Folder::new("escrow-slip");
    let officer = |name: &str, period: &str| {
        ok(&["escrow", "officer", "--officer", &folder.at(name), "--name", name, "--period", period]);
        folder.at(name)
    };
    let chief = officer("chief", "227");
    let entry = ok(&["escrow", "status", "--officer", &chief]);
    for slip in ["2280", "282", "240", "4294967295", "22"] {
        let said = fails(&["escrow", "turn", "--officer", &chief, "--period", slip], 1);
        assert!(said.contains("a key is turned"), "{said}");
        assert_eq!(ok(&["escrow", "status", "--officer", &chief]), entry, "the key is the same");
    }
    assert!(ok(&["escrow", "turn", "--officer", &chief, "--period", "239"]).contains("period = 239"));
    let last = officer("last", "4294967295");
    let said = fails(&["escrow", "turn", "--officer", &last], 1);
    assert!(said.contains("There is no period after 4294967295"), "{said}");
}
