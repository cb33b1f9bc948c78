//! The terms of the log and the verifier: the two objects of which there is one only.

use usufruct_core::log_terms::LogTerms;
use usufruct_core::verifier::VerifierRelease;

use super::*;
use crate::common::walk::spoil_everything;

const HEAD: [(&str, &str); 1] = [("agc_operator", "head")];
const BOTH: [(&str, &str); 2] = [("agc_operator", "head"), ("agc_operator", "privacy")];

fn terms() -> Value {
    json!({"origin": "city.example/log", "vkeys": ["city.example/log+0a0a0a0a+AQ"], "receipt_vkey": "city.example/log/receipt+0b0b0b0b+AQ",
        "policy": "quorum none", "merge_delay_seconds": 60, "checkpoint_seconds": 10, "filler": {"events": 4, "seconds": 10},
        "fail_open": false})
}

fn release() -> Value {
    let hash = |text: &str| sha256(text.as_bytes()).to_string();
    json!({"files": [{"path": "/verifier/a.js", "sha256": hash("a")}, {"path": "/verifier/b.js", "sha256": hash("b")}]})
}

#[test]
fn bodies_spoilt_in_every_way_are_refused() {
    spoil_everything(&terms(), &[], &|body| LogTerms::read(body).map(drop));
    spoil_everything(&release(), &[], &|body| VerifierRelease::read(body).map(drop));
    let mut body = terms();
    body["merge_delay_seconds"] = json!(9);
    assert!(names(&LogTerms::read(&body).unwrap_err(), "merge_delay_seconds", "too-short"));
    let mut body = release();
    body["files"].as_array_mut().unwrap().reverse();
    assert!(names(&VerifierRelease::read(&body).unwrap_err(), "files", "not-sorted"));
}

#[test]
fn two_people_of_the_operator_change_the_terms_and_never_the_name() {
    let mut city = founded();
    let alone = city.draft(StatementKind::Log, "log_city", "agc_operator", terms(), &HEAD);
    assert!(names(&refused(&city, alone), "approvals", "too-few"));
    let machine = [("agc_operator", "head"), ("agc_operator", "automation")];
    let machine = city.draft(StatementKind::Log, "log_city", "agc_operator", terms(), &machine);
    assert!(names(&refused(&city, machine), "approvals", "too-few"));
    let foreign = [("agc_library", "head"), ("agc_library", "privacy")];
    let foreign = city.draft(StatementKind::Log, "log_city", "agc_library", terms(), &foreign);
    assert!(names(&refused(&city, foreign), "by", "not-the-owner"));

    let lawful = city.draft(StatementKind::Log, "log_city", "agc_operator", terms(), &BOTH);
    city.apply(lawful).unwrap();
    assert_eq!(city.register.log.as_ref().unwrap().body.filler.events, 4);
    let second = city.draft(StatementKind::Log, "log_other", "agc_operator", terms(), &BOTH);
    assert!(names(&refused(&city, second), "id", "second"));
    let mut renamed = terms();
    renamed["origin"] = json!("other.example/log");
    let renamed = city.draft(StatementKind::Log, "log_city", "agc_operator", renamed, &BOTH);
    assert!(names(&refused(&city, renamed), "origin", "changed"));
    let mut slower = terms();
    slower["merge_delay_seconds"] = json!(120);
    let slower = city.draft(StatementKind::Log, "log_city", "agc_operator", slower, &BOTH);
    city.apply(slower).unwrap();
    let entry = city.register.log.as_ref().unwrap();
    assert_eq!((entry.rev, entry.body.merge_delay_seconds, entry.history.len()), (2, 120, 2));
}

#[test]
fn the_machine_alone_says_which_verifier_it_serves() {
    let mut city = founded();
    let machine = [("agc_operator", "automation")];
    let first = city.draft(StatementKind::Verifier, "ver_one", "agc_operator", release(), &machine);
    city.apply(first).unwrap();
    let second = city.draft(StatementKind::Verifier, "ver_two", "agc_operator", release(), &machine);
    assert!(names(&refused(&city, second), "id", "second"));
    let other = [("agc_library", "head")];
    let other = city.draft(StatementKind::Verifier, "ver_one", "agc_library", release(), &other);
    assert!(names(&refused(&city, other), "by", "not-the-owner"));
    assert_eq!(city.register.verifier.as_ref().unwrap().body.files.len(), 2);
}
