//! Tally: how often a mandate was used on one day, and how often it was refused, for everybody to read.
//!
//! The small-count rule: a count of 1 to 9 could point at a person whom others saw on that day, so it is published as `1-9`. Zero and
//! everything from 10 on is published as it is, and a day without uses has its tally too. No total is published from which a hidden count could
//! be subtracted.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Time;
use crate::decide::Clause;
use crate::draft::{Draft, Problem};
use crate::id::MandateId;

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
    /// Batches, however long.
    pub batches: Count,
    /// Refusals by the first clause that refused, in the order of their codes. What is not listed was not refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusals>,
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
        let batches = draft.parse("batches", REMEDY);
        let refusals: Vec<Refusals> = draft.optional_objects("refusals", |line| {
            let words = Clause::ALL.map(|clause| (clause.code(), clause.code()));
            let clause = line.word("clause", &words, "Give the code of the clause.").map(str::to_owned);
            let count = line.parse("count", REMEDY);
            if count == Some(Count::Exact(0)) {
                line.note("count", "nothing", "A clause that refused nothing needs no line. Take it out.".into());
            }
            Some(Refusals { clause: clause?, count: count? })
        });
        if !refusals.is_sorted_by(|one, other| one.clause < other.clause) {
            let message = "The clauses are not in the order of their codes, or one is there twice. Sort them.";
            draft.note("refusals", "not-sorted", message.into());
        }
        let tally =
            (|| Some(Self { mandate: mandate?, day: day?, uses: uses?, delayed: delayed?, batches: batches?, refusals }))();
        if tally.as_ref().is_some_and(|tally| tally.delayed.least() > tally.uses.most()) {
            draft.note(
                "delayed",
                "too-many",
                "More uses are delayed than there were. Count the delayed ones among the uses.".into(),
            );
        }
        let problems = draft.finish();
        match tally {
            Some(tally) if problems.is_empty() => Ok(tally),
            _ => Err(problems),
        }
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
        time.day().parse().ok()
    }

    /// Its first moment.
    pub fn begins(self) -> Time {
        self.0
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
