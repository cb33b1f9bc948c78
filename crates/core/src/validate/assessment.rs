//! Assessment: of the present revision of a mandate, by two people of the body that answers for it.

use super::Check;
use crate::assessment::Assessment;
use crate::register::Content;

pub(super) fn assessment(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Assessment::read(&statement.body))?;
    let id = statement.id.parse().ok()?;
    match register.mandates.get(&body.mandate) {
        None => check.unknown("mandate", &body.mandate, "mandate"),
        Some(mandate) => {
            if mandate.hash != body.mandate_hash {
                let message = "The assessment is about another revision. Assess the present one.";
                check.note("mandate_hash", "other-revision", message.into());
            }
            check.speaker(&mandate.body.controller, 2);
        }
    }
    if register.assessments.get(&id).is_some_and(|old| old.body.mandate != body.mandate) {
        check.note("mandate", "moved", "This assessment is about another mandate. Publish a new one under another id.".into());
    }
    if body.review_due <= statement.at {
        check.note("review_due", "past", "The review is due before the assessment is public. Give a later day.".into());
    }
    for (i, measure) in body.measures.iter().enumerate() {
        if measure.done_at.is_some_and(|done_at| done_at > statement.at) {
            check.note(&format!("measures[{i}].done_at"), "future", "It has not been done. Do it first, then publish.".into());
        }
    }
    Some(Content::Assessment(id, Box::new(body)))
}
