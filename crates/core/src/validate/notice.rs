//! Notice: one for each revision of a mandate.

use super::Check;
use crate::notice::Notice;
use crate::register::Content;

pub(super) fn notice(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Notice::read(&statement.body))?;
    match register.mandates.get(&body.mandate) {
        None => check.unknown("mandate", &body.mandate, "mandate"),
        Some(mandate) => {
            if mandate.hash != body.mandate_hash {
                check.note(
                    "mandate_hash",
                    "other-revision",
                    "The notice explains another revision. Write one for the present revision.".into(),
                );
            }
            if register.notices.contains_key(&body.mandate_hash) {
                check.note(
                    "mandate_hash",
                    "second-notice",
                    "This revision has a notice already. Publish a new revision of the mandate first.".into(),
                );
            }
            check.speaker(&mandate.body.controller, 1);
        }
    }
    Some(Content::Notice(body))
}
