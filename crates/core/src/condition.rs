//! The eight conditions of an emergency mandate, each of them met or waived (joint statement of civil society, 2 April 2020).
//!
//! What is checked is presence, dates, who answers for a waiver, and that an answer names what shows it. Whether an answer is true, people
//! have to judge.

use serde::Serialize;

use crate::document::{Document, document};
use crate::draft::Draft;
use crate::id::AgencyId;
use crate::{Text, Time};

/// How one condition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The answer, and what shows it.
    Met {
        text: Text,
        evidence: Vec<Shown>,
    },
    Waived(Waiver),
}

/// What shows that a condition is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    Document(Document),
    /// A statement of the register, by its id: an assessment, an agreement, a contract, an audit, a meeting or a mandate.
    Statement {
        statement: String,
    },
}

/// The overseer's leave to go without a condition for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiver {
    /// The oversight body that answers for it.
    pub by: AgencyId,
    /// From then on the mandate permits nothing until the condition is met.
    pub until: Time,
    pub reason: Text,
}

/// What an emergency mandate must answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EightConditions {
    /// 1. Lawful, necessary, proportionate: the health authority's finding.
    pub necessity: Condition,
    /// 2. Time-bound: why this length.
    pub time_bound: Condition,
    /// 3. Limited in scope: what it is never used for.
    pub scope_lock: Condition,
    /// 4. Security and evidence for any claim of anonymity.
    pub security: Condition,
    /// 5. Discrimination and marginalised people.
    pub fairness: Condition,
    /// 6. Sharing in writing, firewalled from business.
    pub sharing: Condition,
    /// 7. Independent oversight and remedies.
    pub remedy: Condition,
    /// 8. Participation of those concerned.
    pub participation: Condition,
}

impl Condition {
    /// The waiver, unless it is met.
    pub fn waiver(&self) -> Option<&Waiver> {
        match self {
            Self::Met { .. } => None,
            Self::Waived(waiver) => Some(waiver),
        }
    }

    /// What shows that it is met; nothing, where it is waived.
    pub fn evidence(&self) -> &[Shown] {
        match self {
            Self::Met { evidence, .. } => evidence,
            Self::Waived(_) => &[],
        }
    }
}

impl EightConditions {
    /// Each condition with its field.
    pub fn each(&self) -> [(&'static str, &Condition); 8] {
        [
            ("necessity", &self.necessity),
            ("time_bound", &self.time_bound),
            ("scope_lock", &self.scope_lock),
            ("security", &self.security),
            ("fairness", &self.fairness),
            ("sharing", &self.sharing),
            ("remedy", &self.remedy),
            ("participation", &self.participation),
        ]
    }

    /// The waivers with the fields they are about.
    pub fn waivers(&self) -> impl Iterator<Item = (&'static str, &Waiver)> {
        self.each().into_iter().filter_map(|(field, condition)| Some((field, condition.waiver()?)))
    }

    /// Whether every condition is met at `now`, or waived beyond it.
    pub fn are_kept(&self, now: Time) -> bool {
        self.each().into_iter().all(|(_, condition)| condition.waiver().is_none_or(|waiver| now < waiver.until))
    }
}

pub(crate) fn eight_conditions(draft: &mut Draft<'_>) -> Option<EightConditions> {
    let necessity = condition(draft, "necessity", "Give the health authority's finding that it is necessary and proportionate.");
    let time_bound = condition(draft, "time_bound", "Say why it must last this long and not longer.");
    let scope_lock = condition(draft, "scope_lock", "Say what the data is never used for.");
    let security = condition(draft, "security", "Describe the security, with evidence for any claim of anonymity.");
    let fairness = condition(draft, "fairness", "Say how discrimination is looked for and mended.");
    let sharing = condition(draft, "sharing", "Say how sharing is put in writing and kept from business.");
    let remedy = condition(draft, "remedy", "Name the independent body and the remedies.");
    let participation = condition(draft, "participation", "Say how those concerned took part.");
    Some(EightConditions {
        necessity: necessity?,
        time_bound: time_bound?,
        scope_lock: scope_lock?,
        security: security?,
        fairness: fairness?,
        sharing: sharing?,
        remedy: remedy?,
        participation: participation?,
    })
}

/// A table says `met`, with what shows it, or `waived`. Words alone show nothing.
fn condition(draft: &mut Draft<'_>, field: &'static str, remedy: &str) -> Option<Condition> {
    draft.object(field, remedy, |draft| {
        let waived = draft.optional_object("waived", |draft| {
            let by = draft.parse("by", "Name the oversight body that waives it.");
            let until = draft.time("until", "Say until when it is waived; a waiver without an end cannot exist.");
            let reason = draft.text("reason", 600, "Say why it is waived.");
            Some(Condition::Waived(Waiver { by: by?, until: until?, reason: reason? }))
        });
        if draft.optional("waived").is_some() {
            if draft.optional("met").is_some() {
                draft.note("met", "both", "The condition cannot be met and waived. Keep one of the two.".into());
            }
            return waived;
        }
        draft.object("met", remedy, |draft| {
            let text = draft.text("text", 600, remedy);
            let evidence =
                draft.objects("evidence", "Name what shows it: a document by its hash, or a statement by its id.", shown);
            Some(Condition::Met { text: text?, evidence })
        })
    })
}

fn shown(draft: &mut Draft<'_>) -> Option<Shown> {
    if draft.optional("statement").is_some() {
        let statement = draft.string("statement", 80, "Name the statement, as `dpi_library-card`.")?;
        return Some(Shown::Statement { statement });
    }
    document(draft).map(Shown::Document)
}
