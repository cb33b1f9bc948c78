//! Audit: what a drill of the vault or a recount of uses found, said in public whether it pleases or not.

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::{MandateId, OrderId};
use crate::tally::Day;
use crate::{Digest, Time};

/// The result of a drill (reference: erasure.md 1.5 d and e).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub drill: Drill,
    /// When the backup was made that was opened; of a restore drill only.
    pub backup_made_at: Option<Time>,
    /// Residents of the sample, or synthetic residents; of a recount, days; of a breach, clocks.
    pub sampled: i64,
    /// Of those who live, how many opened, as they must; of a recount, lines that stand in the log; of a breach, clocks that were met.
    pub opened: i64,
    /// Of residents who were erased, or whose key was replaced since the backup, how many stayed closed, as they must; of a canary scan,
    /// sealed rows of synthetic residents that were tried after the erasure and did not open.
    pub closed: i64,
    /// How many did otherwise than they must, or how many files held bytes of a destroyed key.
    pub wrong: i64,
    /// Bytes that were searched.
    pub searched_bytes: i64,
    /// What was recounted, of a recount only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recount: Option<Recount>,
}

/// What an oversight body recounted, and by which chance the days were chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recount {
    pub mandate: MandateId,
    /// The order that bound the overseer to a secret.
    pub order: OrderId,
    /// That secret.
    pub secret: Digest,
    /// The first and the last day that could be chosen.
    pub from: Day,
    pub to: Day,
    /// The log as it stood with the order, or with the first tally after it, whose root hash chose the days together with the secret.
    pub log_size: i64,
    pub log_root: Digest,
    /// The days that were recounted.
    pub days: Vec<Day>,
}

/// The drills there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drill {
    /// A breach is played with the clocks of the law; counted are clocks, and wrong are those that were missed.
    BreachDrill,
    /// Synthetic residents are erased, and every file is searched for their keys.
    CanaryScan,
    /// An oversight body counts uses in the log again and holds them against the tallies.
    Recount,
    /// An old backup is opened with today's keys.
    RestoreDrill,
}

impl Audit {
    /// Reads the result of a drill, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let words = [
            ("breach_drill", Drill::BreachDrill),
            ("canary_scan", Drill::CanaryScan),
            ("recount", Drill::Recount),
            ("restore_drill", Drill::RestoreDrill),
        ];
        let drill = draft.word("drill", &words, "Name the drill.");
        let backup_made_at = draft.optional_parse("backup_made_at", "Say when the backup was made.");
        let mut count = |field| draft.integer(field, 0, i64::MAX >> 11, "Give the number.");
        let (sampled, opened, closed) = (count("sampled"), count("opened"), count("closed"));
        let (wrong, searched_bytes) = (count("wrong"), count("searched_bytes"));
        let recount = match drill {
            Some(Drill::Recount) => draft.object("recount", "Say what was recounted.", recount),
            _ => {
                if draft.optional("recount").is_some() {
                    draft.note(
                        "recount",
                        "other-drill",
                        "This field belongs to a recount. Take it out, or name that one.".into(),
                    );
                }
                None
            }
        };
        let audit = (|| {
            Some(Self {
                drill: drill?,
                backup_made_at,
                sampled: sampled?,
                opened: opened?,
                closed: closed?,
                wrong: wrong?,
                searched_bytes: searched_bytes?,
                recount,
            })
        })();
        let problems = draft.finish();
        match audit {
            Some(audit) if problems.is_empty() => Ok(audit),
            _ => Err(problems),
        }
    }
}

fn recount(draft: &mut Draft<'_>) -> Option<Recount> {
    let mandate = draft.parse("mandate", "Name the mandate, as `mdt_library-card`.");
    let order = draft.parse("order", "Name the order that bound the overseer to a secret, as `ord_2026-4`.");
    let secret = draft.parse("secret", "Give the secret of the draw, in hexadecimal.");
    let from: Option<Day> = draft.parse("from", "Give the first day, as `2026-11-20`.");
    let to: Option<Day> = draft.parse("to", "Give the last day, as `2026-11-20`.");
    let log_size = draft.integer("log_size", 1, i64::MAX >> 11, "Give the size of the log with the order.");
    let log_root = draft.parse("log_root", "Give the root hash of the log of that size, in hexadecimal.");
    let days: Vec<Day> = draft.parses("days", "List the days that were recounted.");
    let (from, to) = (from?, to?);
    if !days.is_sorted_by(|one, other| one < other) || days.iter().any(|day| !(from..=to).contains(day)) {
        draft.note("days", "not-sorted", "A day is out of order, outside the time, or there twice. Sort them.".into());
    }
    Some(Recount { mandate: mandate?, order: order?, secret: secret?, from, to, log_size: log_size?, log_root: log_root?, days })
}
