//! Stoppages: what the brake has stopped stays stopped until an order that was given afterwards releases it.

use usufruct_core::hash::sha256;
use usufruct_core::time::HOUR;

use super::*;

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn body(city: &City) -> Value {
    json!({"mark": sha256(b"somebody"), "body": "agc_library", "reason": format!("{CARD} lending"), "day": city.now.day()})
}

fn draft(city: &City, id: &str, body: Value) -> Statement {
    city.draft(StatementKind::Stoppage, id, "agc_operator", body, &MACHINE)
}

fn release(city: &City, id: &str, more: Value) -> Statement {
    let mut body = json!({"body": "agc_oversight", "kind": "release", "target": CARD, "strata": [sha256(b"somebody")],
        "reasons": {"en": "It was a vaccination day.", "zh-Hant": "當日施打疫苗。"}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    city.draft(StatementKind::Order, id, "agc_oversight", body, &[("agc_oversight", "head"), ("agc_oversight", "privacy")])
}

fn is_stopped(city: &City) -> bool {
    city.register.stoppage(&sha256(b"somebody"), city.now).is_some()
}

#[test]
fn what_is_stopped_stays_so_until_a_later_order_releases_it() {
    let mut city = lawful();
    let whole = body(&city);
    for (field, value, rule) in [
        ("mark", json!("somebody"), None),
        ("day", json!("2999-01-01"), Some("future")),
        ("body", json!("agc_nobody"), Some("unknown")),
        ("reason", json!("mdt_nothing lending"), Some("unknown")),
    ] {
        let mut body = whole.clone();
        body[field] = value;
        let found = refused(&city, draft(&city, "stp_1", body));
        assert!(
            found.iter().any(|problem| problem.field == field && rule.is_none_or(|rule| problem.rule == rule)),
            "{field}: {found:?}"
        );
    }
    let library = [("agc_library", "head"), ("agc_library", "privacy")];
    let foreign = city.draft(StatementKind::Stoppage, "stp_1", "agc_library", whole.clone(), &library);
    assert!(names(&refused(&city, foreign), "by", "not-the-owner"));
    // A licence given beforehand releases nothing that is stopped later.
    let beforehand = release(&city, "ord_1", json!({}));
    city.apply(beforehand).unwrap();
    let first = draft(&city, "stp_1", whole.clone());
    city.apply(first).unwrap();
    assert!(is_stopped(&city));
    assert!(names(&refused(&city, draft(&city, "stp_2", whole.clone())), "mark", "open"));
    assert!(names(&refused(&city, draft(&city, "stp_1", whole.clone())), "rev", "final"));
    // Neither another mark nor another target does, and an order that binds later does not before.
    let other_mark = release(&city, "ord_2", json!({"strata": [sha256(b"somebody else")]}));
    city.apply(other_mark).unwrap();
    let other_target = release(&city, "ord_3", json!({"target": "svc_library"}));
    city.apply(other_target).unwrap();
    assert!(is_stopped(&city));
    let later = release(&city, "ord_4", json!({"effective_at": city.now.plus(HOUR).to_string()}));
    city.apply(later).unwrap();
    assert!(is_stopped(&city));
    assert_eq!(city.register.binding_stoppages(city.now).count(), 1);
    assert!(city.register.stoppage(&sha256(b"somebody"), city.now.plus(HOUR)).is_none());
    // Lifted before its time has come, it never binds.
    let lift = json!({"body": "agc_oversight", "kind": "lift", "target": CARD, "lifts": "ord_4",
        "reasons": {"en": "Given by mistake.", "zh-Hant": "誤發。"}});
    let lift = city.draft(
        StatementKind::Order,
        "ord_5",
        "agc_oversight",
        lift,
        &[("agc_oversight", "head"), ("agc_oversight", "privacy")],
    );
    city.apply(lift).unwrap();
    assert!(city.register.stoppage(&sha256(b"somebody"), city.now.plus(HOUR)).is_some());
    let at_once = release(&city, "ord_6", json!({}));
    city.apply(at_once).unwrap();
    assert!(!is_stopped(&city));
    // The next stop is a statement of its own, which the old order does not release.
    let second = draft(&city, "stp_2", whole);
    city.apply(second).unwrap();
    assert!(is_stopped(&city));
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
