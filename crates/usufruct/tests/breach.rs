//! The breach desk by command: opened by two, answered by one, drilled with a clock of its own, closed by two.

use crate::common;
use crate::common::{Folder, fails, ok};

struct Desk {
    folder: Folder,
    dir: String,
    keys: [String; 2],
}

/// A pass with its operator, a mandate's body being the operator itself.
fn desk() -> Desk {
    let folder = Folder::new("breach");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let service = folder.write("desk.toml", SERVICE);
    let desk = Desk { dir, keys, folder };
    desk.ok(&["publish", "service", &service], 2);
    desk
}

const SERVICE: &str = r#"agency = "agc_information"
name = { en = "Desk", zh-Hant = "服務臺" }
sector = "desk"
redirect_uris = ["https://desk.example.org/back"]
channels = ["web", "counter"]
profile = "oidc"
alternatives = [{ en = "Come to the counter.", zh-Hant = "請洽櫃檯。" }]
help = { en = "Asks who you are.", zh-Hant = "確認身分。" }
"#;

const LOST: &str = r#"body = "agc_information"
cause = "loss"
kinds = ["confidentiality"]
threat_actor = "nobody"
reporter = "staff"
title = { en = "Lost laptop", zh-Hant = "筆電遺失" }
facts = { en = "A laptop was left in a train.", zh-Hant = "筆電遺留於列車上。" }
from = "2026-01-01"
services = ["svc_desk"]
"#;

impl Desk {
    fn arguments(&self, start: &[&str], keys: usize) -> Vec<String> {
        let mut all: Vec<String> = start.iter().map(|word| (*word).to_owned()).collect();
        for key in self.keys.iter().take(keys) {
            all.extend(["--key".to_owned(), key.clone()]);
        }
        all.extend(["--data-dir".to_owned(), self.dir.clone()]);
        all
    }

    fn ok(&self, start: &[&str], keys: usize) -> String {
        ok(&self.arguments(start, keys).iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn fails(&self, start: &[&str], keys: usize) -> String {
        fails(&self.arguments(start, keys).iter().map(String::as_str).collect::<Vec<_>>(), 1)
    }
}

#[test]
fn a_breach_is_drilled_opened_answered_and_closed() {
    let desk = desk();
    let file = desk.folder.write("lost-laptop.toml", LOST);
    // The drill says what would be met and what not, and leaves nothing behind.
    let drilled = desk.ok(&["breach", "drill", &file], 0);
    assert!(drilled.contains("5 clocks, 0 missed") && !drilled.contains("missed  "), "{drilled}");
    let slow = desk.arguments(&["breach", "drill", &file, "--takes", "report_incident=P2D"], 0);
    let slow = common::run(&slow.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&slow.stdout).into_owned();
    assert!(slow.status.code() == Some(1) && said.contains("5 clocks, 1 missed"), "{said}");
    assert!(said.contains("report_incident is late since") || said.contains("report_incident  due after"), "{said}");
    assert_eq!(desk.ok(&["breach", "list"], 0), "", "a drill is no breach");
    desk.ok(&["breach", "drill", &file, "--publish", &desk.keys[0]], 0);

    assert!(desk.ok(&["breach", "count", &file], 0).contains("Residents concerned: 0."));
    let refused = desk.fails(&["breach", "open", &file], 1);
    assert!(refused.contains("1 of 2 roles"), "{refused}");
    let opened = desk.ok(&["breach", "open", &file], 2);
    assert!(
        opened.contains("brc_lost-laptop is open") && opened.contains("report_incident") && opened.contains("running"),
        "{opened}"
    );
    desk.fails(&["breach", "open", &file], 2);

    let letter = desk.folder.write("letter.txt", "Dear ministry");
    let titled = ["--proof", &letter, "--title-en", "Letter", "--title-zh", "函"];
    let step = |duty: &str| {
        [&["breach", "step", "brc_lost-laptop", "--duty", duty][..], &titled]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let words = |all: &[String]| all.to_vec();
    let answered = desk.ok(&words(&step("report_breach")).iter().map(String::as_str).collect::<Vec<_>>(), 1);
    assert!(answered.contains("met  answered"), "{answered}");
    let again = desk.fails(&words(&step("report_breach")).iter().map(String::as_str).collect::<Vec<_>>(), 1);
    assert!(again.contains("No clock"), "an answer stands: {again}");
    let close = ["breach", "close", "brc_lost-laptop", "--lessons-en", "Disks are sealed.", "--lessons-zh", "磁碟加密。"];
    let refused = desk.fails(&close, 2);
    assert!(refused.contains("until when") && refused.contains("Say what was done"), "{refused}");
    let advice = desk.folder.write("advice.toml", "advice = { en = \"Watch your mail.\", zh-Hant = \"留意郵件。\" }\n");
    desk.ok(&["breach", "revise", "brc_lost-laptop", &advice], 2);
    let (numbers, words_of_letter) = (desk.folder.at("numbers.csv"), desk.folder.at("letter-to-residents.txt"));
    let courier = ["breach", "courier", "brc_lost-laptop", "--list", &numbers, "--letter", &words_of_letter];
    assert!(desk.ok(&courier, 0).starts_with("0 letters."));
    assert!(std::fs::read_to_string(&words_of_letter).unwrap().contains("Watch your mail."));
    assert!(desk.fails(&courier, 0).contains("is there already"));
    for duty in ["report_incident", "contain_incident", "final_report"] {
        desk.ok(&step(duty).iter().map(String::as_str).collect::<Vec<_>>(), 1);
    }
    let skipped = desk.fails(&close, 2);
    assert!(skipped.contains("No step leads from `detected` to `closed`") || skipped.contains("until when"), "{skipped}");
    let why = ["--reason-en", "A list is out there.", "--reason-zh", "名單外流。"];
    let suspend = |object: &'static str| [&["breach", "suspend", "brc_lost-laptop", object][..], &why].concat();
    assert!(desk.fails(&suspend("svc_nowhere"), 1).contains("There is no mandate, service or contract"));
    assert!(desk.ok(&suspend("svc_desk"), 1).contains("svc_desk is suspended until brc_lost-laptop is contained"));
    let to = |state: &'static str| ["breach", "move", "brc_lost-laptop", "--to", state];
    assert!(desk.fails(&to("contained"), 2).contains("until when"));
    assert!(desk.fails(&to("halted"), 1).contains("1 of 2 roles"));
    assert!(desk.ok(&to("halted"), 2).contains("brc_lost-laptop is halted."));
    desk.ok(&[&to("contained")[..], &["--until", "2026-01-02"]].concat(), 2);
    assert!(desk.fails(&to("mitigated"), 2).contains("Say what was done"));
    let measures = desk.folder.write("measures.toml", "measures = { en = \"It was erased.\", zh-Hant = \"已抹除。\" }\n");
    desk.ok(&["breach", "revise", "brc_lost-laptop", &measures], 2);
    desk.ok(&to("mitigated"), 2);
    assert!(desk.ok(&close, 2).contains("is closed"));
    let list = desk.ok(&["breach", "list"], 0);
    assert!(
        list.contains("closed") && list.contains("kept until") && list.matches("met  answered").count() == 5,
        "the machine told everybody, who were nobody: {list}"
    );
    let rotated = desk.ok(
        &[
            "rotate",
            "service",
            "svc_desk",
            "--breach",
            "brc_lost-laptop",
            "--reason-en",
            "A list got out.",
            "--reason-zh",
            "名單外洩。",
        ],
        0,
    );
    assert!(rotated.contains("0 residents have other pseudonyms at svc_desk"), "{rotated}");
    ok(&["verify", &desk.dir]);
}
