//! Comments: people have the time that the law gives them only while the draft they comment on stands in the log.

use crate::common::{City, assess, day, names, school_meals, supervised, text, well_said};
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;

const ID: &str = "mdt_school-meals";

fn say(city: &mut City, change: impl FnOnce(&mut Value)) {
    let mut body = school_meals();
    change(&mut body);
    city.say(StatementKind::Mandate, ID, "agc_library", body);
    assess(city, ID);
}

fn approval(city: &City) -> Vec<Problem> {
    let keys = [("agc_library", "head"), ("agc_library", "privacy")];
    let problems = city.register.check(&city.step_draft(ID, State::Approved, "agc_library", &keys)).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

#[test]
fn a_draft_that_nobody_could_read_was_not_commented_on() {
    let mut city = supervised();
    // The days in the file were in January, and the file comes in only now.
    city.now = day(25);
    say(&mut city, |_| {});
    city.step(ID, State::Consulted);
    assert!(names(&approval(&city), "to", "not-public"), "{:?}", approval(&city));
    city.now = day(25 + 14).plus(-1);
    assert!(names(&approval(&city), "to", "not-public"));
    city.now = day(25 + 14);
    assert!(approval(&city).is_empty(), "{:?}", approval(&city));
}

#[test]
fn a_change_of_substance_starts_it_anew_and_the_summary_is_none() {
    let mut city = supervised();
    city.now = day(5);
    say(&mut city, |body| drop(body["consultation"].as_object_mut().unwrap().remove("summary")));
    city.now = day(20);
    // What people said is known only afterwards.
    say(&mut city, |_| {});
    city.now = day(25);
    city.step(ID, State::Consulted);
    assert!(approval(&city).is_empty(), "{:?}", approval(&city));
    city.now = day(26);
    say(&mut city, |body| body["subjects"] = text("Everybody."));
    city.step(ID, State::Consulted);
    assert!(names(&approval(&city), "to", "not-public"));
    city.now = day(27);
    say(&mut city, |body| {
        body["subjects"] = text("Everybody.");
        body["title"] = text("Meals");
    });
    city.now = day(40);
    city.step(ID, State::Consulted);
    assert!(approval(&city).is_empty(), "a new title is nothing new to say: {:?}", approval(&city));
}

#[test]
fn what_people_said_is_summed_up_before_it_is_approved() {
    let mut city = supervised();
    city.now = day(5);
    say(&mut city, |body| drop(body["consultation"].as_object_mut().unwrap().remove("summary")));
    city.now = day(25);
    city.step(ID, State::Consulted);
    assert!(names(&approval(&city), "to", "no-summary"));
    say(&mut city, |body| body["consultation"]["summary"] = json!({"en": "They agreed.", "zh-Hant": "同意。"}));
    city.step(ID, State::Consulted);
    assert!(approval(&city).is_empty(), "{:?}", approval(&city));
}
