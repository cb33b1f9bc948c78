//! What a court or an overseer ordered: a grant of its own kind, told as that, with no choice. On both databases.

use std::path::Path;

use crate::common::{City, OPERATOR, library_card, on_both, service, text};
use serde_json::{Value, json};
use usufruct_app::{Error, ReleaseRequest};
use usufruct_core::event::Kind;
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::statement::StatementKind;

on_both!(an_ordered_use_is_told_as_that_and_leaves_no_choice, a_use_that_rests_on_a_law_alone_is_none);

const ORDERED: &str = "mdt_short";

fn publish_law(city: &City) {
    let basis = |code: &str, is_order: bool| json!({"code": code, "basis": "legal_obligation", "is_order": is_order, "article": "16", "text": text("By law.")});
    let body = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2020-01-01",
        "bases": [basis("law", false), basis("order", true)],
        "deadlines": [{"duty": "access", "within": "P15D", "article": "10"}], "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, body);
}

/// A city with a mandate that rests on this provision, and a resident whose data was used once under it.
fn used(dir: &Path, url: Option<&str>, provision: &str, order: Option<Value>) -> (City, u64) {
    let city = City::found(dir, url);
    publish_law(&city);
    let mut body = library_card();
    body["legal_basis"]["code"] = json!("legal_obligation");
    body["legal_basis"]["provision"] = json!(provision);
    if let Some(order) = order {
        body["legal_basis"]["order"] = order;
    }
    city.publish_mandate(ORDERED, body);
    let resident = city.enrol(1)[0];
    let subject = city.app.subject(resident, &service()).unwrap();
    city.app.release(&ReleaseRequest { mandate: ORDERED.parse().unwrap(), ..city.request(&subject) }).unwrap();
    (city, resident)
}

fn kind(city: &City, resident: u64) -> (GrantKind, GrantState) {
    let number = city.app.register().mandates[&ORDERED.parse().unwrap()].number;
    let found = city.app.grants(resident).unwrap().into_iter().find(|stored| stored.mandate == number).unwrap();
    (found.grant.kind, found.grant.state)
}

/// The reasons of the lines that tell her of a use which nobody asked her about.
fn told(city: &City, resident: u64) -> Vec<String> {
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    events.filter(|event| event.kind == Kind::Consent && event.service.is_none()).map(|event| event.reason).collect()
}

fn an_ordered_use_is_told_as_that_and_leaves_no_choice(dir: &Path, url: Option<&str>) {
    let order = json!({"by": text("District court"), "reference": "115-civ-12", "at": "2025-11-20T00:00:00Z", "why": text("It names heirs.")});
    let (city, resident) = used(dir, url, "order", Some(order));
    assert_eq!(kind(&city, resident), (GrantKind::Ordered, GrantState::Given));
    assert_eq!(told(&city, resident), ["ordered"]);
    let mandate = ORDERED.parse().unwrap();
    for refused in [city.app.withdraw(resident, &mandate).map(drop), city.app.pause(resident, &mandate).map(drop)] {
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    assert_eq!(kind(&city, resident), (GrantKind::Ordered, GrantState::Given));
    let subject = city.app.subject(resident, &service()).unwrap();
    city.clock.advance(1_000_000);
    city.app.release(&ReleaseRequest { mandate, ..city.request(&subject) }).unwrap();
    assert_eq!(told(&city, resident), ["ordered"], "she is told once, and each use has a line of its own");
}

fn a_use_that_rests_on_a_law_alone_is_none(dir: &Path, url: Option<&str>) {
    let (city, resident) = used(dir, url, "law", None);
    assert_eq!(kind(&city, resident), (GrantKind::Notified, GrantState::Given));
    assert_eq!(told(&city, resident), ["notified"]);
}
