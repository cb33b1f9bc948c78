//! Breaches: which clocks every law sets, who may say what, what stands once it is said, and whose data is concerned.

mod common;

use common::walk::spoil_everything;
use common::{City, agency_body, day, lawful, names, text};
use serde_json::{Value, json};
use usufruct_core::breach::{Breach, BreachCause, ClockStanding};
use usufruct_core::draft::Problem;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::BreachId;
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::{Duty, SHIPPED};
use usufruct_core::register::Register;
use usufruct_core::rotation::Rotation;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::{DAY, HOUR};
use usufruct_core::{Digest, Time};

const CARD: &str = "mdt_library-card";
const BREACH: &str = "brc_lost-laptop";
const LIBRARY: &str = "agc_library";
const TWO: [(&str, &str); 2] = [(LIBRARY, "head"), (LIBRARY, "privacy")];
const ONE: [(&str, &str); 1] = [(LIBRARY, "privacy")];
const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

/// The lawful city with the law of Taiwan in force.
fn city() -> City {
    let mut city = lawful();
    city.now = day(60);
    publish_law(&mut city, "law_tw");
    city
}

fn publish_law(city: &mut City, id: &str) {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == id).unwrap();
    let mut body: Value = toml::from_str(text).unwrap();
    body["status"] = json!("in_force");
    city.say(StatementKind::Lawpack, id, "agc_operator", body);
}

/// A lost laptop with the names of the library card, with the clocks that the laws demand.
fn body(city: &City) -> Value {
    let body = json!({"body": LIBRARY, "cause": "loss", "state": "detected", "kinds": ["confidentiality"], "threat_actor": "nobody", "reporter": "staff", "title": text("Lost laptop"), "facts": text("A laptop was left in a train."),
        "first_signal_at": city.now.plus(-HOUR).to_string(), "aware_at": city.now.to_string(), "from": day(0).to_string(),
        "mandates": [CARD], "blocks": ["blk_name"]});
    with_clocks(city, body)
}

fn with_clocks(city: &City, mut body: Value) -> Value {
    body["clocks"] = Value::Null;
    json!(city.register.with_clocks(Breach::read(&body).unwrap(), city.now))
}

fn draft(city: &City, by: &str, body: &Value, approvals: &[(&str, &str)]) -> Statement {
    city.draft(StatementKind::Breach, BREACH, by, body.clone(), approvals)
}

fn refused(city: &City, by: &str, body: &Value, approvals: &[(&str, &str)]) -> Vec<Problem> {
    city.register.check(&draft(city, by, body, approvals)).expect_err("it is taken")
}

fn say(city: &mut City, body: &Value, approvals: &[(&str, &str)]) {
    let statement = draft(city, approvals[0].0, body, approvals);
    city.apply(statement).unwrap();
}

/// Answers every clock that has no answer, in time.
fn answer_all(city: &City, body: &mut Value) {
    for clock in body["clocks"].as_array_mut().unwrap() {
        if clock.get("answer").is_none() {
            clock["answer"] = proof(city.now);
        }
    }
}

fn proof(at: Time) -> Value {
    json!({"at": at.to_string(), "proof": {"title": text("Letter"), "sha256": sha256(b"letter").to_string()}})
}

fn duties(body: &Value) -> Vec<(String, String, Time)> {
    let clocks = Breach::read(body).unwrap().clocks;
    clocks.into_iter().map(|clock| (clock.law, clock.duty.code().to_owned(), clock.due_at)).collect()
}

#[test]
fn a_breach_is_read_whole_or_not_at_all() {
    let city = city();
    let mut whole = body(&city);
    answer_all(&city, &mut whole);
    whole["clocks"][0]["answer"]["reason"] = text("It took long.");
    for field in ["unreadable", "measures", "advice", "lessons"] {
        whole[field] = text("Words.");
    }
    whole["services"] = json!(["svc_library"]);
    whole["contract"] = json!("ctr_cloud");
    whole["incident"] = json!("inc_1");
    whole["until"] = json!(city.now.to_string());
    whole["closed_at"] = json!(city.now.to_string());
    whole["told"] =
        json!({"at": city.now.to_string(), "residents": "12", "by_courier": "1-9", "blocks": 1, "words": sha256(b"words")});
    let mut one_clock = whole.clone();
    one_clock["clocks"] = json!([whole["clocks"][0]]);
    let optional = [
        "blocks",
        "clocks",
        "clocks[0].answer",
        "clocks[0].answer.proof",
        "clocks[0].answer.reason",
        "closed_at",
        "contract",
        "incident",
        "lessons",
        "mandates",
        "measures",
        "services",
        "told",
        "unreadable",
        "until",
    ];
    spoil_everything(&one_clock, &optional, &|body| Breach::read(body).map(drop));
    for (field, value, rule) in [
        ("mandates", Value::Null, "nothing"),
        ("aware_at", json!(day(1).to_string()), "before-sign"),
        ("until", json!(day(-3).to_string()), "before-start"),
    ] {
        let mut bad = whole.clone();
        bad["services"] = Value::Null;
        bad[field] = value;
        assert!(names(&Breach::read(&bad).unwrap_err(), field, rule), "{field}");
    }
    let mut untold = whole.clone();
    untold["advice"] = Value::Null;
    assert!(names(&Breach::read(&untold).unwrap_err(), "advice", "no-advice"));
    let mut twice = whole.clone();
    twice["clocks"] = json!([whole["clocks"][0], whole["clocks"][0]]);
    assert!(names(&Breach::read(&twice).unwrap_err(), "clocks[1]", "duplicate"));
    let mut silent = whole.clone();
    silent["clocks"][1]["answer"]["proof"] = Value::Null;
    assert!(names(&Breach::read(&silent).unwrap_err(), "clocks[1].answer.reason", "missing"), "neither proof nor reason");
    silent["clocks"][1]["answer"] = proof(day(300));
    assert!(names(&Breach::read(&silent).unwrap_err(), "clocks[1].answer.reason", "missing"), "late without a reason");
}

#[test]
fn every_law_of_every_body_concerned_sets_its_clocks() {
    let mut city = city();
    let now = city.now;
    let of_taiwan = vec![
        ("TW".to_owned(), "report_incident".to_owned(), now.plus(HOUR)),
        ("TW".to_owned(), "contain_incident".to_owned(), now.plus(36 * HOUR)),
        ("generic".to_owned(), "report_breach".to_owned(), now.plus(3 * DAY)),
        ("generic".to_owned(), "tell_persons".to_owned(), now.plus(3 * DAY)),
        ("TW".to_owned(), "final_report".to_owned(), now.plus(30 * DAY)),
    ];
    assert_eq!(duties(&body(&city)), of_taiwan);
    // The vendor sits in the Union, whose law has clocks of its own.
    let mut vendor = agency_body("agc_cloud", "vendor");
    vendor["jurisdiction"] = json!("EU");
    let mut approvals = vec![("agc_operator", "head"), ("agc_operator", "privacy")];
    approvals.push(("agc_cloud", "head"));
    let statement = city.draft(StatementKind::Agency, "agc_cloud", "agc_operator", vendor, &approvals);
    city.apply(statement).unwrap();
    publish_law(&mut city, "law_eu");
    let mut with_vendor = body(&city);
    with_vendor["contract"] = json!("ctr_cloud");
    let with_vendor = with_clocks(&city, with_vendor);
    let laws: std::collections::BTreeSet<String> = duties(&with_vendor).into_iter().map(|(law, ..)| law).collect();
    assert!(laws.contains("EU") && laws.contains("TW") && laws.contains("generic"), "{laws:?}");
    assert!(duties(&with_vendor).len() > of_taiwan.len());
    // A body cannot leave one out, put it off, or make one up.
    let mut shorter = with_vendor.clone();
    shorter["clocks"].as_array_mut().unwrap().pop();
    assert!(names(&refused(&city, LIBRARY, &shorter, &TWO), "clocks", "other-clock"));
    let mut later = with_vendor.clone();
    later["clocks"][0]["due_at"] = json!(now.plus(DAY).to_string());
    assert!(names(&refused(&city, LIBRARY, &later, &TWO), "clocks", "other-clock"));
    let mut more = with_vendor.clone();
    more["clocks"]
        .as_array_mut()
        .unwrap()
        .push(json!({"law": "CN", "duty": "report_breach", "article": "57", "due_at": now.to_string()}));
    assert!(names(&refused(&city, LIBRARY, &more, &TWO), "clocks", "not-demanded"));
    say(&mut city, &with_vendor, &TWO);
    // What is kept too long is no incident of a system.
    assert_eq!(BreachCause::UnansweredDeletion.duties().collect::<Vec<_>>(), [Duty::ReportBreach, Duty::TellPersons]);
}

#[test]
fn two_people_open_a_breach_or_the_machine_what_it_sees() {
    let mut city = city();
    let lost = body(&city);
    assert!(names(&refused(&city, LIBRARY, &lost, &ONE), "approvals", "too-few"));
    assert!(names(&refused(&city, "agc_operator", &lost, &MACHINE), "approvals", "too-few"), "a machine saw no laptop");
    assert!(names(
        &refused(&city, "agc_health", &lost, &[("agc_health", "head"), ("agc_health", "privacy")]),
        "by",
        "not-the-owner"
    ));
    let mut vendors = lost.clone();
    vendors["body"] = json!("agc_cloud");
    assert!(names(&refused(&city, "agc_operator", &with_clocks(&city, vendors), &MACHINE), "body", "vendor"));
    for (field, value) in
        [("mandates", json!(["mdt_nothing"])), ("services", json!(["svc_nowhere"])), ("blocks", json!(["blk_none"]))]
    {
        let mut unknown = lost.clone();
        unknown[field] = value;
        assert!(names(&refused(&city, LIBRARY, &unknown, &TWO), &format!("{field}[0]"), "unknown"), "{field}");
    }
    for (field, value) in [("contract", "ctr_none"), ("incident", "inc_none")] {
        let mut unknown = lost.clone();
        unknown[field] = json!(value);
        assert!(names(&refused(&city, LIBRARY, &unknown, &TWO), field, "unknown"), "{field}");
    }
    let mut ahead = lost.clone();
    ahead["until"] = json!(city.now.plus(1).to_string());
    assert!(names(&refused(&city, LIBRARY, &ahead, &TWO), "until", "future"));
    let mut seen = lost.clone();
    seen["cause"] = json!("unanswered_deletion");
    let mut seen = with_clocks(&city, seen);
    assert!(
        names(&refused(&city, "agc_operator", &seen, &[("agc_operator", "head")]), "approvals", "too-few"),
        "one person is no machine"
    );
    let machine = draft(&city, "agc_operator", &seen, &MACHINE);
    assert!(city.register.check(&machine).is_ok());
    seen["advice"] = text("Ask the library.");
    assert!(names(&refused(&city, "agc_operator", &seen, &MACHINE), "approvals", "too-few"), "people find the words");
    let both = draft(&city, "agc_operator", &lost, &[("agc_operator", "head"), ("agc_operator", "privacy")]);
    assert!(city.register.check(&both).is_ok(), "the operator may open one for a body");
    say(&mut city, &lost, &TWO);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn what_is_answered_stands_and_it_is_closed_when_all_is() {
    let mut city = city();
    let opened = body(&city);
    say(&mut city, &opened, &TWO);
    let aware_at = city.now;
    city.now = aware_at.plus(HOUR / 2);
    let mut step = opened.clone();
    step["clocks"][0]["answer"] = proof(city.now);
    assert!(names(&refused(&city, "agc_operator", &step, &MACHINE), "approvals", "no-person"), "a machine reports nothing");
    say(&mut city, &step, &ONE);
    assert!(names(&refused(&city, LIBRARY, &opened, &ONE), "clocks", "taken-back"));
    let mut wider = step.clone();
    wider["services"] = json!(["svc_library"]);
    let wider = json!(city.register.with_clocks(Breach::read(&wider).unwrap(), city.now));
    assert!(names(&refused(&city, LIBRARY, &wider, &ONE), "approvals", "too-few"), "one person changes no facts");
    say(&mut city, &wider, &TWO);
    assert!(names(&refused(&city, LIBRARY, &step, &TWO), "mandates", "taken-back"));
    for (field, value) in [("aware_at", json!(aware_at.plus(-1).to_string())), ("cause", json!("mistake"))] {
        let mut other = wider.clone();
        other[field] = value;
        assert!(names(&refused(&city, LIBRARY, &other, &TWO), "aware_at", "changed"), "{field}");
    }

    let late = |city: &City| -> Vec<LateDuty> { city.register.late(city.now).into_iter().map(|late| late.duty).collect() };
    assert_eq!(late(&city), []);
    city.now = aware_at.plus(36 * HOUR);
    assert_eq!(late(&city), [LateDuty::Breach(Duty::ContainIncident)], "by the clock, and nobody wrote it");
    assert_eq!(LateDuty::Breach(Duty::ContainIncident).code(), "contain_incident");
    let mut closing = wider.clone();
    closing["closed_at"] = json!(city.now.to_string());
    let open = refused(&city, LIBRARY, &closing, &TWO);
    for (field, rule) in [("clocks", "unanswered"), ("until", "missing"), ("lessons", "missing")] {
        assert!(names(&open, field, rule), "{field}: {open:?}");
    }
    closing["until"] = json!(aware_at.to_string());
    closing["lessons"] = text("Disks are sealed.");
    city.now = city.now.plus(HOUR);
    answer_all(&city, &mut closing);
    assert!(names(&refused(&city, LIBRARY, &closing, &TWO), "clocks[1].answer.reason", "missing"), "late needs a reason");
    closing["clocks"][1]["answer"]["reason"] = text("The finder was away.");
    assert!(names(&refused(&city, LIBRARY, &closing, &ONE), "approvals", "too-few"));
    let mut advised = closing.clone();
    advised["advice"] = text("Watch your mail.");
    assert!(names(&refused(&city, LIBRARY, &advised, &TWO), "told", "missing"), "nobody was told yet");
    say(&mut city, &closing, &TWO);
    let entry = &city.register.breaches[&BREACH.parse::<BreachId>().unwrap()];
    let standings: Vec<ClockStanding> = entry.body.clocks.iter().map(|clock| clock.standing(city.now)).collect();
    assert_eq!(standings[..2], [ClockStanding::Met, ClockStanding::MetLate]);
    assert!(late(&city).is_empty() && city.register.open_breaches().is_empty());
    assert!(names(&refused(&city, LIBRARY, &closing, &TWO), "rev", "final"));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_clock_may_be_left_open_for_ever_only_with_a_reason() {
    let city = city();
    let mut body = body(&city);
    body["clocks"][0]["answer"] = json!({"at": city.now.to_string(), "reason": text("The disk was sealed; nobody can read it.")});
    let clock = &Breach::read(&body).unwrap().clocks[0];
    assert_eq!(clock.standing(city.now.plus(900 * DAY)), ClockStanding::Excused);
    let open = &Breach::read(&body).unwrap().clocks[1];
    assert_eq!((open.standing(open.due_at.plus(-1)), open.standing(open.due_at)), (ClockStanding::Running, ClockStanding::Late));
}

#[test]
fn the_machine_says_whom_it_told_and_nothing_else() {
    let mut city = city();
    let mut opened = body(&city);
    opened["advice"] = text("Watch your mail.");
    say(&mut city, &opened, &TWO);
    let words: Digest = city.register.breaches[&BREACH.parse::<BreachId>().unwrap()].hash;
    city.now = city.now.plus(HOUR);
    let mut told = opened.clone();
    told["told"] = json!({"at": city.now.to_string(), "residents": "1-9", "by_courier": "0", "blocks": 1, "words": words});
    let persons = told["clocks"].as_array().unwrap().iter().position(|clock| clock["duty"] == "tell_persons").unwrap();
    told["clocks"][persons]["answer"] = proof(city.now);
    let mut more = told.clone();
    more["measures"] = text("All is well.");
    assert!(names(&refused(&city, "agc_operator", &more, &MACHINE), "approvals", "no-person"));
    let mut many = told.clone();
    many["told"]["by_courier"] = json!("12");
    assert!(names(&refused(&city, "agc_operator", &many, &MACHINE), "told.by_courier", "too-many"));
    say(&mut city, &told, &MACHINE);
    let mut ended = told.clone();
    ended["until"] = json!(city.now.to_string());
    assert!(names(&refused(&city, LIBRARY, &ended, &TWO), "told", "stale"), "others may be concerned now");
    ended["told"] = Value::Null;
    assert!(city.register.check(&draft(&city, LIBRARY, &ended, &TWO)).is_ok());
    let mut taken_back = opened.clone();
    taken_back["clocks"] = told["clocks"].clone();
    assert!(names(&refused(&city, LIBRARY, &taken_back, &TWO), "advice", "taken-back"));
}

#[test]
fn whose_data_is_concerned_follows_from_her_lines() {
    let city = city();
    let mut breach = Breach::read(&body(&city)).unwrap();
    let hash = city.register.mandates[&CARD.parse().unwrap()].hash;
    let event = |kind, at, block: &str| Event {
        kind,
        n: 0,
        prev: None,
        at,
        anchor: None,
        mandate: Some(hash),
        service: Some("svc_library".parse().unwrap()),
        blocks: vec![(block.parse().unwrap(), Form::Value)],
        reason: "reminder".into(),
        actor: None,
        batch: None,
        clause: None,
        detail: None,
        until: None,
        other: None,
        source: None,
        closed: None,
    };
    let concerned = |breach: &Breach, event: &Event| city.register.concerned(breach, event).map(|blocks| blocks.len());
    let used = event(Kind::Use, day(30), "blk_name");
    assert_eq!(concerned(&breach, &used), Some(1));
    assert_eq!(concerned(&breach, &event(Kind::Use, day(-1), "blk_name")), None, "before");
    assert_eq!(concerned(&breach, &event(Kind::Use, day(30), "blk_address")), None, "another block");
    assert_eq!(concerned(&breach, &event(Kind::Refusal, day(30), "blk_name")), None, "nothing left the house");
    assert_eq!(concerned(&breach, &Event { mandate: Some(sha256(b"other")), ..used.clone() }), None, "another mandate");
    breach.until = Some(day(29));
    assert_eq!(concerned(&breach, &used), None, "after");
    breach.until = None;
    breach.services = vec!["svc_cloud".parse().unwrap()];
    assert_eq!(concerned(&breach, &used), None, "another service");
    assert_eq!(concerned(&breach, &event(Kind::Consent, day(30), "blk_name")), Some(1), "what is lent waits for every service");
    breach.mandates.clear();
    breach.services = vec!["svc_library".parse().unwrap()];
    assert_eq!(concerned(&breach, &used), Some(1));
    breach.blocks.clear();
    let signed_in = Event { mandate: None, blocks: Vec::new(), ..event(Kind::SignIn, day(30), "blk_name") };
    assert_eq!(concerned(&breach, &signed_in), Some(0), "a service knows her by a token");
}

#[test]
fn the_machine_gives_one_breach_one_name() {
    let id = BreachId::of("inc_1");
    assert_eq!(id, BreachId::of("inc_1"));
    assert_ne!(id, BreachId::of("inc_2"));
    assert!(id.as_str().parse::<BreachId>().is_ok());
}

#[test]
fn a_rotation_names_its_whole_domain_and_stands() {
    let mut city = city();
    let opened = body(&city);
    say(&mut city, &opened, &TWO);
    let sector = city.register.services[&"svc_library".parse().unwrap()].body.sector.clone();
    let whole = json!({"sector": sector, "services": ["svc_library"], "breach": BREACH, "reason": text("A list got out.")});
    spoil_everything(&whole, &["breach"], &|body| Rotation::read(body).map(drop));
    let draft = |city: &City, body: &Value, approvals: &[(&str, &str)]| {
        city.draft(StatementKind::Rotation, "rot_1", approvals[0].0, body.clone(), approvals)
    };
    let refused =
        |city: &City, body: &Value, approvals: &[(&str, &str)]| city.register.check(&draft(city, body, approvals)).unwrap_err();
    assert!(names(&refused(&city, &whole, &ONE), "by", "not-the-owner"));
    for (field, value, rule) in [
        ("services", json!(["svc_library", "svc_nowhere"]), "other-services"),
        ("sector", json!("nowhere"), "other-services"),
        ("breach", json!("brc_none"), "unknown"),
    ] {
        let mut other = whole.clone();
        other[field] = value;
        let found = refused(&city, &other, &MACHINE);
        assert!(found.iter().any(|problem| problem.rule == rule), "{field}: {found:?}");
    }
    let statement = draft(&city, &whole, &MACHINE);
    city.apply(statement).unwrap();
    assert!(names(&refused(&city, &whole, &MACHINE), "rev", "final"));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
