//! Sharing agreements: signed by every party, public for fourteen days before they open anything, and closed by any party at once.

mod common;

use common::{BOTH, City, activate, agreement_body, day, founded, library_card, names, service_body, text, well_said};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::agreement::Agreement;
use usufruct_core::decide::{Clause, ConversionRequest, decide_conversion_without_resident};
use usufruct_core::draft::Problem;
use usufruct_core::late::LateDuty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const ID: &str = "agr_garden";
const JOINED: &str = "mdt_joined";

/// A library and a park whose mandate joins their readers, and no agreement about it. It is day 59, on which the mandate begins.
fn city() -> City {
    let mut city = founded();
    city.now = day(1);
    for (id, agency, sector) in [("svc_library", "agc_library", "library"), ("svc_parks", "agc_parks", "parks")] {
        city.say(StatementKind::Service, id, agency, service_body(agency, sector, &[JOINED]));
    }
    let mut body = library_card();
    body["fetch"] = json!({"when": "periodic"});
    body["recipients"] =
        json!([{"agency": "agc_library", "why": text("It lends.")}, {"agency": "agc_parks", "why": text("It opens.")}]);
    body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter.")}]);
    city.say(StatementKind::Mandate, JOINED, "agc_library", body);
    for id in ["svc_library", "svc_parks"] {
        city.step(id, State::Active);
    }
    activate(&mut city, JOINED);
    city.now = day(59);
    city
}

fn body() -> Value {
    agreement_body(day(80), day(300))
}

fn publish(city: &mut City, body: Value) {
    city.apply(city.draft(StatementKind::Agreement, ID, "agc_library", body, &BOTH)).unwrap();
}

fn step(city: &mut City, to: State) {
    if to == State::Published {
        step(city, State::Consulted);
    }
    city.apply(city.step_draft(ID, to, "agc_parks", &BOTH)).unwrap();
}

/// The city with the agreement in force on day 80.
fn in_force() -> City {
    let mut city = city();
    publish(&mut city, body());
    step(&mut city, State::Published);
    city.now = day(80);
    step(&mut city, State::Active);
    city
}

fn refusals(city: &City, at: Time) -> Vec<Clause> {
    let reason = city.register.mandates[&JOINED.parse().unwrap()].body.reasons[0].code.clone();
    let (from, to) = ("svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
    let request =
        ConversionRequest { from, to, mandate: JOINED.parse().unwrap(), reason, subjects: 1, sign_in: None, third_party: false };
    let decision = decide_conversion_without_resident(&city.register, &request, at);
    if decision.outcome == usufruct_core::decide::Outcome::Permit { Vec::new() } else { decision.because }
}

fn problems(city: &City, body: Value) -> Vec<Problem> {
    let statement = city.draft(StatementKind::Agreement, ID, "agc_library", body, &BOTH);
    let problems = city.register.check(&statement).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn step_problems(city: &City, to: State, by: &str, approvals: &[(&str, &str)]) -> Vec<Problem> {
    let mut city = city.clone();
    if to == State::Published {
        step(&mut city, State::Consulted);
    }
    city.register.check(&city.step_draft(ID, to, by, approvals)).err().unwrap_or_default()
}

#[test]
fn every_field_of_an_agreement_is_needed() {
    let mut body = body();
    body["reviews"] = json!([{"at": day(1).to_string(), "finding": text("Fine."), "documents": [{"title": text("Report"),
        "sha256": "00".repeat(32), "url": "https://library.example"}]}]);
    body["due_diligence"][0]["url"] = json!("https://library.example");
    body["continues"] = json!("agr_before");
    let optional = ["continues", "due_diligence[0].url", "reviews", "reviews[0].documents", "reviews[0].documents[0].url"];
    common::walk::spoil_everything(&body, &optional, &|body| Agreement::read(body).map(drop));
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = agreement_body(day(80), day(300));
        change(&mut body);
        Agreement::read(&body).unwrap_err()
    };
    assert!(names(&refused(&|body| body["parties"] = json!(["agc_parks"])), "parties", "alone"));
    assert!(names(&refused(&|body| body["parties"] = json!(["agc_parks", "agc_parks"])), "parties", "duplicate"));
    assert!(names(&refused(&|body| body["sunset_at"] = json!(day(80).to_string())), "sunset_at", "before-start"));
    assert!(names(&refused(&|body| body["review_due"] = json!(day(301).to_string())), "review_due", "outside"));
    assert!(names(&refused(&|body| body["transfers"][0]["to"] = json!("svc_library")), "transfers[0]", "same-service"));
}

#[test]
fn an_agreement_names_what_there_is_and_belongs_to_its_parties() {
    let city = city();
    assert!(problems(&city, body()).is_empty(), "{:?}", problems(&city, body()));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = body();
        change(&mut body);
        problems(&city, body)
    };
    assert!(names(&with(&|body| body["mandates"] = json!(["mdt_nowhere"])), "mandates[0]", "unknown"));
    assert!(names(&with(&|body| body["blocks"] = json!(["blk_nowhere"])), "blocks[0]", "unknown"));
    assert!(names(&with(&|body| body["blocks"] = json!(["blk_illness"])), "blocks[0]", "not-in-mandate"));
    assert!(names(&with(&|body| body["transfers"][0]["to"] = json!("svc_nowhere")), "transfers[0].to", "unknown"));
    assert!(names(&with(&|body| body["oversight_body"] = json!("agc_parks")), "oversight_body", "not-oversight"));
    assert!(names(&with(&|body| body["sunset_at"] = json!(day(80 + 731).to_string())), "sunset_at", "too-long"));
    let others = [("agc_library", "head"), ("agc_library", "privacy"), ("agc_cloud", "head"), ("agc_cloud", "privacy")];
    assert!(names(&with(&|body| body["continues"] = json!("agr_nowhere")), "continues", "unknown"));
    assert!(names(&with(&|body| body["continues"] = json!(ID)), "continues", "itself"));
    let last = city.register.mandates[&JOINED.parse().unwrap()].body.sunset_at;
    assert!(with(&|body| body["sunset_at"] = json!(last.to_string())).is_empty());
    assert!(names(&with(&|body| body["sunset_at"] = json!(last.plus(1).to_string())), "sunset_at", "outlives-mandate"));
    let mut vendor = body();
    vendor["parties"] = json!(["agc_library", "agc_cloud"]);
    let statement = city.draft(StatementKind::Agreement, ID, "agc_library", vendor, &others);
    let found = city.register.check(&statement).unwrap_err();
    assert!(names(&found, "parties[1]", "vendor-party") && names(&found, "transfers[0].to", "not-a-party"), "{found:?}");
    // Every party signs, by two people.
    for missing in 0..BOTH.len() {
        let mut approvals = BOTH.to_vec();
        approvals.remove(missing);
        let statement = city.draft(StatementKind::Agreement, ID, "agc_library", body(), &approvals);
        assert!(names(&city.register.check(&statement).unwrap_err(), "approvals", "too-few"));
    }
    let statement = city.draft(StatementKind::Agreement, ID, "agc_health", body(), &BOTH);
    assert!(names(&city.register.check(&statement).unwrap_err(), "by", "not-the-owner"));
}

#[test]
fn a_mandate_that_serves_business_is_in_no_agreement() {
    let mut city = city();
    let mut joined = library_card();
    joined["purpose"]["commercial"] = json!(true);
    city.say(StatementKind::Mandate, "mdt_shop", "agc_library", joined);
    let mut body = body();
    body["mandates"] = json!([JOINED, "mdt_shop"]);
    assert!(names(&problems(&city, body), "mandates[1]", "commercial"));
}

#[test]
fn nothing_is_converted_before_an_agreement_was_public_for_fourteen_days() {
    let mut city = city();
    assert_eq!(refusals(&city, city.now), [Clause::Agreement], "all else would let it");
    publish(&mut city, agreement_body(day(70), day(300)));
    assert!(names(&step_problems(&city, State::Published, "agc_library", &BOTH), "to", "too-soon"), "eleven days are too few");
    publish(&mut city, body());
    assert_eq!(refusals(&city, day(80)), [Clause::Agreement], "a draft is not public");
    // It is published late, so its first day comes before the fourteen days are over.
    city.now = day(66);
    step(&mut city, State::Published);
    assert_eq!(refusals(&city, day(80)), [Clause::Agreement]);
    city.now = day(80).plus(-1);
    assert!(names(&step_problems(&city, State::Active, "agc_library", &BOTH), "to", "too-soon"));
    city.now = day(80);
    assert!(names(&step_problems(&city, State::Active, "agc_library", &BOTH[..2]), "approvals", "too-few"), "one party alone");
    let clock = [("agc_operator", "automation")];
    assert!(!step_problems(&city, State::Active, "agc_operator", &clock).is_empty(), "the clock begins nothing");
    step(&mut city, State::Active);
    assert!(refusals(&city, day(80)).is_empty());
    // Another text is another agreement: it waits again.
    let mut more = body();
    more["estimated_persons"] = json!(2000);
    publish(&mut city, more);
    assert_eq!(refusals(&city, day(81)), [Clause::Agreement]);
    assert!(names(&step_problems(&city, State::Published, "agc_library", &BOTH), "to", "too-soon"));
}

#[test]
fn any_party_closes_it_and_it_ends_by_itself() {
    let mut city = in_force();
    assert!(refusals(&city, city.now).is_empty());
    assert_eq!(refusals(&city, day(300)), [Clause::Agreement], "its last day is over, whether or not anybody said so");
    for party in ["agc_library", "agc_parks"] {
        assert!(step_problems(&city, State::Suspended, party, &[(party, "head")]).is_empty());
        assert!(step_problems(&city, State::Revoked, party, &[(party, "head")]).is_empty());
    }
    assert!(!step_problems(&city, State::Suspended, "agc_health", &[("agc_health", "head")]).is_empty());
    let clock = [("agc_operator", "automation")];
    assert!(names(&step_problems(&city, State::Sunset, "agc_operator", &clock), "to", "before-sunset"));
    city.apply(city.step_draft(ID, State::Suspended, "agc_parks", &[("agc_parks", "head")])).unwrap();
    assert_eq!(refusals(&city, city.now), [Clause::Agreement]);
    step(&mut city, State::Active);
    assert!(refusals(&city, city.now).is_empty());
    city.now = day(300);
    city.apply(city.step_draft(ID, State::Sunset, "agc_operator", &clock)).unwrap();
    assert!(names(&problems(&city, body()), "id", "over"));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_review_moves_its_day_and_nothing_else() {
    let mut city = in_force();
    let due = day(299);
    assert!(city.register.late(due.plus(-1)).is_empty());
    assert_eq!(city.register.late(due)[0].duty, LateDuty::Review);
    let mut later = body();
    later["review_due"] = json!(day(300).to_string());
    assert!(names(&problems(&city, later.clone()), "review_due", "prolonged"), "not without a review");
    later["reviews"] = json!([{"at": day(79).to_string(), "finding": text("It works.")}]);
    publish(&mut city, later.clone());
    assert!(refusals(&city, city.now).is_empty(), "it is in force as before");
    later["reviews"] = json!([]);
    assert!(names(&problems(&city, later), "reviews", "withdrawn"));
}

#[test]
fn the_overseer_of_an_agreement_suspends_it() {
    let mut city = in_force();
    let order = json!({"body": "agc_oversight", "kind": "suspend", "target": ID, "reasons": text("Too many people.")});
    city.say(StatementKind::Order, "ord_1", "agc_oversight", order);
    assert_eq!(refusals(&city, city.now), [Clause::Agreement]);
    assert!(refusals(&city, city.now.plus(-DAY)).contains(&Clause::Agreement), "not in force the day before");
}
