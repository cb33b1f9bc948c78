//! The words of cases in the language of a page.

use i18n_embed_fl::fl;
use usufruct_app::{Party, Task};
use usufruct_core::case::{CaseKind, CaseState, Finding, Ground, Relief, Remedy};
use usufruct_core::case_tally::Counted;

use crate::page::Page;

impl Page {
    /// What a resident asks for.
    pub fn case_kind(&self, kind: &CaseKind) -> String {
        match kind {
            CaseKind::Access => fl!(self.messages, "case-access"),
            CaseKind::Challenge => fl!(self.messages, "case-challenge"),
            CaseKind::Complaint => fl!(self.messages, "case-complaint"),
            CaseKind::Copy => fl!(self.messages, "case-copy"),
            CaseKind::Correct => fl!(self.messages, "case-correct"),
            CaseKind::Delete => fl!(self.messages, "case-delete"),
            CaseKind::Question => fl!(self.messages, "case-question"),
            CaseKind::Stop => fl!(self.messages, "case-stop"),
        }
    }

    /// Where a case stands.
    pub fn case_state(&self, state: &CaseState) -> String {
        match state {
            CaseState::Acknowledged => fl!(self.messages, "case-acknowledged"),
            CaseState::Answered => fl!(self.messages, "case-answered"),
            CaseState::Closed => fl!(self.messages, "case-closed"),
            CaseState::Decided => fl!(self.messages, "case-decided"),
            CaseState::Escalated => fl!(self.messages, "case-escalated"),
            CaseState::Filed => fl!(self.messages, "case-filed"),
            CaseState::RemedyDue => fl!(self.messages, "case-remedy-due"),
            CaseState::Settled => fl!(self.messages, "case-settled"),
        }
    }

    /// What an answer or a decision comes to.
    pub fn finding(&self, finding: &Finding) -> String {
        match finding {
            Finding::Dismissed => fl!(self.messages, "finding-dismissed"),
            Finding::Partly => fl!(self.messages, "finding-partly"),
            Finding::Settled => fl!(self.messages, "finding-settled"),
            Finding::Upheld => fl!(self.messages, "finding-upheld"),
        }
    }

    /// What is done about it.
    pub fn remedy(&self, remedy: &Remedy) -> String {
        match remedy {
            Remedy::Compensate => fl!(self.messages, "remedy-compensate"),
            Remedy::Correct => fl!(self.messages, "remedy-correct"),
            Remedy::Delete => fl!(self.messages, "remedy-delete"),
            Remedy::Stop => fl!(self.messages, "remedy-stop"),
        }
    }

    /// What an answer or a decision can come to, what she asked for first.
    pub fn findings(&self, act: &str) -> &'static [Finding] {
        match act {
            "decide" => &[Finding::Upheld, Finding::Partly, Finding::Dismissed, Finding::Settled],
            _ => &[Finding::Upheld, Finding::Partly, Finding::Dismissed],
        }
    }

    /// Why a case is filed.
    pub fn ground(&self, ground: &Ground) -> String {
        match ground {
            Ground::ConsentWithdrawn => fl!(self.messages, "ground-consent-withdrawn"),
            Ground::Inaccurate => fl!(self.messages, "ground-inaccurate"),
            Ground::Incomplete => fl!(self.messages, "ground-incomplete"),
            Ground::NoAnswer => fl!(self.messages, "ground-no-answer"),
            Ground::NoOtherWay => fl!(self.messages, "ground-no-other-way"),
            Ground::NotMine => fl!(self.messages, "ground-not-mine"),
            Ground::NotTold => fl!(self.messages, "ground-not-told"),
            Ground::OtherPurpose => fl!(self.messages, "ground-other-purpose"),
            Ground::OwnSituation => fl!(self.messages, "ground-own-situation"),
            Ground::PurposeOver => fl!(self.messages, "ground-purpose-over"),
            Ground::TooMuch => fl!(self.messages, "ground-too-much"),
            Ground::Unlawful => fl!(self.messages, "ground-unlawful"),
        }
    }

    /// What she wants to come of it.
    pub fn relief(&self, relief: &Relief) -> String {
        match relief {
            Relief::Compensation => fl!(self.messages, "relief-compensation"),
            Relief::Correct => fl!(self.messages, "relief-correct"),
            Relief::Delete => fl!(self.messages, "relief-delete"),
            Relief::Explanation => fl!(self.messages, "relief-explanation"),
            Relief::Stop => fl!(self.messages, "relief-stop"),
        }
    }

    /// What is counted of cases in public.
    pub fn counted(&self, what: &Counted) -> String {
        match what {
            Counted::Acknowledged => fl!(self.messages, "register-cases-acknowledged"),
            Counted::AcknowledgedLate => fl!(self.messages, "register-cases-acknowledged-late"),
            Counted::Closed => fl!(self.messages, "register-cases-closed"),
            Counted::Complained => fl!(self.messages, "register-cases-complained"),
            Counted::DecidedDismissed => fl!(self.messages, "register-cases-decided-dismissed"),
            Counted::DecidedSettled => fl!(self.messages, "register-cases-decided-settled"),
            Counted::DecidedUpheld => fl!(self.messages, "register-cases-decided-upheld"),
            Counted::Dismissed => fl!(self.messages, "register-cases-dismissed"),
            Counted::Escalated => fl!(self.messages, "register-cases-escalated"),
            Counted::Filed => fl!(self.messages, "register-cases-filed"),
            Counted::InTime => fl!(self.messages, "register-cases-in-time"),
            Counted::Late => fl!(self.messages, "register-cases-late"),
            Counted::RemedyDue => fl!(self.messages, "register-cases-remedy-due"),
            Counted::Settled => fl!(self.messages, "register-cases-settled"),
            Counted::Upheld => fl!(self.messages, "register-cases-upheld"),
        }
    }

    /// What can be done about it.
    pub fn remedies(&self) -> [Remedy; 4] {
        [Remedy::Correct, Remedy::Stop, Remedy::Delete, Remedy::Compensate]
    }

    /// What an office has to do with a case.
    pub fn task(&self, task: &Task) -> String {
        match task {
            Task::Answer => fl!(self.messages, "task-answer"),
            Task::Decide => fl!(self.messages, "task-decide"),
            Task::Remedy => fl!(self.messages, "task-remedy"),
            Task::Watch => fl!(self.messages, "task-watch"),
        }
    }

    /// The word for a task in a page's own marks.
    pub fn task_code(&self, task: &Task) -> &'static str {
        match task {
            Task::Answer => "answer",
            Task::Decide => "decide",
            Task::Remedy => "remedy",
            Task::Watch => "watch",
        }
    }

    /// What officials can do in a case, whether or not the office has said that it has it.
    pub fn desk_acts(&self, task: &Task, is_acknowledged: bool) -> &'static [&'static str] {
        match task {
            Task::Answer if is_acknowledged => &["answer", "extend"],
            Task::Answer => &["acknowledge", "answer", "extend"],
            Task::Decide => &["decide"],
            Task::Remedy => &["remedied"],
            Task::Watch => &[],
        }
    }

    /// One of them in words.
    pub fn desk_act(&self, act: &str) -> String {
        match act {
            "acknowledge" => fl!(self.messages, "act-acknowledge"),
            "answer" => fl!(self.messages, "task-answer"),
            "decide" => fl!(self.messages, "task-decide"),
            "extend" => fl!(self.messages, "act-extend"),
            _ => fl!(self.messages, "act-remedied"),
        }
    }

    /// Who wrote in a case.
    pub fn party(&self, party: &Party) -> String {
        match party {
            Party::Office => fl!(self.messages, "party-office"),
            Party::Overseer => fl!(self.messages, "party-overseer"),
            Party::Resident => fl!(self.messages, "footprint-you"),
        }
    }

    /// What a line says about a case: how it moved on, or what was asked for in it.
    pub fn case_step(&self, reason: &str) -> String {
        match reason {
            "acknowledged" => fl!(self.messages, "step-acknowledged"),
            "answered" => fl!(self.messages, "step-answered"),
            "complained" => fl!(self.messages, "step-complained"),
            "decided" => fl!(self.messages, "step-decided"),
            "escalated" => fl!(self.messages, "step-escalated"),
            "extended" => fl!(self.messages, "step-extended"),
            "lapsed" => fl!(self.messages, "step-lapsed"),
            "remedied" => fl!(self.messages, "step-remedied"),
            "settled" => fl!(self.messages, "step-settled"),
            kind => CaseKind::from_code(kind).map(|kind| self.case_kind(&kind)).unwrap_or_default(),
        }
    }

    /// What of her own led to a refusal, if that was it.
    pub fn own_will(&self, detail: &str) -> Option<String> {
        match detail {
            "case" => Some(fl!(self.messages, "refused-by-case")),
            "wish" => Some(fl!(self.messages, "refused-by-wish")),
            _ => None,
        }
    }
}
