//! Steps are proposed by command, and taken when the officials whom they need have approved one after the other.

use std::time::Duration;

use crate::common::{Folder, fails, ok};

const GARDEN: &str = "agency = \"agc_information\"
name = { en = \"Garden\", zh-Hant = \"花園\" }
sector = \"garden\"
profile = \"oidc\"
redirect_uris = [\"https://garden.example/back\"]
channels = [\"web\"]
alternatives = [{ en = \"Come by.\", zh-Hant = \"親自前往。\" }]
help = { en = \"Flowers.\", zh-Hant = \"花。\" }
";

#[test]
fn officials_approve_a_step_one_after_the_other() {
    let folder = Folder::new("proposal");
    let dir = folder.at("pass");
    let operator = ["--operator", "agc_information", "--operator-name", "City", "--operator-name-zh", "市"];
    ok(&[&["init", "--data-dir", &dir, "--origin", "pass.example.org/log"], &operator[..]].concat());
    let keys = ["head", "data-protection"].map(|office| folder.at(&format!("pass/officials/agc_information.{office}.json")));
    let file = folder.write("garden.toml", GARDEN);
    ok(&["publish", "service", &file, "--key", &keys[0], "--key", &keys[1], "--data-dir", &dir]);
    let step = |object: &str, to: &str| {
        let reasons = ["--reason-en", "The hedge is cut.", "--reason-zh", "修剪樹籬。", "--in", "PT1S"];
        let grounds = ["--reason-code", "check_failed", "--law", "Garden rules 3"];
        let named = ["proposal", "step", object, to, "--by", "agc_information", "--data-dir", &dir];
        [&named[..], &reasons[..], &grounds[..]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let propose = |object: &str, to: &str| ok(&words(&step(object, to))).trim().to_owned();
    let refuse = |object: &str, to: &str| fails(&words(&step(object, to)), 1);
    let approve = |id: &str, key: &str| ok(&["proposal", "approve", id, "--key", key, "--data-dir", &dir]);
    let is_in = |state: &str| ok(&["service", "list", "--data-dir", &dir]).contains(&format!(" {state} "));

    assert!(refuse("svc_nowhere", "suspended").contains("Nothing in the register is called"));
    assert!(refuse("svc_garden", "erased").contains("No step leads from"));
    // One official holds it back.
    let rest = propose("svc_garden", "suspended");
    std::thread::sleep(Duration::from_secs(1));
    assert!(is_in("active"), "nobody has approved");
    assert!(approve(&rest, &keys[0]).contains("published"));
    assert!(is_in("suspended"));
    // Two of different offices let it go on.
    let again = propose("svc_garden", "active");
    std::thread::sleep(Duration::from_secs(1));
    approve(&again, &keys[0]);
    assert!(is_in("suspended"), "one official is not two");
    approve(&again, &keys[1]);
    assert!(is_in("active"));
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
