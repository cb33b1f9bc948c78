//! Case: what a resident asks of the office that has her data, how it is answered, and by when.
//!
//! The clock is the law's: by when it is acknowledged, how long an answer may take, how long it may be put off, and whether what the case is
//! about rests until it is decided stand in the lawpack of the office (see [`crate::lawpack`]). Where a case stands is nowhere written down: it
//! follows from what happened and when. Who speaks for an office is for others to say; here is what may follow what.

mod ground;
mod words;

pub use ground::{Ground, Relief};
pub use words::STEPS_OF_OTHERS;

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
    /// The office has to say that it has it, and to answer.
    Filed,
    /// The office has said that it has it, and has to answer.
    Acknowledged,
    /// The office has answered. The resident may accept that, or take it to the overseer.
    Answered,
    /// She has accepted the answer, or let the time go by that the law gives her, and nothing is owed.
    Settled,
    /// The overseer has to decide.
    Escalated,
    /// The overseer has decided, and has ordered nothing.
    Decided,
    /// What was ordered, or promised in an answer that she accepted, is not done.
    RemedyDue,
    /// What was ordered or promised is done.
    Closed,
}

/// What an answer or a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// She is not right, or cannot have it.
    Dismissed,
    Partly,
    /// Both sides agreed before the overseer decided; an office's own answer is never this.
    Settled,
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
    pub filed_at: Time,
    /// By when the office says that it has it; `None` for cases from before that was asked.
    pub acknowledge_due_at: Option<Time>,
    /// When the office did something for the first time: said that it has it, took more time, or answered.
    pub acknowledged_at: Option<Time>,
    /// When the answer is due, or the decision once it is escalated.
    pub due_at: Time,
    pub extended_at: Option<Time>,
    pub answered_at: Option<Time>,
    pub finding: Option<Finding>,
    /// Until when she can take the answer to the overseer; `None` before there is one, and where the law sets no time.
    pub complain_until: Option<Time>,
    /// When she accepted the answer, or the time to go against it was over.
    pub settled_at: Option<Time>,
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
    #[error("The office has said before that it has the case. Answer it by the day that stands there.")]
    AlreadyAcknowledged,
    #[error("The case does not lie with the overseer. Wait until it is escalated.")]
    NotEscalated,
    #[error("Its time was prolonged before, or the law does not allow it. Answer by the day that stands there.")]
    NotProlonged,
    #[error("There is no answer to accept or to go against. Wait for it: without one the case goes to the overseer by itself.")]
    NotAnswered,
    #[error("The time in which an answer can be taken to the overseer is over. File another case about what happened since.")]
    TooLate,
    #[error(
        "The time in which an answer can be taken to the overseer is not over, or the law sets none. Leave it to the resident."
    )]
    NotLapsed,
    #[error("The ground does not go with what is asked for. Choose another one, or leave it out.")]
    OtherGround,
    #[error("An office answers whether she is right, and does not settle with itself. Say upheld, partly or dismissed.")]
    NotAnAnswer,
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
            filed_at: now,
            acknowledge_due_at: Some(now.plus(law.within(Duty::Acknowledge))),
            acknowledged_at: None,
            due_at: now.plus(law.within(kind.duty())),
            extended_at: None,
            answered_at: None,
            finding: None,
            complain_until: None,
            settled_at: None,
            escalated_at: None,
            decided_at: None,
            decision: None,
            remedy: None,
            remedy_due_at: None,
            remedied_at: None,
            suspends: is_under_mandate && law.suspends(kind.duty()),
        }
    }

    /// Where it stands, as it follows from what happened.
    pub fn state(&self) -> CaseState {
        let ended = |otherwise| match self.remedy {
            None => otherwise,
            Some(_) if self.awaits_remedy() => CaseState::RemedyDue,
            Some(_) => CaseState::Closed,
        };
        match self {
            Self { decided_at: Some(_), .. } => ended(CaseState::Decided),
            Self { escalated_at: Some(_), .. } => CaseState::Escalated,
            Self { settled_at: Some(_), .. } => ended(CaseState::Settled),
            Self { answered_at: Some(_), .. } => CaseState::Answered,
            Self { acknowledged_at: Some(_), .. } => CaseState::Acknowledged,
            _ => CaseState::Filed,
        }
    }

    /// Whether the office or the overseer has to say something.
    pub fn is_open(&self) -> bool {
        self.is_with_office() || self.state() == CaseState::Escalated
    }

    /// Whether the office has to answer.
    pub fn is_with_office(&self) -> bool {
        matches!(self.state(), CaseState::Filed | CaseState::Acknowledged)
    }

    /// The office says that it has it.
    pub fn acknowledge(&mut self, is_overseen: bool, now: Time) -> Result<(), Misstep> {
        self.require_open(is_overseen, now)?;
        if self.acknowledged_at.is_some() {
            return Err(Misstep::AlreadyAcknowledged);
        }
        self.acknowledged_at = Some(now);
        Ok(())
    }

    /// Whether the office has not said in time that it has it: it has not at `now`, or did so after the day.
    pub fn is_acknowledged_late(&self, now: Time) -> bool {
        self.acknowledge_due_at.is_some_and(|due_at| due_at <= self.acknowledged_at.or(self.escalated_at).unwrap_or(now))
    }

    /// The office takes more time, once and where the law allows it.
    pub fn extend(&mut self, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        self.require_open(true, now)?;
        let more = law.deadline(self.kind.duty()).extension();
        if more == 0 || self.extended_at.is_some() {
            return Err(Misstep::NotProlonged);
        }
        (self.extended_at, self.due_at) = (Some(now), self.due_at.plus(more));
        self.acknowledged_at.get_or_insert(now);
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
        if finding == Finding::Settled {
            return Err(Misstep::NotAnAnswer);
        }
        self.find(finding, remedy, law, now)?;
        (self.answered_at, self.finding) = (Some(now), Some(finding));
        self.acknowledged_at.get_or_insert(now);
        self.complain_until = law.deadline_if_any(Duty::Complain).map(|deadline| now.plus(deadline.within()));
        Ok(())
    }

    /// The resident accepts the answer.
    pub fn settle(&mut self, now: Time) -> Result<(), Misstep> {
        if self.state() != CaseState::Answered {
            return Err(Misstep::NotAnswered);
        }
        self.settled_at = Some(now);
        Ok(())
    }

    /// The clock settles it: the time is over in which she could take the answer to the overseer.
    pub fn lapse(&mut self, now: Time) -> Result<(), Misstep> {
        if self.complain_until.is_none_or(|until| now < until) {
            return Err(Misstep::NotLapsed);
        }
        self.settle(now)
    }

    /// The clock takes it to the overseer: nobody has answered.
    pub fn escalate(&mut self, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        if !self.is_with_office() {
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
        if self.state() != CaseState::Answered {
            return Err(Misstep::NotAnswered);
        }
        // From its day on the answer stands, before any job has said so.
        if self.complain_until.is_some_and(|until| until <= now) {
            return Err(Misstep::TooLate);
        }
        self.suspends |= is_under_mandate && law.suspends(self.kind.duty());
        self.hand_over(law, now);
        Ok(())
    }

    /// The overseer decides.
    pub fn decide(&mut self, finding: Finding, remedy: Option<Remedy>, law: &Law<'_>, now: Time) -> Result<(), Misstep> {
        if self.state() != CaseState::Escalated {
            return Err(Misstep::NotEscalated);
        }
        self.find(finding, remedy, law, now)?;
        (self.decided_at, self.decision) = (Some(now), Some(finding));
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
        self.is_open() && self.due_at <= now
    }

    /// Whether a remedy is not done by its day.
    pub fn is_remedy_late(&self, now: Time) -> bool {
        self.awaits_remedy() && self.remedy_due_at.is_some_and(|due_at| due_at <= now)
    }

    fn require_open(&self, is_overseen: bool, now: Time) -> Result<(), Misstep> {
        // From its day on it is the overseer's, before any job has said so.
        let is_in_time = now < self.due_at || !is_overseen;
        if self.is_with_office() && is_in_time { Ok(()) } else { Err(Misstep::NotOpen) }
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
        self.escalated_at = Some(now);
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
            assert_eq!((case.state(), case.due_at, case.suspends), (CaseState::Escalated, day(30), true));
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
    fn the_office_says_within_days_that_it_has_it_or_is_late() {
        with_law(|law| {
            let case = filed(law, CaseKind::Challenge);
            assert_eq!(
                (case.state(), case.acknowledge_due_at),
                (CaseState::Filed, Some(day(3))),
                "the house's, where the pack is silent"
            );
            assert!(!case.is_acknowledged_late(day(3).plus(-1)) && case.is_acknowledged_late(day(3)));
            let mut told = case.clone();
            told.acknowledge(true, day(2)).unwrap();
            assert_eq!((told.state(), told.is_acknowledged_late(day(9))), (CaseState::Acknowledged, false));
            assert_eq!(told.acknowledge(true, day(2)), Err(Misstep::AlreadyAcknowledged));
            assert!(told.is_late(day(10)) && told.is_with_office(), "it still has to answer");
            assert_eq!(case.clone().acknowledge(true, day(10)), Err(Misstep::NotOpen), "it is the overseer's");
            let mut late = case.clone();
            late.acknowledge(true, day(4)).unwrap();
            assert!(late.is_acknowledged_late(day(4)));
            // Whatever the office does first says as much.
            let (mut answered, mut extended, mut escalated) = (case.clone(), case.clone(), case.clone());
            answered.answer(Finding::Upheld, None, true, law, day(1)).unwrap();
            extended.extend(law, day(1)).unwrap();
            assert_eq!((answered.acknowledged_at, extended.state()), (Some(day(1)), CaseState::Acknowledged));
            escalated.escalate(law, day(10)).unwrap();
            assert!(escalated.is_acknowledged_late(day(99)) && escalated.acknowledged_at.is_none());
            let before = Case { acknowledge_due_at: None, ..case };
            assert!(!before.is_acknowledged_late(day(99)), "nobody was asked for it");
        });
    }

    #[test]
    fn an_answer_that_she_accepts_is_settled_and_what_it_promises_is_owed() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Question);
            assert_eq!(case.settle(day(1)), Err(Misstep::NotAnswered));
            assert_eq!(case.answer(Finding::Settled, None, true, law, day(1)), Err(Misstep::NotAnAnswer));
            case.answer(Finding::Upheld, None, true, law, day(1)).unwrap();
            assert_eq!((case.state(), case.complain_until), (CaseState::Answered, None));
            assert_eq!(case.lapse(day(999)), Err(Misstep::NotLapsed), "the law sets no time");
            let mut promised = case.clone();
            case.settle(day(2)).unwrap();
            assert_eq!((case.state(), case.settle(day(3))), (CaseState::Settled, Err(Misstep::NotAnswered)));
            assert_eq!(case.complain(law, true, day(3)), Err(Misstep::NotAnswered));
            promised.remedy = Some(Remedy::Correct);
            promised.settle(day(2)).unwrap();
            assert_eq!(promised.state(), CaseState::RemedyDue);
            promised.remedied(day(3)).unwrap();
            assert_eq!(promised.state(), CaseState::Closed);
        });
    }

    #[test]
    fn where_the_law_sets_a_time_the_answer_stands_when_it_is_over() {
        let mut packs = [pack()];
        let complain = json!({"jurisdiction": "TW", "title": {"en": "A law", "zh-Hant": "法律"}, "status": "in_force", "valid_from": "2020-01-01",
            "deadlines": [{"duty": "complain", "within": "P30D", "article": "14"}], "sources": [{"title": "A law", "url": "https://law.example"}]});
        packs[0].deadlines.extend(Lawpack::read(&complain).unwrap().deadlines);
        let law = Law::of(packs.iter(), "TW", day(0));
        let mut case = filed(&law, CaseKind::Question);
        case.answer(Finding::Dismissed, None, true, &law, day(1)).unwrap();
        assert_eq!(case.complain_until, Some(day(31)));
        assert_eq!(case.clone().complain(&law, true, day(31)), Err(Misstep::TooLate), "before any job has run");
        case.clone().complain(&law, true, day(31).plus(-1)).unwrap();
        assert_eq!(case.lapse(day(31).plus(-1)), Err(Misstep::NotLapsed));
        case.lapse(day(31)).unwrap();
        assert_eq!((case.state(), case.settled_at), (CaseState::Settled, Some(day(31))));
    }

    #[test]
    fn a_decision_stands_or_leaves_something_to_do_until_it_is_done() {
        with_law(|law| {
            let mut case = filed(law, CaseKind::Challenge);
            case.escalate(law, day(10)).unwrap();
            let (mut agreed, mut nothing) = (case.clone(), case.clone());
            nothing.decide(Finding::Dismissed, None, law, day(11)).unwrap();
            assert_eq!(nothing.state(), CaseState::Decided);
            agreed.decide(Finding::Settled, Some(Remedy::Compensate), law, day(11)).unwrap();
            assert_eq!((agreed.state(), agreed.is_open()), (CaseState::RemedyDue, false));
            agreed.remedied(day(12)).unwrap();
            assert_eq!((agreed.state(), agreed.decision), (CaseState::Closed, Some(Finding::Settled)));
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
