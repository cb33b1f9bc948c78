//! What the overseer of the demo city did in its past: orders and what came of them, minutes of meetings, and summaries of decisions in cases.

use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::HOUR;

use super::past::{Happening, Offices, agency_of, take_day};
use crate::compose;
use crate::failure::Failure;

/// Published on the day `published_at` of its file. Where the file of an order has a day `complied_at`, its evidence came only then.
pub fn tell(
    offices: &Offices,
    kind: StatementKind,
    id: &str,
    mut body: Value,
    told: &mut Vec<(Time, Happening)>,
) -> Result<(), Failure> {
    let signers = offices.of(&agency_of(id, &body["body"])?)?;
    let (published, complied) = (take_day(&mut body, "published_at"), take_day(&mut body, "complied_at"));
    let published = published
        .ok_or_else(|| Failure::refused(format!("`{id}` does not say when it was made public."), "Write `published_at`."))?;
    let mut first = body.clone();
    if let Some(members) = first.as_object_mut().filter(|_| complied.is_some()) {
        members.remove("evidence");
    }
    let first = compose::object(&Register::default(), kind, id, first, &signers, published.plus(hour(kind)))?;
    let next = complied.map(|day| compose::revision(&first, body, &signers, day.plus(hour(kind)))).transpose()?;
    told.extend([Some(first), next].into_iter().flatten().map(|said| (said.at, Happening::Publish(vec![said]))));
    Ok(())
}

/// Minutes name orders of the same day, and a lift the order that it ends.
fn hour(kind: StatementKind) -> i64 {
    if kind == StatementKind::Order { 14 * HOUR } else { 16 * HOUR }
}
