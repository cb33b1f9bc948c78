//! Uncertified: keys were destroyed, and what would have proved it is not as it was written, so that there can be no certificate. Said in
//! public in its place and under its id.

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::MandateId;
use crate::{Digest, Text};

/// An erasure of which nothing can be proved any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uncertified {
    /// The mandate that ended with it; `None` for anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mandate: Option<MandateId>,
    /// Commitments of the published keys that went; empty where it was about a resident, of whom nothing was published.
    pub key_commitments: Vec<Digest>,
    pub reason: Text,
}

impl Uncertified {
    /// Reads what is said, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let mandate = draft.optional_parse("mandate", "Name the mandate that ended, or leave it out.");
        let key_commitments = draft.optional_parses("key_commitments", "List the commitments of the published keys.");
        let reason = draft.text("reason", 500, "Say why nothing can be proved.");
        let uncertified = (|| Some(Self { mandate, key_commitments, reason: reason? }))();
        let problems = draft.finish();
        match uncertified {
            Some(uncertified) if problems.is_empty() => Ok(uncertified),
            _ => Err(problems),
        }
    }
}
