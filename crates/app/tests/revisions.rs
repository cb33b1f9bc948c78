//! What a revision of a mandate does to a consent, by the law in force, on both databases.

use std::path::Path;

use crate::common;
use crate::common::{CARD, City, OPERATOR, VENDOR, library_card, mandate, service, text};
use serde_json::{Value, json};
use usufruct_app::{AuthorizeRequest, Error, GrantManagement};
use usufruct_core::amendment::Change;
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::statement::StatementKind;

common::on_both!(a_consent_holds_over_what_the_law_lets_pass_and_no_further, without_a_law_every_revision_asks_again);

/// A law of Taiwan that asks again after everything but a new vendor.
fn publish_law(city: &City) {
    let asked: Vec<Value> = Change::WORDS
        .iter()
        .filter(|(_, change)| *change != Change::Processor)
        .map(|(word, _)| json!({"change": word, "article": "8"}))
        .collect();
    let body = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2020-01-01", "asks_again": asked,
        "deadlines": [{"duty": "access", "within": "P15D", "article": "10"}], "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, body);
}

fn revise(city: &City, body: &mut Value, change: impl FnOnce(&mut Value)) {
    change(body);
    city.clock.advance(1_000_000);
    city.publish_mandate(CARD, body.clone());
    city.clock.advance(1_000_000);
}

/// Whether she would be asked for the library card if she signed in to the library now.
fn is_asked(city: &City, resident: u64) -> bool {
    let request = AuthorizeRequest {
        service: service(),
        redirect_uri: "http://localhost:8081/callback".to_owned(),
        scope: vec!["openid".into(), CARD.into()],
        details: Vec::new(),
        state: None,
        nonce: None,
        challenge: None,
        by_form: false,
        jkt: None,
        management: GrantManagement::Create,
        pushed: None,
        agreed: Vec::new(),
    };
    city.app.authorization(resident, &request).unwrap().to_ask.contains(&mandate())
}

fn a_consent_holds_over_what_the_law_lets_pass_and_no_further(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    publish_law(&city);
    let mut body = library_card();
    let (resident, subject) = city.cardholder();
    let first = city.app.register().mandates[&mandate()].hash;
    city.app.release(&city.request(&subject)).unwrap();
    revise(&city, &mut body, |body| body["title"] = text("Card of the library"));
    city.publish_agency(VENDOR, "vendor");
    revise(&city, &mut body, |body| {
        let vendor = json!({"agency": VENDOR, "contract": "ctr_post", "why": text("Sends letters.")});
        body["recipients"].as_array_mut().unwrap().push(vendor);
    });
    assert!(!is_asked(&city, resident), "a vendor more asks nobody again in Taiwan");
    let released = city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(*released.blocks[0].2, "Resident 0");
    let lines = city.app.footprint(resident).unwrap().lines;
    let last = lines.last().unwrap().event.clone().unwrap();
    let present = city.app.register().mandates[&mandate()].hash;
    assert_ne!(present, first);
    assert_eq!((last.kind, last.mandate), (Kind::Use, Some(present)), "her line names the revision that is in force");
    // Another purpose stops it at once, and asks her.
    revise(&city, &mut body, |body| body["purpose"]["sentence"] = text("To count readers."));
    let Err(Error::Unpermitted(clauses)) = city.app.release(&city.request(&subject)) else {
        panic!("released for another purpose")
    };
    assert_eq!(clauses, [Clause::Grant, Clause::Notice]);
    assert!(is_asked(&city, resident));
    city.app.consent_at_counter(resident, &service(), &mandate(), &[]).unwrap();
    city.app.release(&city.request(&subject)).unwrap();
    assert!(!is_asked(&city, resident));
}

fn without_a_law_every_revision_asks_again(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    revise(&city, &mut library_card(), |body| body["title"] = text("Card of the library"));
    assert!(matches!(city.app.release(&city.request(&subject)), Err(Error::Unpermitted(_))));
    assert!(is_asked(&city, resident));
}
