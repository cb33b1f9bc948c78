//! A pass whose root is lost by everybody is founded anew: the log stays, what was sealed is gone, and everything works again.

use std::fs;

use crate::common::{Folder, Server, city, fails, ok};
use usufruct_app::store::db::{Connection as _, Db, Options};
use usufruct_app::store::tables;

#[test]
fn a_pass_whose_root_is_lost_begins_anew_with_its_log_on_sqlite() {
    let folder = Folder::new("refound");
    plays(&folder, &[], &format!("sqlite:{}/usufruct.db", folder.at("pass")));
}

#[test]
fn a_pass_whose_root_is_lost_begins_anew_with_its_log_on_postgresql() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("refound_{}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make schema", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{separator}options=-csearch_path%3D{schema}");
    plays(&Folder::new("refound-postgres"), &["--database", &url], &url);
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    admin.transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
}

fn count(url: &str, sql: &str) -> i64 {
    let db = Db::open(url, &Options::default()).unwrap();
    db.read(|conn| conn.query_one(&format!("-- count\nSELECT COUNT(*) FROM {sql}"), &[])).unwrap().unwrap().integer(0).unwrap()
}

fn enrol(folder: &Folder, dir: &str) -> String {
    let slip = ok(&["enrol", &folder.write("person.toml", "[blocks]\nblk_name = \"王小明\"\n"), "--data-dir", dir]);
    slip.split("file number ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().to_owned()
}

fn plays(folder: &Folder, database: &[&str], url: &str) {
    let (dir, seen) = (folder.at("pass"), folder.at("seen.json"));
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..], database].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let text = fs::read_to_string(city("blocks/name.toml")).unwrap();
    let block: String = text
        .lines()
        .map(|line| if line.starts_with("source_agency") { "source_agency = \"agc_information\"" } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    ok(&["publish", "block", &folder.write("name.toml", &block), "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    for _ in 0..3 {
        enrol(folder, &dir);
    }
    // Erasures, with their certificates.
    ok(&["audit", "canary-scan", "--data-dir", &dir, "--residents", "2"]);
    ok(&["verify", &dir, "--state", &seen]);
    let leaves = count(url, "leaves");
    let certificates = |dir: &str| -> Vec<serde_json::Value> {
        let db = Db::open(url, &Options::default()).unwrap();
        assert!(!dir.is_empty());
        let register = usufruct_app::replay(&db).unwrap();
        register.certificates.values().map(|entry| serde_json::to_value(entry).unwrap()).collect()
    };
    let last = certificates(&dir).iter().map(|entry| entry["body"]["epoch_after"].as_i64().unwrap()).max().unwrap();
    assert!(last >= 2);

    let refound = ["refound", "--data-dir", &dir, "--key", &keys[0], "--key", &keys[1]];
    let sure = [&refound[..], &["--everything-sealed-is-lost"]].concat();
    assert!(fails(&sure, 1).contains("There is a root of the key tree"), "not while there is a root");
    let earlier = folder.at("earlier");
    ok(&["backup", "--data-dir", &dir, "--to", &earlier]);
    fs::remove_file(format!("{dir}/vault/root")).unwrap();
    assert!(fails(&["audit", "canary-scan", "--data-dir", &dir], 1).contains("is not where the set-up says"));
    assert!(fails(&refound, 1).contains("for good"), "it has to be said");
    let alone = ["refound", "--data-dir", &dir, "--key", &keys[0], "--everything-sealed-is-lost"];
    assert!(fails(&alone, 1).contains("roles"), "nobody does it alone");
    assert_eq!(count(url, "residents WHERE state <> 'erased'"), 3, "nothing was removed by what was refused");

    let said = ok(&sure);
    assert!(said.contains(&format!("from epoch {} on. 3 residents are gone", last + 1)), "{said}");
    // What is in the log or belongs to the new tree, how far the trees have come, and the week that the new pass has no messages of.
    let kept = ["leaves", "log_head", "erasures", "key_pages", "key_epochs", "message_walk"];
    for table in tables::ALL.iter().filter(|table| !kept.contains(&table.name)) {
        assert_eq!(count(url, table.name), 0, "{}", table.name);
    }
    assert_eq!(count(url, "erasures WHERE resident IS NOT NULL"), 0);
    assert_eq!(count(url, &format!("key_epochs WHERE epoch = {}", last + 1)), 1, "no start takes an older root");
    assert!(count(url, "leaves") > leaves, "the log goes on");
    ok(&["verify", &dir, "--state", &seen]);
    let doctor = ok(&["doctor", "--data-dir", &dir]);
    assert!(!doctor.contains("FAIL"), "{doctor}");
    let again = fails(&sure, 1);
    assert!(again.contains("There is a root of the key tree"), "{again}");

    // A backup from before holds people whose numbers others get now, and nothing in it opens.
    if database.is_empty() {
        let set = fs::read_dir(&earlier).unwrap().next().unwrap().unwrap().path().display().to_string();
        let drill = ok(&["audit", "restore-drill", "--data-dir", &dir, "--backup", &set]);
        assert!(drill.contains("3 stayed closed as they must, 0 wrong"), "{drill}");
    }

    // Residents enrol, and are erased with certificates that hold, whose epochs come after all before.
    let number = enrol(folder, &dir);
    assert_eq!(number, "1", "the numbers of residents begin again");
    let serve = ["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
    let (server, _) = Server::start(&serve, &dir);
    enrol(folder, &dir);
    let before: Vec<String> = certificates(&dir).iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    let scan = ok(&["audit", "canary-scan", "--data-dir", &dir, "--residents", "2"]);
    assert!(scan.contains(" 0 wrong"), "{scan}");
    let all = certificates(&dir);
    let new: Vec<_> = all.iter().filter(|entry| !before.contains(&entry["id"].as_str().unwrap().to_owned())).collect();
    assert_eq!((all.len(), new.len()), (4, 2));
    for certificate in &new {
        assert!(certificate["body"]["epoch_before"].as_i64().unwrap() > last, "{certificate}");
    }
    assert!(server.stop());
    // A command on a pass that nobody serves publishes what is committed.
    ok(&["audit", "canary-scan", "--data-dir", &dir, "--residents", "1"]);
    for certificate in &all {
        let verified = ok(&["verify", "certificate", certificate["id"].as_str().unwrap(), "--log", &dir]);
        assert!(verified.contains("verified"), "{verified}");
    }
    ok(&["verify", &dir, "--state", &seen]);

    // The next backup is one of the new pass, and restores.
    let backups = folder.at("backups");
    ok(&["backup", "--data-dir", &dir, "--to", &backups]);
    if database.is_empty() {
        let set = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path().display().to_string();
        let said = ok(&["restore", "--data-dir", &dir, "--from", &set]);
        assert!(said.contains("is whole again"), "{said}");
    }
    // Terms that keep silent about the loss are refused from now on.
    let terms = "vault = \"pass.example.org/log\"\nslot_class = \"E0\"\nthreshold = 0\nbackup_days = 30\n";
    let file = folder.write("terms.toml", terms);
    let publish = ["publish", "vault", &file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir];
    assert!(fails(&publish, 1).contains("root was lost"));
}

#[test]
fn a_pass_founded_anew_half_way_is_opened_by_nobody_and_is_finished_by_the_same_command() {
    let folder = Folder::new("refound-half");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    // As a crash leaves it after the new root was made and before its pages were.
    fs::write(format!("{dir}/unfinished"), "refound").unwrap();
    fs::remove_file(format!("{dir}/vault/pages")).unwrap();
    let refused = fails(&["audit", "canary-scan", "--data-dir", &dir], 1);
    assert!(refused.contains("`usufruct refound` was interrupted"), "{refused}");
    let refound = ["refound", "--data-dir", &dir, "--key", &keys[0], "--key", &keys[1], "--everything-sealed-is-lost"];
    assert!(ok(&refound).contains("founded anew from epoch 1 on"));
    ok(&["audit", "canary-scan", "--data-dir", &dir]);
}
