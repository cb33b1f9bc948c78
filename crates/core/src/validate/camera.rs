//! Cameras: proposed by whoever asks for one, permitted and begun by two people of another body, withheld at once when nobody has looked.

use super::Check;
use crate::Time;
use crate::agency::AgencyKind;
use crate::camera::Camera;
use crate::id::CameraId;
use crate::lifecycle::State;
use crate::register::Content;
use crate::status::StatusChange;

pub(super) fn camera(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Camera::read(&statement.body))?;
    let id: CameraId = statement.id.parse().ok()?;
    let old = register.cameras.get(&id);
    bodies(check, &body);
    let is_permitted = old.is_some_and(|old| body.is_permitted_as(&old.body));
    if statement.by == body.applicant && !is_permitted {
        check.speaker(&body.applicant, 1);
    } else {
        // What is permitted goes on longer for having been looked at.
        check.speaker(&body.authority, 2);
    }
    let law = register.law(&body.authority, statement.at);
    let purposes: Vec<&str> = law.camera_purposes().iter().map(|purpose| purpose.code.as_str()).collect();
    if !purposes.contains(&body.purpose_code.as_str()) {
        let message = format!("The law has no such purpose of a camera. Choose one of: {}.", purposes.join(", "));
        check.note("purpose_code", "unknown-purpose", message);
    }
    if body.last_check.is_some_and(|checked| checked > statement.at) {
        check.note("last_check", "future", "Nobody has looked at it yet. Publish the check afterwards.".into());
    }
    if let Some(old) = old {
        check.same_owner("authority", &old.body.authority, &body.authority);
        check.same_owner("applicant", &old.body.applicant, &body.applicant);
        if old.body.last_check > body.last_check {
            check.note("last_check", "goes-back", "A later check was published. Keep its day.".into());
        }
        let is_running = matches!(old.state, State::Permitted | State::Active | State::Withheld);
        let has_ended = is_running && old.body.permit_until.is_some_and(|until| until <= statement.at);
        if old.state.is_over() || has_ended {
            check.note("id", "over", "This camera's permit has ended. Propose a new one under another id.".into());
        }
    }
    Some(Content::Camera(id, Box::new(body)))
}

/// The bodies are in the register, and no vendor permits or asks.
fn bodies(check: &mut Check<'_>, body: &Camera) {
    let register = check.register;
    for (field, id) in [("authority", &body.authority), ("installer", &body.installer), ("applicant", &body.applicant)] {
        match register.agencies.get(id) {
            None => check.unknown(field, id, "agency"),
            Some(entry) if field != "installer" && entry.body.kind == AgencyKind::Vendor => {
                check.note(field, "vendor", "A vendor can put a camera up and no more. Name a public body.".into());
            }
            Some(_) => {}
        }
    }
}

/// What a step of a camera needs beside its approvals.
pub(super) fn step(check: &mut Check<'_>, id: &CameraId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.cameras.get(id) else { return };
    let body = &entry.body;
    let is_over = body.permit_until.is_some_and(|until| until <= at);
    match change.to {
        State::Permitted | State::Active => {
            if body.permit_no.is_none() {
                check.note("permit_no", "missing", "There is no number of a permit. Publish a revision that has it.".into());
            }
            if body.permit_until.is_none() {
                check.note("permit_until", "missing", "The permit has no end. Publish a revision that gives it.".into());
            }
            if is_over {
                check.note("permit_until", "past", "The permit has ended. Propose a new camera under another id.".into());
            }
            if change.to == State::Active && register.is_unchecked(body, at) {
                let message = "Nobody has looked at this camera in time. Look at it, and publish a revision with `last_check`.";
                check.note("last_check", "overdue", message.into());
            }
        }
        State::PermitExpired => {
            if !is_over {
                let message = "The permit has not reached its last day. Withhold the camera, or remove it, to end it early.";
                check.note("to", "before-end", message.into());
            }
            if register.operator().is_none_or(|operator| operator.id != check.statement.by.as_str()) {
                let message = "A permit ends by the clock. Let the operator's machine say so.";
                check.note("by", "clock-only", message.into());
            }
        }
        _ => {}
    }
}
