//! Covert mandates: what they have to say, who has to agree, and that no single person and no single body keeps a line back.

use std::fs;
use std::path::Path;

use crate::common;
use crate::common::{City, day, founded, names, notice_body, school_meals, well_said};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::delay::{LAST, Week, line_key, seed_of, tag_key, visible_from};
use usufruct_core::draft::Problem;
use usufruct_core::event::tag;
use usufruct_core::hash::{hex, unhex};
use usufruct_core::layers::{Icon, Layers};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::{Mandate, MandateKind, Visibility};
use usufruct_core::statement::{Statement, StatementKind};

const ID: &str = "mdt_inquiry";
const AUTHORITY: &str = "agc_oversight";
const LIBRARY: [(&str, &str); 2] = [("agc_library", "head"), ("agc_library", "privacy")];
const BOTH: [(&str, &str); 4] = [LIBRARY[0], LIBRARY[1], (AUTHORITY, "head"), (AUTHORITY, "privacy")];

fn inquiry() -> Value {
    let mut body = school_meals();
    body["kind"] = json!("covert");
    body["gate"] = json!("witnessed");
    body["impact_assessment"] = json!("https://library.example/assessment");
    body["visibility"] = json!({"delayed": {"max_days": 90, "authority": AUTHORITY}});
    for field in ["continues", "conversions"] {
        body.as_object_mut().unwrap().remove(field);
    }
    body
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Value), field: &str, rule: &str) {
    let mut body = inquiry();
    change(&mut body);
    let problems = Mandate::read(&body).expect_err("the mandate must be refused");
    assert!(names(&problems, field, rule), "{problems:#?}");
    for problem in &problems {
        well_said(problem).unwrap();
    }
}

/// The mandate, ready to be activated.
fn published(body: Value) -> City {
    let mut city = founded();
    city.now = day(24);
    publish(&mut city, body);
    city
}

fn publish(city: &mut City, body: Value) {
    city.say(StatementKind::Mandate, ID, "agc_library", body);
    let (hash, _) = city.state(ID).unwrap();
    city.now = day(60);
    city.steps(ID, &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, &format!("ntc_inquiry-{}", city.statements.len()), "agc_library", notice_body(ID, hash));
    city.step(ID, State::Published);
}

fn activation(city: &City, approvals: &[(&str, &str)]) -> Statement {
    city.step_draft(ID, State::Active, "agc_library", approvals)
}

#[test]
fn a_covert_mandate_is_read_and_published_as_it_was_written() {
    let mandate = Mandate::read(&inquiry()).unwrap();
    assert_eq!(mandate.kind, MandateKind::Covert);
    let delay = mandate.visibility.delay().unwrap();
    assert_eq!((delay.max_days, delay.authority.as_str()), (90, AUTHORITY));
    assert_eq!(Mandate::read(&serde_json::to_value(&mandate).unwrap()).unwrap(), mandate);
    // One that shows everything at once is written as before there was a choice.
    let mut body = school_meals();
    body["visibility"] = json!("immediate");
    let open = Mandate::read(&body).unwrap();
    assert_eq!(open.visibility, Visibility::Immediate);
    assert!(serde_json::to_value(&open).unwrap().get("visibility").is_none());
    assert_eq!(open.opens(day(0)), Ok(None));
}

#[test]
fn only_a_covert_mandate_delays_and_what_it_must_not_be() {
    refused(|body| body["kind"] = json!("ordinary"), "visibility", "not-covert");
    refused(|body| body["kind"] = json!("research"), "visibility", "not-covert");
    refused(|body| body["kind"] = json!("emergency"), "visibility", "not-covert");
    refused(|body| drop(body.as_object_mut().unwrap().remove("visibility")), "visibility", "missing");
    refused(|body| body["visibility"] = json!("immediate"), "visibility", "missing");
    refused(|body| body["legal_basis"]["code"] = json!("consent"), "legal_basis.code", "covert-consent");
    refused(|body| body["automated_decision"] = json!("sole"), "automated_decision", "covert-machine");
    for gate in ["durable", "published"] {
        refused(|body| body["gate"] = json!(gate), "gate", "covert-gate");
    }
    refused(|body| body["operations"] = json!(["collect", "deposit"]), "operations", "covert-deposit");
    let way = json!([{"from": "svc_library", "to": "svc_parks", "why": common::text("Why not.")}]);
    refused(|body| body["conversions"] = way, "conversions", "covert-conversion");
    refused(|body| drop(body.as_object_mut().unwrap().remove("impact_assessment")), "impact_assessment", "missing");
    for days in [0, 6, -30, 4_000] {
        refused(|body| body["visibility"]["delayed"]["max_days"] = json!(days), "visibility.delayed.max_days", "out-of-range");
    }
    refused(|body| body["visibility"]["delayed"]["hidden"] = json!(true), "visibility.delayed.hidden", "unknown-field");
    refused(|body| body["visibility"] = json!({"hidden": true}), "visibility.delayed", "missing");
}

#[test]
fn the_law_bounds_the_delay_and_an_overseer_answers_for_it() {
    let city = founded();
    let check = |change: &dyn Fn(&mut Value)| -> Vec<Problem> {
        let mut body = inquiry();
        change(&mut body);
        city.register.check(&city.draft(StatementKind::Mandate, ID, "agc_library", body, &LIBRARY)).err().unwrap_or_default()
    };
    assert_eq!(check(&|_| ()), []);
    assert_eq!(check(&|body| body["visibility"]["delayed"]["max_days"] = json!(180)), []);
    let problems = check(&|body| body["visibility"]["delayed"]["max_days"] = json!(181));
    assert!(names(&problems, "visibility.delayed.max_days", "too-long"), "{problems:?}");
    for authority in ["agc_library", "agc_parks", "agc_cloud", "agc_police"] {
        let problems = check(&|body| body["visibility"]["delayed"]["authority"] = json!(authority));
        assert!(names(&problems, "visibility.delayed.authority", "not-oversight"), "{authority}: {problems:?}");
    }
    let problems = check(&|body| body["visibility"]["delayed"]["authority"] = json!("agc_nowhere"));
    assert!(names(&problems, "visibility.delayed.authority", "unknown"), "{problems:?}");
}

#[test]
fn a_revision_neither_delays_longer_nor_becomes_covert() {
    let mut city = published(inquiry());
    let step = activation(&city, &BOTH);
    city.apply(step).unwrap();
    let check = |city: &City, change: &dyn Fn(&mut Value)| {
        let mut body = inquiry();
        change(&mut body);
        city.register.check(&city.draft(StatementKind::Mandate, ID, "agc_library", body, &LIBRARY)).err().unwrap_or_default()
    };
    let problems = check(&city, &|body| body["visibility"]["delayed"]["max_days"] = json!(91));
    assert!(names(&problems, "visibility.delayed.max_days", "moved"), "{problems:?}");
    let problems = check(&city, &|body| body["visibility"]["delayed"]["max_days"] = json!(89));
    assert!(names(&problems, "visibility.delayed.max_days", "moved"), "the public count of what waits rests on it");
    assert_eq!(check(&city, &|_| ()), []);
    let mut open = school_meals();
    open["impact_assessment"] = json!("https://library.example/assessment");
    let problems =
        city.register.check(&city.draft(StatementKind::Mandate, ID, "agc_library", open.clone(), &LIBRARY)).unwrap_err();
    assert!(names(&problems, "kind", "moved"), "{problems:?}");
    let mut city = founded();
    city.now = day(24);
    city.say(StatementKind::Mandate, ID, "agc_library", open);
    assert!(names(&check(&city, &|_| ()), "kind", "moved"));
    // And its next revision needs all of them again before it may be used.
    let mut city = published(inquiry());
    let step = activation(&city, &BOTH);
    city.apply(step).unwrap();
    publish(&mut city, inquiry());
    assert!(names(&city.register.check(&activation(&city, &LIBRARY)).unwrap_err(), "approvals", "too-few"));
    assert!(city.register.check(&activation(&city, &BOTH)).is_ok());
}

#[test]
fn everybody_reads_that_it_is_covert() {
    let city = published(inquiry());
    let layers = Layers::of(&city.register, &ID.parse().unwrap(), city.now).unwrap();
    assert!(layers.icons.contains(&Icon::Delayed));
    let delay = layers.full.delay.unwrap();
    assert_eq!((delay.max_days, delay.authority.agency.as_str()), (90, AUTHORITY));
}

proptest! {
    /// Invariant 6: whoever signs, fewer than two roles of both bodies do not make it active, nor does a machine count as a person.
    #[test]
    fn no_single_person_and_no_single_body_delays(chosen in subsequence(vec![
        ("agc_library", "head"), ("agc_library", "privacy"), ("agc_library", "deputy"), (AUTHORITY, "head"), (AUTHORITY, "privacy"),
        (AUTHORITY, "deputy"), (AUTHORITY, "automation"), ("agc_library", "automation"),
    ], 0..=8)) {
        let city = published(inquiry());
        let roles = |agency: &str| {
            let role = |key: &str| if key == "deputy" { "head".to_owned() } else { key.to_owned() };
            let of: std::collections::BTreeSet<String> =
                chosen.iter().filter(|(known, key)| *known == agency && *key != "automation").map(|(_, key)| role(key)).collect();
            of.len()
        };
        let is_enough = roles("agc_library") >= 2 && roles(AUTHORITY) >= 2;
        let known = |(agency, key): &(&str, &str)| {
            city.register.agencies[&agency.parse().unwrap()].body.key(key).is_some()
        };
        let is_lawful = is_enough && chosen.iter().all(known);
        prop_assert_eq!(city.register.check(&activation(&city, &chosen)).is_ok(), is_lawful, "{:?}", chosen);
    }
}

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../vectors/delay/accept-{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> [u8; 32] {
    unhex(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_golden_weeks() {
    let file = vectors("weeks");
    let weeks = file["weeks"].as_array().unwrap();
    let last = bytes(&weeks.last().unwrap()["seed_hex"]);
    for case in weeks {
        let week = Week(u32::try_from(case["week"].as_u64().unwrap()).unwrap());
        let seed = seed_of(week, LAST, &last).unwrap();
        assert_eq!(hex(&seed), case["seed_hex"].as_str().unwrap());
        assert_eq!(hex(&tag_key(&seed)), case["tag_key_hex"].as_str().unwrap());
        assert_eq!(hex(&line_key(&bytes(&file["footprint_key_hex"]), &seed)), case["line_key_hex"].as_str().unwrap());
        assert_eq!(week.begins().micros(), number(&case["begins_micros"]));
        for tags in case["tags"].as_array().unwrap() {
            let n: u64 = tags["n"].as_str().unwrap().parse().unwrap();
            assert_eq!(hex(&tag(&tag_key(&seed), n)), tags["tag_hex"].as_str().unwrap());
            assert_eq!(visible_from(n), Some(week.begins()));
        }
    }
    for case in vectors("openings")["openings"].as_array().unwrap() {
        let at = Time::from_micros(number(&case["at_micros"]));
        let week = Week::opening(at, case["max_days"].as_i64().unwrap()).unwrap();
        assert_eq!(u64::from(week.0), case["week"].as_u64().unwrap());
    }
}
