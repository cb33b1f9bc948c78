//! StatusChange: the only way an object's status ever changes.

use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::BreachId;
use crate::lifecycle::State;
use crate::{Digest, Text};

/// One step of one object through its states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// Id of the object, as `mdt_library-card`.
    pub object: String,
    /// Hash of the revision the change is about.
    pub revision: Digest,
    pub from: State,
    pub to: State,
    pub reason: Text,
    #[serde(flatten)]
    pub grounds: Grounds,
}

/// On what a step rests, beside its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// What sort of reason it is, so that steps can be counted; the words are in the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<ReasonCode>,
    /// The breach for which something is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<BreachId>,
    /// The article that asks for the step or allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub law: Option<String>,
    /// What shows that the reason is so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Document>,
}

impl Grounds {
    /// A sort of reason and nothing beside it.
    pub fn of(code: ReasonCode) -> Self {
        Self { reason_code: Some(code), ..Self::default() }
    }
}

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What sort of reason a step has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ReasonCode { $($(#[$doc])* $name,)* }

        impl ReasonCode {
            /// Every code with its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$name),)*];
        }
    };
}

reason_codes! {
    /// Something got out, was lost or was changed.
    Breach = "breach";
    /// A check found that something is not as it has to be.
    CheckFailed = "check_failed";
    /// A court or an overseer decided so.
    Decision = "decision";
    /// Something was wrong and is put right.
    Error = "error";
    /// The law changed.
    LawChanged = "law_changed";
    /// What it was for is reached, or cannot be reached any more.
    PurposeGone = "purpose_gone";
    /// What is needed for the step is there.
    Ready = "ready";
    /// The time that was set is over.
    TermOver = "term_over";
}

impl ReasonCode {
    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, code)| *code == self).map_or("", |(word, _)| word)
    }
}

impl StatusChange {
    /// Reads a status change, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let object = draft.string("object", 80, "Name the object.");
        let revision = draft.parse("revision", "Give the hash of the revision.");
        let from = draft.word("from", &State::WORDS, "Give the present state.");
        let to = draft.word("to", &State::WORDS, "Give the next state.");
        let reason = draft.text("reason", 400, "Say why, in both languages.");
        let grounds = Grounds {
            reason_code: draft.optional_word("reason_code", ReasonCode::WORDS),
            breach: draft.optional_parse("breach", "Name the breach, as `brc_…`, or leave it out."),
            law: draft.optional_string("law", 120),
            evidence: draft.optional_objects("evidence", document),
        };
        let change = (|| Some(Self { object: object?, revision: revision?, from: from?, to: to?, reason: reason?, grounds }))();
        let problems = draft.finish();
        match change {
            Some(change) if problems.is_empty() => Ok(change),
            _ => Err(problems),
        }
    }
}
