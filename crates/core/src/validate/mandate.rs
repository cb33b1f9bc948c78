//! Mandate: its parties and blocks exist and fit, and its steps come in time.

use super::{Check, problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::draft::Problem;
use crate::id::MandateId;
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::mandate::{Mandate, MandateKind};
use crate::register::{Content, Entry, Register};
use crate::status::StatusChange;
use crate::time::DAY;

/// Checks a mandate draft against the register: its controller, blocks, recipients and overseer must exist and fit, and its times
/// keep to the law that holds for the controller at `at`.
/// For authors, before anything is signed or published.
pub fn draft(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let mut problems = lengths(register, mandate, at);
    let emergency = mandate.kind == MandateKind::Emergency;
    match register.agencies.get(&mandate.controller) {
        None => problems.push(unknown("controller", &mandate.controller, "agency")),
        Some(agency) if agency.body.kind == AgencyKind::Vendor => problems.push(problem(
            "controller",
            "vendor-controller",
            "A vendor cannot answer for a mandate. Name the public body that commissions it.".into(),
        )),
        Some(agency) if emergency && agency.body.kind == AgencyKind::SecurityOrIntelligence => problems.push(problem(
            "controller",
            "security-body",
            "A security or intelligence body cannot hold an emergency mandate. Name the health authority.".into(),
        )),
        Some(_) => {}
    }
    match register.agencies.get(&mandate.oversight_body) {
        None => problems.push(unknown("oversight_body", &mandate.oversight_body, "agency")),
        Some(agency) if agency.body.kind != AgencyKind::Oversight => problems.push(problem(
            "oversight_body",
            "not-oversight",
            "The named body is no oversight body. Name one that is independent of the controller.".into(),
        )),
        Some(_) => {}
    }
    if mandate.oversight_body == mandate.controller {
        problems.push(problem(
            "oversight_body",
            "own-overseer",
            "The controller would oversee itself. Name a body that is independent of it.".into(),
        ));
    }
    for (i, asked) in mandate.blocks.iter().enumerate() {
        match register.blocks.get(&asked.block) {
            None => problems.push(unknown(&format!("blocks[{i}].block"), &asked.block, "data block")),
            Some(block) if !block.body.forms_allowed.iter().any(|form| *form >= asked.form) => problems.push(problem(
                &format!("blocks[{i}].form"),
                "form-too-rich",
                format!("`{}` may not leave as a {}. Ask for a poorer form.", asked.block, asked.form.code()),
            )),
            Some(_) => {}
        }
    }
    for (i, recipient) in mandate.recipients.iter().enumerate() {
        let field = format!("recipients[{i}].agency");
        match register.agencies.get(&recipient.agency).map(|agency| agency.body.kind) {
            None => problems.push(unknown(&field, &recipient.agency, "agency")),
            Some(AgencyKind::SecurityOrIntelligence) if emergency => problems.push(problem(
                &field,
                "security-body",
                "A security or intelligence body cannot receive data of an emergency mandate. Take it out.".into(),
            )),
            Some(AgencyKind::Vendor) if recipient.contract.is_none() => problems.push(problem(
                &format!("recipients[{i}].contract"),
                "missing",
                "A vendor receives data only under a contract. Name the contract.".into(),
            )),
            Some(_) => {}
        }
    }
    for (i, conversion) in mandate.conversions.iter().enumerate() {
        for (side, id) in [("from", &conversion.from), ("to", &conversion.to)] {
            let field = format!("conversions[{i}].{side}");
            match register.services.get(id) {
                None => problems.push(unknown(&field, id, "service")),
                Some(service) if !mandate.recipients.iter().any(|recipient| recipient.agency == service.body.agency) => {
                    let message = format!("The body of `{id}` receives nothing under this mandate. Name it in `recipients`.");
                    problems.push(problem(&field, "not-a-recipient", message));
                }
                Some(_) => {}
            }
        }
        let sector = |id| register.services.get(id).map(|service| &service.body.sector);
        if sector(&conversion.from).is_some() && sector(&conversion.from) == sector(&conversion.to) {
            let message = "Both services know people by the same pseudonyms already. Take this out.";
            problems.push(problem(&format!("conversions[{i}]"), "same-sector", message.into()));
        }
    }
    problems
}

/// What the controller's law says of the length of a mandate and of the time to comment on it. Without a register it is the generic law.
pub fn lengths(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let law = register.law(&mandate.controller, at);
    let emergency = mandate.kind == MandateKind::Emergency;
    let mut problems = Vec::new();
    let (duty, remedy) = if emergency {
        (Duty::EmergencyLongest, "Shorten it; a renewal is a new mandate with a new review.")
    } else {
        (Duty::MandateLongest, "Shorten it; what goes on is a new mandate that continues it.")
    };
    if mandate.sunset_at.micros() - mandate.starts_at.micros() > law.within(duty) {
        let message = format!("The mandate runs longer than {} days ({}). {remedy}", law.days(duty), law.deadline(duty).article);
        problems.push(problem("sunset_at", "too-long", message));
    }
    let commented = mandate.consultation.to.micros() - mandate.consultation.from.micros();
    if !emergency && (0..law.within(Duty::CommentShortest)).contains(&commented) {
        let (had, needed) = (commented / DAY, law.days(Duty::CommentShortest));
        let article = &law.deadline(Duty::CommentShortest).article;
        let message = format!("People had {had} days to comment. Give them at least {needed} ({article}).");
        problems.push(problem("consultation.to", "too-short", message));
    }
    problems
}

pub(super) fn revision(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Mandate::read(&statement.body))?;
    check.speaker(&body.controller, 2);
    check.problems.extend(draft(register, &body, statement.at));
    let id: MandateId = statement.id.parse().ok()?;
    if let Some(old) = register.mandates.get(&id) {
        check.same_owner("controller", &old.body.controller, &body.controller);
        let in_force = matches!(old.state, State::Published | State::Active | State::Suspended);
        if old.state.is_over() || in_force && statement.at >= old.body.sunset_at {
            check.note("id", "over", "This mandate has ended. Publish a new one that names it in `continues`.".into());
        }
        // Governance 3.2: no renewal in place. Once people were told when it ends, a revision may only end it sooner.
        if (in_force || was_published(old)) && body.sunset_at > old.body.sunset_at {
            check.note(
                "sunset_at",
                "prolonged",
                "A revision cannot end later than what was published. Publish a new mandate that names this one in `continues`."
                    .into(),
            );
        }
    }
    Some(Content::Mandate(id, Box::new(body)))
}

/// Whether any revision of it was public before, so that people may have agreed to its end.
fn was_published(entry: &Entry<Mandate>) -> bool {
    entry.history.iter().any(|step| matches!(step.to, State::Published | State::Active))
}

/// What a step of a mandate needs beside its approvals.
pub(super) fn step(check: &mut Check<'_>, id: &MandateId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.mandates.get(id) else { return };
    match change.to {
        State::Consulted if entry.body.kind != MandateKind::Emergency && at < entry.body.consultation.to => {
            check.note("to", "consultation-open", "People can still comment. Wait until the comment period is over.".into());
        }
        State::Published if register.notice(entry).is_none() => {
            check.note("to", "no-notice", "There is no notice for this revision. Publish the notice first.".into());
        }
        State::Active if at >= entry.body.sunset_at => {
            check.note("to", "past-sunset", "The mandate's last day is over. Publish a new mandate that continues it.".into());
        }
        State::Sunset if at < entry.body.sunset_at => {
            check.note("to", "before-sunset", "The mandate has not reached its last day. Revoke it to end it early.".into());
        }
        State::Erased if register.certificate(id).is_none() => {
            check.note("to", "no-certificate", "No certificate says that the keys are gone. Publish it first.".into());
        }
        _ => {}
    }
}
