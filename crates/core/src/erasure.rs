//! Erasure: how far the destruction of keys has come. Nobody writes it down; it follows from the request, the certificate and the clock.

use serde::Serialize;

use crate::Time;
use crate::certificate::Certificate;
use crate::register::{Entry, Register};

/// One step after the other, none of which is ever taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// It was asked for, or its day came, and nothing stands against it.
    Scheduled,
    /// The running system opens nothing under the keys any more.
    KeysDestroyed,
    /// The old root is gone wherever it was: in its file, its token, or the shares of so many keepers that the others cannot bring it back. From
    /// then on no copy of the storage opens, of whatever age.
    ReplicasConfirmed,
    /// The certificate is in the log.
    Certified,
    /// No officer of an escrow can bring the old root back any more either, or there is none.
    EscrowFinal,
}

/// When each step was taken, or will be; `None` where it is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// In public of no erasure: when one person asked is hers to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Time>,
    pub keys_destroyed_at: Option<Time>,
    pub replicas_confirmed_at: Option<Time>,
    pub certified_at: Option<Time>,
    /// May lie ahead. `None` after the certificate: the officers of the escrow are late, and no day can be promised.
    pub escrow_final_at: Option<Time>,
}

impl Erasure {
    /// How far it has come by `now`.
    pub fn state(&self, now: Time) -> ErasureState {
        let reached = self.steps().into_iter().rev().find(|(_, at)| at.is_some_and(|at| at <= now));
        reached.map_or(ErasureState::Scheduled, |(state, _)| state)
    }

    /// Every step with its day, in their order.
    pub fn steps(&self) -> [(ErasureState, Option<Time>); 5] {
        [
            (ErasureState::Scheduled, self.scheduled_at),
            (ErasureState::KeysDestroyed, self.keys_destroyed_at),
            (ErasureState::ReplicasConfirmed, self.replicas_confirmed_at),
            (ErasureState::Certified, self.certified_at),
            (ErasureState::EscrowFinal, self.escrow_final_at),
        ]
    }
}

impl ErasureState {
    pub const WORDS: [(&'static str, Self); 5] = [
        ("scheduled", Self::Scheduled),
        ("keys_destroyed", Self::KeysDestroyed),
        ("replicas_confirmed", Self::ReplicasConfirmed),
        ("certified", Self::Certified),
        ("escrow_final", Self::EscrowFinal),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }
}

impl Register {
    /// How far an erasure has come that is certified.
    pub fn erasure(&self, certificate: &Entry<Certificate>) -> Erasure {
        let body = &certificate.body;
        let certified_at = certificate.history.first().map_or(certificate.since, |step| step.at);
        let has_escrow = self.vault_terms_at(certificate.number).is_some_and(|(_, terms)| terms.escrow.is_some());
        let escrow_final_at = if has_escrow { body.erased_escrow_at } else { Some(certified_at) };
        Erasure {
            scheduled_at: None,
            keys_destroyed_at: Some(body.erased_live_at),
            replicas_confirmed_at: Some(body.erased_root_at),
            certified_at: Some(certified_at),
            // Its own statement comes first, also where a period of the escrow ended before it was published.
            escrow_final_at: escrow_final_at.map(|at| at.max(certified_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY;

    fn at(day: i64) -> Option<Time> {
        Some(Time::from_micros(day * DAY))
    }

    #[test]
    fn an_erasure_is_as_far_as_its_last_step_that_is_over() {
        let erasure = Erasure {
            scheduled_at: at(1),
            keys_destroyed_at: at(2),
            replicas_confirmed_at: at(4),
            certified_at: at(4),
            escrow_final_at: at(30),
        };
        let state = |day: i64| erasure.state(Time::from_micros(day * DAY));
        assert_eq!(
            (state(1), state(2), state(3)),
            (ErasureState::Scheduled, ErasureState::KeysDestroyed, ErasureState::KeysDestroyed)
        );
        assert_eq!(
            (state(4), state(29), state(30)),
            (ErasureState::Certified, ErasureState::Certified, ErasureState::EscrowFinal)
        );
        let waiting = Erasure { scheduled_at: at(1), ..Erasure::default() };
        assert_eq!(waiting.state(Time::from_micros(99 * DAY)), ErasureState::Scheduled);
        let undated = Erasure { escrow_final_at: None, ..erasure };
        assert_eq!(undated.state(Time::from_micros(999 * DAY)), ErasureState::Certified, "nobody can promise a day");
        assert!(ErasureState::WORDS.iter().all(|(word, state)| state.code() == *word));
    }
}
