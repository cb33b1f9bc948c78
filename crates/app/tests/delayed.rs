//! Covert mandates: a line is on nobody's page before its day and on hers from its day on, with no other help than the clock's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::common;
use crate::common::{CARD, City, LIBRARY, SeededRng, WATCH, block, library_card, notice};
use crate::witness::Witness;
use serde_json::{Value, json};
use usufruct_app::store::leaves;
use usufruct_app::{About, BatchRequest, CaseRequest, Error, Footprint, Publication, ReleaseRequest, ReportedUse};
use usufruct_core::Time;
use usufruct_core::case::CaseKind;
use usufruct_core::delay::{FIRST_NUMBER, Week, seed_before, seed_of, tag_key};
use usufruct_core::event::{Form, Kind, commitment, leaf, tag};
use usufruct_core::grant::GrantState;
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::lifecycle::State;
use usufruct_core::ports::Rng;
use usufruct_core::tally::Count;
use usufruct_core::time::{DAY, HOUR};

common::on_both!(
    a_line_opens_on_its_day_though_everybody_has_forgotten_it,
    what_opens_later_stays_out_of_all_that_she_can_ask_before,
    every_scan_finds_what_has_opened_and_nothing_else,
    an_erasure_before_the_day_is_counted_once_it_tells_nobody,
    a_revision_does_not_keep_lines_back_longer,
    the_counts_are_public_by_month,
);

const COVERT: &str = "mdt_inquiry";
const INQUIRY: &str = "svc_inquiry";

fn inquiry() -> ServiceId {
    INQUIRY.parse().unwrap()
}

fn covert() -> MandateId {
    COVERT.parse().unwrap()
}

fn covert_body() -> Value {
    let mut body = library_card();
    body["kind"] = json!("covert");
    body["legal_basis"]["code"] = json!("public_task");
    body["gate"] = json!("witnessed");
    body["visibility"] = json!({"delayed": {"max_days": 30, "authority": WATCH}});
    body
}

fn publication(city: &City, body: Value, watchers: usize) -> Result<Publication, Error> {
    let watching = city.watchers();
    let mut signers = city.signer(LIBRARY);
    signers.extend(&watching[..watchers]);
    city.app.mandate_publication(&covert(), body, &notice(), &signers, city.app.now())
}

/// A city whose library may look for lost books in secret.
fn found(dir: &Path, url: Option<&str>) -> City {
    found_with(dir, url, &Witness::new())
}

fn found_with(dir: &Path, url: Option<&str>, witness: &Arc<Witness>) -> City {
    let city = City::found_with(dir, url, Some(witness.clone()));
    witness.name_in(&city);
    city.publish_watch();
    city.app.publish(&publication(&city, covert_body(), 2).unwrap()).unwrap();
    city.open_service_with(INQUIRY, LIBRARY, "inquiry", |body| body["mandates"] = json!([CARD, COVERT]));
    city
}

fn request(city: &City, resident: u64) -> ReleaseRequest {
    ReleaseRequest {
        service: inquiry(),
        mandate: covert(),
        subject: city.app.subject(resident, &inquiry()).unwrap(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: None,
    }
}

fn numbers(footprint: &Footprint) -> Vec<u64> {
    footprint.lines.iter().map(|line| line.n).collect()
}

fn log_of(city: &City) -> Vec<Vec<u8>> {
    let leaves = city.app.db().read(|conn| leaves::range(conn, 0, 1_000_000)).unwrap();
    leaves.into_iter().map(|(_, leaf)| leaf).collect()
}

/// The numbers that a resident finds in the log by what her page gives her: her own, and those of every week that has begun.
fn scan(log: &[Vec<u8>], footprint: &Footprint) -> BTreeMap<u64, usize> {
    let mut tags = BTreeMap::new();
    for n in 0..footprint.lines.len() as u64 + 8 {
        tags.insert(tag(&footprint.tag_key, n), n);
    }
    let mut seed = **footprint.delay.seed.as_ref().unwrap();
    for week in (2_900..=footprint.delay.week.0).rev() {
        for place in 0..footprint.lines.len() as u64 + 8 {
            let n = Week(week).first_number() + place;
            tags.insert(tag(&tag_key(&seed), n), n);
        }
        seed = seed_before(&seed);
    }
    let found = log.iter().enumerate().filter_map(|(index, leaf)| {
        let tag: [u8; 32] = leaf.strip_prefix(&[1, 2])?.get(32..)?.try_into().ok()?;
        Some((*tags.get(&tag)?, index))
    });
    let all: Vec<(u64, usize)> = found.collect();
    let each: BTreeMap<u64, usize> = all.iter().copied().collect();
    assert_eq!(each.len(), all.len(), "each of them once");
    each
}

/// What she sees is what she finds: each line at its leaf, with the leaf that it makes, and no gap in any chain.
fn check(city: &City, footprint: &Footprint) {
    let log = log_of(city);
    let found = scan(&log, footprint);
    let shown: BTreeMap<u64, usize> = footprint.lines.iter().map(|line| (line.n, line.index as usize)).collect();
    assert_eq!(found, shown);
    let mut before: BTreeMap<Option<Week>, (u64, [u8; 32])> = BTreeMap::new();
    let mut lines: Vec<_> = footprint.lines.iter().collect();
    lines.sort_by_key(|line| line.n);
    for line in lines {
        let (event, week) = (line.event.as_ref().unwrap(), Week::of_number(line.n));
        let chain = before.get(&week);
        assert_eq!(line.n, chain.map_or(week.map_or(0, Week::first_number), |(n, _)| n + 1));
        assert_eq!((event.n, event.prev), (line.n, chain.map(|(_, before)| *before)));
        let committed = commitment(&line.opening, &line.encoded);
        assert_eq!(log[line.index as usize][..34], leaf(&committed, &[0; 32])[..34]);
        if let Some(anchor) = event.anchor {
            let at = Week::of(event.at);
            assert_eq!(seed_of(at, footprint.delay.week, footprint.delay.seed.as_ref().unwrap()), Some(anchor));
        }
        before.insert(week, (line.n, committed));
    }
}

fn a_line_opens_on_its_day_though_everybody_has_forgotten_it(dir: &Path, url: Option<&str>) {
    let witness = Witness::new();
    let city = found_with(dir, url, &witness);
    let open = |at: Time, seed| City::try_open(dir, url, &at.to_string(), seed, Some(witness.clone())).unwrap();
    let (resident, _) = city.cardholder();
    city.clock.advance(3 * HOUR);
    let at = city.app.now();
    let released = city.app.release(&request(&city, resident)).unwrap();
    assert_eq!(released.blocks[0].2.as_str(), "Resident 0");
    let opens = Week::opening(at, 30).unwrap().begins();
    assert!(opens.micros() - at.micros() > 23 * DAY && opens.micros() - at.micros() <= 30 * DAY);
    let before = city.app.footprint(resident).unwrap();
    assert_eq!(numbers(&before), [0]);
    assert!(before.lines[0].event.as_ref().unwrap().anchor.is_some(), "her first line binds what she will see later");
    check(&city, &before);
    drop(city);

    // Nothing runs but the clock: no upkeep, no service, no agency.
    let city = open(opens.plus(-1), 2);
    assert_eq!(numbers(&city.app.footprint(resident).unwrap()), [0]);
    drop(city);
    let city = open(opens, 3);
    let after = city.app.footprint(resident).unwrap();
    let first = Week::of(opens).first_number();
    assert_eq!(numbers(&after), [0, first, first + 1]);
    check(&city, &after);
    let kinds: Vec<Kind> = after.lines.iter().map(|line| line.event.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [Kind::Consent, Kind::Consent, Kind::Use]);
    assert_eq!((after.lines[2].index, after.lines[2].event.as_ref().unwrap().at), (released.index, at));
    city.app.publish_log().unwrap();
    assert!(city.app.footprint_proof(resident, first + 1).unwrap().is_some());
    let sealed = city.app.sealed_footprint(resident).unwrap();
    assert_eq!(sealed.lines.iter().map(|line| line.n).collect::<Vec<_>>(), numbers(&after));

    // From now on it is a line like any other.
    let grants = city.app.grants(resident).unwrap();
    let number = city.app.register().mandates[&covert()].number;
    let grant = grants.iter().find(|stored| stored.mandate == number).unwrap();
    assert_eq!((grant.grant.uses, grant.last_use_at, grant.grant.given_at), (1, Some(at), at));
    let request = CaseRequest::new(About::Line(first + 1), CaseKind::Challenge, "");
    let case = city.app.file_case(resident, &request).unwrap();
    assert_eq!(case.agency.unwrap().as_str(), LIBRARY);
}

fn what_opens_later_stays_out_of_all_that_she_can_ask_before(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, _) = city.cardholder();
    let stranger = city.enrol(1)[0];
    let asked = |resident: u64| {
        let app = &city.app;
        let footprint = app.footprint(resident).unwrap();
        let withdrawn = app.withdraw(resident, &covert()).unwrap_err().to_string();
        let preview = app.preview(resident, &inquiry()).unwrap();
        let preview: Vec<_> = preview.iter().map(|preview| (preview.mandate.clone(), preview.clauses.clone())).collect();
        let grants: Vec<_> = app.grants(resident).unwrap().iter().map(|stored| stored.mandate).collect();
        let sealed = app.sealed_footprint(resident).unwrap().lines.len();
        (numbers(&footprint), withdrawn, preview, grants, sealed, app.incomplete(resident).unwrap().len())
    };
    let (before, of_stranger) = (asked(resident), asked(stranger));
    for _ in 0..3 {
        city.app.release(&request(&city, resident)).unwrap();
    }
    // A refusal, a batch and a batch that is refused as a whole are delayed too.
    let mut wrong = request(&city, resident);
    wrong.reason = "curiosity".into();
    assert!(matches!(city.app.release(&wrong), Err(Error::Unpermitted(_))));
    let batch = |reason: &str| BatchRequest {
        service: inquiry(),
        mandate: covert(),
        subjects: [resident, stranger].map(|resident| city.app.subject(resident, &inquiry()).unwrap()).into(),
        blocks: vec![(block("name"), Form::Value)],
        reason: reason.into(),
        actor: None,
        third_party: false,
    };
    assert!(city.app.release_batch(&batch("lending")).unwrap().lines.iter().all(|line| line.outcome.is_ok()));
    assert!(matches!(city.app.release_batch(&batch("curiosity")), Err(Error::Unpermitted(_))));
    assert_eq!((asked(resident), asked(stranger)), (before, of_stranger));
    let hidden = Week::opening(city.app.now(), 30).unwrap().first_number();
    assert!(matches!(city.app.footprint_proof(resident, hidden), Err(Error::Unknown { .. })));
    assert!(
        matches!(city.app.footprint_proof(resident, hidden + 1_000), Err(Error::Unknown { .. })),
        "as for one that is not there"
    );
    let about = CaseRequest::new(About::Line(hidden), CaseKind::Challenge, "");
    assert!(matches!(city.app.file_case(resident, &about), Err(Error::Unknown { .. })));
    // Her own chain goes on as if nothing had been.
    city.app.release(&city.request(&city.app.subject(resident, &common::service()).unwrap())).unwrap();
    let footprint = city.app.footprint(resident).unwrap();
    assert_eq!(numbers(&footprint), [0, 1]);
    check(&city, &footprint);
    // What happened elsewhere cannot be told late under such a mandate.
    let reported = ReportedUse {
        mandate: covert(),
        number: Some(1),
        operation: None,
        subject: request(&city, resident).subject,
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        happened_at: city.app.now(),
        third_party: false,
    };
    assert!(matches!(city.app.report(&inquiry(), &reported), Err(Error::Refused { .. })));
    // On the day all of it is there.
    city.clock.advance(30 * DAY);
    let opened = city.app.footprint(resident).unwrap();
    let kinds = opened.lines.iter().filter(|line| line.n >= FIRST_NUMBER).map(|line| line.event.as_ref().unwrap().kind);
    let kinds: Vec<Kind> = kinds.collect();
    assert_eq!(kinds, [Kind::Consent, Kind::Use, Kind::Use, Kind::Use, Kind::Refusal, Kind::Use, Kind::Refusal]);
    check(&city, &opened);
    check(&city, &city.app.footprint(stranger).unwrap());
    let number = city.app.register().mandates[&covert()].number;
    let known = || {
        let found = city.app.grants(resident).unwrap().into_iter().find(|stored| stored.mandate == number);
        found.map(|stored| (stored.grant.uses, stored.grant.state, stored.last_use_at))
    };
    let opened = known();
    assert_eq!(opened.map(|(uses, state, _)| (uses, state)), Some((4, GrantState::Given)));
    // What comes after it shows in no counter before its own day.
    city.clock.advance(DAY);
    city.app.release(&request(&city, resident)).unwrap();
    assert_eq!(known(), opened);
}

fn every_scan_finds_what_has_opened_and_nothing_else(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let residents: Vec<u64> = (0..3).map(|_| city.cardholder().0).collect();
    let random = SeededRng::new(40);
    let roll = |below: u64| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_be_bytes(bytes) % below
    };
    // Of each resident: the leaf of every line, and when it opens.
    let mut said: Vec<Vec<(u64, Time)>> =
        residents.iter().map(|resident| vec![(city.app.footprint(*resident).unwrap().lines[0].index, city.app.now())]).collect();
    for _ in 0..60 {
        let who = roll(3) as usize;
        let now = city.app.now();
        match roll(4) {
            0 => city.clock.advance((roll(12) as i64) * DAY + roll(86_400_000) as i64),
            1 => {
                let subject = city.app.subject(residents[who], &common::service()).unwrap();
                said[who].push((city.app.release(&city.request(&subject)).unwrap().index, now));
            }
            _ => {
                let opens = Week::opening(now, 30).unwrap().begins();
                let is_first = !was_told(&city, residents[who]);
                let index = city.app.release(&request(&city, residents[who])).unwrap().index;
                if is_first {
                    said[who].push((index - 1, opens));
                }
                said[who].push((index, opens));
            }
        }
        for (resident, said) in residents.iter().zip(&said) {
            let footprint = city.app.footprint(*resident).unwrap();
            check(&city, &footprint);
            let now = city.app.now();
            let expected: BTreeSet<u64> = said.iter().filter(|(_, opens)| *opens <= now).map(|(index, _)| *index).collect();
            assert_eq!(footprint.lines.iter().map(|line| line.index).collect::<BTreeSet<_>>(), expected);
        }
    }
    assert!(said.iter().all(|said| said.iter().any(|(_, opens)| *opens <= city.app.now())));
}

/// Whether the row says that she lends under the covert mandate, which only the house can see.
fn was_told(city: &City, resident: u64) -> bool {
    let number = city.app.register().mandates[&covert()].number;
    city.app.db().read(|conn| usufruct_app::store::grants::find(conn, resident, number)).unwrap().is_some()
}

fn an_erasure_before_the_day_is_counted_once_it_tells_nobody(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (watched, _) = city.cardholder();
    let (other, _) = city.cardholder();
    city.app.release(&request(&city, watched)).unwrap();
    let day = |times: i64| {
        for _ in 0..times {
            city.clock.advance(DAY);
            city.app.run_tallies().unwrap();
        }
    };
    day(1);
    let [of_watched, of_other] = [watched, other].map(|resident| {
        let certificate = city.app.delete_resident(resident).unwrap();
        let body = city.app.register().certificates[&certificate].body.clone();
        (body.recipients_told, body.recipients.len(), body.key_commitments.len())
    });
    assert_eq!(of_watched, of_other, "her certificate says nothing of it");
    let uses = &city.app.delayed_uses().unwrap()[0];
    assert_eq!((uses.waiting, uses.opened, uses.ended_unseen), ((1, 9), (0, 0), None));
    day(29);
    assert_eq!(city.app.delayed_uses().unwrap().pop().unwrap().ended_unseen, None, "others of the month have not opened");
    day(40);
    let uses = city.app.delayed_uses().unwrap().pop().unwrap();
    assert_eq!((uses.waiting, uses.opened, uses.ended_unseen), ((0, 0), (1, 9), Some(Count::Few)));
    let rows = city.app.db().read(|conn| usufruct_app::store::delayed::ended(conn)).unwrap();
    assert_eq!(rows.iter().map(|row| row.lines).collect::<Vec<_>>(), [2], "the notice and the use");
}

fn a_revision_does_not_keep_lines_back_longer(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let (resident, _) = city.cardholder();
    let at = city.app.now();
    city.app.release(&request(&city, resident)).unwrap();
    let refused = |body: Value, watchers: usize| {
        let publication = publication(&city, body, watchers).and_then(|publication| city.app.publish(&publication));
        publication.unwrap_err().to_string()
    };
    let mut longer = covert_body();
    longer["visibility"]["delayed"]["max_days"] = json!(60);
    assert!(refused(longer, 2).contains("visibility.delayed.max_days"), "no longer");
    let mut open = covert_body();
    (open["kind"], open["visibility"]) = (json!("ordinary"), json!("immediate"));
    assert!(refused(open, 2).contains("kind"), "nor another kind of mandate");
    // A revision that says the same needs the people of both bodies again, and moves no day.
    for watchers in [0, 1] {
        assert!(refused(covert_body(), watchers).contains("approvals"), "{watchers}");
    }
    let mut reworded = covert_body();
    reworded["subjects"] = common::text("Some readers");
    city.app.publish(&publication(&city, reworded, 2).unwrap()).unwrap();
    assert_eq!(city.app.register().mandates[&covert()].state, State::Active);
    let opens = Week::opening(at, 30).unwrap().begins();
    city.clock.advance(opens.micros() - at.micros());
    let opened = city.app.footprint(resident).unwrap();
    assert_eq!(opened.lines.len(), 3);
    check(&city, &opened);
}

fn the_counts_are_public_by_month(dir: &Path, url: Option<&str>) {
    let city = found(dir, url);
    let residents = city.enrol(12);
    for resident in &residents {
        city.app.release(&request(&city, *resident)).unwrap();
    }
    city.clock.advance(DAY);
    city.app.release(&request(&city, residents[0])).unwrap();
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let register = city.app.register();
    let mut tallies: Vec<_> =
        register.tallies.values().map(|entry| &entry.body).filter(|tally| tally.mandate == covert()).collect();
    tallies.sort_by_key(|tally| tally.day);
    let tallies: Vec<(String, String)> =
        tallies.iter().map(|tally| (tally.uses.to_string(), tally.delayed.to_string())).collect();
    assert_eq!(tallies, [("12".to_owned(), "12".to_owned()), ("1-9".to_owned(), "1-9".to_owned())]);
    let uses = city.app.delayed_uses().unwrap();
    assert_eq!((uses.len(), uses[0].waiting, uses[0].opened), (1, (13, 21), (0, 0)));
    city.clock.advance(30 * DAY);
    city.app.run_tallies().unwrap();
    let uses = city.app.delayed_uses().unwrap().pop().unwrap();
    assert_eq!((uses.waiting, uses.opened), ((0, 0), (13, 21)));
    assert_eq!(uses.month.to_string(), "2026-01");
}
