//! Emergencies: no security body has a part in one through any door.

mod common;

use common::{City, contract_body, day, founded, names, outbreak, well_said};
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::statement::StatementKind;

const HEALTH: [(&str, &str); 2] = [("agc_health", "head"), ("agc_health", "privacy")];

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
