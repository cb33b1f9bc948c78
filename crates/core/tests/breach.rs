//! Breaches: which clocks every law sets, who may say what, what stands once it is said, and whose data is concerned.

use crate::common;
use crate::common::walk::spoil_everything;
use crate::common::{City, agency_body, day, lawful, library_card, names, notice_body, text};
use serde_json::{Value, json};
use usufruct_core::breach::{Breach, BreachCause, BreachState, ClockStanding};
use usufruct_core::draft::Problem;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::BreachId;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::lawpack::{Duty, SHIPPED};
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
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
/// Who is late, but for the months of cases that nobody counts in these tests.
fn owed(city: &City) -> Vec<Late> {
    city.register.late(city.now).into_iter().filter(|late| late.duty != LateDuty::CaseTally).collect()
}

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
    json!(city.register.with_clocks(Breach::read(&body).unwrap(), None, city.now))
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

fn notice(at: Time) -> Value {
    json!({"audience": "press", "channel": "web", "count": 1, "at": at.to_string(),
        "text": {"title": text("To the papers"), "sha256": sha256(b"papers").to_string()}})
}

fn entry(city: &City) -> &Entry<Breach> {
    &city.register.breaches[&BREACH.parse::<BreachId>().unwrap()]
}

/// Takes a step of the breach as it stands, with what changes besides.
fn moved(city: &City, to: &str, change: Value) -> Value {
    let mut body = json!(entry(city).body);
    body["state"] = json!(to);
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    json!(city.register.with_clocks(Breach::read(&body).unwrap(), Some(&entry(city).body), city.now))
}

fn move_to(city: &mut City, to: &str, change: Value) {
    let body = moved(city, to, change);
    say(city, &body, &TWO);
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
    for field in ["unreadable", "consequences", "measures", "advice", "lessons"] {
        whole[field] = text("Words.");
    }
    for field in ["severity", "persons_estimate", "records_estimate"] {
        whole[field] = json!(3);
    }
    whole["clocks"][0]["owed_by"] = json!("agc_cloud");
    whole["notices"] = json!([notice(city.now)]);
    whole["log_check"] = json!({"at": city.now.to_string(), "from_size": 1, "to_size": 9, "from_root": sha256(b"one"), "to_root": sha256(b"nine"),
        "consistent": true, "gaps": ["inc_1"]});
    whole["services"] = json!(["svc_library"]);
    whole["contract"] = json!("ctr_cloud");
    whole["incident"] = json!("inc_1");
    whole["until"] = json!(city.now.to_string());
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
        "clocks[0].owed_by",
        "consequences",
        "contract",
        "incident",
        "lessons",
        "log_check",
        "log_check.gaps",
        "mandates",
        "measures",
        "notices",
        "persons_estimate",
        "records_estimate",
        "services",
        "severity",
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
    let wider = json!(city.register.with_clocks(Breach::read(&wider).unwrap(), None, city.now));
    assert!(names(&refused(&city, LIBRARY, &wider, &ONE), "approvals", "too-few"), "one person changes no facts");
    say(&mut city, &wider, &TWO);
    assert!(names(&refused(&city, LIBRARY, &step, &TWO), "mandates", "taken-back"));
    for (field, value) in [("aware_at", json!(aware_at.plus(-1).to_string())), ("cause", json!("mistake"))] {
        let mut other = wider.clone();
        other[field] = value;
        assert!(names(&refused(&city, LIBRARY, &other, &TWO), "aware_at", "changed"), "{field}");
    }

    let late = |city: &City| -> Vec<LateDuty> { owed(city).into_iter().map(|late| late.duty).collect() };
    assert_eq!(late(&city), []);
    city.now = aware_at.plus(36 * HOUR);
    assert_eq!(late(&city), [LateDuty::Breach(Duty::ContainIncident)], "by the clock, and nobody wrote it");
    assert_eq!(LateDuty::Breach(Duty::ContainIncident).code(), "contain_incident");
    move_to(&mut city, "halted", json!({}));
    move_to(&mut city, "contained", json!({"until": aware_at.to_string()}));
    move_to(&mut city, "mitigated", json!({"measures": text("The disk was erased from afar.")}));
    let mut closing = moved(&city, "closed", json!({"closed_at": city.now.to_string()}));
    let open = refused(&city, LIBRARY, &closing, &TWO);
    for (field, rule) in [("clocks", "unanswered"), ("lessons", "missing")] {
        assert!(names(&open, field, rule), "{field}: {open:?}");
    }
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
fn a_state_follows_another_only_by_a_step_and_says_what_it_needs() {
    let mut city = city();
    let opened = body(&city);
    for state in ["halted", "contained", "mitigated"] {
        let mut later = opened.clone();
        (later["state"], later["until"], later["measures"]) = (json!(state), json!(city.now.to_string()), text("Done."));
        assert!(names(&refused(&city, LIBRARY, &later, &TWO), "state", "not-open"), "{state}");
    }
    for (state, field) in [("contained", "until"), ("mitigated", "measures"), ("closed", "closed_at")] {
        let mut bare = opened.clone();
        bare["state"] = json!(state);
        let found = Breach::read(&bare).unwrap_err();
        assert!(found.iter().any(|problem| problem.field == field), "{state}: {found:?}");
    }
    let mut unknown = opened.clone();
    unknown["aware_at"] = Value::Null;
    assert!(names(&Breach::read(&unknown).unwrap_err(), "aware_at", "missing"));
    say(&mut city, &opened, &TWO);
    // Whoever skips a state is told which can follow.
    let skipped = moved(&city, "contained", json!({"until": city.now.to_string()}));
    let found = refused(&city, LIBRARY, &skipped, &TWO);
    assert!(names(&found, "state", "no-such-step") && found[0].message.contains("ongoing, halted"), "{found:?}");
    // What is worse one person says, what is better two.
    let worse = moved(&city, "ongoing", json!({}));
    assert!(names(&refused(&city, "agc_operator", &worse, &MACHINE), "approvals", "no-person"), "no machine judges");
    say(&mut city, &worse, &ONE);
    let better = moved(&city, "halted", json!({}));
    assert!(names(&refused(&city, LIBRARY, &better, &ONE), "approvals", "too-few"));
    say(&mut city, &better, &TWO);
    move_to(&mut city, "ongoing", json!({}));
    move_to(&mut city, "halted", json!({}));
    let until = city.now;
    move_to(&mut city, "contained", json!({"until": until.to_string()}));
    let back = moved(&city, "ongoing", json!({}));
    assert!(names(&refused(&city, LIBRARY, &back, &TWO), "state", "no-such-step"));
    let states: Vec<BreachState> = city
        .statements
        .iter()
        .filter(|statement| statement.id == BREACH)
        .map(|statement| Breach::read(&statement.body).unwrap().state)
        .collect();
    let words: Vec<&str> = states.into_iter().map(BreachState::code).collect();
    assert_eq!(words, ["detected", "ongoing", "halted", "ongoing", "halted", "contained"], "the log says all of them");
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn no_law_has_a_clock_before_somebody_knows() {
    let mut city = city();
    let mut suspected = body(&city);
    (suspected["state"], suspected["aware_at"]) = (json!("suspected"), Value::Null);
    let suspected = with_clocks(&city, suspected);
    assert!(duties(&suspected).is_empty());
    say(&mut city, &suspected, &TWO);
    city.now = city.now.plus(10 * DAY);
    assert!(owed(&city).is_empty(), "ten days of looking");
    let mut without = moved(&city, "suspected", json!({}));
    without["state"] = json!("detected");
    assert!(names(&Breach::read(&without).unwrap_err(), "aware_at", "missing"));
    let detected = moved(&city, "detected", json!({"aware_at": city.now.to_string()}));
    assert_eq!(duties(&detected).len(), 5, "from now on");
    assert!(duties(&detected).iter().all(|(.., due_at)| city.now < *due_at));
    let mut none = detected.clone();
    none["clocks"] = json!([]);
    assert!(names(&refused(&city, LIBRARY, &none, &ONE), "clocks", "other-clock"));
    let mut near = json!(entry(&city).body);
    (near["state"], near["advice"]) = (json!("near_miss"), text("Watch your mail."));
    assert!(names(&Breach::read(&near).unwrap_err(), "advice", "near-miss"), "there is nobody to be told");
    near["state"] = json!("suspected");
    assert!(names(&Breach::read(&near).unwrap_err(), "advice", "not-known"), "what is told is never taken back");
    let mut other = city.clone();
    say(&mut city, &detected, &ONE);
    assert!(names(&refused(&city, LIBRARY, &suspected, &TWO), "state", "no-such-step"));
    // Or it was nothing: two people say so, and close it with what they learned.
    let near = moved(&other, "near_miss", json!({}));
    assert!(names(&refused(&other, LIBRARY, &near, &ONE), "approvals", "too-few"));
    say(&mut other, &near, &TWO);
    let mut closing = moved(&other, "closed", json!({"closed_at": other.now.to_string()}));
    assert!(names(&refused(&other, LIBRARY, &closing, &TWO), "lessons", "missing"));
    closing["lessons"] = text("The lock was changed.");
    say(&mut other, &closing, &TWO);
    assert!(entry(&other).body.is_closed() && entry(&other).body.is_near_miss() && duties(&closing).is_empty());
}

#[test]
fn a_level_has_the_days_of_its_law_and_moves_what_has_not_run_out() {
    let mut city = city();
    let now = city.now;
    let contained = |body: &Value| {
        let all = duties(body).into_iter();
        all.filter(|(_, duty, _)| duty == "contain_incident").map(|(.., due_at)| due_at).next().unwrap()
    };
    let unknown = body(&city);
    assert_eq!(contained(&unknown), now.plus(36 * HOUR), "the strictest while nobody has said it");
    for (level, hours) in [(1, 72), (2, 72), (3, 36), (4, 36)] {
        let mut body = unknown.clone();
        body["severity"] = json!(level);
        assert_eq!(contained(&with_clocks(&city, body)), now.plus(hours * HOUR), "level {level}");
    }
    say(&mut city, &unknown, &TWO);
    city.now = now.plus(HOUR);
    let lighter = moved(&city, "detected", json!({"severity": 1}));
    assert_eq!(contained(&lighter), now.plus(72 * HOUR));
    let mut kept = json!(entry(&city).body);
    kept["severity"] = json!(1);
    assert!(names(&refused(&city, LIBRARY, &kept, &TWO), "clocks", "other-clock"), "the day of another level");
    assert!(names(&refused(&city, LIBRARY, &lighter, &ONE), "approvals", "too-few"));
    say(&mut city, &lighter, &TWO);
    let mut silent = lighter.clone();
    silent["severity"] = Value::Null;
    let found = refused(&city, LIBRARY, &silent, &TWO);
    assert!(names(&found, "severity", "taken-back"), "{found:?}");
    let graver = moved(&city, "detected", json!({"severity": 4}));
    assert_eq!(contained(&graver), now.plus(36 * HOUR));
    say(&mut city, &graver, &TWO);
    // What has run out is not put off by a lighter level.
    city.now = now.plus(36 * HOUR);
    let excused = moved(&city, "detected", json!({"severity": 1}));
    assert_eq!(contained(&excused), now.plus(36 * HOUR));
    let mut put_off = excused.clone();
    put_off["clocks"] = lighter["clocks"].clone();
    assert!(names(&refused(&city, LIBRARY, &put_off, &TWO), "clocks", "other-clock"));
    say(&mut city, &excused, &TWO);
    let law = city.register.law(&LIBRARY.parse().unwrap(), now);
    assert!((1..=4).all(|level| law.breach_level(level).is_some()) && law.breach_level(5).is_none());
}

#[test]
fn a_law_that_is_published_later_moves_no_clock() {
    let mut city = city();
    let opened = body(&city);
    say(&mut city, &opened, &TWO);
    // In force since before the body learned of it, and stricter.
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == "law_tw").unwrap();
    let mut law: Value = toml::from_str(&text.replace("PT36H", "PT24H")).unwrap();
    (law["status"], law["valid_from"]) = (json!("in_force"), json!(day(1).to_string()));
    city.say(StatementKind::Lawpack, "law_tw-later", "agc_operator", law);
    assert_ne!(duties(&body(&city)), duties(&opened), "another breach has its days");
    let named = moved(&city, "detected", json!({"measures": common::text("Searched.")}));
    assert_eq!(duties(&named), duties(&opened));
    say(&mut city, &named, &ONE);
    let lighter = moved(&city, "detected", json!({"severity": 1}));
    say(&mut city, &lighter, &TWO);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_vendor_owes_a_call_and_a_report_under_its_contract() {
    let mut city = city();
    let mut at_vendor = body(&city);
    (at_vendor["contract"], at_vendor["state"], at_vendor["aware_at"]) = (json!("ctr_cloud"), json!("suspected"), Value::Null);
    let at_vendor = with_clocks(&city, at_vendor);
    let sign = city.now.plus(-HOUR);
    let of_vendor = [
        ("ctr_cloud".to_owned(), "vendor_call".to_owned(), sign.plus(HOUR)),
        ("ctr_cloud".to_owned(), "vendor_report".to_owned(), sign.plus(72 * HOUR)),
    ];
    assert_eq!(duties(&at_vendor), of_vendor, "from the first sign on, though nobody knows");
    let mut taken_over = at_vendor.clone();
    taken_over["clocks"][0]["owed_by"] = Value::Null;
    assert!(names(&refused(&city, LIBRARY, &taken_over, &TWO), "clocks", "other-clock"), "the vendor owes it");
    say(&mut city, &at_vendor, &TWO);
    let late = owed(&city);
    assert_eq!((late[0].duty, late[0].agency.as_str()), (LateDuty::Breach(Duty::VendorCall), "agc_cloud"));
    let mut called = moved(&city, "suspected", json!({}));
    called["clocks"][0]["answer"] = proof(sign.plus(HOUR / 2));
    say(&mut city, &called, &ONE);
    assert!(owed(&city).is_empty());
    // That it has not deleted is itself the breach.
    let mut silent = body(&city);
    (silent["contract"], silent["cause"]) = (json!("ctr_cloud"), json!("unanswered_deletion"));
    assert!(duties(&with_clocks(&city, silent)).iter().all(|(law, ..)| law != "ctr_cloud"));
    let mut pack: Value = toml::from_str(SHIPPED[2].1).unwrap();
    pack["deadlines"][0]["duty"] = json!("vendor_call");
    assert!(names(&usufruct_core::lawpack::Lawpack::read(&pack).unwrap_err(), "deadlines", "of-contracts"));
}

#[test]
fn what_a_breach_is_about_rests_until_it_is_contained() {
    let mut city = city();
    let vendor = "agc_cloud".parse().unwrap();
    let binds = |city: &City| {
        let contract = &city.register.contracts[&"ctr_cloud".parse().unwrap()];
        city.register.contract_binds(contract, &vendor, city.now)
    };
    assert!(binds(&city));
    let mut at_vendor = body(&city);
    (at_vendor["contract"], at_vendor["severity"]) = (json!("ctr_cloud"), json!(2));
    let at_vendor = with_clocks(&city, at_vendor);
    say(&mut city, &at_vendor, &TWO);
    assert!(binds(&city), "a light one");
    let graver = moved(&city, "detected", json!({"severity": 3}));
    say(&mut city, &graver, &TWO);
    assert!(!binds(&city), "before anybody has said so");
    let with_breach = |city: &City, object: &str, to: State, approvals: &[(&str, &str)]| {
        let mut step = city.step_draft(object, to, LIBRARY, approvals);
        step.body["breach"] = json!(BREACH);
        city.draft(StatementKind::StatusChange, &step.id, LIBRARY, step.body.clone(), approvals)
    };
    let other = with_breach(&city, "mdt_school-meals", State::Suspended, &TWO);
    let other = city.register.check(&other).unwrap_err();
    assert!(other.iter().any(|problem| problem.field == "breach" || problem.field == "object"), "{other:?}");
    for object in [CARD, "ctr_cloud"] {
        let step = with_breach(&city, object, State::Suspended, &ONE);
        city.apply(step).unwrap();
        let back = city.register.check(&city.step_draft(object, State::Active, LIBRARY, &TWO)).unwrap_err();
        assert!(names(&back, "to", "breach"), "{object}: {back:?}");
    }
    // A revision is no way around it.
    let mut revised = city.clone();
    let mut body = library_card();
    body["title"] = text("Library card, again");
    revised.say(StatementKind::Mandate, CARD, LIBRARY, body);
    common::assess(&mut revised, CARD);
    revised.steps(CARD, &[State::Consulted, State::Approved]);
    let (hash, _) = revised.state(CARD).unwrap();
    revised.say(StatementKind::Notice, "ntc_card-again", LIBRARY, notice_body(CARD, hash));
    revised.step(CARD, State::Published);
    let back = revised.register.check(&revised.step_draft(CARD, State::Active, LIBRARY, &TWO)).unwrap_err();
    assert!(names(&back, "to", "breach"), "{back:?}");
    move_to(&mut city, "halted", json!({}));
    assert!(city.register.check(&city.step_draft(CARD, State::Active, LIBRARY, &TWO)).is_err(), "it may begin again");
    let until = city.now;
    move_to(&mut city, "contained", json!({"until": until.to_string()}));
    for object in [CARD, "ctr_cloud"] {
        let back = city.register.check(&city.step_draft(object, State::Active, LIBRARY, &TWO)).err().unwrap_or_default();
        assert!(!names(&back, "to", "breach"), "{object}: {back:?}");
    }
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn the_machine_says_what_is_in_the_log_and_the_register_looks() {
    let mut city = city();
    let opened = body(&city);
    say(&mut city, &opened, &TWO);
    city.now = city.now.plus(HOUR);
    move_to(&mut city, "halted", json!({}));
    let until = city.now;
    city.now = city.now.plus(HOUR);
    move_to(&mut city, "contained", json!({"until": until.to_string()}));
    let (before, after) = city.register.log_range(&entry(&city).body);
    let after = after.expect("its containing was logged after its end");
    assert!(before < after, "{before} {after}");
    let found = json!({"at": city.now.to_string(), "from_size": before, "to_size": after, "from_root": sha256(b"before"), "to_root": sha256(b"after"),
        "consistent": true});
    let with = |found: &Value| {
        let mut body = json!(entry(&city).body);
        body["log_check"] = found.clone();
        body
    };
    assert!(names(&refused(&city, LIBRARY, &with(&found), &TWO), "log_check", "not-machine"));
    for (field, value) in [("from_size", json!(before + 1)), ("to_size", json!(after - 1))] {
        let mut short = found.clone();
        short[field] = value;
        assert!(names(&refused(&city, "agc_operator", &with(&short), &MACHINE), "log_check", "too-short"), "{field}");
    }
    let mut made_up = found.clone();
    made_up["gaps"] = json!(["inc_1"]);
    assert!(names(&refused(&city, "agc_operator", &with(&made_up), &MACHINE), "log_check", "other-gaps"));
    let mut more = with(&found);
    more["facts"] = text("It was stolen.");
    assert!(names(&refused(&city, "agc_operator", &more, &MACHINE), "approvals", "too-few"));
    let checked = with(&found);
    say(&mut city, &checked, &MACHINE);
    let mut gone = checked.clone();
    gone["log_check"] = Value::Null;
    assert!(names(&refused(&city, LIBRARY, &gone, &TWO), "log_check", "taken-back"));
    let mut wider = checked.clone();
    wider["from"] = json!(day(1).to_string());
    assert!(names(&refused(&city, LIBRARY, &wider, &TWO), "log_check", "stale"));
    // The same tree has no other root in another breach.
    let other = "brc_other";
    let mut rewritten = checked.clone();
    rewritten["log_check"]["to_root"] = json!(sha256(b"rewritten"));
    let opening = with_clocks(&city, body(&city));
    let statement = city.draft(StatementKind::Breach, other, LIBRARY, opening, &TWO);
    city.apply(statement).unwrap();
    let mut body = json!(city.register.breaches[&other.parse::<BreachId>().unwrap()].body);
    (body["until"], body["log_check"]) = (json!(until.to_string()), rewritten["log_check"].clone());
    let statement = city.draft(StatementKind::Breach, other, "agc_operator", body.clone(), &MACHINE);
    let found = city.register.check(&statement).unwrap_err();
    assert!(names(&found, "log_check.to_root", "other-root"), "{found:?}");
    // That the log was rewritten is said in public, and binds no later check.
    let found = std::mem::take(&mut body["log_check"]);
    let statement = city.draft(StatementKind::Breach, other, LIBRARY, body.clone(), &TWO);
    city.apply(statement).unwrap();
    body["log_check"] = found;
    body["log_check"]["consistent"] = json!(false);
    let statement = city.draft(StatementKind::Breach, other, "agc_operator", body.clone(), &MACHINE);
    city.apply(statement).unwrap();
    assert_eq!(city.register.checked_root(after), Some(sha256(b"after")));
    body["log_check"] = checked["log_check"].clone();
    let statement = city.draft(StatementKind::Breach, other, "agc_operator", body, &MACHINE);
    assert!(city.register.check(&statement).is_ok(), "the log was put right");
}

#[test]
fn notices_to_others_only_grow_and_one_person_says_them() {
    let mut city = city();
    let opened = body(&city);
    say(&mut city, &opened, &TWO);
    let told = moved(&city, "detected", json!({"notices": [notice(city.now)]}));
    say(&mut city, &told, &ONE);
    let fewer = moved(&city, "detected", json!({"notices": []}));
    assert!(names(&refused(&city, LIBRARY, &fewer, &TWO), "notices", "taken-back"));
    let ahead = moved(&city, "detected", json!({"notices": [notice(city.now), notice(city.now.plus(1))]}));
    assert!(names(&refused(&city, LIBRARY, &ahead, &ONE), "notices", "future"));
}

#[test]
fn records_are_kept_for_as_long_as_the_strictest_law_says() {
    let mut city = city();
    let opened = body(&city);
    assert!(!city.register.is_special(&Breach::read(&opened).unwrap()));
    say(&mut city, &opened, &TWO);
    assert_eq!(city.register.breach_records_until(entry(&city)), None, "it is open");
    move_to(&mut city, "halted", json!({}));
    let until = city.now;
    move_to(&mut city, "contained", json!({"until": until.to_string()}));
    move_to(&mut city, "mitigated", json!({"measures": text("Done.")}));
    let mut closing = moved(&city, "closed", json!({"closed_at": city.now.to_string(), "lessons": text("Learned.")}));
    answer_all(&city, &mut closing);
    say(&mut city, &closing, &TWO);
    let generic = city.register.law(&LIBRARY.parse().unwrap(), city.now).within(Duty::KeepBreachRecords);
    assert_eq!(city.register.breach_records_until(entry(&city)), Some(city.now.plus(generic)));
    assert!(5 * 365 * DAY <= generic);
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
        foreign: None,
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
