//! Breaches: opened by two people or by the machine, carried on step by step, and closed by two people once every clock is answered.

use super::Check;
use crate::Time;
use crate::agency::AgencyKind;
use crate::breach::{Breach, BreachState, ClockStanding, LegalClock, breach_guard};
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
    log(check, old, &body);
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
        Some(old) if is_step(old, body) => breach_guard(old.state, body.state).map_or(1, |guard| guard.approvals),
        _ => 2,
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

/// Whether a revision only takes a step and adds answers to clocks, measures, or who was told. Which clocks a step brings the laws say.
fn is_step(old: &Breach, new: &Breach) -> bool {
    let rest = |breach: &Breach| Breach {
        state: new.state,
        aware_at: breach.aware_at.or(new.aware_at),
        clocks: Vec::new(),
        told: None,
        notices: Vec::new(),
        log_check: None,
        measures: None,
        ..breach.clone()
    };
    rest(old) == rest(new)
}

/// Whether it only says who was told, that the people therefore are, or what the machine found in the log.
fn is_telling(old: &Breach, new: &Breach) -> bool {
    let rest = |breach: &Breach| {
        let is_of_persons = |clock: &&LegalClock| clock.duty != Duty::TellPersons;
        let clocks = breach.clocks.iter().filter(is_of_persons).cloned().collect();
        Breach { clocks, told: None, log_check: None, ..breach.clone() }
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
    let log_check = body.log_check.as_ref().map(|found| found.at);
    let times = [("aware_at", body.aware_at), ("from", Some(body.from)), ("until", body.until), ("told", told)];
    let times = times.into_iter().chain([("closed_at", body.closed_at), ("log_check", log_check)]);
    let times = times.chain(body.notices.iter().map(|notice| ("notices", Some(notice.at))));
    let times = times.chain(answers.map(|at| ("clocks", at)));
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
        found.any(|clock| LegalClock { answer: wanted.answer.clone(), ..clock.clone() } == *wanted)
    };
    let demanded: Vec<LegalClock> = check.register.breach_clocks(body);
    // What was demanded once stays as it was said, though a law may have changed since. Only another level moves what has not run out.
    let is_unanswered = |known: &LegalClock| body.clocks.iter().any(|clock| clock.is_same(known) && clock.answer.is_none());
    let has_other_level = old.is_some_and(|old| old.severity != body.severity);
    let moves = |known: &LegalClock| {
        has_other_level
            && known.moves_with_level(check.statement.at)
            && is_unanswered(known)
            && check.register.has_levels(body, known.duty)
    };
    let as_demanded = |known: &LegalClock| demanded.iter().find(|clock| clock.is_same(known)).cloned();
    let known: Vec<LegalClock> = known
        .iter()
        .map(|clock| Some(clock).filter(|clock| moves(clock)).and_then(as_demanded).unwrap_or_else(|| clock.clone()))
        .collect();
    let new = demanded.iter().filter(|clock| !known.iter().any(|old| old.is_same(clock)));
    for clock in known.iter().chain(new).filter(|clock| !is_there(clock)) {
        let message = format!("The law `{}` demands `{}` until {}. List it so.", clock.law, clock.duty.code(), clock.due_at);
        check.note("clocks", "other-clock", message);
    }
    let is_demanded = |clock: &&LegalClock| demanded.iter().chain(&known).any(|other| other.is_same(clock));
    if let Some(clock) = body.clocks.iter().find(|clock| !is_demanded(clock)) {
        let message = format!("No law that applies demands `{}` under `{}`. Take it out.", clock.duty.code(), clock.law);
        check.note("clocks", "not-demanded", message);
    }
    let stands = |old: &LegalClock| body.clocks.iter().any(|clock| clock.is_same(old) && clock.answer == old.answer);
    if known.iter().any(|clock| clock.answer.is_some() && !stands(clock)) {
        check.note("clocks", "taken-back", "An answer that was published is missing or another. Keep it as it is.".into());
    }
}

/// What the machine found in the log, as far as the register can look: the incidents of the counters, the leaves whose times it knows, and the
/// roots that were said before.
fn log(check: &mut Check<'_>, old: Option<&Breach>, body: &Breach) {
    let register = check.register;
    let Some(found) = body.log_check.as_ref().filter(|_| old.is_none_or(|old| old.log_check != body.log_check)) else { return };
    if check.has_person() {
        check.note("log_check", "not-machine", "What is in the log the machine says, not people. Leave it out.".into());
    }
    if body.until.is_none() {
        check.note("log_check", "goes-on", "It is not known until when to look. Say `until` first.".into());
    }
    if found.gaps != register.gaps_of(body, found.at) {
        check.note("log_check", "other-gaps", "The register knows of other incidents in that time. List those.".into());
    }
    let (before, after) = register.log_range(body);
    if before < found.from_size || after.is_some_and(|after| found.to_size < after) {
        check.note("log_check", "too-short", "It leaves out leaves of that time. Look at all of them.".into());
    }
    for (field, size, root) in [("from_root", found.from_size, found.from_root), ("to_root", found.to_size, found.to_root)] {
        if found.consistent && register.checked_root(size).is_some_and(|known| known != root) {
            let message = "A log of this size had another root in an earlier check, so it is not consistent. Say so, and look who rewrote it.";
            check.note(&format!("log_check.{field}"), "other-root", message.into());
        }
    }
}

fn opened(check: &mut Check<'_>, body: &Breach) {
    if !body.state.opens() {
        let message =
            "A breach begins with a suspicion, with what was detected, or as a near miss. Say what came after in steps.";
        check.note("state", "not-open", message.into());
    }
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
    if old.state != body.state && breach_guard(old.state, body.state).is_none() {
        let next: Vec<&str> = old.state.next().map(BreachState::code).collect();
        let (from, to) = (old.state.code(), body.state.code());
        let next = if next.is_empty() { "nothing".to_owned() } else { next.join(", ") };
        check.note("state", "no-such-step", format!("No step leads from `{from}` to `{to}`. What can follow: {next}."));
    }
    if !body.notices.starts_with(&old.notices) {
        check.note("notices", "taken-back", "A notice that was said is missing or another. Add new ones behind it.".into());
    }
    if old.severity.is_some() && body.severity.is_none() {
        check.note("severity", "taken-back", "The level was said. Keep it, or say another one.".into());
    }
    let is_other_time = old.aware_at.is_some() && old.aware_at != body.aware_at;
    if old.cause != body.cause || is_other_time || old.incident != body.incident {
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
    if is_same && old.log_check.is_some() && body.log_check.is_none() {
        check.note("log_check", "taken-back", "What the machine found in the log is missing. Keep it.".into());
    }
    if !is_same && body.log_check.is_some() && old.log_check == body.log_check {
        let message = "It is about another time or other data now. Leave this out; the machine looks again.";
        check.note("log_check", "stale", message.into());
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
    if body.lessons.is_none() {
        check.note("lessons", "missing", "Nothing was learned from it. Say what changes.".into());
    }
}
