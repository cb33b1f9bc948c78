//! Rotation: every pseudonym by which the services of a domain know residents is replaced, because somebody else may hold them.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::draft::{Draft, Problem};
use crate::id::{BreachId, ServiceId};

/// What is said when all pseudonyms of a domain end. From the statement on none of the old ones leads to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotation {
    /// The pseudonym domain.
    pub sector: String,
    /// The services in it.
    pub services: Vec<ServiceId>,
    /// The breach for which it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<BreachId>,
    pub reason: Text,
}

impl Rotation {
    /// Reads a rotation, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let sector = draft.string("sector", 60, "Name the pseudonym domain.");
        let services = draft.parses("services", "List the services in it.");
        let breach = draft.optional_parse("breach", "Name the breach, as `brc_…`, or leave it out.");
        let reason = draft.text("reason", 400, "Say why.");
        let rotation = (|| Some(Self { sector: sector?, services, breach, reason: reason? }))();
        let problems = draft.finish();
        match rotation {
            Some(rotation) if problems.is_empty() => Ok(rotation),
            _ => Err(problems),
        }
    }
}
