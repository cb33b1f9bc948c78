//! Lines of systems that know nothing of the pass: its registration says what they mean, and the pass numbers them. On both databases.

use std::path::Path;

use crate::common::{CARD, City, LIBRARY, SERVICE, block, library_card, mandate, on_both, service};
use serde_json::{Value, json};
use usufruct_app::{Error, Publication, ReportedUse, SILENCE};
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::MandateId;
use usufruct_core::incident::Fault;
use usufruct_core::operation::ForeignOperation;
use usufruct_core::source::Source;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, SECOND};
use usufruct_store::sources;

on_both!(
    a_line_that_comes_again_is_taken_once_and_numbers_have_no_gap,
    a_registration_names_what_is_there,
    what_is_too_old_to_be_known_again_is_refused,
    who_counts_is_settled_by_the_registration,
    the_key_of_an_exporter_is_good_for_the_mapped_activities_alone,
    no_number_leaps_ahead_of_what_is_known_of_its_source,
    a_key_that_is_taken_out_of_the_register_writes_nothing_more,
    lines_of_an_exporter_stop_no_officer,
    the_word_for_an_officer_is_kept_with_a_line_and_not_without,
);

const KEY: &str = "a key of 32 random bytes in hexadecimal would stand here";

fn log() -> Value {
    json!({"exporters": [sha256(KEY.as_bytes())], "activities": [
        {"activity": "https://library.example/activities/12", "mandate": CARD, "reason": "lending", "blocks": ["blk_name"]}]})
}

fn body(city: &City, log: Value) -> Value {
    let mut body = json!(city.app.register().services[&service()].body);
    body["processing_log"] = log;
    body
}

fn register(city: &City) {
    city.publish(StatementKind::Service, SERVICE, LIBRARY, body(city, log()));
}

fn line(city: &City, subject: &str, operation: u8) -> ReportedUse {
    ReportedUse {
        mandate: mandate(),
        number: None,
        operation: ForeignOperation::new(&[1; 16], &[operation; 8], &[], "loans"),
        subject: subject.to_owned(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        happened_at: city.app.now().plus(-SECOND),
        third_party: false,
    }
}

fn uses(city: &City, resident: u64) -> Vec<Event> {
    let lines = city.app.footprint(resident).unwrap().lines;
    lines.into_iter().filter_map(|line| line.event).filter(|event| event.kind == Kind::Use).collect()
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().filter_map(|event| event.source.as_ref()).map(|mark| mark.number).collect()
}

fn a_line_that_comes_again_is_taken_once_and_numbers_have_no_gap(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    // The system numbered its uses itself before, and owes one: what the pass numbers goes on behind the highest.
    city.app.report(&service(), &ReportedUse { number: Some(2), ..line(&city, &subject, 9) }).unwrap().unwrap();
    register(&city);
    for operation in [1, 2, 1, 3, 2, 1] {
        city.app.report(&service(), &line(&city, &subject, operation)).unwrap();
    }
    let events = uses(&city, resident);
    assert_eq!(numbers(&events), [2, 3, 4, 5]);
    assert_eq!(events[3].foreign, ForeignOperation::new(&[1; 16], &[3; 8], &[], "loans"));
    // A wrong line is not remembered, and can come again as it must be.
    assert!(city.app.report(&service(), &ReportedUse { reason: "curiosity".into(), ..line(&city, &subject, 4) }).is_err());
    assert!(city.app.report(&service(), &line(&city, &subject, 4)).unwrap().is_some());
    // Nobody waits for it: how many lines there are it does not say.
    let number = city.app.register().mandates[&mandate()].number;
    let standing = city.app.db().read(|conn| sources::find(conn, &Source::Service(service()), number)).unwrap().unwrap();
    assert_eq!((standing.highest, standing.is_ended), (6, true));
    city.clock.advance(2 * SILENCE);
    city.app.run_sources().unwrap();
    let register = city.app.register();
    let open = register.open_incident(&Source::Service(service()), &mandate()).map(|incident| incident.body.fault);
    assert_eq!(open, Some(Fault::Missing), "the one that it owes from before is missing for good, and it is not called silent");
}

fn who_counts_is_settled_by_the_registration(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let refused = |reported: &ReportedUse| matches!(city.app.report(&service(), reported), Err(Error::Refused { .. }));
    assert!(refused(&line(&city, &subject, 1)), "nobody said that the pass counts");
    assert_eq!(city.app.exporter(KEY), None);
    register(&city);
    assert_eq!(city.app.exporter(KEY), Some(service()));
    assert_eq!(city.app.exporter("another key"), None);
    assert!(refused(&ReportedUse { number: Some(1), ..line(&city, &subject, 1) }));
    assert!(refused(&ReportedUse { operation: None, ..line(&city, &subject, 1) }));
    assert!(matches!(city.app.hear_source(&service(), &mandate(), 7, false), Err(Error::Refused { .. })));
    assert!(uses(&city, resident).is_empty());
    city.app.report(&service(), &line(&city, &subject, 1)).unwrap().unwrap();
    assert_eq!(numbers(&uses(&city, resident)), [1]);
    // What was registered as a draft or is over reports nothing.
    city.step_service(SERVICE, LIBRARY, usufruct_core::lifecycle::State::Closed);
    assert_eq!(city.app.exporter(KEY), None);
}

fn what_is_too_old_to_be_known_again_is_refused(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    register(&city);
    let first = line(&city, &subject, 1);
    city.app.report(&service(), &first).unwrap().unwrap();
    let source = Source::Service(service());
    let is_known = || {
        city.app.db().read(|conn| sources::is_operation_taken(conn, &source, &first.operation.clone().unwrap().key())).unwrap()
    };
    city.clock.advance(29 * DAY);
    city.app.tick().unwrap();
    assert!(is_known() && city.app.report(&service(), &first).unwrap().is_none());
    city.clock.advance(2 * DAY);
    city.app.tick().unwrap();
    assert!(!is_known(), "nothing is kept for longer than it is needed");
    assert!(matches!(city.app.report(&service(), &first), Err(Error::Refused { .. })), "or it would be taken twice");
    assert_eq!(uses(&city, resident).len(), 1);
}

fn a_registration_names_what_is_there(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let refused = |id: &str, body: Value| {
        let mut statement = city.app.statement(StatementKind::Service, id, &LIBRARY.parse().unwrap(), body, city.app.now());
        city.signer(LIBRARY).into_iter().for_each(|signer| statement.approve(signer).unwrap());
        match city.app.publish(&Publication { statements: vec![statement] }) {
            Err(Error::Unlawful(problems)) => problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let with = |field: &str, value: Value| {
        let mut log = log();
        log["activities"][0][field] = value;
        body(&city, log)
    };
    assert_eq!(refused(SERVICE, with("mandate", json!("mdt_other"))), ["processing_log.activities[0].mandate"]);
    assert_eq!(refused(SERVICE, with("reason", json!("curiosity"))), ["processing_log.activities[0].reason"]);
    assert_eq!(refused(SERVICE, with("blocks", json!(["blk_income"]))), ["processing_log.activities[0].blocks"]);
    assert!(!refused(SERVICE, with("blocks", json!([]))).is_empty());
    let mut twice = log();
    twice["activities"] = json!([log()["activities"][0], log()["activities"][0]]);
    assert_eq!(refused(SERVICE, body(&city, twice)), ["processing_log.activities"]);
    register(&city);
    let mut other = body(&city, log());
    other["sector"] = json!("reading");
    assert_eq!(refused("svc_reading", other), ["processing_log.exporters[0]"], "a key says of which service the lines are");
}

fn standing(city: &City, mandate: &MandateId) -> Option<sources::Standing> {
    let number = city.app.register().mandates[mandate].number;
    city.app.db().read(|conn| sources::find(conn, &Source::Service(service()), number)).unwrap()
}

fn the_key_of_an_exporter_is_good_for_the_mapped_activities_alone(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_mandate("mdt_short", library_card());
    register(&city);
    let (_, subject) = city.cardholder();
    let (caller, short) = (city.app.exporting(KEY).unwrap(), "mdt_short".parse().unwrap());
    for number in [None, Some(1), Some(1 << 53)] {
        let other = ReportedUse { mandate: MandateId::clone(&short), number, ..line(&city, &subject, 1) };
        assert!(matches!(city.app.report(caller.clone(), &other), Err(Error::Refused { .. })), "{number:?}");
    }
    assert!(standing(&city, &short).is_none(), "no number of the service was set");
    city.app.report(caller, &line(&city, &subject, 1)).unwrap().unwrap();
}

fn no_number_leaps_ahead_of_what_is_known_of_its_source(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    let report = |number: u64| {
        let reported = ReportedUse { number: Some(number), ..line(&city, &subject, 1) };
        city.app.report(&service(), &reported)
    };
    assert!(matches!(report(1 << 53), Err(Error::Refused { .. })));
    assert!(matches!(report(1_000_001), Err(Error::Refused { .. })));
    assert!(matches!(city.app.hear_source(&service(), &mandate(), 1_000_001, false), Err(Error::Refused { .. })));
    assert!(standing(&city, &mandate()).is_none());
    assert!(report(2).unwrap().is_some());
    assert!(report(1_000_003).is_err());
    assert_eq!(standing(&city, &mandate()).unwrap().highest, 2);
    city.app.hear_source(&service(), &mandate(), 1_000_002, false).unwrap();
    assert!(report(2_000_002).unwrap().is_some(), "a source that really is so far says so first");
}

fn a_key_that_is_taken_out_of_the_register_writes_nothing_more(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    register(&city);
    let (resident, subject) = city.cardholder();
    let caller = city.app.exporting(KEY).unwrap();
    city.app.report(caller.clone(), &line(&city, &subject, 1)).unwrap().unwrap();
    assert!(matches!(city.app.deletion_notices(caller.clone()), Err(Error::Unborne)), "by it lines are written and nothing else");
    let mut without = log();
    without["exporters"] = json!([sha256(b"another key")]);
    city.publish(StatementKind::Service, SERVICE, LIBRARY, body(&city, without));
    assert!(matches!(city.app.report(caller.clone(), &line(&city, &subject, 2)), Err(Error::Unborne)));
    assert!(matches!(city.app.report_of_officer(caller, &line(&city, &subject, 3), "desk 3"), Err(Error::Unborne)));
    assert_eq!(uses(&city, resident).len(), 1);
}

fn lines_of_an_exporter_stop_no_officer(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    register(&city);
    let (resident, subject) = city.cardholder();
    let caller = city.app.exporting(KEY).unwrap();
    for operation in 1..=60 {
        city.app.report_of_officer(caller.clone(), &line(&city, &subject, operation), "desk 3").unwrap().unwrap();
    }
    let events = uses(&city, resident);
    assert!(events.len() == 60 && events.iter().all(|event| event.actor.is_some() && event.clause.is_none()));
    assert!(city.app.brakes().unwrap().is_empty());
    let mut request = city.request(&subject);
    request.actor = events[0].actor;
    city.app.release(&request).unwrap();
}

fn the_word_for_an_officer_is_kept_with_a_line_and_not_without(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    register(&city);
    let (resident, subject) = city.cardholder();
    let caller = city.app.exporting(KEY).unwrap();
    let kept = || city.app.db().read(|conn| conn.query("-- kept\nSELECT actor FROM officers", &[])).unwrap().len();
    let report = |line: &ReportedUse, word: &str| city.app.report_of_officer(caller.clone(), line, word);
    let nobody = "A".repeat(subject.len());
    assert!(matches!(report(&line(&city, &nobody, 1), "desk 1"), Err(Error::Unknown { .. })));
    assert!(report(&ReportedUse { reason: "curiosity".into(), ..line(&city, &subject, 1) }, "desk 2").is_err());
    let long = "桌".repeat(201);
    assert!(matches!(report(&line(&city, &subject, 1), &long), Err(Error::Refused { .. })));
    // So it is where a service asks with its own token.
    let own = |subjects: &[String], word: &str| city.app.officer(&service(), &mandate(), subjects, word);
    assert!(own(std::slice::from_ref(&nobody), "desk 3").is_ok(), "what is asked for nobody says so itself");
    assert!(matches!(own(std::slice::from_ref(&subject), &long), Err(Error::Refused { .. })));
    assert_eq!(kept(), 0);
    assert!(report(&line(&city, &subject, 1), &long[..600]).unwrap().is_some(), "200 characters are not too many");
    assert_eq!(kept(), 1);
    // A line that comes again keeps no other word.
    assert!(report(&line(&city, &subject, 1), "desk 4").unwrap().is_none());
    assert_eq!((kept(), uses(&city, resident).len()), (1, 1));
    own(&[nobody, subject], "desk 3").unwrap();
    assert_eq!(kept(), 2);
}
