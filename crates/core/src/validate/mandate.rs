//! Mandate: its parties and blocks exist and fit, and its steps come in time.

use super::emergency::{agreed_with_security, found_needed, not_continued, renewal, unshown, waivers};
use super::{Check, problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::assessment::{self, Before, Decision};
use crate::block::Sensitivity;
use crate::draft::Problem;
use crate::id::{AgencyId, MandateId};
use crate::lawpack::{Duty, Law, Opens};
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
    problems.extend(unshown(register, mandate));
    problems.extend(rests_on(register, mandate, at));
    problems.extend(beyond(register, mandate, at));
    if emergency {
        problems.extend(renewal(register, mandate, at));
        problems.extend(found_needed(register, mandate, at));
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

/// The provision and the exception are ones that the law of the controller lists.
fn rests_on(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let law = register.law(&mandate.controller, at);
    let mut problems = Vec::new();
    let basis = &mandate.legal_basis;
    let listed = |code: &str| law.bases().iter().find(|listed| listed.code == code);
    match basis.provision.as_deref() {
        _ if law.bases().is_empty() => {}
        None => {
            let fitting = law.bases().iter().filter(|listed| listed.basis == basis.code);
            let fitting: Vec<String> = fitting.map(|listed| format!("{} ({})", listed.code, listed.article)).collect();
            let message = format!(
                "The law of the controller lists the provisions a mandate can rest on, and none is named. Name one of: {}.",
                if fitting.is_empty() { "none of this kind".to_owned() } else { fitting.join(", ") }
            );
            problems.push(problem("legal_basis.provision", "missing", message));
        }
        Some(code) => match listed(code) {
            None => {
                let message = format!("The law of the controller lists no `{code}`. Name a provision that it lists.");
                problems.push(problem("legal_basis.provision", "unlisted", message));
            }
            Some(listed) if listed.basis != basis.code => {
                let message =
                    format!("`{code}` ({}) is another kind of basis. Name one of this kind, or correct `code`.", listed.article);
                problems.push(problem("legal_basis.provision", "other-basis", message));
            }
            Some(_) => {}
        },
    }
    problems.extend(unordered(law, mandate));
    let special = mandate
        .blocks
        .iter()
        .find(|asked| register.blocks.get(&asked.block).is_some_and(|block| block.body.sensitivity == Sensitivity::Special));
    let doors: Vec<_> = law.exceptions().iter().filter(|listed| listed.opens == Opens::Special).collect();
    match (&mandate.exception, special) {
        (None, Some(asked)) => {
            let listed: Vec<String> = doors.iter().map(|listed| format!("{} ({})", listed.code, listed.article)).collect();
            let listed = if listed.is_empty() { String::new() } else { format!(" The law lists {}.", listed.join(", ")) };
            let message = format!(
                "`{}` is specially protected and no exception is named. Name one and say why it holds.{listed}",
                asked.block
            );
            problems.push(problem("exception", "missing", message));
        }
        (Some(exception), special) => match law.exceptions().iter().find(|listed| listed.code == exception.code) {
            None if !law.exceptions().is_empty() => {
                let message =
                    format!("The law of the controller lists no `{}`. Name an exception that it lists.", exception.code);
                problems.push(problem("exception.code", "unlisted", message));
            }
            Some(listed) if special.is_some() && listed.opens != Opens::Special => {
                let message = format!(
                    "`{}` ({}) does not open specially protected data. Name an exception that does, or leave the block out.",
                    listed.code, listed.article
                );
                problems.push(problem("exception.code", "not-for-special", message));
            }
            _ => {}
        },
        (None, None) => {}
    }
    problems
}

/// A provision that rests on an order names it, and no other does: what nobody ordered is not shown as an order.
fn unordered(law: Law<'_>, mandate: &Mandate) -> Option<Problem> {
    let basis = &mandate.legal_basis;
    match (&basis.order, law.is_order(basis)) {
        (None, true) => {
            let message =
                "The provision rests on an order of a court or an overseer, and none is named. Give `legal_basis.order`.";
            Some(problem("legal_basis.order", "missing", message.into()))
        }
        (Some(_), false) => {
            let message = "The law of the controller does not list this provision as one that rests on an order. Name one that does, or take the order out.";
            Some(problem("legal_basis.order", "no-order", message.into()))
        }
        _ => None,
    }
}

/// Countries beyond what the law of the controller allows, without anything that protects data there.
fn beyond(register: &Register, mandate: &Mandate, at: Time) -> Vec<Problem> {
    let law = register.law(&mandate.controller, at);
    let allowed = law.data_locations();
    let is_safe = |place: &String| {
        allowed.is_empty() || allowed.contains(place) || mandate.transfers.iter().any(|transfer| transfer.country == *place)
    };
    let unsafe_places = mandate.locations.iter().enumerate().filter(|(_, place)| !is_safe(place));
    unsafe_places
        .map(|(i, place)| {
            let message = format!(
                "`{place}` lies beyond what the law allows. Name in `transfers` what protects the data there, or take it out."
            );
            problem(&format!("locations[{i}]"), "no-safeguard", message)
        })
        .collect()
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
    if let Some(third) = mandate.third_party
        && third.max_days > law.days(Duty::ClosedLongest)
    {
        let (longest, article) = (law.days(Duty::ClosedLongest), &law.deadline(Duty::ClosedLongest).article);
        let message = format!("A matter would be closed to the resident for longer than {longest} days ({article}). Shorten it.");
        problems.push(problem("third_party.max_days", "too-long", message));
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
    check.problems.extend(not_continued(register, &id, &body, statement.at));
    if let Some(old) = register.mandates.get(&id) {
        check.same_owner("controller", &old.body.controller, &body.controller);
        if old.body.oversight_body != body.oversight_body && register.binding(id.as_str(), statement.at).next().is_some() {
            let message = "An order stands against this mandate, so its overseer stays. Obey the order, or have it lifted first.";
            check.note("oversight_body", "under-order", message.into());
        }
        if body.kind == MandateKind::Emergency && agreed_with_security(register, &id) {
            let message = "A security or intelligence body agreed about this mandate, so it cannot become an emergency. End the agreement first.";
            check.note("kind", "security-party", message.into());
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

/// Whether any revision of it was public before, so that people may have agreed to its end.
pub(super) fn was_published(entry: &Entry<Mandate>) -> bool {
    entry.history.iter().any(|step| matches!(step.to, State::Published | State::Active))
}

/// What is missing of the impact assessment that the law asks of a mandate before its step to `to`.
fn unassessed(register: &Register, entry: &Entry<Mandate>, to: State, at: Time) -> Vec<Problem> {
    let mut asked = assessment::asked_of(register, &entry.body, at);
    asked.retain(|asked| match to {
        State::Active => true,
        State::Approved | State::Published => asked.before == Before::Approved,
        _ => false,
    });
    if asked.is_empty() {
        return Vec::new();
    }
    match assessment::holding(register, entry) {
        None => {
            let missing = asked.iter().map(|asked| {
                let (why, article) = (asked.why(&entry.body), &asked.article);
                let message = format!(
                    "The law asks for an impact assessment because of {why} ({article}), and none holds for this revision. Publish it first."
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

/// What is missing of the time that people had to comment on what is approved now.
fn unheard(register: &Register, entry: &Entry<Mandate>, at: Time) -> Vec<Problem> {
    let mut problems = Vec::new();
    if entry.body.kind == MandateKind::Emergency {
        return problems;
    }
    if entry.body.consultation.summary.is_none() {
        let message = "Nobody has summed up what people said. Publish a revision with `consultation.summary`.";
        problems.push(problem("to", "no-summary", message.into()));
    }
    let law = register.law(&entry.body.controller, at);
    if let Some(deadline) = law.deadline_if_any(Duty::CommentPublic)
        && at < register.open_since(entry).plus(deadline.within())
    {
        let message = format!(
            "What is approved has stood in the log for {} days, and people need {} ({}). Wait until they had them.",
            (at.micros() - register.open_since(entry).micros()) / DAY,
            deadline.within() / DAY,
            deadline.article
        );
        problems.push(problem("to", "not-public", message));
    }
    problems
}

/// Bodies that would have a block under this mandate and under one whose purpose excludes it.
fn incompatible(register: &Register, id: &MandateId, entry: &Entry<Mandate>, at: Time) -> Vec<Problem> {
    let others = register
        .mandates
        .iter()
        .filter(|(other, held)| *other != id && held.is_in_force(at) && !entry.body.is_compatible_with(&held.body));
    let mut problems = Vec::new();
    for (other, held) in others {
        let receives = |agency: &AgencyId| held.body.recipients.iter().any(|recipient| recipient.agency == *agency);
        let both = entry.body.recipients.iter().map(|recipient| &recipient.agency).find(|agency| receives(agency));
        let block = entry.body.blocks.iter().map(|asked| &asked.block).find(|block| held.body.asked(block).is_some());
        if let Some((agency, block)) = both.zip(block) {
            let message = format!(
                "`{agency}` would have `{block}` under this mandate and under `{other}`, whose purposes exclude each other. End that mandate first, or leave the block or the body out."
            );
            problems.push(problem("to", "incompatible-purpose", message));
        }
    }
    problems
}

/// What a step of a mandate needs beside its approvals.
pub(super) fn step(check: &mut Check<'_>, id: &MandateId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.mandates.get(id) else { return };
    let ends = |entry: &Entry<Uncertified>| entry.body.mandate.as_ref() == Some(id);
    check.problems.extend(unassessed(register, entry, change.to, at));
    if change.to == State::Approved {
        check.problems.extend(unheard(register, entry, at));
    }
    if change.to == State::Active {
        check.problems.extend(incompatible(register, id, entry, at));
    }
    // What was published since the draft counts too.
    if matches!(change.to, State::Published | State::Active) {
        check.problems.extend(not_continued(register, id, &entry.body, at));
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
