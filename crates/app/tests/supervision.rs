//! The clock over vendors and agreements, on both databases: what is not looked at in time stops, what is over ends, and pseudonyms pass from
//! one body to another only while an agreement between the two is in force.

use std::path::Path;

use crate::common::{CARD, City, LIBRARY, OPERATOR, SERVICE, VENDOR, block, library_card, mandate, on_both, service, text};
use crate::vendors::{CONTRACT, THEIRS, camera, check, city, state, step, theirs};
use serde_json::{Value, json};
use usufruct_app::store::db::Connection as _;
use usufruct_app::{ConversionBatch, DepositRequest, Error, Publication, ReleaseRequest, TicketDesk, desk_ticket};
use usufruct_core::Time;
use usufruct_core::certificate::Answer;
use usufruct_core::decide::Clause;
use usufruct_core::event::Form;
use usufruct_core::hash::sha256;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::late::LateDuty;
use usufruct_core::lifecycle::State;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::time::{DAY, HOUR};

on_both!(
    a_vendor_that_nobody_looks_at_is_suspended_by_the_clock,
    a_vendor_who_signed_out_is_out_on_every_node,
    a_camera_that_nobody_looks_at_is_withheld_by_the_clock_and_its_permit_ends_on_its_day,
    a_vendor_whose_session_ended_is_told_and_answers_nothing_more,
    a_contract_ends_on_its_day_and_the_deletion_falls_due,
    pseudonyms_pass_between_bodies_only_by_agreement,
    what_a_body_deposits_is_anothers_only_by_agreement,
);

fn a_vendor_who_signed_out_is_out_on_every_node(dir: &Path, url: Option<&str>) {
    const ISSUER: &str = "https://pass.example";
    let city = city(dir, url);
    let ticket = |n: i64| {
        desk_ticket(TicketDesk::Vendor, city.signer(VENDOR)[0], ISSUER, city.app.now().plus(n * HOUR), city.app.rng()).unwrap()
    };
    let (ticket, other) = (ticket(8), ticket(9));
    let session = city.app.desk_sign_in(TicketDesk::Vendor, ISSUER, &ticket).unwrap();
    let beside = city.app.desk_sign_in(TicketDesk::Vendor, ISSUER, &other).unwrap();
    let is_in = |city: &City, session: &str| city.app.desk_session(TicketDesk::Vendor, ISSUER, session).unwrap().is_some();
    // What is no session ends none.
    city.app.desk_sign_out(TicketDesk::Vendor, ISSUER, &format!("{ticket}.AAAA")).unwrap();
    city.app.desk_sign_out(TicketDesk::Vendor, ISSUER, "").unwrap();
    assert!(is_in(&city, &session) && is_in(&city, &beside));
    city.app.desk_sign_out(TicketDesk::Vendor, ISSUER, &session).unwrap();
    city.app.desk_sign_out(TicketDesk::Vendor, ISSUER, &session).unwrap();
    assert!(!is_in(&city, &session), "a copy of the cookie opens nothing");
    assert!(is_in(&city, &beside), "a colleague's session goes on");
    assert!(city.app.desk_sign_in(TicketDesk::Vendor, ISSUER, &ticket).is_err(), "and the ticket opens no other");
    // Another node over the same database, and the first after its notes were swept.
    let at = city.app.now().to_string();
    drop(city);
    let next = City::open(dir, url, &at, 2);
    assert!(!is_in(&next, &session) && is_in(&next, &beside));
    next.clock.advance(7 * HOUR);
    next.app.sweep().unwrap();
    assert!(!is_in(&next, &session) && is_in(&next, &beside), "for as long as the ticket is good");
}

/// A way in which a session ends.
type End<'a> = (&'static str, &'a dyn Fn(&str));

/// Her request was let in and is still on its way when she signs out, her session runs out, or her key is replaced. What else changes in the register
/// is no end of it.
fn a_vendor_whose_session_ended_is_told_and_answers_nothing_more(dir: &Path, url: Option<&str>) {
    const ISSUER: &str = "https://pass.example";
    let city = city(dir, url);
    let held = |hours: i64| {
        let until = city.app.now().plus(hours * HOUR);
        let ticket = desk_ticket(TicketDesk::Vendor, city.signer(VENDOR)[0], ISSUER, until, city.app.rng()).unwrap();
        let session = city.app.desk_sign_in(TicketDesk::Vendor, ISSUER, &ticket).unwrap();
        (city.app.desk_session(TicketDesk::Vendor, ISSUER, &session).unwrap().unwrap(), session)
    };
    let (reader, _) = city.cardholder();
    city.app.consent_at_counter(reader, &theirs(), &mandate(), &[]).unwrap();
    city.app.withdraw(reader, &mandate()).unwrap();
    let told_at = || {
        let told = city.app.deletions_of(reader).unwrap();
        told.into_iter().find(|deletion| deletion.service == theirs()).unwrap().told_at
    };
    let sign_out = |session: &str| city.app.desk_sign_out(TicketDesk::Vendor, ISSUER, session).unwrap();
    let run_out = |_: &str| city.clock.advance(HOUR);
    let vendor = serde_json::to_value(&city.app.register().agencies[&VENDOR.parse().unwrap()].body).unwrap();
    let publish = |body: Value| {
        let mut statement = city.app.statement(StatementKind::Agency, VENDOR, &OPERATOR.parse().unwrap(), body, city.app.now());
        for signer in city.signer(OPERATOR).into_iter().chain([city.signer(VENDOR)[1]]) {
            statement.approve(signer).unwrap();
        }
        city.app.publish(&Publication { statements: vec![statement] }).unwrap();
    };
    let replace_key = |_: &str| {
        let (held, other) =
            (city.signer(VENDOR)[0], city.app.house().signer(&VENDOR.parse().unwrap(), "other", city.app.rng()).unwrap());
        let mut body = vendor.clone();
        let key = body["signing_keys"].as_array_mut().unwrap().iter_mut().find(|key| key["id"] == held.key()).unwrap();
        key["public"] = json!(other.public());
        publish(body);
    };
    let ends: [End<'_>; 3] = [("signed out", &sign_out), ("over", &run_out), ("another key", &replace_key)];
    for (end, apply) in ends {
        let (desk, session) = held(1);
        let id = city.app.deletions_of(reader).unwrap().into_iter().find(|deletion| deletion.service == theirs()).unwrap().id;
        apply(&session);
        let is_refused = |outcome: Result<(), Error>| matches!(outcome, Err(Error::Refused { .. }));
        assert!(is_refused(city.app.vendor_deletions(&desk).map(drop)), "{end}");
        assert!(is_refused(city.app.answer_vendor_deletion(&desk, &theirs(), &id, Answer::Deleted)), "{end}");
        assert_eq!(told_at(), None, "{end}");
    }
    publish(vendor.clone());
    let (desk, _) = held(1);
    city.publish_mandate("mdt_other", library_card());
    let notices = city.app.vendor_deletions(&desk).unwrap();
    let (_, theirs_to_do) = notices.iter().find(|(id, _)| *id == theirs()).unwrap();
    let foreign = city.app.answer_vendor_deletion(&desk, &service(), &theirs_to_do[0].id, Answer::Deleted);
    assert!(matches!(foreign, Err(Error::Unknown { .. })), "another body's service");
    city.app.answer_vendor_deletion(&desk, &theirs(), &theirs_to_do[0].id, Answer::Deleted).unwrap();
    assert!(told_at().is_some());
}

/// Whether residents may sign in to the vendor's service.
fn is_open(city: &City) -> bool {
    let scope = city.app.scope_mandates(&theirs(), &[CARD.to_owned()]);
    let knows = city.app.knows_redirect(&theirs(), "http://localhost:8081/callback");
    assert_eq!(scope.is_ok(), knows);
    knows
}

fn a_vendor_that_nobody_looks_at_is_suspended_by_the_clock(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    assert!(is_open(&city) && city.app.run_supervision().unwrap().is_empty());
    city.clock.advance(95 * DAY);
    assert_eq!((city.owed()[0].duty, city.owed()[0].object.as_str()), (LateDuty::Check, CONTRACT));
    assert!(is_open(&city) && city.app.run_supervision().unwrap().is_empty(), "fourteen days of grace");
    city.clock.advance(9 * DAY);
    assert!(!is_open(&city), "before any job has run");
    city.app.tick().unwrap();
    assert_eq!(state(&city), State::Suspended);
    assert!(city.app.run_supervision().unwrap().is_empty(), "once");
    let resumed = step(&city, CONTRACT, State::Active, &city.signer(LIBRARY));
    assert!(matches!(&resumed, Err(Error::Unlawful(problems)) if problems[0].rule == "check-overdue"), "{resumed:?}");
    check(&city, "periodic", LIBRARY, "passed");
    assert!(step(&city, CONTRACT, State::Active, &city.signer(LIBRARY)[..1]).is_err(), "one person alone");
    step(&city, CONTRACT, State::Active, &city.signer(LIBRARY)).unwrap();
    assert!(is_open(&city) && city.owed().is_empty());
    city.clock.advance(DAY);
    check(&city, "periodic", LIBRARY, "failed");
    assert!(!is_open(&city));
    assert_eq!(city.app.run_supervision().unwrap(), [CONTRACT]);
    // It holds after a restart, since it stands in the log.
    let at = city.app.now().to_string();
    drop(city);
    let again = City::open(dir, url, &at, 2);
    assert!(!is_open(&again) && state(&again) == State::Suspended);
}

fn a_camera_that_nobody_looks_at_is_withheld_by_the_clock_and_its_permit_ends_on_its_day(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_agency(VENDOR, "vendor");
    let body = camera(&city, 200);
    city.publish(StatementKind::Camera, "cam_door", LIBRARY, body.clone());
    for to in [State::Permitted, State::Active] {
        step(&city, "cam_door", to, &city.signer(LIBRARY)).unwrap();
    }
    let id = "cam_door".parse().unwrap();
    let stands = |city: &City| {
        let register = city.app.register();
        (register.cameras[&id].state, register.camera_may_see(&register.cameras[&id], city.app.now()))
    };
    city.clock.advance(180 * DAY - 1);
    assert_eq!((city.app.run_supervision().unwrap(), stands(&city)), (vec![], (State::Active, true)));
    city.clock.advance(1);
    assert_eq!(stands(&city), (State::Active, false), "before any job has run");
    assert_eq!(city.owed()[0].duty, LateDuty::CameraCheck);
    city.app.tick().unwrap();
    assert_eq!(stands(&city), (State::Withheld, false));
    assert!(city.app.run_supervision().unwrap().is_empty(), "once");
    let mut checked = body;
    checked["last_check"] = json!(city.app.now().to_string());
    city.publish(StatementKind::Camera, "cam_door", LIBRARY, checked);
    assert!(step(&city, "cam_door", State::Active, &city.signer(LIBRARY)[..1]).is_err(), "one person alone");
    step(&city, "cam_door", State::Active, &city.signer(LIBRARY)).unwrap();
    assert_eq!(stands(&city), (State::Active, true));
    city.clock.advance(20 * DAY);
    assert_eq!(stands(&city), (State::Active, false));
    assert_eq!(city.app.run_supervision().unwrap(), ["cam_door"]);
    let at = city.app.now().to_string();
    drop(city);
    let again = City::open(dir, url, &at, 2);
    assert_eq!(stands(&again), (State::PermitExpired, false), "it holds after a restart, since it stands in the log");
}

fn a_contract_ends_on_its_day_and_the_deletion_falls_due(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    for _ in 0..5 {
        city.clock.advance(79 * DAY);
        check(&city, "periodic", LIBRARY, "passed");
    }
    city.clock.advance(5 * DAY - 1);
    assert!(is_open(&city) && city.app.run_supervision().unwrap().is_empty());
    city.clock.advance(1);
    assert!(!is_open(&city));
    assert_eq!(city.app.run_supervision().unwrap(), [CONTRACT]);
    assert_eq!(state(&city), State::Ending);
    city.clock.advance(7 * DAY - 1);
    assert!(city.owed().is_empty());
    city.clock.advance(1);
    let late = city.owed();
    assert_eq!((late.len(), late[0].duty, late[0].agency.as_str()), (1, LateDuty::Deletion, VENDOR));
    assert!(step(&city, CONTRACT, State::Closed, &city.signer(LIBRARY)).is_err(), "not before the vendor's own word");
    check(&city, "deletion", VENDOR, "passed");
    assert!(city.owed().is_empty());
    step(&city, CONTRACT, State::Closed, &city.signer(LIBRARY)).unwrap();
}

fn pseudonyms_pass_between_bodies_only_by_agreement(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    // Here it is another public body, with a garden.
    city.publish_agency(VENDOR, "agency");
    let garden = json!({"agency": VENDOR, "name": text("Garden"), "sector": "theirs", "redirect_uris": ["http://localhost:8081/callback"],
        "channels": ["web"], "alternatives": [text("Ask at the gate.")], "mandates": ["mdt_short"], "help": text("Opens the garden.")});
    city.publish(StatementKind::Service, THEIRS, VENDOR, garden);
    let mut body = library_card();
    body["recipients"].as_array_mut().unwrap().push(json!({"agency": VENDOR, "why": text("It opens the garden.")}));
    body["conversions"] = json!([{"from": SERVICE, "to": THEIRS, "why": text("Readers enter without a ticket.")}]);
    city.publish_mandate("mdt_short", body);
    city.step_service(THEIRS, VENDOR, State::Active);
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &"mdt_short".parse().unwrap(), &[]).unwrap();
    let subject = city.app.subject(resident, &service()).unwrap();
    let request = ConversionBatch {
        service: service(),
        to: theirs(),
        mandate: "mdt_short".parse().unwrap(),
        subjects: vec![subject],
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
    };
    let convert = || match city.app.convert(&request) {
        Err(Error::Unpermitted(clauses)) => Err(clauses),
        Err(other) => panic!("another error: {other}"),
        Ok(mut answer) => Ok(answer.lines.remove(0).outcome.unwrap().subject),
    };
    assert_eq!(convert(), Err(vec![Clause::Agreement]));
    let both = [city.signer(LIBRARY), city.signer(VENDOR)].concat();
    agree(&city);
    assert_eq!(convert(), Err(vec![Clause::Agreement]));
    let early = step(&city, "agr_garden", State::Active, &both);
    assert!(matches!(&early, Err(Error::Unlawful(problems)) if problems[0].rule == "too-soon"), "{early:?}");
    city.clock.advance(15 * DAY);
    assert_eq!(convert(), Err(vec![Clause::Agreement]), "nobody has put it in force");
    step(&city, "agr_garden", State::Active, &both).unwrap();
    assert_eq!(convert().unwrap(), city.app.subject(resident, &theirs()).unwrap());
    // Either body closes it alone.
    step(&city, "agr_garden", State::Suspended, &city.signer(VENDOR)[..1]).unwrap();
    assert_eq!(convert(), Err(vec![Clause::Agreement]));
    step(&city, "agr_garden", State::Active, &both).unwrap();
    assert!(convert().is_ok());
    city.clock.advance(85 * DAY);
    assert_eq!(convert(), Err(vec![Clause::Agreement]), "its last day is over");
    city.app.tick().unwrap();
    assert_eq!(city.app.register().agreements[&"agr_garden".parse().unwrap()].state, State::Sunset);
    assert!(city.app.register().mandates[&mandate()].state == State::Active);
}

fn what_a_body_deposits_is_anothers_only_by_agreement(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_agency(VENDOR, "agency");
    let mut body = library_card();
    body["operations"] = json!(["collect", "deposit", "disclose"]);
    body["recipients"].as_array_mut().unwrap().push(json!({"agency": VENDOR, "why": text("It opens the garden.")}));
    city.publish_mandate("mdt_short", body);
    city.open_service_with(THEIRS, VENDOR, "theirs", |body| body["mandates"] = json!(["mdt_short"]));
    let resident = city.enrol(1)[0];
    let mandate: MandateId = "mdt_short".parse().unwrap();
    for service in [service(), theirs()] {
        city.app.consent_at_counter(resident, &service, &mandate, &[block("district")]).unwrap();
    }
    let deposit = |service: ServiceId, name: &str, value: &str| {
        let subject = city.app.subject(resident, &service).unwrap();
        let (mandate, block, value, reason) = (mandate.clone(), block(name), value.into(), "lending".into());
        let request =
            DepositRequest { service, mandate, subject, block, value, reason, actor: None, sign_in: None, third_party: false };
        city.app.deposit(&request).unwrap();
    };
    deposit(service(), "name", "Main hall");
    deposit(service(), "district", "North");
    deposit(theirs(), "name", "Rose bed");
    let given = |service: ServiceId| -> Vec<String> {
        let subject = city.app.subject(resident, &service).unwrap();
        let blocks = ["name", "district"].map(|name| (block(name), Form::Value)).into();
        let request = ReleaseRequest { service, mandate: mandate.clone(), blocks, ..city.request(&subject) };
        city.app.release(&request).unwrap().deposits.into_iter().map(|deposit| deposit.value.to_string()).collect()
    };
    let own =
        || assert_eq!((given(service()), given(theirs())), (vec!["North".into(), "Main hall".into()], vec!["Rose bed".into()]));
    own();
    let both = agree(&city);
    city.clock.advance(15 * DAY);
    own();
    step(&city, "agr_garden", State::Active, &both).unwrap();
    // The agreement names the name and no district.
    assert_eq!(given(theirs()), ["Rose bed", "Main hall"]);
    assert_eq!(given(service()), ["Rose bed", "North", "Main hall"]);
    step(&city, "agr_garden", State::Suspended, &city.signer(VENDOR)[..1]).unwrap();
    own();
    // Whoever writes another body's name into the row makes it nobody's.
    let sql = "-- insider_rename\nUPDATE deposits SET depositor = $1";
    city.app.db().transaction("rename", |tx| tx.execute(sql, &[VENDOR.to_owned().into()])).unwrap();
    assert_eq!((given(service()), given(theirs())), (vec![], vec!["Rose bed".into()]));
}

/// The library and the garden publish their agreement; nobody has put it in force. Answers the people of both.
fn agree(city: &City) -> Vec<&Signer> {
    let both = [city.signer(LIBRARY), city.signer(VENDOR)].concat();
    let now = city.app.now();
    let mut statement =
        city.app.statement(StatementKind::Agreement, "agr_garden", &LIBRARY.parse().unwrap(), agreement(now), now);
    for signer in &both {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&Publication { statements: vec![statement] }).unwrap();
    step(city, "agr_garden", State::Consulted, &both).unwrap();
    step(city, "agr_garden", State::Published, &both).unwrap();
    both
}

fn agreement(now: Time) -> Value {
    let day = |days: i64| now.plus(days * DAY).to_string();
    json!({"title": text("Garden"), "parties": [LIBRARY, VENDOR], "purpose": text("Readers enter."),
        "legal_gateway": {"instrument": text("Act"), "article": "9", "url": "https://law.example/9"}, "mandates": ["mdt_short"],
        "blocks": ["blk_name"], "transfers": [{"from": SERVICE, "to": THEIRS, "why": text("Readers enter.")}],
        "frequency": text("Daily"), "estimated_persons": 10, "safeguards": [text("Logged.")],
        "due_diligence": [{"title": text("Report"), "sha256": sha256(b"report")}], "commercial_firewall": text("None."),
        "impact_assessment": "https://example.org/dpia", "summary": text("Readers enter."), "oversight_body": "agc_oversight",
        "in_force_from": day(15), "sunset_at": day(100), "review_due": day(60)})
}
