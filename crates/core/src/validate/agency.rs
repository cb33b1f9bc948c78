//! Agency: registered by the operator, and never without its own consent once it is there.

use super::Check;
use crate::agency::{Agency, AgencyKind};
use crate::id::AgencyId;
use crate::register::Content;
use crate::statement::Approval;

pub(super) fn agency(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement, hash) = (check.register, check.statement, check.hash);
    let body = check.keep(Agency::read(&statement.body))?;
    let id: AgencyId = statement.id.parse().ok()?;
    for (i, _) in body.source_systems.iter().enumerate().filter(|(_, system)| system.log_complete_since > statement.at) {
        let message = "The system does not log every use yet. Name it once it does.";
        check.note(&format!("source_systems[{i}].log_complete_since"), "future", message.into());
    }
    if let Some(parent) = &body.parent {
        let above = std::iter::successors(Some(parent), |above| register.agencies.get(*above)?.body.parent.as_ref());
        // No chain is longer than there are bodies, unless it runs in a ring.
        if above.take(register.agencies.len() + 1).any(|above| *above == id) {
            check.note(
                "parent",
                "itself",
                "The body would be a part of itself. Name the body above it, or leave this out.".into(),
            );
        } else if !register.agencies.contains_key(parent) {
            check.unknown("parent", parent, "agency");
        } else if body.kind != AgencyKind::SecurityOrIntelligence && register.is_security_body(parent) {
            // What such a body may not do, no part of it may do under another name.
            let message =
                "A part of a security or intelligence body is one itself. Register it as that, or name another body above it.";
            check.note("parent", "security-body", message.into());
        }
    }
    passkeys(check, &id, &body);
    match register.operator() {
        None if body.kind != AgencyKind::Operator || statement.by != id => {
            check.note(
                "kind",
                "no-operator",
                "The first statement must be the operator's own. Publish the operator first.".into(),
            );
        }
        None => {
            // The root of trust: the operator's first statement is approved by keys it names itself.
            let own = |approval: &Approval| {
                approval.agency == id && body.key(&approval.key).is_some_and(|key| approval.verifies(&hash, key))
            };
            if statement.approvals.is_empty() || !statement.approvals.iter().all(own) {
                check.note(
                    "approvals",
                    "missing",
                    "No key of the operator approved this. Sign it with one of the keys it names.".into(),
                );
            }
        }
        Some(operator) => {
            if body.kind == AgencyKind::Operator && operator.id != statement.id {
                check.note("kind", "second-operator", "There is one operator only. Choose another kind.".into());
            }
            // Mandates and contracts rest on the kinds of the bodies they name, so a kind holds for life.
            if register.agencies.get(&id).is_some_and(|old| old.body.kind != body.kind) {
                check.note("kind", "changed", "A body cannot become one of another kind. Register it under a new name.".into());
            }
            let operator: AgencyId = operator.id.parse().ok()?;
            if statement.by != operator {
                check.note(
                    "by",
                    "not-the-owner",
                    format!("`{}` cannot register bodies. Let the operator publish it.", statement.by),
                );
            }
            // Two people of the operator, and for a body that is there already one of its own, or the operator could
            // replace its keys and speak for it.
            let roles = check.approving_roles(&[&operator, &id]);
            check.enough(&roles, &operator, 2);
            if register.agencies.contains_key(&id) && id != operator {
                check.enough(&roles, &id, 1);
            }
        }
    }
    Some(Content::Agency(id, body))
}

/// Passkeys are demanded of bodies that have them and from a day that is not over, and a body of which they are demanded keeps them: nobody is locked
/// out.
fn passkeys(check: &mut Check<'_>, id: &AgencyId, body: &Agency) {
    let (register, at) = (check.register, check.statement.at);
    let operator = register.operator();
    for (i, demand) in body.passkeys_from.iter().enumerate() {
        let stands = operator.is_some_and(|operator| operator.body.passkeys_from.contains(demand));
        let agency = if demand.body == *id { Some(body) } else { register.agencies.get(&demand.body).map(|entry| &entry.body) };
        match agency {
            None => check.unknown(&format!("passkeys_from[{i}].body"), &demand.body, "agency"),
            Some(agency) if !agency.has_passkeys() => {
                let message = format!(
                    "No two offices of `{}` have passkeys, so nobody could approve for it any more. Put passkeys into its entry first.",
                    demand.body
                );
                check.note(&format!("passkeys_from[{i}].body"), "no-passkeys", message);
            }
            Some(_) => {}
        }
        if !stands && demand.from < at {
            let message =
                "That day is over, and what was approved since then stands. Name the day of this statement or a later one.";
            check.note(&format!("passkeys_from[{i}].from"), "past", message.into());
        }
    }
    let is_demanded = operator.is_some_and(|operator| operator.body.passkeys_from.iter().any(|demand| demand.body == *id));
    if is_demanded && operator.is_some_and(|operator| operator.id != id.as_str()) && !body.has_passkeys() {
        let message = "The city takes passkeys alone of this body, and no two offices would have one. Keep passkeys of people in two roles.";
        check.note("signing_keys", "no-passkeys", message.into());
    }
}
