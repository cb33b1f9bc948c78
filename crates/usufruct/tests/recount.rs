//! The overseer's side of a recount, as far as it goes on the day on which a mandate begins: its key, and what is refused.

use std::fs;

use crate::common::{Folder, city, fails, ok};

#[test]
fn an_auditor_has_a_key_of_her_own_and_days_have_to_be_counted_first() {
    let folder = Folder::new("recount");
    let dir = folder.at("pass");
    let setup = [
        "--origin",
        "pass.example.org/log",
        "--operator",
        "agc_information",
        "--operator-name",
        "City",
        "--operator-name-zh",
        "市",
    ];
    ok(&[&["init", "--data-dir", &dir], setup.as_slice()].concat());
    let officials = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));

    let key = folder.at("audit.json");
    let said = ok(&["audit", "key", "--out", &key]);
    let public = said.split("audit_key = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    assert!(!fs::read_to_string(&key).unwrap().contains(&public));
    assert!(fails(&["audit", "key", "--out", &key], 1).contains("is there already"));

    for (agency, offices) in
        [("library", &["head", "data-protection"][..]), ("oversight", &["chair", "member"]), ("civil-affairs", &["head"])]
    {
        let mut text = fs::read_to_string(city(&format!("agencies/{agency}.toml"))).unwrap();
        text = text.lines().filter(|line| !line.starts_with("roles")).map(|line| format!("{line}\n")).collect();
        for office in offices {
            let file = folder.at(&format!("{agency}.{office}.json"));
            ok(&["key", "new", "--agency", &format!("agc_{agency}"), "--key", office, "--out", &file]);
            text += &ok(&["key", "public", &file]);
        }
        let file = folder.write(&format!("{agency}.toml"), &text);
        ok(&["publish", "agency", &file, "--key", &officials[0], "--key", &officials[1], "--data-dir", &dir]);
    }
    for block in ["name", "over-18", "email", "preferred-language"] {
        let file = city(&format!("blocks/{block}.toml"));
        ok(&["publish", "block", &file, "--key", &officials[0], "--key", &officials[1], "--data-dir", &dir]);
    }
    let text = fs::read_to_string(city("mandates/library-card.toml")).unwrap();
    let with_key = |key: &str| text.replacen("[mandate]\n", &format!("[mandate]\naudit_key = \"{key}\"\n"), 1);
    let bad = folder.write("library-bad.toml", &with_key("short"));
    let library = ["head", "data-protection"].map(|office| folder.at(&format!("library.{office}.json")));
    let publish = |file: &str| -> Vec<String> {
        ["mandate", "publish", file, "--key", &library[0], "--key", &library[1], "--data-dir", &dir].map(str::to_owned).into()
    };
    let publish_bad = publish(&bad);
    let refused = fails(&publish_bad.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    assert!(refused.contains("audit_key"), "{refused}");
    let good = folder.write("library-card.toml", &with_key(&public));
    let publish_good = publish(&good);
    ok(&publish_good.iter().map(String::as_str).collect::<Vec<_>>());

    let out = folder.at("draw.json");
    let watchers = ["chair", "member"].map(|office| folder.at(&format!("oversight.{office}.json")));
    let keys = ["--key", &watchers[0], "--key", &watchers[1], "--data-dir", &dir];
    let draw = |mandate: &str| {
        let named = ["audit", "draw", mandate, "--until", "2099-01-01T00:00:00Z", "--out", &out];
        fails(&[&named[..], &keys].concat(), 1)
    };
    assert!(draw("mdt_library-card").contains("No day of this mandate has been counted"));
    assert!(draw("mdt_nothing").contains("There is no mandate"));
    assert!(!std::path::Path::new(&out).exists(), "nothing was ordered");
    let recount = |audit_key: &str, draw: &str| {
        fails(&[&["audit", "recount", "--draw", draw, "--audit-key", audit_key], &keys[..]].concat(), 1)
    };
    let unknown = folder.write("unknown.json", &format!("{{\"order\":\"ord_1\",\"secret\":\"{}\"}}", "0".repeat(64)));
    assert!(recount(&key, &unknown).contains("No order ord_1 in the register draws days"));
    assert!(recount(&key, &key).contains("is no draw"));
    assert!(recount(&watchers[0], &unknown).contains("is no audit key"));
}
