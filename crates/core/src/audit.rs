//! Audit: what a drill of the vault found, said in public whether it pleases or not.

use serde::Serialize;
use serde_json::Value;

use crate::Time;
use crate::draft::{Draft, Problem};

/// The result of a drill (reference: erasure.md 1.5 d and e).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub drill: Drill,
    /// When the backup was made that was opened; of a restore drill only.
    pub backup_made_at: Option<Time>,
    /// Residents of the sample, or synthetic residents.
    pub sampled: i64,
    /// Of those who live and changed nothing since the backup, how many opened, as they must.
    pub opened: i64,
    /// Of what was erased or withdrawn, how much stayed closed, as it must.
    pub closed: i64,
    /// How many did otherwise than they must, or how many places held bytes of a destroyed key.
    pub wrong: i64,
    /// Bytes that were searched.
    pub searched_bytes: i64,
}

/// The drills there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drill {
    /// Synthetic residents are erased, and every file is searched for their keys.
    CanaryScan,
    /// An old backup is opened with today's keys.
    RestoreDrill,
}

impl Audit {
    /// Reads the result of a drill, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let words = [("canary_scan", Drill::CanaryScan), ("restore_drill", Drill::RestoreDrill)];
        let drill = draft.word("drill", &words, "Name the drill.");
        let backup_made_at = draft.optional_parse("backup_made_at", "Say when the backup was made.");
        let mut count = |field| draft.integer(field, 0, i64::MAX >> 11, "Give the number.");
        let (sampled, opened, closed) = (count("sampled"), count("opened"), count("closed"));
        let (wrong, searched_bytes) = (count("wrong"), count("searched_bytes"));
        let audit = (|| {
            Some(Self {
                drill: drill?,
                backup_made_at,
                sampled: sampled?,
                opened: opened?,
                closed: closed?,
                wrong: wrong?,
                searched_bytes: searched_bytes?,
            })
        })();
        let problems = draft.finish();
        match audit {
            Some(audit) if problems.is_empty() => Ok(audit),
            _ => Err(problems),
        }
    }
}
