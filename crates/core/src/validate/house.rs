//! What the operator alone says: data blocks, drills, lawpacks, and the terms of the log, the vault and the verifier.

use super::Check;
use crate::audit::Audit;
use crate::block::DataBlock;
use crate::id::AuditId;
use crate::lawpack::Lawpack;
use crate::log_terms::LogTerms;
use crate::register::Content;
use crate::vault_terms::VaultTerms;
use crate::verifier::VerifierRelease;

pub(super) fn block(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(DataBlock::read(&statement.body))?;
    if !register.agencies.contains_key(&body.source_agency) {
        check.unknown("source_agency", &body.source_agency, "agency");
    }
    Some(Content::Block(statement.id.parse().ok()?, body))
}

pub(super) fn audit(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let id: AuditId = statement.id.parse().ok()?;
    if register.audits.contains_key(&id) {
        check.note("rev", "final", "The result of a drill is not changed. Drill again.".into());
    }
    Some(Content::Audit(id, check.keep(Audit::read(&statement.body))?))
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
