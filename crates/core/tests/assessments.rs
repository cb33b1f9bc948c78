//! Impact assessments: every question has an answer, and where the law asks for one no mandate begins without it.

use crate::common;
use crate::common::walk::spoil_everything;
use crate::common::{City, commitment_of, day, founded, key_body, key_id, library_card, names, notice_body, text, well_said};
use serde_json::{Value, json};
use usufruct_core::Digest;
use usufruct_core::assessment::{Assessment, Before, Trigger, asked_of, holding};
use usufruct_core::draft::Problem;
use usufruct_core::hash::sha256;
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::{Lawpack, SHIPPED};
use usufruct_core::lifecycle::State;
use usufruct_core::mandate::{Delay, Mandate, MandateKind, Visibility};
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;

const CARD: &str = "mdt_library-card";

fn body(hash: Digest) -> Value {
    let mut body = common::assessment_body(CARD, hash, day(300));
    body["dissent"] = text("One member would keep nothing.");
    body
}

/// A city under a law that asks for assessments, with the library card published and not active.
fn published() -> City {
    let mut city = founded();
    let (_, pack) = SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap();
    let mut law: Value = toml::from_str(pack).unwrap();
    law.as_object_mut().unwrap().remove("processors");
    law["assessed_when"] = json!([
        {"trigger": "automated", "article": "Rule 7"}, {"trigger": "matching", "article": "Rule 8"}, {"trigger": "special", "article": "Rule 9"},
    ]);
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", law);
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    publish(&mut city);
    city
}

/// Takes the present revision up to where it only has to begin.
fn publish(city: &mut City) {
    let (hash, rev) = (present(city), city.register.mandates[&CARD.parse().unwrap()].rev);
    city.now = city.now.max(day(24)).max(common::open_long_enough(city, CARD));
    city.steps(CARD, &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, &format!("ntc_card-{rev}"), "agc_library", notice_body(CARD, hash));
    city.step(CARD, State::Published);
}

fn present(city: &City) -> Digest {
    city.register.mandates[&CARD.parse().unwrap()].hash
}

/// What stands against the next statement about `id`, with two approvals of the library.
fn refused(city: &City, kind: StatementKind, id: &str, body: Value) -> Vec<Problem> {
    let statement = city.draft(kind, id, "agc_library", body, &[("agc_library", "head"), ("agc_library", "privacy")]);
    city.register.check(&statement).unwrap_err()
}

/// What stands against the activation.
fn begin(city: &City) -> Result<(), Vec<Problem>> {
    let two = [("agc_library", "head"), ("agc_library", "privacy")];
    city.register.check(&city.step_draft(CARD, State::Active, "agc_library", &two))
}

#[test]
fn every_question_has_an_answer() {
    let mut whole = body(sha256(b""));
    whole["measures"][0]["done_at"] = json!(day(80).to_string());
    spoil_everything(&whole, &["dissent", "anonymity", "measures[0].done_at"], &|body| Assessment::read(body).map(drop));
    let mut without = body(sha256(b""));
    without["risks"].as_array_mut().unwrap().retain(|risk| risk["kind"] != "exclusion" && risk["kind"] != "error");
    let problems = Assessment::read(&without).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.message.contains("`exclusion`")));
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    let mut claimed = body(sha256(b""));
    claimed["anonymity"][0]["evidence"] = json!([]);
    assert!(names(&Assessment::read(&claimed).unwrap_err(), "anonymity[0].evidence", "missing"));
}

#[test]
fn a_mandate_that_needs_one_does_not_begin_without() {
    let mut city = published();
    let missing = begin(&city).unwrap_err();
    assert_eq!(missing.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["assessment"; 2]);
    // It is listed why: a machine helps to decide (Rule 7) and data is matched (Rule 8). No block is special.
    assert!(
        missing[0].message.contains("`automated` (Rule 7)") && missing[1].message.contains("`matching` (Rule 8)"),
        "{missing:#?}"
    );
    missing.iter().for_each(|problem| well_said(problem).unwrap());
    let mut against = body(present(&city));
    against["decision"] = json!("prior_consultation");
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", against);
    assert!(names(&begin(&city).unwrap_err(), "assessment.decision", "not-continued"));
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", body(present(&city)));
    begin(&city).unwrap();
    city.now = day(300);
    assert!(names(&begin(&city).unwrap_err(), "assessment.review_due", "past"));
    city.now = day(60);
    city.step(CARD, State::Active);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn an_assessment_holds_as_long_as_a_consent_would() {
    let mut city = published();
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", body(present(&city)));
    city.step(CARD, State::Active);
    city.say(StatementKind::Key, &key_id(commitment_of(CARD)), "agc_operator", key_body(CARD, commitment_of(CARD)));
    let mut revised = library_card();
    revised["title"] = text("Card of the library");
    city.say(StatementKind::Mandate, CARD, "agc_library", revised.clone());
    publish(&mut city);
    begin(&city).unwrap();
    revised["retention"]["duration"] = json!("P60D");
    city.say(StatementKind::Mandate, CARD, "agc_library", revised);
    publish(&mut city);
    assert!(names(&begin(&city).unwrap_err(), "assessment", "missing"));
    assert!(holding(&city.register, &city.register.mandates[&CARD.parse().unwrap()]).is_none());
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", body(present(&city)));
    begin(&city).unwrap();
}

#[test]
fn an_assessment_is_the_controllers_and_of_the_present_revision() {
    let city = published();
    let other = refused(&city, StatementKind::Assessment, "dpi_card", body(sha256(b"another revision")));
    assert!(names(&other, "mandate_hash", "other-revision"), "{other:#?}");
    let mut late = body(present(&city));
    late["review_due"] = json!(day(24).to_string());
    assert!(names(&refused(&city, StatementKind::Assessment, "dpi_card", late), "review_due", "past"));
    let mut unknown = body(present(&city));
    unknown["mandate"] = json!("mdt_nothing");
    assert!(names(&refused(&city, StatementKind::Assessment, "dpi_card", unknown), "mandate", "unknown"));
    let parks = [("agc_parks", "head"), ("agc_parks", "privacy")];
    let foreign = city.draft(StatementKind::Assessment, "dpi_card", "agc_parks", body(present(&city)), &parks);
    assert!(names(&city.register.check(&foreign).unwrap_err(), "by", "not-the-owner"));
    let alone =
        city.draft(StatementKind::Assessment, "dpi_card", "agc_library", body(present(&city)), &[("agc_library", "head")]);
    assert!(names(&city.register.check(&alone).unwrap_err(), "approvals", "too-few"));
}

#[test]
fn where_no_pack_lists_anything_nothing_is_asked() {
    let mut city = founded();
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", library_card());
    publish(&mut city);
    begin(&city).unwrap();
    assert!(asked_of(&city.register, &city.register.mandates[&CARD.parse().unwrap()].body, city.now).is_empty());
}

fn shipped(id: &str) -> Value {
    toml::from_str(SHIPPED.iter().find(|(known, _)| *known == id).unwrap().1).unwrap()
}

#[test]
fn the_packs_name_what_is_weighed_before_two_people_approve() {
    let eu = Lawpack::read(&shipped("law_eu")).unwrap();
    assert_eq!(eu.assessed_when.len(), Trigger::WORDS.len());
    let tw = Lawpack::read(&shipped("law_tw")).unwrap();
    use Trigger::*;
    let named: Vec<Trigger> = tw.assessed_when.iter().map(|asked| asked.trigger).collect();
    assert_eq!(named, [Automated, Cameras, Children, Covert, Emergency, Many, Matching, Sole, Special]);
    for asked in eu.assessed_when.iter().chain(&tw.assessed_when) {
        assert_eq!((asked.before, asked.more_than), (Before::Approved, (asked.trigger == Many).then_some(10_000)), "{asked:?}");
    }
    // A number belongs to `many`, and it has to have one.
    let with = |asked: Value| {
        let mut pack = shipped("law_tw");
        pack["assessed_when"] = json!([asked]);
        Lawpack::read(&pack).unwrap_err()
    };
    assert!(names(&with(json!({"trigger": "many", "article": "1"})), "assessed_when[0].more_than", "missing"));
    let found = with(json!({"trigger": "sole", "more_than": 5, "article": "1"}));
    assert!(found.iter().any(|problem| problem.field == "assessed_when[0].more_than"), "{found:?}");
    found.iter().for_each(|problem| well_said(problem).unwrap());
}

/// A city under the triggers that the pack of Taiwan ships, with this mandate drafted and heard.
fn heard(body: Value) -> City {
    let mut city = founded();
    let mut law = shipped("law_tw");
    law.as_object_mut().unwrap().remove("processors");
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", law);
    city.now = day(1);
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    city.now = day(24).max(common::open_long_enough(&city, CARD));
    city.step(CARD, State::Consulted);
    city
}

/// The triggers that stand against a step.
fn asks(city: &City, to: State) -> Vec<String> {
    let two = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = city.register.check(&city.step_draft(CARD, to, "agc_library", &two)).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    let because = |problem: &Problem| Some(problem.message.split_once("because of `")?.1.split_once('`')?.0.to_owned());
    problems.iter().filter(|problem| problem.field == "assessment").filter_map(because).collect()
}

/// A mandate that nothing asks to assess.
fn plain() -> Value {
    let mut body = library_card();
    body["operations"] = json!(["collect", "store"]);
    body["automated_decision"] = json!("none");
    body.as_object_mut().unwrap().remove("algorithm_url");
    body["concerns"] = json!({"persons": 10_000});
    body
}

#[test]
fn each_trigger_asks_before_two_people_approve_and_says_which_it_is() {
    assert_eq!(asks(&heard(plain()), State::Approved), Vec::<String>::new());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = plain();
        change(&mut body);
        asks(&heard(body), State::Approved)
    };
    assert_eq!(with(&|body| body["concerns"]["cameras"] = json!(true)), ["cameras"]);
    assert_eq!(with(&|body| body["concerns"]["children"] = json!(true)), ["children"]);
    assert_eq!(with(&|body| body["concerns"]["persons"] = json!(10_001)), ["many"]);
    assert_eq!(with(&|body| drop(body.as_object_mut().unwrap().remove("concerns"))), ["many"], "who does not say it is asked");
    assert_eq!(with(&|body| body["operations"] = json!(["collect", "match", "store"])), ["matching"]);
    let machine = |kind: &'static str| {
        move |body: &mut Value| {
            body["operations"] = json!(["collect", "decide", "store"]);
            body["automated_decision"] = json!(kind);
            body["algorithm_url"] = json!("https://library.example/algorithm");
        }
    };
    assert_eq!(with(&machine("sole")), ["automated", "sole"]);
    assert_eq!(with(&machine("support")), ["automated"], "an official decides, with what the machine said before");
    let ill = |body: &mut Value| {
        body["blocks"][0] = json!({"block": "blk_illness", "necessity": "required", "form": "token", "reason": text("Why.")});
    };
    assert_eq!(with(&ill), ["special"]);
    assert_eq!(
        with(&|body| {
            ill(body);
            body["concerns"] = json!({"persons": 20_000, "children": true});
        }),
        ["children", "many", "special"]
    );
}

#[test]
fn what_is_covert_and_an_emergency_is_weighed_too() {
    let city = heard(plain());
    let triggers = |change: &dyn Fn(&mut Mandate)| {
        let mut mandate = Mandate::read(&plain()).unwrap();
        change(&mut mandate);
        asked_of(&city.register, &mandate, city.now).iter().map(|asked| asked.trigger).collect::<Vec<_>>()
    };
    assert_eq!(triggers(&|_| {}), []);
    assert_eq!(triggers(&|mandate| mandate.kind = MandateKind::Covert), [Trigger::Covert]);
    assert_eq!(triggers(&|mandate| mandate.kind = MandateKind::Emergency), [Trigger::Emergency]);
    let delay = Delay { max_days: 30, authority: "agc_oversight".parse().unwrap() };
    assert_eq!(triggers(&|mandate| mandate.visibility = Visibility::Delayed(delay.clone())), [Trigger::Covert]);
}

#[test]
fn no_step_from_the_approval_on_is_taken_without_and_each_is_with_it() {
    let mut body = plain();
    body["concerns"]["children"] = json!(true);
    let mut city = heard(body);
    assert_eq!(asks(&city, State::Approved), ["children"]);
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", self::body(present(&city)));
    city.step(CARD, State::Approved);
    let hash = present(&city);
    city.say(StatementKind::Notice, "ntc_card", "agc_library", notice_body(CARD, hash));
    city.steps(CARD, &[State::Published, State::Active]);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

/// A law binds from when it is in the log: what was approved before stays approved, and the next step asks.
#[test]
fn a_law_asks_nothing_of_the_steps_before_it() {
    let mut city = founded();
    city.now = day(1);
    let mut body = plain();
    body["concerns"]["children"] = json!(true);
    city.say(StatementKind::Mandate, CARD, "agc_library", body);
    city.now = day(24);
    city.steps(CARD, &[State::Consulted, State::Approved]);
    let mut law = shipped("law_tw");
    law.as_object_mut().unwrap().remove("processors");
    city.say(StatementKind::Lawpack, "law_tw", "agc_operator", law);
    let hash = present(&city);
    city.say(StatementKind::Notice, "ntc_card", "agc_library", notice_body(CARD, hash));
    assert_eq!(asks(&city, State::Published), ["children"]);
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", self::body(present(&city)));
    city.steps(CARD, &[State::Published, State::Active]);
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn measures_that_are_not_taken_and_reviews_that_do_not_come_are_late() {
    let mut city = published();
    let first = body(present(&city));
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", first);
    city.step(CARD, State::Active);
    let late = |city: &City, at| {
        let late = city.register.late(at).into_iter().filter(|late| late.duty != LateDuty::CaseTally);
        late.map(|late| (late.duty, late.object, late.agency)).collect::<Vec<_>>()
    };
    let owes = |duty| (duty, "dpi_card".to_owned(), "agc_library".parse().unwrap());
    assert!(late(&city, day(90).plus(-1)).is_empty());
    assert_eq!(late(&city, day(90)), [owes(LateDuty::Measure)]);
    let mut done = body(present(&city));
    done["measures"][0]["done_at"] = json!(city.now.plus(1).to_string());
    assert!(names(&refused(&city, StatementKind::Assessment, "dpi_card", done.clone()), "measures[0].done_at", "future"));
    done["measures"][0]["done_at"] = json!(city.now.to_string());
    city.say(StatementKind::Assessment, "dpi_card", "agc_library", done);
    assert!(late(&city, day(300).plus(-1)).is_empty());
    assert_eq!(late(&city, day(300)), [owes(LateDuty::Assessment)]);
}
