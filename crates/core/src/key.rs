//! PublishedKey: the public commitment of a key of a mandate or a pseudonym domain, from when the key is made.

use serde::Serialize;
use serde_json::Value;

use crate::Digest;
use crate::draft::{Draft, Problem};
use crate::id::MandateId;
use crate::time::Month;

/// A key that the log knew before anybody wanted it gone: a certificate can be about it, and about no other one of its mandate or
/// domain. Keys of residents are not published, since the number and the times of them would tell about people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedKey {
    #[serde(flatten)]
    pub of: KeyOf,
    /// The month whose deposits the key opens; `None` for a mandate's own key and for that of a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<Month>,
    /// SHA-256 over label, handle and key.
    pub commitment: Digest,
    /// Epoch of the key tree in which the key lived when this was said.
    pub epoch: i64,
}

/// What a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOf {
    Mandate(MandateId),
    /// A pseudonym domain, by its name.
    Sector(String),
}

impl PublishedKey {
    /// Reads a published key, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let mandate = draft.optional_parse("mandate", "Name the mandate, as `mdt_library-card`.");
        let sector = draft.optional_string("sector", 60);
        let month = draft.optional_parse("month", "Write the month as `2026-11`.");
        let commitment = draft.parse("commitment", "Give the commitment in hex.");
        let epoch = draft.integer("epoch", 0, i64::MAX >> 11, "Give the epoch of the key tree.");
        if mandate.is_some() == sector.is_some() {
            let message = "A key belongs to a mandate or to a pseudonym domain. Name one of the two.";
            draft.note("mandate", "one-of-two", message.into());
        }
        if sector.is_some() && month.is_some() {
            draft.note("month", "of-no-mandate", "Only mandates have keys of months. Leave the month out.".into());
        }
        let of = mandate.map(KeyOf::Mandate).or(sector.map(KeyOf::Sector));
        let key = (|| Some(Self { of: of?, month, commitment: commitment?, epoch: epoch? }))();
        let problems = draft.finish();
        match key {
            Some(key) if problems.is_empty() => Ok(key),
            _ => Err(problems),
        }
    }
}
