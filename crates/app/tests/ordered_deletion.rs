//! An order to delete is carried out by the machine: from its first moment nothing is opened, its keys go, and everybody is told. On both databases.

use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{City, SERVICE, WATCH, library_card, on_both, service, text};
use serde_json::json;
use usufruct_app::{Error, ReleaseRequest};
use usufruct_core::certificate::Cause;
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, OrderId};
use usufruct_core::lifecycle::State;
use usufruct_core::order::Standing;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Text};
use usufruct_store::{authorizations, blocks, grants, keyrings};

on_both!(
    what_is_ordered_to_be_deleted_is_gone_and_everybody_learns_of_it,
    an_order_waits_for_its_day_and_a_mandate_that_ends_takes_it_along,
    an_order_that_is_lifted_when_the_machine_begins_destroys_nothing,
    a_mandate_whose_key_was_replaced_gets_another_one,
    what_a_restored_database_brings_back_ends_again,
    a_grant_that_cannot_be_ended_holds_up_nothing,
);

const WATCHED: &str = "mdt_short";

fn mandate() -> MandateId {
    WATCHED.parse().unwrap()
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

fn order(city: &City, id: &str, change: serde_json::Value) -> OrderId {
    let mut body = json!({"body": WATCH, "target": WATCHED, "kind": "delete", "reasons": text("It goes beyond its purpose."),
        "comply_by": city.app.now().plus(30 * DAY).to_string()});
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    city.watch(StatementKind::Order, id, body, &city.watchers()).unwrap();
    id.parse().unwrap()
}

fn number(city: &City) -> u64 {
    city.app.register().mandates[&mandate()].number
}

fn agree(city: &City, resident: u64) -> Result<String, Error> {
    city.app.consent_at_counter(resident, &service(), &mandate(), &[])?;
    city.app.subject(resident, &service())
}

fn clauses(city: &City, subject: &str) -> Vec<Clause> {
    match city.app.release(&ReleaseRequest { mandate: mandate(), ..city.request(subject) }) {
        Ok(_) => Vec::new(),
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
    }
}

fn state(city: &City, resident: u64) -> GrantState {
    city.app.db().read(|conn| grants::find(conn, resident, number(city))).unwrap().unwrap().grant.state
}

fn standing(city: &City, id: &OrderId) -> Standing {
    let register = city.app.register();
    register.standing(id, &register.orders[id], city.app.now())
}

fn what_is_ordered_to_be_deleted_is_gone_and_everybody_learns_of_it(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (card_holder, card_subject) = city.cardholder();
    let people = [card_holder, city.enrol(1)[0]];
    let subjects = people.map(|resident| agree(&city, resident).unwrap());
    assert!(subjects.iter().all(|subject| clauses(&city, subject).is_empty()));
    let lent = city.app.db().read(|conn| blocks::lent(conn, people[0], number(&city))).unwrap();
    assert_eq!(lent.len(), 1);
    let before = city.app.footprint(people[0]).unwrap().lines.len();
    city.clock.advance(1);

    let id = order(&city, "ord_1", json!({}));
    // The clock of the test stands still, so this is the same moment; the keys live yet.
    assert!(subjects.iter().all(|subject| clauses(&city, subject).contains(&Clause::Order)), "nothing is opened any more");
    assert!(
        matches!(agree(&city, people[1]), Err(Error::Unpermitted(clauses)) if clauses == [Clause::Order]),
        "nothing new is lent"
    );
    assert_eq!(standing(&city, &id), Standing::InForce);

    city.app.tick().unwrap();
    let register = city.app.register();
    let certificate = register.carried_out(&id).expect("the register says that it was carried out");
    assert_eq!((certificate.body.cause, certificate.body.mandate.as_deref()), (Cause::Order, Some(WATCHED)));
    assert_eq!(certificate.body.grants.unwrap().to_string(), "1-9", "how few they were nobody reads");
    assert_eq!(standing(&city, &id), Standing::Enforced);
    for resident in people {
        assert_eq!(state(&city, resident), GrantState::Invalidated);
        assert!(city.app.db().read(|conn| blocks::lent(conn, resident, number(&city))).unwrap().is_empty());
        let known = city.app.db().read(|conn| authorizations::of_resident(conn, resident, None)).unwrap();
        assert!(known.iter().all(|known| !known.scope.contains(WATCHED)), "no service may ask for her under it");
        let lines = city.app.footprint(resident).unwrap().lines;
        let event = lines.last().unwrap().event.clone().unwrap();
        assert_eq!((event.kind, event.reason.as_str(), event.clause.as_deref()), (Kind::Withdrawal, "order", Some("order")));
        assert_eq!(event.detail.as_deref(), Some(certificate.id.as_str()));
    }
    assert_eq!(city.app.footprint(people[0]).unwrap().lines.len(), before + 2, "the refusal and the end");
    assert!(subjects.iter().all(|subject| clauses(&city, subject).contains(&Clause::Grant)));
    let notices = city.app.deletion_notices(&service()).unwrap();
    let told: Vec<_> = notices.iter().map(|notice| (notice.mandate.clone(), notice.subject.clone())).collect();
    assert_eq!(told, [(Some(mandate()), None)], "{SERVICE} has to delete all that it got under the mandate");
    assert!(city.app.release(&city.request(&card_subject)).is_err(), "the authorization went with it");
    city.app.consent_at_counter(card_holder, &service(), &common::mandate(), &[]).unwrap();

    // A copy that somebody kept opens nothing, even where the grant is written back.
    let kept: Vec<_> = lent.into_iter().map(|(block, sealed)| (people[0], number(&city), block, sealed)).collect();
    city.clock.advance(1);
    let subject = agree(&city, people[0]).unwrap();
    assert_eq!(clauses(&city, &subject), [], "who agrees anew lends anew");
    city.app.db().transaction("put back", move |tx| blocks::put_lent(tx, &kept)).unwrap();
    assert!(city.app.release(&ReleaseRequest { mandate: mandate(), ..city.request(&subject) }).is_err());

    let leaves = city.app.register().certificates.len();
    city.app.tick().unwrap();
    assert_eq!(city.app.register().certificates.len(), leaves, "an order is carried out once");
    assert_eq!(state(&city, people[0]), GrantState::Given);
}

fn an_order_waits_for_its_day_and_a_mandate_that_ends_takes_it_along(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let subject = agree(&city, resident).unwrap();
    let day = city.app.now().plus(DAY);
    let id = order(&city, "ord_1", json!({"effective_at": day.to_string()}));
    city.app.tick().unwrap();
    assert!(clauses(&city, &subject).is_empty() && city.app.register().carried_out(&id).is_none());
    city.clock.advance(DAY);
    assert!(clauses(&city, &subject).contains(&Clause::Order));
    // Lifted before the machine had its turn.
    let lifted = order(&city, "ord_2", json!({"kind": "lift", "lifts": "ord_1", "comply_by": null}));
    city.app.tick().unwrap();
    assert!(clauses(&city, &subject).is_empty() && city.app.register().carried_out(&id).is_none());
    assert_eq!((standing(&city, &id), standing(&city, &lifted)), (Standing::Lifted, Standing::Complied));
    order(&city, "ord_3", json!({}));
    city.app.end_mandate(&mandate(), &city.signer(common::LIBRARY), Text::new("Over.", "結束。")).unwrap();
    city.app.tick().unwrap();
    assert_eq!(city.app.register().mandates[&mandate()].state, State::Erased);
    assert_eq!(state(&city, resident), GrantState::Terminated, "what was revoked was given up by the controller");
    city.clock.advance(40 * DAY);
    assert_eq!(standing(&city, &"ord_3".parse().unwrap()), Standing::Enforced, "what it was about is gone, so it is not late");
}

fn an_order_that_is_lifted_when_the_machine_begins_destroys_nothing(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let subject = agree(&city, resident).unwrap();
    let id = order(&city, "ord_1", json!({}));
    city.clock.advance(1);
    let body = json!({"body": WATCH, "target": WATCHED, "kind": "lift", "lifts": "ord_1", "reasons": text("It was a mistake.")});
    let lift = city.said_by_watch(StatementKind::Order, "ord_2", body);
    // After the list of what is to be done was made, and before anything of it is.
    let app = Arc::clone(&city.app);
    city.clock.after(0, move || drop(app.publish(&lift).unwrap()));
    assert_eq!(city.app.run_orders().unwrap(), []);
    assert_eq!(standing(&city, &id), Standing::Lifted);
    assert!(city.app.register().carried_out(&id).is_none() && city.app.register().certificates.is_empty());
    assert_eq!((state(&city, resident), clauses(&city, &subject)), (GrantState::Given, vec![]));
    assert!(city.app.deletion_notices(&service()).unwrap().is_empty(), "no service was told to delete anything");
    city.app.tick().unwrap();
    assert_eq!(state(&city, resident), GrantState::Given);
}

fn a_mandate_whose_key_was_replaced_gets_another_one(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    agree(&city, resident).unwrap();
    let living = || -> Vec<Digest> {
        let of = usufruct_core::key::KeyOf::Mandate(mandate());
        city.app.register().living_keys(&of).iter().map(|key| key.body.commitment).collect()
    };
    let first = living();
    city.app.rotate_mandate(&mandate()).unwrap();
    let second = living();
    city.clock.advance(1);
    let id = order(&city, "ord_1", json!({}));
    assert_eq!(city.app.run_orders().unwrap(), [id]);
    let third = living();
    assert!(third.len() == 1 && third != second && second != first);
    assert!([first, second].concat().iter().all(|key| !city.app.key_lives(key)) && city.app.key_lives(&third[0]));
}

fn what_a_restored_database_brings_back_ends_again(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let subject = agree(&city, resident).unwrap();
    let old = city.app.db().read(|conn| grants::find(conn, resident, number(&city))).unwrap().unwrap();
    city.clock.advance(1);
    order(&city, "ord_1", json!({}));
    city.app.tick().unwrap();
    city.app.db().transaction("put back", move |tx| grants::put(tx, &old)).unwrap();
    assert!(clauses(&city, &subject).contains(&Clause::Order), "the row is from before the order");
    city.app.tick().unwrap();
    assert_eq!(state(&city, resident), GrantState::Invalidated);
}

fn a_grant_that_cannot_be_ended_holds_up_nothing(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let people = [city.enrol(1)[0], city.enrol(1)[0]];
    let subjects = people.map(|resident| agree(&city, resident).unwrap());
    city.clock.advance(1);
    let id = order(&city, "ord_1", json!({}));
    city.app.db().transaction("damage", move |tx| keyrings::put(tx, people[0], 1, &[0; 64])).unwrap();
    assert!(city.app.tick().is_err(), "somebody has to look at it");
    assert!(city.app.register().carried_out(&id).is_some());
    assert_eq!(people.map(|resident| state(&city, resident)), [GrantState::Given, GrantState::Invalidated]);
    let request = |subject| ReleaseRequest { mandate: mandate(), ..city.request(subject) };
    assert!(subjects.iter().all(|subject| city.app.release(&request(subject)).is_err()), "its keys are gone too");
    city.clock.advance(1);
    agree(&city, people[1]).unwrap();
    assert!(city.app.tick().is_err());
    assert_eq!(state(&city, people[1]), GrantState::Given, "what was lent after the certificate stays");
}
