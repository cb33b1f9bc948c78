//! Officers: an order of the overseer opens to a resident what the service calls whoever decided about her, and to nobody else.

use std::path::Path;

use crate::common::{City, LIBRARY, WATCH, library_card, on_both, service, text};
use serde_json::{Value, json};
use usufruct_app::store::db::Connection as _;
use usufruct_app::{FootprintLine, NamedOfficer, officer_commitment};
use usufruct_core::Digest;
use usufruct_core::event::commitment;
use usufruct_core::hash::hmac_sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, HOUR};

on_both!(
    a_word_that_was_planted_is_no_officer,
    an_officer_stays_the_same_where_her_row_was_deleted,
    an_order_names_the_officer_to_whom_it_is_about,
    with_the_last_service_of_a_sector_the_words_go,
);

const SHORT: &str = "mdt_short";
const OFFICER: &str = "desk 3, Ms Lin";

fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate(SHORT, body);
    city
}

/// A resident about whom the officer decided.
fn decided(city: &City, officer: &str) -> u64 {
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
    let mut request = city.request(&city.app.subject(resident, &service()).unwrap());
    request.mandate = SHORT.parse().unwrap();
    request.actor =
        Some(city.app.officer(&service(), &request.mandate, std::slice::from_ref(&request.subject), officer).unwrap());
    city.app.release(&request).unwrap();
    resident
}

fn last(city: &City, resident: u64) -> FootprintLine {
    city.app.footprint(resident).unwrap().lines.pop().unwrap()
}

fn order(city: &City, id: &str, event: &FootprintLine, more: Value) {
    let mut body = json!({"body": WATCH, "kind": "disclose_actor", "target": SHORT, "reasons": text("She objected."),
        "comply_by": city.app.now().plus(7 * DAY).to_string(), "events": [Digest(commitment(&event.opening, &event.encoded))]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    city.watch(StatementKind::Order, id, body, &city.watchers()).unwrap();
}

fn named(id: &str, word: Option<&str>) -> Option<NamedOfficer> {
    Some(NamedOfficer { order: id.parse().unwrap(), word: word.map(str::to_owned), salt: None })
}

/// Whom an order has named in the last line, without the salt, which has to fit the commitment of the event.
fn named_in_last(city: &City, resident: u64) -> Option<NamedOfficer> {
    let line = last(city, resident);
    let named = line.officer?;
    if let Some(word) = &named.word {
        let salt = named.salt.expect("who reads the word can recompute the commitment");
        assert_eq!(line.event.unwrap().actor, Some(officer_commitment(&salt, &service(), word)));
    } else {
        assert_eq!(named.salt, None);
    }
    Some(NamedOfficer { salt: None, ..named })
}

fn actor(city: &City, resident: u64) -> [u8; 32] {
    last(city, resident).event.unwrap().actor.unwrap()
}

fn an_order_names_the_officer_to_whom_it_is_about(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (concerned, other) = (decided(&city, OFFICER), decided(&city, OFFICER));
    assert_eq!(actor(&city, concerned), actor(&city, other), "she is one officer wherever she decides");
    let unsalted = hmac_sha256(OFFICER.as_bytes(), &[b"usufruct/actor/v1", service().as_str().as_bytes()]);
    assert!(actor(&city, concerned) != unsalted, "who guesses the word sees that it was right");
    assert_ne!(actor(&city, concerned), officer_commitment(&[0; 32], &service(), OFFICER));
    assert_eq!(last(&city, concerned).officer, None, "nobody is named without an order");
    // Nothing in the rows says it.
    let dump =
        |conn: &mut dyn usufruct_app::store::db::Connection| conn.query("-- dump\nSELECT actor, sealed FROM officers", &[]);
    let rows = city.app.db().read(dump).unwrap();
    assert_eq!(rows.len(), 1, "one word is kept once");
    assert!(!rows[0].bytes(1).unwrap().windows(8).any(|part| part == &OFFICER.as_bytes()[..8]));

    // An order about another mandate opens nothing, though the same body gives it, and one that binds later not before.
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate("mdt_other", body);
    order(&city, "ord_1", &last(&city, concerned), json!({"target": "mdt_other"}));
    assert_eq!(last(&city, concerned).officer, None);
    let later = city.app.now().plus(HOUR).to_string();
    order(&city, "ord_2", &last(&city, concerned), json!({"effective_at": later}));
    assert_eq!(last(&city, concerned).officer, None);
    city.clock.advance(HOUR);
    assert_eq!(named_in_last(&city, concerned), named("ord_2", Some(OFFICER)), "the clock carries it out");
    assert_eq!(last(&city, other).officer, None, "she is told of her own events only");
    order(&city, "ord_3", &last(&city, other), json!({}));
    assert_eq!(named_in_last(&city, other), named("ord_3", Some(OFFICER)));

    let lift = json!({"body": WATCH, "kind": "lift", "target": SHORT, "lifts": "ord_3", "reasons": text("Given by mistake.")});
    city.watch(StatementKind::Order, "ord_4", lift, &city.watchers()).unwrap();
    assert_eq!(last(&city, other).officer, None);
    drop(city);
    let city = City::open(dir, url, "2026-01-02T00:00:00Z", 2);
    assert_eq!(named_in_last(&city, concerned), named("ord_2", Some(OFFICER)), "a restart changes nothing");
}

fn a_word_that_was_planted_is_no_officer(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (first, second) = (decided(&city, OFFICER), decided(&city, "desk 4"));
    order(&city, "ord_1", &last(&city, first), json!({}));
    order(&city, "ord_2", &last(&city, second), json!({}));
    assert_eq!(named_in_last(&city, second), named("ord_2", Some("desk 4")));
    let (one, other) = (actor(&city, first), actor(&city, second));
    let swap = "-- swap\nUPDATE officers SET sealed = (SELECT sealed FROM officers WHERE actor = $1) WHERE actor = $2";
    city.app.db().transaction("swap", move |tx| tx.execute(swap, &[other.to_vec().into(), one.to_vec().into()])).unwrap();
    assert_eq!(named_in_last(&city, first), named("ord_1", None), "nobody is accused in the place of another");
    let remove = "-- remove\nDELETE FROM officers WHERE actor = $1";
    city.app.db().transaction("remove", move |tx| tx.execute(remove, &[other.to_vec().into()])).unwrap();
    assert_eq!(named_in_last(&city, second), named("ord_2", None), "the agency has to answer");
}

fn with_the_last_service_of_a_sector_the_words_go(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    city.open_service_with("svc_desk", LIBRARY, "desk", |body| body["mandates"] = json!([SHORT]));
    let (desk, resident) = ("svc_desk".parse().unwrap(), city.enrol(1)[0]);
    city.app.consent_at_counter(resident, &desk, &SHORT.parse().unwrap(), &[]).unwrap();
    let mut request = city.request(&city.app.subject(resident, &desk).unwrap());
    (request.service, request.mandate) = (desk.clone(), SHORT.parse().unwrap());
    request.actor = Some(city.app.officer(&desk, &request.mandate, std::slice::from_ref(&request.subject), OFFICER).unwrap());
    city.app.release(&request).unwrap();
    order(&city, "ord_1", &last(&city, resident), json!({}));
    let shown = last(&city, resident).officer.unwrap();
    assert_eq!((shown.word.as_deref(), shown.salt.is_some()), (Some(OFFICER), true));
    let decision = last(&city, resident).n;
    city.step_service("svc_desk", LIBRARY, State::Closed);
    city.app.run_sunsets().unwrap();
    city.app.tick().unwrap();
    let left = city.app.db().read(|conn| conn.query("-- left\nSELECT actor FROM officers", &[])).unwrap();
    assert!(left.is_empty(), "the rows go with the key");
    let lines = city.app.footprint(resident).unwrap().lines;
    assert_eq!(lines.into_iter().find(|line| line.n == decision).unwrap().officer, named("ord_1", None));
    let anew = city.app.officer(&desk, &request.mandate, std::slice::from_ref(&request.subject), "somebody new");
    assert!(anew.is_ok(), "what is over keeps no words");
    let left = city.app.db().read(|conn| conn.query("-- left\nSELECT actor FROM officers", &[])).unwrap();
    assert!(left.is_empty());
}

fn an_officer_stays_the_same_where_her_row_was_deleted(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let before = actor(&city, decided(&city, OFFICER));
    city.app.db().transaction("remove", |tx| tx.execute("-- remove\nDELETE FROM officers", &[])).unwrap();
    drop(city);
    let city = City::open(dir, url, "2026-01-02T00:00:00Z", 2);
    let resident = decided(&city, OFFICER);
    assert_eq!(actor(&city, resident), before, "the brake counts on with her");
    order(&city, "ord_1", &last(&city, resident), json!({}));
    assert_eq!(named_in_last(&city, resident), named("ord_1", Some(OFFICER)));
    let other = decided(&city, "desk 4");
    assert_ne!(actor(&city, other), before);
}
