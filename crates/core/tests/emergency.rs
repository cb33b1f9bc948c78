//! Emergencies: no security body has a part in one through any door, every condition that counts as met names what shows it, and what an
//! emergency rests on is named.

use crate::common;
use crate::common::{City, agreement_body, contract_body, day, founded, library_card, names, outbreak, text, well_said};
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const HEALTH: [(&str, &str); 2] = [("agc_health", "head"), ("agc_health", "privacy")];
const POLICE: [(&str, &str); 4] =
    [("agc_health", "head"), ("agc_health", "privacy"), ("agc_police", "head"), ("agc_police", "privacy")];

fn check(city: &City, kind: StatementKind, id: &str, body: Value, approvals: &[(&str, &str)]) -> Vec<Problem> {
    let problems = city.register.check(&city.draft(kind, id, approvals[0].0, body, approvals)).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn city() -> City {
    let mut city = founded();
    city.now = day(10);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", outbreak());
    city
}

fn contract(sub: &str) -> Value {
    let mut body = contract_body();
    (body["controller"], body["mandates"]) = (json!("agc_health"), json!(["mdt_outbreak"]));
    body["subprocessors"] = json!([{"agency": sub, "location": "TW", "approved_by": "agc_health"}]);
    body
}

/// An agreement of the health authority with the police, signed by both.
fn agreement(mandate: &str) -> Value {
    let mut body = agreement_body(day(80), day(110));
    (body["parties"], body["mandates"], body["blocks"]) =
        (json!(["agc_health", "agc_police"]), json!([mandate]), json!(["blk_name"]));
    body["transfers"] = json!([{"from": "svc_health", "to": "svc_alerts", "why": text("They are joined.")}]);
    body
}

#[test]
fn no_security_body_works_for_a_vendor() {
    let mut city = city();
    let problems = check(&city, StatementKind::Contract, "ctr_cloud", contract("agc_police"), &HEALTH);
    assert!(names(&problems, "subprocessors[0].agency", "security-body"), "{problems:?}");
    assert!(check(&city, StatementKind::Contract, "ctr_cloud", contract("agc_parks"), &HEALTH).is_empty());
    // Nor does a revision bring one in, whatever the contract is about: a mandate may become an emergency later.
    let mut ordinary = contract_body();
    ordinary["mandates"] = json!(["mdt_library-card"]);
    city.say(StatementKind::Contract, "ctr_cloud", "agc_library", ordinary.clone());
    ordinary["subprocessors"] = json!([{"agency": "agc_police", "location": "TW", "approved_by": "agc_library"}]);
    let library = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = check(&city, StatementKind::Contract, "ctr_cloud", ordinary, &library);
    assert!(names(&problems, "subprocessors[0].agency", "security-body"), "{problems:?}");
}

#[test]
fn no_security_body_agrees_about_an_emergency() {
    let mut city = city();
    for (id, sector) in [("svc_health", "health"), ("svc_alerts", "alerts")] {
        let service = common::service_body("agc_health", sector, &[]);
        city.say(StatementKind::Service, id, "agc_health", service);
    }
    let problems = check(&city, StatementKind::Agreement, "agr_both", agreement("mdt_outbreak"), &POLICE);
    assert!(names(&problems, "parties[1]", "security-body"), "{problems:?}");
    // What they agreed about does not become an emergency.
    let mut ordinary = outbreak();
    for field in ["eight_conditions", "emergency"] {
        ordinary.as_object_mut().unwrap().remove(field);
    }
    ordinary["kind"] = json!("ordinary");
    city.say(StatementKind::Mandate, "mdt_visits", "agc_health", ordinary);
    city.apply(city.draft(StatementKind::Agreement, "agr_both", "agc_health", agreement("mdt_visits"), &POLICE)).unwrap();
    let problems = check(&city, StatementKind::Mandate, "mdt_visits", outbreak(), &HEALTH);
    assert!(names(&problems, "kind", "security-party"), "{problems:?}");
}

#[test]
fn a_condition_is_met_only_by_what_shows_it() {
    for met in
        [text("It is so."), json!({"met": {"text": text("It is so.")}}), json!({"met": {"text": text("So."), "evidence": []}})]
    {
        let mut body = outbreak();
        body["eight_conditions"]["security"] = met;
        let problems = Mandate::read(&body).unwrap_err();
        assert!(problems.iter().any(|problem| problem.field.starts_with("eight_conditions.security")), "{problems:?}");
        problems.iter().for_each(|problem| well_said(problem).unwrap());
    }
    for evidence in [
        json!({"title": text("Report"), "sha256": sha256(b"report").to_string(), "url": "https://health.example/report"}),
        json!({"statement": "dpi_outbreak"}),
    ] {
        let mut body = outbreak();
        body["eight_conditions"]["security"] = json!({"met": {"text": text("Audited."), "evidence": [evidence]}});
        assert_eq!(Mandate::read(&body).map(drop), Ok(()));
    }
    // A statement that is named has to be there.
    let mut body = outbreak();
    body["eight_conditions"]["security"] = json!({"met": {"text": text("Audited."), "evidence": [{"statement": "dpi_nowhere"}]}});
    let problems = check(&founded(), StatementKind::Mandate, "mdt_outbreak", body.clone(), &HEALTH);
    assert!(names(&problems, "eight_conditions.security.met.evidence[0].statement", "unknown"), "{problems:?}");
    body["eight_conditions"]["security"]["met"]["evidence"][0]["statement"] = json!("agr_elsewhere");
    let problems = check(&founded(), StatementKind::Mandate, "mdt_outbreak", body, &HEALTH);
    assert!(names(&problems, "eight_conditions.security.met.evidence[0].statement", "unknown"), "{problems:?}");
}

#[test]
fn an_emergency_names_what_it_rests_on() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = outbreak();
        change(&mut body);
        let problems = Mandate::read(&body).unwrap_err();
        problems.iter().for_each(|problem| well_said(problem).unwrap());
        problems
    };
    assert!(names(&refused(&|body| drop(body.as_object_mut().unwrap().remove("emergency"))), "emergency", "missing"));
    for field in ["id", "declared_at", "url", "renewal_limit", "finding", "reviewers", "disparity_audit_due"] {
        let problems = refused(&|body| drop(body["emergency"].as_object_mut().unwrap().remove(field)));
        assert!(names(&problems, &format!("emergency.{field}"), "missing"), "{field}: {problems:?}");
    }
    // Both sorts of reviewers are named.
    for speaks_for in ["public_health", "marginalised"] {
        let problems = refused(&|body| {
            for reviewer in body["emergency"]["reviewers"].as_array_mut().unwrap() {
                reviewer["speaks_for"] = json!(speaks_for);
            }
        });
        assert!(names(&problems, "emergency.reviewers", "one-sided"), "{problems:?}");
    }
    let mut body = library_card();
    body["emergency"] = outbreak()["emergency"].clone();
    assert!(names(&Mandate::read(&body).unwrap_err(), "emergency", "ordinary"));
    let late = refused(&|body| body["emergency"]["disparity_audit_due"] = json!(day(400).to_string()));
    assert!(names(&late, "emergency.disparity_audit_due", "too-late"), "{late:?}");
}

#[test]
fn a_health_authority_finds_that_it_is_needed() {
    let city = founded();
    let with = |by: &str| {
        let mut body = outbreak();
        body["emergency"]["finding"]["by"] = json!(by);
        check(&city, StatementKind::Mandate, "mdt_outbreak", body, &HEALTH)
    };
    assert!(with("agc_health").is_empty(), "{:?}", with("agc_health"));
    assert!(names(&with("agc_parks"), "emergency.finding.by", "not-a-health-authority"));
    assert!(names(&with("agc_nowhere"), "emergency.finding.by", "unknown"));
    let mut body = outbreak();
    body["emergency"]["finding"]["at"] = json!(day(500).to_string());
    assert!(names(&check(&city, StatementKind::Mandate, "mdt_outbreak", body, &HEALTH), "emergency.finding.at", "future"));
}

#[test]
fn an_emergency_is_renewed_as_often_as_its_first_mandate_says() {
    let mut city = city();
    let next = |city: &City, of: &str| {
        let mut body = outbreak();
        body["continues"] = json!(of);
        body["review"] = json!({"at": city.now.to_string(), "finding": text("It goes on.")});
        body["emergency"]["renewal_limit"] = json!(9);
        body
    };
    city.now = day(70);
    // The first one says twice; what a later one says of itself does not count.
    for (id, of) in [("mdt_second", "mdt_outbreak"), ("mdt_third", "mdt_second")] {
        let body = next(&city, of);
        city.say(StatementKind::Mandate, id, "agc_health", body);
    }
    let problems = check(&city, StatementKind::Mandate, "mdt_fourth", next(&city, "mdt_third"), &HEALTH);
    assert!(names(&problems, "continues", "too-often"), "{problems:?}");
}

#[test]
fn what_goes_on_longer_says_that_it_continues() {
    let mut city = city();
    let next = |days: i64| {
        let mut body = outbreak();
        (body["starts_at"], body["sunset_at"]) = (json!(day(90).to_string()), json!(day(days).to_string()));
        body["emergency"]["disparity_audit_due"] = body["sunset_at"].clone();
        body
    };
    let of = |body: Value, city: &City| check(city, StatementKind::Mandate, "mdt_second", body, &HEALTH);
    let end = city.register.mandates[&"mdt_outbreak".parse().unwrap()].body.sunset_at;
    // A draft binds nobody, and is prolonged by nothing.
    assert!(of(next(170), &city).is_empty(), "{:?}", of(next(170), &city));
    common::activate(&mut city, "mdt_outbreak");
    let problems = of(next(170), &city);
    assert!(names(&problems, "continues", "not-continued"), "{problems:?}");
    // Nor does another number help while the first could last.
    let mut other = next(170);
    other["emergency"]["id"] = json!("Another number");
    assert!(names(&of(other, &city), "continues", "not-continued"));
    // What ends no later prolongs nothing, and neither does what has other data.
    let mut beside = outbreak();
    beside["sunset_at"] = json!(end.to_string());
    assert!(of(beside, &city).is_empty());
    city.now = day(70);
    let mut continued = next(170);
    continued["continues"] = json!("mdt_outbreak");
    assert!(names(&of(continued.clone(), &city), "review", "missing"));
    continued["review"] = json!({"at": city.now.to_string(), "finding": text("It goes on.")});
    assert!(of(continued.clone(), &city).is_empty(), "{:?}", of(continued, &city));
}

#[test]
fn two_drafts_of_one_day_are_no_way_around_it() {
    let mut city = city();
    let mut second = outbreak();
    (second["starts_at"], second["sunset_at"]) = (json!(day(90).to_string()), json!(day(170).to_string()));
    second["emergency"]["disparity_audit_due"] = second["sunset_at"].clone();
    city.say(StatementKind::Mandate, "mdt_second", "agc_health", second);
    common::activate(&mut city, "mdt_outbreak");
    let (hash, _) = city.state("mdt_second").unwrap();
    city.steps("mdt_second", &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_second", "agc_health", common::notice_body("mdt_second", hash));
    let problems = city.register.check(&city.step_draft("mdt_second", State::Published, "agc_health", &HEALTH)).unwrap_err();
    assert!(names(&problems, "continues", "not-continued"), "{problems:?}");
}

#[test]
fn no_part_of_a_security_body_has_another_kind() {
    let city = city();
    let operator = [("agc_operator", "head"), ("agc_operator", "privacy")];
    let part = |kind: &str| {
        let mut body = common::agency_body("agc_unit", kind);
        body["parent"] = json!("agc_police");
        check(&city, StatementKind::Agency, "agc_unit", body, &operator)
    };
    for kind in ["agency", "health_authority", "vendor"] {
        assert!(names(&part(kind), "parent", "security-body"), "{kind}");
    }
    assert!(part("security_or_intelligence").is_empty());
    // Nor does one that is there already come under it.
    let mut body = common::agency_body("agc_health", "health_authority");
    body["parent"] = json!("agc_police");
    let approvals = [operator[0], operator[1], HEALTH[0]];
    assert!(names(&check(&city, StatementKind::Agency, "agc_health", body, &approvals), "parent", "security-body"));
}

#[test]
fn a_disparity_audit_that_did_not_come_is_late() {
    let mut city = city();
    common::activate(&mut city, "mdt_outbreak");
    let due = city.register.mandates[&"mdt_outbreak".parse().unwrap()].body.emergency.as_ref().unwrap().disparity_audit_due;
    let is_late = |city: &City, at| {
        city.register.late(at).iter().any(|late| late.duty.code() == "disparity_audit" && late.object == "mdt_outbreak")
    };
    assert!(!is_late(&city, due.plus(-1)));
    assert!(is_late(&city, due));
    // A revision that names the audit's result is an answer.
    let mut body = outbreak();
    body["emergency"]["disparity_audit"] =
        json!({"title": text("Audit"), "sha256": sha256(b"audit").to_string(), "url": "https://health.example/audit"});
    city.now = due.plus(DAY);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", body);
    common::activate(&mut city, "mdt_outbreak");
    assert!(!is_late(&city, due.plus(2 * DAY)));
}

#[test]
fn comments_on_an_emergency_are_summed_up_in_time() {
    let mut body = outbreak();
    body["consultation"] = json!({"from": day(50).to_string(), "to": day(75).to_string()});
    let mut city = founded();
    city.now = day(50);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", body.clone());
    let hash = city.state("mdt_outbreak").unwrap().0;
    city.steps("mdt_outbreak", &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_outbreak", "agc_health", common::notice_body("mdt_outbreak", hash));
    city.steps("mdt_outbreak", &[State::Published, State::Active]);
    city.now = day(60);
    city.say(StatementKind::Service, "svc_alerts", "agc_health", common::service_body("agc_health", "alerts", &["mdt_outbreak"]));
    city.step("svc_alerts", State::Active);
    let refused = |city: &City, at| {
        let request = usufruct_core::decide::Request {
            service: "svc_alerts".parse().unwrap(),
            mandate: "mdt_outbreak".parse().unwrap(),
            blocks: vec![("blk_name".parse().unwrap(), usufruct_core::event::Form::Token)],
            reason: "reminder".into(),
            subjects: 1,
            ..common::nothing_asked()
        };
        let decision = usufruct_core::decide::decide_without_resident(&city.register, &request, at);
        decision.because.iter().any(|clause| clause.code() == "consultation")
            && decision.outcome == usufruct_core::decide::Outcome::Refuse
    };
    let is_late = |city: &City, at| city.register.late(at).iter().any(|late| late.duty.code() == "consultation");
    assert!(!refused(&city, day(75).plus(-1)) && !is_late(&city, day(75).plus(-1)));
    assert!(refused(&city, day(75)) && is_late(&city, day(75)));
    city.now = day(76);
    body["consultation"]["summary"] = text("Nobody objected.");
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", body);
    let hash = city.state("mdt_outbreak").unwrap().0;
    city.steps("mdt_outbreak", &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_outbreak-2", "agc_health", common::notice_body("mdt_outbreak", hash));
    city.steps("mdt_outbreak", &[State::Published, State::Active]);
    assert!(!refused(&city, day(77)) && !is_late(&city, day(77)));
}
