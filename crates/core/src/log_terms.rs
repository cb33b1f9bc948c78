//! LogTerms: what the log promises in public, so that anybody can hold it to it.

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};

/// The terms of the log: its keys, the delay it promises, its witnesses, and how much of its volume is noise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogTerms {
    /// The log's name. Never changes.
    pub origin: String,
    /// Verifier keys that sign its checkpoints (C2SP signed-note).
    pub vkeys: Vec<String>,
    /// Verifier key that signs its receipts.
    pub receipt_vkey: String,
    /// Whose cosignatures a checkpoint needs before it is public (C2SP tlog-policy).
    pub policy: String,
    /// Within how many seconds a checkpoint covers what a receipt promised.
    pub merge_delay_seconds: i64,
    /// How often there is a new checkpoint, or fresh cosignatures under the old one, at least.
    pub checkpoint_seconds: i64,
    pub filler: Filler,
    /// Whether a checkpoint becomes public although too few witnesses have signed it.
    pub fail_open: bool,
}

/// Random leaves that look like events, so that a quiet hour does not show how little happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Filler {
    /// At least so many event leaves, real ones included, are added in each interval.
    pub events: i64,
    /// Length of the interval.
    pub seconds: i64,
}

impl LogTerms {
    /// Reads the terms, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let origin = draft.string("origin", 255, "Give the name of the log.");
        let vkeys = draft.strings("vkeys", LONGEST_KEY, "List the keys that sign checkpoints.");
        let receipt_vkey = draft.string("receipt_vkey", LONGEST_KEY, "Give the key that signs receipts.");
        let policy = draft.string("policy", LONGEST_POLICY, "Give the witness policy; `quorum none` asks for none.");
        let merge_delay_seconds = draft.integer("merge_delay_seconds", 1, 86_400, "Give the promised delay, up to a day.");
        let checkpoint_seconds =
            draft.integer("checkpoint_seconds", 1, 3_600, "Give the time between checkpoints, up to an hour.");
        let filler = draft.object("filler", "Say how many event leaves each interval has at least.", |filler| {
            let events = filler.integer("events", 0, 10_000, "Give the number of leaves; 0 for none.");
            let seconds = filler.integer("seconds", 1, 3_600, "Give the length of the interval, up to an hour.");
            Some(Filler { events: events?, seconds: seconds? })
        });
        let fail_open = draft.flag("fail_open", "Say whether checkpoints become public without their witnesses.");
        if merge_delay_seconds.zip(checkpoint_seconds).is_some_and(|(delay, between)| delay < between) {
            draft.note(
                "merge_delay_seconds",
                "too-short",
                "The promised delay is shorter than the time between checkpoints. Promise what can be kept.".into(),
            );
        }
        let terms = (|| {
            Some(Self {
                origin: origin?,
                vkeys,
                receipt_vkey: receipt_vkey?,
                policy: policy?,
                merge_delay_seconds: merge_delay_seconds?,
                checkpoint_seconds: checkpoint_seconds?,
                filler: filler?,
                fail_open: fail_open?,
            })
        })();
        let problems = draft.finish();
        match terms {
            Some(terms) if problems.is_empty() => Ok(terms),
            _ => Err(problems),
        }
    }
}

/// Characters. An ML-DSA-44 key takes about 2,000.
const LONGEST_KEY: usize = 3_000;
/// Characters. A witness with both kinds of keys takes about 2,000.
const LONGEST_POLICY: usize = 50_000;
