//! Grant: the permission for one resident's data under one mandate, as the decision sees it.

use crate::id::BlockId;
use crate::means::Means;
use crate::{Digest, Time};

/// How a grant came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// The resident agreed.
    Consent,
    /// The law asks for the use; the resident was told and has no choice, and sees why.
    Notified,
    /// A court or an overseer ordered the use; the resident was told and has no choice, and sees who ordered it.
    Ordered,
}

/// Where a grant stands. Presumed consent does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// She was asked and answered: not now. Nothing is lent.
    Deferred,
    Given,
    /// Ended by an order or an erased resident.
    Invalidated,
    /// Held back by the resident or by a case, until it is resumed.
    Paused,
    /// She was asked and said no. Nothing is lent.
    Refused,
    /// Ended with its mandate, on its last day.
    Sunset,
    /// Given up by the controller before its end: by the answer to a case of hers, or with its mandate, which was revoked.
    Terminated,
    Withdrawn,
}

/// What [`crate::decide::decide`] needs to know about the grant of one resident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub kind: GrantKind,
    pub state: GrantState,
    /// Hash of the mandate revision agreed to.
    pub mandate_hash: Digest,
    pub given_at: Time,
    pub valid_until: Time,
    /// The blocks the resident agreed to.
    pub blocks: Vec<BlockId>,
    /// Uses under this grant so far.
    pub uses: i64,
    /// Begin of the current rate window and uses within it.
    pub window_start: Time,
    pub window_uses: i64,
    /// By what she had signed in when she agreed. `None` where nobody signed in for it, or it was not noted then.
    pub means: Option<Means>,
    /// False when the resident has deactivated the pass.
    pub resident_active: bool,
    /// Whether a live authorization of hers at the service that asks covers the mandate. Asked of consents alone.
    pub authorized: bool,
    /// Whether a case of hers is open that lets everything under the mandate rest until it is decided.
    pub rests: bool,
    /// Whether she has said once and for all that the office of the service that asks gets nothing by her consent.
    pub declined: bool,
}

impl Grant {
    /// Whether there ever was a grant. Where she only said no, a decision is the same as where nobody asked her, so that no service learns of it.
    pub fn was_given(&self) -> bool {
        !matches!(self.state, GrantState::Deferred | GrantState::Refused)
    }
}

impl GrantState {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Deferred, "deferred"),
        (Self::Given, "given"),
        (Self::Invalidated, "invalidated"),
        (Self::Paused, "paused"),
        (Self::Refused, "refused"),
        (Self::Sunset, "sunset"),
        (Self::Terminated, "terminated"),
        (Self::Withdrawn, "withdrawn"),
    ];

    /// The word for this state.
    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, code)| code)
    }

    /// The state for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(state, _)| *state)
    }
}

impl GrantKind {
    /// The word for this kind.
    pub fn code(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Notified => "notified",
            Self::Ordered => "ordered",
        }
    }

    /// The kind for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Consent, Self::Notified, Self::Ordered].into_iter().find(|kind| kind.code() == code)
    }
}
