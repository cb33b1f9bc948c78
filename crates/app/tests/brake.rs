//! The burst brake at work: officials who decide far more often than ever before are stopped until oversight has looked at it.

use std::path::Path;

use crate::common::{City, LIBRARY, OPERATOR, WATCH, block, library_card, on_both, service, text};
use serde_json::json;
use usufruct_app::store::db::Connection as _;
use usufruct_app::{Approved, BatchRequest, BrakeView, DepositRequest, Error, Way, counter_message};
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
    a_mandate_that_is_used_far_more_than_before_is_shown,
    a_pair_of_clerks_is_stopped_too,
    a_stop_outlives_a_restart,
    a_stop_outlives_the_loss_of_its_rows,
    what_nobody_writes_is_stopped_like_what_somebody_does,
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

/// Deletes what the brake counted and which orders were carried out, as somebody with the database could.
fn forget(city: &City) {
    for table in ["brake_days", "brake_releases"] {
        let sql = format!("-- forget\nDELETE FROM {table}");
        city.app.db().transaction("forget", move |tx| tx.execute(&sql, &[])).unwrap();
    }
}

fn a_stop_outlives_the_loss_of_its_rows(dir: &Path, url: Option<&str>) {
    let (city, _, subject) = watched(dir, url);
    let taken = burst(&city, &subject, "officer 17");
    let said = |city: &City| city.app.register().stoppages.len();
    assert_eq!(said(&city), 1, "the register says it before the official is answered, and once");
    let mark = stopped(&city)[0].mark;
    forget(&city);
    drop(city);
    let city = City::open(dir, url, "2026-01-01T01:00:00Z", 2);
    let shown = stopped(&city);
    assert_eq!(shown.iter().map(|view| view.mark).collect::<Vec<_>>(), [mark], "it is shown before the official asks again");
    assert_eq!((shown[0].body.as_str(), shown[0].reason.as_str()), (LIBRARY, "mdt_short lending"));
    assert!(matches!(decide(&city, &subject, "officer 17"), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Brake]));
    decide(&city, &subject, "officer 18").unwrap();
    assert_eq!(stopped(&city)[0].refused, Count::of(1));
    city.app.say_stoppages().unwrap();
    assert_eq!(said(&city), 1);
    // An order releases it, and is no licence for the next stop, though the row that says it was carried out is gone too.
    release(&city, "ord_1", SHORT, &mark, 2).unwrap();
    assert!(stopped(&city).is_empty());
    assert_eq!(burst(&city, &subject, "officer 17"), taken);
    assert_eq!(said(&city), 2);
    forget(&city);
    drop(city);
    let city = City::open(dir, url, "2026-01-01T02:00:00Z", 3);
    city.app.release_brakes().unwrap();
    assert!(decide(&city, &subject, "officer 17").is_err());
    city.app.release_brakes().unwrap();
    assert!(decide(&city, &subject, "officer 17").is_err());
    // An order that binds later releases by the clock, and the stop that it ends is not said anew.
    let later = json!({"body": WATCH, "kind": "release", "target": SHORT, "reasons": text("From tomorrow on."), "strata": [mark],
        "effective_at": city.app.now().plus(DAY).to_string()});
    city.watch(StatementKind::Order, "ord_2", later, &city.watchers()).unwrap();
    assert!(decide(&city, &subject, "officer 17").is_err());
    city.clock.advance(DAY);
    let first = decide(&city, &subject, "officer 17");
    assert!(first.is_ok() || stopped(&city).is_empty(), "whoever asks before it is carried out is the last to be refused");
    decide(&city, &subject, "officer 17").unwrap();
    assert_eq!((said(&city), city.app.say_stoppages().unwrap()), (2, 0));
}

fn what_nobody_writes_is_stopped_like_what_somebody_does(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_watch();
    for (id, machine) in [(SHORT, "none"), ("mdt_alone", "sole")] {
        let mut body = library_card();
        body["oversight_body"] = json!(WATCH);
        body["operations"] = json!(["collect", "decide", "deposit"]);
        body["automated_decision"] = json!(machine);
        body["algorithm_url"] = json!("https://city.example/algorithm");
        body["impact_assessment"] = json!("https://city.example/impact");
        body["retention"] = json!({"from_event": text("the visit"), "duration": "P28D"});
        city.publish_mandate(id, body);
    }
    city.open_service_with("svc_desk", LIBRARY, "desk", |body| body["mandates"] = json!([SHORT, "mdt_alone"]));
    let (desk, resident) = ("svc_desk".parse().unwrap(), city.enrol(1)[0]);
    for mandate in [SHORT, "mdt_alone"] {
        city.app.consent_at_counter(resident, &desk, &mandate.parse().unwrap(), &[]).unwrap();
    }
    let subject = city.app.subject(resident, &desk).unwrap();
    let write = |mandate: &str, actor: Option<&str>| {
        city.app.deposit(&DepositRequest {
            service: desk.clone(),
            mandate: mandate.parse().unwrap(),
            subject: subject.clone(),
            block: block("name"),
            value: "red".into(),
            reason: "lending".into(),
            actor: actor.map(|actor| sha256(actor.as_bytes()).0),
            sign_in: None,
            third_party: false,
        })
    };
    let taken = (0..BURST).filter(|_| write(SHORT, None).is_ok()).count();
    assert!((1..15).contains(&taken), "{taken}");
    assert!(matches!(write(SHORT, None), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Brake]));
    let shown = stopped(&city);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].is_nobody && shown[0].reason == "mdt_short lending");
    // Who gives a name has a count of her own, and where a machine decides by itself there is none.
    write(SHORT, Some("officer 17")).unwrap();
    assert!((0..BURST).all(|_| write("mdt_alone", None).is_ok()));
    assert_eq!(stopped(&city).len(), 1);
    release(&city, "ord_1", SHORT, &shown[0].mark, 2).unwrap();
    write(SHORT, None).unwrap();
    let lines = city.app.footprint(resident).unwrap().lines;
    let refusals = lines.iter().filter_map(|line| line.event.as_ref()).filter(|event| event.kind == Kind::Refusal);
    assert_eq!(refusals.filter(|event| event.clause.as_deref() == Some("brake")).count(), BURST - taken + 1);
}

fn a_mandate_that_is_used_far_more_than_before_is_shown(dir: &Path, url: Option<&str>) {
    let (city, _, subject) = watched(dir, url);
    let mut automatic = city.request(&subject);
    automatic.mandate = SHORT.parse().unwrap();
    let uses = |times: usize| (0..times).for_each(|_| drop(city.app.release(&automatic).unwrap()));
    // On its first days nobody knows what is usual.
    uses(30);
    assert!(city.app.bursts().unwrap().is_empty());
    for _ in 0..9 {
        city.clock.advance(DAY);
        uses(2);
        assert!(city.app.bursts().unwrap().is_empty(), "as many as on the day before are no burst");
    }
    city.clock.advance(DAY);
    uses(30);
    let shown = city.app.bursts().unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (shown[0].mandate.as_str(), shown[0].uses, shown[0].day.to_string().as_str()),
        (SHORT, Count::of(30), "2026-01-11")
    );
    city.clock.advance(7 * DAY);
    assert!(city.app.bursts().unwrap().is_empty(), "after a week the tally of the day says it");
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
        third_party: false,
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
