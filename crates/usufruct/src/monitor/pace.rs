//! Whether a log keeps the pace that it declares: fresh checkpoints, and enough leaves that look like events.

use usufruct_core::log_terms::LogTerms;

use super::finding::{Code, Finding};

/// What has been seen of the pace of one log.
#[derive(Default)]
pub struct Pace {
    window: Option<Window>,
    /// What the last window that could be judged lacked.
    short: Option<Finding>,
}

/// A stretch of time over which event leaves are counted.
#[derive(Clone, Copy)]
struct Window {
    /// When it began, in seconds since 1970 UTC.
    began: u64,
    /// Event leaves there were when it began.
    events: u64,
    /// The last look, in seconds since 1970 UTC.
    looked: u64,
    /// The leaf of the terms it is judged by.
    terms: u64,
}

/// What a look saw.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The time of the look, in seconds since 1970 UTC.
    pub now: u64,
    /// When the checkpoint was last signed by anybody, or else when it was first seen.
    pub signed: u64,
    /// Event leaves under it.
    pub events: u64,
    /// The terms and their leaf.
    pub terms: Option<(u64, &'a LogTerms)>,
    /// Whether somebody has to sign again and again: witnesses are named, or there is filler.
    pub is_refreshed: bool,
    /// Seconds after which a checkpoint is stale; `None` where nothing says how often there should be one.
    pub late_seconds: Option<u64>,
}

impl Pace {
    /// Takes up what a look saw, and says what is late or short.
    pub fn judge(&mut self, seen: &Seen<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let age = seen.now.saturating_sub(seen.signed);
        let is_stale = seen.is_refreshed && seen.late_seconds.is_some_and(|late| age > late);
        if is_stale {
            let message = format!(
                "There is no new checkpoint and no fresh cosignature for {age} seconds. Ask the operator what has stopped."
            );
            findings.push(Finding::broken(Code::CheckpointStale, message));
        }
        self.count(seen, is_stale);
        findings.extend(self.short.clone());
        findings
    }

    /// Counts the event leaves of a window. A stretch in which the log stood still, or was not looked at, is not judged:
    /// what it lacked is reported as such.
    fn count(&mut self, seen: &Seen<'_>, is_stale: bool) {
        let Some((leaf, terms)) = seen.terms.filter(|(_, terms)| terms.filler.events > 0) else {
            *self = Self::default();
            return;
        };
        let fresh = Window { began: seen.signed, events: seen.events, looked: seen.now, terms: leaf };
        let interval = terms.filler.seconds.unsigned_abs();
        let most_between = seen.late_seconds.unwrap_or(u64::MAX).max(3 * interval);
        let is_whole = |window: &Window| window.terms == leaf && seen.now.saturating_sub(window.looked) <= most_between;
        let Some(window) = self.window.filter(|window| is_whole(window) && !is_stale) else {
            self.window = (!is_stale).then_some(fresh);
            return;
        };
        let elapsed = seen.signed.saturating_sub(window.began);
        // The log keeps its interval by the second and looks twice a second, and a window begins anywhere in an interval.
        let intervals = (elapsed / (interval + SLACK_SECONDS)).saturating_sub(1);
        if intervals < JUDGED_INTERVALS {
            self.window = Some(Window { looked: seen.now, ..window });
            return;
        }
        let (declared, found) = (intervals * terms.filler.events.unsigned_abs(), seen.events.saturating_sub(window.events));
        self.short = (found < declared).then(|| {
            let message = format!(
                "In {elapsed} seconds there were {found} event leaves where the terms declare at least {declared}. Ask the operator where the filler is."
            );
            Finding::broken(Code::FillerShort, message)
        });
        self.window = Some(fresh);
    }
}

/// Intervals in a window, at least.
const JUDGED_INTERVALS: u64 = 3;
/// Seconds by which an interval may be longer than declared.
const SLACK_SECONDS: u64 = 1;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms() -> LogTerms {
        LogTerms::read(&json!({
            "origin": "city.test/log", "vkeys": ["k"], "receipt_vkey": "r", "policy": "quorum none", "merge_delay_seconds": 60,
            "checkpoint_seconds": 10, "filler": { "events": 4, "seconds": 10 }, "fail_open": false,
        }))
        .unwrap()
    }

    fn codes(pace: &mut Pace, terms: &LogTerms, now: u64, signed: u64, events: u64) -> Vec<Code> {
        let seen = Seen { now, signed, events, terms: Some((7, terms)), is_refreshed: true, late_seconds: Some(80) };
        pace.judge(&seen).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_log_that_stands_still_is_stale_and_nothing_else() {
        let (terms, mut pace) = (terms(), Pace::default());
        assert!(codes(&mut pace, &terms, 1_000, 1_000, 0).is_empty());
        assert!(codes(&mut pace, &terms, 1_080, 1_000, 0).is_empty());
        assert_eq!(codes(&mut pace, &terms, 1_081, 1_000, 0), [Code::CheckpointStale]);
        // Whoever stood still is not also blamed for having been silent.
        assert!(codes(&mut pace, &terms, 1_090, 1_090, 2).is_empty());
    }

    #[test]
    fn too_few_event_leaves_are_found_and_enough_of_them_clear_it() {
        let (terms, mut pace) = (terms(), Pace::default());
        let mut events = 100;
        for second in (1_000..2_000).step_by(10) {
            assert!(codes(&mut pace, &terms, second, second, events).is_empty(), "at {second}");
            events += 4;
        }
        let quiet: Vec<Vec<Code>> =
            (2_000..2_200).step_by(10).map(|second| codes(&mut pace, &terms, second, second, events)).collect();
        assert_eq!(quiet.last().unwrap(), &[Code::FillerShort]);
        let busy: Vec<Vec<Code>> = (2_200..2_400)
            .step_by(10)
            .map(|second| {
                events += 4;
                codes(&mut pace, &terms, second, second, events)
            })
            .collect();
        assert!(busy.last().unwrap().is_empty());
    }

    #[test]
    fn what_nobody_looked_at_is_not_judged() {
        let (terms, mut pace) = (terms(), Pace::default());
        assert!(codes(&mut pace, &terms, 1_000, 1_000, 100).is_empty());
        assert!(codes(&mut pace, &terms, 5_000, 5_000, 100).is_empty());
    }
}
