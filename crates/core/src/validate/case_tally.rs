//! Case tally: one for each body and month, month after month, by the operator's machine.

use super::Check;
use crate::case_tally::CaseTally;
use crate::register::Content;
use crate::time::Month;

pub(super) fn case_tally(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(CaseTally::read(&statement.body))?;
    if statement.rev != 1 {
        check.note("rev", "final", "A tally of cases is not changed. What was wrong with it is said elsewhere.".into());
    }
    if statement.at < body.month.next().begins() {
        check.note("month", "not-over", "The month is not over. Count it when it is.".into());
    }
    let Some(agency) = register.agencies.get(&body.agency) else {
        check.unknown("agency", &body.agency, "agency");
        return None;
    };
    // A month that is left out would hide what came of it.
    match register.last_case_tally(&body.agency).map(Month::next) {
        Some(next) if next != body.month => {
            let message =
                format!("The next month of `{}` to be counted is {next}. Publish the tally of that month.", body.agency);
            check.note("month", "not-next", message);
        }
        None if agency.history.first().is_some_and(|step| body.month < Month::of(step.at)) => {
            let message = "The body was not in the register in that month. Begin with the month of its first case.";
            check.note("month", "too-early", message.into());
        }
        _ => {}
    }
    Some(Content::CaseTally(statement.id.parse().ok()?, body))
}
