//! What a mandate says is done with data, how far back it reaches, and where: held to when it is drafted, and again at each use.

use crate::common;
use crate::common::{
    City, activate, day, founded, lawful, library_card, names, nothing_asked, school_meals, service_body, supervised, text,
    well_said,
};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::decide::{Clause, Decision, Outcome, Request, decide, decide_deposit, decide_without_resident};
use usufruct_core::draft::Problem;
use usufruct_core::event::Form;
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::statement::StatementKind;

const MEALS: &str = "mdt_school-meals";

/// A city in which the library uses data for meals, which rests on a law and not on consent. It is day 60.
fn city(change: impl FnOnce(&mut Value)) -> City {
    let mut city = supervised();
    city.now = day(1);
    let mut body = school_meals();
    body["recipients"] =
        json!([{"agency": "agc_library", "why": text("It pays.")}, {"agency": "agc_parks", "why": text("It cooks.")}]);
    change(&mut body);
    city.say(StatementKind::Mandate, MEALS, "agc_library", body);
    for (id, agency) in [("svc_library", "agc_library"), ("svc_parks", "agc_parks")] {
        city.say(StatementKind::Service, id, agency, service_body(agency, &id[4..], &[MEALS]));
        city.step(id, State::Active);
    }
    activate(&mut city, MEALS);
    city.now = day(60);
    city
}

fn request(service: &str) -> Request {
    Request {
        service: service.parse().unwrap(),
        mandate: MEALS.parse().unwrap(),
        blocks: vec![("blk_name".parse().unwrap(), Form::Value)],
        reason: "reminder".into(),
        ..nothing_asked()
    }
}

fn refused(city: &City, request: &Request, at: Time) -> Vec<Clause> {
    let decision = decide_without_resident(&city.register, request, at);
    if decision.outcome == Outcome::Permit { Vec::new() } else { decision.because }
}

fn unread(body: &Value) -> Vec<Problem> {
    let problems = Mandate::read(body).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

fn with(change: impl FnOnce(&mut Value)) -> Vec<Problem> {
    let mut body = library_card();
    change(&mut body);
    unread(&body)
}

#[test]
fn what_a_request_does_is_named_in_the_mandate() {
    let takes = city(|body| body["operations"] = json!(["collect", "store", "decide"]));
    assert_eq!(refused(&takes, &request("svc_library"), day(61)), []);
    assert_eq!(refused(&takes, &request("svc_parks"), day(61)), [Clause::Operation], "what another body gets is given out");
    let gives = city(|body| body["operations"] = json!(["disclose", "store", "decide"]));
    for service in ["svc_library", "svc_parks"] {
        assert_eq!(refused(&gives, &request(service), day(61)), []);
    }
    let counts = city(|body| body["operations"] = json!(["statistics", "store", "decide"]));
    assert_eq!(refused(&counts, &request("svc_library"), day(61)), [Clause::Operation]);
    let deposit = decide_deposit(&counts.register, &request("svc_library"), None, day(61));
    assert!(deposit.because.contains(&Clause::Operation) && deposit.outcome == Outcome::Refuse);
}

#[test]
fn mode_operations_and_machine_fit_together() {
    assert_eq!(with(|_| {}), []);
    assert!(names(
        &with(|body| (body["mode"], body["operations"]) = (json!("query"), json!(["collect", "decide"]))),
        "blocks[0].form",
        "value-in-query"
    ));
    assert!(names(&with(|body| body["mode"] = json!("view")), "operations", "not-kept"));
    assert!(names(&with(|body| body["operations"] = json!(["collect", "decide"])), "mode", "nothing-kept"));
    assert_eq!(with(|body| body["operations"] = json!(["deposit", "decide"])), [], "the pass keeps it");
    assert!(names(&with(|body| body["mode"] = json!("stream")), "fetch", "not-periodic"));
    assert!(names(&with(|body| body["operations"] = json!(["collect", "store"])), "operations", "no-decide"));
    assert!(names(&with(|body| drop(body.as_object_mut().unwrap().remove("algorithm_url"))), "algorithm_url", "missing"));
    let joined = with(|body| {
        body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("They are joined.")}]);
        body["operations"] = json!(["collect", "store", "decide"]);
    });
    assert!(names(&joined, "operations", "no-match"));
}

#[test]
fn a_mandate_reaches_no_further_back_than_it_says() {
    let back = city(|body| body["data_range"] = json!({"back": "P30D"}));
    let since = |days: i64| Request { since: Some(day(days)), ..request("svc_library") };
    assert_eq!(refused(&back, &request("svc_library"), day(100)), [], "what is true now is always in reach");
    assert_eq!(refused(&back, &since(70), day(100)), []);
    assert_eq!(
        refused(&back, &Request { since: Some(day(70).plus(-1)), ..request("svc_library") }, day(100)),
        [Clause::DataRange]
    );
    let between = city(|body| body["data_range"] = json!({"from": day(50).to_string(), "until": day(100).to_string()}));
    assert_eq!(refused(&between, &since(50), day(99)), []);
    assert_eq!(refused(&between, &since(49), day(99)), [Clause::DataRange]);
    assert_eq!(refused(&between, &request("svc_library"), day(100)), [Clause::DataRange], "what is true now is too late");
    let range = |range: Value| with(|body| body["data_range"] = range);
    assert_eq!(range(json!({"back": "P1Y", "from": "2026-01-01T00:00:00Z"})), []);
    assert!(names(&range(json!({"back": "a year"})), "data_range.back", "malformed"));
    assert!(names(&range(json!({"from": day(2).to_string(), "until": day(1).to_string()})), "data_range.until", "before-start"));
}

#[test]
fn a_use_for_another_purpose_is_reasoned_in_writing_where_the_law_asks() {
    let exception = |code: &str| json!({"code": code, "written_reason": text("A considerable public interest.")});
    let each = city(|body| body["exception"] = exception("TW16.2"));
    assert_eq!(refused(&each, &request("svc_library"), day(61)), [Clause::WrittenReason]);
    assert_eq!(refused(&each, &Request { written_reason: true, ..request("svc_library") }, day(61)), []);
    let once = city(|body| body["exception"] = exception("TW16.6"));
    assert_eq!(refused(&once, &request("svc_library"), day(61)), []);
}

#[test]
fn countries_beyond_the_law_need_a_safeguard() {
    let mut city = supervised();
    city.now = day(1);
    let keys = [("agc_library", "head"), ("agc_library", "privacy")];
    let check = |change: &dyn Fn(&mut Value)| {
        let mut body = library_card();
        body["locations"] = json!(["TW", "JP"]);
        change(&mut body);
        let statement = city.draft(StatementKind::Mandate, "mdt_abroad", "agc_library", body, &keys);
        let problems = city.register.check(&statement).err().unwrap_or_default();
        problems.iter().for_each(|problem| well_said(problem).unwrap());
        problems
    };
    assert!(names(&check(&|_| {}), "locations[1]", "no-safeguard"));
    let safe = |body: &mut Value| body["transfers"] = json!([{"country": "JP", "safeguard": text("A treaty.")}]);
    assert!(check(&safe).is_empty(), "{:?}", check(&safe));
    assert!(names(
        &with(|body| body["transfers"] = json!([{"country": "US", "safeguard": text("None.")}])),
        "transfers[0].country",
        "not-a-location"
    ));
}

#[test]
fn nobody_has_a_block_for_two_purposes_that_exclude_each_other() {
    let mut city = lawful();
    let mut police = school_meals();
    police["purpose"]["local_code"] = json!("TW-200");
    police["purpose"]["incompatible_with"] = json!(["TW-095"]);
    police["recipients"] = json!([{"agency": "agc_library", "why": text("It fines.")}]);
    city.now = day(60);
    city.say(StatementKind::Mandate, "mdt_fines", "agc_library", police.clone());
    let (hash, _) = city.state("mdt_fines").unwrap();
    city.steps("mdt_fines", &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_fines", "agc_library", common::notice_body("mdt_fines", hash));
    city.step("mdt_fines", State::Published);
    let keys = [("agc_library", "head"), ("agc_library", "privacy")];
    let activation = |city: &City| {
        city.register.check(&city.step_draft("mdt_fines", State::Active, "agc_library", &keys)).err().unwrap_or_default()
    };
    assert!(names(&activation(&city), "to", "incompatible-purpose"), "{:?}", activation(&city));
    // Another body may, and so may this one once the other mandates have ended.
    for mandate in ["mdt_library-card", MEALS] {
        city.step(mandate, State::Revoked);
    }
    assert!(activation(&city).is_empty(), "{:?}", activation(&city));
    assert!(names(
        &with(|body| body["purpose"]["incompatible_with"] = json!(["TW-095"])),
        "purpose.incompatible_with",
        "own-purpose"
    ));
}

#[test]
fn even_a_register_with_a_hole_gives_nothing_to_a_security_body_in_an_emergency() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", common::outbreak());
    let mut service = service_body("agc_health", "alerts", &["mdt_outbreak"]);
    service["mandates"] = json!(["mdt_outbreak"]);
    city.say(StatementKind::Service, "svc_alerts", "agc_health", service);
    activate(&mut city, "mdt_outbreak");
    city.step("svc_alerts", State::Active);
    city.now = day(61);
    let asked =
        Request { service: "svc_alerts".parse().unwrap(), mandate: "mdt_outbreak".parse().unwrap(), ..request("svc_alerts") };
    let broken = |city: &City| -> Decision { decide(&city.register, &asked, None, day(61)) };
    assert!(!broken(&city).because.contains(&Clause::Recipient) || broken(&city).outcome == Outcome::Permit);
    // Put there by hand, since no statement does it.
    let health = city.register.agencies.get_mut(&"agc_health".parse().unwrap()).unwrap();
    health.body.kind = usufruct_core::agency::AgencyKind::SecurityOrIntelligence;
    let decision = broken(&city);
    assert!(decision.outcome == Outcome::Refuse && decision.because.contains(&Clause::Recipient), "{decision:?}");
}
