//! Payment: a body's public answer to an order to compensate. Whom it paid, and how much, stands in the documents and not in public.

use serde::Serialize;
use serde_json::Value;

use crate::Time;
use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::id::OrderId;

/// That what an order commanded was paid. It is said once and not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// The order to compensate that it answers.
    pub order: OrderId,
    pub paid_at: Time,
    /// What shows it, by hash.
    pub evidence: Vec<Document>,
}

impl Payment {
    /// Reads a payment, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let order = draft.parse("order", "Name the order to compensate, as `ord_2026-4`.");
        let paid_at = draft.time("paid_at", "Say when it was paid.");
        let evidence = draft.objects("evidence", "Name what shows that it was paid, with its hash.", document);
        let payment = (|| Some(Self { order: order?, paid_at: paid_at?, evidence }))();
        let problems = draft.finish();
        match payment {
            Some(payment) if problems.is_empty() => Ok(payment),
            _ => Err(problems),
        }
    }
}
