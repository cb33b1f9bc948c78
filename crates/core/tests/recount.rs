//! Recounts: chance chooses days that nobody could know, and whatever is changed in the lines of a day is found.

use std::collections::BTreeMap;

use crate::common::cases;
use proptest::prelude::*;
use usufruct_core::event::{Batch, Event, Kind};
use usufruct_core::hash::sha256;
use usufruct_core::id::MandateId;
use usufruct_core::recount::{Finding, OpenedSpan, compare, sample, seed};
use usufruct_core::source::{Source, SourceMark};
use usufruct_core::tally::{Count, Day, Refusals, SourceSpan, Span, Tally};

fn mandate() -> MandateId {
    "mdt_library-card".parse().unwrap()
}

fn today() -> Day {
    "2026-03-02".parse().unwrap()
}

fn line(kind: Kind, number: u64, batch: Option<u8>) -> Event {
    Event {
        kind,
        n: 0,
        prev: None,
        at: today().begins(),
        anchor: None,
        mandate: None,
        service: None,
        blocks: vec![],
        reason: String::new(),
        actor: None,
        batch: batch.map(|id| Batch { id: [id; 16], size: 3 }),
        clause: (kind == Kind::Refusal).then(|| "grant".to_owned()),
        detail: None,
        until: None,
        other: None,
        source: Some(SourceMark { source: Source::Pass, number, happened_at: None }),
        closed: None,
        foreign: None,
    }
}

/// An honest day: lines, their tally and what it binds.
fn day(kinds: &[(bool, Option<u8>)], first: u64) -> (Vec<Event>, Tally, Vec<OpenedSpan>) {
    let kind = |is_use: bool| if is_use { Kind::Use } else { Kind::Refusal };
    let lines: Vec<Event> = (first..).zip(kinds).map(|(number, (is_use, batch))| line(kind(*is_use), number, *batch)).collect();
    let uses = kinds.iter().filter(|(is_use, _)| *is_use).count() as u64;
    let batches: std::collections::BTreeSet<_> = kinds.iter().filter_map(|(_, batch)| *batch).collect();
    let refused = kinds.len() as u64 - uses;
    let salt = sha256(b"salt").0;
    let span = Span { first, last: first + kinds.len() as u64 - 1, lines: kinds.len() as u64 };
    let tally = Tally {
        mandate: mandate(),
        day: today(),
        uses: Count::of(uses),
        delayed: Count::of(0),
        irregular: Count::of(0),
        batches: Count::of(batches.len() as u64),
        residents: Count::of(uses.min(1)),
        refusals: (refused > 0).then(|| Refusals { clause: "grant".into(), count: Count::of(refused) }).into_iter().collect(),
        sources: vec![SourceSpan { source: Source::Pass, span: span.commitment(&Source::Pass, &salt) }],
    };
    (lines, tally, vec![OpenedSpan { source: Source::Pass, span, salt }])
}

fn before(last: u64) -> BTreeMap<Source, u64> {
    [(Source::Pass, last)].into()
}

#[test]
fn chance_chooses_and_everybody_can_follow_it() {
    let (from, to): (Day, Day) = ("2026-03-01".parse().unwrap(), "2026-03-30".parse().unwrap());
    let chosen = sample(&sha256(b"one root"), &mandate(), from, to, 3);
    assert_eq!(chosen.len(), 3);
    assert!(chosen.is_sorted() && chosen.iter().all(|day| (from..=to).contains(day)));
    assert_eq!(chosen, sample(&sha256(b"one root"), &mandate(), from, to, 3), "the same for everybody");
    assert_ne!(chosen, sample(&sha256(b"another root"), &mandate(), from, to, 3));
    assert_ne!(chosen, sample(&sha256(b"one root"), &"mdt_other".parse().unwrap(), from, to, 3));
    // Neither the log alone nor the secret alone chooses.
    let (root, secret) = (sha256(b"one root"), sha256(b"one secret"));
    assert_ne!(seed(&root, &secret), seed(&sha256(b"another root"), &secret));
    assert_ne!(seed(&root, &secret), seed(&root, &sha256(b"another secret")));
    assert_eq!(sample(&sha256(b"one root"), &mandate(), from, from, 3), [from]);
    assert_eq!(sample(&sha256(b"one root"), &mandate(), from, to, 99).len(), 30);
    // Each day has its chance.
    let mut times = BTreeMap::<Day, usize>::new();
    for n in 0..600u32 {
        for day in sample(&sha256(&n.to_be_bytes()), &mandate(), from, to, 3) {
            *times.entry(day).or_default() += 1;
        }
    }
    assert!(times.len() == 30 && times.values().all(|times| (25..110).contains(times)), "{times:?}");
}

#[test]
fn what_comes_late_from_outside_is_no_finding_and_what_comes_twice_is() {
    let (mut lines, mut tally, spans) = day(&[(true, None), (true, None), (true, None)], 1);
    let outside = Source::Service("svc_clinic".parse().unwrap());
    for event in &mut lines {
        event.source.as_mut().unwrap().source = outside.clone();
    }
    lines[2].source.as_mut().unwrap().number = 9;
    let span = Span { first: 1, last: 9, lines: 3 };
    tally.sources = vec![SourceSpan { source: outside.clone(), span: span.commitment(&outside, &spans[0].salt) }];
    let opened = [OpenedSpan { source: outside.clone(), span, salt: spans[0].salt }];
    assert_eq!(compare(&tally, &lines, &opened, &BTreeMap::new()), []);
    lines[1].source.as_mut().unwrap().number = 9;
    assert_eq!(compare(&tally, &lines, &opened, &BTreeMap::new()), [Finding::Numbers { source: "svc_clinic".into() }]);
    assert_eq!(compare(&tally, &lines[1..], &[], &BTreeMap::new()).len(), 2, "numbers twice, and nothing opens the span");
}

proptest! {
    #![proptest_config(cases(256))]

    /// Nothing is found on an honest day; one line left out, added twice or exchanged is found, however the tally is made to fit.
    #[test]
    fn any_change_of_a_day_is_found(
        kinds in prop::collection::vec((any::<bool>(), prop::option::weighted(0.2, 0u8..3)), 3..60), first in 1u64..1_000, at in any::<prop::sample::Index>(),
    ) {
        let (lines, tally, spans) = day(&kinds, first);
        prop_assert_eq!(compare(&tally, &lines, &spans, &before(first - 1)), []);
        let place = at.index(lines.len());
        let mut fewer = lines.clone();
        fewer.remove(place);
        prop_assert!(!compare(&tally, &fewer, &spans, &before(first - 1)).is_empty());
        // The insider publishes a tally of what is left.
        let mut shorter: Vec<_> = kinds.clone();
        shorter.remove(place);
        let (_, fitting, bound) = day(&shorter, first);
        let found = compare(&fitting, &fewer, &bound, &before(first - 1));
        let is_end = place + 1 == lines.len();
        prop_assert_eq!(found.is_empty(), is_end, "a gap shows; a cut end shows on the next day: {:?}", found);
        if is_end {
            let (tomorrow, tally, bound) = day(&kinds, first + kinds.len() as u64);
            prop_assert!(!compare(&tally, &tomorrow, &bound, &before(first + kinds.len() as u64 - 2)).is_empty());
        }
        let mut twice = lines.clone();
        twice.push(lines[place].clone());
        prop_assert!(!compare(&tally, &twice, &spans, &before(first - 1)).is_empty());
        let mut salted = spans.clone();
        salted[0].salt[0] ^= 1;
        prop_assert_eq!(compare(&tally, &lines, &salted, &before(first - 1)), [Finding::Span { source: "pass".into() }]);
    }
}
