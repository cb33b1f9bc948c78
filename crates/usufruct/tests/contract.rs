//! A contract from a file to its end by command: each says what is missing, and nobody does alone what takes two.

use std::fs;

use crate::common::{Folder, city, fails, ok};

const OFFICES: [&str; 2] = ["head", "data-protection"];
const BODIES: [&str; 3] = ["cloud-vendor", "economy", "event-vendor"];

struct Place {
    folder: Folder,
    dir: String,
}

impl Place {
    fn keys(&self, body: &str) -> [String; 2] {
        OFFICES.map(|office| match body {
            "information" => self.folder.at(&format!("pass/officials/agc_information.{office}.json")),
            _ => self.folder.at(&format!("{body}-{office}.json")),
        })
    }

    /// Adds the key files of these bodies and the data directory.
    fn arguments(&self, start: &[&str], bodies: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = start.iter().map(|word| (*word).to_owned()).collect();
        for key in bodies.iter().flat_map(|body| self.keys(body)) {
            all.extend(["--key".to_owned(), key]);
        }
        all.extend(["--data-dir".to_owned(), self.dir.clone()]);
        all
    }

    fn ok(&self, start: &[&str], bodies: &[&str]) -> String {
        ok(&self.arguments(start, bodies).iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn fails(&self, start: &[&str], bodies: &[&str]) -> String {
        fails(&self.arguments(start, bodies).iter().map(String::as_str).collect::<Vec<_>>(), 1)
    }

    fn check(&self, kind: &str) -> String {
        let text = format!(
            "contract = \"ctr_event\"\nkind = \"{kind}\"\noutcome = \"passed\"\n[[evidence]]\ntitle = {{ en = \"Report\", zh-Hant = \"報告\" }}\nsha256 = \"{}\"\n",
            "ab".repeat(32)
        );
        self.folder.write(&format!("event-{kind}.toml"), &text)
    }
}

/// A pass with the bodies of the demo city and the clause library in force.
fn place() -> Place {
    let folder = Folder::new("contract");
    let place = Place { dir: folder.at("pass"), folder };
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &place.dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    for body in BODIES {
        let mut text: String = fs::read_to_string(city(&format!("agencies/{body}.toml"))).unwrap();
        text = text.lines().filter(|line| !line.starts_with("roles")).map(|line| format!("{line}\n")).collect();
        for (office, key) in OFFICES.iter().zip(place.keys(body)) {
            ok(&["key", "new", "--agency", &format!("agc_{body}"), "--key", office, "--out", &key]);
            text += &ok(&["key", "public", &key]);
        }
        let file = place.folder.write(&format!("{body}.toml"), &text);
        place.ok(&["publish", "agency", &file], &["information"]);
    }
    let packs = format!("{}/../core/lawpacks", env!("CARGO_MANIFEST_DIR"));
    let house = fs::read_to_string(format!("{packs}/generic-2026-12.toml")).unwrap();
    assert!(house.contains("valid_from = \"2026-12-01\""));
    let house = place.folder.write("house.toml", &house.replace("valid_from = \"2026-12-01\"", "valid_from = \"2026-01-01\""));
    place.ok(&["publish", "lawpack", &house], &["information"]);
    place.ok(&["publish", "lawpack", &format!("{packs}/tw.toml")], &["information"]);
    place
}

#[test]
fn a_contract_is_published_looked_at_signed_and_ended() {
    let place = place();
    let whole = fs::read_to_string(city("contracts/event.toml")).unwrap();
    let whole = whole.replace("from = \"today-230d\"", "from = \"today\"").replace("\"today-145d\"", "\"today+80d\"");
    let bare = whole.replace("[[clauses]]\nclause = \"penalty\"\n", "");
    assert_ne!(bare, whole);
    let file = place.folder.write("event.toml", &bare);
    place.ok(&["publish", "contract", &file], &["economy"]);
    let sign = ["contract", "sign", "ctr_event"];
    let refused = place.fails(&sign, &["economy"]);
    assert!(refused.contains("passed the check `agency`"), "{refused}");
    place.fails(&["publish", "check", &place.check("city")], &["economy"]);
    place.ok(&["publish", "check", &place.check("agency")], &["economy"]);
    place.ok(&["publish", "check", &place.check("city")], &["information"]);
    let refused = place.fails(&sign, &["economy"]);
    assert!(refused.contains("clauses.penalty: The contract lacks this clause (house 6)."), "{refused}");

    let file = place.folder.write("event.toml", &whole);
    place.ok(&["publish", "contract", &file], &["economy"]);
    let refused = place.fails(&sign, &["economy"]);
    assert!(refused.contains("passed the check `agency`"), "another revision is looked at anew: {refused}");
    for (kind, by) in [("agency", "economy"), ("city", "information")] {
        let text = fs::read_to_string(place.check(kind)).unwrap();
        let again = place.folder.write(&format!("event-{kind}-2.toml"), &text);
        place.ok(&["publish", "check", &again], &[by]);
    }
    assert!(place.ok(&sign, &["economy"]).contains("ctr_event is in force"));
    let list = ok(&["contract", "list", "--data-dir", &place.dir]);
    assert!(list.contains("ctr_event") && list.contains("active") && list.contains("check due"), "{list}");

    let reasons = ["--reason-en", "The festival is over.", "--reason-zh", "購物節結束。"];
    let with = |verb: &'static str| [&["contract", verb, "ctr_event"], &reasons[..]].concat();
    let because = |verb: &'static str, grounds: &[&'static str]| [&with(verb)[..], grounds].concat();
    // A contract does not rest without a reason that can be counted, and something that shows it.
    let refused = place.fails(&with("suspend"), &["economy"]);
    assert!(refused.contains("what sort of reason") && refused.contains("Nothing shows"), "{refused}");
    place.ok(&because("suspend", &["--reason-code", "check_failed", "--law", "Enforcement Rules 8"]), &["economy"]);
    let ready = ["--reason-code", "ready"];
    place.fails(&because("resume", &ready), &["event-vendor"]);
    assert!(place.fails(&with("resume"), &["economy"]).contains("what sort of reason"));
    place.ok(&because("resume", &ready), &["economy"]);
    let ended = place.ok(&with("end"), &["economy"]);
    assert!(ended.contains("has to delete until"), "{ended}");
    let refused = place.fails(&with("close"), &["economy"]);
    assert!(refused.contains("has not said that everything is returned and deleted"), "{refused}");
    place.ok(&["publish", "check", &place.check("deletion")], &["event-vendor"]);
    place.ok(&with("close"), &["economy"]);
    let list = ok(&["contract", "list", "--data-dir", &place.dir]);
    assert!(list.contains("closed"), "{list}");
    ok(&["verify", &place.dir]);
}

#[test]
fn a_ticket_is_for_one_pass_and_a_few_hours() {
    let folder = Folder::new("ticket");
    let key = folder.at("head.json");
    ok(&["key", "new", "--agency", "agc_event-vendor", "--key", "head", "--out", &key]);
    let ticket = ok(&["key", "ticket", &key, "--issuer", "https://pass.example.org/"]);
    assert!(ticket.trim().split('.').count() == 2 && !ticket.trim().contains(' '), "{ticket}");
    assert_ne!(ticket, ok(&["key", "ticket", &key, "--issuer", "https://pass.example.org"]), "each is new");
    fails(&["key", "ticket", &key, "--issuer", "https://pass.example.org", "--hours", "13"], 2);
}
