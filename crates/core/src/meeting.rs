//! Meeting: what an oversight body talked about, who was there by office, what it decided and who disagreed.

use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, OrderId};
use crate::{Text, Time};

/// The minutes of one meeting. People stand in them by their office and never by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meeting {
    pub body: AgencyId,
    pub title: Text,
    pub held_at: Time,
    pub agenda: Vec<Text>,
    pub attendance: Vec<Attendance>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Resolution>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Document>,
}

/// An office that was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attendance {
    pub office: Text,
    pub part: Part,
}

/// In which part an office attended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Absent,
    Chair,
    Guest,
    Member,
    Recorder,
}

/// Something that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolution {
    pub text: Text,
    /// The orders that carry it out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dissent: Vec<Dissent>,
}

/// An office that disagreed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dissent {
    pub office: Text,
    pub reasons: Text,
}

impl Part {
    pub const WORDS: [(&'static str, Self); 5] = [
        ("absent", Self::Absent),
        ("chair", Self::Chair),
        ("guest", Self::Guest),
        ("member", Self::Member),
        ("recorder", Self::Recorder),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, part)| *part == self).map_or("", |(word, _)| word)
    }
}

impl Meeting {
    /// Reads minutes, or lists everything that is missing in them.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let meeting = Self::fields(&mut draft);
        let problems = draft.finish();
        match meeting {
            Some(meeting) if problems.is_empty() => Ok(meeting),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let body = draft.parse("body", "Name the oversight body that met.");
        let title = draft.text("title", 120, "Give the meeting a title in both languages.");
        let held_at = draft.time("held_at", "Say when it met.");
        let agenda = draft.objects("agenda", "List what was on the agenda.", |item| item.text("text", 300, "Say the item."));
        let attendance = draft.objects("attendance", "List the offices that were expected.", |item| {
            let office = item.text("office", 120, "Name the office, never the person.");
            let part = item.word("part", &Part::WORDS, "Say whether the office chaired, recorded, was member, guest or absent.");
            Some(Attendance { office: office?, part: part? })
        });
        let decisions = draft.optional_objects("decisions", |item| {
            let text = item.text("text", 1_000, "Say what was decided.");
            let orders = item.optional_parses("orders", "Name the orders that carry it out, as `ord_2026-4`.");
            let dissent = item.optional_objects("dissent", |item| {
                let office = item.text("office", 120, "Name the office that disagreed.");
                let reasons = item.text("reasons", 1_000, "Say why it disagreed.");
                Some(Dissent { office: office?, reasons: reasons? })
            });
            Some(Resolution { text: text?, orders, dissent })
        });
        let attachments = draft.optional_objects("attachments", document);
        if !attendance.is_empty() && attendance.iter().all(|item: &Attendance| item.part == Part::Absent) {
            draft.note("attendance", "nobody", "Nobody attended. Publish minutes of meetings that took place.".into());
        }
        Some(Self { body: body?, title: title?, held_at: held_at?, agenda, attendance, decisions, attachments })
    }
}
