//! A vendor of the library under a law that supervises vendors, with its contract, its checks and its service.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;

use serde_json::{Value, json};
use usufruct_app::{Error, LifecycleStep, Publication};
use usufruct_core::Text;
use usufruct_core::hash::sha256;
use usufruct_core::id::ServiceId;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::time::DAY;

use crate::common::{CARD, City, LIBRARY, OPERATOR, VENDOR, library_card, looked_into, text};

pub const CONTRACT: &str = "ctr_cloud";
pub const THEIRS: &str = "svc_theirs";

pub fn theirs() -> ServiceId {
    THEIRS.parse().unwrap()
}

/// A city under the law that supervises vendors, with one that prints the cards of the library.
pub fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    supervise(&city);
    city
}

/// The law that supervises vendors, and a vendor that works for the library.
pub fn supervise(city: &City) {
    city.publish(StatementKind::Lawpack, "law_vendors", OPERATOR, law());
    bind(city, VENDOR, CONTRACT, &[CARD], &[]);
    let mut card = library_card();
    card["recipients"]
        .as_array_mut()
        .unwrap()
        .push(json!({"agency": VENDOR, "contract": CONTRACT, "why": text("It prints the cards.")}));
    city.publish_mandate(CARD, card);
    city.open_service_with(THEIRS, VENDOR, "theirs", |body| body["mandates"] = json!([CARD]));
}

/// A vendor and its contract with the library about these mandates, which binds and lets it have these blocks as values. The law stands already.
pub fn bind(city: &City, vendor: &str, contract: &str, mandates: &[&str], values: &[&str]) {
    city.publish_agency(vendor, "vendor");
    city.publish(StatementKind::Contract, contract, LIBRARY, contract_body(city, vendor, mandates, values));
    for (kind, by, to) in [("agency", LIBRARY, State::CheckedAgency), ("city", OPERATOR, State::CheckedCity)] {
        check_of(city, contract, kind, by, "passed");
        step(city, contract, to, &city.signer(LIBRARY)).unwrap();
    }
    for to in [State::Signed, State::Active] {
        step(city, contract, to, &city.signer(LIBRARY)).unwrap();
    }
}

/// A law with two clauses of its own; core's tests are about the library that ships.
pub fn law() -> Value {
    let clause = |code: &str, parameters: Value| json!({"code": code, "article": "1", "text": text(&format!("It says {code}.")), "parameters": parameters});
    json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2025-01-01",
    "deadlines": [{"duty": "check_grace", "within": "P14D", "article": "1"}], "sources": [{"title": "A law", "url": "https://law.example"}],
    "processors": {"data_locations": ["TW"], "clauses": [
        clause("rights-help", json!([{"name": "within_days", "kind": "number", "min": 3, "max": 15}])),
        clause("liability", json!([{"name": "cover", "kind": "text"}])),
    ]}})
}

/// It fills every clause of the library that is in force, whatever that asks.
fn contract_body(city: &City, vendor: &str, mandates: &[&str], values: &[&str]) -> Value {
    let values: Vec<Value> = values.iter().map(|block| json!({"block": block, "why": text("It cannot do without.")})).collect();
    let now = city.app.now();
    let register = city.app.register();
    let law = register.law(&LIBRARY.parse().unwrap(), now);
    let clauses: Vec<Value> = law
        .clauses()
        .map(|clause| {
            let filled = clause.parameters.iter().map(|parameter| {
                let value = match parameter.kind {
                    usufruct_core::clause::ParameterKind::Number => {
                        json!(parameter.min.unwrap_or(0).max(parameter.at_least.map_or(0, |duty| law.days(duty))))
                    }
                    usufruct_core::clause::ParameterKind::Text => text("As agreed"),
                    usufruct_core::clause::ParameterKind::Day => json!("2027-01-01"),
                };
                (parameter.name.clone(), value)
            });
            json!({"clause": clause.code, "parameters": filled.collect::<serde_json::Map<_, _>>()})
        })
        .collect();
    json!({
        "controller": LIBRARY, "vendor": vendor, "mandates": mandates, "scope": text("Prints cards."), "from": now.to_string(),
        "until": now.plus(400 * DAY).to_string(),
        "capability_evidence": [{"kind": "ISO", "issuer": "X", "expires": now.plus(400 * DAY).to_string(), "sha256": sha256(b"ISO")}],
        "measures": [text("Locks.")], "data_locations": ["TW"], "cloud_provider": "none", "breach_first_ping_hours": 1, "breach_report_hours": 24,
        "check_every": "P90D", "next_check_due": now.plus(90 * DAY).to_string(), "penalty": text("A fine."),
        "penalties": [{"trigger": text("A day late"), "amount": "TWD 1,000"}], "no_own_purpose": true,
        "delete_within_days": 7, "clauses": clauses, "value_blocks": values,
    })
}

pub fn check(city: &City, kind: &str, by: &str, outcome: &str) {
    check_of(city, CONTRACT, kind, by, outcome);
}

fn check_of(city: &City, contract: &str, kind: &str, by: &str, outcome: &str) {
    let revision = city.app.register().contracts[&contract.parse().unwrap()].hash;
    let body = json!({"contract": contract, "revision": revision, "kind": kind, "done_at": city.app.now().to_string(), "outcome": outcome,
        "evidence": [{"title": text("Report"), "sha256": sha256(kind.as_bytes())}]});
    let id = format!("chk_{}", city.app.register().checks.len());
    city.publish(StatementKind::Check, &id, by, body);
}

pub fn step(city: &City, object: &str, to: State, signers: &[&Signer]) -> Result<(), Error> {
    let (register, reason) = (city.app.register(), Text::new("The next step.", "下一步。"));
    let contract = object.parse().ok().and_then(|id| register.contracts.get(&id)).map(|entry| (entry.hash, entry.state));
    let agreement = || object.parse().ok().and_then(|id| register.agreements.get(&id)).map(|entry| (entry.hash, entry.state));
    let camera = || object.parse().ok().and_then(|id| register.cameras.get(&id)).map(|entry| (entry.hash, entry.state));
    let (revision, from) = contract.or_else(agreement).or_else(camera).unwrap();
    let step = LifecycleStep { object, revision, from, to, reason, grounds: looked_into() };
    let statement = city.app.step(&step, signers[0].agency(), signers, city.app.now())?;
    city.app.publish(&Publication { statements: vec![statement] }).map(drop)
}

/// A camera that the library permits until so many days from now, looked at just now.
pub fn camera(city: &City, days: i64) -> Value {
    let now = city.app.now();
    json!({"authority": LIBRARY, "installer": VENDOR, "applicant": OPERATOR, "permit_no": "1", "permit_until": now.plus(days * DAY).to_string(),
        "location": {"place": text("Door"), "latitude": "25.033964", "longitude": "121.564468", "precision_m": 5}, "direction": "north",
        "field": text("The door."), "purpose_code": "premises", "px_per_m": 40, "recording": {"kept": false}, "audio": false,
        "face_recognition": false, "joined_with_personal_data": false, "view_request_url": "https://library.example/view",
        "last_check": now.to_string()})
}

pub fn state(city: &City) -> State {
    city.app.register().contracts[&CONTRACT.parse().unwrap()].state
}
