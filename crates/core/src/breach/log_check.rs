//! The machine's own check of the log over the time of a breach: whether all uses of that time are there, and whether they stand unchanged.

use std::cmp::Ordering;

use serde::Serialize;

use super::Breach;
use crate::draft::Draft;
use crate::id::IncidentId;
use crate::incident::Incident;
use crate::register::{Entry, Register, Step};
use crate::source::Source;
use crate::{Digest, Time};

/// What the machine found in the log between two of its sizes, which take in everything from the beginning to the end of a breach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogCheck {
    pub at: Time,
    /// Leaves of the log before the first that is looked at.
    pub from_size: i64,
    /// Leaves of the log with the last that is looked at.
    pub to_size: i64,
    /// Root of the tree with `from_size` leaves.
    pub from_root: Digest,
    /// Root of the tree with `to_size` leaves.
    pub to_root: Digest,
    /// Whether the leaves that are kept give the second root out of the first, the public checkpoint continues it, and no earlier check that was
    /// consistent found another root.
    pub consistent: bool,
    /// Incidents of the counters in that time under what is concerned: there the numbers of uses had a gap, or were not heard of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<IncidentId>,
}

impl LogCheck {
    /// Whether nothing is missing and nothing was changed.
    pub fn is_whole(&self) -> bool {
        self.consistent && self.gaps.is_empty()
    }
}

impl Register {
    /// Between which sizes of the log everything lies that was logged during a breach, as far as the dated leaves of the register tell: the
    /// second is `None` where nothing after its end is known.
    pub fn log_range(&self, breach: &Breach) -> (i64, Option<i64>) {
        let until = breach.until;
        let before = self.dated_leaves().filter(|step| step.at < breach.from).map(|step| size(step.index)).max();
        let after =
            self.dated_leaves().filter(|step| until.is_some_and(|until| until < step.at)).map(|step| size(step.index)).min();
        (before.unwrap_or(0), after)
    }

    /// The incidents of the counters during a breach, under its mandates or of its services, by what is known at `now`.
    pub fn gaps_of(&self, breach: &Breach, now: Time) -> Vec<IncidentId> {
        let until = breach.until.unwrap_or(now);
        let is_its = |incident: &Incident| {
            let is_of_service = match &incident.source {
                Source::Service(service) => breach.services.contains(service),
                _ => false,
            };
            let is_then = incident.since <= until && incident.ended_at.is_none_or(|ended_at| breach.from <= ended_at);
            is_then && (is_of_service || breach.mandates.contains(&incident.mandate))
        };
        self.incidents.iter().filter(|(_, entry)| is_its(&entry.body)).map(|(id, _)| id.clone()).collect()
    }

    /// The root at a size of the log, by the checks that found the log consistent.
    pub fn checked_root(&self, size: i64) -> Option<Digest> {
        let checks = self.breaches.values().filter_map(|entry| entry.body.log_check.as_ref()).filter(|check| check.consistent);
        let mut ends = checks.flat_map(|check| [(check.from_size, check.from_root), (check.to_size, check.to_root)]);
        ends.find(|(known, _)| *known == size).map(|(_, root)| root)
    }

    /// Leaves whose times the register knows: steps of mandates, of contracts and of breaches, and the tallies of days.
    fn dated_leaves(&self) -> impl Iterator<Item = &Step> {
        fn steps<K, T>(map: &std::collections::BTreeMap<K, Entry<T>>) -> impl Iterator<Item = &Step> {
            map.values().flat_map(|entry| &entry.history)
        }
        steps(&self.mandates).chain(steps(&self.contracts)).chain(steps(&self.breaches)).chain(steps(&self.tallies))
    }
}

/// The size of the log with this leaf as its last.
fn size(leaf: u64) -> i64 {
    i64::try_from(leaf).unwrap_or(i64::MAX).saturating_add(1)
}

/// Reads a check of the log.
pub(super) fn log_check(draft: &mut Draft<'_>) -> Option<LogCheck> {
    const REMEDY: &str = "Give the number of leaves.";
    let at = draft.time("at", "Say when it was done.");
    let from_size = draft.integer("from_size", 0, i64::MAX, REMEDY);
    let to_size = draft.integer("to_size", 0, i64::MAX, REMEDY);
    let from_root: Option<Digest> = draft.parse("from_root", "Give the root of the tree of that size.");
    let to_root: Option<Digest> = draft.parse("to_root", "Give the root of the tree of that size.");
    let consistent = draft.flag("consistent", "Say whether the second tree continues the first.");
    let gaps = draft.optional_parses("gaps", "List the incidents of the counters, as `inc_…`.");
    if let (Some(from), Some(to)) = (from_size, to_size) {
        let is_same_root = from_root.zip(to_root).is_some_and(|(from, to)| from == to);
        match from.cmp(&to) {
            Ordering::Greater => draft.note("to_size", "shrinks", "The log would get smaller. Correct one of the sizes.".into()),
            Ordering::Less if is_same_root => {
                draft.note("to_root", "same-root", "Two trees of different sizes have different roots. Correct one.".into());
            }
            Ordering::Equal if from_root.is_some() && to_root.is_some() && !is_same_root => {
                draft.note("to_root", "other-root", "Trees of one size have one root. Correct one.".into());
            }
            _ => {}
        }
    }
    let (from_root, to_root) = (from_root?, to_root?);
    Some(LogCheck { at: at?, from_size: from_size?, to_size: to_size?, from_root, to_root, consistent: consistent?, gaps })
}
