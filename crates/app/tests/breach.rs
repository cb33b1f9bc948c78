//! Breaches on both databases: whom the log shows to be concerned, that each of them is told once, what the machine opens by itself, and that
//! the clocks are late without anybody writing it.

mod common;
#[path = "common/vendors.rs"]
mod vendors;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{CARD, City, LIBRARY, OPERATOR, SERVICE, block, mandate, on_both, service, text};
use serde_json::{Value, json};
use usufruct_app::store::passkeys::{self, Passkey};
use usufruct_app::{Error, Publication};
use usufruct_core::breach::{Breach, BreachCause, ClockStanding};
use usufruct_core::certificate::Answer;
use usufruct_core::event::{Event, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::BreachId;
use usufruct_core::late::LateDuty;
use usufruct_core::lawpack::Duty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Entry;
use usufruct_core::statement::{Signer, StatementKind};
use usufruct_core::tally::Count;
use usufruct_core::time::{DAY, HOUR};
use vendors::{CONTRACT, THEIRS};

const BREACH: &str = "brc_lost-laptop";

on_both!(
    residents_concerned_are_told_once_and_it_is_closed,
    a_crash_while_they_are_told_tells_nobody_twice,
    a_wider_breach_reaches_those_who_were_not_told,
    a_service_that_does_not_confirm_a_deletion_is_a_breach_by_the_clock,
    a_vendor_that_does_not_confirm_the_end_of_its_contract_is_a_breach,
    counters_that_do_not_agree_are_a_breach,
    whoever_is_erased_is_neither_told_nor_kept,
);

/// A lost laptop with everything that the service of the library used under the card.
fn lost(city: &City) -> Value {
    json!({"body": LIBRARY, "cause": "loss", "state": "detected", "kinds": ["confidentiality"], "threat_actor": "nobody", "reporter": "staff", "title": text("Lost laptop"), "facts": text("A laptop was left in a train."),
        "first_signal_at": city.app.now().plus(-HOUR), "aware_at": city.app.now(), "from": "2026-01-01", "mandates": [CARD],
        "services": [SERVICE]})
}

/// Publishes the next revision of the breach with its clocks, signed by these people.
fn say(city: &City, id: &str, body: &Value, signers: &[&Signer]) -> Result<(), Error> {
    let breach = city.app.register().with_clocks(Breach::read(body).unwrap(), city.app.now());
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

fn close(city: &City, id: &str, signers: &[&Signer]) {
    let mut ended = json!(entry(city, id).body);
    (ended["until"], ended["told"]) = (json!(city.app.now()), Value::Null);
    say(city, id, &ended, signers).unwrap();
    city.app.run_breaches().unwrap();
    let mut body = answer_all(city, id);
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
    assert!(city.app.late().unwrap().is_empty());
    city.clock.advance(4 * HOUR);
    assert_eq!(city.app.late().unwrap()[0].duty, LateDuty::Breach(Duty::ReportIncident));
    assert_eq!(city.app.late().unwrap()[0].object, BREACH);
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
    assert_eq!((entry(&city, BREACH).rev, told(&city, reader).len()), (rev + 3, 1), "its end, told again, closed");
    assert!(city.app.late().unwrap().is_empty());
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
    let register = city.app.register();
    let body = &register.open_breaches()[0].body;
    assert_eq!((body.body.as_str(), body.contract.as_ref().unwrap().as_str()), (LIBRARY, CONTRACT), "who commissioned answers");
    assert_eq!((body.services[0].as_str(), body.mandates.as_slice()), (THEIRS, &[mandate()][..]));
    assert_eq!(body.first_signal_at, city.app.now());
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
