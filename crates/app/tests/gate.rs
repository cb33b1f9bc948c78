//! What waits for its checkpoint, or for the rest of a long batch, is decided again before anything is opened: one at a time, in batches and in
//! conversions, on both databases.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::common::{City, LIBRARY, OPERATOR, SERVICE, SeededRng, SetClock, WATCH, block, library_card, on_both, service, text};
use serde_json::{Value, json};
use usufruct_app::{
    About, App, BatchRequest, Bearing, CaseRequest, ConversionBatch, Error, HeldToken, Presented, ReleaseRequest,
};
use usufruct_core::case::CaseKind;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::id::MandateId;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::HOUR;
use usufruct_store::log_head;

on_both!(
    a_token_that_ends_while_it_waits_opens_nothing,
    one_use_that_fills_the_cap_is_opened_behind_a_gate,
    what_cannot_be_published_is_said_in_every_footprint,
    what_comes_between_the_groups_of_a_batch_that_rests_on_law_stops_it,
    what_comes_between_the_groups_of_a_long_batch_stops_it,
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

fn one(city: &City, subject: &str, form: Form) -> ReleaseRequest {
    ReleaseRequest { mandate: gated(), blocks: vec![(block("name"), form)], ..city.request(subject) }
}

fn many(subjects: &[String], form: Form) -> BatchRequest {
    BatchRequest {
        service: service(),
        mandate: gated(),
        subjects: subjects.to_vec(),
        blocks: vec![(block("name"), form)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    }
}

fn conversion(subjects: &[String]) -> ConversionBatch {
    ConversionBatch {
        service: service(),
        to: GARDEN.parse().unwrap(),
        mandate: gated(),
        subjects: subjects.to_vec(),
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    }
}

fn release(city: &City, subject: &str, form: Form) -> Result<(), Error> {
    city.app.release(&one(city, subject, form)).map(drop)
}

fn batch(city: &City, subjects: &[String], form: Form) -> Result<Vec<Result<(), Error>>, Error> {
    let answer = city.app.release_batch(&many(subjects, form))?;
    assert!(answer.lines.iter().map(|line| &line.subject).eq(subjects), "in the order asked");
    Ok(answer.lines.into_iter().map(|line| line.outcome.map(drop)).collect())
}

fn convert(city: &City, subjects: &[String]) -> Result<Vec<Result<(), Error>>, Error> {
    let answer = city.app.convert(&conversion(subjects))?;
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

/// Her footprint since its first `before` lines begins with a use, and ends with the word that nothing was handed out for it.
fn failed_since(city: &City, resident: u64, before: usize, what: &str) {
    let since = events(city, resident).split_off(before);
    let (used, first) = &since[0];
    let (_, last) = since.last().unwrap();
    assert!(is_use(first), "{what}: the log had it first");
    assert_eq!((last.reason.as_str(), last.detail.clone()), ("use-failed", Some(used.to_string())), "{what}");
}

fn lift(city: &City, order: &str, id: &str) {
    let body = json!({"body": WATCH, "kind": "lift", "lifts": order, "target": GATED, "reasons": text("It was mended.")});
    city.watch(StatementKind::Order, id, body, &city.watchers()).unwrap();
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
                failed_since(&city, resident, before.len(), &what);
            }
            if comes == "an order" {
                lift(&city, &order, &format!("ord_l{number}"));
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

/// A token of the service's own as it is sent, and as it is held once the caller was looked up.
fn own_token(city: &City, name: &str) -> (String, HeldToken) {
    let grant = city.app.client_token(&service(), "release", Some("key".to_owned()), Vec::new()).wait().unwrap();
    let proof = Presented::possession("key", name, city.app.now().plus(HOUR));
    let bearing = Bearing { access_token: grant.access_token.clone(), possession: Some(("key".to_owned(), proof)) };
    let (_, _, token) = city.app.own_held_token(&bearing).unwrap().unwrap();
    (grant.access_token, token)
}

/// Asks for one subject by a token.
type ByToken = fn(&City, &[String; 1], &HeldToken) -> Result<(), Error>;

const BY_TOKEN: [(&str, ByToken); 3] = [
    ("a value", |city, [subject], token| city.app.release_by(&one(city, subject, Form::Value), token).map(drop)),
    ("a batch", |city, subjects, token| {
        city.app.release_batch_by(&many(subjects, Form::Value), token)?.lines.remove(0).outcome.map(drop)
    }),
    ("a conversion", |city, subjects, token| {
        city.app.convert_by(&conversion(subjects), token)?.lines.remove(0).outcome.map(drop)
    }),
];

fn a_token_that_ends_while_it_waits_opens_nothing(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |_| {});
    for (way, ask) in BY_TOKEN {
        for end in ["revoked", "expired"] {
            let what = format!("{way} by a token that is {end}");
            let (resident, subject) = reader(&city);
            let (subjects, (sent, token)) = ([subject], own_token(&city, &what));
            ask(&city, &subjects, &token).unwrap();
            let before = events(&city, resident).len();
            let (app, clock) = (Arc::clone(&city.app), Arc::clone(&city.clock));
            let step: Step = match end {
                "revoked" => Box::new(move || app.revoke(&service(), &sent, Vec::new()).unwrap()),
                _ => Box::new(move || clock.advance(HOUR)),
            };
            once_logged(Arc::clone(&city.app), Arc::clone(&city.clock), size(&city.app), step);
            let outcome = ask(&city, &subjects, &token);
            city.clock.after(usize::MAX, || {});
            assert!(matches!(outcome, Err(Error::Unopened { .. })), "{what}: {outcome:?}");
            failed_since(&city, resident, before, &what);
            // Asked again, it learns why.
            let again = ask(&city, &subjects, &token);
            assert!(matches!(again, Err(Error::Unborne)), "{what}: {again:?}");
        }
    }
}

/// How many lines of a batch are written together.
const GROUP: usize = 500;

/// What comes of the first and of the last of a batch of two groups. All between lead to nobody.
fn long_batch(city: &City, first: &str, last: &str) -> [Result<(), Error>; 2] {
    let nobody = (1..GROUP).map(|number| format!("nobody-{number}"));
    let subjects: Vec<String> = std::iter::once(first.to_owned()).chain(nobody).chain([last.to_owned()]).collect();
    let mut outcomes = batch(city, &subjects, Form::Value).unwrap();
    let last = outcomes.pop().unwrap();
    [outcomes.remove(0), last]
}

fn what_comes_between_the_groups_of_a_long_batch_stops_it(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |body| body["gate"] = json!("durable"));
    for comes in COMES {
        let ((resident, subject), (_, other)) = (reader(&city), reader(&city));
        let allowed = long_batch(&city, &subject, &other);
        assert!(allowed.iter().all(Result::is_ok), "{comes}: {allowed:?}");
        let before = events(&city, resident);
        let step = step(&city, comes, (resident, before.last().unwrap().0), "ord_s");
        once_logged(Arc::clone(&city.app), Arc::clone(&city.clock), size(&city.app), step);
        let [first, last] = long_batch(&city, &subject, &other);
        city.clock.after(usize::MAX, || {});
        assert!(matches!(first, Err(Error::Unopened { .. })), "{comes}: {first:?}");
        assert_eq!(last.is_ok(), comes != "an order", "{comes}: {last:?}");
        if comes != "a deletion" {
            failed_since(&city, resident, before.len(), comes);
        }
        if comes == "an order" {
            lift(&city, "ord_s", "ord_l");
        }
    }
}

/// Has `step` happen when `caller` draws random bytes next after the log has grown beyond `before`, for which the writer gets a moment.
fn once_prepared(app: Arc<App>, rng: &Arc<SeededRng>, caller: ThreadId, before: u64, step: Step) {
    let next = Arc::clone(rng);
    rng.before_next(move || {
        let has_grown = || {
            (0..50).any(|_| {
                thread::sleep(Duration::from_millis(10));
                size(&app) > before
            })
        };
        if thread::current().id() == caller && has_grown() { step() } else { once_prepared(app, &next, caller, before, step) }
    });
}

/// Under a mandate that rests on law a grant is made for whoever has none, here while the first group is written.
fn what_comes_between_the_groups_of_a_batch_that_rests_on_law_stops_it(dir: &Path, url: Option<&str>) {
    let city = city(dir, url, |body| {
        body["gate"] = json!("durable");
        body["legal_basis"]["code"] = json!("public_task");
    });
    for comes in ["a case", "a freeze"] {
        let known: Vec<(u64, String)> =
            city.enrol(2).into_iter().map(|one| (one, city.app.subject(one, &service()).unwrap())).collect();
        let [(resident, subject), (_, other)] = &known[..] else { panic!("two were enrolled") };
        release(&city, subject, Form::Value).unwrap();
        let before = events(&city, *resident);
        let step = step(&city, comes, (*resident, before.last().unwrap().0), "ord_s");
        once_prepared(Arc::clone(&city.app), &city.rng, thread::current().id(), size(&city.app), step);
        let [first, last] = long_batch(&city, subject, other);
        city.rng.before_next(|| {});
        assert!(matches!(first, Err(Error::Unopened { .. })), "{comes}: {first:?}");
        assert!(last.is_ok(), "{comes}: {last:?}");
        failed_since(&city, *resident, before.len(), comes);
    }
}
