//! Draw: to what an overseer binds itself before chance chooses the days of a recount.

use serde::Serialize;

use crate::Digest;
use crate::draft::Draft;
use crate::hash::sha256;
use crate::tally::Day;

/// The days that can be chosen, how many, and a secret. The log as it stands with the order and the secret choose them: the operator, who makes
/// the log, does not know the secret, and the overseer, who knows it, is bound to it before the log is there. Where no other leaf comes between
/// the last tally and the order, an overseer can reckon the log ahead and try secrets (`docs/protocol/counting.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draw {
    /// The first and the last day that can be chosen. All are counted when the order is given.
    pub from: Day,
    pub to: Day,
    /// How many are chosen; all where there are fewer.
    pub days: i64,
    /// SHA-256 of the secret of 32 bytes.
    pub chance: Digest,
}

impl Draw {
    /// Reads it, or notes what is missing.
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let from: Option<Day> = draft.parse("from", "Give the first day, as `2026-11-20`.");
        let to: Option<Day> = draft.parse("to", "Give the last day, as `2026-11-20`.");
        let days = draft.integer("days", 1, 366, "Say how many days are recounted.");
        let chance = draft.parse("chance", "Give the SHA-256 of the secret, in hexadecimal.");
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            draft.note("to", "before-start", "The last day comes before the first. Correct one of them.".into());
        }
        Some(Self { from: from?, to: to?, days: days?, chance: chance? })
    }

    /// Whether this is the secret to which the order bound its body.
    pub fn binds(&self, secret: &Digest) -> bool {
        sha256(&secret.0) == self.chance
    }
}
