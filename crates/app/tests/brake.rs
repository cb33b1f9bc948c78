//! The burst brake at work: officials who decide far more often than ever before are stopped until oversight has looked at it.

mod common;

use std::path::Path;

use common::{City, LIBRARY, OPERATOR, WATCH, block, library_card, on_both, service, text};
use serde_json::json;
use usufruct_app::{Approved, BatchRequest, BrakeView, Error, Way, counter_message};
use usufruct_core::Digest;
use usufruct_core::decide::Clause;
use usufruct_core::event::{Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::statement::StatementKind;
use usufruct_core::tally::Count;
use usufruct_core::time::DAY;

on_both!(
    a_batch_counts_as_one_decision,
    a_burst_of_an_official_is_stopped_until_oversight_releases_it,
    a_pair_of_clerks_is_stopped_too,
    a_stop_outlives_a_restart,
);

const SHORT: &str = "mdt_short";
/// More than anybody may do on a first day.
const BURST: usize = 40;

/// A city whose mandate names an overseer with keys, and a resident who agreed to it.
fn watched(dir: &Path, url: Option<&str>) -> (City, u64, String) {
    let city = City::found(dir, url);
    city.publish_watch();
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate(SHORT, body);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    (city, resident, subject)
}

fn decide(city: &City, subject: &str, official: &str) -> Result<(), Error> {
    let mut request = city.request(subject);
    request.mandate = SHORT.parse().unwrap();
    request.actor = Some(sha256(official.as_bytes()).0);
    city.app.release(&request).map(drop)
}

/// How many of many decisions go through.
fn burst(city: &City, subject: &str, official: &str) -> usize {
    (0..BURST)
        .filter(|_| match decide(city, subject, official) {
            Ok(()) => true,
            Err(Error::Unpermitted(clauses)) => {
                assert_eq!(clauses, [Clause::Brake]);
                false
            }
            Err(other) => panic!("{other}"),
        })
        .count()
}

fn stopped(city: &City) -> Vec<BrakeView> {
    city.app.brakes().unwrap().into_iter().filter(|view| view.stopped_on.is_some()).collect()
}

fn release(city: &City, id: &str, target: &str, mark: &Digest, people: usize) -> Result<Vec<u64>, Error> {
    let body = json!({"body": WATCH, "kind": "release", "target": target, "reasons": text("It was a vaccination day."),
        "strata": [mark]});
    city.watch(StatementKind::Order, id, body, &city.watchers()[..people])
}

fn a_burst_of_an_official_is_stopped_until_oversight_releases_it(dir: &Path, url: Option<&str>) {
    let (city, resident, subject) = watched(dir, url);
    let taken = burst(&city, &subject, "officer 17");
    assert!((1..15).contains(&taken), "{taken}");
    // It is hers alone, and automatic uses go on.
    decide(&city, &subject, "officer 18").unwrap();
    let mut automatic = city.request(&subject);
    automatic.mandate = SHORT.parse().unwrap();
    city.app.release(&automatic).unwrap();
    // Each refusal stands in the footprint and in the tally.
    let lines = city.app.footprint(resident).unwrap().lines;
    let braked = lines.iter().filter_map(|line| line.event.as_ref());
    let braked = braked.filter(|event| event.kind == Kind::Refusal && event.clause.as_deref() == Some("brake")).count();
    assert_eq!(braked, BURST - taken);
    let shown = stopped(&city);
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].body.as_str(), shown[0].reason.as_str()), (LIBRARY, "mdt_short lending"));
    assert_eq!(shown[0].refused, Count::of((BURST - taken) as u64));
    // No day ends it.
    city.clock.advance(2 * DAY);
    city.app.run_tallies().unwrap();
    let register = city.app.register();
    let tally = register.tallies.values().find(|entry| entry.body.mandate.as_str() == SHORT && !entry.body.refusals.is_empty());
    assert_eq!(tally.unwrap().body.refusals[0].clause, "brake");
    assert!(decide(&city, &subject, "officer 17").is_err());
    // One person of the oversight body is not enough, and another mark releases nothing.
    let mark = shown[0].mark;
    assert!(matches!(release(&city, "ord_1", SHORT, &mark, 1), Err(Error::Unlawful(_))));
    release(&city, "ord_2", SHORT, &sha256(b"another"), 2).unwrap();
    assert!(decide(&city, &subject, "officer 17").is_err());
    release(&city, "ord_3", SHORT, &mark, 2).unwrap();
    decide(&city, &subject, "officer 17").unwrap();
    assert!(stopped(&city).is_empty());
    // A release is not a licence: the next burst is stopped again, and the old order does not release it.
    assert!(burst(&city, &subject, "officer 17") < BURST);
    assert_eq!(city.app.release_brakes().unwrap(), 0);
    assert_eq!(stopped(&city).len(), 1);
}

fn a_stop_outlives_a_restart(dir: &Path, url: Option<&str>) {
    let (city, _, subject) = watched(dir, url);
    let taken = burst(&city, &subject, "officer 17");
    let before = format!("{:?}", city.app.brakes().unwrap());
    drop(city);
    let city = City::open(dir, url, "2026-01-01T01:00:00Z", 2);
    assert_eq!(format!("{:?}", city.app.brakes().unwrap()), before);
    assert!(matches!(decide(&city, &subject, "officer 17"), Err(Error::Unpermitted(_))));
    // Whoever has not been stopped goes on from the same count.
    let some = taken / 2;
    (0..some).for_each(|_| decide(&city, &subject, "officer 18").unwrap());
    drop(city);
    let city = City::open(dir, url, "2026-01-01T02:00:00Z", 3);
    assert_eq!(burst(&city, &subject, "officer 18"), taken - some);
}

fn a_batch_counts_as_one_decision(dir: &Path, url: Option<&str>) {
    let (city, _, _) = watched(dir, url);
    let residents = city.enrol(30);
    for resident in &residents {
        city.app.consent_at_counter(*resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
    }
    let batch = BatchRequest {
        service: service(),
        mandate: SHORT.parse().unwrap(),
        subjects: residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: Some(sha256(b"officer 17").0),
    };
    let answer = city.app.release_batch(&batch).unwrap();
    assert!(answer.lines.iter().all(|line| line.outcome.is_ok()));
    let taken = (0..BURST).filter(|_| city.app.release_batch(&batch).is_ok()).count();
    assert!((1..15).contains(&taken), "{taken}");
    assert!(matches!(city.app.release_batch(&batch), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Brake]));
}

fn a_pair_of_clerks_is_stopped_too(dir: &Path, url: Option<&str>) {
    let (city, resident, _) = watched(dir, url);
    let approve = |clerk: usize, id: &str| {
        let message = counter_message(&city.app.config().origin, id, resident, Way::Card);
        city.app.approve_counter_request(id, &city.signer(OPERATOR)[clerk].approve(&message))
    };
    let both = || {
        let id = city.app.begin_counter_request(resident, Way::Card).unwrap();
        assert_eq!(approve(0, &id).unwrap(), Approved::Once);
        approve(1, &id)
    };
    let taken = (0..BURST).take_while(|_| both().is_ok()).count();
    assert!((1..15).contains(&taken), "{taken}");
    let shown = stopped(&city);
    assert_eq!((shown[0].body.as_str(), shown[0].reason.as_str()), (OPERATOR, "counter card"));
    city.clock.advance(DAY);
    let refused = both().unwrap_err().to_string();
    assert!(refused.contains("brake"), "{refused}");
    release(&city, "ord_1", OPERATOR, &shown[0].mark, 2).unwrap();
    assert_eq!(both().unwrap(), Approved::Twice);
}
