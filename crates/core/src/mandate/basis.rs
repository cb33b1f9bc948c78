//! Legal basis: why a mandate is lawful, and by which exception where the main rule of the law is closed.

use serde::Serialize;

use crate::draft::Draft;
use crate::{Text, Time};

/// Why it is lawful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalBasis {
    pub code: Basis,
    /// The provision, by the code that the law of the controller lists it under, as `TW15.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision: Option<String>,
    pub instrument: Text,
    pub article: String,
    /// What the article says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Text>,
    pub url: String,
    /// The order, where the law lists the provision as one that rests on an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Ordered>,
}

/// An exception of the law, and why it holds here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The code under which the law lists it, as `TW6.2`.
    pub code: String,
    pub written_reason: Text,
}

/// A court's or an overseer's order that asks for the use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ordered {
    /// Who gave it.
    pub by: Text,
    /// Its number or file reference, as whoever gave it writes it.
    pub reference: String,
    pub at: Time,
    /// What it asks for, in words for the resident.
    pub why: Text,
}

/// The kinds of basis. Consent is one; the others need no grant but are notified and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    Consent,
    LegalObligation,
    PublicTask,
    VitalInterest,
}

pub(crate) const BASES: [(&str, Basis); 4] = [
    ("consent", Basis::Consent),
    ("legal_obligation", Basis::LegalObligation),
    ("public_task", Basis::PublicTask),
    ("vital_interest", Basis::VitalInterest),
];

pub(super) fn legal_basis(draft: &mut Draft<'_>) -> Option<LegalBasis> {
    let code = draft.word("code", &BASES, "Say what kind of basis it is.");
    let provision = draft.optional_string("provision", 40);
    let instrument = draft.text("instrument", 160, "Name the act or ordinance.");
    let article = draft.string("article", 40, "Give the article.");
    let quote = draft.optional_text("quote", 600);
    let url = draft.string("url", 300, "Say where the text can be read.");
    let order = draft.optional_object("order", |order| {
        let by = order.text("by", 120, "Name the court or the overseer.");
        let reference = order.string("reference", 80, "Give the number of the order.");
        let at = order.time("at", "Give its day.");
        let why = order.text("why", 300, "Say what it asks for.");
        Some(Ordered { by: by?, reference: reference?, at: at?, why: why? })
    });
    Some(LegalBasis { code: code?, provision, instrument: instrument?, article: article?, quote, url: url?, order })
}

pub(super) fn exception(draft: &mut Draft<'_>) -> Option<Exception> {
    let code = draft.string("code", 40, "Name the exception by the code of the law, as `TW6.2`.");
    let written_reason = draft.text("written_reason", 600, "Say why it holds here.");
    Some(Exception { code: code?, written_reason: written_reason? })
}
