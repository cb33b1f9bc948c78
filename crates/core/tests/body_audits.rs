//! Audits of bodies: said by somebody else than the body, and what was found once stays.

use crate::common;
use crate::common::{City, body_audit_body, day, founded, names, text, well_said};
use serde_json::{Value, json};
use usufruct_core::body_audit::BodyAudit;
use usufruct_core::draft::Problem;
use usufruct_core::late::LateDuty;
use usufruct_core::statement::StatementKind;

const ID: &str = "bau_library";
const AUDITOR: &str = "agc_oversight";

fn published() -> City {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::BodyAudit, ID, AUDITOR, body_audit_body());
    city
}

fn refused(city: &City, by: &str, body: Value, keys: &[&str]) -> Vec<Problem> {
    let approvals: Vec<_> = keys.iter().map(|key| (by, *key)).collect();
    let statement = city.draft(StatementKind::BodyAudit, ID, by, body, &approvals);
    let problems = city.register.check(&statement).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn changed(change: impl Fn(&mut Value)) -> Value {
    let mut body = body_audit_body();
    change(&mut body);
    body
}

fn late(city: &City, at: i64) -> Vec<(LateDuty, String)> {
    city.register.late(day(at)).into_iter().map(|late| (late.duty, late.agency.to_string())).collect()
}

#[test]
fn every_field_of_an_audit_is_needed() {
    let body = changed(|body| {
        body["findings"][0]["answer"] = text("We look into it.");
        body["findings"][0]["eased_because"] = text("A lock was put in.");
    });
    let optional = ["findings", "findings[0].answer", "findings[0].eased_because"];
    common::walk::spoil_everything(&body, &optional, &|body| BodyAudit::read(body).map(drop));
    for (status, is_answered) in [("open", true), ("mended", false), ("accepted", false)] {
        let body = changed(|body| body["findings"][0]["status"] = json!(status));
        let problems = BodyAudit::read(&body).err().unwrap_or_default();
        assert_eq!(problems.is_empty(), is_answered, "{status}: {problems:?}");
        assert_eq!(names(&problems, "findings[0].answer", "missing"), !is_answered);
    }
    let twice = changed(|body| {
        let finding = body["findings"][0].clone();
        body["findings"].as_array_mut().unwrap().push(finding);
    });
    assert!(names(&BodyAudit::read(&twice).unwrap_err(), "findings[1].id", "duplicate"));
    let backwards = changed(|body| body["next_due"] = body["done_at"].clone());
    assert!(names(&BodyAudit::read(&backwards).unwrap_err(), "next_due", "before-start"));
}

#[test]
fn two_people_of_an_auditor_speak_and_nobody_of_the_audited_body() {
    let mut city = founded();
    let two = ["head", "privacy"];
    assert!(names(&refused(&city, AUDITOR, body_audit_body(), &two[..1]), "approvals", "too-few"));
    assert!(names(&refused(&city, "agc_library", body_audit_body(), &two), "by", "not-the-owner"));
    let own = changed(|body| body["auditor"] = json!("agc_library"));
    assert!(names(&refused(&city, "agc_library", own, &two), "auditor", "itself"));
    let parks = changed(|body| body["auditor"] = json!("agc_parks"));
    assert!(names(&refused(&city, "agc_parks", parks, &two), "auditor", "not-auditor"));
    let nobody = changed(|body| body["audited"] = json!("agc_nowhere"));
    assert!(names(&refused(&city, AUDITOR, nobody, &two), "audited", "unknown"));
    let coming = changed(|body| body["done_at"] = json!(day(1).to_string()));
    assert!(names(&refused(&city, AUDITOR, coming, &two), "done_at", "future"));
    assert!(refused(&city, AUDITOR, body_audit_body(), &two).is_empty());
    city.say(StatementKind::BodyAudit, ID, AUDITOR, body_audit_body());
    assert!(city.register.has(ID), "it can be named as evidence");
}

#[test]
fn a_finding_stays_and_is_not_made_lighter_in_silence() {
    let mut city = published();
    let refused = |city: &City, change: &dyn Fn(&mut Value)| refused(city, AUDITOR, changed(change), &["head", "privacy"]);
    assert!(names(&refused(&city, &|body| body["findings"] = json!([])), "findings", "withdrawn"));
    assert!(names(&refused(&city, &|body| body["findings"][0]["id"] = json!("other")), "findings", "withdrawn"));
    assert!(names(&refused(&city, &|body| body["findings"][0]["text"] = text("All is well.")), "findings[0].text", "rewritten"));
    let lighter = |body: &mut Value| body["findings"][0]["severity"] = json!("low");
    assert!(names(&refused(&city, &lighter), "findings[0].eased_because", "missing"));
    let longer = |body: &mut Value| body["findings"][0]["due"] = json!(day(90).to_string());
    assert!(names(&refused(&city, &longer), "findings[0].eased_because", "missing"));
    assert!(names(&refused(&city, &|body| body["next_due"] = json!(day(366).to_string())), "next_due", "put-off"));
    assert!(names(&refused(&city, &|body| body["standard"] = json!("another")), "standard", "moved"));
    assert!(names(&refused(&city, &|body| body["audited"] = json!("agc_parks")), "audited", "moved"));
    // Heavier, sooner and more of them needs no reason; lighter and later needs one, and each time a new one.
    assert!(refused(&city, &|body| body["findings"][0]["severity"] = json!("critical")).is_empty());
    assert!(refused(&city, &|body| body["findings"][0]["due"] = json!(day(30).to_string())).is_empty());
    let eased = changed(|body| {
        lighter(body);
        body["findings"][0]["eased_because"] = text("The accounts hold no loans.");
    });
    city.say(StatementKind::BodyAudit, ID, AUDITOR, eased.clone());
    let again = |body: &mut Value| {
        *body = eased.clone();
        longer(body);
    };
    assert!(names(&refused(&city, &again), "findings[0].eased_because", "missing"), "the reason of the last time is none");
}

#[test]
fn what_is_not_mended_in_time_and_who_is_not_audited_again_is_late() {
    let mut city = published();
    assert_eq!(late(&city, 59), []);
    assert_eq!(late(&city, 60), [(LateDuty::Finding, "agc_library".to_owned())]);
    let mended = changed(|body| {
        body["findings"][0]["status"] = json!("mended");
        body["findings"][0]["answer"] = text("The accounts were closed.");
    });
    city.say(StatementKind::BodyAudit, ID, AUDITOR, mended);
    assert_eq!(late(&city, 364), []);
    assert_eq!(late(&city, 365), [(LateDuty::NextAudit, AUDITOR.to_owned())]);
    city.now = day(370);
    let next = changed(|body| {
        (body["done_at"], body["next_due"]) = (json!(day(369).to_string()), json!(day(700).to_string()));
        body["findings"] = json!([]);
    });
    city.say(StatementKind::BodyAudit, "bau_library-2", AUDITOR, next.clone());
    assert_eq!(late(&city, 371), []);
    assert_eq!(late(&city, 700), [(LateDuty::NextAudit, AUDITOR.to_owned())], "the later of the two is due again, and once");
    // One by another standard stands for itself.
    let mut other = next;
    other["standard"] = json!("Archives act");
    city.say(StatementKind::BodyAudit, "bau_library-3", AUDITOR, other);
    assert_eq!(late(&city, 700).len(), 2);
}
