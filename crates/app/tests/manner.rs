//! How far back a mandate reaches and why a use is needed, where data is really handed out: on both databases.

use std::path::Path;

use crate::common;
use crate::common::{City, OPERATOR, library_card, service, text};
use serde_json::json;
use usufruct_app::{DepositRequest, Error, ReleaseRequest};
use usufruct_core::decide::Clause;
use usufruct_core::event::Kind;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::DAY;

const SHORT: &str = "mdt_short";

common::on_both!(deposits_out_of_reach_are_not_handed_out, a_reason_in_writing_is_hers_to_read);

fn refused<T>(outcome: Result<T, Error>) -> Vec<Clause> {
    match outcome {
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => Vec::new(),
    }
}

fn deposits_out_of_reach_are_not_handed_out(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut body = library_card();
    body["operations"] = json!(["collect", "deposit"]);
    body["retention"]["duration"] = json!("P90D");
    body["data_range"] = json!({"back": "P10D"});
    city.publish_mandate(SHORT, body);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    let asked = ReleaseRequest { mandate: SHORT.parse().unwrap(), ..city.request(&subject) };
    for value in ["Main hall", "Garden"] {
        let deposit = DepositRequest {
            service: service(),
            mandate: asked.mandate.clone(),
            subject: subject.clone(),
            block: asked.blocks[0].0.clone(),
            value: value.into(),
            reason: "lending".into(),
            actor: None,
            sign_in: None,
            third_party: false,
        };
        city.app.deposit(&deposit).unwrap();
        city.clock.advance(8 * DAY);
    }
    let values = |city: &City| -> Vec<String> {
        let released = city.app.release(&asked).unwrap();
        assert!(!released.blocks[0].2.is_empty(), "what is true now is in reach");
        released.deposits.iter().map(|deposit| deposit.value.to_string()).collect()
    };
    assert_eq!(values(&city), ["Garden"], "the other one is of sixteen days ago");
    assert_eq!(city.app.own_deposits(resident).unwrap().len(), 2, "she sees both");
    let now = city.app.now();
    let since = |back: i64| ReleaseRequest { since: Some(now.plus(-back)), ..asked.clone() };
    assert_eq!(refused(city.app.release(&since(10 * DAY))), []);
    assert_eq!(refused(city.app.release(&since(10 * DAY + 1))), [Clause::DataRange]);
    city.clock.advance(3 * DAY);
    assert!(values(&city).is_empty());
}

fn a_reason_in_writing_is_hers_to_read(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let law = json!({"jurisdiction": "TW", "title": text("Act"), "status": "in_force", "valid_from": "2016-03-15",
        "exceptions": [{"code": "TW16.2", "article": "Act 16(2)", "text": text("Public interest."), "opens": "other_purpose",
            "reason_each_use": true}],
        "deadlines": [{"duty": "access", "within": "P15D", "article": "Act 13"}],
        "sources": [{"title": "Act", "url": "https://law.example.org"}]});
    let mut pack = city.app.statement(StatementKind::Lawpack, "law_tw", &OPERATOR.parse().unwrap(), law, city.app.now());
    for signer in city.signer(OPERATOR) {
        pack.approve(signer).unwrap();
    }
    city.app.publish(&usufruct_app::Publication { statements: vec![pack] }).unwrap();
    let mut body = library_card();
    body["exception"] = json!({"code": "TW16.2", "written_reason": text("Books about the epidemic.")});
    city.publish_mandate(SHORT, body);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &SHORT.parse().unwrap(), &[]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    let asked = |reason: Option<&str>| ReleaseRequest {
        mandate: SHORT.parse().unwrap(),
        written_reason: reason.map(str::to_owned),
        ..city.request(&subject)
    };
    for nothing in [None, Some(""), Some("  ")] {
        assert_eq!(refused(city.app.release(&asked(nothing))), [Clause::WrittenReason]);
    }
    assert!(matches!(city.app.release(&asked(Some(&"x".repeat(401)))), Err(Error::Refused { .. })));
    city.app.release(&asked(Some(" The book was returned wet. "))).unwrap();
    let lines = city.app.footprint(resident).unwrap().lines;
    let used = lines.iter().filter_map(|line| line.event.as_ref()).find(|event| event.kind == Kind::Use).unwrap();
    assert_eq!(used.detail.as_deref(), Some("The book was returned wet."));
    // Where no law asks for it, it stands nowhere.
    let (other, at_library) = city.cardholder();
    city.app.release(&ReleaseRequest { written_reason: Some("Why not.".into()), ..city.request(&at_library) }).unwrap();
    let lines = city.app.footprint(other).unwrap().lines;
    assert!(lines.iter().filter_map(|line| line.event.as_ref()).all(|event| event.detail.as_deref() != Some("Why not.")));
}
