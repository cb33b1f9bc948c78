//! What is counted with every line: numbers without a gap, one tally for each day, and incidents where something is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::common::{CARD, City, SERVICE, block, library_card, mandate, on_both, service};
use proptest::prelude::*;
use usufruct_app::{BatchRequest, Error, GRACE, ReportedUse, SILENCE};
use usufruct_core::event::{Event, Form, Kind, LEAF_LEN, tag};
use usufruct_core::incident::Fault;
use usufruct_core::recount::is_use;
use usufruct_core::source::Source;
use usufruct_core::tally::{Count, Day, Tally};
use usufruct_core::time::{DAY, HOUR, SECOND};
use usufruct_store::db::Connection;
use usufruct_store::{leaves, sources, tallies};

on_both!(
    a_batch_is_one_decision_and_stands_in_every_footprint,
    a_day_is_counted_once_it_is_over_and_none_is_left_out,
    a_mandate_is_counted_to_its_last_day,
    a_missing_number_is_public_and_told_to_those_concerned,
    a_restart_goes_on_counting,
    a_silent_source_is_public_until_it_is_heard_again,
    a_use_decided_before_midnight_is_not_counted_after_its_day_was_closed,
    counts_that_somebody_changed_are_an_incident,
    numbers_have_no_gap_under_load,
    what_is_reported_against_a_rule_is_told_as_that,
);

fn events(city: &City, resident: u64) -> Vec<Event> {
    city.app.footprint(resident).unwrap().lines.into_iter().map(|line| line.event.unwrap()).collect()
}

fn published(city: &City, mandate: &str) -> Vec<Tally> {
    let register = city.app.register();
    let mut tallies: Vec<Tally> =
        register.tallies.values().map(|entry| entry.body.clone()).filter(|tally| tally.mandate.as_str() == mandate).collect();
    tallies.sort_by_key(|tally| tally.day);
    tallies
}

fn refused(city: &City, subject: &str) {
    let mut request = city.request(subject);
    request.reason = "curiosity".into();
    assert!(matches!(city.app.release(&request), Err(Error::Unpermitted(_))));
}

fn line(city: &City, subject: &str, number: u64) -> ReportedUse {
    ReportedUse {
        mandate: mandate(),
        number: Some(number),
        operation: None,
        subject: subject.to_owned(),
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        happened_at: city.app.now().plus(-SECOND),
        third_party: false,
    }
}

/// The open incident of the library's own system.
fn open(city: &City) -> Option<Fault> {
    let source = Source::Service(service());
    city.app.register().open_incident(&source, &mandate()).map(|entry| entry.body.fault)
}

fn a_day_is_counted_once_it_is_over_and_none_is_left_out(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    let (_, other) = city.cardholder();
    for _ in 0..11 {
        city.app.release(&city.request(&subject)).unwrap();
    }
    city.app.release(&city.request(&other)).unwrap();
    refused(&city, &subject);
    refused(&city, &other);
    assert_eq!(city.app.run_tallies().unwrap(), 0, "the day is not over");
    // Nobody counts for three days.
    city.clock.advance(3 * DAY);
    city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(city.app.run_tallies().unwrap(), 3);
    let counted = published(&city, CARD);
    let begun = Day::of("2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(counted.iter().map(|tally| tally.day).collect::<Vec<_>>(), [begun, begun.next(), begun.next().next()]);
    assert_eq!((counted[0].uses, counted[0].residents, counted[0].batches), (Count::Exact(12), Count::Few, Count::Exact(0)));
    let refusals: Vec<_> = counted[0].refusals.iter().map(|line| (line.clause.as_str(), line.count)).collect();
    assert_eq!(refusals, [("reason", Count::Few)]);
    assert_eq!(counted[0].sources.len(), 1);
    for empty in &counted[1..] {
        assert_eq!((empty.uses, empty.refusals.len(), empty.sources.len()), (Count::Exact(0), 0, 0));
    }
    assert_eq!(city.app.run_tallies().unwrap(), 0, "nothing is counted twice");
    // The use of the fourth day is counted on the fourth day.
    city.clock.advance(DAY);
    assert_eq!(city.app.run_tallies().unwrap(), 1);
    assert_eq!(published(&city, CARD)[3].uses, Count::Few);
}

fn a_mandate_is_counted_to_its_last_day(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let mut body = library_card();
    body["sunset_at"] = serde_json::json!("2026-01-03T00:00:00Z");
    city.publish_mandate("mdt_short", body);
    city.clock.advance(2 * DAY + HOUR);
    city.app.run_sunsets().unwrap();
    city.clock.advance(10 * DAY);
    city.app.run_tallies().unwrap();
    assert_eq!(published(&city, "mdt_short").len(), 3, "1, 2 and 3 January, on which it ended");
    assert_eq!(published(&city, CARD).len(), 12);
}

fn a_use_decided_before_midnight_is_not_counted_after_its_day_was_closed(dir: &Path, url: Option<&str>) {
    const SHORT: &str = "mdt_short";
    let city = City::found(dir, url);
    let mut body = library_card();
    body["legal_basis"]["code"] = serde_json::json!("public_task");
    city.publish_mandate(SHORT, body);
    let (resident, subject) = city.cardholder();
    let midnight = Day::of(city.app.now()).unwrap().next().begins();
    city.clock.advance(midnight.micros() - city.app.now().micros() - 1);
    // The decision has its time, and draws the id of the notice to her: now the day ends and is counted.
    let (app, clock) = (Arc::clone(&city.app), Arc::clone(&city.clock));
    let (done, is_done) = std::sync::mpsc::channel();
    city.rng.before_next(move || {
        clock.advance(SECOND);
        assert_eq!(app.run_tallies().unwrap(), 2);
        done.send(()).unwrap();
    });
    let mut request = city.request(&subject);
    request.mandate = SHORT.parse().unwrap();
    city.app.release(&request).unwrap();
    is_done.try_recv().expect("it was counted while the decision was under way");
    let used = events(&city, resident).into_iter().find(|event| event.kind == Kind::Use).unwrap();
    assert_eq!(Day::of(used.at), Day::of(midnight), "it was decided again");
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let counted = published(&city, SHORT);
    assert_eq!(counted.iter().map(|tally| tally.uses).collect::<Vec<_>>(), [Count::Exact(0), Count::Few]);
}

/// The numbers of the pass in the footprints of these residents, in order.
fn numbers(city: &City, residents: &[u64]) -> Vec<u64> {
    let marks = residents.iter().flat_map(|resident| events(city, *resident)).filter_map(|event| event.source);
    let mut numbers: Vec<u64> = marks.filter(|mark| mark.source == Source::Pass).map(|mark| mark.number).collect();
    numbers.sort_unstable();
    numbers
}

fn numbers_have_no_gap_under_load(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let holders: Vec<(u64, String)> = (0..6).map(|_| city.cardholder()).collect();
    std::thread::scope(|scope| {
        for (n, (_, subject)) in holders.iter().enumerate() {
            let city = &city;
            scope.spawn(move || {
                for turn in 0..20 {
                    if (n + turn) % 4 == 0 {
                        refused(city, subject);
                    } else {
                        city.app.release(&city.request(subject)).unwrap();
                    }
                }
            });
        }
    });
    let residents: Vec<u64> = holders.iter().map(|(resident, _)| *resident).collect();
    assert_eq!(numbers(&city, &residents), (1..=120).collect::<Vec<u64>>());
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let tally = &published(&city, CARD)[0];
    assert_eq!((tally.uses, tally.refusals[0].count), (Count::Exact(90), Count::Exact(30)));
    assert_eq!(city.app.run_sources().unwrap(), 0, "all is there");
}

fn a_restart_goes_on_counting(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    for _ in 0..3 {
        city.app.release(&city.request(&subject)).unwrap();
    }
    drop(city);
    let city = City::open(dir, url, "2026-01-01T01:00:00Z", 2);
    refused(&city, &subject);
    city.app.release(&city.request(&subject)).unwrap();
    assert_eq!(numbers(&city, &[resident]), [1, 2, 3, 4, 5]);
    city.clock.advance(2 * DAY);
    city.app.run_tallies().unwrap();
    drop(city);
    // What was counted stays counted.
    let city = City::open(dir, url, "2026-01-03T02:00:00Z", 3);
    assert_eq!(city.app.run_tallies().unwrap(), 0);
    assert_eq!(published(&city, CARD).len(), 2);
}

fn counts_that_somebody_changed_are_an_incident(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    for _ in 0..3 {
        city.app.release(&city.request(&subject)).unwrap();
    }
    assert_eq!(city.app.run_sources().unwrap(), 0);
    city.app
        .db()
        .transaction("an insider takes one use out", |tx| {
            tx.execute("-- doctor\nUPDATE tally_counts SET count = count - 1 WHERE what = 'use'", &[]).map(drop)
        })
        .unwrap();
    assert_eq!(city.app.run_sources().unwrap(), 1);
    let register = city.app.register();
    let incident = register.open_incident(&Source::Pass, &mandate()).unwrap();
    assert_eq!(incident.body.fault, Fault::Miscounted);
    assert_eq!(city.app.incomplete(resident).unwrap().len(), 1);
}

/// Acceptance test: the writer of a source is stopped, and within a minute everybody knows.
fn a_missing_number_is_public_and_told_to_those_concerned(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let stranger = city.enrol(1)[0];
    for number in [1, 2] {
        assert!(city.app.report(&service(), &line(&city, &subject, number)).unwrap().is_some());
    }
    assert!(city.app.report(&service(), &line(&city, &subject, 2)).unwrap().is_none(), "said again it is nothing new");
    assert_eq!(city.app.run_sources().unwrap(), 0);
    // The system goes on giving out numbers; its log writer stands still.
    let stopped_at = city.app.now();
    assert_eq!(city.app.hear_source(&service(), &mandate(), 5, false).unwrap(), 2);
    for _ in 0..12 {
        city.clock.advance(5 * SECOND);
        city.app.hear_source(&service(), &mandate(), 5, false).unwrap();
        city.app.run_sources().unwrap();
    }
    let register = city.app.register();
    let incident = register.open_incident(&Source::Service(service()), &mandate()).unwrap().clone();
    assert_eq!((incident.body.fault, incident.body.missing, incident.body.since), (Fault::Missing, Count::Few, stopped_at));
    assert!(incident.since.micros() - stopped_at.micros() <= GRACE + 5 * SECOND, "well within a minute");
    let told = city.app.incomplete(resident).unwrap();
    assert_eq!((told.len(), told[0].since, &told[0].mandate), (1, stopped_at, &mandate()));
    assert!(city.app.incomplete(stranger).unwrap().is_empty(), "it does not concern her");
    // It comes back and brings what it owes, the last first.
    for number in [5, 4, 3] {
        assert!(city.app.report(&service(), &line(&city, &subject, number)).unwrap().is_some());
    }
    assert_eq!(city.app.run_sources().unwrap(), 1);
    assert_eq!(open(&city), None);
    assert!(city.app.incomplete(resident).unwrap().is_empty());
    let reported: Vec<_> = events(&city, resident).into_iter().filter_map(|event| event.source).collect();
    assert_eq!(reported.iter().map(|mark| mark.number).collect::<Vec<_>>(), [1, 2, 5, 4, 3]);
    assert!(reported.iter().all(|mark| mark.source.as_str() == SERVICE && mark.happened_at.is_some()));
    let closed = &city.app.register().incidents[&incident.id.parse().unwrap()];
    assert!(closed.rev == 2 && closed.body.ended_at.is_some());
    let standing = city.app.db().read(sources::all).unwrap();
    assert_eq!((standing[0].received, standing[0].highest), (5, 5));
}

fn a_silent_source_is_public_until_it_is_heard_again(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (_, subject) = city.cardholder();
    city.app.report(&service(), &line(&city, &subject, 1)).unwrap();
    city.clock.advance(SILENCE - 1);
    assert_eq!(city.app.run_sources().unwrap(), 0);
    city.clock.advance(1);
    assert_eq!(city.app.run_sources().unwrap(), 1);
    assert_eq!(open(&city), Some(Fault::Silent));
    assert_eq!(city.app.run_sources().unwrap(), 0, "said once");
    city.app.hear_source(&service(), &mandate(), 1, false).unwrap();
    assert_eq!((city.app.run_sources().unwrap(), open(&city)), (1, None));
    // One that has said that it ends is not waited for, unless it owes something.
    city.app.hear_source(&service(), &mandate(), 1, true).unwrap();
    city.clock.advance(DAY);
    assert_eq!(city.app.run_sources().unwrap(), 0);
    city.app.hear_source(&service(), &mandate(), 2, true).unwrap();
    city.clock.advance(GRACE);
    assert_eq!((city.app.run_sources().unwrap(), open(&city)), (1, Some(Fault::Missing)));
}

fn what_is_reported_against_a_rule_is_told_as_that(dir: &Path, url: Option<&str>) {
    let city = City::found(dir, url);
    let (resident, subject) = city.cardholder();
    let wrong = [
        ReportedUse { number: Some(0), ..line(&city, &subject, 1) },
        ReportedUse { reason: "curiosity".into(), ..line(&city, &subject, 1) },
        ReportedUse { blocks: vec![], ..line(&city, &subject, 1) },
        ReportedUse { blocks: vec![(block("income"), Form::Value)], ..line(&city, &subject, 1) },
        ReportedUse { happened_at: city.app.now().plus(HOUR), ..line(&city, &subject, 1) },
        ReportedUse { subject: "nobody".into(), ..line(&city, &subject, 1) },
        ReportedUse { mandate: "mdt_nothing".parse().unwrap(), ..line(&city, &subject, 1) },
    ];
    for reported in &wrong {
        assert!(city.app.report(&service(), reported).is_err(), "{reported:?}");
    }
    // She never agreed to lend her district. It was used all the same, so it is a line, and says under which clause it was wrong.
    let against = ReportedUse { blocks: vec![(block("district"), Form::Value)], ..line(&city, &subject, 1) };
    city.app.report(&service(), &against).unwrap();
    let last = events(&city, resident).pop().unwrap();
    assert_eq!((last.kind, last.clause.as_deref()), (Kind::Use, Some("blocks-chosen")));
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let tally = &published(&city, CARD)[0];
    assert_eq!((tally.uses, tally.irregular), (Count::Few, Count::Few));
    assert_eq!(tally.sources.iter().map(|span| span.source.as_str()).collect::<Vec<_>>(), [SERVICE]);
}

/// Acceptance test: an automatic pull of thousands is one decision, and each of them sees it.
fn a_batch_is_one_decision_and_stands_in_every_footprint(dir: &Path, url: Option<&str>) {
    let many: usize = if url.is_none() { 10_000 } else { 1_200 };
    let city = City::found(dir, url);
    let residents = city.enrol(many);
    for resident in &residents {
        city.app.consent_at_counter(*resident, &service(), &mandate(), &[]).unwrap();
    }
    let subjects: Vec<_> = residents.iter().map(|resident| city.app.subject(*resident, &service()).unwrap()).collect();
    let batch = BatchRequest {
        service: service(),
        mandate: mandate(),
        subjects,
        blocks: vec![(block("name"), Form::Value)],
        reason: "lending".into(),
        actor: None,
        third_party: false,
    };
    assert!(city.app.release_batch(&batch).unwrap().lines.iter().all(|line| line.outcome.is_ok()));
    let mut ids = BTreeMap::<[u8; 16], usize>::new();
    for resident in &residents {
        let used: Vec<_> = events(&city, *resident).into_iter().filter(|event| event.kind == Kind::Use).collect();
        assert_eq!((used.len(), used[0].batch.unwrap().size), (1, many as u64));
        *ids.entry(used[0].batch.unwrap().id).or_default() += 1;
    }
    assert_eq!(ids.into_values().collect::<Vec<_>>(), [many], "one decision, in every footprint");
    assert_eq!(numbers(&city, &residents), (1..=many as u64).collect::<Vec<_>>());
    city.clock.advance(DAY);
    city.app.run_tallies().unwrap();
    let tally = &published(&city, CARD)[0];
    assert_eq!((tally.uses, tally.residents), (Count::Exact(many as u64), Count::Exact(many as u64)));
    assert_eq!(tally.batches, Count::Few);
}

/// What happens in a city.
#[derive(Clone, Debug)]
enum Act {
    Agree(usize),
    Batch,
    Refuse(usize),
    Report(usize, u64),
    Use(usize),
    Wait(i64),
    Withdraw(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = || 0usize..3;
    let one = prop_oneof![
        1 => who().prop_map(Act::Agree),
        1 => Just(Act::Batch),
        2 => who().prop_map(Act::Refuse),
        3 => (who(), 1u64..8).prop_map(|(who, number)| Act::Report(who, number)),
        5 => who().prop_map(Act::Use),
        2 => (1i64..40).prop_map(Act::Wait),
        1 => who().prop_map(Act::Withdraw),
    ];
    prop::collection::vec(one, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever happens, the counters of all sources together are the lines that residents see, every day's tally is what their lines of the
    /// day say, and what is missing is known.
    #[test]
    fn counters_tallies_and_footprints_say_the_same(acts in acts()) {
        let dir = tempfile::tempdir().unwrap();
        let city = City::found(dir.path(), None);
        let residents = city.enrol(3);
        let (mut reported, mut batches) = (std::collections::BTreeSet::new(), 0);
        for act in acts {
            let subject = |who: usize| city.app.subject(residents[who], &service()).unwrap();
            match act {
                Act::Agree(who) => drop(city.app.consent_at_counter(residents[who], &service(), &mandate(), &[]).unwrap()),
                Act::Batch => {
                    let subjects = (0..3).map(subject).collect();
                    let blocks = vec![(block("name"), Form::Value)];
                    let request = BatchRequest {
                        service: service(), mandate: mandate(), subjects, blocks, reason: "lending".into(), actor: None,
                        third_party: false,
                    };
                    city.app.release_batch(&request).unwrap();
                    batches += 1;
                }
                Act::Refuse(who) => refused(&city, &subject(who)),
                Act::Report(who, number) => {
                    let is_new = city.app.report(&service(), &line(&city, &subject(who), number)).unwrap().is_some();
                    prop_assert_eq!(is_new, reported.insert(number));
                }
                Act::Use(who) => drop(city.app.release(&city.request(&subject(who)))),
                Act::Wait(hours) => city.clock.advance(hours * HOUR),
                Act::Withdraw(who) => drop(city.app.withdraw(residents[who], &mandate())),
            }
        }
        city.clock.advance(DAY + GRACE);
        let all: Vec<Event> = residents.iter().flat_map(|resident| events(&city, *resident)).collect();
        let counted: Vec<&Event> = all.iter().filter(|event| is_use(event.kind) || event.kind == Kind::Refusal).collect();
        prop_assert!(counted.iter().all(|event| event.source.is_some()));
        let own = numbers(&city, &residents);
        prop_assert_eq!(&own, &(1..=own.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(own.len() + reported.len(), counted.len());
        city.app.run_sources().unwrap();
        let has_gap = reported.last().is_some_and(|last| *last != reported.len() as u64);
        let expected = if has_gap { Some(Fault::Missing) } else { (!reported.is_empty()).then_some(Fault::Silent) };
        prop_assert_eq!(open(&city), expected);
        prop_assert!(city.app.register().open_incident(&Source::Pass, &mandate()).is_none());
        city.app.run_tallies().unwrap();
        let number = city.app.register().mandates[&mandate()].number;
        let mut lines = 0;
        for tally in published(&city, CARD) {
            let of_day: Vec<&&Event> = counted.iter().filter(|event| Day::of(event.at) == Some(tally.day)).collect();
            let uses = of_day.iter().filter(|event| is_use(event.kind)).count();
            prop_assert_eq!(tally.uses, Count::of(uses as u64));
            let ids: std::collections::BTreeSet<_> = of_day.iter().filter_map(|event| event.batch).map(|batch| batch.id).collect();
            prop_assert_eq!(tally.batches, Count::of(ids.len() as u64));
            let spans = city.app.db().read(|conn| tallies::spans(conn, number, tally.day.number())).unwrap();
            prop_assert_eq!(spans.iter().map(|span| span.span.lines).sum::<u64>(), of_day.len() as u64);
            lines += of_day.len();
        }
        prop_assert_eq!(lines, counted.len(), "every line lies on a day that is counted");
        // A batch is in the footprint of everybody whom it named, once.
        let mut named = BTreeMap::<[u8; 16], usize>::new();
        for resident in &residents {
            let hers: Vec<_> = events(&city, *resident).into_iter().filter_map(|event| event.batch).collect();
            let once: std::collections::BTreeSet<_> = hers.iter().map(|batch| batch.id).collect();
            prop_assert_eq!(hers.len(), once.len());
            prop_assert!(hers.iter().all(|batch| batch.size == 3));
            once.into_iter().for_each(|id| *named.entry(id).or_default() += 1);
        }
        prop_assert_eq!(named.values().filter(|times| **times == 3).count(), batches);
        // Whoever counts her own marks finds each of her lines in the log, once, and none beyond them.
        let leaves = city.app.db().read(|conn| leaves::range(conn, 0, 10_000)).unwrap();
        for resident in &residents {
            let footprint = city.app.footprint(*resident).unwrap();
            let places = |n: u64| -> Vec<u64> {
                let mark = tag(&footprint.tag_key, n);
                leaves.iter().filter(|(_, leaf)| leaf.len() == LEAF_LEN && leaf[34..] == mark).map(|(index, _)| *index).collect()
            };
            for line in &footprint.lines {
                prop_assert_eq!(places(line.n), [line.index]);
            }
            let beyond = footprint.lines.len() as u64;
            prop_assert!((beyond..beyond + 8).all(|n| places(n).is_empty()));
        }
    }
}
