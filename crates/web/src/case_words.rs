//! The words of cases in the language of a page.

use i18n_embed_fl::fl;
use usufruct_app::Party;
use usufruct_core::case::{CaseKind, CaseState, Finding, Remedy};

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
            CaseState::Answered => fl!(self.messages, "case-answered"),
            CaseState::Decided => fl!(self.messages, "case-decided"),
            CaseState::Escalated => fl!(self.messages, "case-escalated"),
            CaseState::Filed => fl!(self.messages, "case-filed"),
        }
    }

    /// What an answer or a decision comes to.
    pub fn finding(&self, finding: &Finding) -> String {
        match finding {
            Finding::Dismissed => fl!(self.messages, "finding-dismissed"),
            Finding::Partly => fl!(self.messages, "finding-partly"),
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
            "answered" => fl!(self.messages, "step-answered"),
            "complained" => fl!(self.messages, "step-complained"),
            "decided" => fl!(self.messages, "step-decided"),
            "escalated" => fl!(self.messages, "step-escalated"),
            "extended" => fl!(self.messages, "step-extended"),
            "remedied" => fl!(self.messages, "step-remedied"),
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
