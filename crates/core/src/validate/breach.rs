//! Breaches: opened by two people or by the machine, carried on step by step, and closed by two people once every clock is answered.

use super::Check;
use crate::Time;
use crate::agency::AgencyKind;
use crate::breach::{Breach, ClockStanding, LegalClock};
use crate::id::BreachId;
use crate::lawpack::Duty;
use crate::register::Content;

pub(super) fn breach(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Breach::read(&statement.body))?;
    let id: BreachId = statement.id.parse().ok()?;
    let old = register.breaches.get(&id).map(|entry| &entry.body);
    speaker(check, old, &body);
    things(check, &body);
    times(check, &body);
    clocks(check, old, &body);
    match old {
        Some(old) => continued(check, old, &body),
        None => opened(check, &body),
    }
    if body.is_closed() {
        closed(check, &body);
    }
    Some(Content::Breach(id, Box::new(body)))
}

/// The body that answers for it speaks, or the operator: two people, but for a step, or for what the machine sees and does by itself.
fn speaker(check: &mut Check<'_>, old: Option<&Breach>, body: &Breach) {
    let is_seen = body.cause.is_seen_by_machine() && body.advice.is_none() && !check.has_person();
    if old.is_none() && is_seen {
        check.operator_speaks(1);
        return;
    }
    let needed = match old {
        None => 2,
        Some(old) if is_step(old, body) => 1,
        Some(_) => 2,
    };
    if check.statement.by == body.body {
        check.speaker(&body.body, needed);
    } else {
        check.operator_speaks(needed);
    }
    if needed == 1 && old.is_some_and(|old| !is_telling(old, body)) && !check.has_person() {
        let message = "Only a machine approved this step, which a person has to answer for. Let one sign.";
        check.note("approvals", "no-person", message.into());
    }
}

/// Whether a revision only adds answers to clocks, measures, or who was told.
fn is_step(old: &Breach, new: &Breach) -> bool {
    let rest = |breach: &Breach| {
        let clocks = breach.clocks.iter().map(|clock| LegalClock { answer: None, ..clock.clone() }).collect();
        Breach { clocks, told: None, measures: None, ..breach.clone() }
    };
    rest(old) == rest(new)
}

/// Whether it only says who was told, and that the people therefore are.
fn is_telling(old: &Breach, new: &Breach) -> bool {
    let rest = |breach: &Breach| {
        let is_of_persons = |clock: &&LegalClock| clock.duty != Duty::TellPersons;
        let clocks = breach.clocks.iter().filter(is_of_persons).cloned().collect();
        Breach { clocks, told: None, ..breach.clone() }
    };
    rest(old) == rest(new)
}

fn things(check: &mut Check<'_>, body: &Breach) {
    let register = check.register;
    match register.agencies.get(&body.body) {
        None => check.unknown("body", &body.body, "agency"),
        Some(entry) if entry.body.kind == AgencyKind::Vendor => {
            let message = "A vendor does not answer for a breach. Name the body that commissioned it, and the contract.";
            check.note("body", "vendor", message.into());
        }
        Some(_) => {}
    }
    for (i, id) in body.mandates.iter().enumerate().filter(|(_, id)| !register.mandates.contains_key(*id)) {
        check.unknown(&format!("mandates[{i}]"), id, "mandate");
    }
    for (i, id) in body.services.iter().enumerate().filter(|(_, id)| !register.services.contains_key(*id)) {
        check.unknown(&format!("services[{i}]"), id, "service");
    }
    for (i, id) in body.blocks.iter().enumerate().filter(|(_, id)| !register.blocks.contains_key(*id)) {
        check.unknown(&format!("blocks[{i}]"), id, "data block");
    }
    if let Some(id) = body.contract.as_ref().filter(|id| !register.contracts.contains_key(*id)) {
        check.unknown("contract", id, "contract");
    }
    if let Some(id) = body.incident.as_ref().filter(|id| !register.incidents.contains_key(*id)) {
        check.unknown("incident", id, "incident");
    }
}

/// Nothing in a breach is said to happen after its statement.
fn times(check: &mut Check<'_>, body: &Breach) {
    let answers = body.clocks.iter().filter_map(|clock| clock.answer.as_ref()).map(|answer| Some(answer.at));
    let told = body.told.as_ref().map(|told| told.at);
    let times = [("aware_at", Some(body.aware_at)), ("from", Some(body.from)), ("until", body.until), ("told", told)];
    let times = times.into_iter().chain([("closed_at", body.closed_at)]).chain(answers.map(|at| ("clocks", at)));
    let late: Vec<&str> =
        times.filter(|(_, at)| at.is_some_and(|at: Time| at > check.statement.at)).map(|(name, _)| name).collect();
    for field in late {
        check.note(field, "future", "A time lies in the future. Say what has happened.".into());
    }
    if body.clocks.iter().filter_map(|clock| clock.answer.as_ref()).any(|answer| answer.at < body.first_signal_at) {
        check.note("clocks", "before-sign", "A clock was answered before there was a sign. Correct the time.".into());
    }
}

/// The clocks are those that the laws demand, and those that were demanded before.
fn clocks(check: &mut Check<'_>, old: Option<&Breach>, body: &Breach) {
    let known = old.map_or(&[][..], |old| &old.clocks);
    let is_there = |wanted: &LegalClock| {
        let mut found = body.clocks.iter().filter(|clock| clock.is_same(wanted));
        found.any(|clock| clock.due_at == wanted.due_at && clock.article == wanted.article)
    };
    // What was demanded once stays as it was said, though a law may have changed since.
    let demanded: Vec<LegalClock> = check.register.breach_clocks(body);
    let new = demanded.iter().filter(|clock| !known.iter().any(|old| old.is_same(clock)));
    for clock in known.iter().chain(new).filter(|clock| !is_there(clock)) {
        let message = format!("The law `{}` demands `{}` until {}. List it so.", clock.law, clock.duty.code(), clock.due_at);
        check.note("clocks", "other-clock", message);
    }
    let is_demanded = |clock: &&LegalClock| demanded.iter().chain(known).any(|other| other.is_same(clock));
    if let Some(clock) = body.clocks.iter().find(|clock| !is_demanded(clock)) {
        let message = format!("No law that applies demands `{}` under `{}`. Take it out.", clock.duty.code(), clock.law);
        check.note("clocks", "not-demanded", message);
    }
    let stands = |old: &LegalClock| body.clocks.iter().any(|clock| clock.is_same(old) && clock.answer == old.answer);
    if known.iter().any(|clock| clock.answer.is_some() && !stands(clock)) {
        check.note("clocks", "taken-back", "An answer that was published is missing or another. Keep it as it is.".into());
    }
}

fn opened(check: &mut Check<'_>, body: &Breach) {
    if body.is_closed() {
        check.note("closed_at", "not-open", "The breach was not opened. Open it first.".into());
    }
    if body.told.is_some() {
        check.note("told", "not-open", "Nobody is told of a breach that is not open. Open it first.".into());
    }
}

fn continued(check: &mut Check<'_>, old: &Breach, body: &Breach) {
    if old.is_closed() {
        check.note("rev", "final", "A closed breach is not changed. Open another one.".into());
    }
    check.same_owner("body", &old.body, &body.body);
    if old.cause != body.cause || old.aware_at != body.aware_at || old.incident != body.incident {
        let message = "How it came about and when the body learned of it stand. Say in the facts what is known better.";
        check.note("aware_at", "changed", message.into());
    }
    let has_all =
        old.mandates.iter().all(|id| body.mandates.contains(id)) && old.services.iter().all(|id| body.services.contains(id));
    if !has_all || old.contract.is_some() && old.contract != body.contract {
        let message = "Something that was said to be concerned is missing. Keep it, and say in the facts if it was not.";
        check.note("mandates", "taken-back", message.into());
    }
    let is_same = old.concerns_same(body);
    if old.advice.is_some() && body.advice.is_none() || is_same && old.told.is_some() && body.told.is_none() {
        let message = "People are told, or will be. Keep what they are told, or say it better.";
        check.note("advice", "taken-back", message.into());
    }
    if !is_same && body.told.is_some() {
        let message = "It concerns others now, who may not be told yet. Leave this out; the machine says it again.";
        check.note("told", "stale", message.into());
    }
}

/// Every clock is answered, everybody is told who was to be, and something was learned.
fn closed(check: &mut Check<'_>, body: &Breach) {
    let is_open =
        |clock: &&LegalClock| matches!(clock.standing(check.statement.at), ClockStanding::Late | ClockStanding::Running);
    if let Some(clock) = body.clocks.iter().find(is_open) {
        let message =
            format!("Nobody has answered `{}` of the law `{}`. Answer it, or say why not.", clock.duty.code(), clock.law);
        check.note("clocks", "unanswered", message);
    }
    if body.advice.is_some() && body.told.is_none() {
        check.note("told", "missing", "The people concerned are not all told yet. Wait for the machine.".into());
    }
    if body.until.is_none() {
        check.note("until", "missing", "It goes on, or nobody has said that it ended. Say until when.".into());
    }
    if body.lessons.is_none() {
        check.note("lessons", "missing", "Nothing was learned from it. Say what changes.".into());
    }
}
