//! A portal outside reads a resident's footprint: by her consent alone, as a use that is logged first, on both databases.

use std::path::Path;

use crate::common;
use crate::common::{CARD, City, LIBRARY, OPERATOR, library_card, text};
use serde_json::json;
use usufruct_app::{Error, FOOTPRINT, FoundUsage, UsageRequest};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, MINUTE};

common::on_both!(
    a_reading_is_a_use_and_tells_what_was_before_it,
    a_reading_needs_her_consent_and_ends_with_it,
    a_service_without_a_mandate_reads_nothing,
);

const PORTAL: &str = "svc_portal";
const READS: &str = "mdt_portal";

fn portal() -> ServiceId {
    PORTAL.parse().unwrap()
}

fn reads() -> MandateId {
    READS.parse().unwrap()
}

/// A city with a portal that may read footprints by consent.
fn found(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    let block = json!({
        "name": text("Footprint"), "category": "pd:Name", "sensitivity": "sensitive", "source_agency": OPERATOR,
        "attributes": [text("Lines")], "forms_allowed": ["value"], "correctable": false,
    });
    city.publish(StatementKind::DataBlock, FOOTPRINT, OPERATOR, block);
    let mut body = library_card();
    body["title"] = text("National portal");
    body["blocks"] =
        json!([{"block": FOOTPRINT, "necessity": "required", "form": "value", "reason": text("To show it to you.")}]);
    body["operations"] = json!(["disclose"]);
    body["mode"] = json!("view");
    body["bulk_limit"] = json!(1);
    body["reasons"] = json!([{"code": "shown", "text": text("You looked at the portal.")}]);
    city.publish_mandate(READS, body);
    city.open_service_with(PORTAL, LIBRARY, "portal", |body| body["mandates"] = json!([CARD, READS]));
    city
}

fn request(subject: &str) -> UsageRequest {
    UsageRequest {
        service: portal(),
        mandate: reads(),
        subject: subject.to_owned(),
        sign_in: None,
        from: None,
        until: None,
        offset: 0,
        limit: 1_000,
    }
}

fn actions(found: &FoundUsage) -> Vec<&str> {
    found.usages.iter().map(|usage| usage.action.en.as_str()).collect()
}

fn a_reading_is_a_use_and_tells_what_was_before_it(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, at_library) = city.cardholder();
    city.app.consent_at_counter(resident, &portal(), &reads(), &[]).unwrap();
    let subject = city.app.subject(resident, &portal()).unwrap();
    assert_eq!(city.app.usage_mandate(&portal()).unwrap(), reads());
    let began_at = city.app.now();
    city.clock.advance(MINUTE);
    city.app.release(&city.request(&at_library)).unwrap();
    // What was refused moved no data, and is told to her and not to the portal.
    let mut wrong = city.request(&at_library);
    wrong.reason = "curiosity".into();
    assert!(city.app.release(&wrong).is_err());
    city.clock.advance(MINUTE);
    city.app.release(&city.request(&at_library)).unwrap();
    city.clock.advance(MINUTE);
    let first = city.app.find_usage(&request(&subject)).unwrap();
    assert_eq!((first.total, actions(&first)), (2, vec!["You borrowed a book."; 2]));
    assert_eq!(first.usages[0].at, began_at.plus(2 * MINUTE), "newest first");
    assert_eq!((first.usages[0].agency.as_str(), first.usages[0].system.en.as_str()), (LIBRARY, "Library"));
    // The reading itself stands in her footprint, and the next reading tells it.
    let lines = city.app.footprint(resident).unwrap().lines;
    let last = lines.last().unwrap();
    let event = last.event.as_ref().unwrap();
    assert_eq!((last.index, event.kind, event.service.clone()), (first.index, Kind::Use, Some(portal())));
    assert_eq!(event.blocks[0].0.as_str(), FOOTPRINT);
    city.clock.advance(MINUTE);
    let second = city.app.find_usage(&request(&subject)).unwrap();
    assert_eq!(actions(&second), ["You looked at the portal.", "You borrowed a book.", "You borrowed a book."]);
    // Ends are whole days: with moments a portal would find the second of a use by asking a few times.
    let within = |from, until| UsageRequest { from: Some(from), until: Some(until), ..request(&subject) };
    assert_eq!(city.app.find_usage(&within(began_at.plus(3 * MINUTE), began_at)).unwrap().total, 4);
    // A page that ends with a day that is over does not move while it is turned.
    city.clock.advance(DAY);
    let page = |offset, limit| UsageRequest { until: Some(began_at), offset, limit, ..request(&subject) };
    let (one, two) = (city.app.find_usage(&page(0, 1)).unwrap(), city.app.find_usage(&page(4, 1)).unwrap());
    assert_eq!(
        (one.total, one.usages[0].at, two.total, two.usages[0].at),
        (5, began_at.plus(4 * MINUTE), 5, began_at.plus(MINUTE))
    );
    assert_eq!(city.app.find_usage(&within(city.app.now(), city.app.now())).unwrap().total, 2, "the readings of today");
}

fn a_reading_needs_her_consent_and_ends_with_it(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, _) = city.cardholder();
    let refused = |subject: &str| match city.app.find_usage(&request(subject)) {
        Err(Error::Unpermitted(clauses)) => clauses,
        other => panic!("{:?}", other.map(|found| found.total)),
    };
    let subject = city.app.subject(resident, &portal()).unwrap();
    assert_eq!(refused(&subject), [Clause::Grant]);
    let line = city.app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap();
    assert_eq!((line.kind, line.service), (Kind::Refusal, Some(portal())), "that it was tried stands in her footprint");
    city.app.consent_at_counter(resident, &portal(), &reads(), &[]).unwrap();
    city.app.find_usage(&request(&subject)).unwrap();
    city.app.withdraw(resident, &reads()).unwrap();
    assert!(matches!(city.app.find_usage(&request(&subject)), Err(Error::Unknown { .. })), "her old pseudonym leads nowhere");
    let subject = city.app.subject(resident, &portal()).unwrap();
    assert_eq!(refused(&subject), [Clause::Grant]);
    // What somebody else is called leads to nobody here.
    let (_, foreign) = city.cardholder();
    assert!(matches!(city.app.find_usage(&request(&foreign)), Err(Error::Unknown { .. })));
}

fn a_service_without_a_mandate_reads_nothing(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, subject) = city.cardholder();
    assert!(matches!(city.app.usage_mandate(&common::service()), Err(Error::Refused { .. })));
    city.app.consent_at_counter(resident, &portal(), &reads(), &[]).unwrap();
    let stolen = UsageRequest { service: common::service(), ..request(&subject) };
    let Err(Error::Unpermitted(clauses)) = city.app.find_usage(&stolen) else { panic!("a service that is not named read it") };
    assert!(clauses.contains(&Clause::Service), "{clauses:?}");
}
