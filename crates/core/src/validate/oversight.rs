//! Orders, meetings and rulings: spoken by two people of an oversight body, about what that body oversees.

use super::Check;
use crate::agency::AgencyKind;
use crate::id::{AgencyId, MeetingId, OrderId, RulingId};
use crate::meeting::Meeting;
use crate::order::{Order, OrderKind, Standing, Target};
use crate::register::Content;
use crate::ruling::Ruling;

pub(super) fn order(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Order::read(&statement.body))?;
    overseer(check, &body.body);
    let id: OrderId = statement.id.parse().ok()?;
    match register.orders.get(&id) {
        // An order stands though the mandate may name another overseer by now, so what was lawful when it was given is not asked again.
        Some(old) => {
            if !body.commands_as(&old.body) {
                let message = "An order is not changed. Lift it and give another; a revision adds evidence or an appeal only.";
                check.note("rev", "final", message.into());
            }
            if !old.body.compulsion.iter().all(|document| body.compulsion.contains(document)) {
                check.note("compulsion", "withdrawn", "What was published is missing. Keep it and add to it.".into());
            }
            if body.compulsion != old.body.compulsion
                && register.standing(&id, old, statement.at) != Standing::Overdue
                && old.body.compulsion.is_empty()
            {
                let message = "The order is not overdue, so nobody is compelled. Publish what was done as evidence.";
                check.note("compulsion", "not-overdue", message.into());
            }
            if !old.body.evidence.iter().all(|document| body.evidence.contains(document)) {
                check.note("evidence", "withdrawn", "Evidence that was published is missing. Keep it and add to it.".into());
            }
        }
        None => first(check, &id, &body),
    }
    Some(Content::Order(id, Box::new(body)))
}

/// What holds for an order that is given now.
fn first(check: &mut Check<'_>, id: &OrderId, body: &Order) {
    let (register, statement) = (check.register, check.statement);
    if !body.compulsion.is_empty() {
        let message = "Nobody can be compelled before the order is overdue. Add this by a later revision.";
        check.note("compulsion", "not-overdue", message.into());
    }
    if body.effective_at.is_some_and(|at| at < statement.at) {
        let message = "The order would bind before it was given. Date it later, or leave the time out: it binds at once.";
        check.note("effective_at", "goes-back", message.into());
    }
    if body.comply_by.is_some_and(|by| by <= statement.at) {
        check.note("comply_by", "past", "The order is overdue before anybody heard of it. Give a later day.".into());
    }
    if !body.target.exists(register) {
        check.unknown("target", &body.target, "object");
        return;
    }
    if let (Some(draw), Target::Mandate(mandate)) = (&body.draw, &body.target)
        && register.last_tally(mandate).is_none_or(|last| last < draw.to)
    {
        let message = "Not all of these days are counted, so they could be chosen by whoever counts them. Draw from days whose tallies are public.";
        check.note("draw.to", "not-counted", message.into());
    }
    if body.kind == OrderKind::Lift {
        lift(check, id, body);
    } else if !body.target.is_overseen(register, &body.body) {
        let message =
            format!("`{}` does not oversee `{}`. Let the body that its mandate names give the order.", body.body, body.target);
        check.note("target", "not-overseen", message);
    }
    for (i, block) in body.blocks.iter().enumerate() {
        if !register.blocks.contains_key(block) {
            check.unknown(&format!("blocks[{i}]"), block, "data block");
        }
    }
}

/// Who gave an order ends it, nobody else, and once.
fn lift(check: &mut Check<'_>, id: &OrderId, body: &Order) {
    let register = check.register;
    let Some(lifts) = &body.lifts else { return };
    match register.orders.get(lifts) {
        None => check.unknown("lifts", lifts, "order"),
        Some(order) if order.body.body != body.body => {
            let message = format!("`{}` gave this order. Only the same body can lift it.", order.body.body);
            check.note("lifts", "not-the-owner", message);
        }
        Some(order) if order.body.target != body.target => {
            let message = format!("That order is about `{}`. Name the same target.", order.body.target);
            check.note("target", "other-target", message);
        }
        Some(order) if order.body.kind == OrderKind::Lift => {
            check.note("lifts", "a-lift", "A lift is not lifted. Give a new order.".into());
        }
        Some(_) if register.lifts.get(lifts).is_some_and(|other| other != id) => {
            check.note("lifts", "lifted", "That order was lifted already. There is nothing left to lift.".into());
        }
        Some(_) => {}
    }
}

pub(super) fn meeting(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Meeting::read(&statement.body))?;
    overseer(check, &body.body);
    let id: MeetingId = statement.id.parse().ok()?;
    if let Some(old) = register.meetings.get(&id) {
        check.same_owner("body", &old.body.body, &body.body);
    }
    if body.held_at > statement.at {
        check.note("held_at", "future", "The meeting has not taken place. Publish its minutes afterwards.".into());
    }
    for (i, decision) in body.decisions.iter().enumerate() {
        for (j, order) in decision.orders.iter().enumerate() {
            match register.orders.get(order) {
                None => check.unknown(&format!("decisions[{i}].orders[{j}]"), order, "order"),
                Some(entry) if entry.body.body != body.body => {
                    let message = format!("`{}` gave this order. Name orders of the body that met.", entry.body.body);
                    check.note(&format!("decisions[{i}].orders[{j}]"), "not-the-owner", message);
                }
                Some(_) => {}
            }
        }
    }
    Some(Content::Meeting(id, Box::new(body)))
}

/// Cases stand in no log, so that one was decided so is the word of the two who say it.
pub(super) fn ruling(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Ruling::read(&statement.body))?;
    overseer(check, &body.body);
    let id: RulingId = statement.id.parse().ok()?;
    if let Some(old) = register.rulings.get(&id) {
        check.same_owner("body", &old.body.body, &body.body);
    }
    if !register.agencies.contains_key(&body.office) {
        check.unknown("office", &body.office, "body");
        return None;
    }
    let own = register.mandates.values().filter(|entry| entry.body.controller == body.office);
    let mut overseen = own.filter(|entry| entry.body.oversight_body == body.body);
    match &body.mandate {
        Some(mandate) if !register.mandates.contains_key(mandate) => check.unknown("mandate", mandate, "mandate"),
        Some(mandate) if overseen.all(|entry| entry.id != mandate.as_str()) => {
            let message = format!(
                "`{mandate}` is no mandate of `{}` that `{}` oversees. Name the one that the case was about.",
                body.office, body.body
            );
            check.note("mandate", "not-overseen", message);
        }
        None if overseen.next().is_none() => {
            let message =
                format!("`{}` oversees no mandate of `{}`. Let the body that decided publish it.", body.body, body.office);
            check.note("office", "not-overseen", message);
        }
        _ => {}
    }
    Some(Content::Ruling(id, body))
}

/// Two people of an oversight body in two roles speak.
fn overseer(check: &mut Check<'_>, body: &AgencyId) {
    let kind = check.register.agencies.get(body).map(|entry| entry.body.kind);
    if kind.is_some_and(|kind| kind != AgencyKind::Oversight) {
        check.note(
            "body",
            "not-oversight",
            "The named body is no oversight body. Only one of those gives orders and meets.".into(),
        );
    }
    check.speaker(body, 2);
}
