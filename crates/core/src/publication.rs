//! Publication: what is asked of a statement when it is published, and not of one that is replayed. Logs have statements from before these
//! rules, and go on working.

use crate::agency::AUTOMATION;
use crate::case_tally::CaseTally;
use crate::demanded;
use crate::draft::Problem;
use crate::link;
use crate::mandate::{Mandate, MandateKind, Operation};
use crate::register::Register;
use crate::statement::{Approval, Statement, StatementKind};

/// What is wrong with a statement that would be published now, beside what the register refuses at any time.
pub fn problems(register: &Register, statement: &Statement) -> Vec<Problem> {
    let mut problems = link::problems(statement);
    problems.extend(demanded::problems(register, statement));
    match statement.kind {
        StatementKind::CaseTally | StatementKind::Tally => {
            if is_by_person(register, statement) {
                let message = "What happened the machine counts, not people. Leave it to the key of the operator's automation.";
                problems.push(problem("approvals", "not-machine", message));
            }
            let told = CaseTally::read(&statement.body).ok().filter(|_| statement.kind == StatementKind::CaseTally);
            problems.extend(told.and_then(|tally| tally.tells_hidden()));
        }
        StatementKind::Mandate => problems.extend(Mandate::read(&statement.body).iter().flat_map(joined_in_emergency)),
        _ => {}
    }
    problems
}

/// Whether a person approved it, and not the automation of a body alone. A key that the register does not know is nobody's.
pub fn is_by_person(register: &Register, statement: &Statement) -> bool {
    let is_persons = |approval: &Approval| {
        let key = register.agencies.get(&approval.agency).and_then(|agency| agency.body.key(&approval.key));
        key.is_some_and(|key| key.role != AUTOMATION)
    };
    statement.approvals.iter().any(is_persons)
}

/// The third of the eight conditions: what is asked for in an emergency is not joined with anything else.
fn joined_in_emergency(mandate: &Mandate) -> Vec<Problem> {
    let mut problems = Vec::new();
    if mandate.kind != MandateKind::Emergency {
        return problems;
    }
    if mandate.operations.contains(&Operation::Match) {
        let message = "What is known in an emergency is not matched with other data. Take `match` out.";
        problems.push(problem("operations", "emergency-match", message));
    }
    if !mandate.conversions.is_empty() {
        let message = "Pseudonyms are not joined under an emergency mandate. Take the conversions out.";
        problems.push(problem("conversions", "emergency-conversion", message));
    }
    problems
}

fn problem(field: &str, rule: &'static str, message: &str) -> Problem {
    Problem { field: field.to_owned(), rule, message: message.to_owned() }
}
