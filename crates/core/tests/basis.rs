//! What a mandate rests on: the provision is one that the law of its controller lists, and specially protected data needs an exception.

use crate::common;
use crate::common::{City, day, library_card, names, school_meals, supervised, text, well_said};
use serde_json::{Value, json};
use usufruct_core::draft::Problem;
use usufruct_core::mandate::Mandate;
use usufruct_core::statement::StatementKind;

fn problems(city: &City, body: Value) -> Vec<Problem> {
    let keys = [("agc_library", "head"), ("agc_library", "privacy")];
    let statement = city.draft(StatementKind::Mandate, "mdt_new", "agc_library", body, &keys);
    let problems = city.register.check(&statement).err().unwrap_or_default();
    problems.iter().for_each(|problem| well_said(problem).unwrap());
    problems
}

/// A mandate of the kind that asks nobody, for ordinary data.
fn without_exception() -> Value {
    let mut body = school_meals();
    body.as_object_mut().unwrap().remove("exception");
    body
}

fn city() -> City {
    let mut city = supervised();
    city.now = day(1);
    city
}

#[test]
fn the_provision_is_one_that_the_law_lists() {
    let city = city();
    assert!(problems(&city, library_card()).is_empty(), "{:?}", problems(&city, library_card()));
    let with = |provision: Value| {
        let mut body = library_card();
        body["legal_basis"]["provision"] = provision;
        problems(&city, body)
    };
    assert!(names(&with(json!(null)), "legal_basis.provision", "missing"));
    assert!(names(&with(json!("TW99")), "legal_basis.provision", "unlisted"));
    // One that the law lists as another kind of basis.
    assert!(names(&with(json!("TW15.1")), "legal_basis.provision", "other-basis"));
    assert!(with(json!("TW15.2")).is_empty());
    // Where no pack of its own holds for the controller there is no list.
    let mut free = common::founded();
    free.now = day(1);
    let mut body = library_card();
    body["legal_basis"].as_object_mut().unwrap().remove("provision");
    assert!(problems(&free, body).is_empty());
}

#[test]
fn specially_protected_data_needs_an_exception_that_the_law_lists() {
    let city = city();
    let ill = |exception: Option<Value>| {
        let mut body = without_exception();
        body["blocks"][0] =
            json!({"block": "blk_illness", "necessity": "required", "form": "token", "reason": text("For the diet.")});
        if let Some(exception) = exception {
            body["exception"] = exception;
        }
        problems(&city, body)
    };
    let bare = ill(None);
    assert!(names(&bare, "exception", "missing"), "{bare:?}");
    assert!(bare.iter().any(|problem| problem.message.contains("Act 6")), "the refusal names the article: {bare:?}");
    let named = |code: &str| Some(json!({"code": code, "written_reason": text("A statutory duty, with measures.")}));
    assert!(ill(named("TW6.2")).is_empty(), "{:?}", ill(named("TW6.2")));
    assert!(names(&ill(named("TW6.99")), "exception.code", "unlisted"));
    // One that opens another door.
    assert!(names(&ill(named("TW16.5")), "exception.code", "not-for-special"));
    // And in a city whose law lists none, an exception has to be there all the same.
    let mut free = common::founded();
    free.now = day(1);
    let mut body = without_exception();
    body["blocks"][0]["block"] = json!("blk_illness");
    body["blocks"][0]["form"] = json!("token");
    assert!(names(&problems(&free, body.clone()), "exception", "missing"));
    body["exception"] = named("house").unwrap();
    assert!(problems(&free, body).is_empty());
}

#[test]
fn an_exception_is_written_in_full() {
    let mut body = library_card();
    body["exception"] = json!({"code": "TW16.2", "written_reason": text("A considerable public interest.")});
    body["legal_basis"]["quote"] = text("Consent after notice.");
    assert_eq!(Mandate::read(&body).map(drop), Ok(()));
    for field in ["code", "written_reason"] {
        let mut body = body.clone();
        body["exception"].as_object_mut().unwrap().remove(field);
        assert!(names(&Mandate::read(&body).unwrap_err(), &format!("exception.{field}"), "missing"));
    }
}

#[test]
fn an_order_is_named_where_the_law_lists_the_provision_as_one_and_nowhere_else() {
    let city = city();
    let order = json!({"by": text("District court"), "reference": "115-civ-12", "at": "2025-12-20T00:00:00Z", "why": text("It names heirs.")});
    let ordered = |provision: &str, order: Option<Value>| {
        let mut body = without_exception();
        body["legal_basis"]["code"] = json!("legal_obligation");
        body["legal_basis"]["provision"] = json!(provision);
        if let Some(order) = order {
            body["legal_basis"]["order"] = order;
        }
        problems(&city, body)
    };
    assert!(ordered("TW16.1-order", Some(order.clone())).is_empty(), "{:?}", ordered("TW16.1-order", Some(order.clone())));
    assert!(names(&ordered("TW16.1-order", None), "legal_basis.order", "missing"));
    assert!(names(&ordered("TW16.1", Some(order.clone())), "legal_basis.order", "no-order"));
    assert!(ordered("TW16.1", None).is_empty());
    // Where no pack lists anything nothing is an order, whatever a file calls it.
    let mut free = common::founded();
    free.now = day(1);
    let mut body = without_exception();
    body["legal_basis"]["order"] = order.clone();
    assert!(names(&problems(&free, body), "legal_basis.order", "no-order"));
    // Every part of it is said.
    for part in ["by", "reference", "at", "why"] {
        let mut partly = order.clone();
        partly.as_object_mut().unwrap().remove(part);
        assert!(names(&ordered("TW16.1-order", Some(partly)), &format!("legal_basis.order.{part}"), "missing"), "{part}");
    }
    // Nobody agrees to an order.
    let mut pack: Value =
        toml::from_str(usufruct_core::lawpack::SHIPPED.iter().find(|(id, _)| *id == "law_tw").unwrap().1).unwrap();
    pack["bases"][1]["is_order"] = json!(true);
    assert!(names(&usufruct_core::lawpack::Lawpack::read(&pack).unwrap_err(), "bases[1].is_order", "consent"));
}
