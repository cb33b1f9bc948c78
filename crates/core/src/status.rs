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
