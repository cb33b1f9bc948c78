//! Cases and standing wishes, on both databases: the clock that nobody can stop, what rests meanwhile, who answers by whose key, what the machine
//! does by itself, and what the public learns of it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common;
use crate::common::{City, LIBRARY, OPERATOR, WATCH, block, library_card, mandate, service, text};
use serde_json::json;
use usufruct_app::store::db::{Connection, Error as DbError, Tx, Value};
use usufruct_app::{
    About, Act, Approved, CaseRequest, DeskAct, DeskCase, Error, FiledCase, ReleaseRequest, Task, Wishes, counter_case_message,
    desk_message,
};
use usufruct_core::case::{CaseKind, CaseState, Finding, Ground, Relief, Remedy};
use usufruct_core::case_tally::{Counted, Sum};
use usufruct_core::decide::Clause;
use usufruct_core::erasure::ErasureState;
use usufruct_core::event::{Event, Kind};
use usufruct_core::grant::GrantState;
use usufruct_core::id::{CaseId, MandateId};
use usufruct_core::late::LateDuty;
use usufruct_core::statement::{Approval, Signer, StatementKind};
use usufruct_core::time::{DAY, Month};

common::on_both!(
    a_case_about_no_line_names_nobody_to_the_office,
    a_changed_row_moves_nothing_and_holds_up_no_other,
    a_deletion_that_was_decided_is_carried_out,
    a_remedy_that_people_owe_goes_late_in_public,
    an_answer_ends_the_rest_and_a_complaint_begins_it_again,
    an_answer_that_she_accepts_stands_and_what_it_promises_is_owed,
    an_office_says_that_it_has_a_case_or_is_late_in_public,
    an_erasure_ends_cases_and_wishes,
    cases_from_before_the_marks_get_theirs_once,
    clerks_file_what_she_says_at_the_counter_and_nothing_else,
    more_time_is_taken_once_and_with_a_reason,
    nobody_but_its_officials_speaks_for_an_office,
    optional_data_is_never_asked_for_where_she_wishes_so,
    the_overseer_watches_and_reads_none_of_it,
    what_a_law_orders_is_stopped_by_a_case_and_not_by_a_wish,
    what_an_office_may_not_have_is_refused_without_saying_why,
    where_the_law_sets_a_time_the_clock_settles,
    why_she_files_it_and_what_she_wants_is_read_by_whoever_answers,
    without_an_answer_the_clock_takes_it_to_the_overseer,
);

const WATCHED: &str = "mdt_short";

fn watched() -> MandateId {
    WATCHED.parse().unwrap()
}

/// A city under a law by which challenges and deletions rest for ten days, and a mandate that a body with keys of its own oversees.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.publish_watch();
    publish_law(&city);
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate(WATCHED, body);
    city
}

fn publish_law(city: &City) {
    let deadline = |duty: &str| json!({"duty": duty, "within": "P10D", "extension": "P5D", "suspends": true, "article": "1"});
    let body = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2025-01-01",
        "deadlines": [deadline("challenge"), deadline("delete"), deadline("stop"),
            {"duty": "escalated", "within": "P20D", "article": "1"}, {"duty": "remedy", "within": "P7D", "article": "1"}],
        "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, body);
}

/// A resident who agreed, and her pseudonym.
fn reader(city: &City) -> (u64, String) {
    let resident = city.enrol(1)[0];
    city.app.consent_at_counter(resident, &service(), &watched(), &[]).unwrap();
    (resident, city.app.subject(resident, &service()).unwrap())
}

fn request(city: &City, subject: &str) -> ReleaseRequest {
    ReleaseRequest { mandate: watched(), ..city.request(subject) }
}

/// The clauses by which a release is refused; none when it is made.
fn clauses(city: &City, request: &ReleaseRequest) -> Vec<Clause> {
    match city.app.release(request) {
        Ok(_) => Vec::new(),
        Err(Error::Unpermitted(clauses)) => clauses,
        Err(other) => panic!("another error: {other}"),
    }
}

/// Uses her data once, and files a case about that.
fn file(city: &City, resident: u64, subject: &str, kind: CaseKind) -> FiledCase {
    city.app.release(&request(city, subject)).unwrap();
    let line = city.app.footprint(resident).unwrap().lines.last().unwrap().n;
    let words = "I was not there.".to_owned();
    city.app.file_case(resident, &CaseRequest::new(About::Line(line), kind, words)).unwrap()
}

fn last(city: &City, resident: u64) -> Event {
    city.app.footprint(resident).unwrap().lines.pop().unwrap().event.unwrap()
}

fn case(city: &City, resident: u64) -> FiledCase {
    city.app.cases(resident).unwrap().remove(0)
}

fn act(city: &City, office: &str, act: Act, signers: &[&Signer]) -> Result<Vec<DeskCase>, Error> {
    let said = serde_json::to_string(&DeskAct { agency: office.parse().unwrap(), at: city.app.now(), act }).unwrap();
    let message = desk_message("city.test/log", &said);
    let approvals: Vec<Approval> = signers.iter().map(|signer| signer.approve(&message)).collect();
    city.app.act_at_desk(&said, &approvals)
}

fn answer(city: &City, id: &CaseId, finding: Finding, remedy: Option<Remedy>) -> Result<Vec<DeskCase>, Error> {
    let answer = Act::Answer { case: id.clone(), finding, remedy, reasons: "We looked at it.".into() };
    act(city, LIBRARY, answer, &city.signer(LIBRARY)[..1])
}

fn decide(city: &City, id: &CaseId, finding: Finding, remedy: Option<Remedy>) -> Result<Vec<DeskCase>, Error> {
    let watchers = city.watchers();
    let decide = Act::Decide { case: id.clone(), finding, remedy, reasons: "We weighed both.".into(), order: None };
    act(city, WATCH, decide, &watchers.iter().collect::<Vec<_>>())
}

fn is_late(city: &City, duty: LateDuty) -> bool {
    city.app.late().unwrap().iter().any(|late| late.duty == duty)
}

/// What the public is told of the cases of this kind with the library once the month is over, each count by its word.
fn told(city: &City, kind: CaseKind) -> BTreeMap<Counted, String> {
    city.clock.advance(Month::of(city.app.now()).next().begins().micros() - city.app.now().micros());
    city.app.run_case_tallies().unwrap();
    let register = city.app.register();
    let library = || register.case_tallies.values().filter(|entry| entry.body.agency.as_str() == LIBRARY);
    let sum = |what| library().fold(Sum::default(), |sum, entry| sum.plus(entry.body.count(kind, what))).to_string();
    Counted::WORDS.map(|(_, what)| (what, sum(what))).into()
}

/// That each of these was counted, less than ten times, and nothing else.
fn assert_few(told: &BTreeMap<Counted, String>, counted: &[Counted]) {
    for (what, count) in told {
        assert_eq!(count, if counted.contains(what) { "1-9" } else { "0" }, "{what:?}");
    }
}

fn write(city: &City, sql: &'static str, params: Vec<Value>) {
    let write = move |tx: &mut Tx<'_>| tx.execute(sql, &params);
    let written: Result<u64, DbError> = city.app.db().transaction("write", write);
    assert_eq!(written.unwrap(), 1, "{sql}");
}

fn the_overseer_watches_and_reads_none_of_it(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    let pass = CaseRequest::new(About::Pass, CaseKind::Complaint, "I was sent away.");
    city.app.file_case(resident, &pass).unwrap();
    let watchers = city.watchers();
    let watch = || act(&city, WATCH, Act::List {}, &[&watchers[0]]).unwrap();
    let seen = watch();
    assert_eq!(seen.len(), 1, "what another body oversees is not its own: {seen:?}");
    let DeskCase { id, task, kind, office, mandate, due_at, letters, subject: known, .. } = seen[0].clone();
    assert_eq!((id, task, kind), (filed.id.clone(), Task::Watch, CaseKind::Challenge));
    assert_eq!((office.as_str(), mandate, due_at), (LIBRARY, Some(watched()), filed.case.due_at));
    assert_eq!((letters, known), (Vec::new(), None), "neither her words nor a name for her");
    let said = serde_json::to_string(&seen).unwrap();
    assert!(!said.contains("I was not there") && !said.contains(&subject), "{said}");
    let own = act(&city, LIBRARY, Act::List {}, &city.signer(LIBRARY)[..1]).unwrap();
    assert_eq!(own.iter().map(|case| (case.task, case.letters.len())).collect::<Vec<_>>(), [(Task::Answer, 1)]);
    // It cannot answer in the place of the office.
    let instead =
        Act::Answer { case: filed.id.clone(), finding: Finding::Upheld, remedy: None, reasons: "You are right.".into() };
    assert!(act(&city, WATCH, instead, &[&watchers[0]]).is_err());
    city.clock.advance(10 * DAY);
    city.app.run_cases().unwrap();
    let seen = watch();
    assert_eq!(seen.iter().map(|case| (case.task, case.letters.len())).collect::<Vec<_>>(), [(Task::Decide, 1)]);
    decide(&city, &filed.id, Finding::Dismissed, None).unwrap();
    assert!(watch().is_empty());
}

fn without_an_answer_the_clock_takes_it_to_the_overseer(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    assert_eq!((filed.case.due_at, filed.case.suspends), (filed.case.filed_at.plus(10 * DAY), true));
    assert_eq!((filed.agency.unwrap().as_str(), filed.overseer.unwrap().as_str()), (LIBRARY, WATCH));
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension]);
    let refusal = last(&city, resident);
    assert_eq!((refusal.kind, refusal.detail.as_deref()), (Kind::Refusal, Some("case")));

    city.clock.advance(10 * DAY - 1);
    assert_eq!(city.app.run_cases().unwrap(), 0);
    city.clock.advance(1);
    assert!(answer(&city, &filed.id, Finding::Upheld, None).is_err(), "its time is over before any job has run");
    assert!(is_late(&city, LateDuty::Answer));
    city.app.tick().unwrap();
    assert_eq!(city.app.run_cases().unwrap(), 0, "once");
    let escalated = last(&city, resident);
    assert_eq!((escalated.kind, escalated.reason.as_str()), (Kind::Case, "escalated"));
    assert_eq!(escalated.detail.as_deref(), Some(filed.id.as_str()));
    assert_eq!(case(&city, resident).case.state(), CaseState::Escalated);
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension]);
    assert!(is_late(&city, LateDuty::Answer) && !is_late(&city, LateDuty::Decision), "the office still owes it");
    city.clock.advance(20 * DAY);
    let late = city.app.late().unwrap();
    let decision = late.iter().find(|late| late.duty == LateDuty::Decision).unwrap();
    assert_eq!((decision.agency.as_str(), decision.object.as_str()), (WATCH, WATCH));
    assert_eq!(decision.due_at.minute().split_off(11), "00:00", "it stands there by the day alone");

    let watchers = city.watchers();
    let alone =
        Act::Decide { case: filed.id.clone(), finding: Finding::Upheld, remedy: None, reasons: "So.".into(), order: None };
    assert!(act(&city, WATCH, alone, &[&watchers[0]]).is_err(), "one person alone");
    decide(&city, &filed.id, Finding::Upheld, Some(Remedy::Stop)).unwrap();
    let decided = case(&city, resident);
    assert_eq!((decided.case.state(), decided.case.decision), (CaseState::Closed, Some(Finding::Upheld)));
    assert!(decided.case.remedied_at.is_some() && !is_late(&city, LateDuty::Decision) && !is_late(&city, LateDuty::Answer));
    assert_eq!(decided.letters.len(), 2);
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension], "for good");
    let events = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event);
    let reasons: Vec<_> = events.filter(|event| event.kind == Kind::Case).map(|event| event.reason).collect();
    assert_eq!(reasons, ["escalated", "decided", "remedied"]);
    // She herself may change her mind.
    city.app.consent_at_counter(resident, &service(), &watched(), &[]).unwrap();
    assert!(clauses(&city, &request(&city, &subject)).is_empty());

    // It holds after a restart, and the public learns of it when the month is over, without the number.
    let at = city.app.now().plus(DAY).to_string();
    drop(city);
    let again = City::open(dir, url, &at, 2);
    let counted = [
        Counted::Filed,
        Counted::AcknowledgedLate,
        Counted::Late,
        Counted::Escalated,
        Counted::DecidedUpheld,
        Counted::RemedyDue,
        Counted::Closed,
    ];
    assert_few(&told(&again, CaseKind::Challenge), &counted);
}

fn an_answer_ends_the_rest_and_a_complaint_begins_it_again(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    assert!(city.app.complain(resident, &filed.id, "Too slow.").is_err(), "there is no answer");
    assert!(answer(&city, &filed.id, Finding::Dismissed, Some(Remedy::Stop)).is_err(), "nothing follows from what is dismissed");
    let waiting = answer(&city, &filed.id, Finding::Dismissed, None).unwrap();
    assert!(waiting.is_empty());
    assert!(last(&city, resident).actor.is_some(), "an official did it, whom nobody can tell by it");
    assert!(clauses(&city, &request(&city, &subject)).is_empty());
    assert!(answer(&city, &filed.id, Finding::Upheld, None).is_err(), "once");

    city.app.complain(resident, &filed.id, "You looked at the wrong day.").unwrap();
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension]);
    let watchers = city.watchers();
    let waiting = act(&city, WATCH, Act::List {}, &[&watchers[0]]).unwrap();
    let texts: Vec<&str> = waiting[0].letters.iter().map(|letter| letter.text.as_str()).collect();
    assert_eq!(texts, ["I was not there.", "We looked at it.", "You looked at the wrong day."]);
    assert!(waiting[0].subject.is_none(), "the overseer needs no name");
    decide(&city, &filed.id, Finding::Dismissed, None).unwrap();
    assert!(clauses(&city, &request(&city, &subject)).is_empty());
    assert!(city.app.complain(resident, &filed.id, "Again.").is_err());
    let counted = [
        Counted::Filed,
        Counted::Acknowledged,
        Counted::InTime,
        Counted::Dismissed,
        Counted::Complained,
        Counted::Escalated,
        Counted::DecidedDismissed,
    ];
    assert_few(&told(&city, CaseKind::Challenge), &counted);
}

fn an_office_says_that_it_has_a_case_or_is_late_in_public(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    assert_eq!(
        filed.case.acknowledge_due_at,
        Some(filed.case.filed_at.plus(3 * DAY)),
        "the rule of the house, where the law says none"
    );
    let acknowledge =
        |id: &CaseId, office: &str, signer: &Signer| act(&city, office, Act::Acknowledge { case: id.clone() }, &[signer]);
    let library = city.signer(LIBRARY)[0];
    let watchers = city.watchers();
    assert!(acknowledge(&filed.id, WATCH, &watchers[0]).is_err(), "the overseer does not speak for the office");
    city.clock.advance(3 * DAY - 1);
    assert!(!is_late(&city, LateDuty::Acknowledgement));
    city.clock.advance(1);
    assert!(is_late(&city, LateDuty::Acknowledgement) && !is_late(&city, LateDuty::Answer));
    let waiting = acknowledge(&filed.id, LIBRARY, library).unwrap();
    assert_eq!((waiting[0].task, waiting[0].state.as_str(), waiting[0].acknowledge_due_at), (Task::Answer, "acknowledged", None));
    let line = last(&city, resident);
    assert_eq!((line.kind, line.reason.as_str(), line.actor.is_some()), (Kind::Case, "acknowledged", true));
    assert!(!is_late(&city, LateDuty::Acknowledgement));
    assert!(acknowledge(&filed.id, LIBRARY, library).is_err(), "once");
    assert_eq!(case(&city, resident).case.state(), CaseState::Acknowledged);
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension], "it rests on");
    answer(&city, &filed.id, Finding::Upheld, None).unwrap();

    // An answer at once says as much, and is counted once.
    let (other, subject) = reader(&city);
    let prompt = file(&city, other, &subject, CaseKind::Access);
    answer(&city, &prompt.id, Finding::Upheld, None).unwrap();
    assert!(case(&city, other).case.acknowledged_at.is_some());
    let [challenges, requests] = [CaseKind::Challenge, CaseKind::Access].map(|kind| told(&city, kind));
    assert_few(&challenges, &[Counted::Filed, Counted::AcknowledgedLate, Counted::InTime, Counted::Upheld]);
    assert_few(&requests, &[Counted::Filed, Counted::Acknowledged, Counted::InTime, Counted::Upheld]);
}

fn an_answer_that_she_accepts_stands_and_what_it_promises_is_owed(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Complaint);
    assert!(city.app.settle(resident, &filed.id).is_err(), "there is no answer");
    answer(&city, &filed.id, Finding::Upheld, Some(Remedy::Correct)).unwrap();
    city.app.settle(resident, &filed.id).unwrap();
    let line = last(&city, resident);
    assert_eq!((line.kind, line.reason.as_str()), (Kind::Case, "settled"));
    assert_eq!(case(&city, resident).case.state(), CaseState::RemedyDue);
    assert!(city.app.settle(resident, &filed.id).is_err() && city.app.complain(resident, &filed.id, "After all.").is_err());
    city.clock.advance(99 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 0, "it goes nowhere any more");
    assert!(is_late(&city, LateDuty::Remedy));
    let done = Act::Remedied { case: filed.id, reasons: "It is put right.".into() };
    act(&city, LIBRARY, done, &city.signer(LIBRARY)[..1]).unwrap();
    assert_eq!(case(&city, resident).case.state(), CaseState::Closed);
    let all = told(&city, CaseKind::Complaint);
    assert!([Counted::Settled, Counted::RemedyDue, Counted::Closed].iter().all(|what| all[what] == "1-9"), "{all:?}");
    assert!(city.app.settle(city.enrol(1)[0], &case(&city, resident).id).is_err(), "it is nobody else's");
}

fn where_the_law_sets_a_time_the_clock_settles(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let body = json!({"jurisdiction": "TW", "title": text("A law with an end"), "status": "in_force", "valid_from": "2025-01-02",
        "deadlines": [{"duty": "complain", "within": "P30D", "article": "14"}],
        "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw-end", OPERATOR, body);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Question);
    answer(&city, &filed.id, Finding::Dismissed, None).unwrap();
    let until = case(&city, resident).case.complain_until.unwrap();
    assert_eq!(until, city.app.now().plus(30 * DAY));
    city.clock.advance(30 * DAY - 1);
    assert_eq!(city.app.run_cases().unwrap(), 0);
    city.clock.advance(1);
    assert!(city.app.complain(resident, &filed.id, "Now.").is_err(), "its time is over before any job has run");
    assert_eq!((city.app.run_cases().unwrap(), city.app.run_cases().unwrap()), (1, 0));
    assert_eq!(case(&city, resident).case.state(), CaseState::Settled);
    assert_eq!(last(&city, resident).reason, "lapsed");
}

fn why_she_files_it_and_what_she_wants_is_read_by_whoever_answers(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    city.app.release(&request(&city, &subject)).unwrap();
    let line = city.app.footprint(resident).unwrap().lines.last().unwrap().n;
    let asked = |kind: CaseKind, ground: Ground| {
        CaseRequest::new(About::Line(line), kind, "").asking(Some(ground), Some(Relief::Explanation))
    };
    assert!(
        city.app.file_case(resident, &asked(CaseKind::Access, Ground::Unlawful)).is_err(),
        "the law asks for no ground there"
    );
    let filed = city.app.file_case(resident, &asked(CaseKind::Challenge, Ground::OtherPurpose)).unwrap();
    let said = |letter: &usufruct_app::Letter| (letter.ground, letter.relief, letter.text.clone());
    let expected = (Some(Ground::OtherPurpose), Some(Relief::Explanation), String::new());
    assert_eq!(case(&city, resident).letters.iter().map(said).collect::<Vec<_>>(), std::slice::from_ref(&expected));
    let waiting = act(&city, LIBRARY, Act::List {}, &city.signer(LIBRARY)[..1]).unwrap();
    assert_eq!(waiting[0].letters.iter().map(said).collect::<Vec<_>>(), [expected]);
    let watchers = city.watchers();
    let watched = serde_json::to_string(&act(&city, WATCH, Act::List {}, &[&watchers[0]]).unwrap()).unwrap();
    assert!(!watched.contains("other_purpose") && !watched.contains("explanation"), "{watched}");
    let sql = "-- case_sealed\nSELECT sealed FROM cases";
    let rows = city.app.db().read(|conn| conn.query(sql, &[])).unwrap();
    assert!(!rows[0].bytes(0).unwrap().windows(13).any(|part| part == b"other_purpose"), "it goes with her key");
    answer(&city, &filed.id, Finding::Upheld, None).unwrap();
    assert_eq!(case(&city, resident).letters.len(), 2);
}

fn nobody_but_its_officials_speaks_for_an_office(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Access);
    let [library, operator] = [LIBRARY, OPERATOR].map(|office| city.signer(office)[0]);
    let waiting = act(&city, LIBRARY, Act::List {}, &[library]).unwrap();
    assert_eq!((waiting.len(), waiting[0].id.clone(), waiting[0].subject.as_ref()), (1, filed.id.clone(), Some(&subject)));
    assert!(act(&city, OPERATOR, Act::List {}, &[operator]).unwrap().is_empty(), "it is not theirs");
    assert!(act(&city, LIBRARY, Act::List {}, &[operator]).is_err());
    assert!(act(&city, LIBRARY, Act::List {}, &[library, operator]).is_err(), "every signature counts");
    assert!(act(&city, LIBRARY, Act::List {}, &[]).is_err());
    let answer = Act::Answer { case: filed.id.clone(), finding: Finding::Upheld, remedy: None, reasons: "Here it is.".into() };
    assert!(act(&city, OPERATOR, answer.clone(), &[operator]).is_err());
    let decide =
        Act::Decide { case: filed.id.clone(), finding: Finding::Upheld, remedy: None, reasons: "So.".into(), order: None };
    assert!(act(&city, LIBRARY, decide, &city.signer(LIBRARY)).is_err(), "an office does not oversee itself");
    // A signature is over these words, and for an hour.
    let said = serde_json::to_string(&DeskAct { agency: LIBRARY.parse().unwrap(), at: city.app.now(), act: answer }).unwrap();
    let approval = library.approve(&desk_message("city.test/log", &said));
    assert!(city.app.act_at_desk(&said.replace("upheld", "partly"), std::slice::from_ref(&approval)).is_err());
    assert!(city.app.act_at_desk(&said, &[library.approve(&desk_message("town.test/log", &said))]).is_err());
    city.clock.advance(2 * DAY);
    assert!(city.app.act_at_desk(&said, &[approval]).is_err());
    assert_eq!(case(&city, resident).case.state(), CaseState::Filed);
    let empty = Act::Answer { case: filed.id, finding: Finding::Upheld, remedy: None, reasons: "  ".into() };
    assert!(act(&city, LIBRARY, empty, &[library]).is_err(), "reasons are given");
}

fn more_time_is_taken_once_and_with_a_reason(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    let more = |reasons: &str| {
        let more = Act::Extend { case: filed.id.clone(), reasons: reasons.to_owned() };
        act(&city, LIBRARY, more, &city.signer(LIBRARY)[..1])
    };
    assert!(more("").is_err());
    more("The archive is closed.").unwrap();
    assert!(more("It still is.").is_err());
    let extended = case(&city, resident);
    assert_eq!(extended.case.due_at, filed.case.due_at.plus(5 * DAY));
    assert_eq!(extended.letters[1].text, "The archive is closed.");
    city.clock.advance(10 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 0);
    city.clock.advance(5 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 1);
}

fn a_deletion_that_was_decided_is_carried_out(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Delete);
    answer(&city, &filed.id, Finding::Upheld, Some(Remedy::Delete)).unwrap();
    let done = case(&city, resident);
    assert!(done.case.remedied_at.is_some() && done.case.remedy == Some(Remedy::Delete));
    assert_eq!(city.app.grants(resident).unwrap()[0].grant.state, GrantState::Terminated, "the office gave it up");
    let events: Vec<_> = city.app.footprint(resident).unwrap().lines.into_iter().filter_map(|line| line.event).collect();
    let ended = events.iter().find(|event| event.kind == Kind::Withdrawal).unwrap();
    assert_eq!(ended.reason, "case");
    let certificate = ended.detail.as_ref().unwrap().parse().unwrap();
    assert!(city.app.register().certificates.contains_key(&certificate), "the destruction is certified");
    assert!(!city.app.deletion_notices(&service()).unwrap().is_empty(), "the service is told to delete");
    let own = city.app.own_erasures(resident).unwrap();
    assert_eq!((own.len(), &own[0].certificate, own[0].mandate.as_ref()), (1, &certificate, Some(&watched())));
    let days = own[0].erasure.steps().map(|(_, at)| at.unwrap());
    assert!(days.is_sorted() && days[0] <= city.app.now(), "{days:?}");
    assert_eq!(own[0].erasure.state(city.app.now()), ErasureState::EscrowFinal, "there is no escrow here");
    let public = city.app.register().erasure(&city.app.register().certificates[&certificate]);
    assert_eq!(public.scheduled_at, None, "when she asked is hers to know");
    assert!(city.app.release(&request(&city, &subject)).is_err());

    // What a crash left undone is done later, once.
    let (other, subject) = reader(&city);
    let filed = file(&city, other, &subject, CaseKind::Delete);
    answer(&city, &filed.id, Finding::Upheld, Some(Remedy::Correct)).unwrap();
    assert_eq!(city.app.run_cases().unwrap(), 0, "that is for people");

    let (third, subject) = reader(&city);
    let filed = file(&city, third, &subject, CaseKind::Delete);
    answer(&city, &filed.id, Finding::Dismissed, None).unwrap();
    city.app.complain(third, &filed.id, "It is still there.").unwrap();
    decide(&city, &filed.id, Finding::Upheld, Some(Remedy::Delete)).unwrap();
    assert_eq!(city.app.grants(third).unwrap()[0].grant.state, GrantState::Invalidated, "the overseer decided it");
}

fn a_remedy_that_people_owe_goes_late_in_public(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Complaint);
    let waiting = answer(&city, &filed.id, Finding::Partly, Some(Remedy::Compensate)).unwrap();
    assert_eq!((waiting[0].remedy, waiting[0].state.as_str()), (Some(Remedy::Compensate), "answered"));
    city.clock.advance(7 * DAY - 1);
    assert!(!is_late(&city, LateDuty::Remedy));
    city.clock.advance(1);
    assert!(is_late(&city, LateDuty::Remedy));
    let done = Act::Remedied { case: filed.id.clone(), reasons: "Paid on Monday.".into() };
    assert!(act(&city, LIBRARY, done.clone(), &city.signer(LIBRARY)[..1]).unwrap().is_empty());
    assert!(act(&city, LIBRARY, done, &city.signer(LIBRARY)[..1]).is_err());
    assert!(!is_late(&city, LateDuty::Remedy));
    // An overseer's order says in public what is due, and its day is the case's.
    city.app.complain(resident, &filed.id, "It was half.").unwrap();
    let watchers = city.watchers();
    let comply_by = city.app.now().plus(3 * DAY);
    let order = json!({"body": WATCH, "kind": "compensate", "target": WATCHED, "comply_by": comply_by, "reasons": text("Half was paid.")});
    city.watch(StatementKind::Order, "ord_half", order, &watchers).unwrap();
    let by = |order: &str, remedy| {
        let (case, order) = (filed.id.clone(), Some(order.parse().unwrap()));
        let decide = Act::Decide { case, finding: Finding::Upheld, remedy: Some(remedy), reasons: "Half.".into(), order };
        act(&city, WATCH, decide, &watchers.iter().collect::<Vec<_>>())
    };
    assert!(by("ord_none", Remedy::Compensate).is_err() && by("ord_half", Remedy::Correct).is_err());
    by("ord_half", Remedy::Compensate).unwrap();
    assert_eq!(case(&city, resident).case.remedy_due_at, Some(comply_by));
}

fn a_case_about_no_line_names_nobody_to_the_office(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let words = "They turned me away, since I have no telephone.".to_owned();
    let about = About::Service(service());
    let filed = city.app.file_case(resident, &CaseRequest::new(about, CaseKind::Complaint, words.clone())).unwrap();
    assert_eq!((filed.line, filed.case.suspends), (None, false));
    assert_eq!((filed.agency.unwrap().as_str(), filed.overseer.is_some()), (LIBRARY, true));
    let waiting = act(&city, LIBRARY, Act::List {}, &city.signer(LIBRARY)[..1]).unwrap();
    assert_eq!((waiting[0].subject.as_ref(), waiting[0].letters[0].text.as_str()), (None, words.as_str()));
    assert!(
        answer(&city, &filed.id, Finding::Upheld, Some(Remedy::Delete)).is_err(),
        "there is nothing that the machine could delete"
    );
    answer(&city, &filed.id, Finding::Upheld, None).unwrap();
    let about_pass = CaseRequest::new(About::Pass, CaseKind::Question, "");
    assert_eq!(city.app.file_case(resident, &about_pass).unwrap().agency.unwrap().as_str(), OPERATOR);
    // Neither the log nor the database has her words.
    let rows = city.app.db().read(|conn| conn.query("-- case_sealed\nSELECT sealed FROM cases", &[])).unwrap();
    assert!(rows.iter().all(|row| !row.bytes(0).unwrap().windows(9).any(|part| part == b"telephone")));
    for _ in 0..60 {
        if city.app.file_case(resident, &about_pass).is_err() {
            return;
        }
    }
    panic!("nobody has so many cases");
}

fn a_changed_row_moves_nothing_and_holds_up_no_other(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    let (other, subject) = reader(&city);
    file(&city, other, &subject, CaseKind::Challenge);
    let sql = "-- case_tamper\nUPDATE cases SET agency = 'agc_information' WHERE case_id = $1";
    write(&city, sql, vec![filed.id.as_str().into()]);
    assert!(city.app.cases(resident).is_err());
    let (own, theirs) = (city.app.subject(resident, &service()).unwrap(), &subject);
    assert!(matches!(city.app.release(&request(&city, &own)), Err(Error::Altered)), "what rests is not lifted by a write");
    assert_eq!(clauses(&city, &request(&city, theirs)), [Clause::Suspension]);
    assert!(act(&city, OPERATOR, Act::List {}, &city.signer(OPERATOR)[..1]).is_err(), "nobody reads what was given to them so");
    city.clock.advance(10 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 1);
    assert_eq!(case(&city, other).case.state(), CaseState::Escalated);
    let sql = "-- case_mend\nUPDATE cases SET agency = 'agc_library' WHERE case_id = $1";
    write(&city, sql, vec![filed.id.as_str().into()]);
    // Neither the word by which cases are found nor a later time can be changed unseen.
    for (change, mend) in [
        (
            "-- case_word\nUPDATE cases SET state = 'closed' WHERE case_id = $1",
            "-- case_word_mend\nUPDATE cases SET state = 'filed' WHERE case_id = $1",
        ),
        (
            "-- case_due\nUPDATE cases SET acknowledge_due_at = acknowledge_due_at + 1 WHERE case_id = $1",
            "-- case_due_mend\nUPDATE cases SET acknowledge_due_at = acknowledge_due_at - 1 WHERE case_id = $1",
        ),
    ] {
        write(&city, change, vec![filed.id.as_str().into()]);
        assert!(city.app.cases(resident).is_err() && city.app.cases(other).is_ok(), "{change}");
        write(&city, mend, vec![filed.id.as_str().into()]);
        assert!(city.app.cases(resident).is_ok());
    }
    assert_eq!(city.app.run_cases().unwrap(), 1);
}

fn an_erasure_ends_cases_and_wishes(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    file(&city, resident, &subject, CaseKind::Challenge);
    city.app.wish(resident, &Wishes { no_optional: true, ..Wishes::default() }).unwrap();
    city.app.delete_resident(resident).unwrap();
    for sql in ["-- case_left\nSELECT COUNT(*) FROM cases", "-- wishes_left\nSELECT COUNT(*) FROM wishes"] {
        let left = city.app.db().read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap();
        assert_eq!(left, 0, "{sql}");
    }
    city.clock.advance(11 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 0);
    assert!(!is_late(&city, LateDuty::Answer));
    assert_few(&told(&city, CaseKind::Challenge), &[Counted::Filed]);
}

/// As the house was before: no office, no mandate and no mark in the row.
fn cases_from_before_the_marks_get_theirs_once(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    let filed = file(&city, resident, &subject, CaseKind::Challenge);
    let sql = "-- case_age\nUPDATE cases SET mark = NULL, agency = '', overseer = NULL, mandate = NULL, service = NULL, suspends = 0 \
               WHERE resident = $1";
    write(&city, sql, vec![Value::from(i64::try_from(resident).unwrap())]);
    let at = city.app.now().to_string();
    drop(city);
    let planted = City::open(dir, url, &at, 2);
    assert!(planted.app.cases(resident).is_err(), "a house that has marked its cases takes no other");
    drop(planted);
    std::fs::remove_file(dir.join("keys").join("cases.marked")).unwrap();
    let city = City::open(dir, url, &at, 3);
    let again = case(&city, resident);
    assert_eq!((again.id, again.letters[0].text.as_str(), again.agency), (filed.id, "I was not there.", filed.agency));
    city.clock.advance(10 * DAY);
    assert_eq!(city.app.run_cases().unwrap(), 1);
}

fn optional_data_is_never_asked_for_where_she_wishes_so(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let district = [block("district")];
    city.app.wish(resident, &Wishes { no_optional: true, ..Wishes::default() }).unwrap();
    let said = last(&city, resident);
    assert_eq!((said.kind, said.reason.as_str()), (Kind::Status, "wishes-changed"));
    assert!(city.app.consent(resident, &service(), &mandate(), &district).is_err());
    city.app.consent(resident, &service(), &mandate(), &[]).unwrap();
    city.app.wish(resident, &Wishes::default()).unwrap();
    city.app.consent(resident, &service(), &mandate(), &district).unwrap();
}

fn what_an_office_may_not_have_is_refused_without_saying_why(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let (resident, subject) = reader(&city);
    city.app.release(&request(&city, &subject)).unwrap();
    let not = Wishes { not_offices: [LIBRARY.parse().unwrap()].into(), ..Wishes::default() };
    let nobody = Wishes { not_offices: ["agc_nobody".parse().unwrap()].into(), ..Wishes::default() };
    assert!(city.app.wish(resident, &nobody).is_err());
    city.app.wish(resident, &not).unwrap();
    assert_eq!(city.app.wishes(resident).unwrap(), not);
    // The service reads what it reads of anybody who has not agreed; she reads why.
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Grant]);
    let refusal = last(&city, resident);
    assert_eq!((refusal.clause.as_deref(), refusal.detail.as_deref()), (Some("grant"), Some("wish")));
    assert_eq!(
        city.app.consent(resident, &service(), &mandate(), &[]).map(drop).unwrap_err().to_string(),
        Error::Unpermitted(vec![Clause::Grant]).to_string()
    );
    let (other, theirs) = reader(&city);
    assert!(clauses(&city, &request(&city, &theirs)).is_empty() && other != resident, "it is her wish alone");
    // Whoever writes to the database speaks no wish of hers.
    let sql = "-- wishes_tamper\nUPDATE wishes SET said_at = said_at + 1 WHERE resident = $1";
    write(&city, sql, vec![Value::from(i64::try_from(resident).unwrap())]);
    assert!(matches!(city.app.release(&request(&city, &subject)), Err(Error::Altered)));
    city.app.wish(resident, &Wishes::default()).unwrap();
    assert!(clauses(&city, &request(&city, &subject)).is_empty());
}

fn what_a_law_orders_is_stopped_by_a_case_and_not_by_a_wish(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    city.publish_watch();
    publish_law(&city);
    let mut body = library_card();
    (body["oversight_body"], body["legal_basis"]["code"]) = (json!(WATCH), json!("public_task"));
    city.publish_mandate(WATCHED, body);
    let resident = city.enrol(1)[0];
    let subject = city.app.subject(resident, &service()).unwrap();
    city.app.wish(resident, &Wishes { no_optional: true, not_offices: [LIBRARY.parse().unwrap()].into() }).unwrap();
    let filed = file(&city, resident, &subject, CaseKind::Delete);
    assert_eq!(clauses(&city, &request(&city, &subject)), [Clause::Suspension]);
    answer(&city, &filed.id, Finding::Upheld, Some(Remedy::Delete)).unwrap();
    let done = case(&city, resident);
    assert!(done.case.remedied_at.is_some() && done.case.suspends);
    assert!(matches!(city.app.release(&request(&city, &subject)), Err(Error::Unknown { .. })), "the service knows her no more");
    let next = city.app.subject(resident, &service()).unwrap();
    let refused = clauses(&city, &request(&city, &next));
    assert!(refused.contains(&Clause::Suspension), "the next request does not lend it anew: {refused:?}");
}

fn clerks_file_what_she_says_at_the_counter_and_nothing_else(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let said = |words: &str| CaseRequest::new(About::Service(service()), CaseKind::Complaint, words);
    let asked = said("They sent me away.");
    let id = city.app.begin_counter_case(resident, &asked).unwrap();
    let clerks = city.signer(OPERATOR);
    let sign = |clerk: &Signer, asked: &CaseRequest| {
        let approval = clerk.approve(&counter_case_message("city.test/log", &id, resident, asked));
        city.app.approve_counter_case(&id, asked, &approval)
    };
    assert!(sign(city.signer(LIBRARY)[0], &asked).is_err(), "no clerk of the operator");
    assert_eq!(sign(clerks[0], &asked).unwrap(), Approved::Once);
    assert!(sign(clerks[0], &asked).is_err(), "the same clerk counts once");
    assert!(sign(clerks[1], &said("They were kind.")).is_err(), "other words than hers");
    assert!(city.app.cases(resident).unwrap().is_empty());
    assert_eq!(sign(clerks[1], &asked).unwrap(), Approved::Twice);
    assert!(sign(clerks[1], &asked).is_err(), "it is used up");
    let filed = case(&city, resident);
    assert_eq!((filed.letters[0].text.as_str(), filed.case.kind), ("They sent me away.", CaseKind::Complaint));
    let lines = city.app.footprint(resident).unwrap().lines;
    let reasons: Vec<_> = lines.into_iter().filter_map(|line| line.event).map(|event| (event.kind, event.reason)).collect();
    assert_eq!(reasons, [(Kind::Status, "counter-case".to_owned()), (Kind::Case, "complaint".to_owned())]);
    assert!(city.app.begin_counter_case(resident + 1, &asked).is_err());
}
