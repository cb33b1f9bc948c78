//! What the operator alone says: data blocks, drills, lawpacks, and the terms of the log, the vault and the verifier.

use super::Check;
use crate::agency::AgencyKind;
use crate::audit::{Audit, Recount};
use crate::block::DataBlock;
use crate::id::{AuditId, RotationId};
use crate::lawpack::Lawpack;
use crate::log_terms::LogTerms;
use crate::recount::{sample, seed};
use crate::register::Content;
use crate::rotation::Rotation;
use crate::vault_terms::VaultTerms;
use crate::verifier::VerifierRelease;

pub(super) fn block(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    // In which forms a block may leave, and how well it is protected, holds for every mandate that names it, also for those in force.
    check.operator_speaks(2);
    let body = check.keep(DataBlock::read(&statement.body))?;
    if !register.agencies.contains_key(&body.source_agency) {
        check.unknown("source_agency", &body.source_agency, "agency");
    }
    Some(Content::Block(statement.id.parse().ok()?, body))
}

pub(super) fn audit(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let id: AuditId = statement.id.parse().ok()?;
    let body = check.keep(Audit::read(&statement.body));
    match body.as_ref().and_then(|body| body.recount.as_ref()) {
        Some(recount) => recounted(check, recount),
        None => check.operator_speaks(1),
    }
    if register.audits.contains_key(&id) {
        check.note("rev", "final", "The result of a drill is not changed. Drill again.".into());
    }
    Some(Content::Audit(id, body?))
}

/// Who oversees the mandate recounts the days that chance chose: the log as it stood with its order or the first tally after it, and the secret that it
/// named there.
fn recounted(check: &mut Check<'_>, recount: &Recount) {
    let register = check.register;
    let Some(mandate) = register.mandates.get(&recount.mandate) else {
        check.unknown("recount.mandate", &recount.mandate, "mandate");
        return;
    };
    let body = mandate.body.oversight_body.clone();
    if register.agencies.get(&body).is_some_and(|entry| entry.body.kind != AgencyKind::Oversight) {
        check.note("by", "not-oversight", "The mandate names no oversight body. Only one of those recounts.".into());
    }
    check.speaker(&body, 2);
    let order = register.orders.get(&recount.order).filter(|order| order.body.target.as_str() == recount.mandate.as_str());
    let Some((order, draw)) = order.and_then(|order| Some((order, order.body.draw.as_ref()?))) else {
        let message = "That order draws no days of this mandate. Name the one that bound the overseer to a secret.";
        check.note("recount.order", "no-draw", message.into());
        return;
    };
    if !draw.binds(&recount.secret) {
        check.note("recount.secret", "other-secret", "The order bound the overseer to another secret. Give that one.".into());
    }
    if (recount.from, recount.to) != (draw.from, draw.to) {
        check.note("recount.from", "other-draw", "The order draws from other days. Give those of the order.".into());
    }
    match register.chosen_at(order, draw) {
        None => {
            let message =
                "No day was counted since the order, so chance has not spoken. Recount when the next tally is in the log.";
            check.note("recount.log_size", "not-chosen", message.into());
        }
        Some(size) if i64::try_from(size) != Ok(recount.log_size) => {
            let message = "The days are chosen by the log as it stood with the order, or with the first tally after it where the order says so. \
                           Give the number of that leaf and one more.";
            check.note("recount.log_size", "other-size", message.into());
        }
        Some(_) => {}
    }
    let count = usize::try_from(draw.days).unwrap_or(usize::MAX);
    let chosen = sample(&seed(&recount.log_root, &recount.secret), &recount.mandate, draw.from, draw.to, count);
    if recount.days != chosen {
        check.note("recount.days", "other-days", "Chance chose other days. Recount those.".into());
    }
}

pub(super) fn rotation(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Rotation::read(&statement.body))?;
    let id: RotationId = statement.id.parse().ok()?;
    if register.rotations.contains_key(&id) {
        check.note("rev", "final", "A rotation is not changed. Begin another one.".into());
    }
    let inside = register.services.iter().filter(|(_, entry)| entry.body.sector == body.sector && !entry.state.is_over());
    if body.services.is_empty() || !inside.map(|(id, _)| id).eq(&body.services) {
        let message = "These are not the services of the domain. List all that are not closed, in the order of their ids.";
        check.note("services", "other-services", message.into());
    }
    if let Some(breach) = body.breach.as_ref().filter(|id| !register.breaches.contains_key(*id)) {
        check.unknown("breach", breach, "breach");
    }
    Some(Content::Rotation(id, body))
}

pub(super) fn lawpack(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(2);
    let body = check.keep(Lawpack::read(&statement.body))?;
    let id = statement.id.parse().ok()?;
    if register.lawpacks.get(&id).is_some_and(|old| old.body.jurisdiction != body.jurisdiction) {
        check.note(
            "jurisdiction",
            "changed",
            "A pack stays with its jurisdiction. Publish another pack for the other one.".into(),
        );
    }
    Some(Content::Lawpack(id, body))
}

pub(super) fn log(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(2);
    let body = check.keep(LogTerms::read(&statement.body))?;
    if let Some(present) = &register.log {
        check.one_only(&present.id);
        if present.body.origin != body.origin {
            check.note("origin", "changed", "A log keeps its name for ever. Begin another log instead.".into());
        }
    }
    Some(Content::Log(body))
}

pub(super) fn vault(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(2);
    let body = check.keep(VaultTerms::read(&statement.body))?;
    if let Some(present) = &register.vault {
        check.one_only(&present.id);
        if present.body.vault != body.vault {
            check.note("vault", "changed", "A key tree keeps its name for ever. Give the same one.".into());
        }
        if body.lost_before < present.body.lost_before {
            check.note(
                "lost_before",
                "taken-back",
                "The register says that a root was lost. Say so as long as it stands.".into(),
            );
        }
    }
    let is_told = register.vault.as_ref().is_some_and(|present| present.body.lost_before == body.lost_before);
    let certified = register.certified_epoch();
    if !is_told && body.lost_before.is_some_and(|first| first <= certified) {
        check.note("lost_before", "certified", "A certificate names a later epoch. Give the first one after the loss.".into());
    }
    Some(Content::Vault(body))
}

pub(super) fn verifier(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(VerifierRelease::read(&statement.body))?;
    if let Some(present) = &register.verifier {
        check.one_only(&present.id);
    }
    Some(Content::Verifier(body))
}
