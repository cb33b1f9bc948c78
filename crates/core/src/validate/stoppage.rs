//! Stoppages: said by the operator's machine, each once, and never changed. Only an order of the overseer ends one.

use super::Check;
use crate::id::StoppageId;
use crate::register::Content;
use crate::stoppage::Stoppage;

pub(super) fn stoppage(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Stoppage::read(&statement.body))?;
    let id: StoppageId = statement.id.parse().ok()?;
    if statement.rev != 1 {
        check.note("rev", "final", "A stoppage is not changed. An order of the oversight body releases it.".into());
    }
    if body.day.begins() > statement.at {
        check.note("day", "future", "The day has not begun. Name the day on which the count was too many.".into());
    }
    if !register.agencies.contains_key(&body.body) {
        check.unknown("body", &body.body, "agency");
    }
    if let Some(mandate) = body.mandate().filter(|mandate| !register.mandates.contains_key(mandate)) {
        check.unknown("reason", mandate, "mandate");
    }
    if register.stoppage(&body.mark, statement.at).is_some() {
        check.note("mark", "open", "This is stopped already. It is said once, until it is released.".into());
    }
    Some(Content::Stoppage(id, body))
}
