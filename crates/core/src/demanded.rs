//! Demanded: what nothing is published without, though logs have statements from before that have not got it: the words of the law, of what a
//! block consists, whose cloud keeps data, what faults cost, why a step takes something away, and who was thought of before an emergency.

use crate::block::DataBlock;
use crate::contract::Contract;
use crate::draft::Problem;
use crate::emergency::Emergency;
use crate::lifecycle::State;
use crate::mandate::{Mandate, MandateKind};
use crate::register::Register;
use crate::statement::{Statement, StatementKind};
use crate::status::{ReasonCode, StatusChange};

/// What a statement that would be published now lacks. What cannot be read is refused by the register.
pub(crate) fn problems(register: &Register, statement: &Statement) -> Vec<Problem> {
    let body = &statement.body;
    match statement.kind {
        StatementKind::Contract => Contract::read(body).iter().flat_map(of_contract).collect(),
        StatementKind::DataBlock => DataBlock::read(body).iter().flat_map(of_block).collect(),
        StatementKind::Mandate => Mandate::read(body).iter().flat_map(of_mandate).collect(),
        StatementKind::StatusChange => StatusChange::read(body).iter().flat_map(|change| of_step(register, change)).collect(),
        _ => Vec::new(),
    }
}

/// What a mandate lacks: for authors too, before anything is signed.
pub fn of_mandate(mandate: &Mandate) -> Option<Problem> {
    let message = "The mandate names a law and not what it says. Give the words of the article in `legal_basis.quote`.";
    mandate.legal_basis.quote.is_none().then(|| problem("legal_basis.quote".to_owned(), message.to_owned()))
}

fn of_block(block: &DataBlock) -> Option<Problem> {
    let message =
        "Nothing says of what a value of this block consists. List it in `attributes`, one entry where it is one thing.";
    block.attributes.is_empty().then(|| problem("attributes".to_owned(), message.to_owned()))
}

fn of_contract(contract: &Contract) -> Vec<Problem> {
    let mut problems = Vec::new();
    if contract.cloud_provider.is_none() {
        let message = "The contract does not say whose cloud keeps the data. Name the provider in `cloud_provider`, or write `none` where the vendor keeps it on machines of its own.";
        problems.push(problem("cloud_provider".to_owned(), message.to_owned()));
    }
    if contract.penalties.is_empty() {
        let message =
            "The contract does not say line by line what costs the vendor how much. List `trigger` and `amount` in `penalties`.";
        problems.push(problem("penalties".to_owned(), message.to_owned()));
    }
    let unheld = contract.capability_evidence.iter().enumerate().filter(|(_, evidence)| evidence.sha256.is_none());
    problems.extend(unheld.map(|(i, evidence)| {
        let message = format!(
            "Another paper could stand in for the `{}` of this evidence. Give the SHA-256 of the document in `sha256`.",
            evidence.kind
        );
        problem(format!("capability_evidence[{i}].sha256"), message)
    }));
    problems
}

/// A step that takes something away or gives it back says what sort of reason it has, and one that answers a fault what shows the fault.
fn of_step(register: &Register, change: &StatusChange) -> Vec<Problem> {
    let (mut problems, grounds) = (Vec::new(), &change.grounds);
    let withholds = matches!(change.to, State::Suspended | State::Withheld | State::Breached);
    let gives_back = change.to == State::Active && matches!(change.from, State::Suspended | State::Withheld);
    if grounds.reason_code.is_none() && (withholds || gives_back || change.to == State::Revoked) {
        let words: Vec<&str> = ReasonCode::WORDS.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "This step takes something away or gives it back, and does not say what sort of reason it has. Give `reason_code`: {}.",
            words.join(", ")
        );
        problems.push(problem("reason_code".to_owned(), message));
    }
    if withholds && grounds.law.is_none() && grounds.breach.is_none() && grounds.evidence.is_empty() {
        let message =
            "Nothing shows that the reason is so. Name the article in `law`, the document in `evidence`, or the breach.";
        problems.push(problem("evidence".to_owned(), message.to_owned()));
    }
    let mandate = change.object.parse().ok().and_then(|id| register.mandates.get(&id)).map(|entry| &entry.body);
    problems.extend(mandate.filter(|_| change.to == State::Active).and_then(unprepared));
    problems
}

/// The fifth of the eight conditions: nothing begins before it was looked at whom it burdens, and who cannot take part. The overseer alone can
/// waive that, until a day.
fn unprepared(mandate: &Mandate) -> Option<Problem> {
    let is_waived = mandate.eight_conditions.as_ref().is_some_and(|eight| eight.fairness.waiver().is_some());
    let is_prepared = mandate.emergency.as_ref().is_some_and(Emergency::is_prepared);
    let message = "Nobody has looked at whom this emergency burdens, or it has no way for people without a pass, or no list of languages. Publish a revision with `emergency.reach`, or with `fairness` waived by the overseer.";
    let is_open = mandate.kind == MandateKind::Emergency && !is_waived && !is_prepared;
    is_open.then(|| Problem { field: "to".to_owned(), rule: "not-prepared", message: message.to_owned() })
}

fn problem(field: String, message: String) -> Problem {
    Problem { field, rule: "missing", message }
}
