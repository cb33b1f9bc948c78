//! Audit of a body: what an auditor looked at, what it found, and what has been done about each finding (governance 3.1).
//!
//! A finding that was said once stays, whatever the next revision says of it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, BodyAuditId};
use crate::register::{Entry, Register};
use crate::{Text, Time};

/// One revision of an audit. The auditor speaks, and never the body that was audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BodyAudit {
    pub auditor: AgencyId,
    /// The body that was looked at.
    pub audited: AgencyId,
    /// Which systems, services or duties of it.
    pub scope: Text,
    /// By what it was measured, as `ISO/IEC 27001:2022`.
    pub standard: String,
    pub done_at: Time,
    /// When the body is looked at again.
    pub next_due: Time,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The report, with the address where it is published.
    pub report: Document,
}

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A short name, unique within the audit and for ever, as `access-rights`.
    pub id: String,
    pub severity: Severity,
    pub text: Text,
    /// By when it is mended.
    pub due: Time,
    pub status: FindingStatus,
    /// What was done, where it is mended; why nothing is, where it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Text>,
    /// Why it weighs less than before, or has more time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eased_because: Option<Text>,
}

/// How much a finding weighs, the lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What has become of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// Nothing will be done, for a reason that is given.
    Accepted,
    Mended,
    Open,
}

impl Severity {
    pub const WORDS: [(&'static str, Self); 4] =
        [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High), ("critical", Self::Critical)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, severity)| *severity == self).map_or("", |(word, _)| word)
    }
}

impl FindingStatus {
    pub const WORDS: [(&'static str, Self); 3] = [("accepted", Self::Accepted), ("mended", Self::Mended), ("open", Self::Open)];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, status)| *status == self).map_or("", |(word, _)| word)
    }
}

impl BodyAudit {
    /// Reads an audit, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let audit = Self::fields(&mut draft);
        if let Some(audit) = &audit {
            audit.check(&mut draft);
        }
        let problems = draft.finish();
        match audit {
            Some(audit) if problems.is_empty() => Ok(audit),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let auditor = draft.parse("auditor", "Name the body that looked, as `agc_oversight`.");
        let audited = draft.parse("audited", "Name the body that was looked at, as `agc_library`.");
        let scope = draft.text("scope", 600, "Say which systems, services or duties were looked at.");
        let standard = draft.string("standard", 160, "Name the standard or the law by which it was measured.");
        let done_at = draft.time("done_at", "Say when it was finished.");
        let next_due = draft.time("next_due", "Say when the body is looked at again.");
        let findings = draft.optional_objects("findings", finding);
        let report = draft.object("report", "Name the report, its hash and its address.", document);
        Some(Self {
            auditor: auditor?,
            audited: audited?,
            scope: scope?,
            standard: standard?,
            done_at: done_at?,
            next_due: next_due?,
            findings,
            report: report?,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        if self.auditor == self.audited {
            draft.note("auditor", "itself", "A body cannot audit itself. Name an auditor or an oversight body.".into());
        }
        if self.next_due <= self.done_at {
            draft.note("next_due", "before-start", "The next audit is due before this one was done. Give a later day.".into());
        }
        if self.report.url.is_none() {
            let message = "Nobody can read the report. Give the address where it is published.";
            draft.note("report.url", "missing", message.into());
        }
        let mut seen = BTreeSet::new();
        for (i, finding) in self.findings.iter().enumerate() {
            if !seen.insert(&finding.id) {
                draft.note(&format!("findings[{i}].id"), "duplicate", "Two findings have one name. Give each its own.".into());
            }
            let field = format!("findings[{i}].answer");
            match (finding.status, &finding.answer) {
                (FindingStatus::Accepted, None) => {
                    draft.note(&field, "missing", "The finding is accepted without a reason. Say why nothing is done.".into());
                }
                (FindingStatus::Mended, None) => {
                    draft.note(&field, "missing", "It is not said how the finding was mended. Say what was done.".into());
                }
                _ => {}
            }
        }
    }

    /// The finding of this name.
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id == id)
    }

    /// The findings about which something has to be done and whose day has passed at `now`.
    pub fn late_findings(&self, now: Time) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.is_late(now))
    }
}

impl Finding {
    /// Whether nothing has come of it by its day.
    pub fn is_late(&self, now: Time) -> bool {
        self.status == FindingStatus::Open && self.due <= now
    }

    /// Whether it weighs less than `before` said, or has more time.
    pub fn is_eased(&self, before: &Self) -> bool {
        self.severity < before.severity || self.due > before.due
    }
}

impl Register {
    /// Whether no later audit of the same body by the same standard stands in for this one.
    pub fn is_latest_audit(&self, id: &BodyAuditId, audit: &Entry<BodyAudit>) -> bool {
        let (body, moment) = (&audit.body, |at: &Entry<BodyAudit>| (at.body.done_at, at.number));
        self.body_audits
            .iter()
            .filter(|(other, entry)| *other != id && entry.body.audited == body.audited && entry.body.standard == body.standard)
            .all(|(_, entry)| moment(entry) < moment(audit))
    }

    /// The audits after which the next one is overdue at `now`.
    pub fn overdue_audits(&self, now: Time) -> impl Iterator<Item = &Entry<BodyAudit>> {
        let is_due =
            move |(id, entry): &(&BodyAuditId, &Entry<BodyAudit>)| entry.body.next_due <= now && self.is_latest_audit(id, entry);
        self.body_audits.iter().filter(is_due).map(|(_, entry)| entry)
    }
}

fn finding(draft: &mut Draft<'_>) -> Option<Finding> {
    let id = draft.string("id", 60, "Give the finding a short name that it keeps.");
    let severity = draft.word("severity", &Severity::WORDS, "Say how much it weighs.");
    let text = draft.text("text", 800, "Say what was found.");
    let due = draft.time("due", "Say by when it is mended.");
    let status = draft.word("status", &FindingStatus::WORDS, "Say what has become of it.");
    let answer = draft.optional_text("answer", 800);
    let eased_because = draft.optional_text("eased_because", 600);
    Some(Finding { id: id?, severity: severity?, text: text?, due: due?, status: status?, answer, eased_because })
}
