//! Incident: a source whose uses are not all in the log, said in public while it lasts and when it is over.

use serde::Serialize;
use serde_json::Value;

use crate::Time;
use crate::draft::{Draft, Problem};
use crate::id::MandateId;
use crate::source::Source;
use crate::tally::Count;

/// One revision of an incident: the first says that it began, the second that it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    pub source: Source,
    /// The mandate whose uses are concerned.
    pub mandate: MandateId,
    pub fault: Fault,
    /// Since when the record may be incomplete.
    pub since: Time,
    /// How many numbers are missing, as far as it is known; by the rule of small counts.
    pub missing: Count,
    /// When the record was complete again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// What is wrong with the record of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The counts of a day are not those of its numbers.
    Miscounted,
    /// Numbers that were given out are not in the log.
    Missing,
    /// Nothing is heard from the source.
    Silent,
}

impl Fault {
    pub const WORDS: [(&'static str, Self); 3] =
        [("miscounted", Self::Miscounted), ("missing", Self::Missing), ("silent", Self::Silent)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, fault)| *fault == self).map_or("", |(word, _)| word)
    }
}

impl Incident {
    /// Reads an incident, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let source = draft.parse("source", "Name the source: `pass`, or a service.");
        let mandate = draft.parse("mandate", "Name the mandate, as `mdt_library-card`.");
        let fault = draft.word("fault", &Fault::WORDS, "Say what is wrong with the record.");
        let since = draft.time("since", "Say since when the record may be incomplete.");
        let missing = draft.parse("missing", "Write 0, `1-9`, or a number from 10 on, as a text.");
        let ended_at: Option<Time> = draft.optional_parse("ended_at", "Say when it was over, or leave it out.");
        if since.zip(ended_at).is_some_and(|(since, ended_at)| ended_at < since) {
            draft.note("ended_at", "before-start", "It would be over before it began. Correct one of the times.".into());
        }
        let incident =
            (|| Some(Self { source: source?, mandate: mandate?, fault: fault?, since: since?, missing: missing?, ended_at }))();
        let problems = draft.finish();
        match incident {
            Some(incident) if problems.is_empty() => Ok(incident),
            _ => Err(problems),
        }
    }
}
