//! Case tally: how many cases a body had in one month and what came of them, for everybody to read.
//!
//! The small-count rule of the [tallies](crate::tally) holds: 1 to 9 is `1-9`. The counts of a kind add up with one another, so where one of
//! those is small, or what is left between them is, the others say no more than that they are not: `10+`. Nothing that is published can be
//! subtracted to find a hidden one, of one month or of all together.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::case::CaseKind;
use crate::draft::{Draft, Problem};
use crate::id::AgencyId;
use crate::tally::SMALLEST;
use crate::time::Month;

/// How a count below [`SMALLEST`] is written.
const FEW: &str = "1-9";
/// How a count is written that is not small and from which a small one could be subtracted.
const MANY: &str = "10+";

/// Numbers of cases of one body, by kind and by what was counted.
pub type Numbers = BTreeMap<(CaseKind, Counted), u64>;

/// The cases of one body in one month of the calendar in Taipei.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseTally {
    /// The office that the cases are about.
    pub agency: AgencyId,
    pub month: Month,
    /// In the order of their kinds and of what was counted. What is not listed did not happen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<CaseCount>,
}

/// How many cases of one kind came to one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CaseCount {
    pub kind: CaseKind,
    pub what: Counted,
    pub count: Figure,
}

/// What is counted for the public: how many cases came to each state and how, each with its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    Filed,
    /// The office said by the day that it has it.
    Acknowledged,
    /// The office had not said so by the day.
    AcknowledgedLate,
    /// Answered by the office before the day.
    InTime,
    /// Not answered by the day.
    Late,
    /// Answered by the office: she was right, or partly.
    Upheld,
    /// Answered by the office: she was not.
    Dismissed,
    /// The resident accepted the answer, or let the time to go against it go by.
    Settled,
    /// Taken to the overseer, by the clock or by the resident.
    Escalated,
    /// Taken to the overseer by the resident.
    Complained,
    /// Decided by the overseer: she was right, or partly.
    DecidedUpheld,
    /// Decided by the overseer: she was not.
    DecidedDismissed,
    /// The overseer found that both sides had agreed.
    DecidedSettled,
    /// A remedy was promised or ordered.
    RemedyDue,
    /// What was promised or ordered was done.
    Closed,
}

/// A count as it may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// 1 to 9, it is not said which.
    Few,
    /// 10 or more, it is not said how many.
    Many,
    Exact(u64),
}

/// Counts of which every case in the first comes to one of the second, sooner or later. What has not yet is a number too.
const BALANCES: [(Counted, &[Counted]); 6] = [
    (Counted::Filed, &[Counted::Acknowledged, Counted::AcknowledgedLate]),
    (Counted::Filed, &[Counted::InTime, Counted::Late]),
    (Counted::InTime, &[Counted::Upheld, Counted::Dismissed]),
    (Counted::InTime, &[Counted::Settled, Counted::Complained]),
    (Counted::Escalated, &[Counted::DecidedUpheld, Counted::DecidedDismissed, Counted::DecidedSettled]),
    (Counted::RemedyDue, &[Counted::Closed]),
];

/// What several counts come to: at least, and at most where that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub least: u64,
    /// How much more it can be; `None` where nothing is said of that.
    over: Over,
}

/// How far a sum may lie above its least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    By(u64),
    Open,
}

/// Why a text is no [`Figure`].
#[derive(Debug, thiserror::Error)]
#[error("This is no count that may be published. Write 0, `1-9`, `10+`, or a number from 10 on.")]
pub struct NoFigure;

impl CaseTally {
    /// What may be published of these counts of one body and month. `so_far` are the counts of all its months, up to and with this one: two
    /// months can be subtracted as well.
    pub fn of(agency: AgencyId, month: Month, numbers: &Numbers, so_far: &Numbers) -> Self {
        let hides = |kind: CaseKind, what: Counted| {
            let has_few =
                |((of, other), number): (&(CaseKind, Counted), &u64)| *of == kind && other.adds_up_with(what) && is_few(*number);
            numbers.iter().any(has_few) || leaves_few(kind, what, numbers) || leaves_few(kind, what, so_far)
        };
        let figure = |kind, what: Counted, number| match number {
            number if is_few(number) => Figure::Few,
            _ if hides(kind, what) => Figure::Many,
            number => Figure::Exact(number),
        };
        let counted = numbers.iter().filter(|(_, number)| **number > 0);
        let mut counts: Vec<CaseCount> = counted
            .map(|((kind, what), number)| CaseCount { kind: *kind, what: *what, count: figure(*kind, *what, *number) })
            .collect();
        counts.sort_by_key(CaseCount::place);
        Self { agency, month, counts }
    }

    /// Reads a case tally, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let agency = draft.parse("agency", "Name the office, as `agc_library`.");
        let month = draft.parse("month", "Write the month as `2026-11`.");
        let counts: Vec<CaseCount> = draft.optional_objects("counts", |line| {
            let kind = line.word("kind", &CaseKind::WORDS, "Give the kind of the cases.");
            let what = line.word("what", &Counted::WORDS, "Say what was counted.");
            let count = line.parse("count", "Write `1-9`, `10+`, or a number from 10 on, as a text.");
            if count == Some(Figure::Exact(0)) {
                line.note("count", "nothing", "What did not happen needs no line. Take it out.".into());
            }
            Some(CaseCount { kind: kind?, what: what?, count: count? })
        });
        if !counts.is_sorted_by(|one, other| one.place() < other.place()) {
            let message = "The counts are not in the order of their kinds and words, or one is there twice. Sort them.";
            draft.note("counts", "not-sorted", message.into());
        }
        // Of every tally that there ever was no more can be asked than this.
        let is_told = |shown: &CaseCount, other: &CaseCount| shown.what.is_of_answers() && other.what.is_of_answers();
        if let Some(problem) = subtractable(&counts, is_told) {
            draft.note("counts", problem.rule, problem.message);
        }
        let problems = draft.finish();
        match (agency, month) {
            (Some(agency), Some(month)) if problems.is_empty() => Ok(Self { agency, month, counts }),
            _ => Err(problems),
        }
    }

    /// What is wrong with it where it is published now: a count that is exact beside one that is not told. Older tallies tell some of those.
    pub(crate) fn tells_hidden(&self) -> Option<Problem> {
        subtractable(&self.counts, |shown, other| shown.what.adds_up_with(other.what))
    }

    /// The kinds of which something happened.
    pub fn kinds(&self) -> Vec<CaseKind> {
        let mut kinds: Vec<CaseKind> = self.counts.iter().map(|line| line.kind).collect();
        kinds.dedup();
        kinds
    }

    /// What happened to cases of each kind, in the order in which it is shown.
    pub fn by_kind(&self) -> Vec<(CaseKind, Vec<(Counted, Figure)>)> {
        let of_kind = |kind| {
            let counts = Counted::WORDS.map(|(_, what)| (what, self.count(kind, what)));
            (kind, counts.into_iter().filter(|(_, count)| *count != Figure::Exact(0)).collect())
        };
        self.kinds().into_iter().map(of_kind).collect()
    }

    /// How many cases of this kind came to this.
    pub fn count(&self, kind: CaseKind, what: Counted) -> Figure {
        let found = self.counts.iter().find(|line| line.kind == kind && line.what == what);
        found.map_or(Figure::Exact(0), |line| line.count)
    }
}

impl CaseCount {
    fn place(&self) -> (&'static str, &'static str) {
        (self.kind.code(), self.what.code())
    }
}

impl Counted {
    /// In the order in which pages and files show them.
    pub const WORDS: [(&'static str, Self); 15] = [
        ("filed", Self::Filed),
        ("acknowledged", Self::Acknowledged),
        ("acknowledged_late", Self::AcknowledgedLate),
        ("in_time", Self::InTime),
        ("late", Self::Late),
        ("upheld", Self::Upheld),
        ("dismissed", Self::Dismissed),
        ("settled", Self::Settled),
        ("escalated", Self::Escalated),
        ("complained", Self::Complained),
        ("decided_upheld", Self::DecidedUpheld),
        ("decided_dismissed", Self::DecidedDismissed),
        ("decided_settled", Self::DecidedSettled),
        ("remedy_due", Self::RemedyDue),
        ("closed", Self::Closed),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("", |(word, _)| word)
    }

    /// What has this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == code).map(|(_, known)| *known)
    }

    /// Whether the two add up with one another, by themselves or by way of others: what is filed is acknowledged in time or late, answered in
    /// time or late, upheld or not, settled or taken to the overseer, and decided there in one of three ways. Remedies are promised and done.
    fn adds_up_with(self, other: Self) -> bool {
        let is_remedy = |what| matches!(what, Self::RemedyDue | Self::Closed);
        is_remedy(self) == is_remedy(other)
    }

    /// Whether it is one of those of which every tally says nothing exact beside a small one.
    fn is_of_answers(self) -> bool {
        matches!(self, Self::InTime | Self::Late | Self::Upheld | Self::Dismissed | Self::Escalated | Self::Complained)
    }
}

fn is_few(number: u64) -> bool {
    (1..SMALLEST).contains(&number)
}

/// Whether so few are left between counts that `what` adds up with that nobody may know how many.
fn leaves_few(kind: CaseKind, what: Counted, numbers: &Numbers) -> bool {
    let number = |what| numbers.get(&(kind, what)).copied().unwrap_or_default();
    BALANCES.iter().filter(|(whole, _)| whole.adds_up_with(what)).any(|(whole, parts)| {
        let parts: u64 = parts.iter().map(|part| number(*part)).sum();
        is_few(number(*whole).abs_diff(parts))
    })
}

/// What is wrong where a count is exact beside a small one from which it is told by subtracting.
fn subtractable(counts: &[CaseCount], adds_up: impl Fn(&CaseCount, &CaseCount) -> bool) -> Option<Problem> {
    let tells = |shown: &&CaseCount| {
        let mut others = counts.iter().filter(|other| other.kind == shown.kind && other.count == Figure::Few);
        matches!(shown.count, Figure::Exact(_)) && others.any(|other| adds_up(shown, other))
    };
    counts.iter().find(tells).map(|shown| Problem {
        field: "counts".to_owned(),
        rule: "subtractable",
        message: format!(
            "`{}` is exact beside a count that is not told, which could be found by subtracting. Write `{MANY}`.",
            shown.what.code()
        ),
    })
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Few => f.write_str(FEW),
            Self::Many => f.write_str(MANY),
            Self::Exact(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Figure {
    type Err = NoFigure;

    fn from_str(text: &str) -> Result<Self, NoFigure> {
        match text {
            FEW => return Ok(Self::Few),
            MANY => return Ok(Self::Many),
            _ => {}
        }
        let number: u64 = text.parse().map_err(|_| NoFigure)?;
        // Neither `+12` nor `012`: one number has one form.
        let is_told = !(1..SMALLEST).contains(&number) && number.to_string() == text;
        is_told.then_some(Self::Exact(number)).ok_or(NoFigure)
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Default for Over {
    fn default() -> Self {
        Self::By(0)
    }
}

impl Sum {
    /// This and one count more.
    #[must_use]
    pub fn plus(self, count: Figure) -> Self {
        let (least, over) = match count {
            Figure::Few => (1, Over::By(SMALLEST - 2)),
            Figure::Many => (SMALLEST, Over::Open),
            Figure::Exact(number) => (number, Over::By(0)),
        };
        let over = match (self.over, over) {
            (Over::By(one), Over::By(other)) => Over::By(one.saturating_add(other)),
            _ => Over::Open,
        };
        Self { least: self.least.saturating_add(least), over }
    }
}

impl fmt::Display for Sum {
    /// `12`, `3-27` where it lies between two numbers, `12+` where only the least is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            Over::By(0) => write!(f, "{}", self.least),
            Over::By(more) => write!(f, "{}-{}", self.least, self.least.saturating_add(more)),
            Over::Open => write!(f, "{}+", self.least),
        }
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tally(numbers: &[(Counted, u64)]) -> CaseTally {
        tally_after(numbers, &[])
    }

    /// The tally of a month whose numbers these are, after months that came to `before`.
    fn tally_after(numbers: &[(Counted, u64)], before: &[(Counted, u64)]) -> CaseTally {
        let of_kind = |numbers: &[(Counted, u64)]| -> Numbers {
            numbers.iter().map(|(what, number)| ((CaseKind::Access, *what), *number)).collect()
        };
        let (numbers, mut so_far) = (of_kind(numbers), of_kind(before));
        numbers.iter().for_each(|(of, number)| *so_far.entry(*of).or_default() += number);
        CaseTally::of("agc_library".parse().unwrap(), "2026-11".parse().unwrap(), &numbers, &so_far)
    }

    #[test]
    fn a_small_count_shows_in_no_sum_and_no_difference() {
        use Counted::{Acknowledged, AcknowledgedLate, Closed, DecidedDismissed, DecidedSettled, DecidedUpheld};
        use Counted::{Complained, Dismissed, Escalated, Filed, InTime, Late, RemedyDue, Settled, Upheld};
        let small: [&[(Counted, u64)]; 8] = [
            &[(Filed, 12), (Acknowledged, 10), (AcknowledgedLate, 2)],
            // Two are not acknowledged yet.
            &[(Filed, 12), (Acknowledged, 10)],
            &[(Filed, 40), (Acknowledged, 40), (InTime, 30), (Late, 2), (Escalated, 12), (Complained, 10)],
            &[(InTime, 30), (Upheld, 28), (Dismissed, 2)],
            &[(InTime, 30), (Upheld, 30), (Settled, 28)],
            &[(Escalated, 30), (DecidedUpheld, 15), (DecidedDismissed, 12), (DecidedSettled, 3)],
            &[(Escalated, 30), (DecidedUpheld, 15), (DecidedDismissed, 12)],
            &[(RemedyDue, 20), (Closed, 15)],
        ];
        for numbers in small {
            let tally = tally(numbers);
            for (what, number) in numbers {
                let expected = if is_few(*number) { Figure::Few } else { Figure::Many };
                assert_eq!(tally.count(CaseKind::Access, *what), expected, "{} in {numbers:?}", what.code());
            }
            assert!(tally.tells_hidden().is_none());
        }
        // What was left over from one month says how many came late in the next.
        let first = [(Filed, 30), (Acknowledged, 15), (InTime, 15), (Upheld, 15), (Settled, 15)];
        assert_eq!(tally(&first).count(CaseKind::Access, Filed), Figure::Exact(30));
        let second = [(Acknowledged, 13), (InTime, 13), (Upheld, 13), (Settled, 13)];
        assert_eq!(tally(&second).count(CaseKind::Access, Acknowledged), Figure::Exact(13));
        assert_eq!(tally_after(&second, &first).count(CaseKind::Access, Acknowledged), Figure::Many, "2 of 30 are left");
    }

    #[test]
    fn what_was_published_before_is_still_read() {
        let old = json!({"agency": "agc_library", "month": "2026-11", "counts": [
            {"kind": "access", "what": "acknowledged", "count": "10"},
            {"kind": "access", "what": "acknowledged_late", "count": "1-9"}, {"kind": "access", "what": "filed", "count": "12"}]});
        let read = CaseTally::read(&old).unwrap();
        assert_eq!(read.tells_hidden().unwrap().rule, "subtractable", "but it is not published any more");
    }

    #[test]
    fn a_hidden_count_cannot_be_found_by_subtracting() {
        let open = tally(&[(Counted::Filed, 40), (Counted::InTime, 30), (Counted::Upheld, 18), (Counted::Dismissed, 12)]);
        let count = |what| open.count(CaseKind::Access, what);
        assert_eq!(
            (count(Counted::InTime), count(Counted::Upheld), count(Counted::Late)),
            (Figure::Exact(30), Figure::Exact(18), Figure::Exact(0))
        );
        // 30 answers in time, 28 of them upheld, would say that 2 were not.
        let hidden = tally(&[(Counted::Filed, 40), (Counted::InTime, 30), (Counted::Upheld, 28), (Counted::Dismissed, 2)]);
        let count = |what| hidden.count(CaseKind::Access, what);
        assert_eq!(
            (count(Counted::InTime), count(Counted::Upheld), count(Counted::Dismissed)),
            (Figure::Many, Figure::Many, Figure::Few)
        );
        assert_eq!(count(Counted::Filed), Figure::Many);
        assert_eq!(CaseTally::read(&json!(hidden)).unwrap(), hidden);
        let mut told = json!(hidden);
        let place = told["counts"].as_array().unwrap().iter().position(|line| line["what"] == "upheld").unwrap();
        told["counts"][place]["count"] = json!("28");
        let problems = CaseTally::read(&told).unwrap_err();
        assert!(problems.iter().any(|problem| problem.rule == "subtractable"), "{problems:?}");
    }

    #[test]
    fn figures_have_one_form() {
        for good in ["0", "1-9", "10+", "10", "12345"] {
            assert_eq!(good.parse::<Figure>().unwrap().to_string(), good);
        }
        for bad in ["", "1", "9", "09", "+12", "012", "9+", "2-9", "-1", "many"] {
            assert!(bad.parse::<Figure>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_say_no_more_than_their_parts() {
        let sum = |figures: &[Figure]| figures.iter().fold(Sum::default(), |sum, figure| sum.plus(*figure)).to_string();
        assert_eq!(sum(&[]), "0");
        assert_eq!(sum(&[Figure::Exact(12), Figure::Exact(30)]), "42");
        assert_eq!(sum(&[Figure::Few, Figure::Exact(12), Figure::Few]), "14-30");
        assert_eq!(sum(&[Figure::Few, Figure::Many]), "11+");
    }
}
