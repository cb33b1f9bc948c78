//! Tally: how often a mandate was used on one day, and how often it was refused, for everybody to read.
//!
//! The small-count rule: a count of 1 to 9 could point at a person whom others saw on that day, so it is published as `1-9`. Zero and
//! everything from 10 on is published as it is, and a day without uses has its tally too. No total is published from which a hidden count could
//! be subtracted.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::decide::Clause;
use crate::draft::{Draft, Problem};
use crate::hash::sha256;
use crate::id::MandateId;
use crate::source::Source;
use crate::{Digest, Time};

/// Up to when days are reckoned without a calendar: the year 9000.
const LAST: i64 = 221_845_392_000_000_000;
/// From this number on a count is published as it is.
pub const SMALLEST: u64 = 10;
/// How a count below [`SMALLEST`] is written.
const FEW: &str = "1-9";

/// The counts of one day under one mandate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub mandate: MandateId,
    /// The day in Taipei, as `2026-11-20`.
    pub day: Day,
    /// Uses, each line of a batch by itself.
    pub uses: Count,
    /// Of the uses those that residents see only later.
    pub delayed: Count,
    /// Uses that an agency's own system reported although a clause stood against them; they are among the uses.
    pub irregular: Count,
    /// Batches, however long.
    pub batches: Count,
    /// Residents whose data was used.
    pub residents: Count,
    /// Refusals by the first clause that refused, in the order of their codes. What is not listed was not refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusals>,
    /// Which numbers of which source were logged on the day, bound and hidden, in the order of the sources. Without a line from a source
    /// there is no span of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSpan>,
}

/// The numbers of one source on one day. In clear they would say how many lines there were, however few.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSpan {
    pub source: Source,
    /// [`Span::commitment`] of the numbers.
    pub span: Digest,
}

/// What a [`SourceSpan`] binds; opened to the oversight body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: u64,
    pub last: u64,
    /// Lines with a number between the two, themselves among them. Less than all when some came late.
    pub lines: u64,
}

/// How often one clause refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// Code of the clause.
    pub clause: String,
    pub count: Count,
}

/// A count as it may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// 1 to 9, it is not said which.
    Few,
    Exact(u64),
}

/// A calendar day in Taipei.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Time);

/// Why a text is not a count or a day.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("This is no count that may be published. Write 0, `1-9`, or a number from 10 on.")]
    Count,
    #[error("This is not a day. Write it as `2026-11-20`.")]
    Day,
}

impl Tally {
    /// Reads a tally, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        const REMEDY: &str = "Write 0, `1-9`, or a number from 10 on, as a text.";
        let mut draft = Draft::new(value);
        let mandate = draft.parse("mandate", "Name the mandate, as `mdt_library-card`.");
        let day = draft.parse("day", "Write the day as `2026-11-20`.");
        let uses = draft.parse("uses", REMEDY);
        let delayed = draft.parse("delayed", REMEDY);
        let irregular = draft.parse("irregular", REMEDY);
        let batches = draft.parse("batches", REMEDY);
        let residents = draft.parse("residents", REMEDY);
        let refusals: Vec<Refusals> = draft.optional_objects("refusals", |line| {
            let words = Clause::ALL.map(|clause| (clause.code(), clause.code()));
            let clause = line.word("clause", &words, "Give the code of the clause.").map(str::to_owned);
            let count = line.parse("count", REMEDY);
            if count == Some(Count::Exact(0)) {
                line.note("count", "nothing", "A clause that refused nothing needs no line. Take it out.".into());
            }
            Some(Refusals { clause: clause?, count: count? })
        });
        let sources: Vec<SourceSpan> = draft.optional_objects("sources", |line| {
            let source = line.parse("source", "Name the source: `pass`, or a service.");
            let span = line.parse("span", "Give the commitment to its numbers.");
            Some(SourceSpan { source: source?, span: span? })
        });
        if !sources.is_sorted_by(|one, other| one.source.as_str() < other.source.as_str()) {
            let message = "The sources are not in the order of their names, or one is there twice. Sort them.";
            draft.note("sources", "not-sorted", message.into());
        }
        if !refusals.is_sorted_by(|one, other| one.clause < other.clause) {
            let message = "The clauses are not in the order of their codes, or one is there twice. Sort them.";
            draft.note("refusals", "not-sorted", message.into());
        }
        let tally = (|| {
            Some(Self {
                mandate: mandate?,
                day: day?,
                uses: uses?,
                delayed: delayed?,
                irregular: irregular?,
                batches: batches?,
                residents: residents?,
                refusals,
                sources,
            })
        })();
        if let Some(tally) = &tally {
            for (field, count) in [("delayed", tally.delayed), ("irregular", tally.irregular), ("residents", tally.residents)] {
                if count.least() > tally.uses.most() {
                    draft.note(field, "too-many", "There are more of them than uses. Count them among the uses.".into());
                }
            }
        }
        let problems = draft.finish();
        match tally {
            Some(tally) if problems.is_empty() => Ok(tally),
            _ => Err(problems),
        }
    }
}

impl Span {
    /// SHA-256 over `salt`, 32 random bytes, and the numbers: binds them and says nothing of them.
    pub fn commitment(self, source: &Source, salt: &[u8; 32]) -> Digest {
        let numbers = [self.first, self.last, self.lines].map(u64::to_be_bytes);
        let name = source.as_str().as_bytes();
        sha256(&[b"usufruct/span/v1\n", &salt[..], &numbers.concat(), name].concat())
    }
}

impl Count {
    /// `number` as it may be published.
    pub fn of(number: u64) -> Self {
        if (1..SMALLEST).contains(&number) { Self::Few } else { Self::Exact(number) }
    }

    /// The least that it can stand for.
    pub fn least(self) -> u64 {
        match self {
            Self::Few => 1,
            Self::Exact(number) => number,
        }
    }

    /// The most that it can stand for.
    pub fn most(self) -> u64 {
        match self {
            Self::Few => SMALLEST - 1,
            Self::Exact(number) => number,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Few => f.write_str(FEW),
            Self::Exact(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Count {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == FEW {
            return Ok(Self::Few);
        }
        let number: u64 = text.parse().map_err(|_| Malformed::Count)?;
        // Neither `+12` nor `012`: one number has one form.
        let count = Self::of(number);
        if count.to_string() == text { Ok(count) } else { Err(Malformed::Count) }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Day {
    /// The day on which `time` lies.
    pub fn of(time: Time) -> Option<Self> {
        use crate::time::{DAY, HOUR};
        // Every counted line asks for its day, and Taipei has been eight hours ahead for as long as there are lines.
        let begins = Time::from_micros((time.micros().saturating_add(8 * HOUR)).div_euclid(DAY) * DAY - 8 * HOUR);
        if (0..LAST).contains(&time.micros()) { Some(Self(begins)) } else { time.day().parse().ok() }
    }

    /// Its first moment.
    pub fn begins(self) -> Time {
        self.0
    }

    /// Its number, counted from 1970 by the calendar of Taipei.
    pub fn number(self) -> i64 {
        self.0.micros().div_euclid(crate::time::DAY) + 1
    }

    /// The day with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        // Midnight UTC is eight in the morning of the same day in Taipei.
        Self::of(Time::from_micros(number.saturating_mul(crate::time::DAY)))
    }

    /// The day after it: Taipei has no daylight saving, so all days are as long.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.plus(crate::time::DAY))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.day())
    }
}

impl FromStr for Day {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let day = Self(text.parse().map_err(|_| Malformed::Day)?);
        if day.to_string() == text { Ok(day) } else { Err(Malformed::Day) }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
