//! Contract: between a public body and a vendor that can show what it is able to do, looked at twice before it is signed.

use super::{Check, problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::check::{CheckKind, ContractCheck};
use crate::clause;
use crate::contract::{Contract, Subprocessor};
use crate::draft::Problem;
use crate::id::{CheckId, ContractId};
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::register::{Content, Entry, Register};
use crate::status::StatusChange;
use crate::time::{DAY, HOUR};

pub(super) fn contract(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Contract::read(&statement.body))?;
    check.speaker(&body.controller, 2);
    check.problems.extend(too_slow(register, &body, statement.at));
    match register.agencies.get(&body.vendor) {
        None => check.unknown("vendor", &body.vendor, "agency"),
        Some(vendor) if vendor.body.kind != AgencyKind::Vendor => {
            check.note("vendor", "not-a-vendor", "The named body is no vendor. Register it as one first.".into());
        }
        Some(_) => {}
    }
    if body.capability_evidence.iter().all(|evidence| evidence.expires <= statement.at) {
        check.note(
            "capability_evidence",
            "expired",
            "All evidence of the vendor's capability has ended. Attach evidence that is still valid.".into(),
        );
    }
    for (i, sub) in body.subprocessors.iter().enumerate() {
        let field = format!("subprocessors[{i}].agency");
        match register.agencies.get(&sub.agency).map(|agency| agency.body.kind) {
            None => check.unknown(&field, &sub.agency, "agency"),
            // Under any contract: its mandates may become emergencies later, and a kind holds for life.
            Some(AgencyKind::SecurityOrIntelligence) => {
                let message = "A security or intelligence body works for no vendor. Take it out.";
                check.note(&field, "security-body", message.into());
            }
            Some(_) => {}
        }
    }
    let id: ContractId = statement.id.parse().ok()?;
    for (i, sub) in body.subprocessors.iter().enumerate() {
        if register.objection(id.as_str(), &sub.agency).is_some() {
            let message = format!("There is an objection against `{}` under this contract. Take it out.", sub.agency);
            check.note(&format!("subprocessors[{i}].agency"), "objected", message);
        }
    }
    if let Some(old) = register.contracts.get(&id) {
        check.same_owner("controller", &old.body.controller, &body.controller);
        // A contract that is ending still owes the deletion of what the vendor holds.
        if matches!(old.state, State::Ending | State::Breached) || old.state.is_over() {
            check.note("id", "over", "This contract has ended. Sign a new one.".into());
        }
        if register.law(&body.controller, statement.at).supervises() {
            check.problems.extend(unannounced(register, old, &body, statement.at));
            if register.contract_state(&id, &body, statement.at) != State::Draft {
                // Nobody looks at it again before it works on.
                check.problems.extend(unlawful_chain(register, &body, statement.at));
            }
        }
    }
    Some(Content::Contract(id, body))
}

/// More time than the law of the controller lets a contract give its vendor.
fn too_slow(register: &Register, body: &Contract, at: Time) -> Vec<Problem> {
    let law = register.law(&body.controller, at);
    let given = [
        ("breach_first_ping_hours", body.breach_first_ping_hours * HOUR, Duty::VendorCallLongest),
        ("breach_report_hours", body.breach_report_hours * HOUR, Duty::VendorReportLongest),
        ("delete_within_days", body.delete_within_days * DAY, Duty::VendorDeletionLongest),
    ];
    let slow = given.into_iter().filter(|(_, given, duty)| *given > law.within(*duty));
    slow.map(|(field, _, duty)| {
        let deadline = law.deadline(duty);
        let message = format!(
            "The vendor would have longer than `{}` for this ({}). Agree on a shorter time.",
            deadline.within.as_str(),
            deadline.article
        );
        problem(field, "too-long", message)
    })
    .collect()
}

/// Sub-processors that would come into a contract that people were told of, before the notice that the law asks for is over.
fn unannounced(register: &Register, old: &Entry<Contract>, body: &Contract, at: Time) -> Vec<Problem> {
    if old.history.iter().all(|step| step.to != State::Active) {
        return Vec::new();
    }
    let law = register.law(&body.controller, at);
    let days = body.number("sub-processors", "notice_days").unwrap_or(0).max(law.days(Duty::SubprocessorNotice));
    let is_known = |sub: &Subprocessor| {
        let same =
            |other: &Subprocessor| other.agency == sub.agency && other.location == sub.location && other.under == sub.under;
        old.body.subprocessors.iter().any(|other| same(other) && other.from <= sub.from)
    };
    let new = body.subprocessors.iter().enumerate().filter(|(_, sub)| !is_known(sub));
    let early = new.filter(|(_, sub)| sub.from.is_none_or(|from| from < at.plus(days * DAY)));
    early
        .map(|(i, _)| {
            let message =
                format!("A new sub-processor is announced {days} days before it works. Give it a later first day in `from`.");
            problem(&format!("subprocessors[{i}].from"), "too-soon", message)
        })
        .collect()
}

/// What is wrong with where data is kept and with whom: places that the law or a mandate does not allow, sub-processors that nobody
/// approved, and chains that are too deep.
fn unlawful_chain(register: &Register, body: &Contract, at: Time) -> Vec<Problem> {
    let law = register.law(&body.controller, at);
    let mandates = body.mandates.iter().filter_map(|id| register.mandates.get(id));
    let mut allowed: Vec<&[String]> = mandates.map(|mandate| &*mandate.body.locations).collect();
    if !law.data_locations().is_empty() {
        allowed.push(law.data_locations());
    }
    let is_allowed = |place: &String| allowed.iter().all(|set| set.contains(place));
    let mut problems = Vec::new();
    for (i, place) in body.data_locations.iter().enumerate().filter(|(_, place)| !is_allowed(place)) {
        let message = format!("Data may not be kept in `{place}`. Keep it where the law and the mandates allow.");
        problems.push(problem(&format!("data_locations[{i}]"), "not-allowed", message));
    }
    for (i, sub) in body.subprocessors.iter().enumerate() {
        if !is_allowed(&sub.location) {
            let message = format!("Data may not be kept in `{}`. Keep it where the law and the mandates allow.", sub.location);
            problems.push(problem(&format!("subprocessors[{i}].location"), "not-allowed", message));
        }
        if sub.approved_by != body.controller {
            let message =
                format!("`{}` cannot approve this sub-processor. Let `{}` approve it.", sub.approved_by, body.controller);
            problems.push(problem(&format!("subprocessors[{i}].approved_by"), "not-approved", message));
        }
    }
    let deepest = body.number("sub-processors", "max_depth").and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0);
    match body.depth() {
        None => problems.push(problem(
            "subprocessors",
            "no-chain",
            "The chain of sub-processors leads to nobody. Name in `under` one that stands in the list.".into(),
        )),
        Some(depth) if depth > deepest => {
            let message = format!("The chain of sub-processors is {depth} deep, and the contract allows {deepest}. Shorten it.");
            problems.push(problem("subprocessors", "too-deep", message));
        }
        Some(_) => {}
    }
    problems
}

/// What a step of a contract needs beside its approvals; most of it only where the law supervises vendors.
pub(super) fn step(check: &mut Check<'_>, id: &ContractId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.contracts.get(id) else { return };
    if change.to == State::Breached && !register.is_undeleted(entry, at) {
        let message = "The vendor still has time, or has said that all is deleted. Wait for its day.";
        check.note("to", "not-due", message.into());
    }
    let law = register.law(&entry.body.controller, at);
    if !law.supervises() {
        return;
    }
    for (to, kind) in [(State::CheckedAgency, CheckKind::Agency), (State::CheckedCity, CheckKind::City)] {
        if change.to == to && !register.has_passed(entry, kind) {
            let message = format!(
                "Nobody has published that the vendor passed the check `{}` for this revision. Check it first.",
                kind.code()
            );
            check.note("to", "not-checked", message);
        }
    }
    if matches!(change.to, State::Signed | State::Active) {
        check.problems.extend(unready(register, entry, at));
    }
    if change.to == State::Active {
        if at >= entry.body.until {
            check.note("to", "over", "The last day of the contract is over. Sign a new one.".into());
        }
        if register.has_failed(entry) {
            check.note("to", "failed-check", "The vendor failed its last check. Publish one that it passed.".into());
        } else if register.check_due(entry) <= at {
            check.note("to", "check-overdue", "The vendor is due for a check. Check it and publish the result first.".into());
        }
    }
    if change.to == State::Closed && !register.is_deleted(entry) {
        let message =
            "The vendor has not said that everything is returned and deleted. Let it publish its check of the kind deletion.";
        check.note("to", "not-deleted", message.into());
    }
}

/// Every line of a contract that is missing or unlawful, before anybody signs it.
fn unready(register: &Register, entry: &Entry<Contract>, at: Time) -> Vec<Problem> {
    let body = &entry.body;
    let mut problems = clause::missing(&body.clauses, &register.law(&body.controller, at));
    problems.extend(unlawful_chain(register, body, at));
    for (i, id) in body.mandates.iter().enumerate() {
        if register.mandates.get(id).is_some_and(|mandate| mandate.body.controller != body.controller) {
            let message = format!("`{id}` is another body's mandate. Let that body sign a contract of its own.");
            problems.push(problem(&format!("mandates[{i}]"), "other-controller", message));
        }
    }
    if body.capability_evidence.iter().all(|evidence| evidence.expires <= at) {
        let message = "All evidence of the vendor's capability has ended. Attach evidence that is still valid.";
        problems.push(problem("capability_evidence", "expired", message.into()));
    }
    if body.next_check_due > body.from.plus(body.check_every.micros()) {
        let message = "The first check comes later than one interval after the first day. Give an earlier day.";
        problems.push(problem("next_check_due", "too-late", message.into()));
    }
    problems
}

/// Who objects to a sub-processor: the body that commissions, or whoever oversees one of its mandates.
fn objector(check: &mut Check<'_>, contract: &Entry<Contract>) {
    let (register, by) = (check.register, &check.statement.by);
    let mut mandates = contract.body.mandates.iter().filter_map(|id| register.mandates.get(id));
    let oversees = mandates.any(|mandate| mandate.body.oversight_body == *by);
    check.speaker(if oversees { by } else { &contract.body.controller }, 2);
}

/// A check: by two people of whoever looks, about the contract as it stands, and said once.
pub(super) fn contract_check(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(ContractCheck::read(&statement.body))?;
    let id: CheckId = statement.id.parse().ok()?;
    if register.checks.contains_key(&id) {
        check.note("rev", "final", "The result of a check is not changed. Publish another check.".into());
    }
    let Some(contract) = register.contracts.get(&body.contract) else {
        check.problems.push(unknown("contract", &body.contract, "contract"));
        return None;
    };
    match body.kind {
        CheckKind::Agency | CheckKind::Periodic => check.speaker(&contract.body.controller, 2),
        CheckKind::City => check.operator_speaks(2),
        CheckKind::Deletion => check.speaker(&contract.body.vendor, 1),
        CheckKind::Objection => objector(check, contract),
    }
    if let Some(agency) = &body.subprocessor {
        let is_announced = |sub: &Subprocessor| sub.agency == *agency && sub.from.is_some_and(|from| statement.at < from);
        if !contract.body.subprocessors.iter().any(is_announced) {
            let message = format!("`{agency}` is no sub-processor that is announced and has not begun. Name one that is.");
            check.note("subprocessor", "not-announced", message);
        }
    }
    if body.revision != contract.hash {
        check.note("revision", "other-revision", "The check names another revision. Name the present one.".into());
    }
    if body.done_at > statement.at {
        check.note("done_at", "future", "The check has not taken place. Check first, then publish.".into());
    }
    let began = contract.history.first().map_or(contract.since, |step| step.at);
    if body.done_at < began {
        check.note("done_at", "before-start", "The check is older than the contract. Look at the vendor again.".into());
    }
    let fits = match body.kind {
        CheckKind::Agency | CheckKind::City => matches!(contract.state, State::Draft | State::CheckedAgency | State::CheckedCity),
        CheckKind::Objection | CheckKind::Periodic => matches!(contract.state, State::Active | State::Suspended),
        CheckKind::Deletion => matches!(contract.state, State::Ending | State::Breached),
    };
    if !fits {
        let (kind, state) = (body.kind.code(), contract.state.code());
        let message = format!("A contract in the state `{state}` has no check of the kind `{kind}`. Choose the kind that fits.");
        check.note("kind", "other-state", message);
    }
    let mut checks = register.checks_of(&contract.id);
    if checks.any(|other| other.body.kind == body.kind && other.body.done_at > body.done_at) {
        check.note("done_at", "goes-back", "A later check of this kind stands in the register. Look at the vendor again.".into());
    }
    Some(Content::Check(id, body))
}
