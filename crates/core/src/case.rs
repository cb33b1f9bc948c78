//! Case: what a resident asks of the office that has her data, how it is answered, and by when.
//!
//! The clock is the law's: how long an answer may take, how long it may be put off, and whether what the case is about rests until it is
//! decided stand in the lawpack of the office (see [`crate::lawpack`]). Who speaks for an office is for others to say; here is what may follow
//! what.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::id::AgencyId;
use crate::lawpack::{Duty, Law};
use crate::register::Register;

/// What a resident asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// To be shown what the office has of her.
    Access,
    /// That a use was wrong.
    Challenge,
    /// That she was treated badly, with or without a use of her data.
    Complaint,
    /// A copy of what the office has of her.
    Copy,
    Correct,
    Delete,
    Question,
    /// That her data is used no more.
    Stop,
}

/// Who has to do something, or that nobody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseState {
    /// The office has to answer.
    Filed,
    /// The office has answered. The resident may take it to the overseer.
    Answered,
    /// The overseer has to decide.
    Escalated,
    /// The overseer has decided.
    Decided,
}

/// What an answer or a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// She is not right, or cannot have it.
    Dismissed,
    Partly,
    Upheld,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// The office makes good what happened; people do it.
    Compensate,
    /// Her data is put right; people do it.
    Correct,
    /// What she lent is destroyed and every service that had it is told to delete; the machine does it.
    Delete,
    /// Her data is used no more under the mandate; the machine does it.
    Stop,
}

/// Where a case stands, without its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub kind: CaseKind,
    pub state: CaseState,
    pub filed_at: Time,
    /// When the answer is due, or the decision once it is escalated.
    pub due_at: Time,
    pub extended_at: Option<Time>,
    pub answered_at: Option<Time>,
    pub finding: Option<Finding>,
    pub escalated_at: Option<Time>,
    pub decided_at: Option<Time>,
    pub decision: Option<Finding>,
    pub remedy: Option<Remedy>,
    pub remedy_due_at: Option<Time>,
    pub remedied_at: Option<Time>,
    /// Whether what it is about rests.
    pub suspends: bool,
}

/// Why something cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misstep {
    #[error("The office has answered, or its time is over. Look at where the case stands.")]
    NotOpen,
    #[error("The case does not lie with the overseer. Wait until it is escalated.")]
    NotEscalated,
    #[error("Its time was prolonged before, or the law does not allow it. Answer by the day that stands there.")]
    NotProlonged,
    #[error("There is no answer to go against. Wait for it: without one the case goes to the overseer by itself.")]
    NotAnswered,
    #[error("The time for the answer is not over. It runs until the day that stands there.")]
    NotDue,
    #[error("A case that is dismissed has no remedy, and none is open. Leave the remedy out.")]
    NoRemedy,
    #[error(
        "Nothing is under a mandate here that the machine could stop or delete. Order people to do it, or answer without a remedy."
    )]
    NoMandate,
}

impl Case {
    /// A case that is filed now.
    pub fn filed(kind: CaseKind, law: &Law<'_>, is_under_mandate: bool, now: Time) -> Self {
        Self {
            kind,
            state: CaseState::Filed,
            filed_at: now,
            due_at: now.plus(law.within(kind.duty())),
            extended_at: None,
            answered_at: None,
            finding: None,
            escalated_at: None,
            decided_at: None,
            decision: None,
            remedy: None,
            remedy_due_at: None,
            remedied_at: None,
            suspends: is_under_mandate && law.suspends(kind.duty()),
        }
    }

    /// The office takes more time, once and where the law allows it.
    pub fn extend(&mut self, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        self.require_open(true, now)?;
        let more = law.deadline(self.kind.duty()).extension();
        if more == 0 || self.extended_at.is_some() {
            return Err(Misstep::NotProlonged);
        }
        (self.extended_at, self.due_at) = (Some(now), self.due_at.plus(more));
        Ok(())
    }

    /// The office answers. Where somebody oversees it, it can do so until the day.
    pub fn answer(
        &mut self,
        finding: Finding,
        remedy: Option<Remedy>,
        is_overseen: bool,
        law: &Law<'_>,
        now: Time,
    ) -> Result<(), Misstep> {
        self.require_open(is_overseen, now)?;
        self.find(finding, remedy, law, now)?;
        (self.state, self.answered_at, self.finding) = (CaseState::Answered, Some(now), Some(finding));
        Ok(())
    }

    /// The clock takes it to the overseer: nobody has answered.
    pub fn escalate(&mut self, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        if self.state != CaseState::Filed {
            return Err(Misstep::NotOpen);
        }
        if now < self.due_at {
            return Err(Misstep::NotDue);
        }
        self.hand_over(law, now);
        Ok(())
    }

    /// The resident takes it to the overseer: she does not agree with the answer. What rested rests again.
    pub fn complain(&mut self, law: &Law<'_>, is_under_mandate: bool, now: Time) -> Result<(), Misstep> {
        if self.state != CaseState::Answered {
            return Err(Misstep::NotAnswered);
        }
        self.suspends |= is_under_mandate && law.suspends(self.kind.duty());
        self.hand_over(law, now);
        Ok(())
    }

    /// The overseer decides.
    pub fn decide(&mut self, finding: Finding, remedy: Option<Remedy>, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        if self.state != CaseState::Escalated {
            return Err(Misstep::NotEscalated);
        }
        self.find(finding, remedy, law, now)?;
        (self.state, self.decided_at, self.decision) = (CaseState::Decided, Some(now), Some(finding));
        Ok(())
    }

    /// The remedy is done.
    pub fn remedied(&mut self, now: Time) -> Result<(), Misstep> {
        if !self.awaits_remedy() {
            return Err(Misstep::NoRemedy);
        }
        self.remedied_at = Some(now);
        Ok(())
    }

    /// Whether a remedy was ordered or promised and is not done.
    pub fn awaits_remedy(&self) -> bool {
        self.remedy.is_some() && self.remedied_at.is_none()
    }

    /// Whether nobody has answered, or decided, by the day.
    pub fn is_late(&self, now: Time) -> bool {
        matches!(self.state, CaseState::Filed | CaseState::Escalated) && self.due_at <= now
    }

    /// Whether a remedy is not done by its day.
    pub fn is_remedy_late(&self, now: Time) -> bool {
        self.awaits_remedy() && self.remedy_due_at.is_some_and(|due_at| due_at <= now)
    }

    fn require_open(&self, is_overseen: bool, now: Time) -> Result<(), Misstep> {
        // From its day on it is the overseer's, before any job has said so.
        let is_in_time = now < self.due_at || !is_overseen;
        if self.state == CaseState::Filed && is_in_time { Ok(()) } else { Err(Misstep::NotOpen) }
    }

    fn find(&mut self, finding: Finding, remedy: Option<Remedy>, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        if finding == Finding::Dismissed && remedy.is_some() {
            return Err(Misstep::NoRemedy);
        }
        let had_stopped = self.remedy.is_some_and(Remedy::is_by_machine);
        // What was promised or done before stays as it is where nothing else is ordered.
        if remedy.is_some() && (remedy != self.remedy || self.remedied_at.is_none()) {
            self.remedy = remedy;
            self.remedy_due_at = Some(now.plus(law.within(Duty::Remedy)));
            self.remedied_at = None;
        }
        // What stops for good rests from the word on, so that nothing is used between that and the deed.
        self.suspends = had_stopped || self.remedy.is_some_and(Remedy::is_by_machine);
        Ok(())
    }

    fn hand_over(&mut self, law: &Law<'_>, now: Time) {
        (self.state, self.escalated_at) = (CaseState::Escalated, Some(now));
        self.due_at = now.plus(law.within(Duty::Escalated));
    }
}

impl Register {
    /// The body that oversees an office: that of its first mandate. `None` where the office has none, or the body is not in the register.
    pub fn overseer(&self, office: &AgencyId) -> Option<AgencyId> {
        let own = self.mandates.values().filter(|entry| entry.body.controller == *office);
        let first = own.min_by_key(|entry| entry.number).map(|entry| entry.body.oversight_body.clone());
        first.filter(|id| self.agencies.contains_key(id))
    }
}

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
    const WORDS: [(&'static str, Self); 4] =
        [("filed", Self::Filed), ("answered", Self::Answered), ("escalated", Self::Escalated), ("decided", Self::Decided)];

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
    pub const WORDS: [(&'static str, Self); 3] =
        [("dismissed", Self::Dismissed), ("partly", Self::Partly), ("upheld", Self::Upheld)];

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

fn code<T: Copy + PartialEq>(words: &[(&'static str, T)], it: T) -> &'static str {
    words.iter().find(|(_, known)| *known == it).map_or("", |(word, _)| word)
}

fn from_code<T: Copy>(words: &[(&'static str, T)], code: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == code).map(|(_, it)| *it)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lawpack::Lawpack;
    use crate::time::DAY;

    /// A law by which challenges rest for ten days and five more, and questions are answered in two days without any.
    fn pack() -> Lawpack {
        let deadline = |duty: &str, days: i64| json!({"duty": duty, "within": format!("P{days}D"), "article": "1"});
        let mut challenge = deadline("challenge", 10);
        (challenge["extension"], challenge["suspends"]) = (json!("P5D"), json!(true));
        let body = json!({"jurisdiction": "TW", "title": {"en": "A law", "zh-Hant": "法律"}, "status": "in_force", "valid_from": "2020-01-01",
            "deadlines": [challenge, deadline("question", 2), deadline("escalated", 20), deadline("remedy", 7)],
            "sources": [{"title": "A law", "url": "https://law.example"}]});
        Lawpack::read(&body).unwrap()
    }

    fn day(n: i64) -> Time {
        "2026-01-01T00:00:00Z".parse::<Time>().unwrap().plus(n * DAY)
    }

    fn with_law(test: impl Fn(&Law<'_>)) {
        let packs = [pack()];
        test(&Law::of(packs.iter(), "TW", day(0)));
    }

    fn filed(law: &Law<'_>, kind: CaseKind) -> Case {
        Case::filed(kind, law, true, day(0))
    }

    #[test]
    fn the_law_sets_the_day_and_says_what_rests() {
        with_law(|law| {
            let case = filed(law, CaseKind::Challenge);
            assert_eq!((case.due_at, case.suspends), (day(10), true));
            assert!(!Case::filed(CaseKind::Challenge, law, false, day(0)).suspends, "nothing is there that could rest");
            let case = filed(law, CaseKind::Question);
            assert_eq!((case.due_at, case.suspends), (day(2), false));
            // What the pack does not speak of is the house's.
            assert_eq!(filed(law, CaseKind::Delete).due_at, day(30));
        });
    }

    #[test]
    fn the_time_is_prolonged_once_and_where_the_law_allows_it() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Challenge);
            case.extend(law, day(9)).unwrap();
            assert_eq!(case.due_at, day(15));
            assert_eq!(case.extend(law, day(10)), Err(Misstep::NotProlonged));
            assert_eq!(filed(law, CaseKind::Question).extend(law, day(1)), Err(Misstep::NotProlonged));
            assert_eq!(filed(law, CaseKind::Challenge).extend(law, day(10)), Err(Misstep::NotOpen), "its time is over");
        });
    }

    #[test]
    fn without_an_answer_it_goes_to_the_overseer_at_the_moment_it_is_due() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Challenge);
            let early = day(10).plus(-1);
            assert_eq!((case.escalate(law, early), case.is_late(early)), (Err(Misstep::NotDue), false));
            assert!(case.is_late(day(10)));
            assert_eq!(case.answer(Finding::Upheld, None, true, law, day(10)), Err(Misstep::NotOpen), "before any job has run");
            assert_eq!(case.clone().answer(Finding::Upheld, None, false, law, day(10)), Ok(()), "it has nowhere else to go");
            case.escalate(law, day(10)).unwrap();
            assert_eq!((case.state, case.due_at, case.suspends), (CaseState::Escalated, day(30), true));
            assert_eq!(case.escalate(law, day(40)), Err(Misstep::NotOpen));
            assert_eq!(case.answer(Finding::Upheld, None, true, law, day(11)), Err(Misstep::NotOpen));
            assert!(!case.is_late(day(29)) && case.is_late(day(30)));
            case.decide(Finding::Dismissed, None, law, day(31)).unwrap();
            assert!(!case.suspends && !case.is_late(day(99)));
        });
    }

    #[test]
    fn an_answer_ends_the_rest_and_a_complaint_begins_it_again() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Challenge);
            assert_eq!(case.complain(law, true, day(1)), Err(Misstep::NotAnswered));
            case.answer(Finding::Dismissed, None, true, law, day(1)).unwrap();
            assert!(!case.suspends);
            assert_eq!(case.decide(Finding::Upheld, None, law, day(2)), Err(Misstep::NotEscalated));
            case.complain(law, true, day(2)).unwrap();
            assert_eq!((case.suspends, case.due_at), (true, day(22)));
            case.decide(Finding::Partly, None, law, day(3)).unwrap();
            assert_eq!((case.suspends, case.decision), (false, Some(Finding::Partly)));
            assert_eq!(case.complain(law, true, day(4)), Err(Misstep::NotAnswered));
        });
    }

    #[test]
    fn a_remedy_is_due_and_what_stops_for_good_goes_on_resting() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Challenge);
            assert_eq!(case.answer(Finding::Dismissed, Some(Remedy::Stop), true, law, day(1)), Err(Misstep::NoRemedy));
            assert_eq!(case.remedied(day(1)), Err(Misstep::NoRemedy));
            case.answer(Finding::Upheld, Some(Remedy::Compensate), true, law, day(1)).unwrap();
            assert!(!case.suspends && !case.is_remedy_late(day(7)) && case.is_remedy_late(day(8)));
            case.complain(law, true, day(2)).unwrap();
            case.decide(Finding::Upheld, Some(Remedy::Stop), law, day(3)).unwrap();
            assert_eq!((case.suspends, case.remedy, case.remedy_due_at), (true, Some(Remedy::Stop), Some(day(10))));
            case.remedied(day(3)).unwrap();
            assert!(case.suspends && !case.is_remedy_late(day(11)));
            assert_eq!(case.remedied(day(4)), Err(Misstep::NoRemedy));
            // Where nothing rested before, and where the overseer adds nothing or something else, it stays stopped.
            for next in [None, Some(Remedy::Compensate)] {
                let mut case = filed(law, CaseKind::Question);
                case.answer(Finding::Partly, Some(Remedy::Stop), true, law, day(1)).unwrap();
                assert!(case.suspends);
                case.remedied(day(1)).unwrap();
                case.complain(law, true, day(1)).unwrap();
                let finding = if next.is_some() { Finding::Upheld } else { Finding::Dismissed };
                case.decide(finding, next, law, day(2)).unwrap();
                assert!(case.suspends, "{next:?}");
            }
        });
    }

    #[test]
    fn every_word_leads_back() {
        assert!(CaseKind::WORDS.iter().all(|(word, kind)| kind.code() == *word && CaseKind::from_code(word) == Some(*kind)));
        assert!(CaseState::WORDS.iter().all(|(word, it)| it.code() == *word && CaseState::from_code(word) == Some(*it)));
        assert!(Finding::WORDS.iter().all(|(word, it)| it.code() == *word && Finding::from_code(word) == Some(*it)));
        assert!(Remedy::WORDS.iter().all(|(word, it)| it.code() == *word && Remedy::from_code(word) == Some(*it)));
        let duties: Vec<&str> = CaseKind::WORDS.iter().map(|(_, kind)| kind.duty().code()).collect();
        assert_eq!(duties, CaseKind::WORDS.map(|(word, _)| word), "the law speaks of a kind by the same word");
    }
}
