//! Audits of bodies: said by two people of the auditor, who is none of the audited body, and never made lighter in silence.

use super::Check;
use crate::agency::AgencyKind;
use crate::body_audit::BodyAudit;
use crate::id::BodyAuditId;
use crate::register::Content;

pub(super) fn body_audit(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(BodyAudit::read(&statement.body))?;
    let id: BodyAuditId = statement.id.parse().ok()?;
    let kind = register.agencies.get(&body.auditor).map(|entry| entry.body.kind);
    if kind.is_some_and(|kind| !matches!(kind, AgencyKind::Auditor | AgencyKind::Oversight)) {
        let message = "The named body is no auditor and no oversight body. Only one of those audits others.";
        check.note("auditor", "not-auditor", message.into());
    }
    check.speaker(&body.auditor, 2);
    if !register.agencies.contains_key(&body.audited) {
        check.unknown("audited", &body.audited, "agency");
    }
    if body.done_at > statement.at {
        check.note("done_at", "future", "The audit is not finished. Publish it afterwards.".into());
    }
    if let Some(old) = register.body_audits.get(&id).map(|entry| &entry.body) {
        check.same_owner("auditor", &old.auditor, &body.auditor);
        check.same_owner("audited", &old.audited, &body.audited);
        same_audit(check, old, &body);
        same_findings(check, old, &body);
    }
    Some(Content::BodyAudit(id, Box::new(body)))
}

/// What was looked at and when does not change afterwards.
fn same_audit(check: &mut Check<'_>, old: &BodyAudit, new: &BodyAudit) {
    let moved = [("done_at", old.done_at != new.done_at), ("standard", old.standard != new.standard)];
    for (field, _) in moved.into_iter().filter(|(_, is_moved)| *is_moved) {
        check.note(field, "moved", "This would be another audit. Publish it under another id.".into());
    }
    if new.next_due > old.next_due {
        let message = "The next audit would be put off. Keep its day, or publish the next audit.";
        check.note("next_due", "put-off", message.into());
    }
}

/// Every finding stays with its words, and weighs no less and has no more time without a reason.
fn same_findings(check: &mut Check<'_>, old: &BodyAudit, new: &BodyAudit) {
    for before in &old.findings {
        let Some(position) = new.findings.iter().position(|finding| finding.id == before.id) else {
            let message = format!("The finding `{}` is missing. Keep it, and say what was done about it.", before.id);
            check.note("findings", "withdrawn", message);
            continue;
        };
        let finding = &new.findings[position];
        if finding.text != before.text {
            let message = "The finding says something else than before. Keep its words, and add another finding.";
            check.note(&format!("findings[{position}].text"), "rewritten", message.into());
        }
        if finding.is_eased(before) && finding.eased_because.as_ref().is_none_or(|why| before.eased_because.as_ref() == Some(why))
        {
            let message = "The finding weighs less or has more time than before. Say why in `eased_because`.";
            check.note(&format!("findings[{position}].eased_because"), "missing", message.into());
        }
    }
}
