//! Case tallies on both databases: what the machine publishes of a month is what can be recounted from all cases, once, and for every month.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{City, LIBRARY, OPERATOR, WATCH, library_card, service, text};
use serde_json::json;
use usufruct_app::store::cases;
use usufruct_app::store::db::Connection as _;
use usufruct_app::{About, Act, CaseRequest, DeskAct, Error, Proposed, Publication, ReleaseRequest, desk_message};
use usufruct_core::Time;
use usufruct_core::case::{Case, CaseKind, CaseState, Finding, Remedy};
use usufruct_core::case_tally::{CaseTally, Counted, Figure, Numbers};
use usufruct_core::id::{AgencyId, CaseId};
use usufruct_core::statement::{Approval, Signer, StatementKind};
use usufruct_core::time::{DAY, Month};

common::on_both!(
    a_body_goes_on_being_counted_whatever_its_rows_say,
    a_month_is_counted_once_it_is_over_and_none_is_left_out,
    a_step_that_a_month_overtook_counts_for_the_next_one,
    what_is_published_can_be_recounted_from_all_that_happened,
);

const WATCHED: &str = "mdt_short";

/// A city under a law by which offices answer within ten days, with a mandate that a body with keys of its own oversees.
fn city(dir: &Path, url: Option<&str>) -> City {
    let city = City::found(dir, url);
    city.publish_watch();
    let deadline = |duty: &str| json!({"duty": duty, "within": "P10D", "article": "1"});
    let body = json!({"jurisdiction": "TW", "title": text("A law"), "status": "in_force", "valid_from": "2025-01-01",
        "deadlines": [deadline("challenge"), deadline("complain"), deadline("escalated"), deadline("remedy")],
        "sources": [{"title": "A law", "url": "https://law.example"}]});
    city.publish(StatementKind::Lawpack, "law_tw", OPERATOR, body);
    let mut body = library_card();
    body["oversight_body"] = json!(WATCH);
    city.publish_mandate(WATCHED, body);
    city
}

fn act(city: &City, office: &str, act: Act, signers: &[&Signer]) -> Result<(), Error> {
    let said = serde_json::to_string(&DeskAct { agency: office.parse().unwrap(), at: city.app.now(), act }).unwrap();
    let message = desk_message("city.test/log", &said);
    let approvals: Vec<Approval> = signers.iter().map(|signer| signer.approve(&message)).collect();
    city.app.act_at_desk(&said, &approvals).map(drop)
}

fn answer(city: &City, case: &CaseId, finding: Finding, remedy: Option<Remedy>) -> Result<(), Error> {
    let answer = Act::Answer { case: case.clone(), finding, remedy, reasons: "We looked at it.".into() };
    act(city, LIBRARY, answer, &city.signer(LIBRARY)[..1])
}

fn published(city: &City) -> Vec<CaseTally> {
    let register = city.app.register();
    let mut tallies: Vec<CaseTally> = register.case_tallies.values().map(|entry| entry.body.clone()).collect();
    tallies.sort_by(|one, other| (&one.agency, one.month).cmp(&(&other.agency, other.month)));
    tallies
}

fn to_next_month(city: &City) {
    let next = Month::of(city.app.now()).next().begins();
    city.clock.advance(next.micros() - city.app.now().micros());
}

fn file(city: &City, resident: u64, kind: CaseKind) -> CaseId {
    city.app.file_case(resident, &CaseRequest::new(About::Service(service()), kind, "Why?")).unwrap().id
}

fn a_month_is_counted_once_it_is_over_and_none_is_left_out(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    let filed: Vec<CaseId> = (0..12).map(|_| file(&city, resident, CaseKind::Question)).collect();
    file(&city, resident, CaseKind::Copy);
    assert_eq!(city.app.run_case_tallies().unwrap(), 0, "the month is not over");
    for id in &filed {
        answer(&city, id, Finding::Upheld, None).unwrap();
    }
    to_next_month(&city);
    assert_eq!(city.app.run_case_tallies().unwrap(), 1);
    assert_eq!(city.app.run_case_tallies().unwrap(), 0, "once");
    let (first, library) = (published(&city).remove(0), LIBRARY.parse::<AgencyId>().unwrap());
    assert_eq!((&first.agency, first.month.to_string()), (&library, "2026-01".to_owned()));
    let count = |kind, what| first.count(kind, what);
    assert_eq!(count(CaseKind::Question, Counted::Filed), Figure::Exact(12));
    assert_eq!(count(CaseKind::Question, Counted::InTime), Figure::Exact(12));
    assert_eq!(count(CaseKind::Question, Counted::Late), Figure::Exact(0));
    assert_eq!(count(CaseKind::Copy, Counted::Filed), Figure::Few);

    // Nobody counts for three months, of which two were empty; a restart changes nothing of it.
    for _ in 0..3 {
        to_next_month(&city);
    }
    file(&city, resident, CaseKind::Copy);
    let at = city.app.now().to_string();
    drop(city);
    let city = City::open(dir, url, &at, 2);
    assert_eq!(city.app.run_case_tallies().unwrap(), 3);
    let at = city.app.now().to_string();
    drop(city);
    let city = City::open(dir, url, &at, 3);
    assert_eq!(city.app.run_case_tallies().unwrap(), 0, "once, whoever runs");
    let months: Vec<String> = published(&city).iter().map(|tally| tally.month.to_string()).collect();
    assert_eq!(months, ["2026-01", "2026-02", "2026-03", "2026-04"]);
    assert!(published(&city)[1..].iter().all(|tally| tally.counts.is_empty()), "also months without any are said");

    // She is erased, and what was counted stays.
    let before = published(&city);
    city.app.delete_resident(resident).unwrap();
    to_next_month(&city);
    assert_eq!(city.app.run_case_tallies().unwrap(), 1);
    assert_eq!(published(&city)[..4], before[..]);
    assert_eq!(published(&city)[4].count(CaseKind::Copy, Counted::Filed), Figure::Few);
}

fn write(city: &City, sql: &'static str) {
    city.app.db().transaction("insider", move |tx| tx.execute(sql, &[])).unwrap();
}

fn a_body_goes_on_being_counted_whatever_its_rows_say(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    file(&city, resident, CaseKind::Question);
    // Its mandate is in force, so its months are counted from then on though the rows are gone.
    write(&city, "-- insider\nDELETE FROM case_counts");
    to_next_month(&city);
    assert_eq!(city.app.run_case_tallies().unwrap(), 1);
    assert_eq!(published(&city)[0].month.to_string(), "2026-01");
    write(&city, "-- insider\nDELETE FROM case_counts");
    to_next_month(&city);
    assert_eq!(city.app.run_case_tallies().unwrap(), 1, "an empty month is said to be empty");
    // A row of another body that cannot be read, and one from before that body was there, keep no other from being counted.
    write(
        &city,
        "-- insider\nINSERT INTO case_counts (agency, kind, what, day, number) VALUES ('agc_information', 'nonsense', 'filed', 0, 1)",
    );
    to_next_month(&city);
    assert!(city.app.run_case_tallies().is_err(), "it is told that something is wrong");
    let library: AgencyId = LIBRARY.parse().unwrap();
    let months = || published(&city).iter().filter(|tally| tally.agency == library).count();
    assert_eq!(months(), 3);
    // Nobody says himself what the machine counts.
    let month = Month::of(city.app.now());
    to_next_month(&city);
    let body = json!({"agency": LIBRARY, "month": month.to_string()});
    let mut forged = city.app.statement(StatementKind::CaseTally, "cst_forged", &OPERATOR.parse().unwrap(), body, city.app.now());
    forged.approve(city.signer(OPERATOR)[0]).unwrap();
    match city.app.publish(&Publication { statements: vec![forged.clone()] }) {
        Err(Error::Unlawful(problems)) => assert_eq!(problems[0].rule, "not-machine"),
        other => panic!("{other:?}"),
    }
    let proposed = Proposed { statement: forged, bodies: vec![OPERATOR.parse().unwrap()] };
    assert!(matches!(city.app.propose(vec![proposed]), Err(Error::Unlawful(_))), "nor proposes it");
}

fn a_step_that_a_month_overtook_counts_for_the_next_one(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let resident = city.enrol(1)[0];
    file(&city, resident, CaseKind::Question);
    to_next_month(&city);
    city.clock.advance(-1);
    // The step has its time, and draws the id of the case: now the month ends and is counted.
    let (app, clock) = (Arc::clone(&city.app), Arc::clone(&city.clock));
    let (done, is_done) = std::sync::mpsc::channel();
    city.rng.before_next(move || {
        clock.advance(DAY);
        assert_eq!(app.run_case_tallies().unwrap(), 1);
        done.send(()).unwrap();
    });
    file(&city, resident, CaseKind::Copy);
    is_done.try_recv().expect("it was counted while the step was under way");
    to_next_month(&city);
    assert_eq!(city.app.run_case_tallies().unwrap(), 1);
    let filed = |tally: &CaseTally| [CaseKind::Question, CaseKind::Copy].map(|kind| tally.count(kind, Counted::Filed));
    let tallies = published(&city);
    assert_eq!(filed(&tallies[0]), [Figure::Few, Figure::Exact(0)]);
    assert_eq!(filed(&tallies[1]), [Figure::Exact(0), Figure::Few], "no case is in no month");
}

/// A chance that is the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn what_is_published_can_be_recounted_from_all_that_happened(dir: &Path, url: Option<&str>) {
    let city = city(dir, url);
    let residents = city.enrol(4);
    // Each of them was used once under the mandate that has an overseer with keys.
    let used = |resident: &u64| {
        city.app.consent_at_counter(*resident, &service(), &WATCHED.parse().unwrap(), &[]).unwrap();
        let subject = city.app.subject(*resident, &service()).unwrap();
        city.app.release(&ReleaseRequest { mandate: WATCHED.parse().unwrap(), ..city.request(&subject) }).unwrap();
        About::Line(city.app.footprint(*resident).unwrap().lines.last().unwrap().n)
    };
    let lines: Vec<About> = residents.iter().map(used).collect();
    let (watchers, mut dice) = (city.watchers(), Dice(7));
    let (mut open, mut steps) = (Vec::<(u64, CaseId)>::new(), 0);
    for _ in 0..100 {
        let who = usize::try_from(dice.throw(4)).unwrap();
        let (resident, about) = (residents[who], lines[who].clone());
        let kind = [CaseKind::Challenge, CaseKind::Question][usize::try_from(dice.throw(2)).unwrap()];
        if let Ok(filed) = city.app.file_case(resident, &CaseRequest::new(about, kind, "Why?")) {
            open.push((resident, filed.id));
        }
        // The older ones are left to the clock.
        for (resident, id) in open.iter().rev().take(24) {
            // Whatever may not follow is refused, and counts for nothing.
            let case = id.clone();
            let taken = match dice.throw(24) {
                0 | 1 => answer(&city, id, Finding::Upheld, (dice.throw(2) == 0).then_some(Remedy::Correct)),
                2 => answer(&city, id, Finding::Dismissed, None),
                3 => act(&city, LIBRARY, Act::Acknowledge { case }, &city.signer(LIBRARY)[..1]),
                4 => city.app.complain(*resident, id, "No."),
                5 => city.app.settle(*resident, id),
                6 => {
                    let finding =
                        [Finding::Upheld, Finding::Dismissed, Finding::Settled][usize::try_from(dice.throw(3)).unwrap()];
                    let decide = Act::Decide { case, finding, remedy: None, reasons: "So.".into(), order: None };
                    act(&city, WATCH, decide, &watchers.iter().collect::<Vec<_>>())
                }
                _ => continue,
            };
            steps += u64::from(taken.is_ok());
        }
        city.clock.advance(DAY);
        city.app.run_cases().unwrap();
        city.app.run_case_tallies().unwrap();
    }
    to_next_month(&city);
    city.app.run_case_tallies().unwrap();
    assert!(steps > 60 && open.len() > 90, "{steps} steps of {} cases", open.len());

    let of_resident = |resident: &u64| city.app.db().read(|conn| cases::of_resident(conn, *resident)).unwrap();
    let all: Vec<Case> = residents.iter().flat_map(of_resident).map(|stored| stored.case).collect();
    let mut recounted: BTreeMap<Month, BTreeMap<(CaseKind, Counted), u64>> = BTreeMap::new();
    for case in &all {
        for (at, what) in happened(case) {
            *recounted.entry(Month::of(at)).or_default().entry((case.kind, what)).or_default() += 1;
        }
    }
    let tallies = published(&city);
    let library: AgencyId = LIBRARY.parse().unwrap();
    let mut so_far = Numbers::new();
    let expected: Vec<CaseTally> = tallies
        .iter()
        .map(|tally| {
            let numbers = recounted.remove(&tally.month).unwrap_or_default();
            numbers.iter().for_each(|(of, number)| *so_far.entry(*of).or_default() += number);
            CaseTally::of(library.clone(), tally.month, &numbers, &so_far)
        })
        .collect();
    assert_eq!(tallies, expected);
    recounted.retain(|month, _| *month < Month::of(city.app.now()));
    assert!(recounted.is_empty(), "a month is missing: {recounted:?}");
    let seen: std::collections::BTreeSet<Counted> =
        tallies.iter().flat_map(|tally| tally.counts.iter().map(|line| line.what)).collect();
    assert!(seen.len() >= 12 && tallies.len() >= 4, "the history is too poor to show anything: {seen:?}");
    let counts = || tallies.iter().flat_map(|tally| &tally.counts);
    assert!(counts().any(|line| line.count == Figure::Many) && counts().any(|line| line.count == Figure::Few));
}

/// What a case counted for and when, told by its times alone.
fn happened(case: &Case) -> Vec<(Time, Counted)> {
    let mut found = vec![(case.filed_at, Counted::Filed)];
    let mut note = |at: Option<Time>, what| found.extend(at.map(|at| (at, what)));
    let due = case.acknowledge_due_at.unwrap();
    match case.acknowledged_at {
        Some(at) if at < due => note(Some(at), Counted::Acknowledged),
        Some(at) => note(Some(at), Counted::AcknowledgedLate),
        None => note(case.escalated_at.filter(|at| *at >= due), Counted::AcknowledgedLate),
    }
    note(case.answered_at, Counted::InTime);
    note(case.answered_at, if case.finding == Some(Finding::Dismissed) { Counted::Dismissed } else { Counted::Upheld });
    note(case.escalated_at, Counted::Escalated);
    note(case.escalated_at, if case.answered_at.is_some() { Counted::Complained } else { Counted::Late });
    note(case.settled_at, Counted::Settled);
    let decided = match case.decision {
        Some(Finding::Dismissed) => Counted::DecidedDismissed,
        Some(Finding::Settled) => Counted::DecidedSettled,
        _ => Counted::DecidedUpheld,
    };
    note(case.decided_at, decided);
    note(case.settled_at.or(case.decided_at).filter(|_| case.state() == CaseState::RemedyDue), Counted::RemedyDue);
    found
}
