//! Mandate: its parties and blocks exist and fit, and its steps come in time.

use super::{Check, problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::assessment::{self, Decision};
use crate::condition::EightConditions;
use crate::draft::Problem;
use crate::id::{AgencyId, MandateId};
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::mandate::{Mandate, MandateKind};
use crate::register::{Content, Entry, Register};
use crate::status::StatusChange;
use crate::time::DAY;
use crate::uncertified::Uncertified;

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
    problems.extend(waivers(mandate));
    problems.extend(delay_authority(register, mandate));
    if emergency {
        problems.extend(renewal(register, mandate, at));
    }
    problems
}

/// Who answers for a delay watches others, and not itself.
fn delay_authority(register: &Register, mandate: &Mandate) -> Option<Problem> {
    const FIELD: &str = "visibility.delayed.authority";
    let authority = &mandate.visibility.delay()?.authority;
    match register.agencies.get(authority) {
        None => Some(unknown(FIELD, authority, "agency")),
        Some(agency) if agency.body.kind != AgencyKind::Oversight || *authority == mandate.controller => {
            let message = "This body cannot answer for a delay. Name an oversight body that is independent of the controller.";
            Some(problem(FIELD, "not-oversight", message.into()))
        }
        Some(_) => None,
    }
}

/// Only the body that watches a mandate can waive one of its conditions.
fn waivers(mandate: &Mandate) -> Vec<Problem> {
    let eight = mandate.eight_conditions.iter();
    let foreign = eight.flat_map(EightConditions::waivers).filter(|(_, waiver)| waiver.by != mandate.oversight_body);
    foreign
        .map(|(field, waiver)| {
            let field = format!("eight_conditions.{field}.waived.by");
            let message = format!("`{}` does not watch this mandate. Name its oversight body.", waiver.by);
            problem(&field, "not-the-overseer", message)
        })
        .collect()
}

/// An emergency goes on only after a new look at it, which cannot be older than what it looks at.
fn renewal(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let Some(continues) = &mandate.continues else { return Vec::new() };
    let mut problems = Vec::new();
    let old = continues.parse().ok().and_then(|id: MandateId| register.mandates.get(&id));
    if old.is_none() {
        problems.push(unknown("continues", continues, "mandate"));
    }
    match &mandate.review {
        None => problems.push(problem(
            "review",
            "missing",
            "This mandate continues an emergency without a new review. Say when it was reviewed and what was found.".into(),
        )),
        Some(review) if review.at > at => {
            problems.push(problem("review.at", "future", "The review has not taken place. Review first, then publish.".into()))
        }
        Some(review) if old.is_some_and(|old| review.at <= old.body.starts_at) => problems.push(problem(
            "review.at",
            "old-review",
            "The review is older than the mandate it reviews. Review that mandate anew.".into(),
        )),
        Some(_) => {}
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
    if let Some(delay) = mandate.visibility.delay()
        && delay.max_days > law.days(Duty::DelayLongest)
    {
        let (longest, article) = (law.days(Duty::DelayLongest), &law.deadline(Duty::DelayLongest).article);
        let message = format!("Residents would see a line later than {longest} days after it ({article}). Shorten the delay.");
        problems.push(problem("visibility.delayed.max_days", "too-long", message));
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
        if old.body.oversight_body != body.oversight_body && register.binding(id.as_str(), statement.at).next().is_some() {
            let message = "An order stands against this mandate, so its overseer stays. Obey the order, or have it lifted first.";
            check.note("oversight_body", "under-order", message.into());
        }
        let in_force = matches!(old.state, State::Published | State::Active | State::Suspended);
        if old.state.is_over() || in_force && statement.at >= old.body.sunset_at {
            check.note("id", "over", "This mandate has ended. Publish a new one that names it in `continues`.".into());
        }
        if (old.body.kind == MandateKind::Covert) != (body.kind == MandateKind::Covert) {
            let message = "A mandate does not become covert, nor stop being so. Publish another one under its own id.";
            check.note("kind", "moved", message.into());
        }
        let delayed = |mandate: &Mandate| mandate.visibility.delay().map_or(0, |delay| delay.max_days);
        // On what day a line opens follows in public from the day of its use and these days.
        if (in_force || was_published(old)) && delayed(&body) != delayed(&old.body) {
            let message = "A revision keeps the days that were published. Keep them, or publish another mandate.";
            check.note("visibility.delayed.max_days", "moved", message.into());
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

/// The body whose two people have to approve beside the controller's that a mandate becomes active: because it waives something, or answers for
/// a delay. No mandate has both.
pub(super) fn beside(register: &Register, id: &MandateId) -> Option<AgencyId> {
    let body = &register.mandates.get(id)?.body;
    if let Some(delay) = body.visibility.delay() {
        return Some(delay.authority.clone());
    }
    let is_waived = body.eight_conditions.as_ref()?.waivers().next().is_some();
    is_waived.then(|| body.oversight_body.clone())
}

/// Whether any revision of it was public before, so that people may have agreed to its end.
fn was_published(entry: &Entry<Mandate>) -> bool {
    entry.history.iter().any(|step| matches!(step.to, State::Published | State::Active))
}

/// What is missing of the impact assessment that the law asks of a mandate before it begins.
fn unassessed(register: &Register, entry: &Entry<Mandate>, at: Time) -> Vec<Problem> {
    let asked = assessment::asked_of(register, &entry.body, at);
    if asked.is_empty() {
        return Vec::new();
    }
    match assessment::holding(register, entry) {
        None => {
            let missing = asked.iter().map(|asked| {
                let (trigger, article) = (asked.trigger.code(), &asked.article);
                let message = format!(
                    "The law asks for an impact assessment because of `{trigger}` ({article}), and none holds for this revision. Publish it first."
                );
                problem("assessment", "missing", message)
            });
            missing.collect()
        }
        Some(held) if held.body.decision != Decision::Continue => {
            let message = "The impact assessment does not let this mandate begin. Change the mandate, or assess it anew.";
            vec![problem("assessment.decision", "not-continued", message.into())]
        }
        Some(held) if held.body.review_due <= at => {
            let message = "The review of the impact assessment is overdue. Assess the mandate anew.";
            vec![problem("assessment.review_due", "past", message.into())]
        }
        Some(_) => Vec::new(),
    }
}

/// What a step of a mandate needs beside its approvals.
pub(super) fn step(check: &mut Check<'_>, id: &MandateId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.mandates.get(id) else { return };
    let ends = |entry: &Entry<Uncertified>| entry.body.mandate.as_ref() == Some(id);
    if change.to == State::Active {
        check.problems.extend(unassessed(register, entry, at));
    }
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
        State::Active if entry.body.eight_conditions.as_ref().is_some_and(|eight| !eight.are_kept(at)) => {
            let message = "A waiver of one of the eight conditions is over. Publish a revision that meets the condition.";
            check.note("to", "waiver-over", message.into());
        }
        State::Sunset if at < entry.body.sunset_at => {
            check.note("to", "before-sunset", "The mandate has not reached its last day. Revoke it to end it early.".into());
        }
        State::Erased if register.certificate(id).is_none() && !register.uncertified.values().any(ends) => {
            check.note("to", "no-certificate", "Nothing says that the keys are gone. Publish their certificate first.".into());
        }
        _ => {}
    }
}
