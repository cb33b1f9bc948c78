//! Which states an object of the register can be in, and which steps lead from one to the next.

use serde::Serialize;

/// A state. Which of them apply depends on the kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Draft,
    Consulted,
    Approved,
    Published,
    CheckedAgency,
    CheckedCity,
    Signed,
    Active,
    Suspended,
    Sunset,
    Revoked,
    Erasing,
    Erased,
    Ending,
    Breached,
    Closed,
    Proposed,
    Permitted,
    /// Nothing of it is shown or kept, until people let it see again.
    Withheld,
    PermitExpired,
    Removed,
}

/// A kind of object with a life of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    Agreement,
    Camera,
    Contract,
    Mandate,
    Service,
}

/// What a step needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How many different people in how many different roles must approve.
    pub approvals: usize,
    /// Whether the operator's automation may take the step alone: only steps that end or withhold power.
    pub automatic: bool,
}

const TWO_PEOPLE: Guard = Guard { approvals: 2, automatic: false };
const ONE_PERSON: Guard = Guard { approvals: 1, automatic: false };
const CLOCK: Guard = Guard { approvals: 1, automatic: true };

impl State {
    pub const WORDS: [(&'static str, Self); 21] = [
        ("draft", Self::Draft),
        ("consulted", Self::Consulted),
        ("approved", Self::Approved),
        ("published", Self::Published),
        ("checked_agency", Self::CheckedAgency),
        ("checked_city", Self::CheckedCity),
        ("signed", Self::Signed),
        ("active", Self::Active),
        ("suspended", Self::Suspended),
        ("sunset", Self::Sunset),
        ("revoked", Self::Revoked),
        ("erasing", Self::Erasing),
        ("erased", Self::Erased),
        ("ending", Self::Ending),
        ("breached", Self::Breached),
        ("closed", Self::Closed),
        ("proposed", Self::Proposed),
        ("permitted", Self::Permitted),
        ("withheld", Self::Withheld),
        ("permit_expired", Self::PermitExpired),
        ("removed", Self::Removed),
    ];

    /// The word for this state.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    /// Whether the object can never act again.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Sunset | Self::Revoked | Self::Erasing | Self::Erased | Self::Closed | Self::PermitExpired | Self::Removed
        )
    }
}

/// What the step from `from` to `to` needs, or `None` when there is no such step (governance 3.2).
pub fn guard(lifecycle: Lifecycle, from: State, to: State) -> Option<Guard> {
    use State::*;
    match (lifecycle, from, to) {
        (Lifecycle::Mandate, Draft, Consulted) => Some(ONE_PERSON),
        (Lifecycle::Mandate, Consulted, Approved) => Some(TWO_PEOPLE),
        (Lifecycle::Mandate, Approved, Published) => Some(ONE_PERSON),
        (Lifecycle::Mandate, Published, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Mandate, Suspended, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Mandate, Active, Suspended) => Some(CLOCK),
        (Lifecycle::Mandate, Published | Active | Suspended, Sunset) => Some(CLOCK),
        (Lifecycle::Mandate, Draft | Consulted | Approved | Published | Active | Suspended, Revoked) => Some(ONE_PERSON),
        (Lifecycle::Mandate, Sunset | Revoked, Erasing) => Some(CLOCK),
        (Lifecycle::Mandate, Erasing, Erased) => Some(CLOCK),

        (Lifecycle::Agreement, Draft, Consulted) => Some(ONE_PERSON),
        (Lifecycle::Agreement, Consulted, Published) => Some(TWO_PEOPLE),
        (Lifecycle::Agreement, Published | Suspended, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Agreement, Active, Suspended) => Some(CLOCK),
        (Lifecycle::Agreement, Published | Active | Suspended, Sunset) => Some(CLOCK),
        (Lifecycle::Agreement, Draft | Consulted | Published | Active | Suspended, Revoked) => Some(ONE_PERSON),

        (Lifecycle::Camera, Proposed, Permitted) => Some(TWO_PEOPLE),
        (Lifecycle::Camera, Permitted | Withheld, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Camera, Active, Withheld) => Some(CLOCK),
        (Lifecycle::Camera, Permitted | Active | Withheld, PermitExpired) => Some(CLOCK),
        (Lifecycle::Camera, Proposed | Permitted | Active | Withheld | PermitExpired, Removed) => Some(ONE_PERSON),

        (Lifecycle::Contract, Draft, CheckedAgency) => Some(ONE_PERSON),
        (Lifecycle::Contract, CheckedAgency, CheckedCity) => Some(ONE_PERSON),
        (Lifecycle::Contract, CheckedCity, Signed) => Some(TWO_PEOPLE),
        (Lifecycle::Contract, Signed, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Contract, Suspended, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Contract, Active, Suspended) => Some(CLOCK),
        (Lifecycle::Contract, Active | Suspended, Ending) => Some(CLOCK),
        (Lifecycle::Contract, Ending, Breached) => Some(CLOCK),
        (Lifecycle::Contract, Ending | Breached, Closed) => Some(ONE_PERSON),

        (Lifecycle::Service, Draft, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Service, Suspended, Active) => Some(TWO_PEOPLE),
        (Lifecycle::Service, Active, Suspended) => Some(CLOCK),
        (Lifecycle::Service, Draft | Active | Suspended, Closed) => Some(ONE_PERSON),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Lifecycle; 5] =
        [Lifecycle::Agreement, Lifecycle::Camera, Lifecycle::Contract, Lifecycle::Mandate, Lifecycle::Service];

    #[test]
    fn nobody_alone_and_no_machine_gives_power() {
        for lifecycle in ALL {
            for (_, from) in State::WORDS {
                if let Some(guard) = guard(lifecycle, from, State::Active) {
                    assert!(guard.approvals >= 2 && !guard.automatic, "{lifecycle:?} {from:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        for lifecycle in ALL {
            for (_, from) in State::WORDS.into_iter().filter(|(_, state)| state.is_over()) {
                for (_, to) in State::WORDS.into_iter().filter(|(_, state)| !state.is_over()) {
                    assert_eq!(guard(lifecycle, from, to), None, "{from:?} to {to:?}");
                }
            }
        }
    }
}
