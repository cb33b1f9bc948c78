//! What a resident does with a consent that she keeps or does not give: pause, resume, say no, be asked again. On both databases.

use std::path::Path;
use std::sync::Arc;

use crate::common::{CARD, City, block, library_card, mandate, on_both, service};
use usufruct_app::{Decline, Error};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::grant::GrantState;
use usufruct_core::time::SECOND;
use usufruct_store::{blocks, grants};

on_both!(
    a_paused_consent_opens_nothing_and_a_resumed_one_everything,
    no_other_consent_lends_what_is_paused,
    a_no_is_hers_alone_and_lends_nothing,
    saying_yes_again_moves_nothing,
    a_no_after_an_end_leaves_what_was_lent_as_it_was,
);

fn clauses(city: &City, subject: &str) -> Vec<Clause> {
    match city.app.release(&city.request(subject)) {
        Ok(_) => Vec::new(),
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
    }
}

fn reasons(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Grant).map(|event| event.reason).collect()
}

fn a_paused_consent_opens_nothing_and_a_resumed_one_everything(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    assert!(city.app.resume(resident, &mandate()).is_err(), "nothing is paused");
    city.app.pause(resident, &mandate()).unwrap();
    assert_eq!(clauses(&city, &subject), [Clause::Suspension]);
    assert!(city.app.pause(resident, &mandate()).is_err(), "it is paused already");
    city.app.resume(resident, &mandate()).unwrap();
    assert_eq!(clauses(&city, &subject), [], "under the same name, with the same copies");
    assert_eq!(reasons(&city, resident), ["paused", "resumed"]);
    city.app.pause(resident, &mandate()).unwrap();
    city.app.withdraw(resident, &mandate()).unwrap();
    assert!(city.app.resume(resident, &mandate()).is_err(), "what is withdrawn does not come back");
}

fn no_other_consent_lends_what_is_paused(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    assert_eq!(clauses(&city, &subject), []);
    city.app.pause(resident, &mandate()).unwrap();
    let number = city.app.register().mandates[&mandate()].number;
    let found = || city.app.db().read(|conn| grants::find(conn, resident, number)).unwrap().unwrap();
    let lines = || city.app.footprint(resident).unwrap().lines.len();
    let (before, written) = (found(), lines());
    city.clock.advance(SECOND);
    let district = [block("district")];
    let refused = [
        city.app.consent_at_counter(resident, &service(), &mandate(), &[]),
        city.app.consent_at_counter(resident, &service(), &mandate(), &district),
        city.app.consent(resident, &service(), &mandate(), &[]),
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(Error::Refused { .. })), "{outcome:?}");
    }
    let after = found();
    assert_eq!((after.id, after.revision, after.grant), (before.id, before.revision, before.grant), "its uses are counted on");
    assert_eq!(lines(), written);
    assert_eq!(clauses(&city, &subject), [Clause::Suspension]);
    city.app.resume(resident, &mandate()).unwrap();
    assert_eq!(clauses(&city, &subject), []);

    // She pauses in the moment in which she agrees elsewhere.
    let app = Arc::clone(&city.app);
    city.clock.after(0, move || app.pause(resident, &mandate()).unwrap());
    assert!(city.app.consent(resident, &service(), &mandate(), &[]).is_err());
    assert_eq!(found().grant.state, GrantState::Paused);

    // A revision that asks for more is agreed to anew, and so it is with what has ended.
    let mut wider = library_card();
    wider["purpose"]["sentence"]["en"] = "To count readers.".into();
    city.clock.advance(SECOND);
    city.publish_mandate(CARD, wider);
    city.clock.advance(SECOND);
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    assert_eq!(clauses(&city, &subject), []);
    city.app.pause(resident, &mandate()).unwrap();
    city.app.withdraw(resident, &mandate()).unwrap();
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    assert_eq!(found().grant.state, GrantState::Given);
}

fn a_no_is_hers_alone_and_lends_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let resident = city.enrol(1)[0];
    let number = city.app.register().mandates[&mandate()].number;
    let state = || city.app.db().read(|conn| grants::find(conn, resident, number)).unwrap().map(|found| found.grant.state);
    let subject = city.app.subject(resident, &service()).unwrap();
    let never_asked = clauses(&city, &subject);
    for (decline, expected) in [(Decline::Deferred, GrantState::Deferred), (Decline::Refused, GrantState::Refused)] {
        city.app.decline(resident, &service(), &mandate(), decline).unwrap();
        assert_eq!(state(), Some(expected));
        let found = city.app.db().read(|conn| grants::find(conn, resident, number)).unwrap().unwrap();
        assert!(found.grant.blocks.is_empty() && found.grant.uses == 0);
        assert!(city.app.db().read(|conn| blocks::lent(conn, resident, number)).unwrap().is_empty());
        assert_eq!(clauses(&city, &subject), never_asked, "to the service it is as if she had not been asked");
    }
    assert!(city.app.withdraw(resident, &mandate()).is_err() && city.app.pause(resident, &mandate()).is_err());
    city.app.ask_again(resident, &mandate()).unwrap();
    assert_eq!((state(), city.app.ask_again(resident, &mandate()).is_err()), (Some(GrantState::Deferred), true));
    assert_eq!(reasons(&city, resident), ["deferred", "refused", "asked-again"]);
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    assert_eq!(clauses(&city, &subject), []);
    city.app.decline(resident, &service(), &mandate(), Decline::Refused).unwrap();
    assert_eq!(state(), Some(GrantState::Given), "what she lends she takes back by withdrawing");
}

fn a_no_after_an_end_leaves_what_was_lent_as_it_was(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    assert_eq!(clauses(&city, &subject), []);
    city.app.withdraw(resident, &mandate()).unwrap();
    let entry = city.app.register().mandates[&mandate()].clone();
    let found = || city.app.db().read(|conn| grants::find(conn, resident, entry.number)).unwrap().unwrap();
    let before = found();
    city.clock.advance(1_000_000);
    city.app.decline(resident, &service(), &mandate(), Decline::Refused).unwrap();
    let after = found();
    assert_eq!((after.id, after.grant, after.last_use_at), (before.id, before.grant, before.last_use_at));
    assert_eq!(after.refused, Some(entry.hash));
    city.app.ask_again(resident, &mandate()).unwrap();
    assert_eq!((found().refused, found().grant.state), (None, GrantState::Withdrawn));
    assert!(city.app.ask_again(resident, &mandate()).is_err());
    assert_eq!(reasons(&city, resident), ["refused", "asked-again"]);
    city.app.decline(resident, &service(), &mandate(), Decline::Refused).unwrap();
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    assert_eq!((found().refused, found().grant.state), (None, GrantState::Given));
}

fn saying_yes_again_moves_nothing(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    assert_eq!(clauses(&city, &subject), []);
    let number = city.app.register().mandates[&mandate()].number;
    let found = || city.app.db().read(|conn| grants::find(conn, resident, number)).unwrap().unwrap();
    let before = found();
    city.clock.advance(1_000_000);
    city.app.reaffirm(resident, &service(), &mandate()).unwrap();
    let after = found();
    assert_eq!((before.reaffirmed_at, after.reaffirmed_at), (None, Some(city.app.now())));
    assert_eq!(after.grant, before.grant, "its uses and its last day stay");
    assert_eq!(reasons(&city, resident), ["reaffirmed"]);
    assert_eq!(clauses(&city, &subject), []);
    city.app.withdraw(resident, &mandate()).unwrap();
    assert!(city.app.reaffirm(resident, &service(), &mandate()).is_err());
}
