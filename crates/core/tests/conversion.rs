//! Pseudonyms of one service for those of another: only where an active mandate names exactly that, and pseudonym domains
//! with one mode and one end.

use crate::common;
use crate::common::{BOTH, City, activate, agreement_body, contract_body, day, founded, library_card, names, service_body, text};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::certificate::Certificate;
use usufruct_core::decide::{
    Clause, ConversionRequest, Decision, Outcome, decide_conversion, decide_conversion_without_resident,
};
use usufruct_core::draft::Problem;
use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::Mandate;
use usufruct_core::service::{PseudonymMode, Service};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const JOINED: &str = "mdt_joined";

/// A library and a park that may join their readers, and a vendor of the library.
fn city(conversions: &Value, change: impl FnOnce(&mut Value)) -> City {
    let mut city = founded();
    city.now = day(1);
    let services =
        [("svc_library", "agc_library", "library"), ("svc_parks", "agc_parks", "parks"), ("svc_cloud", "agc_cloud", "cloud")];
    for (id, agency, sector) in services {
        city.say(StatementKind::Service, id, agency, service_body(agency, sector, &[JOINED]));
    }
    let mut body = mandate(conversions);
    change(&mut body);
    city.say(StatementKind::Mandate, JOINED, "agc_library", body);
    let mut contract = contract_body();
    contract["mandates"] = json!([JOINED]);
    city.say(StatementKind::Contract, "ctr_cloud", "agc_library", contract);
    city.steps("ctr_cloud", &[State::CheckedAgency, State::CheckedCity, State::Signed, State::Active]);
    for (id, _, _) in services {
        city.step(id, State::Active);
    }
    activate(&mut city, JOINED);
    agree(&mut city);
    city
}

/// The library and the parks agree that their services know readers by each other's pseudonyms.
fn agree(city: &mut City) {
    let began = city.now;
    let mut body = agreement_body(began.plus(15 * DAY), began.plus(390 * DAY));
    let pairs =
        [("svc_library", "svc_parks"), ("svc_parks", "svc_library"), ("svc_cloud", "svc_parks"), ("svc_parks", "svc_cloud")];
    body["transfers"] = ways(&pairs);
    city.apply(city.draft(StatementKind::Agreement, "agr_garden", "agc_library", body, &BOTH)).unwrap();
    city.apply(city.step_draft("agr_garden", State::Consulted, "agc_library", &BOTH)).unwrap();
    city.apply(city.step_draft("agr_garden", State::Published, "agc_library", &BOTH)).unwrap();
    city.now = began.plus(15 * DAY);
    city.apply(city.step_draft("agr_garden", State::Active, "agc_parks", &BOTH)).unwrap();
}

fn mandate(conversions: &Value) -> Value {
    let mut body = library_card();
    body["fetch"] = json!({"when": "periodic"});
    body["bulk_limit"] = json!(100);
    body["impact_assessment"] = json!("https://example.org/assessment");
    body["recipients"] = json!([
        {"agency": "agc_library", "why": text("It lends.")},
        {"agency": "agc_parks", "why": text("It opens the garden.")},
        {"agency": "agc_cloud", "contract": "ctr_cloud", "why": text("It sends letters.")},
    ]);
    body["conversions"] = conversions.clone();
    body
}

fn ways(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(from, to)| json!({"from": from, "to": to, "why": text("Readers enter the garden.")})).collect()
}

fn request(city: &City, from: &str, to: &str) -> (ConversionRequest, Grant, Time) {
    let entry = &city.register.mandates[&JOINED.parse().unwrap()];
    let request = ConversionRequest {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        mandate: JOINED.parse().unwrap(),
        reason: entry.body.reasons[0].code.clone(),
        subjects: 10,
        sign_in: None,
        third_party: false,
    };
    let now = entry.body.starts_at.max(city.now).plus(1_000);
    let grant = Grant {
        kind: GrantKind::Consent,
        state: GrantState::Given,
        mandate_hash: entry.hash,
        given_at: now.plus(-1),
        valid_until: entry.body.sunset_at,
        blocks: vec![],
        uses: 0,
        window_start: now,
        window_uses: 0,
        means: None,
        resident_active: true,
        rests: false,
        declined: false,
        authorized: true,
    };
    (request, grant, now)
}

fn decided(city: &City, change: impl FnOnce(&mut ConversionRequest, &mut Option<Grant>, &mut Time)) -> Decision {
    let (mut request, grant, mut now) = request(city, "svc_library", "svc_parks");
    let mut grant = Some(grant);
    change(&mut request, &mut grant, &mut now);
    decide_conversion(&city.register, &request, grant.as_ref(), now)
}

#[track_caller]
fn refuses(city: &City, clause: Clause, change: impl FnOnce(&mut ConversionRequest, &mut Option<Grant>, &mut Time)) {
    let decision = decided(city, change);
    assert_eq!((decision.outcome, decision.because), (Outcome::Refuse, vec![clause]));
}

#[test]
fn a_named_conversion_is_permitted_in_its_direction_and_no_other() {
    let city = city(&ways(&[("svc_library", "svc_parks")]), |_| {});
    let decision = decided(&city, |_, _, _| {});
    assert_eq!(decision.outcome, Outcome::Permit, "{:?}", decision.because);
    assert!(decision.because.contains(&Clause::Conversion));
    for (from, to) in
        [("svc_parks", "svc_library"), ("svc_library", "svc_cloud"), ("svc_cloud", "svc_parks"), ("svc_library", "svc_library")]
    {
        refuses(&city, Clause::Conversion, |request, _, _| {
            (request.from, request.to) = (from.parse().unwrap(), to.parse().unwrap());
        });
    }
    let without = self::city(&json!([]), |_| {});
    refuses(&without, Clause::Conversion, |_, _, _| {});
    for unknown in ["from", "to"] {
        refuses(&city, Clause::Service, |request, _, _| match unknown {
            "from" => request.from = "svc_nowhere".parse().unwrap(),
            _ => request.to = "svc_nowhere".parse().unwrap(),
        });
    }
    refuses(&city, Clause::Mandate, |request, _, _| request.mandate = "mdt_nowhere".parse().unwrap());
}

#[test]
fn everything_else_holds_as_for_a_use() {
    let city = city(&ways(&[("svc_library", "svc_parks")]), |_| {});
    refuses(&city, Clause::Grant, |_, grant, _| *grant = None);
    refuses(&city, Clause::Grant, |_, grant, _| grant.as_mut().unwrap().state = GrantState::Withdrawn);
    refuses(&city, Clause::Suspension, |_, grant, _| grant.as_mut().unwrap().state = GrantState::Paused);
    refuses(&city, Clause::Resident, |_, grant, _| grant.as_mut().unwrap().resident_active = false);
    refuses(&city, Clause::Authorization, |_, grant, _| grant.as_mut().unwrap().authorized = false);
    refuses(&city, Clause::RateCap, |_, grant, _| grant.as_mut().unwrap().window_uses = i64::MAX);
    refuses(&city, Clause::Reason, |request, _, _| request.reason = "curiosity".into());
    refuses(&city, Clause::BulkLimit, |request, _, _| request.subjects = 101);
    refuses(&city, Clause::BulkLimit, |request, _, _| request.subjects = 0);
    let sunset = city.register.mandates[&JOINED.parse().unwrap()].body.sunset_at;
    // The agreement ends before the mandate, since it cannot outlive it.
    let (request, mut grant, _) = request(&city, "svc_library", "svc_parks");
    grant.valid_until = sunset.plus(1);
    let decision = decide_conversion(&city.register, &request, Some(&grant), sunset);
    assert_eq!(decision.because, [Clause::Sunset, Clause::Agreement]);
}

#[test]
fn both_services_must_work_and_both_receive() {
    let all = ways(&[("svc_library", "svc_parks"), ("svc_library", "svc_cloud"), ("svc_cloud", "svc_parks")]);
    for (service, states, clause) in [
        ("svc_library", vec![State::Suspended], Clause::Suspension),
        ("svc_parks", vec![State::Suspended], Clause::Suspension),
        ("svc_library", vec![State::Closed], Clause::Service),
        ("svc_parks", vec![State::Closed], Clause::Service),
    ] {
        let mut city = city(&all, |_| {});
        city.steps(service, &states);
        refuses(&city, clause, |_, _, _| {});
    }
    // The other service is not registered under the mandate.
    let mut city = city(&all, |_| {});
    let mut login = service_body("agc_parks", "parks", &[]);
    login["profile"] = json!("oidc");
    city.say(StatementKind::Service, "svc_parks", "agc_parks", login);
    refuses(&city, Clause::Service, |_, _, _| {});
    // A vendor on either side needs its contract.
    let mut city = self::city(&all, |_| {});
    let vendor = |city: &City, from: &str, to: &str| {
        let (request, grant, now) = request(city, from, to);
        decide_conversion(&city.register, &request, Some(&grant), now)
    };
    for (from, to) in [("svc_library", "svc_cloud"), ("svc_cloud", "svc_parks")] {
        assert_eq!(vendor(&city, from, to).outcome, Outcome::Permit);
    }
    city.step("ctr_cloud", State::Suspended);
    for (from, to) in [("svc_library", "svc_cloud"), ("svc_cloud", "svc_parks")] {
        assert_eq!(vendor(&city, from, to).because, [Clause::Contract]);
    }
}

#[test]
fn a_whole_batch_is_refused_by_what_no_resident_changes() {
    let city = city(&ways(&[("svc_library", "svc_parks")]), |_| {});
    let (request, _, now) = request(&city, "svc_library", "svc_parks");
    assert_eq!(decide_conversion_without_resident(&city.register, &request, now).outcome, Outcome::Permit);
    let back = ConversionRequest { from: request.to.clone(), to: request.from.clone(), ..request };
    assert_eq!(decide_conversion_without_resident(&city.register, &back, now).because, [Clause::Conversion]);
}

#[test]
fn a_mandate_names_conversions_that_can_be() {
    let refused = |body: &Value| Mandate::read(body).unwrap_err();
    let twice = [("svc_library", "svc_parks"); 2];
    assert!(names(&refused(&mandate(&ways(&twice))), "conversions", "duplicate"));
    assert!(names(&refused(&mandate(&ways(&[("svc_parks", "svc_parks")]))), "conversions", "same-service"));
    assert!(names(&refused(&mandate(&json!([{"from": "svc_library"}]))), "conversions[0].to", "missing"));
    assert!(Mandate::read(&mandate(&json!([]))).unwrap().conversions.is_empty());

    let mut city = city(&json!([]), |_| {});
    city.say(StatementKind::Service, "svc_second", "agc_parks", service_body("agc_parks", "parks", &[JOINED]));
    let problems = |pairs: &[(&str, &str)], change: fn(&mut Value)| {
        let mut body = mandate(&ways(pairs));
        change(&mut body);
        usufruct_core::validate::mandate(&city.register, &Mandate::read(&body).unwrap(), day(0))
    };
    assert!(names(&problems(&[("svc_library", "svc_nowhere")], |_| {}), "conversions[0].to", "unknown"));
    assert!(names(&problems(&[("svc_second", "svc_parks")], |_| {}), "conversions[0]", "same-sector"));
    let outsider = problems(&[("svc_library", "svc_parks")], |body| {
        body["recipients"].as_array_mut().unwrap().remove(1);
    });
    assert!(names(&outsider, "conversions[0].to", "not-a-recipient"), "{outsider:?}");
}

fn service_with(mode: Option<&str>) -> Value {
    let mut body = service_body("agc_library", "library", &[]);
    body["profile"] = json!("oidc");
    if let Some(mode) = mode {
        body["pseudonym_mode"] = json!(mode);
    }
    body
}

#[test]
fn the_mode_of_a_domain_is_settled_once_it_is_used() {
    assert_eq!(Service::read(&service_with(None)).unwrap().pseudonym_mode, PseudonymMode::Single);
    assert_eq!(Service::read(&service_with(Some("two_keeper"))).unwrap().pseudonym_mode, PseudonymMode::TwoKeeper);
    assert!(names(&Service::read(&service_with(Some("three"))).unwrap_err(), "pseudonym_mode", "unknown-word"));
    // What is not said stands in no register, so those of before are the same.
    let written = |mode| serde_json::to_value(Service::read(&service_with(mode)).unwrap()).unwrap();
    assert_eq!(written(Some("single")), written(None));
    assert!(written(None).get("pseudonym_mode").is_none());

    let mut city = founded();
    city.say(StatementKind::Service, "svc_library", "agc_library", service_with(None));
    city.say(StatementKind::Service, "svc_library", "agc_library", service_with(Some("two_keeper")));
    let problems = |city: &City, id: &str, mode| {
        let statement = city.draft(
            StatementKind::Service,
            id,
            "agc_library",
            service_with(mode),
            &[("agc_library", "head"), ("agc_library", "privacy")],
        );
        city.register.check(&statement).err().unwrap_or_default()
    };
    let is_settled = |problems: &[Problem]| names(problems, "pseudonym_mode", "settled");
    assert!(problems(&city, "svc_library", None).is_empty(), "a draft alone may change its mind");
    assert!(is_settled(&problems(&city, "svc_second", None)), "two in one domain have one mode");
    assert!(problems(&city, "svc_second", Some("two_keeper")).is_empty());
    city.step("svc_library", State::Active);
    assert!(is_settled(&problems(&city, "svc_library", Some("single"))));
    city.step("svc_library", State::Suspended);
    assert!(is_settled(&problems(&city, "svc_library", None)));
    assert!(problems(&city, "svc_library", Some("two_keeper")).is_empty());
}

#[test]
fn a_domain_ends_with_its_last_service() {
    let mut city = founded();
    for id in ["svc_library", "svc_second"] {
        city.say(StatementKind::Service, id, "agc_library", service_with(None));
        city.step(id, State::Active);
    }
    let new = |city: &City| {
        let approvals = [("agc_library", "head"), ("agc_library", "privacy")];
        let statement = city.draft(StatementKind::Service, "svc_third", "agc_library", service_with(None), &approvals);
        city.register.check(&statement).err().unwrap_or_default()
    };
    let certified = |city: &City, sector: &str| {
        let mut body = common::certificate_body("", city.now);
        body["cause"] = json!("sector");
        body["sector"] = json!(sector);
        let statement = city.draft(StatementKind::Certificate, "crt_library", "agc_operator", body, &[("agc_operator", "head")]);
        city.register.check(&statement).err().unwrap_or_default()
    };
    assert!(names(&certified(&city, "library"), "key_commitments", "not-published"));
    let commitment = common::commitment_of("");
    let body = json!({"sector": "library", "commitment": commitment, "epoch": 0});
    let key =
        city.draft(StatementKind::Key, &common::key_id(commitment), "agc_operator", body, &[("agc_operator", "automation")]);
    city.apply(key).unwrap();
    city.step("svc_library", State::Closed);
    assert!(new(&city).is_empty());
    assert!(names(&certified(&city, "library"), "sector", "not-ended"));
    city.step("svc_second", State::Closed);
    assert!(names(&new(&city), "sector", "ended"));
    assert!(certified(&city, "library").is_empty(), "{:?}", certified(&city, "library"));
    assert!(names(&certified(&city, "nowhere"), "sector", "not-ended"));
    let mut body = common::certificate_body("", city.now);
    body["sector"] = json!("library");
    assert!(names(&Certificate::read(&body).unwrap_err(), "sector", "other-cause"));
}
