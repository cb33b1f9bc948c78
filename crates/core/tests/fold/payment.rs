//! Payments: an order to compensate is due by the law of its day, and two people of the body that owes say once that it was paid.

use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::Duty;
use usufruct_core::order::Standing;
use usufruct_core::time::DAY;

use super::*;

const LIBRARY: [(&str, &str); 2] = [("agc_library", "head"), ("agc_library", "privacy")];
const WATCH: [(&str, &str); 2] = [("agc_oversight", "head"), ("agc_oversight", "privacy")];

fn order(city: &City, id: &str, kind: &str, more: Value) -> Statement {
    let mut body = json!({"body": "agc_oversight", "kind": kind, "target": CARD, "reasons": text("Readers were charged.")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    city.draft(StatementKind::Order, id, "agc_oversight", body, &WATCH)
}

fn body(city: &City, order: &str) -> Value {
    json!({"order": order, "paid_at": city.now.to_string(),
        "evidence": [{"title": text("Transfers"), "sha256": sha256(b"transfers").to_string(), "url": "https://city.example/paid"}]})
}

fn payment(city: &City, id: &str, body: Value) -> Statement {
    city.draft(StatementKind::Payment, id, "agc_library", body, &LIBRARY)
}

fn standing(city: &City, id: &str) -> Standing {
    let id = id.parse().unwrap();
    city.register.standing(&id, &city.register.orders[&id], city.now)
}

#[test]
fn compensation_is_due_by_law_and_answered_by_who_owes_it() {
    let mut city = lawful();
    let given = order(&city, "ord_1", "compensate", json!({}));
    city.apply(given).unwrap();
    let (id, library) = ("ord_1".parse().unwrap(), "agc_library".parse().unwrap());
    let within = city.register.law(&library, city.now).within(Duty::Remedy);
    assert!(within > DAY);
    let due_at = city.register.due_at(&id, &city.register.orders[&id]).unwrap();
    assert_eq!(due_at, city.now.plus(within));
    assert_eq!(standing(&city, "ord_1"), Standing::InForce);
    // An order that says its day keeps it, and one of another kind still has to say one.
    let own_day = city.now.plus(DAY);
    let dated = order(&city, "ord_2", "compensate", json!({"comply_by": own_day.to_string()}));
    city.apply(dated).unwrap();
    let second = "ord_2".parse().unwrap();
    assert_eq!(city.register.due_at(&second, &city.register.orders[&second]), Some(own_day));
    assert!(names(&refused(&city, order(&city, "ord_3", "correct", json!({}))), "comply_by", "missing"));

    let whole = body(&city, "ord_1");
    for (change, field, rule) in [
        (json!({"order": "ord_9"}), "order", "unknown"),
        (json!({"paid_at": city.now.plus(DAY).to_string()}), "paid_at", "future"),
        (json!({"paid_at": "2020-01-01T00:00:00Z"}), "paid_at", "before-order"),
    ] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert!(names(&refused(&city, payment(&city, "pay_1", body)), field, rule), "{rule}");
    }
    let mut bare = whole.clone();
    bare.as_object_mut().unwrap().remove("evidence");
    assert!(refused(&city, payment(&city, "pay_1", bare)).iter().any(|problem| problem.field == "evidence"));
    let foreign = city.draft(StatementKind::Payment, "pay_1", "agc_oversight", whole.clone(), &WATCH);
    assert!(names(&refused(&city, foreign), "by", "not-the-owner"));
    let alone = city.draft(StatementKind::Payment, "pay_1", "agc_library", whole.clone(), &LIBRARY[..1]);
    assert!(names(&refused(&city, alone), "approvals", "too-few"));
    let suspension = order(&city, "ord_4", "suspend", json!({}));
    city.apply(suspension).unwrap();
    assert!(names(&refused(&city, payment(&city, "pay_1", body(&city, "ord_4"))), "order", "other-kind"));

    city.now = due_at;
    assert_eq!((standing(&city, "ord_1"), standing(&city, "ord_2")), (Standing::Overdue, Standing::Overdue));
    let late = city.register.late(city.now);
    let of_library = late.iter().filter(|late| late.duty == LateDuty::Order && late.agency == library);
    assert_eq!(
        of_library.map(|late| (late.object.as_str(), late.due_at)).collect::<Vec<_>>(),
        [("ord_2", own_day), ("ord_1", due_at)]
    );
    // Late is better than never, and once is enough.
    let paid = payment(&city, "pay_1", body(&city, "ord_1"));
    city.apply(paid).unwrap();
    assert_eq!((standing(&city, "ord_1"), standing(&city, "ord_2")), (Standing::Complied, Standing::Overdue));
    assert!(names(&refused(&city, payment(&city, "pay_2", body(&city, "ord_1"))), "order", "paid"));
    assert!(names(&refused(&city, payment(&city, "pay_1", body(&city, "ord_1"))), "rev", "final"));
    assert_eq!(city.register.payment(&id).unwrap().id, "pay_1");
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
