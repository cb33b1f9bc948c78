//! Ruling: the published summary of what an overseer decided in a case, in words that name nobody.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::case::{CaseKind, Finding, Remedy};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, MandateId};

/// What a decision came to and why. It holds neither the number of the case nor a day of it: who filed the case knows it again, and nobody else
/// can tell whose it was. That the words name nobody is for the two people to see to who publish it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// The oversight body that decided.
    pub body: AgencyId,
    /// The body that had to answer.
    pub office: AgencyId,
    /// The mandate that the case was about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mandate: Option<MandateId>,
    pub kind: CaseKind,
    pub finding: Finding,
    /// What it ordered, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    pub text: Text,
}

/// Longest text in each language, in characters.
const LONGEST: usize = 1_000;

impl Ruling {
    /// Reads a ruling, or lists everything that is missing or wrong in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let ruling = Self::fields(&mut draft);
        let problems = draft.finish();
        match ruling {
            Some(ruling) if problems.is_empty() => Ok(ruling),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let body = draft.parse("body", "Name the oversight body that decided.");
        let office = draft.parse("office", "Name the body that had to answer.");
        let mandate = draft.optional_parse("mandate", "Name the mandate, as `mdt_library-card`, or leave it out.");
        let kind = draft.word("kind", &CaseKind::WORDS, "Say what was asked for.");
        let finding = draft.word("finding", &Finding::WORDS, "Say what the decision came to.");
        let remedy = draft.optional_word("remedy", &Remedy::WORDS);
        if finding == Some(Finding::Dismissed) && remedy.is_some() {
            let message = "Nothing is ordered in a case that is dismissed. Leave the remedy out, or correct the finding.";
            draft.note("remedy", "dismissed", message.into());
        }
        let text = draft.text("text", LONGEST, "Say what was decided and why, in words that name nobody.");
        Some(Self { body: body?, office: office?, mandate, kind: kind?, finding: finding?, remedy, text: text? })
    }
}
