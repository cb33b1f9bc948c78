//! A city whose root lies under a key of a PKCS#11 token, on SoftHSM, as people run it.
#![cfg(feature = "pkcs11")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{Folder, err, out, program};
use crate::insider::Insider;
use usufruct_core::statement::{Statement, StatementKind};

const ORIGIN: &str = "pass.example.org/log";
const PIN: &str = "483-7751-92";

fn module() -> Option<PathBuf> {
    let named = std::env::var_os("USUFRUCT_SOFTHSM").map(PathBuf::from);
    let usual = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"];
    named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists())
}

/// A folder with a token of SoftHSM.
struct Bench {
    folder: Folder,
    conf: String,
    module: String,
}

impl Bench {
    fn new(name: &str) -> Option<Self> {
        let Some(module) = module() else {
            eprintln!("skipped: SoftHSM is not there. `apt-get install softhsm2` brings it.");
            return None;
        };
        let folder = Folder::new(name);
        fs::create_dir(folder.at("tokens")).unwrap();
        let conf = folder.write(
            "softhsm2.conf",
            &format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", folder.at("tokens")),
        );
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "pass", "--pin", PIN, "--so-pin", "so-pin-of-tests"])
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", err(&made));
        Some(Self { folder, conf, module: module.display().to_string() })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program().args(arguments).env("SOFTHSM2_CONF", &self.conf).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
        out(&output)
    }

    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let text = out(&output) + &err(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn pin(&self, text: &str) -> String {
        let path = self.folder.write("pin", text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn init(&self, dir: &str) -> Vec<String> {
        let names = ["init", "--origin", ORIGIN, "--operator-name", "City", "--operator-name-zh", "市", "--data-dir", dir];
        let pin = self.folder.at("pin");
        let token = ["--token-module", &self.module, "--token-label", "pass", "--token-pin-file", &pin];
        names.iter().chain(&token).map(|word| (*word).to_owned()).collect()
    }
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn a_city_lives_on_a_token() {
    let Some(bench) = Bench::new("token-city") else { return };
    let pass = bench.folder.at("pass");
    bench.pin(&format!("{PIN}\n"));
    bench.ok(&words(&bench.init(&pass)));
    assert!(!Path::new(&format!("{pass}/vault/root")).exists(), "the root is in no file");
    let setup = fs::read_to_string(format!("{pass}/usufruct.toml")).unwrap();
    assert!(setup.contains("root = \"token\"") && !setup.contains(PIN), "{setup}");

    let person = bench.folder.write("person.toml", "[blocks]\n");
    assert!(bench.ok(&["enrol", &person, "--data-dir", &pass]).contains("file number"));
    let scan = ["audit", "canary-scan", "--data-dir", &pass, "--residents", "2"];
    assert!(bench.ok(&scan).contains("0 wrong"));
    let city = Insider::of(&pass);
    let at = city.find(StatementKind::Certificate, "slot_class");
    let certificate = Statement::from_leaf(&city.leaves[at]).unwrap();
    // SoftHSM is a token in software, so the certificate claims no more than for a file.
    let said = bench.ok(&["verify", "certificate", &certificate.id, "--log", &pass]);
    assert!(said.contains("class E0") && said.contains("verified"), "{said}");
    let doctor = bench.ok(&["doctor", "--data-dir", &pass]);
    assert!(doctor.contains("A key of the token opens it"), "{doctor}");

    // A wrong PIN, and none.
    bench.pin("483-7751-93\n");
    let said = bench.fails(&scan, 1);
    assert!(said.contains("does not open it") && !said.contains("483-7751"), "{said}");
    assert!(bench.fails(&["doctor", "--data-dir", &pass], 1).contains("FAIL"));
    fs::remove_file(bench.folder.at("pin")).unwrap();
    assert!(bench.fails(&scan, 1).contains("cannot be had"));
    bench.pin(PIN);

    // Without the wrapped root, and without the token, nothing is made anew.
    let (wrapped, aside) = (format!("{pass}/vault/token"), bench.folder.at("aside"));
    fs::rename(&wrapped, &aside).unwrap();
    assert!(bench.fails(&scan, 1).contains("is not where the set-up says"));
    assert!(bench.fails(&["doctor", "--data-dir", &pass], 1).contains("not in vault/token"));
    fs::rename(&aside, &wrapped).unwrap();
    fs::rename(bench.folder.at("tokens"), &aside).unwrap();
    fs::create_dir(bench.folder.at("tokens")).unwrap();
    assert!(bench.fails(&scan, 1).contains("0 tokens called pass"));
    fs::remove_dir(bench.folder.at("tokens")).unwrap();
    fs::rename(&aside, bench.folder.at("tokens")).unwrap();
    // A token that has lost the key says that, and nothing of what it can do besides.
    let token = fs::read_dir(bench.folder.at("tokens")).unwrap().next().unwrap().unwrap().path();
    let objects = || fs::read_dir(&token).unwrap().map(|entry| entry.unwrap().path());
    let key = objects().find(|path| path.extension().is_some_and(|end| end == "object") && !path.ends_with("token.object"));
    let key = key.expect("the key of the root is on the token");
    fs::rename(&key, &aside).unwrap();
    let said = bench.fails(&scan, 1);
    assert!(said.contains("the token has no key") && said.trim().lines().count() == 1, "{said}");
    fs::rename(&aside, &key).unwrap();
    assert!(bench.ok(&scan).contains("0 wrong"));
}

#[test]
fn a_token_that_has_the_root_of_this_pass_is_not_taken_for_another() {
    let Some(bench) = Bench::new("token-taken") else { return };
    bench.pin(PIN);
    bench.ok(&words(&bench.init(&bench.folder.at("pass"))));
    let said = bench.fails(&words(&bench.init(&bench.folder.at("other"))), 1);
    assert!(said.contains("already"), "{said}");
    let mut without = bench.init(&bench.folder.at("third"));
    without.truncate(without.len() - 2);
    assert!(bench.fails(&words(&without), 2).contains("--token-pin"), "a token needs a PIN");
}
