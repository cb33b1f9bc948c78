//! Emergency: what a mandate of the kind rests on beside its eight conditions (joint statement of civil society, 2 April 2020).

use serde::Serialize;

use crate::document::{Document, document};
use crate::draft::Draft;
use crate::id::AgencyId;
use crate::{Text, Time};

/// The declared emergency of a mandate, who found that the mandate is needed, who looked at it, and how long it can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Emergency {
    /// The number or name under which it was declared.
    pub id: String,
    pub declared_at: Time,
    /// Where the declaration can be read.
    pub url: String,
    /// How many mandates may continue this one, each with a review of its own. What a later one says of itself does not count.
    pub renewal_limit: i64,
    pub finding: Finding,
    pub reviewers: Vec<Reviewer>,
    /// By when it has been looked at whom the mandate burdens more than others.
    pub disparity_audit_due: Time,
    /// What that audit found, once it is there. Added by a later revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disparity_audit: Option<Document>,
    /// Who was thought of before it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// Whom an emergency reaches and burdens, looked at before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The groups of people that were looked at.
    pub groups: Vec<Text>,
    /// What was found about them.
    pub audit: Document,
    /// How somebody takes part who has no pass and no phone.
    pub offline: Text,
    /// In which languages people are told, by their codes, as `vi`.
    pub languages: Vec<String>,
}

/// What a health authority found about the need for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub by: AgencyId,
    pub at: Time,
    #[serde(flatten)]
    pub document: Document,
}

/// Somebody who looked at the mandate before it began, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reviewer {
    pub name: Text,
    pub speaks_for: SpeaksFor,
}

/// For whom a reviewer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeaksFor {
    Marginalised,
    PublicHealth,
}

impl SpeaksFor {
    /// Every word.
    pub const WORDS: [(&'static str, Self); 2] = [("marginalised", Self::Marginalised), ("public_health", Self::PublicHealth)];
}

impl Emergency {
    /// Whether somebody looked, before it begins, at whom it burdens and who could not take part.
    pub fn is_prepared(&self) -> bool {
        self.reach.is_some()
    }
}

/// A code of a language has no more letters (RFC 5646, 4.4.1).
const LONGEST_CODE: usize = 35;

pub(crate) fn emergency(draft: &mut Draft<'_>) -> Option<Emergency> {
    let id = draft.string("id", 80, "Give the number or name under which the emergency was declared.");
    let declared_at = draft.time("declared_at", "Say when it was declared.");
    let url = draft.string("url", 300, "Say where the declaration can be read.");
    let renewal_limit = draft.integer("renewal_limit", 0, 20, "Say how many mandates may continue this one; 0 means none.");
    let finding = draft.object("finding", "Name the health authority's finding that the mandate is needed.", |finding| {
        let by = finding.parse("by", "Name the health authority, as `agc_health`.");
        let at = finding.time("at", "Say when it found so.");
        let document = document(finding);
        Some(Finding { by: by?, at: at?, document: document? })
    });
    let reviewers =
        draft.objects("reviewers", "Name who looked at it: for public health, and for marginalised people.", |reviewer| {
            let name = reviewer.text("name", 120, "Name the person or group.");
            let speaks_for = reviewer.word("speaks_for", &SpeaksFor::WORDS, "Say for whom they speak.");
            Some(Reviewer { name: name?, speaks_for: speaks_for? })
        });
    let speaks = |side| reviewers.iter().any(|reviewer| reviewer.speaks_for == side);
    if !reviewers.is_empty() && !SpeaksFor::WORDS.iter().all(|(_, side)| speaks(*side)) {
        let message = "Nobody who looked at it speaks for public health, or nobody for marginalised people. Name one of each.";
        draft.note("reviewers", "one-sided", message.into());
    }
    let disparity_audit_due = draft.time("disparity_audit_due", "Say by when it is looked at whom the mandate burdens more.");
    let disparity_audit = draft.optional_object("disparity_audit", document);
    let reach = draft.optional_object("reach", reach);
    Some(Emergency {
        id: id?,
        declared_at: declared_at?,
        url: url?,
        renewal_limit: renewal_limit?,
        finding: finding?,
        reviewers,
        disparity_audit_due: disparity_audit_due?,
        disparity_audit,
        reach,
    })
}

fn reach(draft: &mut Draft<'_>) -> Option<Reach> {
    let groups = draft.objects("groups", "List the groups of people that were looked at.", |group| {
        let en = group.string("en", 120, "Write it in English.");
        let zh = group.string("zh-Hant", 120, "Write it in traditional Chinese.");
        Some(Text { en: en?, zh_hant: zh? })
    });
    let audit = draft.object("audit", "Name the document that says what was found about them.", document);
    let offline = draft.text("offline", 300, "Say how somebody takes part who has no pass and no phone.");
    let languages = draft.strings("languages", LONGEST_CODE, "List the languages in which people are told, as `vi`.");
    Some(Reach { groups, audit: audit?, offline: offline?, languages })
}
