//! What nothing is published without: it is asked of what is published, and not of what a log holds already.

use crate::common;

use crate::common::{City, block_body, contract_body, day, founded, lawful, library_card, names, outbreak, text, well_said};
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::publication;
use usufruct_core::statement::{Statement, StatementKind};

const LIBRARY: [(&str, &str); 2] = [("agc_library", "head"), ("agc_library", "privacy")];
const OPERATOR: [(&str, &str); 2] = [("agc_operator", "head"), ("agc_operator", "privacy")];
const HEALTH: [(&str, &str); 4] =
    [("agc_health", "head"), ("agc_health", "privacy"), ("agc_oversight", "head"), ("agc_oversight", "privacy")];

/// What would keep it from being published. The register itself takes it, as it does when a log is replayed.
fn lacks(city: &City, statement: &Statement) -> Vec<Problem> {
    assert_eq!(city.register.check(statement), Ok(()), "a log that holds it goes on working");
    let problems = publication::problems(&city.register, statement);
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn fields(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.field.as_str()).collect()
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

/// A contract that says whose cloud keeps data, what faults cost, and which papers show what the vendor is able to do.
fn whole() -> Value {
    let mut body = contract_body();
    body["cloud_provider"] = json!("none");
    body["penalties"] = json!([{"trigger": text("A day late"), "amount": "TWD 1,000"}]);
    body["capability_evidence"][0]["sha256"] = json!(sha256(b"certificate"));
    body
}

#[test]
fn a_mandate_says_what_the_law_says() {
    let city = lawful();
    let said = |body: Value| {
        let statement = city.draft(StatementKind::Mandate, "mdt_other-card", "agc_library", body, &LIBRARY);
        fields(&lacks(&city, &statement)).join(" ")
    };
    assert_eq!(said(library_card()), "");
    let mut silent = library_card();
    silent["legal_basis"] = without(silent["legal_basis"].clone(), "quote");
    assert_eq!(said(silent), "legal_basis.quote");
}

#[test]
fn a_block_says_of_what_it_consists() {
    let city = lawful();
    let said = |body: Value| {
        let statement = city.draft(StatementKind::DataBlock, "blk_shoes", "agc_operator", body, &OPERATOR);
        fields(&lacks(&city, &statement)).join(" ")
    };
    let mut body = block_body("Shoes", "ordinary", &["value"]);
    assert_eq!(said(body.clone()), "attributes");
    body["attributes"] = json!([text("Size")]);
    assert_eq!(said(body), "");
}

#[test]
fn a_contract_names_the_cloud_the_price_of_faults_and_the_papers() {
    let city = lawful();
    let said = |body: Value| {
        let statement = city.draft(StatementKind::Contract, "ctr_printer", "agc_library", body, &LIBRARY);
        fields(&lacks(&city, &statement)).join(" ")
    };
    assert_eq!(said(whole()), "");
    for field in ["cloud_provider", "penalties"] {
        assert_eq!(said(without(whole(), field)), field);
    }
    let mut unheld = whole();
    let second = without(unheld["capability_evidence"][0].clone(), "sha256");
    unheld["capability_evidence"].as_array_mut().unwrap().push(second);
    assert_eq!(said(unheld), "capability_evidence[1].sha256");
}

#[test]
fn a_step_that_takes_something_away_says_why_and_what_shows_it() {
    let mut city = lawful();
    let said = |city: &City, object: &str, to: State, grounds: Value| {
        let mut step = city.step_draft(object, to, "agc_library", &LIBRARY);
        step.body.as_object_mut().unwrap().extend(grounds.as_object().unwrap().clone());
        step.approvals.clear();
        for (agency, key) in LIBRARY {
            step.approve(&common::signer(agency, key)).unwrap();
        }
        fields(&lacks(city, &step)).join(" ")
    };
    let paper = json!([{"title": text("Report"), "sha256": sha256(b"report")}]);
    for object in ["mdt_library-card", "ctr_cloud", "svc_library"] {
        let suspend = |grounds: Value| said(&city, object, State::Suspended, grounds);
        assert_eq!(suspend(json!({})), "reason_code evidence", "{object}");
        assert_eq!(suspend(json!({"reason_code": "check_failed"})), "evidence", "{object}");
        assert_eq!(suspend(json!({"law": "Act 11"})), "reason_code", "{object}");
        assert_eq!(suspend(json!({"reason_code": "decision", "law": "Act 25"})), "", "{object}");
        assert_eq!(suspend(json!({"reason_code": "check_failed", "evidence": paper})), "", "{object}");
    }
    // Whoever ends a mandate early says what sort of reason it has; what shows it may lie in the words.
    assert_eq!(said(&city, "mdt_school-meals", State::Revoked, json!({})), "reason_code");
    assert_eq!(said(&city, "mdt_school-meals", State::Revoked, json!({"reason_code": "purpose_gone"})), "");
    // The clock needs no reason, nor does a service that closes.
    assert_eq!(said(&city, "svc_library", State::Closed, json!({})), "");
    city.step("svc_library", State::Suspended);
    assert_eq!(said(&city, "svc_library", State::Active, json!({})), "reason_code", "what is given back");
    assert_eq!(said(&city, "svc_library", State::Active, json!({"reason_code": "ready"})), "");
}

#[test]
fn a_vendor_that_does_not_delete_is_named_with_what_shows_it() {
    let mut city = lawful();
    city.step("ctr_cloud", State::Ending);
    city.now = day(500);
    let mut step = city.step_draft("ctr_cloud", State::Breached, "agc_library", &LIBRARY);
    assert_eq!(fields(&lacks(&city, &step)), ["reason_code", "evidence"]);
    step.body.as_object_mut().unwrap().extend(json!({"reason_code": "term_over", "law": "house 3"}).as_object().unwrap().clone());
    assert_eq!(fields(&publication::problems(&city.register, &step)), Vec::<&str>::new());
}

/// The fifth condition, before an emergency begins.
#[test]
fn no_emergency_begins_before_it_was_looked_at_whom_it_burdens() {
    let reach = json!({"groups": [text("Migrants")], "audit": {"title": text("Audit"), "sha256": sha256(b"audit")},
        "offline": text("Somebody knocks at the door."), "languages": ["zh-Hant", "vi"]});
    let begin = |change: &dyn Fn(&mut Value)| {
        let mut city = founded();
        city.now = day(10);
        let mut body = outbreak();
        change(&mut body);
        city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", body);
        common::announce(&mut city, "mdt_outbreak");
        let step = city.step_draft("mdt_outbreak", State::Active, "agc_health", &HEALTH);
        lacks(&city, &step)
    };
    let open = begin(&|_| {});
    assert!(names(&open, "to", "not-prepared"), "{open:?}");
    assert_eq!(begin(&|body| body["emergency"]["reach"] = reach.clone()), []);
    let waiver = json!({"waived": {"by": "agc_oversight", "until": day(60).to_string(), "reason": text("There was no time.")}});
    assert_eq!(begin(&|body| body["eight_conditions"]["fairness"] = waiver.clone()), []);
    // A waiver of another condition is none of this one.
    assert!(names(&begin(&|body| body["eight_conditions"]["security"] = waiver.clone()), "to", "not-prepared"));
    for field in ["groups", "audit", "offline", "languages"] {
        let mut body = outbreak();
        body["emergency"]["reach"] = without(reach.clone(), field);
        let problems = usufruct_core::mandate::Mandate::read(&body).unwrap_err();
        assert!(names(&problems, &format!("emergency.reach.{field}"), "missing"), "{field}: {problems:?}");
        problems.iter().for_each(|problem| well_said(problem).unwrap());
    }
    // What is no emergency has nothing to say of it.
    let city = lawful();
    assert_eq!(lacks(&city, &city.step_draft("svc_library", State::Suspended, "agc_library", &LIBRARY)).len(), 2);
}

/// The third condition: what is asked for in an emergency is not joined with anything else.
#[test]
fn nothing_is_matched_or_joined_in_an_emergency() {
    let mut city = founded();
    city.now = day(10);
    for (id, sector) in [("svc_health", "health"), ("svc_alerts", "alerts")] {
        city.say(StatementKind::Service, id, "agc_health", common::service_body("agc_health", sector, &[]));
    }
    let health = [("agc_health", "head"), ("agc_health", "privacy")];
    let said = |change: &dyn Fn(&mut Value)| {
        let mut body = outbreak();
        body["operations"] = json!(["collect", "decide", "store"]);
        change(&mut body);
        let statement = city.draft(StatementKind::Mandate, "mdt_outbreak", "agc_health", body, &health);
        lacks(&city, &statement).into_iter().map(|problem| problem.rule).collect::<Vec<_>>().join(" ")
    };
    let ways = json!([{"from": "svc_health", "to": "svc_alerts", "why": text("They are joined.")}]);
    assert_eq!(said(&|_| {}), "");
    assert_eq!(said(&|body| body["operations"] = json!(["collect", "decide", "match", "store"])), "emergency-match");
    assert_eq!(
        said(&|body| {
            body["operations"] = json!(["collect", "decide", "match", "store"]);
            body["conversions"] = ways.clone();
        }),
        "emergency-match emergency-conversion"
    );
    // An ordinary mandate of the same body may do both.
    assert_eq!(
        said(&|body| {
            for field in ["eight_conditions", "emergency"] {
                body.as_object_mut().unwrap().remove(field);
            }
            body["kind"] = json!("ordinary");
            body["operations"] = json!(["collect", "decide", "match", "store"]);
            body["conversions"] = ways.clone();
        }),
        ""
    );
}
