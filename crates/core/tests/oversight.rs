//! Orders and meetings of oversight bodies: who may give them, what they stop, and that nothing but a lift of the same body ends a suspension.

use crate::common;
use crate::common::walk::spoil_everything;
use crate::common::{City, agency_body, day, founded, lawful, library_card, names, outbreak, school_meals, service_body, text};
use proptest::prelude::*;
use serde_json::{Value, json};
use usufruct_core::case::CaseKind;
use usufruct_core::decide::{
    Clause, ConversionRequest, Decision, Outcome, Request, decide, decide_conversion_without_resident, decide_deposit,
    decide_without_resident,
};
use usufruct_core::draft::Problem;
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::lifecycle::State;
use usufruct_core::meeting::Meeting;
use usufruct_core::order::{Order, OrderKind, Standing};
use usufruct_core::register::Register;
use usufruct_core::ruling::Ruling;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::time::HOUR;
use usufruct_core::{Time, id};

const CARD: &str = "mdt_library-card";
const MEALS: &str = "mdt_school-meals";
const CONTRACT: &str = "ctr_cloud";
const SERVICE: &str = "svc_library";
const CLOUD: &str = "svc_cloud";
const OVERSEER: &str = "agc_oversight";
const TWO: [(&str, &str); 2] = [(OVERSEER, "head"), (OVERSEER, "privacy")];

/// The lawful city after the first day of its mandates, with the service of a vendor and a second overseer that watches nothing.
fn city() -> City {
    let mut city = lawful();
    city.say(StatementKind::Agency, "agc_other", "agc_operator", agency_body("agc_other", "oversight"));
    city.say(StatementKind::Service, CLOUD, "agc_cloud", service_body("agc_cloud", "cloud", &[CARD]));
    city.step(CLOUD, State::Active);
    city.now = day(60);
    city
}

fn order_body(kind: &str, target: &str) -> Value {
    let mut body = json!({"body": OVERSEER, "kind": kind, "target": target, "reasons": text("It goes beyond its purpose.")});
    match kind {
        "suspend" | "lift" => {}
        "release" => body["strata"] = json!([sha256(b"a stratum").to_string()]),
        "restrict" => body["blocks"] = json!(["blk_name"]),
        _ => body["comply_by"] = json!(day(70).to_string()),
    }
    if kind == "disclose_actor" {
        body["events"] = json!([sha256(b"an event").to_string()]);
    }
    body
}

fn lift_body(order: &str, target: &str) -> Value {
    let mut body = order_body("lift", target);
    body["lifts"] = json!(order);
    body
}

fn meeting_body() -> Value {
    json!({"body": OVERSEER, "title": text("Seventh meeting"), "held_at": day(60).to_string(),
        "agenda": [{"text": text("The library card.")}],
        "attendance": [{"office": text("Chair"), "part": "chair"}, {"office": text("Patients' council"), "part": "absent"}],
        "decisions": [{"text": text("The card is suspended."), "orders": ["ord_1"],
            "dissent": [{"office": text("Member for business"), "reasons": text("It costs too much.")}]}],
        "attachments": [{"title": text("Minutes"), "sha256": sha256(b"minutes").to_string(), "url": "https://city.example/minutes"}]})
}

/// Gives an order with two people of the overseer; panics when it is refused.
fn give(city: &mut City, id: &str, body: Value) {
    city.say(StatementKind::Order, id, OVERSEER, body);
}

fn refused(city: &City, id: &str, by: &str, body: Value, approvals: &[(&str, &str)]) -> Vec<Problem> {
    let statement = city.draft(StatementKind::Order, id, by, body, approvals);
    city.register.check(&statement).unwrap_err()
}

fn request(service: &str, mandate: &str) -> Request {
    Request {
        service: service.parse().unwrap(),
        mandate: mandate.parse().unwrap(),
        blocks: vec![("blk_name".parse().unwrap(), Form::Token)],
        reason: "reminder".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    }
}

fn decided(city: &City, service: &str, mandate: &str) -> Decision {
    decide(&city.register, &request(service, mandate), None, city.now)
}

fn is_ordered(register: &Register, service: &str, mandate: &str, now: Time) -> bool {
    decide(register, &request(service, mandate), None, now).because.contains(&Clause::Order)
        && decide(register, &request(service, mandate), None, now).outcome == Outcome::Refuse
}

fn standing(city: &City, id: &str) -> Standing {
    let id = id.parse().unwrap();
    city.register.standing(&id, &city.register.orders[&id], city.now)
}

// What an order does

#[test]
fn a_suspension_refuses_at_once_and_its_lift_ends_it() {
    let mut city = city();
    assert_eq!(decided(&city, SERVICE, MEALS).outcome, Outcome::Permit);
    for target in [MEALS, SERVICE] {
        let id = format!("ord_{}", &target[..3]);
        give(&mut city, &id, order_body("suspend", target));
        let refusal = Decision { outcome: Outcome::Refuse, because: vec![Clause::Order] };
        assert_eq!(decided(&city, SERVICE, MEALS), refusal);
        assert_eq!(decide_without_resident(&city.register, &request(SERVICE, MEALS), city.now), refusal);
        assert!(decide_deposit(&city.register, &request(SERVICE, MEALS), None, city.now).because.contains(&Clause::Order));
        assert_eq!(standing(&city, &id), Standing::InForce);
        give(&mut city, &format!("{id}-end"), lift_body(&id, target));
        assert_eq!(decided(&city, SERVICE, MEALS).outcome, Outcome::Permit);
        assert_eq!(standing(&city, &id), Standing::Lifted);
    }
}

#[test]
fn a_suspended_contract_stops_the_vendor_and_nobody_else() {
    let mut city = city();
    give(&mut city, "ord_1", order_body("suspend", CONTRACT));
    assert!(is_ordered(&city.register, CLOUD, CARD, city.now));
    assert!(!is_ordered(&city.register, SERVICE, CARD, city.now));
    assert_eq!(decided(&city, SERVICE, MEALS).outcome, Outcome::Permit);
}

#[test]
fn a_suspended_service_learns_no_pseudonyms_and_nobody_learns_its_own() {
    let mut city = city();
    give(&mut city, "ord_1", order_body("suspend", CLOUD));
    for (from, to) in [(CLOUD, SERVICE), (SERVICE, CLOUD)] {
        let request = ConversionRequest {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            mandate: CARD.parse().unwrap(),
            reason: "reminder".into(),
            subjects: 1,
            sign_in: None,
            third_party: false,
        };
        let decision = decide_conversion_without_resident(&city.register, &request, city.now);
        assert!(decision.because.contains(&Clause::Order), "{decision:?}");
    }
}

#[test]
fn a_restriction_leaves_the_blocks_it_names() {
    let mut city = city();
    let mut body = order_body("restrict", MEALS);
    body["blocks"] = json!(["blk_age"]);
    give(&mut city, "ord_1", body);
    assert_eq!(decided(&city, SERVICE, MEALS).because, [Clause::Order]);
    give(&mut city, "ord_2", lift_body("ord_1", MEALS));
    give(&mut city, "ord_3", order_body("restrict", MEALS));
    assert_eq!(decided(&city, SERVICE, MEALS).outcome, Outcome::Permit);
}

#[test]
fn orders_and_lifts_begin_on_their_day() {
    let mut city = city();
    let mut later = order_body("suspend", MEALS);
    later["effective_at"] = json!(day(61).to_string());
    give(&mut city, "ord_1", later);
    assert_eq!(standing(&city, "ord_1"), Standing::Issued);
    let mut end = lift_body("ord_1", MEALS);
    end["effective_at"] = json!(day(62).to_string());
    give(&mut city, "ord_2", end);
    for (now, expected) in [(day(61).plus(-1), false), (day(61), true), (day(62).plus(-1), true), (day(62), false)] {
        assert_eq!(is_ordered(&city.register, SERVICE, MEALS, now), expected, "{now}");
    }
}

#[test]
fn an_appeal_ends_nothing_and_evidence_ends_no_suspension() {
    let mut city = city();
    give(&mut city, "ord_1", order_body("suspend", MEALS));
    let mut body = order_body("suspend", MEALS);
    body["appeal_ref"] = json!("court 12/2026");
    give(&mut city, "ord_1", body.clone());
    assert!(is_ordered(&city.register, SERVICE, MEALS, city.now));
    body["evidence"] = json!([{"title": text("Report"), "sha256": sha256(b"report").to_string()}]);
    give(&mut city, "ord_1", body);
    assert!(is_ordered(&city.register, SERVICE, MEALS, city.now));
    assert_eq!(standing(&city, "ord_1"), Standing::Appealed);
}

#[test]
fn who_does_not_comply_is_overdue_by_the_clock() {
    let mut city = city();
    give(&mut city, "ord_1", order_body("delete", MEALS));
    give(&mut city, "ord_2", order_body("audit", MEALS));
    assert!(
        is_ordered(&city.register, SERVICE, MEALS, city.now),
        "what is to be deleted is withheld until the machine has done so"
    );
    city.now = day(70).plus(-1);
    assert_eq!(standing(&city, "ord_1"), Standing::InForce);
    let mut body = order_body("audit", MEALS);
    body["evidence"] = json!([{"title": text("Report"), "sha256": sha256(b"report").to_string()}]);
    give(&mut city, "ord_2", body);
    city.now = day(70);
    assert_eq!((standing(&city, "ord_1"), standing(&city, "ord_2")), (Standing::Overdue, Standing::Complied));
    let late: Vec<_> = city.register.overdue_orders(city.now).map(|order| order.id.as_str()).collect();
    assert_eq!(late, ["ord_1"]);
    give(&mut city, "ord_3", lift_body("ord_1", MEALS));
    assert_eq!(standing(&city, "ord_1"), Standing::Lifted);
    assert!(!is_ordered(&city.register, SERVICE, MEALS, city.now));
}

#[test]
fn who_is_compelled_was_overdue_before_and_an_appeal_ends_nothing() {
    let mut city = city();
    let compulsion = json!([{"title": text("Record of the seizure"), "sha256": sha256(b"record").to_string()}]);
    let mut body = order_body("correct", MEALS);
    body["compulsion"] = compulsion.clone();
    assert!(names(&refused(&city, "ord_1", OVERSEER, body.clone(), &TWO), "compulsion", "not-overdue"), "with the order itself");
    give(&mut city, "ord_1", order_body("correct", MEALS));
    assert!(names(&refused(&city, "ord_1", OVERSEER, body, &TWO), "compulsion", "not-overdue"), "before its day");
    let mut body = order_body("correct", MEALS);
    body["appeal_ref"] = json!("court 12/2026");
    give(&mut city, "ord_1", body.clone());
    assert_eq!(standing(&city, "ord_1"), Standing::Appealed);
    city.now = day(70);
    assert_eq!(standing(&city, "ord_1"), Standing::Overdue, "an appeal hides nobody who is late");
    body["compulsion"] = compulsion;
    give(&mut city, "ord_1", body.clone());
    assert_eq!(standing(&city, "ord_1"), Standing::Enforced);
    body["compulsion"] = json!([]);
    assert!(names(&refused(&city, "ord_1", OVERSEER, body, &TWO), "compulsion", "withdrawn"));
    let mut suspended = order_body("suspend", CARD);
    suspended["appeal_ref"] = json!("court 13/2026");
    give(&mut city, "ord_2", suspended);
    assert_eq!(standing(&city, "ord_2"), Standing::Appealed);
    assert!(is_ordered(&city.register, SERVICE, CARD, city.now), "it stays in force");
}

// Who may

#[test]
fn one_person_alone_neither_orders_nor_lifts() {
    let mut city = city();
    let alone: [&[(&str, &str)]; 4] = [
        &[],
        &[(OVERSEER, "head")],
        &[(OVERSEER, "head"), (OVERSEER, "deputy")],
        &[(OVERSEER, "head"), (OVERSEER, "automation")],
    ];
    for approvals in alone {
        let problems = refused(&city, "ord_1", OVERSEER, order_body("suspend", MEALS), approvals);
        assert!(names(&problems, "approvals", "too-few"), "{problems:?}");
    }
    give(&mut city, "ord_1", order_body("suspend", MEALS));
    for approvals in alone {
        let problems = refused(&city, "ord_2", OVERSEER, lift_body("ord_1", MEALS), approvals);
        assert!(names(&problems, "approvals", "too-few"), "{problems:?}");
    }
}

#[test]
fn nobody_orders_what_is_not_theirs_to_watch() {
    let city = city();
    let by = |agency: &'static str| {
        let mut body = order_body("suspend", MEALS);
        body["body"] = json!(agency);
        refused(&city, "ord_1", agency, body, &[(agency, "head"), (agency, "privacy")])
    };
    assert!(names(&by("agc_other"), "target", "not-overseen"));
    assert!(names(&by("agc_library"), "body", "not-oversight"));
    assert!(names(&by("agc_operator"), "body", "not-oversight"));
    let for_another = refused(&city, "ord_1", "agc_library", order_body("suspend", MEALS), &[("agc_library", "head")]);
    assert!(names(&for_another, "by", "not-the-owner"));
    for unknown in ["mdt_nowhere", "ctr_nowhere", "svc_nowhere"] {
        let problems = refused(&city, "ord_1", OVERSEER, order_body("suspend", unknown), &TWO);
        assert!(names(&problems, "target", "unknown"), "{problems:?}");
    }
}

#[test]
fn only_the_same_body_lifts_and_only_once() {
    let mut city = city();
    give(&mut city, "ord_1", order_body("suspend", MEALS));
    let mut foreign = lift_body("ord_1", MEALS);
    foreign["body"] = json!("agc_other");
    let problems = refused(&city, "ord_2", "agc_other", foreign, &[("agc_other", "head"), ("agc_other", "privacy")]);
    assert!(names(&problems, "lifts", "not-the-owner"), "{problems:?}");
    assert!(names(&refused(&city, "ord_2", OVERSEER, lift_body("ord_9", MEALS), &TWO), "lifts", "unknown"));
    assert!(names(&refused(&city, "ord_2", OVERSEER, lift_body("ord_1", CARD), &TWO), "target", "other-target"));
    give(&mut city, "ord_2", lift_body("ord_1", MEALS));
    assert!(names(&refused(&city, "ord_3", OVERSEER, lift_body("ord_1", MEALS), &TWO), "lifts", "lifted"));
    assert!(names(&refused(&city, "ord_3", OVERSEER, lift_body("ord_2", MEALS), &TWO), "lifts", "a-lift"));
}

#[test]
fn what_was_ordered_is_not_changed() {
    let mut city = city();
    let mut body = order_body("delete", MEALS);
    body["evidence"] = json!([{"title": text("Report"), "sha256": sha256(b"report").to_string()}]);
    give(&mut city, "ord_1", order_body("delete", MEALS));
    give(&mut city, "ord_1", body.clone());
    for (field, value) in [
        ("kind", json!("audit")),
        ("target", json!(CARD)),
        ("reasons", text("Other reasons.")),
        ("comply_by", json!(day(99).to_string())),
        ("effective_at", json!(day(65).to_string())),
    ] {
        let mut changed = body.clone();
        changed[field] = value;
        assert!(names(&refused(&city, "ord_1", OVERSEER, changed, &TWO), "rev", "final"), "{field}");
    }
    let problems = refused(&city, "ord_1", OVERSEER, order_body("delete", MEALS), &TWO);
    assert!(names(&problems, "evidence", "withdrawn"), "{problems:?}");
    let mut past = order_body("suspend", MEALS);
    past["effective_at"] = json!(day(59).to_string());
    assert!(names(&refused(&city, "ord_2", OVERSEER, past, &TWO), "effective_at", "goes-back"));
    let mut late = order_body("delete", MEALS);
    late["comply_by"] = json!(day(60).to_string());
    assert!(names(&refused(&city, "ord_2", OVERSEER, late, &TWO), "comply_by", "past"));
}

#[test]
fn a_controller_cannot_change_its_overseer_under_an_order() {
    let mut city = city();
    let mut body = school_meals();
    body["oversight_body"] = json!("agc_other");
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let revision = |city: &City| city.draft(StatementKind::Mandate, MEALS, "agc_library", body.clone(), &own);
    assert!(city.register.check(&revision(&city)).is_ok());
    give(&mut city, "ord_1", order_body("suspend", MEALS));
    assert!(names(&city.register.check(&revision(&city)).unwrap_err(), "oversight_body", "under-order"));
    give(&mut city, "ord_2", lift_body("ord_1", MEALS));
    assert!(city.register.check(&revision(&city)).is_ok());
}

// Bodies

#[test]
fn order_bodies_spoilt_in_every_way_are_refused() {
    let read = |body: &Value| Order::read(body).map(drop);
    for (word, _) in OrderKind::WORDS {
        let mut body = if word == "lift" { lift_body("ord_1", MEALS) } else { order_body(word, MEALS) };
        body["appeal_ref"] = json!("court 12/2026");
        // The law says until when compensation is due, where the order does not.
        let optional: &[&str] = if word == "compensate" { &["appeal_ref", "comply_by"] } else { &["appeal_ref"] };
        spoil_everything(&body, optional, &read);
    }
    for (field, value) in [
        ("blocks", json!(["blk_name"])),
        ("lifts", json!("ord_1")),
        ("comply_by", json!(day(70).to_string())),
        ("strata", json!([sha256(b"a stratum").to_string()])),
        ("target", json!("agc_library")),
    ] {
        let mut body = order_body("suspend", MEALS);
        body[field] = value;
        assert!(names(&Order::read(&body).unwrap_err(), field, "other-kind"), "{field}");
    }
}

#[test]
fn minutes_spoilt_in_every_way_are_refused() {
    let optional = ["decisions", "decisions[0].orders", "decisions[0].dissent", "attachments", "attachments[0].url"];
    spoil_everything(&meeting_body(), &optional, &|body| Meeting::read(body).map(drop));
    let mut body = meeting_body();
    body["attendance"] = json!([{"office": text("Chair"), "part": "absent"}]);
    assert!(names(&Meeting::read(&body).unwrap_err(), "attendance", "nobody"));
}

#[test]
fn minutes_name_orders_of_the_body_that_met() {
    let mut city = city();
    let check = |city: &City, body: Value, by: &str, approvals: &[(&str, &str)]| {
        city.register.check(&city.draft(StatementKind::Meeting, "mtg_7", by, body, approvals))
    };
    assert!(names(&check(&city, meeting_body(), OVERSEER, &TWO).unwrap_err(), "decisions[0].orders[0]", "unknown"));
    give(&mut city, "ord_1", order_body("suspend", CARD));
    assert!(names(&check(&city, meeting_body(), OVERSEER, &TWO[..1]).unwrap_err(), "approvals", "too-few"));
    let mut foreign = meeting_body();
    foreign["body"] = json!("agc_other");
    let other = [("agc_other", "head"), ("agc_other", "privacy")];
    assert!(names(&check(&city, foreign, "agc_other", &other).unwrap_err(), "decisions[0].orders[0]", "not-the-owner"));
    let mut early = meeting_body();
    early["held_at"] = json!(day(61).to_string());
    assert!(names(&check(&city, early, OVERSEER, &TWO).unwrap_err(), "held_at", "future"));
    city.say(StatementKind::Meeting, "mtg_7", OVERSEER, meeting_body());
    let id: id::MeetingId = "mtg_7".parse().unwrap();
    assert_eq!(city.register.meetings[&id].body.decisions[0].dissent.len(), 1);
}

fn ruling_body() -> Value {
    json!({"body": OVERSEER, "office": "agc_library", "mandate": CARD, "kind": "challenge", "finding": "upheld", "remedy": "stop",
        "text": text("The library looked at a loan for another purpose.")})
}

#[test]
fn rulings_spoilt_in_every_way_are_refused() {
    spoil_everything(&ruling_body(), &["mandate", "remedy"], &|body| Ruling::read(body).map(drop));
    let mut body = ruling_body();
    body["finding"] = json!("dismissed");
    assert!(names(&Ruling::read(&body).unwrap_err(), "remedy", "dismissed"));
}

#[test]
fn two_people_of_the_body_that_decided_publish_a_ruling_and_nobody_else() {
    let mut city = city();
    let check = |city: &City, body: Value, by: &str, approvals: &[(&str, &str)]| {
        city.register.check(&city.draft(StatementKind::Ruling, "rul_1", by, body, approvals))
    };
    assert!(names(&check(&city, ruling_body(), OVERSEER, &TWO[..1]).unwrap_err(), "approvals", "too-few"));
    let with = |field: &str, value: &str| {
        let mut body = ruling_body();
        body[field] = json!(value);
        body
    };
    let library = [("agc_library", "head"), ("agc_library", "privacy")];
    assert!(names(&check(&city, with("body", "agc_library"), "agc_library", &library).unwrap_err(), "body", "not-oversight"));
    let other = [("agc_other", "head"), ("agc_other", "privacy")];
    assert!(names(&check(&city, with("body", "agc_other"), "agc_other", &other).unwrap_err(), "mandate", "not-overseen"));
    let mut without = with("body", "agc_other");
    without.as_object_mut().unwrap().remove("mandate");
    assert!(names(&check(&city, without, "agc_other", &other).unwrap_err(), "office", "not-overseen"));
    assert!(names(&check(&city, with("office", "agc_nobody"), OVERSEER, &TWO).unwrap_err(), "office", "unknown"));
    assert!(names(&check(&city, with("mandate", "mdt_none"), OVERSEER, &TWO).unwrap_err(), "mandate", "unknown"));
    city.say(StatementKind::Ruling, "rul_1", OVERSEER, ruling_body());
    assert!(names(&check(&city, with("body", "agc_other"), "agc_other", &other).unwrap_err(), "body", "moved"));
    city.say(StatementKind::Ruling, "rul_1", OVERSEER, with("kind", "stop"));
    let id: id::RulingId = "rul_1".parse().unwrap();
    assert_eq!((city.register.rulings[&id].rev, city.register.rulings[&id].body.kind), (2, CaseKind::Stop));
}

// Any history

#[derive(Clone, Debug)]
enum Act {
    Lift { order: usize, after: i64, alone: bool },
    Order { kind: usize, target: usize, after: i64, alone: bool },
    Revise { mandate: bool },
    Step { object: usize, to: usize },
    Wait { hours: i64 },
}

const TARGETS: [&str; 5] = [CARD, MEALS, CONTRACT, SERVICE, CLOUD];
const STEPS: [State; 5] = [State::Active, State::Suspended, State::Consulted, State::Approved, State::Published];

fn acts() -> impl Strategy<Value = Act> {
    let after = || prop_oneof![3 => Just(0i64), 1 => 1i64..60];
    let alone = || prop::bool::weighted(0.2);
    prop_oneof![
        4 => (0usize..11, 0usize..5, after(), alone()).prop_map(|(kind, target, after, alone)| Act::Order { kind, target, after, alone }),
        3 => (0usize..8, after(), alone()).prop_map(|(order, after, alone)| Act::Lift { order, after, alone }),
        1 => any::<bool>().prop_map(|mandate| Act::Revise { mandate }),
        2 => (0usize..5, 0usize..5).prop_map(|(object, to)| Act::Step { object, to }),
        3 => (0i64..48).prop_map(|hours| Act::Wait { hours }),
    ]
}

/// What the test knows of the suspensions, from the prose alone. Of an order to delete under a mandate the same is true here, for nothing carries
/// it out.
#[derive(Clone, Debug)]
struct Suspension {
    target: &'static str,
    from: Time,
    until: Option<Time>,
}

/// What the test knows of every order that was accepted.
struct Known {
    id: String,
    target: &'static str,
    /// Place among the suspensions, if it is one.
    suspension: Option<usize>,
    is_lift: bool,
    is_lifted: bool,
}

proptest! {
    #![proptest_config(common::cases(60))]

    #[test]
    fn no_use_is_permitted_while_a_suspension_stands(acts in prop::collection::vec(acts(), 1..24), looks in prop::collection::vec(0i64..900, 6)) {
        let mut city = city();
        let (mut suspensions, mut orders) = (Vec::<Suspension>::new(), Vec::<Known>::new());
        for act in &acts {
            let id = format!("ord_{}", city.statements.len());
            match act {
                Act::Wait { hours } => city.now = city.now.plus(hours * HOUR),
                Act::Order { kind, target, after, alone } => {
                    let (word, kind) = OrderKind::WORDS[*kind];
                    if kind == OrderKind::Lift {
                        continue;
                    }
                    let from = city.now.plus(after * HOUR);
                    let mut body = order_body(word, TARGETS[*target]);
                    body["effective_at"] = json!(from.to_string());
                    if kind == OrderKind::Restrict {
                        // It leaves what the request of this test asks for.
                        body["blocks"] = json!(["blk_name"]);
                    } else if !matches!(kind, OrderKind::Release | OrderKind::Suspend) {
                        body["comply_by"] = json!(from.plus(24 * HOUR).to_string());
                    }
                    let statement = city.draft(StatementKind::Order, &id, OVERSEER, body, if *alone { &TWO[..1] } else { &TWO[..] });
                    let accepted = city.apply(statement);
                    prop_assert_eq!(accepted.is_ok(), !alone, "{:?}", accepted);
                    if *alone { continue; }
                    let empties = kind == OrderKind::Delete && TARGETS[*target].starts_with("mdt_");
                    let suspension = (kind == OrderKind::Suspend || empties).then_some(suspensions.len());
                    if suspension.is_some() {
                        suspensions.push(Suspension { target: TARGETS[*target], from, until: None });
                    }
                    orders.push(Known { id, target: TARGETS[*target], suspension, is_lift: false, is_lifted: false });
                }
                Act::Lift { order, after, alone } => {
                    let Some(place) = (!orders.is_empty()).then(|| order % orders.len()) else { continue };
                    let known = &orders[place];
                    let at = city.now.plus(after * HOUR);
                    let mut body = lift_body(&known.id, known.target);
                    body["effective_at"] = json!(at.to_string());
                    let statement = city.draft(StatementKind::Order, &id, OVERSEER, body, if *alone { &TWO[..1] } else { &TWO[..] });
                    let lawful = !alone && !known.is_lift && !known.is_lifted;
                    let accepted = city.apply(statement);
                    prop_assert_eq!(accepted.is_ok(), lawful, "{:?}", accepted);
                    if lawful {
                        if let Some(suspension) = known.suspension {
                            suspensions[suspension].until = Some(at);
                        }
                        let target = known.target;
                        orders[place].is_lifted = true;
                        orders.push(Known { id, target, suspension: None, is_lift: true, is_lifted: false });
                    }
                }
                Act::Revise { mandate } => {
                    let (id, body) = if *mandate { (CARD, library_card()) } else { (MEALS, school_meals()) };
                    let own = [("agc_library", "head"), ("agc_library", "privacy")];
                    let _ = city.apply(city.draft(StatementKind::Mandate, id, "agc_library", body, &own));
                }
                Act::Step { object, to } => {
                    let owner = city.owner(TARGETS[*object]).unwrap();
                    let own = [(owner.as_str(), "head"), (owner.as_str(), "privacy")];
                    let _ = city.apply(city.step_draft(TARGETS[*object], STEPS[*to], &owner, &own));
                }
            }
            for (service, mandate) in [(SERVICE, CARD), (SERVICE, MEALS), (CLOUD, CARD)] {
                for now in looks.iter().map(|hours| day(50).plus(hours * HOUR)).chain([city.now]) {
                    let concerns = |target: &str| {
                        target == service || target == mandate || target == CONTRACT && service == CLOUD
                    };
                    let stands = suspensions.iter().any(|suspension| {
                        concerns(suspension.target) && suspension.from <= now && suspension.until.is_none_or(|until| now < until.max(suspension.from))
                    });
                    let decision = decide(&city.register, &request(service, mandate), None, now);
                    if stands {
                        prop_assert_eq!(decision.outcome, Outcome::Refuse);
                    }
                    let is_refused_so = decision.outcome == Outcome::Refuse && decision.because.contains(&Clause::Order);
                    prop_assert_eq!(is_refused_so, stands, "{} under {} at {}: {:?}", service, mandate, now, suspensions);
                }
            }
        }
        let again: Vec<_> = city.statements.iter().map(|statement| Statement::from_leaf(&statement.leaf().unwrap()).unwrap()).collect();
        let again = Register::replay((0..).zip(&again)).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
    }
}

// The eight conditions

fn waived(until: i64) -> Value {
    let mut body = outbreak();
    body["eight_conditions"]["participation"] =
        json!({"waived": {"by": OVERSEER, "until": day(until).to_string(), "reason": text("There was no time to ask.")}});
    body["eight_conditions"]["security"] = json!({"met": {"text": text("Audited."),
        "evidence": [{"title": text("Report"), "sha256": sha256(b"report").to_string()}]}});
    body
}

/// The emergency mandate, ready to be activated.
fn published(body: Value) -> City {
    let mut city = founded();
    city.now = day(24);
    city.say(StatementKind::Mandate, "mdt_outbreak", "agc_health", body);
    let (hash, _) = city.state("mdt_outbreak").unwrap();
    city.steps("mdt_outbreak", &[State::Consulted, State::Approved]);
    city.say(StatementKind::Notice, "ntc_outbreak", "agc_health", common::notice_body("mdt_outbreak", hash));
    city.step("mdt_outbreak", State::Published);
    city
}

fn activation(city: &City, also: &[(&str, &str)]) -> Statement {
    let approvals = [&[("agc_health", "head"), ("agc_health", "privacy")], also].concat();
    city.step_draft("mdt_outbreak", State::Active, "agc_health", &approvals)
}

#[test]
fn no_emergency_begins_without_two_people_of_the_overseer() {
    for body in [waived(80), outbreak()] {
        let city = published(body);
        let too_few: [&[(&str, &str)]; 4] =
            [&[], &TWO[..1], &[(OVERSEER, "head"), (OVERSEER, "deputy")], &[(OVERSEER, "head"), (OVERSEER, "automation")]];
        for also in too_few {
            let problems = city.register.check(&activation(&city, also)).unwrap_err();
            assert!(names(&problems, "approvals", "too-few"), "{problems:?}");
        }
        assert!(city.register.check(&activation(&city, &TWO)).is_ok());
    }
}

#[test]
fn a_waiver_ends_by_the_clock() {
    let mut city = published(waived(80));
    let step = activation(&city, &TWO);
    city.apply(step).unwrap();
    city.now = day(60);
    city.say(StatementKind::Service, "svc_alerts", "agc_health", service_body("agc_health", "alerts", &["mdt_outbreak"]));
    city.step("svc_alerts", State::Active);
    let broken = |now| {
        let decision = decide_without_resident(&city.register, &request("svc_alerts", "mdt_outbreak"), now);
        decision.outcome == Outcome::Refuse && decision.because.contains(&Clause::Condition)
    };
    assert!(!broken(day(80).plus(-1)));
    assert!(broken(day(80)));
    let is_late = |at| city.register.late(at).iter().any(|late| late.duty.code() == "waiver" && late.object == "mdt_outbreak");
    assert!(!is_late(day(80).plus(-1)) && is_late(day(80)));
    let mut late = published(waived(80));
    late.now = day(80);
    assert!(names(&late.register.check(&activation(&late, &TWO)).unwrap_err(), "to", "waiver-over"));
}

#[test]
fn nobody_but_the_overseer_waives_and_nothing_is_met_and_waived() {
    let city = founded();
    let own = [("agc_health", "head"), ("agc_health", "privacy")];
    let check = |body: Value| {
        city.register.check(&city.draft(StatementKind::Mandate, "mdt_outbreak", "agc_health", body, &own)).unwrap_err()
    };
    let mut body = waived(80);
    body["eight_conditions"]["participation"]["waived"]["by"] = json!("agc_health");
    assert!(names(&check(body), "eight_conditions.participation.waived.by", "not-the-overseer"));
    let mut body = waived(80);
    body["eight_conditions"]["participation"]["met"] = json!({"text": text("They took part.")});
    assert!(names(&check(body), "eight_conditions.participation.met", "both"));
    for field in ["by", "until", "reason"] {
        let mut body = waived(80);
        body["eight_conditions"]["participation"]["waived"].as_object_mut().unwrap().remove(field);
        assert!(names(&check(body), &format!("eight_conditions.participation.waived.{field}"), "missing"));
    }
}

#[test]
fn a_renewal_is_a_new_mandate_with_a_new_review() {
    let mut city = published(outbreak());
    let step = activation(&city, &TWO);
    city.apply(step).unwrap();
    city.now = day(100);
    let own = [("agc_health", "head"), ("agc_health", "privacy")];
    let check = |review: Option<i64>, continues: &str| {
        let mut body = outbreak();
        body["continues"] = json!(continues);
        if let Some(at) = review {
            body["review"] = json!({"at": day(at).to_string(), "finding": text("There are still cases.")});
        }
        city.register.check(&city.draft(StatementKind::Mandate, "mdt_next", "agc_health", body, &own))
    };
    assert!(check(Some(90), "mdt_outbreak").is_ok());
    assert!(names(&check(None, "mdt_outbreak").unwrap_err(), "review", "missing"));
    assert!(names(&check(Some(59), "mdt_outbreak").unwrap_err(), "review.at", "old-review"));
    assert!(names(&check(Some(101), "mdt_outbreak").unwrap_err(), "review.at", "future"));
    assert!(names(&check(Some(90), "mdt_nowhere").unwrap_err(), "continues", "unknown"));
}

// Steps

#[test]
fn a_step_says_on_which_article_and_on_which_documents_it_rests() {
    let mut city = common::lawful();
    let own = [("agc_library", "head"), ("agc_library", "privacy")];
    let mut step = city.step_draft("mdt_library-card", State::Suspended, "agc_library", &own);
    let report = json!({"title": text("Report"), "sha256": sha256(b"report").to_string()});
    step.body["law"] = json!("Act 27");
    step.body["evidence"] = json!([report]);
    let step = city.draft(StatementKind::StatusChange, &step.id, "agc_library", step.body.clone(), &own);
    city.apply(step).unwrap();
    let entry = &city.register.mandates[&"mdt_library-card".parse().unwrap()];
    let last = entry.history.last().unwrap();
    assert_eq!(last.grounds.law.as_deref(), Some("Act 27"));
    assert_eq!(last.grounds.evidence[0].sha256, sha256(b"report"));
    let shown = serde_json::to_value(last).unwrap();
    assert_eq!((&shown["law"], &shown["evidence"][0]["title"]["en"]), (&json!("Act 27"), &json!("Report")));
    // A step that says no more has no more.
    assert!(serde_json::to_value(&entry.history[0]).unwrap().get("law").is_none());
}
