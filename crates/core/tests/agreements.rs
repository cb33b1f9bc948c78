//! Sharing agreements: signed by every party, public for fourteen days before they open anything, and closed by any party at once.

use crate::common;
use crate::common::{
    BOTH, City, activate, agreement_body, day, founded, library_card, names, nothing_asked, service_body, text, well_said,
};
use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::agreement::Agreement;
use usufruct_core::decide::{
    Clause, ConversionRequest, Outcome, Request, decide_conversion_without_resident, decide_without_resident,
};
use usufruct_core::draft::Problem;
use usufruct_core::event::Form;
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
    city.say(StatementKind::Mandate, JOINED, "agc_library", joined());
    for id in ["svc_library", "svc_parks"] {
        city.step(id, State::Active);
    }
    activate(&mut city, JOINED);
    city.now = day(59);
    city
}

fn joined() -> Value {
    let mut body = library_card();
    body["fetch"] = json!({"when": "periodic"});
    body["recipients"] =
        json!([{"agency": "agc_library", "why": text("It lends.")}, {"agency": "agc_parks", "why": text("It opens.")}]);
    body["conversions"] = json!([{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter.")}]);
    body
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
    if decision.outcome == Outcome::Permit { Vec::new() } else { decision.because }
}

/// Why a service gets a block under the joined mandate, or does not.
fn asked(city: &City, service: &str, block: &str, at: Time) -> Vec<Clause> {
    let mandate = &city.register.mandates[&JOINED.parse().unwrap()].body;
    let blocks = vec![(block.parse().unwrap(), Form::Token)];
    let (service, reason) = (service.parse().unwrap(), mandate.reasons[0].code.clone());
    let request = Request { service, mandate: JOINED.parse().unwrap(), blocks, reason, ..nothing_asked() };
    let decision = decide_without_resident(&city.register, &request, at);
    if decision.outcome == Outcome::Permit { Vec::new() } else { decision.because }
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
    let is_late = |at| city.register.late(at).iter().any(|late| late.duty == LateDuty::Review);
    assert!(!is_late(due.plus(-1)) && is_late(due));
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

#[test]
fn a_body_that_is_joined_asks_for_what_the_agreement_names_and_no_more() {
    let mut city = city();
    let blocks: Vec<String> =
        city.register.mandates[&JOINED.parse().unwrap()].body.blocks.iter().map(|asked| asked.block.to_string()).collect();
    let (name, other) = ("blk_name", blocks.iter().find(|block| *block != "blk_name").unwrap());
    for block in &blocks {
        assert_eq!(asked(&city, "svc_parks", block, city.now), [Clause::Agreement], "nothing is agreed about {block}");
        assert!(asked(&city, "svc_library", block, city.now).is_empty(), "who answers for the mandate needs nobody else");
    }
    publish(&mut city, body());
    step(&mut city, State::Published);
    city.now = day(80);
    step(&mut city, State::Active);
    assert!(asked(&city, "svc_parks", name, city.now).is_empty());
    assert_eq!(asked(&city, "svc_parks", other, city.now), [Clause::Agreement]);
    assert_eq!(asked(&city, "svc_parks", name, day(300)), [Clause::Agreement], "its last day is over");
    // An order that leaves other blocks withholds this one.
    let order =
        json!({"body": "agc_oversight", "kind": "restrict", "target": ID, "reasons": text("No names."), "blocks": [other]});
    city.say(StatementKind::Order, "ord_1", "agc_oversight", order);
    assert_eq!(asked(&city, "svc_parks", name, city.now), [Clause::Agreement]);
}

#[test]
fn what_is_handed_over_is_in_an_agreement_of_both_bodies() {
    let city = in_force();
    let (library, parks, health) = ("agc_library".parse().unwrap(), "agc_parks".parse().unwrap(), "agc_health".parse().unwrap());
    let (name, address) = ("blk_name".parse().unwrap(), "blk_address".parse().unwrap());
    let mandate = &city.register.mandates[&JOINED.parse().unwrap()];
    let hands = |from, to, block, at| city.register.hands_over(from, to, mandate, block, at);
    assert!(hands(&library, &library, &address, day(1)), "its own");
    assert!(hands(&library, &parks, &name, day(80)) && hands(&parks, &library, &name, day(80)));
    assert!(!hands(&library, &parks, &address, day(80)), "the agreement names another block");
    assert!(!hands(&library, &health, &name, day(80)), "no party");
    assert!(!hands(&library, &parks, &name, day(80).plus(-1)) && !hands(&library, &parks, &name, day(300)));
}

#[test]
fn an_agreement_opens_the_mandates_of_its_present_revision_and_no_other() {
    const BESIDE: &str = "mdt_beside";
    let mut city = city();
    city.say(StatementKind::Mandate, BESIDE, "agc_library", joined());
    let open = |city: &City| {
        let (library, parks, name) = ("agc_library".parse().unwrap(), "agc_parks".parse().unwrap(), "blk_name".parse().unwrap());
        let hands = |id: &&str| {
            let mandate = &city.register.mandates[&id.parse().unwrap()];
            city.register.hands_over(&library, &parks, mandate, &name, city.now)
        };
        [JOINED, BESIDE].into_iter().filter(hands).collect::<Vec<_>>()
    };
    for (begins, mandates) in [(80, vec![JOINED, BESIDE]), (100, vec![BESIDE]), (120, vec![JOINED])] {
        let mut body = agreement_body(day(begins), day(300));
        body["mandates"] = json!(mandates);
        publish(&mut city, body);
        assert!(open(&city).is_empty(), "a revision is a draft");
        step(&mut city, State::Published);
        city.now = day(begins);
        step(&mut city, State::Active);
        assert_eq!(open(&city), mandates);
    }
}

/// The mandate with something else in it, in force.
fn revise(city: &mut City, change: impl FnOnce(&mut Value)) {
    let mut body = joined();
    change(&mut body);
    city.say(StatementKind::Mandate, JOINED, "agc_library", body);
    activate(city, JOINED);
}

#[test]
fn a_mandate_that_is_widened_is_not_the_one_that_was_agreed_about() {
    let mut city = in_force();
    revise(&mut city, |body| body["bulk_limit"] = json!(body["bulk_limit"].as_i64().unwrap() + 1));
    assert_eq!(refusals(&city, city.now), [Clause::Agreement]);
    assert_eq!(asked(&city, "svc_parks", "blk_name", city.now), [Clause::Agreement]);
    // A review is no publication.
    let mut later = body();
    later["review_due"] = json!(day(300).to_string());
    later["reviews"] = json!([{"at": day(79).to_string(), "finding": text("It works.")}]);
    publish(&mut city, later.clone());
    assert_eq!(refusals(&city, city.now), [Clause::Agreement]);
    // The parties say in public that they agree about it as it is now, and it waits its fourteen days again.
    later["summary"] = text("The garden learns who is a reader, of more readers at once.");
    later["in_force_from"] = json!(city.now.plus(14 * DAY).to_string());
    publish(&mut city, later);
    step(&mut city, State::Published);
    city.now = city.now.plus(14 * DAY);
    step(&mut city, State::Active);
    assert!(refusals(&city, city.now).is_empty());
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn a_mandate_that_comes_to_serve_business_leaves_its_agreement() {
    // Before the agreement is published, and while it is in force.
    for is_published in [true, false] {
        let mut city = if is_published { in_force() } else { city() };
        if !is_published {
            publish(&mut city, body());
        }
        revise(&mut city, |body| body["purpose"]["commercial"] = json!(true));
        if !is_published {
            step(&mut city, State::Published);
            city.now = day(80);
            step(&mut city, State::Active);
        }
        assert_eq!(refusals(&city, city.now), [Clause::Agreement]);
    }
}
