//! Case tally: how many cases a body had in one month and what came of them, for everybody to read.
//!
//! The small-count rule of the [tallies](crate::tally) holds: 1 to 9 is `1-9`. Some counts of a kind add up with one another, so where one of
//! those is small the others say no more than that they are not: `10+`. Nothing that is published can be subtracted to find a hidden one.

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
    /// What may be published of these counts of one body and month.
    pub fn of(agency: AgencyId, month: Month, numbers: &BTreeMap<(CaseKind, Counted), u64>) -> Self {
        let is_few = |number: u64| (1..SMALLEST).contains(&number);
        let hides = |kind: CaseKind| numbers.iter().any(|((of, what), number)| *of == kind && what.adds_up() && is_few(*number));
        let figure = |kind, what: Counted, number| match number {
            number if is_few(number) => Figure::Few,
            _ if what.adds_up() && hides(kind) => Figure::Many,
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
        for shown in counts.iter().filter(|line| line.what.adds_up() && matches!(line.count, Figure::Exact(_))) {
            if counts.iter().any(|line| line.kind == shown.kind && line.what.adds_up() && line.count == Figure::Few) {
                let message = format!(
                    "`{}` is exact beside a count that is not told, which could be found by subtracting. Write `{MANY}`.",
                    shown.what.code()
                );
                draft.note("counts", "subtractable", message);
            }
        }
        let problems = draft.finish();
        match (agency, month) {
            (Some(agency), Some(month)) if problems.is_empty() => Ok(Self { agency, month, counts }),
            _ => Err(problems),
        }
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

    /// Whether it adds up with others to a number that is published too: an answer is in time or late, and upheld or not; what goes to the
    /// overseer goes by the clock, which is late, or by the resident.
    fn adds_up(self) -> bool {
        matches!(self, Self::InTime | Self::Late | Self::Upheld | Self::Dismissed | Self::Escalated | Self::Complained)
    }
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
        let numbers = numbers.iter().map(|(what, number)| ((CaseKind::Access, *what), *number)).collect();
        CaseTally::of("agc_library".parse().unwrap(), "2026-11".parse().unwrap(), &numbers)
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
        assert_eq!(count(Counted::Filed), Figure::Exact(40), "how many were filed adds up with nothing of the month");
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
