//! Status change: a step that the lifecycle has, from where the object stands, by who may take it.

use super::{Check, agreement, camera, contract, mandate, service};
use crate::id::{AgencyId, AgreementId, CameraId, ContractId, MandateId, ServiceId};
use crate::lifecycle::{Guard, State, guard};
use crate::register::{Content, Life};
use crate::status::StatusChange;

pub(super) fn status(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let change = check.keep(StatusChange::read(&statement.body))?;
    if statement.rev != 1 {
        check.note("rev", "final", "A status change cannot be revised. Publish another one.".into());
    }
    let Some(Life { lifecycle, state, revision, owner }) = register.life(&change.object) else {
        check.unknown("object", &change.object, "object");
        return None;
    };
    if state != change.from {
        check.note("from", "other-state", format!("The object is in state `{}`. Start from there.", state.code()));
    }
    if revision != change.revision {
        check.note("revision", "other-revision", "The change names another revision. Name the present one.".into());
    }
    let Some(guard) = guard(lifecycle, change.from, change.to) else {
        let message = format!(
            "No step leads from `{}` to `{}`. See the list of steps in the documentation.",
            change.from.code(),
            change.to.code()
        );
        check.note("to", "no-such-step", message);
        return None;
    };
    breach(check, &change);
    let mandate = change.object.parse::<MandateId>().ok();
    let beside =
        mandate.as_ref().filter(|_| change.to == State::Active).and_then(|id| register.mandates.get(id)?.body.countersigner());
    let operator = register.operator().is_some_and(|operator| operator.id == statement.by.as_str());
    match change.object.parse::<AgreementId>() {
        Ok(id) if !(guard.automatic && operator) => agreement::step_speaker(check, &id, &change, guard),
        _ => step_speaker(check, &owner, guard, beside),
    }
    if let Some(id) = mandate {
        mandate::step(check, &id, &change, statement.at);
    }
    if let Ok(id) = change.object.parse::<ServiceId>() {
        service::step(check, &id, &change, statement.at);
    }
    if let Ok(id) = change.object.parse::<ContractId>() {
        contract::step(check, &id, &change, statement.at);
    }
    if let Ok(id) = change.object.parse::<AgreementId>() {
        agreement::step(check, &id, &change, statement.at);
    }
    if let Ok(id) = change.object.parse::<CameraId>() {
        camera::step(check, &id, &change, statement.at);
    }
    Some(Content::Status(change))
}

/// A breach suspends only what it is about, and nothing comes back while it can do harm.
fn breach(check: &mut Check<'_>, change: &StatusChange) {
    let register = check.register;
    if let Some(id) = &change.grounds.breach {
        let harms = register.harmful_to(&change.object).any(|entry| entry.id == id.as_str());
        if change.to != State::Suspended || !harms {
            let message = format!(
                "`{id}` is no breach that goes on and names `{}`. Name one that is not contained, in a step to `suspended`.",
                change.object
            );
            check.note("breach", "not-concerned", message);
        }
    }
    // Whatever it comes from: a revision of what is suspended is a draft, and does not lead around the breach.
    if change.to == State::Active
        && let Some(entry) = register.harmful_to(&change.object).next()
    {
        let message = format!("The breach `{}` is not contained. Contain it, and say so in the register first.", entry.id);
        check.note("to", "breach", message);
    }
}

fn step_speaker(check: &mut Check<'_>, owner: &AgencyId, guard: Guard, beside: Option<&AgencyId>) {
    let operator = check.register.operator().is_some_and(|operator| operator.id == check.statement.by.as_str());
    if guard.automatic && operator {
        check.operator_speaks(1);
    } else {
        check.speaker_with(owner, guard.approvals, beside);
    }
}
