//! Assessment: what a mandate could do to people, weighed before it may do anything (a data protection impact assessment; governance 5.3).
//!
//! What is checked is that every question has an answer, by whom and until when. Whether an answer is true, people have to judge.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::block::Sensitivity;
use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::MandateId;
use crate::mandate::{AutomatedDecision, MOST_PERSONS, Mandate, MandateKind, Operation};
use crate::register::{Entry, Register};
use crate::{Digest, Text, Time};

/// The public part of an impact assessment. It is about one revision of a mandate, and holds as long as consents to that revision would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    pub mandate: MandateId,
    /// The exact mandate revision that was assessed.
    pub mandate_hash: Digest,
    /// For readers who read nothing else.
    pub summary: Text,
    /// Data, flows, recipients, scale, technology.
    pub description: Text,
    pub necessity: Text,
    /// What else would have done, and why it was not taken.
    pub alternatives: Vec<Alternative>,
    /// Who is concerned, vulnerable groups, and who has the power.
    pub people: Text,
    pub risks: Vec<Risk>,
    pub measures: Vec<Measure>,
    /// Every claim that data names nobody, with what shows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anonymity: Vec<AnonymityClaim>,
    /// What residents and their representatives said.
    pub residents: Text,
    /// What the protection officer advised.
    pub advice: Text,
    /// Where somebody disagreed, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dissent: Option<Text>,
    /// What is left after the measures.
    pub residual: Text,
    pub decision: Decision,
    /// When it is looked at again.
    pub review_due: Time,
    /// What makes it be looked at earlier.
    pub review_trigger: Text,
}

/// Another way to the same end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alternative {
    pub what: Text,
    pub rejected_because: Text,
}

/// Something that could happen to people, before and after the measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub kind: RiskKind,
    pub what: Text,
    /// Likelihood and severity, each from 1 (slight) to 4 (grave).
    pub before: Level,
    pub after: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    pub likelihood: i64,
    pub severity: i64,
}

/// The risks that every assessment has to speak of, if only to say that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskKind {
    /// People do less than they may, since they are watched.
    Chilling,
    Discrimination,
    Error,
    /// Somebody is left without a service.
    Exclusion,
    /// Data is used for something else later.
    FunctionCreep,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measure {
    pub what: Text,
    /// The office that answers for it.
    pub owner: String,
    pub due: Time,
    /// When it was done. Added by a later revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnonymityClaim {
    pub what: Text,
    pub evidence: Vec<Document>,
}

/// What came of it. Only the first lets the mandate begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Continue,
    NotContinue,
    /// The authority is asked first.
    PriorConsultation,
}

/// What about a mandate asks for an assessment, where the law lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A machine decides, or helps to.
    Automated,
    /// One request names many people.
    Bulk,
    /// Pictures of cameras are used.
    Cameras,
    /// Children are among the people.
    Children,
    /// Residents see its lines only later.
    Covert,
    Emergency,
    /// It is about more people than the law says, or does not say about how many.
    Many,
    /// Data of two bodies is matched, or pseudonyms are joined.
    Matching,
    /// A machine decides alone.
    Sole,
    /// A block of specially protected data.
    Special,
}

/// The first step of a mandate that an assessment has to come before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// That it begins. What a pack says that names no step.
    #[default]
    Active,
    /// That two people approve it, and every step after that.
    Approved,
}

impl RiskKind {
    pub const WORDS: [(&'static str, Self); 5] = [
        ("chilling", Self::Chilling),
        ("discrimination", Self::Discrimination),
        ("error", Self::Error),
        ("exclusion", Self::Exclusion),
        ("function_creep", Self::FunctionCreep),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl Trigger {
    pub const WORDS: [(&'static str, Self); 10] = [
        ("automated", Self::Automated),
        ("bulk", Self::Bulk),
        ("cameras", Self::Cameras),
        ("children", Self::Children),
        ("covert", Self::Covert),
        ("emergency", Self::Emergency),
        ("many", Self::Many),
        ("matching", Self::Matching),
        ("sole", Self::Sole),
        ("special", Self::Special),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, trigger)| *trigger == self).map_or("", |(word, _)| word)
    }
}

/// Something that by a law asks for an assessment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssessedWhen {
    pub trigger: Trigger,
    /// Of `many` only: more people than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_than: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub before: Before,
    pub article: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_default(before: &Before) -> bool {
    *before == Before::default()
}

impl AssessedWhen {
    pub(crate) fn read(draft: &mut Draft<'_>) -> Option<Self> {
        let trigger = draft.word("trigger", &Trigger::WORDS, "Say what asks for an assessment.");
        let more_than = match trigger {
            Some(Trigger::Many) => draft.integer("more_than", 1, MOST_PERSONS, "Say above how many people it is asked for."),
            _ => None,
        };
        let steps = [("active", Before::Active), ("approved", Before::Approved)];
        let before = draft.optional_word("before", &steps).unwrap_or_default();
        let article = draft.string("article", 120, "Name the article, or the rule of the house.");
        Some(Self { trigger: trigger?, more_than, before, article: article? })
    }

    fn holds(&self, register: &Register, mandate: &Mandate) -> bool {
        let is_special = |id| register.blocks.get(id).is_some_and(|entry| entry.body.sensitivity == Sensitivity::Special);
        let concerns = mandate.concerns.unwrap_or_default();
        match self.trigger {
            Trigger::Automated => mandate.automated_decision != AutomatedDecision::None,
            Trigger::Bulk => mandate.bulk_limit > 1,
            Trigger::Cameras => concerns.cameras,
            Trigger::Children => concerns.children,
            Trigger::Covert => mandate.kind == MandateKind::Covert || mandate.visibility.delay().is_some(),
            Trigger::Emergency => mandate.kind == MandateKind::Emergency,
            // Who leaves the number out does not get around the question.
            Trigger::Many => concerns.persons.is_none_or(|persons| self.more_than.is_none_or(|most| persons > most)),
            Trigger::Matching => mandate.operations.contains(&Operation::Match) || !mandate.conversions.is_empty(),
            Trigger::Sole => mandate.automated_decision == AutomatedDecision::Sole,
            Trigger::Special => mandate.blocks.iter().any(|asked| is_special(&asked.block)),
        }
    }

    /// What about the mandate it is that asks, in words for its author.
    pub fn why(&self, mandate: &Mandate) -> String {
        match (self.trigger, self.more_than) {
            (Trigger::Many, Some(most)) if mandate.concerns.unwrap_or_default().persons.is_none() => {
                format!("`many`: it does not say in `concerns.persons` that it is about {most} people or fewer")
            }
            (Trigger::Many, Some(most)) => format!("`many`: it is about more than {most} people"),
            (trigger, _) => format!("`{}`", trigger.code()),
        }
    }
}

/// What of a mandate asks for an assessment by the law that holds for its controller at `at`.
pub fn asked_of<'a>(register: &'a Register, mandate: &Mandate, at: Time) -> Vec<&'a AssessedWhen> {
    let listed = register.law(&mandate.controller, at).assessed_when();
    listed.iter().filter(|asked| asked.holds(register, mandate)).collect()
}

/// The assessment that holds for the present revision of a mandate: the last one of it that is about this revision, or about an earlier one
/// after which nobody was asked again.
pub fn holding<'a>(register: &'a Register, mandate: &Entry<Mandate>) -> Option<&'a Entry<Assessment>> {
    let is_about = |entry: &&Entry<Assessment>| register.still_holds(&entry.body.mandate_hash, mandate);
    register.assessments.values().filter(is_about).max_by_key(|entry| entry.index)
}

impl Assessment {
    /// Reads an assessment, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let assessment = Self::fields(&mut draft);
        let problems = draft.finish();
        match assessment {
            Some(assessment) if problems.is_empty() => Ok(assessment),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let mandate = draft.parse("mandate", "Name the mandate it assesses.");
        let mandate_hash = draft.parse("mandate_hash", "Give the hash of the mandate revision it assesses.");
        let summary = draft.text("summary", 800, "Sum it up for the public.");
        let description = draft.text("description", 2_000, "Describe data, flows, recipients, scale and technology.");
        let necessity = draft.text("necessity", 1_000, "Say why it is needed, and no more than needed.");
        let alternatives = draft.objects("alternatives", "Name what else would have done, and why it was not taken.", |other| {
            let what = other.text("what", 300, "Say what it is.");
            let because = other.text("rejected_because", 600, "Say why it was not taken.");
            Some(Alternative { what: what?, rejected_because: because? })
        });
        let people = draft.text("people", 1_000, "Say who is concerned, which groups are vulnerable, and who has the power.");
        let risks = draft.objects("risks", "Weigh the risks to people.", risk);
        let spoken_of: BTreeSet<RiskKind> = risks.iter().map(|risk| risk.kind).collect();
        for (word, kind) in RiskKind::WORDS {
            if !risks.is_empty() && !spoken_of.contains(&kind) {
                let message = format!("Nothing is said of the risk `{word}`. Weigh it, or say why there is none.");
                draft.note("risks", "missing", message);
            }
        }
        let measures = draft.objects("measures", "List what is done against the risks.", |measure| {
            let what = measure.text("what", 400, "Say what is done.");
            let owner = measure.string("owner", 120, "Name the office that answers for it.");
            let due = measure.time("due", "Say by when it is done.");
            let done_at = measure.optional_parse("done_at", "Say when it was done, or leave it out.");
            Some(Measure { what: what?, owner: owner?, due: due?, done_at })
        });
        let anonymity = draft.optional_objects("anonymity", |claim| {
            let what = claim.text("what", 300, "Say which data names nobody.");
            let evidence = claim.objects("evidence", "Attach what shows it; a claim alone does not count.", document);
            Some(AnonymityClaim { what: what?, evidence })
        });
        let residents = draft.text("residents", 1_000, "Say what residents and their representatives said.");
        let advice = draft.text("advice", 1_000, "Say what the protection officer advised.");
        let dissent = draft.optional_text("dissent", 1_000);
        let residual = draft.text("residual", 1_000, "Say which risk is left.");
        let decisions = [
            ("continue", Decision::Continue),
            ("not_continue", Decision::NotContinue),
            ("prior_consultation", Decision::PriorConsultation),
        ];
        let decision = draft.word("decision", &decisions, "Say what was decided.");
        let review_due = draft.time("review_due", "Say when it is looked at again.");
        let review_trigger = draft.text("review_trigger", 400, "Say what makes it be looked at earlier.");
        Some(Self {
            mandate: mandate?,
            mandate_hash: mandate_hash?,
            summary: summary?,
            description: description?,
            necessity: necessity?,
            alternatives,
            people: people?,
            risks,
            measures,
            anonymity,
            residents: residents?,
            advice: advice?,
            dissent,
            residual: residual?,
            decision: decision?,
            review_due: review_due?,
            review_trigger: review_trigger?,
        })
    }
}

fn risk(draft: &mut Draft<'_>) -> Option<Risk> {
    let kind = draft.word("kind", &RiskKind::WORDS, "Say which risk it is.");
    let what = draft.text("what", 600, "Say what could happen to whom.");
    let before = draft.object("before", "Weigh it without the measures.", level);
    let after = draft.object("after", "Weigh it with the measures.", level);
    Some(Risk { kind: kind?, what: what?, before: before?, after: after? })
}

fn level(draft: &mut Draft<'_>) -> Option<Level> {
    let likelihood = draft.integer("likelihood", 1, 4, "Give 1 (slight) to 4 (grave).");
    let severity = draft.integer("severity", 1, 4, "Give 1 (slight) to 4 (grave).");
    Some(Level { likelihood: likelihood?, severity: severity? })
}
