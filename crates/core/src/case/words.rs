//! The words of cases in the store, in requests and on the command line.

use super::{CaseKind, CaseState, Finding, Remedy};
use crate::lawpack::Duty;

/// The reasons of lines of hers about steps of a case that others took: the office, the overseer or the clock.
pub const STEPS_OF_OTHERS: [&str; 7] = ["acknowledged", "answered", "decided", "escalated", "extended", "lapsed", "remedied"];

impl CaseKind {
    /// In the order in which pages offer them.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("question", Self::Question),
        ("access", Self::Access),
        ("copy", Self::Copy),
        ("correct", Self::Correct),
        ("challenge", Self::Challenge),
        ("stop", Self::Stop),
        ("delete", Self::Delete),
        ("complaint", Self::Complaint),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The kind for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }

    /// What the law sets a time for.
    pub fn duty(self) -> Duty {
        match self {
            Self::Access => Duty::Access,
            Self::Challenge => Duty::Challenge,
            Self::Complaint => Duty::Complaint,
            Self::Copy => Duty::Copy,
            Self::Correct => Duty::Correct,
            Self::Delete => Duty::Delete,
            Self::Question => Duty::Question,
            Self::Stop => Duty::Stop,
        }
    }
}

impl CaseState {
    /// In the order in which a case passes through them.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("filed", Self::Filed),
        ("acknowledged", Self::Acknowledged),
        ("answered", Self::Answered),
        ("settled", Self::Settled),
        ("escalated", Self::Escalated),
        ("decided", Self::Decided),
        ("remedy_due", Self::RemedyDue),
        ("closed", Self::Closed),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The state for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }
}

impl Finding {
    pub const WORDS: [(&'static str, Self); 4] =
        [("dismissed", Self::Dismissed), ("partly", Self::Partly), ("settled", Self::Settled), ("upheld", Self::Upheld)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The finding for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }
}

impl Remedy {
    pub const WORDS: [(&'static str, Self); 4] =
        [("compensate", Self::Compensate), ("correct", Self::Correct), ("delete", Self::Delete), ("stop", Self::Stop)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The remedy for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }

    /// Whether the machine does it by itself.
    pub fn is_by_machine(self) -> bool {
        matches!(self, Self::Delete | Self::Stop)
    }
}

pub(super) fn code<T: Copy + PartialEq>(words: &[(&'static str, T)], it: T) -> &'static str {
    words.iter().find(|(_, known)| *known == it).map_or("", |(word, _)| word)
}

pub(super) fn from_code<T: Copy>(words: &[(&'static str, T)], code: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == code).map(|(_, it)| *it)
}
