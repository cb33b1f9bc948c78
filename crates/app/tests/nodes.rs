//! Two nodes of a pass over one PostgreSQL: what is taken back at one is refused at the other, for the next request, and no node says that it took back
//! what another one goes on to give out. Only one of them writes, the later one; every use is a write, so the other one gives out nothing.

#![expect(clippy::disallowed_methods, reason = "how soon it bites is what is tested")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{CARD, City, LIBRARY, WATCH, library_card, looked_into, mandate, on_postgres, text};
use serde_json::json;
use usufruct_app::store::db;
use usufruct_app::{Error, ReleaseRequest};
use usufruct_core::Text;
use usufruct_core::decide::Clause;
use usufruct_core::id::MandateId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

/// Within which a cluster has to refuse what one of its nodes took back.
const BITES: Duration = Duration::from_secs(5);
const SHORT: &str = "mdt_short";

fn short() -> MandateId {
    SHORT.parse().unwrap()
}

/// A resident who agreed to both mandates, and what is asked of her under each.
struct Reader {
    resident: u64,
    card: ReleaseRequest,
    short: ReleaseRequest,
}

impl Reader {
    fn of(city: &City) -> Self {
        let (resident, subject) = city.cardholder();
        city.app.consent_at_counter(resident, &common::service(), &short(), &[]).unwrap();
        let card = city.request(&subject);
        Self { resident, short: ReleaseRequest { mandate: short(), ..card.clone() }, card }
    }
}

/// A city with a mandate that ends after half a year, watched by an overseer.
fn founded(dir: &Path, url: &str) -> City {
    let city = City::found(dir, Some(url));
    city.publish_watch();
    let mut body = library_card();
    (body["oversight_body"], body["sunset_at"]) = (json!(WATCH), json!("2026-07-01T00:00:00Z"));
    city.publish_mandate(SHORT, body);
    city
}

/// The clauses by which a node refuses, asked once, within the time that a cluster has since `taken`.
fn refused(city: &City, request: &ReleaseRequest, taken: Instant, what: &str) -> Vec<Clause> {
    let outcome = city.app.release(request);
    assert!(taken.elapsed() < BITES, "{what}: the answer came after {:?}", taken.elapsed());
    match outcome {
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(Error::Unknown { .. }) => Vec::new(),
        Err(other) => panic!("{what}: {other}"),
        Ok(released) => panic!("{what}: entry {} was released", released.index),
    }
}

/// A node that another one has followed gives out nothing, whatever is asked.
fn gives_nothing(city: &City, request: &ReleaseRequest, taken: Instant, what: &str) {
    let outcome = city.app.release(request);
    assert!(taken.elapsed() < BITES, "{what}: the answer came after {:?}", taken.elapsed());
    assert!(outcome.is_err(), "{what}: it was released");
}

/// Whether this is the word of a node that another one has followed.
fn is_over(error: &Error) -> bool {
    matches!(error, Error::Store(db::Error::Superseded {} | db::Error::Closed {} | db::Error::Fatal { .. }) | Error::Stale)
}

/// A step of the mandate that ends, by its two people.
fn step(city: &City, to: State) {
    let signers = city.signer(LIBRARY);
    city.app.move_mandate(&short(), to, &signers, Text::new("It was looked into.", "經查處。"), looked_into()).unwrap();
}

fn order(city: &City, id: &str, kind: &str, lifts: Option<&str>) {
    let mut body = json!({"body": WATCH, "kind": kind, "target": SHORT, "reasons": text("It was looked into.")});
    if let Some(lifts) = lifts {
        body["lifts"] = json!(lifts);
    }
    city.watch(StatementKind::Order, id, body, &city.watchers()).unwrap();
}

#[test]
fn what_one_node_took_back_the_next_one_refuses() {
    on_postgres("handed_over", |dir, url| {
        let (first, place) = (founded(dir, url.unwrap()), tempfile::tempdir().unwrap());
        let [withdrawn, paused, untouched] = [0; 3].map(|_| Reader::of(&first));
        first.app.withdraw(withdrawn.resident, &mandate()).unwrap();
        first.app.pause(paused.resident, &mandate()).unwrap();
        order(&first, "ord_1", "suspend", None);
        let taken = Instant::now();
        let second = first.beside(dir, place.path(), url.unwrap(), 2);
        let opened = Instant::now();
        assert!(refused(&second, &withdrawn.card, opened, "withdrawn").is_empty(), "her pseudonym of before is nobody's");
        assert_eq!(refused(&second, &paused.card, opened, "paused"), [Clause::Suspension]);
        assert_eq!(refused(&second, &untouched.short, opened, "suspended by an order"), [Clause::Order]);
        second.app.release(&untouched.card).unwrap();
        assert!(is_over(&first.app.release(&untouched.card).err().unwrap()));
        eprintln!("a node was opened and refused {:?} after the taking back", taken.elapsed());
    });
}

#[test]
fn what_a_node_takes_back_no_other_one_gives_out() {
    on_postgres("side_by_side", |dir, url| {
        let (first, place) = (founded(dir, url.unwrap()), tempfile::tempdir().unwrap());
        let [withdrawn, paused, untouched] = [0; 3].map(|_| Reader::of(&first));
        for reader in [&withdrawn, &paused, &untouched] {
            first.app.release(&reader.card).unwrap();
            first.app.release(&reader.short).unwrap();
        }
        let second = first.beside(dir, place.path(), url.unwrap(), 2);
        // Nobody is told that something was taken back by a node that cannot write it.
        for refusal in
            [first.app.withdraw(untouched.resident, &mandate()).map(drop), first.app.pause(untouched.resident, &mandate())]
        {
            assert!(is_over(&refusal.unwrap_err()));
        }
        second.app.release(&untouched.card).unwrap();
        assert!(is_over(&first.app.release(&untouched.card).err().unwrap()));
        let both = |request: &ReleaseRequest, clauses: &[Clause], what: &str| {
            let taken = Instant::now();
            let because = refused(&second, request, taken, what);
            assert!(clauses.iter().all(|clause| because.contains(clause)), "{what}: {because:?}");
            gives_nothing(&first, request, taken, what);
        };
        second.app.withdraw(withdrawn.resident, &mandate()).unwrap();
        both(&withdrawn.card, &[], "withdrawn");
        second.app.pause(paused.resident, &mandate()).unwrap();
        both(&paused.card, &[Clause::Suspension], "paused");
        order(&second, "ord_1", "suspend", None);
        both(&untouched.short, &[Clause::Order], "suspended by an order");
        order(&second, "ord_2", "lift", Some("ord_1"));
        second.app.release(&untouched.short).unwrap();
        step(&second, State::Suspended);
        both(&untouched.short, &[Clause::Suspension], "suspended");
        step(&second, State::Active);
        second.app.release(&untouched.short).unwrap();
        second.clock.advance(200 * DAY);
        both(&untouched.short, &[Clause::Sunset], "after its last day");
        second.app.run_sunsets().unwrap();
        let taken = Instant::now();
        assert!(second.app.release(&untouched.short).is_err());
        gives_nothing(&first, &untouched.short, taken, "erased");
    });
}

/// Requests run at both nodes all the while. Whatever begins after the taking back was answered is refused.
#[test]
fn no_request_that_begins_after_a_withdrawal_is_answered_at_any_node() {
    on_postgres("racing", |dir, url| {
        let (first, place) = (founded(dir, url.unwrap()), tempfile::tempdir().unwrap());
        let reader = Reader::of(&first);
        let second = first.beside(dir, place.path(), url.unwrap(), 2);
        let (is_withdrawn, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (given, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let asking: Vec<_> = [&first, &second]
            .into_iter()
            .flat_map(|node| std::iter::repeat_n(Arc::clone(&node.app), 2))
            .map(|app| {
                let (is_withdrawn, is_over) = (Arc::clone(&is_withdrawn), Arc::clone(&is_over));
                let (given, late, request) = (Arc::clone(&given), Arc::clone(&late), reader.card.clone());
                thread::spawn(move || {
                    while !is_over.load(Ordering::SeqCst) {
                        let is_late = is_withdrawn.load(Ordering::SeqCst);
                        if app.release(&request).is_ok() {
                            if is_late { &late } else { &given }.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        while given.load(Ordering::SeqCst) < 20 {
            thread::sleep(Duration::from_millis(5));
        }
        second.app.withdraw(reader.resident, &mandate()).unwrap();
        is_withdrawn.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(500));
        is_over.store(true, Ordering::SeqCst);
        asking.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(late.load(Ordering::SeqCst), 0, "of {} before", given.load(Ordering::SeqCst));
    });
}

/// What a node shows without writing comes from the register that it has read, so one that is not the one that writes says so and stops.
#[test]
fn a_node_that_was_followed_says_so_when_it_looks() {
    on_postgres("followed", |dir, url| {
        let (first, place) = (founded(dir, url.unwrap()), tempfile::tempdir().unwrap());
        first.app.tick().unwrap();
        let second = first.beside(dir, place.path(), url.unwrap(), 2);
        assert!(matches!(first.app.tick(), Err(Error::Store(db::Error::Superseded {}))));
        second.app.tick().unwrap();
        assert_eq!(second.app.register().mandates[&CARD.parse().unwrap()].state, State::Active);
    });
}
