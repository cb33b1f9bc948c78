//! Breaches on both databases: whom the log shows to be concerned, that each of them is told once, what the machine opens by itself, and that
//! the clocks are late without anybody writing it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::common::{
    CARD, City, LIBRARY, OPERATOR, SERVICE, VENDOR, WATCH, block, library_card, mandate, notice, on_both, service, text,
};
use crate::vendors;
use crate::vendors::{CONTRACT, THEIRS};
use crate::witness::Witness;
use serde_json::{Value, json};
use usufruct_app::store::db::{Connection, Value as Column};
use usufruct_app::store::lines;
use usufruct_app::store::passkeys::{self, Passkey};
use usufruct_app::{Error, Publication, ReleaseRequest};
use usufruct_core::breach::{Breach, BreachCause, ClockStanding};
use usufruct_core::certificate::Answer;
use usufruct_core::delay::FIRST_NUMBER;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::{BreachId, MandateId, ServiceId};
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::Duty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Entry;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::tally::Count;
use usufruct_core::time::{DAY, HOUR};

const BREACH: &str = "brc_lost-laptop";

on_both!(
    residents_concerned_are_told_once_and_it_is_closed,
    a_crash_while_they_are_told_tells_nobody_twice,
    a_wider_breach_reaches_those_who_were_not_told,
    a_service_that_does_not_confirm_a_deletion_is_a_breach_by_the_clock,
    a_vendor_that_does_not_confirm_the_end_of_its_contract_is_a_breach,
    counters_that_do_not_agree_are_a_breach,
    whoever_is_erased_is_neither_told_nor_kept,
    a_grave_breach_at_a_vendor_stops_it_before_any_job_has_run,
    a_line_that_opens_later_is_told_when_it_opens_and_not_before,
    a_changed_leaf_is_found_by_the_look_at_the_log,
    who_was_told_is_forgotten_when_no_law_wants_it_kept,
);

/// A lost laptop with everything that the service of the library used under the card.
fn lost(city: &City) -> Value {
    json!({"body": LIBRARY, "cause": "loss", "state": "detected", "kinds": ["confidentiality"], "threat_actor": "nobody", "reporter": "staff", "title": text("Lost laptop"), "facts": text("A laptop was left in a train."),
        "first_signal_at": city.app.now().plus(-HOUR), "aware_at": city.app.now(), "from": "2026-01-01", "mandates": [CARD],
        "services": [SERVICE]})
}

/// Publishes the next revision of the breach with its clocks, signed by these people.
fn say(city: &City, id: &str, body: &Value, signers: &[&Signer]) -> Result<(), Error> {
    let register = city.app.register();
    let old = register.breaches.get(&id.parse().unwrap()).map(|entry| &entry.body);
    let breach = register.with_clocks(Breach::read(body).unwrap(), old, city.app.now());
    let mut statement = city.app.statement(StatementKind::Breach, id, signers[0].agency(), json!(breach), city.app.now());
    for signer in signers {
        statement.approve(signer).unwrap();
    }
    city.app.publish(&Publication { statements: vec![statement] }).map(drop)
}

fn open(city: &City, body: &Value) {
    say(city, BREACH, body, &city.signer(LIBRARY)).unwrap();
}

fn entry(city: &City, id: &str) -> Entry<Breach> {
    city.app.register().breaches[&id.parse::<BreachId>().unwrap()].clone()
}

/// The lines that told a resident.
fn told(city: &City, resident: u64) -> Vec<Event> {
    let lines = city.app.footprint(resident).unwrap().lines;
    lines.into_iter().filter_map(|line| line.event).filter(|event| event.kind == Kind::Breach).collect()
}

fn give_passkey(city: &City, resident: u64) {
    let passkey = Passkey {
        credential: resident.to_be_bytes().to_vec(),
        resident,
        passkey: "{}".into(),
        label: "key".into(),
        added_at: city.app.now(),
        used_at: None,
    };
    city.app.db().transaction("give passkey", move |tx| passkeys::insert(tx, &passkey, &sha256(b"mark"))).unwrap();
}

/// Answers every clock that waits, with the hash of a letter, and says why where it is late.
fn answer_all(city: &City, id: &str) -> Value {
    let now = city.app.now();
    let mut body = json!(entry(city, id).body);
    for clock in body["clocks"].as_array_mut().unwrap().iter_mut().filter(|clock| clock.get("answer").is_none()) {
        let proof = json!({"title": text("Letter"), "sha256": sha256(b"letter").to_string()});
        clock["answer"] = json!({"at": now, "proof": proof, "reason": text("It was a holiday.")});
    }
    body
}

/// Says that it has stopped, until now, and what was done: it is told again, and the machine looks at the log.
fn mitigate(city: &City, id: &str, signers: &[&Signer]) {
    let mut body = json!(entry(city, id).body);
    body["state"] = json!("halted");
    say(city, id, &body, signers).unwrap();
    (body["state"], body["until"], body["told"]) = (json!("contained"), json!(city.app.now()), Value::Null);
    city.clock.advance(1);
    say(city, id, &body, signers).unwrap();
    city.app.tick().unwrap();
    city.app.run_breaches().unwrap();
    let mut body = json!(entry(city, id).body);
    (body["state"], body["measures"]) = (json!("mitigated"), text("All was done."));
    say(city, id, &body, signers).unwrap();
}

fn close(city: &City, id: &str, signers: &[&Signer]) {
    mitigate(city, id, signers);
    let mut body = answer_all(city, id);
    body["state"] = json!("closed");
    body["closed_at"] = json!(city.app.now());
    body["lessons"] = text("Disks are sealed.");
    say(city, id, &body, signers).unwrap();
}

fn residents_concerned_are_told_once_and_it_is_closed(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (reader, subject) = city.cardholder();
    let (other, _) = city.cardholder();
    let stranger = city.enrol(1)[0];
    city.app.release(&city.request(&subject)).unwrap();
    give_passkey(&city, reader);
    city.clock.advance(DAY);
    let mut body = lost(&city);
    body["blocks"] = json!(["blk_name"]);
    let concerned = city.app.concerned(&Breach::read(&body).unwrap()).unwrap();
    assert_eq!((concerned.residents, concerned.blocks.into_iter().collect::<Vec<_>>()), (Count::Few, vec![block("name")]));
    open(&city, &body);
    assert_eq!(city.app.run_breaches().unwrap(), 0);
    assert!(told(&city, reader).is_empty() && city.app.breach_notices(reader).unwrap().is_empty(), "nobody has found the words");

    // The clock runs without any job.
    assert!(city.owed().is_empty());
    city.clock.advance(4 * HOUR);
    assert_eq!(city.owed()[0].duty, LateDuty::Breach(Duty::ReportIncident));
    assert_eq!(city.owed()[0].object, BREACH);
    city.clock.advance(1);

    let mut advised = json!(entry(&city, BREACH).body);
    advised["advice"] = text("Watch your mail.");
    say(&city, BREACH, &advised, &city.signer(LIBRARY)).unwrap();
    let words = entry(&city, BREACH).hash;
    city.app.run_breaches().unwrap();
    city.app.run_breaches().unwrap();
    let line = &told(&city, reader)[0];
    assert_eq!((told(&city, reader).len(), line.detail.as_deref()), (1, Some(BREACH)));
    assert!(line.blocks.iter().all(|(id, _)| *id == block("name")) && !line.blocks.is_empty(), "{:?}", line.blocks);
    assert_eq!((told(&city, other).len(), told(&city, stranger).len()), (1, 0), "what was lent is concerned, too");
    let notice = &city.app.breach_notices(reader).unwrap()[0];
    assert_eq!((notice.id.as_str(), notice.blocks.as_slice()), (BREACH, &[block("name")][..]));
    let said = entry(&city, BREACH).body.told.unwrap();
    assert_eq!((said.residents, said.by_courier, said.blocks, said.words), (Count::Few, Count::Few, 1, words));
    let rev = entry(&city, BREACH).rev;
    let waits = |city: &City| {
        entry(city, BREACH).body.clocks.iter().any(|clock| clock.duty == Duty::TellPersons && clock.answer.is_none())
    };
    assert!(waits(&city), "one of them has no passkey and waits for a letter");
    let id: BreachId = BREACH.parse().unwrap();
    assert_eq!(city.app.breach_letters(&id, None).unwrap(), [other]);
    assert!(city.app.breach_letters(&id, Some(other)).unwrap().is_empty());

    close(&city, BREACH, &city.signer(LIBRARY));
    city.app.run_breaches().unwrap();
    assert_eq!(
        (entry(&city, BREACH).rev, told(&city, reader).len()),
        (rev + 6, 1),
        "stopped, its end, told again, the log, made good, closed"
    );
    let found = entry(&city, BREACH).body.log_check.unwrap();
    assert!(found.is_whole() && found.from_size < found.to_size, "{found:?}");
    assert!(city.owed().is_empty());
    let standings: Vec<_> = entry(&city, BREACH).body.clocks.iter().map(|clock| clock.standing(city.app.now())).collect();
    assert!(standings.contains(&ClockStanding::MetLate) && standings.contains(&ClockStanding::Met), "{standings:?}");
    // It is all there after a restart.
    let at = city.app.now().to_string();
    drop(city);
    let again = City::open(dir, url, &at, 2);
    again.app.run_breaches().unwrap();
    assert!(entry(&again, BREACH).body.is_closed() && told(&again, reader).len() == 1);
}

fn a_crash_while_they_are_told_tells_nobody_twice(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let residents = city.enrol(430);
    for resident in &residents {
        city.app.consent(*resident, &service(), &mandate(), &[]).unwrap();
        give_passkey(&city, *resident);
    }
    let mut body = lost(&city);
    body["advice"] = text("Watch your mail.");
    open(&city, &body);
    // The clock stops the process at its n-th reading, each time one later, until all is done.
    let mut crashes = 0;
    for readings in 0.. {
        city.clock.after(readings, || panic!("the process stops here"));
        if catch_unwind(AssertUnwindSafe(|| city.app.run_breaches().unwrap())).is_ok() {
            city.clock.after(usize::MAX, || {});
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 4, "{crashes}");
    city.app.run_breaches().unwrap();
    let said = entry(&city, BREACH).body.told.unwrap();
    assert_eq!((said.residents, said.by_courier), (Count::Exact(430), Count::Exact(0)));
    let answered = entry(&city, BREACH).body.clocks.into_iter().filter(|clock| clock.duty == Duty::TellPersons);
    assert!(answered.map(|clock| clock.standing(city.app.now())).all(|standing| standing == ClockStanding::Met));
    for resident in &residents {
        assert_eq!(told(&city, *resident).len(), 1);
    }
}

fn a_wider_breach_reaches_those_who_were_not_told(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (early, _) = city.cardholder();
    city.clock.advance(10 * DAY);
    let (late, _) = city.cardholder();
    let mut body = lost(&city);
    body["until"] = json!(city.app.now().plus(-DAY));
    body["advice"] = text("Watch your mail.");
    open(&city, &body);
    city.app.run_breaches().unwrap();
    assert_eq!((told(&city, early).len(), told(&city, late).len()), (1, 0));
    let mut wider = json!(entry(&city, BREACH).body);
    wider["until"] = Value::Null;
    let stale = say(&city, BREACH, &wider, &city.signer(LIBRARY)).unwrap_err();
    assert!(matches!(&stale, Error::Unlawful(problems) if problems[0].rule == "stale"), "{stale}");
    wider["told"] = Value::Null;
    say(&city, BREACH, &wider, &city.signer(LIBRARY)).unwrap();
    city.app.run_breaches().unwrap();
    assert_eq!((told(&city, early).len(), told(&city, late).len()), (1, 1));
}

fn a_service_that_does_not_confirm_a_deletion_is_a_breach_by_the_clock(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (leaver, subject) = city.cardholder();
    let (stayer, _) = city.cardholder();
    city.app.release(&city.request(&subject)).unwrap();
    city.app.withdraw(leaver, &mandate()).unwrap();
    city.clock.advance(30 * DAY);
    assert_eq!(city.app.run_breaches().unwrap(), 0, "the last moment is in time");
    city.clock.advance(1);
    assert_eq!(city.app.run_breaches().unwrap(), 1);
    assert_eq!(city.app.run_breaches().unwrap(), 0, "once");
    let register = city.app.register();
    let opened = register.open_breaches()[0].clone();
    let body = &opened.body;
    assert_eq!(
        (body.cause, body.body.as_str(), body.services.as_slice()),
        (BreachCause::UnansweredDeletion, LIBRARY, &[service()][..])
    );
    assert_eq!(body.mandates, [mandate()]);
    assert_eq!(body.clocks.len(), 2, "it is no incident of a system");
    let concerned = city.app.concerned(body).unwrap();
    assert_eq!(concerned.residents, Count::Few);
    // People find the words, and she whose data was to be deleted is told, nobody else.
    let mut advised = json!(body);
    advised["advice"] = text("Ask the library.");
    say(&city, &opened.id, &advised, &city.signer(OPERATOR)).unwrap();
    city.app.run_breaches().unwrap();
    assert_eq!((told(&city, leaver).len(), told(&city, stayer).len()), (1, 0));
    assert!(told(&city, leaver)[0].blocks.iter().any(|(id, _)| *id == block("name")));
    // Once it is closed, what was overdue then opens no other one; what falls due later does.
    close(&city, &opened.id, &city.signer(OPERATOR));
    assert_eq!(city.app.run_breaches().unwrap(), 0);
    city.app.withdraw(stayer, &mandate()).unwrap();
    let notice = city.app.deletions_of(stayer).unwrap()[0].id.clone();
    city.clock.advance(32 * DAY);
    assert_eq!(city.app.run_breaches().unwrap(), 1);
    city.app.answer_deletion(&service(), &notice, Answer::Deleted).unwrap();
    assert_eq!(city.app.register().open_breaches().len(), 1, "an answer that comes late closes nothing");
}

fn a_vendor_that_does_not_confirm_the_end_of_its_contract_is_a_breach(dir: &Path, url: Option<&str>) {
    let city = vendors::city(dir, url);
    let (reader, _) = city.cardholder();
    city.clock.advance(DAY);
    vendors::step(&city, CONTRACT, State::Ending, &city.signer(LIBRARY)).unwrap();
    city.clock.advance(7 * DAY);
    assert_eq!(city.app.run_breaches().unwrap(), 1);
    assert_eq!(city.app.run_breaches().unwrap(), 0, "once");
    city.clock.advance(1);
    assert_eq!(city.app.run_supervision().unwrap(), [CONTRACT]);
    assert_eq!((vendors::state(&city), city.app.run_breaches().unwrap()), (State::Breached, 0), "the same silence");
    let register = city.app.register();
    let body = &register.open_breaches()[0].body;
    assert_eq!((body.body.as_str(), body.contract.as_ref().unwrap().as_str()), (LIBRARY, CONTRACT), "who commissioned answers");
    assert_eq!((body.services[0].as_str(), body.mandates.as_slice()), (THEIRS, &[mandate()][..]));
    assert_eq!(body.first_signal_at, city.app.now().plus(-1));
    assert_eq!(city.app.concerned(body).unwrap().residents, Count::Few, "what she lent was there for the vendor");
    let _ = reader;
}

fn counters_that_do_not_agree_are_a_breach(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let incident =
        |fault: &str| json!({"source": "pass", "mandate": CARD, "fault": fault, "since": city.app.now(), "missing": "0"});
    let say = |id: &str, body: Value| {
        let machine = city.app.house().signer(&OPERATOR.parse().unwrap(), "automation", city.app.rng()).unwrap();
        let mut statement = city.app.statement(StatementKind::Incident, id, &OPERATOR.parse().unwrap(), body, city.app.now());
        statement.approve(&machine).unwrap();
        city.app.publish(&Publication { statements: vec![statement] }).unwrap();
    };
    say("inc_1", incident("silent"));
    assert_eq!(city.app.run_breaches().unwrap(), 0, "of a source that is silent nothing is known to be missing");
    let mut over = incident("silent");
    over["ended_at"] = json!(city.app.now());
    say("inc_1", over);
    say("inc_2", incident("miscounted"));
    assert_eq!(city.app.run_breaches().unwrap(), 1);
    assert_eq!(city.app.run_breaches().unwrap(), 0, "once");
    let register = city.app.register();
    let body = &register.open_breaches()[0].body;
    assert_eq!((body.cause, body.incident.as_ref().unwrap().as_str()), (BreachCause::Counters, "inc_2"));
    assert_eq!(body.clocks.len(), 5);
}

fn whoever_is_erased_is_neither_told_nor_kept(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (gone, _) = city.cardholder();
    let (told_before, _) = city.cardholder();
    city.app.delete_resident(gone).unwrap();
    let mut body = lost(&city);
    body["advice"] = text("Watch your mail.");
    open(&city, &body);
    city.app.run_breaches().unwrap();
    assert_eq!(told(&city, told_before).len(), 1);
    city.app.delete_resident(told_before).unwrap();
    city.app.tick().unwrap();
    let number = entry(&city, BREACH).number;
    let left = city.app.db().read(|conn| usufruct_app::store::breaches::told(conn, number)).unwrap();
    assert_eq!(left, (0, 0), "whom a breach concerned goes with her");
}

fn a_grave_breach_at_a_vendor_stops_it_before_any_job_has_run(dir: &Path, url: Option<&str>) {
    let city = vendors::city(dir, url);
    let is_open = |city: &City| city.app.knows_redirect(&vendors::theirs(), "http://localhost:8081/callback");
    let mut body = lost(&city);
    (body["contract"], body["severity"], body["services"]) = (json!(CONTRACT), json!(2), json!([THEIRS]));
    open(&city, &body);
    assert!(is_open(&city) && city.app.run_supervision().unwrap().is_empty(), "a light one");
    // The vendor's own clocks: it calls within an hour of the first sign.
    let late = city.owed();
    assert_eq!((late[0].duty, late[0].agency.as_str()), (LateDuty::Breach(Duty::VendorCall), VENDOR));
    let mut graver = json!(entry(&city, BREACH).body);
    graver["severity"] = json!(3);
    say(&city, BREACH, &graver, &city.signer(LIBRARY)).unwrap();
    assert!(!is_open(&city), "before any job has run");
    assert_eq!(city.app.run_supervision().unwrap(), [CONTRACT]);
    assert_eq!(vendors::state(&city), State::Suspended);
    assert!(city.app.run_supervision().unwrap().is_empty(), "once");
    let back = vendors::step(&city, CONTRACT, State::Active, &city.signer(LIBRARY));
    assert!(matches!(&back, Err(Error::Unlawful(problems)) if problems[0].rule == "breach"), "{back:?}");
    mitigate(&city, BREACH, &city.signer(LIBRARY));
    vendors::step(&city, CONTRACT, State::Active, &city.signer(LIBRARY)).unwrap();
    assert!(is_open(&city));
}

fn a_line_that_opens_later_is_told_when_it_opens_and_not_before(dir: &Path, url: Option<&str>) {
    const COVERT: &str = "mdt_inquiry";
    const INQUIRY: &str = "svc_inquiry";
    let witness = Witness::new();
    let city = City::found_with(dir, url, Some(witness.clone()));
    witness.name_in(&city);
    city.publish_watch();
    let mut covert = library_card();
    covert["kind"] = json!("covert");
    covert["legal_basis"]["code"] = json!("public_task");
    covert["gate"] = json!("witnessed");
    covert["visibility"] = json!({"delayed": {"max_days": 30, "authority": WATCH}});
    let watching = city.watchers();
    let mut signers = city.signer(LIBRARY);
    signers.extend(&watching[..2]);
    let id: MandateId = COVERT.parse().unwrap();
    let published = city.app.mandate_publication(&id, covert, &notice(), &signers, city.app.now()).unwrap();
    city.app.publish(&published).unwrap();
    city.open_service_with(INQUIRY, LIBRARY, "inquiry", |body| body["mandates"] = json!([CARD, COVERT]));
    let inquiry: ServiceId = INQUIRY.parse().unwrap();
    let (reader, _) = city.cardholder();
    let request = ReleaseRequest {
        service: inquiry.clone(),
        mandate: id,
        subject: city.app.subject(reader, &inquiry).unwrap(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: None,
    };
    city.app.release(&request).unwrap();
    city.clock.advance(1);
    let mut body = lost(&city);
    (body["mandates"], body["services"], body["advice"]) = (json!([COVERT]), json!([]), text("Watch your mail."));
    open(&city, &body);
    city.app.run_breaches().unwrap();
    assert!(told(&city, reader).is_empty(), "it would tell her of the line");
    close(&city, BREACH, &city.signer(LIBRARY));
    let (rev, said) = (entry(&city, BREACH).rev, entry(&city, BREACH).body.told.unwrap());
    assert_eq!(said.residents, Count::of(0));
    // Every day until the line has opened, and a week more.
    let mut told_on = None;
    for day in 0..40 {
        let has_opened = !city.app.footprint(reader).unwrap().lines.iter().all(|line| line.n < FIRST_NUMBER);
        city.app.run_breaches().unwrap();
        assert_eq!(told(&city, reader).len(), usize::from(has_opened), "on day {day}");
        told_on = told_on.or(has_opened.then_some(day));
        city.clock.advance(DAY);
    }
    assert!(told_on.is_some_and(|day| 20 < day), "{told_on:?}");
    assert_eq!(entry(&city, BREACH).rev, rev, "nothing more is said of a closed breach");
}

fn a_changed_leaf_is_found_by_the_look_at_the_log(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    let body = lost(&city);
    open(&city, &body);
    let used = city.app.release(&city.request(&subject));
    assert!(used.is_ok());
    city.clock.advance(HOUR);
    city.app.tick().unwrap();
    // Somebody with the database writes another use in the place of one.
    let index = city.app.db().read(lines::last_index).unwrap().unwrap();
    city.app
        .db()
        .transaction("change leaf", move |tx| {
            let params: [Column; 2] = [vec![1_u8, 2].into(), index.cast_signed().into()];
            tx.execute("-- change_leaf\nUPDATE leaves SET data = $1 WHERE idx = $2", &params).map(drop)
        })
        .unwrap();
    mitigate(&city, BREACH, &city.signer(LIBRARY));
    let found = entry(&city, BREACH).body.log_check.unwrap();
    assert!(!found.consistent && found.gaps.is_empty(), "{found:?}");
}

fn who_was_told_is_forgotten_when_no_law_wants_it_kept(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (reader, _) = city.cardholder();
    let mut body = lost(&city);
    body["advice"] = text("Watch your mail.");
    open(&city, &body);
    city.app.run_breaches().unwrap();
    close(&city, BREACH, &city.signer(LIBRARY));
    let until = city.app.register().breach_records_until(&entry(&city, BREACH)).unwrap();
    city.clock.advance(until.micros() - city.app.now().micros() - 1);
    city.app.run_breaches().unwrap();
    let letters = |city: &City| city.app.breach_letters(&BREACH.parse().unwrap(), None).unwrap();
    assert_eq!(letters(&city), [reader], "the last moment");
    city.clock.advance(1);
    city.app.run_breaches().unwrap();
    assert!(letters(&city).is_empty());
    city.app.run_breaches().unwrap();
    assert_eq!(told(&city, reader).len(), 1, "her own line stays, and she is not told again");
}
