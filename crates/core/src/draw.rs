//! Draw: to what an overseer binds itself before chance chooses the days of a recount.

use serde::Serialize;

use crate::Digest;
use crate::draft::Draft;
use crate::hash::sha256;
use crate::order::Order;
use crate::register::{Entry, Register};
use crate::tally::Day;

/// The days that can be chosen, how many, and a secret. The log as it stands with the order and the secret choose them: the operator, who makes
/// the log, does not know the secret, and the overseer, who knows it, is bound to it before the log is there (`docs/protocol/counting.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draw {
    /// The first and the last day that can be chosen. All are counted when the order is given.
    pub from: Day,
    pub to: Day,
    /// How many are chosen; all where there are fewer.
    pub days: i64,
    /// SHA-256 of the secret of 32 bytes.
    pub chance: Digest,
    /// Whether the log chooses as it stands with the first tally after the order, which only the machine of the operator can sign, so that nobody
    /// can reckon it ahead. Without it the log as it stands with the order chooses: where no other leaf comes between, an overseer can
    /// try secrets until it likes the days.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub next_tally: bool,
}

impl Draw {
    /// Reads it, or notes what is missing.
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let from: Option<Day> = draft.parse("from", "Give the first day, as `2026-11-20`.");
        let to: Option<Day> = draft.parse("to", "Give the last day, as `2026-11-20`.");
        let days = draft.integer("days", 1, 366, "Say how many days are recounted.");
        let chance = draft.parse("chance", "Give the SHA-256 of the secret, in hexadecimal.");
        let next_tally = draft.optional_flag("next_tally").unwrap_or(false);
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            draft.note("to", "before-start", "The last day comes before the first. Correct one of them.".into());
        }
        Some(Self { from: from?, to: to?, days: days?, chance: chance?, next_tally })
    }

    /// Whether this is the secret to which the order bound its body.
    pub fn binds(&self, secret: &Digest) -> bool {
        sha256(&secret.0) == self.chance
    }
}

impl Register {
    /// How large the log is that chooses the days of an order: up to and with the order, or the first tally after it. `None` while there is none.
    pub fn chosen_at(&self, order: &Entry<Order>, draw: &Draw) -> Option<u64> {
        let given_in = order.given_in();
        let last = match draw.next_tally {
            true => self.tallies.values().map(|tally| tally.number).filter(|number| *number > given_in).min()?,
            false => given_in,
        };
        Some(last + 1)
    }
}
