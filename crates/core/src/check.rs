//! Check: what a body found when it looked at a vendor, and the vendor's own word that all is deleted.

use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, ContractId};
use crate::{Digest, Text, Time};

/// The result of looking at a vendor under one contract, with what shows it. It is said once and never revised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractCheck {
    pub contract: ContractId,
    /// Hash of the revision that was looked at.
    pub revision: Digest,
    pub kind: CheckKind,
    pub done_at: Time,
    pub outcome: CheckOutcome,
    /// Against whom an objection is; nothing else names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subprocessor: Option<AgencyId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    pub evidence: Vec<Document>,
}

/// Which look it was, and so who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Before the signature, by the body that commissions.
    Agency,
    /// Before the signature, by the security office of the city: the operator.
    City,
    /// After the end, by the vendor itself: all is returned and deleted.
    Deletion,
    /// Against a sub-processor that was announced and has not begun, by the body that commissions or an overseer of its mandates.
    Objection,
    /// While the contract runs, by the body that commissions.
    Periodic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    Failed,
    Passed,
}

/// Something that has to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub text: Text,
    pub due: Time,
}

impl CheckKind {
    pub const WORDS: [(&'static str, Self); 5] = [
        ("agency", Self::Agency),
        ("city", Self::City),
        ("deletion", Self::Deletion),
        ("objection", Self::Objection),
        ("periodic", Self::Periodic),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl ContractCheck {
    /// Reads the result of a check, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let contract = draft.parse("contract", "Name the contract, as `ctr_cloud`.");
        let revision = draft.parse("revision", "Give the hash of the revision that was looked at.");
        let kind = draft.word("kind", &CheckKind::WORDS, "Say which check it is: agency, city, deletion, objection or periodic.");
        let done_at = draft.time("done_at", "Say when it was done.");
        let outcomes = [("failed", CheckOutcome::Failed), ("passed", CheckOutcome::Passed)];
        let outcome = draft.word("outcome", &outcomes, "Say whether the vendor passed or failed.");
        let subprocessor =
            draft.optional_parse("subprocessor", "Name the sub-processor against whom the objection is, or leave it out.");
        if kind.is_some_and(|kind| (kind == CheckKind::Objection) != subprocessor.is_some()) {
            let message = "An objection names a sub-processor, and nothing else does. Name it, or leave it out.";
            draft.note("subprocessor", "not-the-kind", message.into());
        }
        if kind == Some(CheckKind::Objection) && outcome == Some(CheckOutcome::Passed) {
            draft.note("outcome", "no-objection", "Nobody objects to what passed. Say `failed`, or leave it be.".into());
        }
        let findings = draft.optional_objects("findings", |finding| {
            let text = finding.text("text", 400, "Say what was found.");
            let due = finding.time("due", "Say until when it has to be mended.");
            Some(Finding { text: text?, due: due? })
        });
        let evidence = draft.objects("evidence", "Name what shows it, by its hash.", document);
        let check = (|| {
            Some(Self {
                contract: contract?,
                revision: revision?,
                kind: kind?,
                done_at: done_at?,
                outcome: outcome?,
                subprocessor,
                findings,
                evidence,
            })
        })();
        let problems = draft.finish();
        match check {
            Some(check) if problems.is_empty() => Ok(check),
            _ => Err(problems),
        }
    }
}
