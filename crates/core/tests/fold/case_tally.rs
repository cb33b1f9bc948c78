//! Case tallies: month after month without a gap, by the machine, once a month is over, and final.

use super::*;
use usufruct_core::late::LateDuty;
use usufruct_core::publication;
use usufruct_core::time::{DAY, Month};

const MACHINE: [(&str, &str); 1] = [("agc_operator", "automation")];

fn body(agency: &str, month: Month) -> Value {
    json!({"agency": agency, "month": month.to_string(), "counts": [
        {"kind": "access", "what": "filed", "count": "31"}, {"kind": "access", "what": "in_time", "count": "1-9"}]})
}

fn draft(city: &City, id: &str, agency: &str, month: Month) -> Statement {
    city.draft(StatementKind::CaseTally, id, "agc_operator", body(agency, month), &MACHINE)
}

#[test]
fn only_the_machine_publishes_what_the_machine_counted() {
    let mut city = lawful();
    let month = Month::of(city.now);
    city.now = month.next().begins();
    let person = [("agc_operator", "head")];
    for keys in [&person[..], &[MACHINE[0], person[0]]] {
        let said = city.draft(StatementKind::CaseTally, "cst_1", "agc_operator", body("agc_library", month), keys);
        assert!(names(&publication::problems(&city.register, &said), "approvals", "not-machine"), "{keys:?}");
        assert!(city.register.check(&said).is_ok(), "what stands in a log is replayed");
    }
    let told = draft(&city, "cst_1", "agc_library", month);
    assert!(names(&publication::problems(&city.register, &told), "counts", "subtractable"), "31 beside 1-9");
    let mut counts = body("agc_library", month);
    counts["counts"][0]["count"] = json!("10+");
    let by_machine = city.draft(StatementKind::CaseTally, "cst_1", "agc_operator", counts, &MACHINE);
    assert_eq!(publication::problems(&city.register, &by_machine), []);
    city.apply(by_machine).unwrap();
    // A month that nobody counts shows.
    let late = |at: Time| city.register.late(at).into_iter().find(|late| late.duty == LateDuty::CaseTally);
    let due = month.next().next().begins();
    assert_eq!(late(due), None);
    let late = late(due.plus(DAY)).unwrap();
    assert_eq!((late.object.as_str(), late.agency.as_str(), late.due_at), ("agc_library", "agc_operator", due));
}

/// A machine that never counted a body is as late as one that stopped: for every month since the first mandate of the body began.
#[test]
fn a_body_that_was_never_counted_is_late_for_every_month() {
    let mut city = lawful();
    let first = Month::of(city.now);
    let later = first.next().next().next().begins();
    let months =
        |city: &City, at: Time| city.register.uncounted_months(at).remove(&"agc_library".parse().unwrap()).unwrap_or_default();
    assert_eq!(months(&city, first.next().begins()), [], "the machine has a day");
    assert_eq!(months(&city, first.next().begins().plus(DAY)), [first]);
    assert_eq!(months(&city, later.plus(DAY)), [first, first.next(), first.next().next()]);
    assert!(!city.register.uncounted_months(later.plus(DAY)).contains_key(&"agc_parks".parse().unwrap()), "it has no mandate");
    let late = |city: &City| city.register.late(later.plus(DAY)).into_iter().find(|late| late.duty == LateDuty::CaseTally);
    let owed = late(&city).unwrap();
    assert_eq!((owed.object.as_str(), owed.agency.as_str(), owed.due_at), ("agc_library", "agc_operator", first.next().begins()));
    city.now = later;
    for (id, month) in [("cst_1", first), ("cst_2", first.next()), ("cst_3", first.next().next())] {
        let told = draft(&city, id, "agc_library", month);
        city.apply(told).unwrap();
    }
    assert_eq!((months(&city, later.plus(DAY)), late(&city)), (vec![], None));
}

#[test]
fn the_machine_counts_each_month_of_a_body_once_it_is_over() {
    const LIBRARY: &str = "agc_library";
    let mut city = lawful();
    let month = Month::of(city.now);
    assert!(names(&refused(&city, draft(&city, "cst_1", LIBRARY, month)), "month", "not-over"));
    city.now = month.next().begins();
    let library = [("agc_library", "head"), ("agc_library", "privacy")];
    let other = city.draft(StatementKind::CaseTally, "cst_1", LIBRARY, body(LIBRARY, month), &library);
    assert!(names(&refused(&city, other), "by", "not-the-owner"), "nobody counts his own cases");
    assert!(names(&refused(&city, draft(&city, "tly_1", LIBRARY, month)), "id", "malformed"));
    assert!(names(&refused(&city, draft(&city, "cst_1", "agc_nobody", month)), "agency", "unknown"));
    assert!(names(&refused(&city, draft(&city, "cst_1", LIBRARY, Month(0))), "month", "too-early"));
    for (field, value, rule) in
        [("count", json!("12"), "subtractable"), ("count", json!("0"), "nothing"), ("what", json!("filed"), "not-sorted")]
    {
        let mut counts = body(LIBRARY, month);
        counts["counts"][1][field] = value;
        counts["counts"].as_array_mut().unwrap().push(json!({"kind": "access", "what": "upheld", "count": "1-9"}));
        let found = refused(&city, city.draft(StatementKind::CaseTally, "cst_1", "agc_operator", counts, &MACHINE));
        assert!(found.iter().any(|problem| problem.rule == rule), "{rule}: {found:?}");
    }
    let first = draft(&city, "cst_1", LIBRARY, month);
    city.apply(first).unwrap();
    assert_eq!(city.register.last_case_tally(&LIBRARY.parse().unwrap()), Some(month));
    assert_eq!(city.register.last_case_tally(&"agc_operator".parse().unwrap()), None);
    // It is neither revised nor said again under another name, and no month is left out.
    assert!(names(&refused(&city, draft(&city, "cst_1", LIBRARY, month)), "rev", "final"));
    assert!(names(&refused(&city, draft(&city, "cst_2", LIBRARY, month)), "month", "not-next"));
    city.now = city.now.plus(70 * DAY);
    assert!(names(&refused(&city, draft(&city, "cst_2", LIBRARY, month.next().next())), "month", "not-next"));
    for (id, month) in [("cst_2", month.next()), ("cst_3", month.next().next())] {
        let next = draft(&city, id, LIBRARY, month);
        city.apply(next).unwrap();
    }
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}
