//! In which state a breach is, and which steps lead from one state to the next: a table, as for everything that has a life of its own.
//!
//! The states are those of an incident in DPV (`Suspected`, `Ongoing`, `Halted`, `Concluded`, `Mitigated`, `NearMiss`; governance 3.2).

use serde::Serialize;

use crate::lifecycle::Guard;

/// How far a breach has come. Each revision says it, and a revision is taken only if a step leads there from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachState {
    /// There is a sign, and nobody knows yet whether data is concerned. No clock of a law runs.
    Suspected,
    /// Data is concerned, and the body knows it. The clocks run from when it learned of it.
    Detected,
    /// It goes on.
    Ongoing,
    /// It has stopped, and may begin again.
    Halted,
    /// It cannot begin again, and it is known until when it went on.
    Contained,
    /// What followed from it is made good as far as that can be.
    Mitigated,
    /// All is answered and something is learned from it.
    Closed,
    /// It nearly happened: no data was concerned. No clock of a law runs.
    NearMiss,
}

const ONE_PERSON: Guard = Guard { approvals: 1, automatic: false };
const TWO_PEOPLE: Guard = Guard { approvals: 2, automatic: false };

impl BreachState {
    pub const WORDS: [(&'static str, Self); 8] = [
        ("suspected", Self::Suspected),
        ("detected", Self::Detected),
        ("ongoing", Self::Ongoing),
        ("halted", Self::Halted),
        ("contained", Self::Contained),
        ("mitigated", Self::Mitigated),
        ("closed", Self::Closed),
        ("near_miss", Self::NearMiss),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    /// Whether a breach can be opened in it: what has ended has a past, which is said step by step.
    pub fn opens(self) -> bool {
        matches!(self, Self::Suspected | Self::Detected | Self::Ongoing | Self::NearMiss)
    }

    /// Whether the body knows that data is concerned. What is closed may have been a near miss.
    pub fn is_known(self) -> bool {
        matches!(self, Self::Detected | Self::Ongoing | Self::Halted | Self::Contained | Self::Mitigated)
    }

    /// Whether it still can do harm: it is known, and nobody has said that it is contained.
    pub fn does_harm(self) -> bool {
        matches!(self, Self::Detected | Self::Ongoing | Self::Halted)
    }

    /// The states that a step leads to from this one.
    pub fn next(self) -> impl Iterator<Item = Self> {
        Self::WORDS.into_iter().map(|(_, to)| to).filter(move |to| breach_guard(self, *to).is_some())
    }
}

/// What the step from `from` to `to` needs, or `None` where there is none (governance 3.2). To say that it is worse takes one person; to say
/// that it is better, or that it was nothing, takes two.
pub fn breach_guard(from: BreachState, to: BreachState) -> Option<Guard> {
    use BreachState::*;
    match (from, to) {
        (Suspected, Detected) | (Detected | Halted, Ongoing) => Some(ONE_PERSON),
        // Many a breach is over when somebody learns of it.
        (Detected | Ongoing, Halted) => Some(TWO_PEOPLE),
        (Halted, Contained) | (Contained, Mitigated) => Some(TWO_PEOPLE),
        (Suspected, NearMiss) | (Mitigated | NearMiss, Closed) => Some(TWO_PEOPLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached_from(start: BreachState) -> Vec<BreachState> {
        let mut reached = vec![start];
        let mut looked_at = 0;
        while let Some(state) = reached.get(looked_at).copied() {
            looked_at += 1;
            for next in state.next() {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
        }
        reached
    }

    #[test]
    fn every_breach_can_be_closed_and_none_comes_back() {
        for (word, state) in BreachState::WORDS {
            assert_eq!(state.code(), word);
            assert!(reached_from(state).contains(&BreachState::Closed), "{word}");
        }
        assert_eq!(BreachState::Closed.next().count(), 0);
        let opened: Vec<BreachState> =
            BreachState::WORDS.into_iter().map(|(_, state)| state).filter(|state| state.opens()).flat_map(reached_from).collect();
        assert!(BreachState::WORDS.iter().all(|(_, state)| opened.contains(state)), "each can be reached");
    }

    #[test]
    fn what_is_known_is_never_a_suspicion_again_and_nobody_alone_says_that_it_is_better() {
        let badness = |state: BreachState| match state {
            BreachState::Suspected => 1,
            BreachState::Detected => 2,
            BreachState::Ongoing => 3,
            _ => 0,
        };
        for (_, from) in BreachState::WORDS {
            for to in from.next() {
                assert!(!from.is_known() || to.is_known() || to == BreachState::Closed, "{from:?} to {to:?}");
                // INVARIANT: `next` gives only what has a guard.
                let guard = breach_guard(from, to).unwrap();
                assert_eq!(guard.approvals, if badness(to) > badness(from) { 1 } else { 2 }, "{from:?} to {to:?}");
                assert!(!guard.automatic, "no machine judges");
            }
        }
    }
}
