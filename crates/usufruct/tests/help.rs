//! The program teaches: every verb says what it does and shows an example.

use crate::common::{fails, ok};

const VERBS: &[&[&str]] = &[
    &["agreement"],
    &["agreement", "begin"],
    &["agreement", "end"],
    &["agreement", "list"],
    &["agreement", "suspend"],
    &["camera"],
    &["camera", "begin"],
    &["camera", "list"],
    &["camera", "permit"],
    &["camera", "remove"],
    &["camera", "withhold"],
    &["audit"],
    &["audit", "key"],
    &["audit", "draw"],
    &["audit", "recount"],
    &["backup"],
    &["refound"],
    &["restore"],
    &["verify", "certificate"],
    &[],
    &["breach"],
    &["breach", "close"],
    &["breach", "count"],
    &["breach", "courier"],
    &["breach", "drill"],
    &["breach", "list"],
    &["breach", "move"],
    &["breach", "open"],
    &["breach", "revise"],
    &["breach", "step"],
    &["breach", "suspend"],
    &["case"],
    &["case", "acknowledge"],
    &["case", "answer"],
    &["case", "decide"],
    &["case", "extend"],
    &["case", "file"],
    &["case", "list"],
    &["case", "remedied"],
    &["case", "sign"],
    &["completions"],
    &["contract"],
    &["contract", "close"],
    &["contract", "end"],
    &["contract", "list"],
    &["contract", "resume"],
    &["contract", "sign"],
    &["contract", "suspend"],
    &["deletions"],
    &["demo"],
    &["doctor"],
    &["enrol"],
    &["escrow"],
    &["escrow", "appoint"],
    &["escrow", "officer"],
    &["escrow", "open"],
    &["escrow", "prepare"],
    &["escrow", "recover"],
    &["escrow", "status"],
    &["escrow", "turn"],
    &["footprint"],
    &["footprint", "verify"],
    &["init"],
    &["invite"],
    &["keeper"],
    &["keeper", "adopt"],
    &["keeper", "city"],
    &["keeper", "init"],
    &["keeper", "replace"],
    &["keeper", "roster"],
    &["keeper", "serve"],
    &["keeper", "status"],
    &["guardian"],
    &["recover"],
    &["card"],
    &["card", "issue"],
    &["card", "revoke"],
    &["key"],
    &["key", "new"],
    &["key", "public"],
    &["mandate"],
    &["mandate", "check"],
    &["mandate", "drafts"],
    &["mandate", "end"],
    &["mandate", "list"],
    &["mandate", "new"],
    &["key", "ticket"],
    &["letters"],
    &["letters", "key"],
    &["letters", "open"],
    &["letters", "order"],
    &["letters", "post"],
    &["mandate", "publish"],
    &["migrate"],
    &["mirror"],
    &["proposal"],
    &["proposal", "approve"],
    &["proposal", "list"],
    &["proposal", "new"],
    &["proposal", "step"],
    &["proposal", "withdraw"],
    &["publish"],
    &["restore-log"],
    &["rotate"],
    &["rotate", "mandate"],
    &["rotate", "resident"],
    &["rotate", "root"],
    &["rotate", "service"],
    &["serve"],
    &["service"],
    &["service", "close"],
    &["service", "list"],
    &["verify"],
    &["verify", "complaint"],
    &["verify", "log"],
    &["verify", "proof"],
    &["verify", "receipt"],
    &["witness"],
];

#[test]
fn every_verb_shows_an_example() {
    for verb in VERBS {
        let help = ok(&[*verb, &["--help"]].concat());
        let call = ["usufruct"].iter().chain(*verb).copied().collect::<Vec<_>>().join(" ");
        let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("`{call} --help` shows no example"));
        assert!(examples.contains(&call), "`{call} --help` shows an example of something else");
        let misuse = fails(&[*verb, &["--no-such-option"]].concat(), 2);
        assert!(misuse.contains("--help"), "`{call}` does not lead to its help");
    }
}

#[test]
fn no_verb_is_untested() {
    let help = ok(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed: Vec<&str> = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(listed.len() > 5, "{help}");
    for verb in listed.iter().filter(|verb| **verb != "help") {
        assert!(VERBS.contains(&[*verb].as_slice()), "{verb}");
    }
}

#[test]
fn completions_for_three_shells() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(&["completions", shell]).contains("mandate"), "{shell}");
    }
}
