//! Purge: of everything whose certificates stand in the log up to one of them, no ciphertext is left. One statement for all of them, so that
//! it tells about no resident.

use serde::Serialize;
use serde_json::Value;

use crate::Time;
use crate::draft::{Draft, Problem};

/// What is said when the dates have come that certificates name, and the ciphertext is gone (reference: erasure.md 1.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purge {
    /// Leaf number of the last certificate that it is about, in its first revision. It is about all before that one too.
    pub through: u64,
    /// When the files of the database, and every copy that the pass knows of, held none of it any more.
    pub purged_at: Time,
}

impl Purge {
    /// Reads a purge, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let through = draft.integer("through", 0, i64::MAX >> 11, "Give the leaf number of the last certificate.");
        let purged_at = draft.time("purged_at", "Give the moment of the purge.");
        let purge = (|| Some(Self { through: through?.cast_unsigned(), purged_at: purged_at? }))();
        let problems = draft.finish();
        match purge {
            Some(purge) if problems.is_empty() => Ok(purge),
            _ => Err(problems),
        }
    }
}
