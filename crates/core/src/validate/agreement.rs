//! Sharing agreement: signed by two people of every party, public for as long as the law asks before it opens anything.

use std::collections::BTreeSet;

use super::Check;
use crate::Time;
use crate::agency::AgencyKind;
use crate::agreement::Agreement;
use crate::id::{AgencyId, AgreementId};
use crate::lawpack::{Duty, Law};
use crate::lifecycle::{Guard, State};
use crate::mandate::{Mandate, MandateKind};
use crate::register::{Content, Entry, Register};
use crate::status::StatusChange;
use crate::time::DAY;

pub(super) fn agreement(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Agreement::read(&statement.body))?;
    speaks(check, &body.parties, 2);
    parties(check, &body);
    references(check, &body);
    if body.sunset_at.micros() - body.in_force_from.micros() > longest(register, &body, statement.at) {
        let days = longest(register, &body, statement.at) / DAY;
        check.note(
            "sunset_at",
            "too-long",
            format!("The agreement runs longer than {days} days. Shorten it; what goes on is a new one."),
        );
    }
    if let Some((i, _)) = body.reviews.iter().enumerate().find(|(_, review)| review.at > statement.at) {
        check.note(&format!("reviews[{i}].at"), "future", "The review has not taken place. Review first, then publish.".into());
    }
    let id: AgreementId = statement.id.parse().ok()?;
    if let Some(continues) = &body.continues {
        match register.agreements.get(continues) {
            _ if *continues == id => {
                let message = "The agreement would go on from itself. Name the one before it, or leave this out.";
                check.note("continues", "itself", message.into());
            }
            None => check.unknown("continues", continues, "agreement"),
            Some(before) if !body.parties.iter().any(|party| before.body.parties.contains(party)) => {
                let message =
                    format!("None of the parties agreed in `{continues}`. Name an agreement of theirs, or leave this out.");
                check.note("continues", "other-parties", message);
            }
            Some(_) => {}
        }
    }
    if let Some(old) = register.agreements.get(&id) {
        if old.body.parties != body.parties {
            check.note(
                "parties",
                "moved",
                "The parties of an agreement do not change. Publish a new one under another id.".into(),
            );
        }
        if old.state.is_over() || statement.at >= old.body.sunset_at {
            check.note("id", "over", "This agreement has ended. Publish a new one.".into());
        }
        if !old.body.reviews.iter().all(|review| body.reviews.contains(review)) {
            check.note("reviews", "withdrawn", "A review that was published is missing. Keep it and add to it.".into());
        }
        if old.body.agrees_as(&body) && body.review_due > old.body.review_due && body.reviews.len() == old.body.reviews.len() {
            check.note(
                "review_due",
                "prolonged",
                "The day of the review moves only after one. Add what it found to `reviews`.".into(),
            );
        }
    }
    Some(Content::Agreement(id, Box::new(body)))
}

/// Public bodies only; a vendor acts for one of them by contract.
fn parties(check: &mut Check<'_>, body: &Agreement) {
    let register = check.register;
    let is_emergency = mandates(register, body).any(|mandate| mandate.body.kind == MandateKind::Emergency);
    for (i, party) in body.parties.iter().enumerate() {
        let field = format!("parties[{i}]");
        match check.register.agencies.get(party).map(|entry| entry.body.kind) {
            None => check.unknown(&field, party, "agency"),
            Some(AgencyKind::Vendor) => {
                check.note(
                    &field,
                    "vendor-party",
                    "A vendor is no party of an agreement. Name the body that commissions it.".into(),
                );
            }
            Some(AgencyKind::SecurityOrIntelligence) if is_emergency => {
                let message = "A security or intelligence body agrees about no emergency. Take the party or the mandate out.";
                check.note(&field, "security-body", message.into());
            }
            Some(_) => {}
        }
    }
    match check.register.agencies.get(&body.oversight_body).map(|entry| entry.body.kind) {
        None => check.unknown("oversight_body", &body.oversight_body, "agency"),
        Some(kind) if kind != AgencyKind::Oversight || body.parties.contains(&body.oversight_body) => {
            let message = "The named body is no independent oversight body. Name one that is no party.";
            check.note("oversight_body", "not-oversight", message.into());
        }
        Some(_) => {}
    }
}

/// What it names exists and belongs to its parties.
fn references(check: &mut Check<'_>, body: &Agreement) {
    let register = check.register;
    for (i, id) in body.mandates.iter().enumerate() {
        let field = format!("mandates[{i}]");
        match register.mandates.get(id) {
            None => check.unknown(&field, id, "mandate"),
            Some(mandate) if !body.parties.contains(&mandate.body.controller) => {
                check.note(
                    &field,
                    "not-a-party",
                    "The body that answers for this mandate is no party. Name it in `parties`.".into(),
                );
            }
            Some(mandate) if mandate.body.purpose.commercial => {
                let message = "This mandate serves business, and an agreement keeps business out. Take it out of the list.";
                check.note(&field, "commercial", message.into());
            }
            Some(mandate) if mandate.body.sunset_at < body.sunset_at => {
                let message = format!("The agreement would outlive `{id}`. End it on the last day of the mandate at the latest.");
                check.note("sunset_at", "outlives-mandate", message);
            }
            Some(_) => {}
        }
    }
    for (i, block) in body.blocks.iter().enumerate() {
        if !register.blocks.contains_key(block) {
            check.unknown(&format!("blocks[{i}]"), block, "data block");
        } else if body.mandates.iter().all(|id| register.mandates.get(id).is_none_or(|entry| entry.body.asked(block).is_none())) {
            let message = format!("None of the mandates names `{block}`. Take it out, or name the mandate that does.");
            check.note(&format!("blocks[{i}]"), "not-in-mandate", message);
        }
    }
    for (i, transfer) in body.transfers.iter().enumerate() {
        for (side, id) in [("from", &transfer.from), ("to", &transfer.to)] {
            let field = format!("transfers[{i}].{side}");
            match register.services.get(id) {
                None => check.unknown(&field, id, "service"),
                Some(service) if !register.is_vendor(&service.body.agency) && !body.parties.contains(&service.body.agency) => {
                    check.note(&field, "not-a-party", "The body of this service is no party. Name it in `parties`.".into());
                }
                Some(_) => {}
            }
        }
    }
}

fn mandates<'a>(register: &'a Register, body: &'a Agreement) -> impl Iterator<Item = &'a Entry<Mandate>> {
    body.mandates.iter().filter_map(|id| register.mandates.get(id))
}

/// The laws of the parties. The strictest of them holds.
fn laws<'a>(register: &'a Register, body: &Agreement, at: Time) -> Vec<Law<'a>> {
    body.parties.iter().map(|party| register.law(party, at)).collect()
}

/// How long it may run, in microseconds.
fn longest(register: &Register, body: &Agreement, at: Time) -> i64 {
    let is_emergency = mandates(register, body).any(|mandate| mandate.body.kind == MandateKind::Emergency);
    let duty = if is_emergency { Duty::EmergencyAgreementLongest } else { Duty::AgreementLongest };
    laws(register, body, at).iter().map(|law| law.within(duty)).min().unwrap_or(0)
}

/// How long it is public before it opens anything, in microseconds.
fn notice(register: &Register, body: &Agreement, at: Time) -> i64 {
    laws(register, body, at).iter().map(|law| law.within(Duty::AgreementNotice)).max().unwrap_or(0)
}

/// One of the parties must be the one who speaks, and `needed` people of each must have approved.
fn speaks(check: &mut Check<'_>, parties: &[AgencyId], needed: usize) {
    if let Some(roles) = approving(check, parties) {
        for party in parties {
            check.enough(&roles, party, needed);
        }
    }
}

fn approving<'a>(check: &mut Check<'a>, parties: &[AgencyId]) -> Option<BTreeSet<(AgencyId, &'a str)>> {
    if !parties.contains(&check.statement.by) {
        let by = &check.statement.by;
        check.note("by", "not-the-owner", format!("`{by}` is no party of this agreement. Let a party publish it."));
        return None;
    }
    let allowed: Vec<&AgencyId> = parties.iter().collect();
    Some(check.approving_roles(&allowed))
}

/// Who may take a step: what opens it needs every party, and what closes it any of them.
pub(super) fn step_speaker(check: &mut Check<'_>, id: &AgreementId, change: &StatusChange, guard: Guard) {
    let Some(entry) = check.register.agreements.get(id) else { return };
    let by = check.statement.by.clone();
    if matches!(change.to, State::Published | State::Active) {
        speaks(check, &entry.body.parties, guard.approvals);
    } else if let Some(roles) = approving(check, &entry.body.parties) {
        check.enough(&roles, &by, guard.approvals);
    }
}

/// What a step of an agreement needs beside its approvals.
pub(super) fn step(check: &mut Check<'_>, id: &AgreementId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.agreements.get(id) else { return };
    let notice = notice(register, &entry.body, at);
    match change.to {
        State::Published if entry.body.in_force_from < at.plus(notice) => {
            let days = notice / DAY;
            let message = format!(
                "The agreement would be in force less than {days} days after its publication. Give it a later first day."
            );
            check.note("to", "too-soon", message);
        }
        State::Active => {
            if at < entry.body.in_force_from || entry.published_at().is_none_or(|published| at < published.plus(notice)) {
                let message = format!(
                    "The agreement has not been public for {} days, or its first day has not come. Wait for it.",
                    notice / DAY
                );
                check.note("to", "too-soon", message);
            }
            if at >= entry.body.sunset_at {
                check.note("to", "past-sunset", "The agreement's last day is over. Publish a new one.".into());
            }
        }
        State::Sunset if at < entry.body.sunset_at => {
            check.note("to", "before-sunset", "The agreement has not reached its last day. Revoke it to end it early.".into());
        }
        _ => {}
    }
}
