//! DataBlock: one piece of data that can be asked for, and in which forms it may leave.

use serde::Serialize;
use serde_json::Value;

use crate::Text;
use crate::draft::{Draft, Problem};
use crate::event::Form;
use crate::id::AgencyId;

/// A piece of data about a resident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataBlock {
    pub name: Text,
    /// Category of the Data Privacy Vocabulary (DPV 2.3, extension PD), as `pd:Name`.
    pub category: String,
    pub sensitivity: Sensitivity,
    pub source_agency: AgencyId,
    /// What a value consists of, where it is more than one thing: the lines of an address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Text>,
    /// How often the source brings it up to date: an ISO 8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// The forms in which it may leave at all.
    pub forms_allowed: Vec<Form>,
    /// Whether the resident can correct it herself.
    pub correctable: bool,
}

/// How much protection a block needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    Ordinary,
    Sensitive,
    /// Medical, genetic, sex life, health check, criminal record (Taiwan Act 6).
    Special,
}

pub(crate) const FORMS: [(&str, Form); 3] = [("token", Form::Token), ("predicate", Form::Predicate), ("value", Form::Value)];

impl DataBlock {
    /// Reads a block, or lists everything that is missing or unlawful.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let name = draft.text("name", 40, "Give the name people know it by, in both languages.");
        let category = draft.string("category", 80, "Give the DPV category, as `pd:Name`.");
        let words =
            [("ordinary", Sensitivity::Ordinary), ("sensitive", Sensitivity::Sensitive), ("special", Sensitivity::Special)];
        let sensitivity = draft.word("sensitivity", &words, "Say how sensitive it is.");
        let source_agency = draft.parse("source_agency", "Name the agency that keeps the source, as `agc_household`.");
        let attributes = draft.optional_objects("attributes", |attribute| {
            let en = attribute.string("en", 60, "Write it in English.");
            let zh = attribute.string("zh-Hant", 60, "Write it in traditional Chinese.");
            Some(Text { en: en?, zh_hant: zh? })
        });
        let refresh = draft.optional_duration("refresh").map(|length| length.to_string());
        let forms_allowed = draft.words("forms_allowed", &FORMS, "List the forms in which it may leave.");
        let correctable = draft.flag("correctable", "Say whether residents correct it themselves.");
        let block = (|| {
            Some(Self {
                name: name?,
                category: category?,
                sensitivity: sensitivity?,
                source_agency: source_agency?,
                attributes,
                refresh,
                forms_allowed,
                correctable: correctable?,
            })
        })();
        let problems = draft.finish();
        match block {
            Some(block) if problems.is_empty() => Ok(block),
            _ => Err(problems),
        }
    }
}
