//! Audits of bodies in the past of the demo city: published with what was found, and later with what was done about it.

use serde_json::{Value, json};
use usufruct_core::Time;
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::{DAY, HOUR};

use super::past::{Happening, Offices, agency_of, take_day};
use crate::compose;
use crate::failure::Failure;

/// The report stands a week after the audit. Where the file has a day `revised_at`, all findings were open until then.
pub fn tell(offices: &Offices, id: &str, mut body: Value, told: &mut Vec<(Time, Happening)>) -> Result<(), Failure> {
    let signers = offices.of(&agency_of(id, &body["auditor"])?)?;
    let revised = take_day(&mut body, "revised_at");
    let done: Time = body["done_at"]
        .as_str()
        .and_then(|day| day.parse().ok())
        .ok_or_else(|| Failure::refused(format!("`{id}` does not say when it was done."), "Write `done_at` as a day."))?;
    let published = done.plus(7 * DAY + 9 * HOUR);
    let first = if revised.is_some() { all_open(&body) } else { body.clone() };
    let first = compose::object(&Register::default(), StatementKind::BodyAudit, id, first, &signers, published)?;
    let next = revised.map(|day| compose::revision(&first, body, &signers, day.plus(9 * HOUR))).transpose()?;
    told.extend([Some(first), next].into_iter().flatten().map(|said| (said.at, Happening::Publish(vec![said]))));
    Ok(())
}

fn all_open(body: &Value) -> Value {
    let mut body = body.clone();
    for finding in body["findings"].as_array_mut().into_iter().flatten() {
        finding["status"] = json!("open");
        if let Some(members) = finding.as_object_mut() {
            members.retain(|field, _| !["answer", "eased_because"].contains(&field.as_str()));
        }
    }
    body
}
