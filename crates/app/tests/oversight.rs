//! Orders of an oversight body bind the running pass at once, on both databases, and after a restart.

use std::path::Path;
use std::sync::Arc;

use crate::common::{City, WATCH, library_card, on_postgres, service, text};
use serde_json::{Value, json};
use usufruct_app::{ConversionBatch, Error, Publication, ReleaseRequest};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::time::DAY;

const WATCHED: &str = "mdt_short";

/// Runs the test on both databases.
fn on_both(name: &str, test: impl Fn(&Path, Option<&str>)) {
    test(tempfile::tempdir().unwrap().path(), None);
    on_postgres(name, test);
}

/// A city with a mandate that a body with keys of its own oversees.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.publish_watch();
    let mut watched = library_card();
    watched["oversight_body"] = json!(WATCH);
    city.publish_mandate(WATCHED, watched);
    city
}

fn order(city: &City, id: &str, change: Value, signers: &[Signer]) -> Result<Vec<u64>, Error> {
    let mut body = json!({"body": WATCH, "target": WATCHED, "reasons": text("It goes beyond its purpose.")});
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    city.watch(StatementKind::Order, id, body, signers)
}

fn request(city: &City, subject: &str) -> ReleaseRequest {
    ReleaseRequest { mandate: WATCHED.parse().unwrap(), ..city.request(subject) }
}

/// The clauses by which the release is refused; none when it is made.
fn clauses(city: &City, subject: &str) -> Vec<Clause> {
    match city.app.release(&request(city, subject)) {
        Ok(_) => Vec::new(),
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
    }
}

#[test]
fn a_suspension_stops_releases_within_the_same_second_and_its_lift_lets_them_go_on() {
    on_both("suspended", |dir, url| {
        let subject;
        {
            let city = city(dir, url);
            let resident = city.enrol(1)[0];
            city.app.consent_at_counter(resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
            subject = city.app.subject(resident, &service()).unwrap();
            assert_eq!(clauses(&city, &subject), []);
            let two = city.watchers();
            let alone = order(&city, "ord_1", json!({"kind": "suspend"}), &two[..1]);
            assert!(matches!(alone, Err(Error::Unlawful(_))), "{alone:?}");
            assert_eq!(clauses(&city, &subject), []);

            // The clock of the test stands still, so all of this is one moment.
            order(&city, "ord_1", json!({"kind": "suspend"}), &two).unwrap();
            assert_eq!(clauses(&city, &subject), [Clause::Order]);
            let other = city.enrol(1)[0];
            let consent = city.app.consent_at_counter(other, &service(), &WATCHED.parse().unwrap(), &[]);
            assert!(matches!(consent, Err(Error::Unpermitted(clauses)) if clauses == [Clause::Order]), "nothing new is lent");
            let batch = ConversionBatch {
                service: service(),
                to: service(),
                mandate: WATCHED.parse().unwrap(),
                subjects: vec![subject.clone()],
                reason: "lending".into(),
                actor: None,
                sign_in: None,
                third_party: false,
            };
            let converted = city.app.convert(&batch).err().expect("a conversion is refused as well");
            assert!(matches!(converted, Error::Unpermitted(clauses) if clauses.contains(&Clause::Order)));
            let lines = city.app.footprint(resident).unwrap().lines;
            let refusals = lines.iter().filter(|line| {
                line.event.as_ref().is_some_and(|event| event.kind == Kind::Refusal && event.clause.as_deref() == Some("order"))
            });
            assert_eq!(refusals.count(), 2, "both refusals stand in the resident's footprint");
            order(&city, "ord_1", json!({"kind": "suspend", "appeal_ref": "court 12/2026"}), &two).unwrap();
            assert_eq!(clauses(&city, &subject), [Clause::Order]);
        }
        let city = City::open(dir, url, "2026-01-03T00:00:00Z", 2);
        assert_eq!(clauses(&city, &subject), [Clause::Order], "an order outlives a restart");
        let two = city.watchers();
        assert!(order(&city, "ord_2", json!({"kind": "lift", "lifts": "ord_1"}), &two[1..]).is_err());
        assert_eq!(clauses(&city, &subject), [Clause::Order]);
        order(&city, "ord_2", json!({"kind": "lift", "lifts": "ord_1"}), &two).unwrap();
        assert_eq!(clauses(&city, &subject), []);
    });
}

/// The events about uses and refusals in a footprint.
fn uses(city: &City, resident: u64) -> Vec<Kind> {
    let lines = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    lines.map(|event| event.kind).filter(|kind| matches!(kind, Kind::Use | Kind::Refusal)).collect()
}

#[test]
fn an_order_that_comes_or_goes_while_a_use_is_decided_holds_for_that_use() {
    on_both("between", |dir, url| {
        let city = city(dir, url);
        let resident = city.enrol(1)[0];
        city.app.consent_at_counter(resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
        let subject = city.app.subject(resident, &service()).unwrap();
        let mut expected = Vec::new();
        for (number, change) in
            [json!({"kind": "suspend"}), json!({"kind": "restrict", "blocks": ["blk_district"]})].into_iter().enumerate()
        {
            let (order, lift) = (format!("ord_{number}"), format!("ord_lift-{number}"));
            let comes = said(&city, &order, change);
            let goes = said(&city, &lift, json!({"kind": "lift", "lifts": order}));
            // After the register was looked at, and before the use is written.
            between(&city, 0, comes);
            assert_eq!(clauses(&city, &subject), [Clause::Order]);
            between(&city, 0, goes);
            assert_eq!(clauses(&city, &subject), [], "what was lifted refuses nothing");
            expected.extend([Kind::Refusal, Kind::Use]);
        }
        assert_eq!(uses(&city, resident), expected, "each is there once, as it came out");
    });
}

#[test]
fn an_order_that_comes_while_a_use_waits_for_its_checkpoint_opens_nothing() {
    on_both("gated", |dir, url| {
        let city = city(dir, url);
        let mut gated = library_card();
        gated["oversight_body"] = json!(WATCH);
        gated["gate"] = json!("published");
        city.clock.advance(1);
        city.publish_mandate(WATCHED, gated);
        let resident = city.enrol(1)[0];
        city.app.consent_at_counter(resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
        let subject = city.app.subject(resident, &service()).unwrap();
        assert_eq!(clauses(&city, &subject), []);
        between(&city, 1, said(&city, "ord_1", json!({"kind": "suspend"})));
        let outcome = city.app.release(&request(&city, &subject)).err().expect("nothing is opened");
        assert!(matches!(outcome, Error::Unopened { .. }), "{outcome}");
        assert_eq!(uses(&city, resident), [Kind::Use, Kind::Use], "the log had it before the order");
        let lines = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
        assert_eq!(lines.last().map(|event| event.reason).as_deref(), Some("use-failed"), "and her footprint says how it ended");
        assert_eq!(clauses(&city, &subject), [Clause::Order]);
    });
}

#[test]
fn an_order_that_comes_while_she_agrees_lets_nothing_be_lent() {
    on_both("agreeing", |dir, url| {
        let city = city(dir, url);
        let resident = city.enrol(1)[0];
        let (app, comes) = (Arc::clone(&city.app), said(&city, "ord_1", json!({"kind": "suspend"})));
        city.rng.before_next(move || drop(app.publish(&comes).unwrap()));
        let consent = city.app.consent(resident, &service(), &WATCHED.parse().unwrap(), &[]);
        assert!(matches!(&consent, Err(Error::Unpermitted(clauses)) if *clauses == [Clause::Order]), "{consent:?}");
        assert!(city.app.grants(resident).unwrap().is_empty());
        assert!(
            city.app.footprint(resident).unwrap().lines.iter().all(|line| line.event.as_ref().unwrap().kind != Kind::Consent)
        );
    });
}

/// What all people of the overseer have signed and nobody has published.
fn said(city: &City, id: &str, change: Value) -> Publication {
    let mut body = json!({"body": WATCH, "target": WATCHED, "reasons": text("It goes beyond its purpose.")});
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    city.said_by_watch(StatementKind::Order, id, body)
}

/// Publishes it once the clock has been read so many times more.
fn between(city: &City, readings: usize, publication: Publication) {
    let app = Arc::clone(&city.app);
    city.clock.after(readings, move || drop(app.publish(&publication).unwrap()));
}

/// What was decided and logged before an order opens nothing after it: the vault refuses by itself, whatever was decided.
#[test]
fn the_vault_withholds_the_key_of_what_was_suspended_meanwhile() {
    on_both("withheld", |dir, url| {
        let city = City::found(dir, url);
        city.publish_watch();
        let mut watched = library_card();
        watched["oversight_body"] = json!(WATCH);
        // Such a use waits for a checkpoint between the log and the vault, and reads the clock meanwhile.
        watched["gate"] = json!("published");
        city.publish_mandate(WATCHED, watched);
        let resident = city.enrol(1)[0];
        city.app.consent_at_counter(resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
        let subject = city.app.subject(resident, &service()).unwrap();
        let two = city.watchers();
        let mut withheld = 0;
        for readings in 0.. {
            let (id, lift) = (format!("ord_s{readings}"), format!("ord_l{readings}"));
            let body =
                json!({"body": WATCH, "kind": "suspend", "target": WATCHED, "reasons": text("It goes beyond its purpose.")});
            let mut statement = city.app.statement(StatementKind::Order, &id, &WATCH.parse().unwrap(), body, city.app.now());
            two.iter().for_each(|signer| statement.approve(signer).unwrap());
            let app = std::sync::Arc::clone(&city.app);
            city.clock.after(readings, move || drop(app.publish(&Publication { statements: vec![statement] }).unwrap()));
            let outcome = city.app.release(&request(&city, &subject));
            city.clock.after(usize::MAX, || {});
            let is_suspended = city.app.register().orders.contains_key(&id.parse().unwrap());
            match outcome {
                Ok(_) if !is_suspended => break,
                // The order came when everything was handed out already.
                Ok(_) => {}
                Err(Error::Unpermitted(clauses)) => assert_eq!(clauses, [Clause::Order]),
                Err(Error::Unopened { .. }) => {
                    withheld += 1;
                    let lines = city.app.footprint(resident).unwrap().lines;
                    let last: Vec<_> = lines.iter().rev().take(2).map(|line| line.event.as_ref().unwrap()).collect();
                    assert_eq!(
                        (last[1].kind, last[0].reason.as_str()),
                        (Kind::Use, "use-failed"),
                        "she reads that nothing was handed out"
                    );
                }
                Err(other) => panic!("another error: {other}"),
            }
            order(&city, &lift, json!({"kind": "lift", "lifts": id}), &two).unwrap();
            assert_eq!(clauses(&city, &subject), [], "with the lift it opens again");
        }
        assert!(withheld > 0, "no order came between the log and the vault");
    });
}

#[test]
fn a_restriction_leaves_what_it_names_and_duties_become_overdue_by_the_clock() {
    on_both("restricted", |dir, url| {
        let city = city(dir, url);
        let resident = city.enrol(1)[0];
        city.app.consent_at_counter(resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
        let subject = city.app.subject(resident, &service()).unwrap();
        let two = city.watchers();
        order(&city, "ord_1", json!({"kind": "restrict", "blocks": ["blk_district"]}), &two).unwrap();
        assert_eq!(clauses(&city, &subject), [Clause::Order]);
        order(&city, "ord_2", json!({"kind": "lift", "lifts": "ord_1"}), &two).unwrap();
        order(&city, "ord_3", json!({"kind": "restrict", "blocks": ["blk_name"]}), &two).unwrap();
        assert_eq!(clauses(&city, &subject), []);

        let by = city.app.now().plus(DAY).to_string();
        order(&city, "ord_4", json!({"kind": "delete", "comply_by": by}), &two).unwrap();
        let late = || city.app.register().overdue_orders(city.app.now()).map(|order| order.id.clone()).collect::<Vec<_>>();
        assert_eq!(late(), Vec::<String>::new());
        city.clock.advance(DAY);
        assert_eq!(late(), ["ord_4"]);
    });
}
