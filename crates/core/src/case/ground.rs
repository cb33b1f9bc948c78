//! On which ground a case is filed, and what she wants to come of it. Both are for her to say or to leave out: no office may ask for either.

use serde::{Deserialize, Serialize};

use super::words::{code, from_code};
use super::{CaseKind, Misstep};

/// Why, as a word that offices and overseers read alike (sources: Personal Data Protection Act of Taiwan, articles 5, 8, 9, 11, 15, 16 and 20;
/// GDPR, articles 5, 13 to 18 and 21). The law asks for no ground to see data, to get a copy or to ask a question, so those kinds have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// She agreed, and has taken that back.
    ConsentWithdrawn,
    /// It is wrong (Act 11(1); GDPR 16).
    Inaccurate,
    /// Something is missing in it (Act 11(1); GDPR 16).
    Incomplete,
    /// An earlier request was not answered, or not as it should have been.
    NoAnswer,
    /// She was refused because she does not use the pass, or not in the way that was asked for.
    NoOtherWay,
    /// It was somebody else, or she was not there.
    NotMine,
    /// She was not told (Act 8, 9; GDPR 13, 14).
    NotTold,
    /// It was used for something else than it was collected for (Act 5, 16; GDPR 5(1)(b)).
    OtherPurpose,
    /// Something about her own situation speaks against it (GDPR 21(1)).
    OwnSituation,
    /// What it was for is over (Act 11(3); GDPR 17(1)(a)).
    PurposeOver,
    /// More was used than was needed (Act 5; GDPR 5(1)(c)).
    TooMuch,
    /// No law allows it (Act 11(4), 15; GDPR 17(1)(d)).
    Unlawful,
}

/// What she wants to come of it, whatever kind of case it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relief {
    Compensation,
    Correct,
    Delete,
    Explanation,
    Stop,
}

impl Ground {
    /// In the order in which pages offer them.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("inaccurate", Self::Inaccurate),
        ("incomplete", Self::Incomplete),
        ("not_mine", Self::NotMine),
        ("not_told", Self::NotTold),
        ("other_purpose", Self::OtherPurpose),
        ("too_much", Self::TooMuch),
        ("purpose_over", Self::PurposeOver),
        ("consent_withdrawn", Self::ConsentWithdrawn),
        ("unlawful", Self::Unlawful),
        ("own_situation", Self::OwnSituation),
        ("no_other_way", Self::NoOtherWay),
        ("no_answer", Self::NoAnswer),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The ground for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }

    /// For which kinds of cases it is one.
    pub fn kinds(self) -> &'static [CaseKind] {
        use CaseKind::{Challenge, Complaint, Correct, Delete, Stop};
        match self {
            Self::ConsentWithdrawn | Self::PurposeOver => &[Challenge, Stop, Delete],
            Self::Inaccurate => &[Correct, Challenge, Stop, Complaint],
            Self::Incomplete => &[Correct, Complaint],
            Self::NoAnswer | Self::NoOtherWay => &[Complaint],
            Self::NotMine => &[Correct, Challenge, Delete, Complaint],
            Self::NotTold => &[Challenge, Complaint],
            Self::OtherPurpose | Self::TooMuch | Self::Unlawful => &[Challenge, Stop, Delete, Complaint],
            Self::OwnSituation => &[Challenge, Stop],
        }
    }

    /// Refuses a ground that is none for this kind of case.
    pub fn require_for(self, kind: CaseKind) -> Result<(), Misstep> {
        if self.kinds().contains(&kind) { Ok(()) } else { Err(Misstep::OtherGround) }
    }
}

impl Relief {
    /// In the order in which pages offer them.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("explanation", Self::Explanation),
        ("correct", Self::Correct),
        ("stop", Self::Stop),
        ("delete", Self::Delete),
        ("compensation", Self::Compensation),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        code(&Self::WORDS, self)
    }

    /// The relief for a word.
    pub fn from_code(code: &str) -> Option<Self> {
        from_code(&Self::WORDS, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_the_law_asks_reasons_of_has_grounds_and_no_other() {
        for (word, kind) in CaseKind::WORDS {
            let has_grounds = Ground::WORDS.iter().any(|(_, ground)| ground.require_for(kind).is_ok());
            let needs_none = matches!(kind, CaseKind::Access | CaseKind::Copy | CaseKind::Question);
            assert_eq!(has_grounds, !needs_none, "{word}");
        }
        assert_eq!(Ground::NoAnswer.require_for(CaseKind::Delete), Err(Misstep::OtherGround));
    }

    #[test]
    fn every_word_leads_back_and_is_the_one_that_is_kept() {
        for (word, ground) in Ground::WORDS {
            assert_eq!((ground.code(), Ground::from_code(word)), (word, Some(ground)));
            assert_eq!(serde_json::to_string(&ground).unwrap(), format!("\"{word}\""));
        }
        for (word, relief) in Relief::WORDS {
            assert_eq!((relief.code(), Relief::from_code(word)), (word, Some(relief)));
            assert_eq!(serde_json::to_string(&relief).unwrap(), format!("\"{word}\""));
        }
    }
}
