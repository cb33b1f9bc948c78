//! Recount: which days public chance chooses, and whether the lines of a day are those that its tally counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::Digest;
use crate::delay::visible_from;
use crate::event::{Event, Kind};
use crate::hash::sha256;
use crate::id::MandateId;
use crate::source::Source;
use crate::tally::{Count, Day, Refusals, Span, Tally};

/// What is wrong with a day that was recounted. Names no resident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// There are more, or fewer, lines of a kind than the tally says.
    OtherCount { what: String, tally: String, log: String },
    /// Numbers of a source are missing, there twice, or do not follow those of the day before.
    Numbers { source: String },
    /// The numbers that the tally binds are others, or cannot be opened.
    Span { source: String },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCount { what, tally, log } => write!(f, "The tally says {tally} of {what}, and the log {log}."),
            Self::Numbers { source } => write!(f, "The numbers of `{source}` are not one run, each of them once."),
            Self::Span { source } => write!(f, "What the tally binds of `{source}` is not what stands in the log."),
        }
    }
}

/// What the tally of a day binds about one source, opened for the auditor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSpan {
    pub source: Source,
    pub span: Span,
    pub salt: [u8; 32],
}

/// What chooses the days: the root hash of the log as it stood with the first tally after the order, and the secret to which the order bound the
/// overseer. The operator, who makes the log, cannot try until it likes the days; nor can the overseer, who cannot sign a tally.
pub fn seed(log_root: &Digest, secret: &Digest) -> Digest {
    sha256(&[&b"usufruct/draw/v1\n"[..], &log_root.0, &secret.0].concat())
}

/// The days to recount: `count` of `from` to `to`, those whose hash with the seed is smallest. In order.
pub fn sample(seed: &Digest, mandate: &MandateId, from: Day, to: Day, count: usize) -> Vec<Day> {
    let days = std::iter::successors(Some(from), |day| Some(day.next())).take_while(|day| *day <= to);
    let rank = |day: &Day| sha256(&[&seed.0[..], mandate.as_str().as_bytes(), day.to_string().as_bytes()].concat());
    let mut ranked: Vec<(Digest, Day)> = days.map(|day| (rank(&day), day)).collect();
    ranked.sort_unstable();
    let mut chosen: Vec<Day> = ranked.into_iter().take(count).map(|(_, day)| day).collect();
    chosen.sort_unstable();
    chosen
}

/// Holds the lines of a day, each of which stands in the log, against its tally. `before` are the last numbers of earlier days, by source.
pub fn compare(tally: &Tally, lines: &[Event], spans: &[OpenedSpan], before: &BTreeMap<Source, u64>) -> Vec<Finding> {
    let mut findings = BTreeSet::new();
    let uses = lines.iter().filter(|event| is_use(event.kind));
    let count = |number: usize| Count::of(number as u64);
    let batches: BTreeSet<[u8; 16]> = lines.iter().filter_map(|event| event.batch).map(|batch| batch.id).collect();
    let mut refusals = BTreeMap::<&str, usize>::new();
    for event in lines.iter().filter(|event| event.kind == Kind::Refusal) {
        *refusals.entry(event.clause.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let found: Vec<Refusals> =
        refusals.iter().map(|(clause, number)| Refusals { clause: (*clause).to_owned(), count: count(*number) }).collect();
    let mut hold = |what: &str, told: String, log: String| {
        if told != log {
            findings.insert(Finding::OtherCount { what: what.to_owned(), tally: told, log });
        }
    };
    hold("uses", tally.uses.to_string(), count(uses.clone().count()).to_string());
    let irregular = uses.clone().filter(|event| event.clause.is_some()).count();
    hold("irregular", tally.irregular.to_string(), count(irregular).to_string());
    let delayed = uses.clone().filter(|event| visible_from(event.n).is_some()).count();
    hold("delayed", tally.delayed.to_string(), count(delayed).to_string());
    hold("batches", tally.batches.to_string(), count(batches.len()).to_string());
    hold("refusals", words(&tally.refusals), words(&found));
    if tally.residents.least() > uses.count() as u64 {
        hold("residents", tally.residents.to_string(), "fewer lines than that".to_owned());
    }
    let mut numbers = BTreeMap::<&Source, Vec<u64>>::new();
    for mark in lines.iter().filter_map(|event| event.source.as_ref()) {
        numbers.entry(&mark.source).or_default().push(mark.number);
    }
    for (source, numbers) in &mut numbers {
        numbers.sort_unstable();
        let has_gap = numbers.windows(2).any(|pair| pair[0] + 1 != pair[1]);
        let follows = before.get(*source).is_none_or(|last| numbers.first() == Some(&(last + 1)));
        // Numbers of a system outside may come late and over midnight; those of the pass cannot.
        let is_twice = numbers.windows(2).any(|pair| pair[0] == pair[1]);
        if is_twice || **source == Source::Pass && (has_gap || !follows) {
            findings.insert(Finding::Numbers { source: source.to_string() });
        }
    }
    let told: BTreeSet<&Source> = tally.sources.iter().map(|span| &span.source).collect();
    for source in told.iter().copied().chain(numbers.keys().copied()) {
        let bound = tally.sources.iter().find(|span| span.source == *source);
        let opened = spans.iter().find(|opened| opened.source == *source);
        let log = numbers
            .get(source)
            .and_then(|numbers| Some(Span { first: *numbers.first()?, last: *numbers.last()?, lines: numbers.len() as u64 }));
        let holds = bound.zip(opened).is_some_and(|(bound, opened)| {
            opened.span.commitment(source, &opened.salt) == bound.span && log == Some(opened.span)
        });
        if !holds {
            findings.insert(Finding::Span { source: source.to_string() });
        }
    }
    findings.into_iter().collect()
}

/// Whether an event of this kind counts as a use.
pub fn is_use(kind: Kind) -> bool {
    matches!(kind, Kind::Conversion | Kind::Deposit | Kind::Use)
}

fn words(refusals: &[Refusals]) -> String {
    let words: Vec<String> = refusals.iter().map(|line| format!("{} {}", line.clause, line.count)).collect();
    words.join(", ")
}
