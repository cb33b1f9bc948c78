//! What waits for its checkpoint is decided again before anything is opened: one at a time, in batches and in conversions, on both databases.

use std::path::Path;
use std::sync::Arc;

use crate::common::{City, LIBRARY, OPERATOR, SERVICE, SetClock, WATCH, block, library_card, on_both, service, text};
use serde_json::{Value, json};
use usufruct_app::{About, App, BatchRequest, CaseRequest, ConversionBatch, Error, ReleaseRequest};
use usufruct_core::case::CaseKind;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::id::MandateId;
use usufruct_core::statement::StatementKind;
use usufruct_store::log_head;

on_both!(
    one_use_that_fills_the_cap_is_opened_behind_a_gate,
    what_cannot_be_published_is_said_in_every_footprint,
    what_comes_while_it_waits_stops_it,
);

const GARDEN: &str = "svc_garden";
const GATED: &str = "mdt_short";

fn gated() -> MandateId {
    GATED.parse().unwrap()
}

/// A city under a law by which challenges let a use rest, with a mandate behind a gate that a body with keys of its own oversees.
fn city(dir: &Path, url: Option<&str>, change: impl FnOnce(&mut Value)) -> City {
    let city = City::found(dir, url);
    city.publish_watch();
    let law = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2025-01-01",
        "deadlines": [{"duty": "challenge", "within": "P10D", "extension": "P5D", "suspends": true, "article": "1"}],
        "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, law);
    city.open_service(GARDEN, LIBRARY, "garden");
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    body["gate"] = json!("published");
    body["conversions"] = json!([{"from": SERVICE, "to": GARDEN, "why": text("Readers enter without a ticket.")}]);
    change(&mut body);
    city.publish_mandate(GATED, body);
    city
}

fn reader(city: &City) -> (u64, String) {
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &gated(), &[]).unwrap();
    (resident, city.app.subject(resident, &service()).unwrap())
}

/// Asks for both subjects in one request, or for the first alone.
type Way = fn(&City, &[String]) -> Result<Vec<Result<(), Error>>, Error>;

const WAYS: [(&str, Way); 5] = [
    ("a value", |city, subjects| Ok(vec![release(city, &subjects[0], Form::Value)])),
    ("a token", |city, subjects| Ok(vec![release(city, &subjects[0], Form::Token)])),
    ("a batch of values", |city, subjects| batch(city, subjects, Form::Value)),
    ("a batch of tokens", |city, subjects| batch(city, subjects, Form::Token)),
    ("a conversion", convert),
];

fn release(city: &City, subject: &str, form: Form) -> Result<(), Error> {
    let blocks = vec![(block("name"), form)];
    city.app.release(&ReleaseRequest { mandate: gated(), blocks, ..city.request(subject) }).map(drop)
}

fn batch(city: &City, subjects: &[String], form: Form) -> Result<Vec<Result<(), Error>>, Error> {
    let answer = city.app.release_batch(&BatchRequest {
        service: service(),
        mandate: gated(),
        subjects: subjects.to_vec(),
        blocks: vec![(block("name"), form)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    })?;
    assert!(answer.lines.iter().map(|line| &line.subject).eq(subjects), "in the order asked");
    Ok(answer.lines.into_iter().map(|line| line.outcome.map(drop)).collect())
}

fn convert(city: &City, subjects: &[String]) -> Result<Vec<Result<(), Error>>, Error> {
    let answer = city.app.convert(&ConversionBatch {
        service: service(),
        to: GARDEN.parse().unwrap(),
        mandate: gated(),
        subjects: subjects.to_vec(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    })?;
    Ok(answer.lines.into_iter().map(|line| line.outcome.map(drop)).collect())
}

type Step = Box<dyn FnOnce() + Send>;

/// What may come in between: about a resident, and the number of a line of hers.
const COMES: [&str; 6] = ["an order", "a case", "a freeze", "a pause", "a withdrawal", "a deletion"];

fn step(city: &City, what: &str, (resident, line): (u64, u64), order: &str) -> Step {
    let app = Arc::clone(&city.app);
    match what {
        "an order" => {
            let body = json!({"body": WATCH, "kind": "suspend", "target": GATED, "reasons": text("It goes beyond its purpose.")});
            let said = city.said_by_watch(StatementKind::Order, order, body);
            Box::new(move || drop(app.publish(&said).unwrap()))
        }
        "a case" => Box::new(move || {
            let filed = app.file_case(resident, &CaseRequest::new(About::Line(line), CaseKind::Challenge, "I was not there."));
            assert!(filed.unwrap().case.suspends);
        }),
        "a freeze" => Box::new(move || app.freeze(resident).unwrap()),
        "a pause" => Box::new(move || app.pause(resident, &gated()).unwrap()),
        "a withdrawal" => Box::new(move || drop(app.withdraw(resident, &gated()).unwrap())),
        "a deletion" => Box::new(move || drop(app.delete_resident(resident).unwrap())),
        other => panic!("{other} is no step"),
    }
}

fn size(app: &App) -> u64 {
    app.db().read(|conn| log_head::size(conn)).unwrap()
}

/// Has `step` happen when the clock is read next after the log has grown beyond `before`.
fn once_logged(app: Arc<App>, clock: Arc<SetClock>, before: u64, step: Step) {
    let next = Arc::clone(&clock);
    clock.after(0, move || if size(&app) > before { step() } else { once_logged(app, next, before, step) });
}

fn events(city: &City, resident: u64) -> Vec<(u64, Event)> {
    let lines = city.app.footprint(resident).unwrap().lines;
    lines.into_iter().map(|line| (line.n, line.event.unwrap())).collect()
}

fn is_use(event: &Event) -> bool {
    matches!(event.kind, Kind::Use | Kind::Conversion)
}

fn what_comes_while_it_waits_stops_it(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |_| {});
    for (number, (way, ask)) in WAYS.into_iter().enumerate() {
        for comes in COMES {
            let what = format!("{comes} while {way} waits");
            let ((resident, subject), (bystander, other)) = (reader(&city), reader(&city));
            let subjects = [subject, other];
            let allowed = ask(&city, &subjects).unwrap();
            assert!(allowed.iter().all(Result::is_ok), "{what}: {allowed:?}");
            let before = events(&city, resident);
            let (line, order) = (before.last().unwrap().0, format!("ord_s{number}"));
            let step = step(&city, comes, (resident, line), &order);
            once_logged(Arc::clone(&city.app), Arc::clone(&city.clock), size(&city.app), step);
            let outcomes = ask(&city, &subjects).unwrap();
            city.clock.after(usize::MAX, || {});
            let is_stopped = match &outcomes[0] {
                // Who was erased is as unknown to a service that asks for other pseudonyms as who never was.
                Err(Error::Unknown { .. }) => comes == "a deletion" && way == "a conversion",
                Err(Error::Unopened { .. }) => true,
                _ => false,
            };
            assert!(is_stopped, "{what}: {:?}", outcomes[0]);
            for outcome in &outcomes[1..] {
                assert_eq!(outcome.is_ok(), comes != "an order", "{what}: {outcome:?}");
                let last = events(&city, bystander).pop().unwrap().1;
                assert_eq!(is_use(&last), comes != "an order", "{what}: {last:?}");
            }
            if comes != "a deletion" {
                let since = events(&city, resident).split_off(before.len());
                let (used, first) = &since[0];
                let (_, last) = since.last().unwrap();
                assert!(is_use(first), "{what}: the log had it first");
                assert_eq!((last.reason.as_str(), last.detail.clone()), ("use-failed", Some(used.to_string())), "{what}");
            }
            if comes == "an order" {
                let lift =
                    json!({"body": WATCH, "kind": "lift", "lifts": order, "target": GATED, "reasons": text("It was mended.")});
                city.watch(StatementKind::Order, &format!("ord_l{number}"), lift, &city.watchers()).unwrap();
            }
        }
    }
}

/// A log without witnesses never is where this gate asks.
fn what_cannot_be_published_is_said_in_every_footprint(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |body| body["gate"] = json!("witnessed"));
    for (way, ask) in WAYS {
        let readers = [reader(&city), reader(&city)];
        let outcome = ask(&city, &readers.clone().map(|(_, subject)| subject));
        let (outcome, waited) = match outcome {
            Ok(mut outcomes) => (outcomes.remove(0), 1),
            Err(error) => (Err(error), 2),
        };
        assert!(matches!(outcome, Err(Error::Unpublished)), "{way}: {outcome:?}");
        for (resident, _) in &readers[..waited] {
            let [.., (used, first), (_, last)] = &events(&city, *resident)[..] else { panic!("{way}: two lines") };
            assert!(is_use(first), "{way}: {first:?}");
            assert_eq!((last.reason.as_str(), last.detail.clone()), ("use-failed", Some(used.to_string())), "{way}");
        }
    }
}

/// Deciding again does not count the use a second time.
fn one_use_that_fills_the_cap_is_opened_behind_a_gate(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |body| body["rate_cap"]["uses"] = json!(1));
    for (way, ask) in WAYS {
        let subjects = [reader(&city).1, reader(&city).1];
        let outcomes = ask(&city, &subjects).unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "{way}: {outcomes:?}");
        assert!(matches!(&ask(&city, &subjects).unwrap()[0], Err(Error::Unpermitted(_))), "{way}: the cap is reached");
    }
}
