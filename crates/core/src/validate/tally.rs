//! Tally: one for each day of a mandate, day after day, by the operator's machine.

use super::Check;
use crate::lifecycle::State;
use crate::register::Content;
use crate::tally::{Day, Tally};

pub(super) fn tally(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Tally::read(&statement.body))?;
    if statement.rev != 1 {
        check.note("rev", "final", "A tally is not changed. An audit says what was wrong with it.".into());
    }
    if statement.at < body.day.next().begins() {
        check.note("day", "not-over", "The day is not over. Count it when it is.".into());
    }
    let Some(mandate) = register.mandates.get(&body.mandate) else {
        check.unknown("mandate", &body.mandate, "mandate");
        return None;
    };
    // A day that is left out would hide what was done on it.
    let first = || mandate.history.iter().find(|step| step.to == State::Active).and_then(|step| Day::of(step.at));
    match register.last_tally(&body.mandate).map(Day::next).or_else(first) {
        None => check.note("mandate", "never-active", "The mandate was never active. Count its days from then on.".into()),
        Some(next) if next != body.day => {
            check.note("day", "not-next", format!("The next day to be counted is {next}. Publish the tally of that day."));
        }
        Some(_) => {}
    }
    Some(Content::Tally(statement.id.parse().ok()?, body))
}
