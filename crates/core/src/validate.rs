//! Whether a statement may join the register: who speaks, who approved, and what it refers to.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::agency::{Agency, AgencyKind};
use crate::audit::Audit;
use crate::block::DataBlock;
use crate::certificate::{Cause, Certificate};
use crate::contract::Contract;
use crate::draft::Problem;
use crate::id::{
    AgencyId, AuditId, BlockId, CertificateId, ContractId, LogId, MandateId, NoticeId, ServiceId, StatusChangeId, VaultId,
    VerifierId,
};
use crate::lifecycle::{Guard, Lifecycle, State, guard};
use crate::log_terms::LogTerms;
use crate::mandate::{Mandate, MandateKind};
use crate::notice::Notice;
use crate::register::{Content, Entry, Register};
use crate::service::Service;
use crate::statement::{Approval, Statement, StatementKind};
use crate::status::StatusChange;
use crate::vault_terms::VaultTerms;
use crate::verifier::VerifierRelease;
use crate::{Digest, Time};

/// The role of keys that no person holds. They can end and withhold power, never give it.
const AUTOMATION: &str = "automation";

/// Reads the content of `statement` and checks it against `register`.
pub(crate) fn statement(register: &Register, statement: &Statement) -> Result<(Content, Digest), Vec<Problem>> {
    let hash = statement.hash().map_err(|error| vec![problem("", "malformed", error.to_string())])?;
    let mut problems = Vec::new();
    if statement.at < register.last_at() {
        problems.push(problem("at", "goes-back", "The statement is dated before the last one. Date it later.".into()));
    }
    envelope(register, statement, &mut problems);
    let content = match statement.kind {
        StatementKind::Agency => agency(register, statement, &hash, &mut problems),
        StatementKind::Audit => audit(register, statement, &hash, &mut problems),
        StatementKind::Certificate => certificate(register, statement, &hash, &mut problems),
        StatementKind::Contract => contract(register, statement, &hash, &mut problems),
        StatementKind::DataBlock => block(register, statement, &hash, &mut problems),
        StatementKind::Log => log(register, statement, &hash, &mut problems),
        StatementKind::Mandate => mandate_statement(register, statement, &hash, &mut problems),
        StatementKind::Notice => notice(register, statement, &hash, &mut problems),
        StatementKind::Service => service(register, statement, &hash, &mut problems),
        StatementKind::StatusChange => status(register, statement, &hash, &mut problems),
        StatementKind::Vault => vault(register, statement, &hash, &mut problems),
        StatementKind::Verifier => verifier(register, statement, &hash, &mut problems),
    };
    match content {
        Some(content) if problems.is_empty() => Ok((content, hash)),
        _ => Err(problems),
    }
}

/// Checks a mandate draft against the register: its controller, blocks, recipients and overseer must exist and fit.
/// For authors, before anything is signed or published.
pub fn mandate(register: &Register, mandate: &Mandate) -> Vec<Problem> {
    let mut problems = Vec::new();
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
    problems
}

fn envelope(register: &Register, statement: &Statement, problems: &mut Vec<Problem>) {
    let (rev, prev) = register.next_revision(statement.kind, &statement.id);
    if statement.rev != rev || statement.prev != prev {
        let message =
            format!("This is not the next revision of `{}`. Number it {rev} and name the hash of the one before.", statement.id);
        problems.push(problem("rev", "not-next", message));
    }
    let well_formed = match statement.kind {
        StatementKind::Agency => AgencyId::from_str(&statement.id).is_ok(),
        StatementKind::Audit => AuditId::from_str(&statement.id).is_ok(),
        StatementKind::Certificate => crate::id::CertificateId::from_str(&statement.id).is_ok(),
        StatementKind::Contract => ContractId::from_str(&statement.id).is_ok(),
        StatementKind::DataBlock => BlockId::from_str(&statement.id).is_ok(),
        StatementKind::Log => LogId::from_str(&statement.id).is_ok(),
        StatementKind::Mandate => MandateId::from_str(&statement.id).is_ok(),
        StatementKind::Notice => NoticeId::from_str(&statement.id).is_ok(),
        StatementKind::Service => ServiceId::from_str(&statement.id).is_ok(),
        StatementKind::StatusChange => StatusChangeId::from_str(&statement.id).is_ok(),
        StatementKind::Vault => VaultId::from_str(&statement.id).is_ok(),
        StatementKind::Verifier => VerifierId::from_str(&statement.id).is_ok(),
    };
    if !well_formed {
        problems.push(problem(
            "id",
            "malformed",
            "The id does not fit the type of the statement. Begin it with the type's prefix.".into(),
        ));
    }
}

fn agency(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let body = keep(Agency::read(&statement.body), problems)?;
    let id: AgencyId = statement.id.parse().ok()?;
    match register.operator() {
        None if body.kind != AgencyKind::Operator || statement.by != id => {
            problems.push(problem(
                "kind",
                "no-operator",
                "The first statement must be the operator's own. Publish the operator first.".into(),
            ));
        }
        None => {
            // The root of trust: the operator's first statement is approved by keys it names itself.
            let own = |approval: &Approval| {
                approval.agency == id && body.key(&approval.key).is_some_and(|key| approval.verifies(hash, &key.public))
            };
            if statement.approvals.is_empty() || !statement.approvals.iter().all(own) {
                problems.push(problem(
                    "approvals",
                    "missing",
                    "No key of the operator approved this. Sign it with one of the keys it names.".into(),
                ));
            }
        }
        Some(operator) => {
            if body.kind == AgencyKind::Operator && operator.id != statement.id {
                problems.push(problem("kind", "second-operator", "There is one operator only. Choose another kind.".into()));
            }
            // Mandates and contracts rest on the kinds of the bodies they name, so a kind holds for life.
            if register.agencies.get(&id).is_some_and(|old| old.body.kind != body.kind) {
                problems.push(problem(
                    "kind",
                    "changed",
                    "A body cannot become one of another kind. Register it under a new name.".into(),
                ));
            }
            let operator: AgencyId = operator.id.parse().ok()?;
            if statement.by != operator {
                problems.push(problem(
                    "by",
                    "not-the-owner",
                    format!("`{}` cannot register bodies. Let the operator publish it.", statement.by),
                ));
            }
            // Two people of the operator, and for a body that is there already one of its own, or the operator could
            // replace its keys and speak for it.
            let roles = approving_roles(register, statement, hash, &[&operator, &id], problems);
            enough(&roles, &operator, 2, problems);
            if register.agencies.contains_key(&id) && id != operator {
                enough(&roles, &id, 1, problems);
            }
        }
    }
    Some(Content::Agency(id, body))
}

fn block(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 1, problems);
    let body = keep(DataBlock::read(&statement.body), problems)?;
    if !register.agencies.contains_key(&body.source_agency) {
        problems.push(unknown("source_agency", &body.source_agency, "agency"));
    }
    Some(Content::Block(statement.id.parse().ok()?, body))
}

fn audit(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 1, problems);
    let id: AuditId = statement.id.parse().ok()?;
    if register.audits.contains_key(&id) {
        problems.push(problem("rev", "final", "The result of a drill is not changed. Drill again.".into()));
    }
    Some(Content::Audit(id, keep(Audit::read(&statement.body), problems)?))
}

fn certificate(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 1, problems);
    let body = keep(Certificate::read(&statement.body), problems)?;
    let id: CertificateId = statement.id.parse().ok()?;
    if let Some(old) = register.certificates.get(&id) {
        if !old.body.may_become(&body) {
            let message = "A certificate gains the answers of recipients and the date of its purge, and nothing else changes. Publish another one.";
            problems.push(problem("rev", "final", message.into()));
        }
        return Some(Content::Certificate(id, body));
    }
    if let Some(terms) = register.vault.as_ref().map(|entry| &entry.body) {
        if body.slot_class != terms.slot_class {
            problems.push(problem(
                "slot_class",
                "other-class",
                "The root is kept in another class. Give that of the vault's terms.".into(),
            ));
        }
        if terms.slot_class == "E3" && !terms.is_destroyed(body.epoch_after, &body.keepers) {
            problems.push(problem(
                "keepers",
                "not-destroyed",
                "Too few keepers have signed that they destroyed the old root. Ask them again before you certify it.".into(),
            ));
        }
        // Without a date the certificate promises nothing about the escrow, which is all it may do while its officers are late.
        if terms.escrow.is_none() && body.erased_escrow_at.is_some() {
            problems.push(problem(
                "erased_escrow_at",
                "escrow",
                "The vault's terms name no escrow. Leave its date out, or publish terms that name one.".into(),
            ));
        }
    } else if body.slot_class == "E3" {
        problems.push(problem(
            "slot_class",
            "no-terms",
            "The root is said to be with keepers, and no terms of the vault name them. Publish the terms first.".into(),
        ));
    }
    if let Some(sector) = &body.sector {
        let mut services = register.services.values().filter(|service| service.body.sector == *sector).peekable();
        if services.peek().is_none() || !services.all(|service| service.state.is_over()) {
            problems.push(problem(
                "sector",
                "not-ended",
                "A service still works in this pseudonym domain. Close it first.".into(),
            ));
        }
    }
    if let Some(mandate) = &body.mandate {
        let entry = mandate.parse().ok().and_then(|id: MandateId| register.mandates.get(&id));
        // What was collected in a month ends while the mandate goes on, or at any time after.
        let was_active = entry.is_some_and(|entry| entry.history.iter().any(|step| step.to == State::Active));
        if body.cause == Cause::Retention && !was_active {
            let message = "Nothing was ever collected under the mandate. Name one that has been active.";
            problems.push(problem("mandate", "never-active", message.into()));
        } else if body.cause != Cause::Retention && entry.map(|entry| entry.state) != Some(State::Erasing) {
            problems.push(problem("mandate", "not-erasing", "The mandate is not being erased. End it first.".into()));
        }
    }
    Some(Content::Certificate(id, body))
}

fn contract(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let body = keep(Contract::read(&statement.body), problems)?;
    speaker(register, statement, hash, &body.controller, 2, problems);
    match register.agencies.get(&body.vendor) {
        None => problems.push(unknown("vendor", &body.vendor, "agency")),
        Some(vendor) if vendor.body.kind != AgencyKind::Vendor => {
            problems.push(problem("vendor", "not-a-vendor", "The named body is no vendor. Register it as one first.".into()));
        }
        Some(_) => {}
    }
    if body.capability_evidence.iter().all(|evidence| evidence.expires <= statement.at) {
        problems.push(problem(
            "capability_evidence",
            "expired",
            "All evidence of the vendor's capability has ended. Attach evidence that is still valid.".into(),
        ));
    }
    for (i, sub) in body.subprocessors.iter().enumerate() {
        if !register.agencies.contains_key(&sub.agency) {
            problems.push(unknown(&format!("subprocessors[{i}].agency"), &sub.agency, "agency"));
        }
    }
    let id: ContractId = statement.id.parse().ok()?;
    if let Some(old) = register.contracts.get(&id) {
        same_owner("controller", &old.body.controller, &body.controller, problems);
        // A contract that is ending still owes the deletion of what the vendor holds.
        if old.state == State::Ending || old.state.is_over() {
            problems.push(problem("id", "over", "This contract has ended. Sign a new one.".into()));
        }
    }
    Some(Content::Contract(id, body))
}

fn log(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 2, problems);
    let body = keep(LogTerms::read(&statement.body), problems)?;
    if let Some(present) = &register.log {
        one_only(&present.id, statement, problems);
        if present.body.origin != body.origin {
            problems.push(problem("origin", "changed", "A log keeps its name for ever. Begin another log instead.".into()));
        }
    }
    Some(Content::Log(body))
}

fn vault(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 2, problems);
    let body = keep(VaultTerms::read(&statement.body), problems)?;
    if let Some(present) = &register.vault {
        one_only(&present.id, statement, problems);
        if present.body.vault != body.vault {
            problems.push(problem("vault", "changed", "A key tree keeps its name for ever. Give the same one.".into()));
        }
    }
    Some(Content::Vault(body))
}

fn verifier(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    speaks_for_operator(register, statement, hash, 1, problems);
    let body = keep(VerifierRelease::read(&statement.body), problems)?;
    if let Some(present) = &register.verifier {
        one_only(&present.id, statement, problems);
    }
    Some(Content::Verifier(body))
}

/// There is one of its kind, and what comes after it is its next revision.
fn one_only(present: &str, statement: &Statement, problems: &mut Vec<Problem>) {
    if present != statement.id {
        problems.push(problem("id", "second", format!("There is `{present}` already. Publish its next revision.")));
    }
}

fn mandate_statement(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let body = keep(Mandate::read(&statement.body), problems)?;
    speaker(register, statement, hash, &body.controller, 2, problems);
    problems.extend(mandate(register, &body));
    let id: MandateId = statement.id.parse().ok()?;
    if let Some(old) = register.mandates.get(&id) {
        same_owner("controller", &old.body.controller, &body.controller, problems);
        let in_force = matches!(old.state, State::Published | State::Active | State::Suspended);
        if old.state.is_over() || in_force && statement.at >= old.body.sunset_at {
            problems.push(problem(
                "id",
                "over",
                "This mandate has ended. Publish a new one that names it in `continues`.".into(),
            ));
        }
        // Governance 3.2: no renewal in place. Once people were told when it ends, a revision may only end it sooner.
        if (in_force || was_published(old)) && body.sunset_at > old.body.sunset_at {
            problems.push(problem(
                "sunset_at",
                "prolonged",
                "A revision cannot end later than what was published. Publish a new mandate that names this one in `continues`."
                    .into(),
            ));
        }
    }
    Some(Content::Mandate(id, Box::new(body)))
}

/// Whether any revision of it was public before, so that people may have agreed to its end.
fn was_published(entry: &Entry<Mandate>) -> bool {
    entry.history.iter().any(|step| matches!(step.to, State::Published | State::Active))
}

fn notice(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let body = keep(Notice::read(&statement.body), problems)?;
    match register.mandates.get(&body.mandate) {
        None => problems.push(unknown("mandate", &body.mandate, "mandate")),
        Some(mandate) => {
            if mandate.hash != body.mandate_hash {
                problems.push(problem(
                    "mandate_hash",
                    "other-revision",
                    "The notice explains another revision. Write one for the present revision.".into(),
                ));
            }
            if register.notices.contains_key(&body.mandate_hash) {
                problems.push(problem(
                    "mandate_hash",
                    "second-notice",
                    "This revision has a notice already. Publish a new revision of the mandate first.".into(),
                ));
            }
            speaker(register, statement, hash, &mandate.body.controller, 1, problems);
        }
    }
    Some(Content::Notice(body))
}

fn service(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let body = keep(Service::read(&statement.body), problems)?;
    speaker(register, statement, hash, &body.agency, 2, problems);
    let id: ServiceId = statement.id.parse().ok()?;
    if register.services.values().any(|other| other.body.sector == body.sector && other.body.agency != body.agency) {
        problems.push(problem("sector", "taken", "Another body works in this pseudonym domain. Choose one of your own.".into()));
    }
    if let Some(old) = register.services.get(&id) {
        same_owner("agency", &old.body.agency, &body.agency, problems);
        if old.body.sector != body.sector {
            problems.push(problem(
                "sector",
                "moved",
                "A service cannot move to another pseudonym domain. Register a new service.".into(),
            ));
        }
        if old.state.is_over() {
            problems.push(problem("id", "over", "This service has closed. Register a new one.".into()));
        }
    }
    sector(register, &id, &body, problems);
    Some(Content::Service(id, body))
}

/// A pseudonym domain has one mode while somebody knows people by its pseudonyms, and it ends for good with its last service.
fn sector(register: &Register, id: &ServiceId, body: &Service, problems: &mut Vec<Problem>) {
    let beside: Vec<&Entry<Service>> = register.services_beside(body).collect();
    if !register.services.contains_key(id) && !beside.is_empty() && beside.iter().all(|other| other.state.is_over()) {
        problems.push(problem(
            "sector",
            "ended",
            "This pseudonym domain ended with its last service, and its key is gone. Choose another name.".into(),
        ));
    }
    let is_settled = |entry: &&Entry<Service>| entry.id != id.as_str() || entry.state != State::Draft;
    if beside.into_iter().filter(is_settled).any(|entry| entry.body.pseudonym_mode != body.pseudonym_mode) {
        problems.push(problem(
            "pseudonym_mode",
            "settled",
            "This pseudonym domain has another mode, under which people are known already. Keep it, or choose another domain."
                .into(),
        ));
    }
}

fn status(register: &Register, statement: &Statement, hash: &Digest, problems: &mut Vec<Problem>) -> Option<Content> {
    let change = keep(StatusChange::read(&statement.body), problems)?;
    if statement.rev != 1 {
        problems.push(problem("rev", "final", "A status change cannot be revised. Publish another one.".into()));
    }
    let Some((lifecycle, state, revision, owner)) = object(register, &change.object) else {
        problems.push(unknown("object", &change.object, "object"));
        return None;
    };
    if state != change.from {
        problems.push(problem("from", "other-state", format!("The object is in state `{}`. Start from there.", state.code())));
    }
    if revision != change.revision {
        problems.push(problem("revision", "other-revision", "The change names another revision. Name the present one.".into()));
    }
    let Some(guard) = guard(lifecycle, change.from, change.to) else {
        let message = format!(
            "No step leads from `{}` to `{}`. See the list of steps in the documentation.",
            change.from.code(),
            change.to.code()
        );
        problems.push(problem("to", "no-such-step", message));
        return None;
    };
    step_speaker(register, statement, hash, &owner, guard, problems);
    if let Ok(id) = change.object.parse::<MandateId>() {
        mandate_step(register, &id, &change, statement.at, problems);
    }
    Some(Content::Status(change))
}

fn mandate_step(register: &Register, id: &MandateId, change: &StatusChange, at: Time, problems: &mut Vec<Problem>) {
    let Some(entry) = register.mandates.get(id) else { return };
    match change.to {
        State::Consulted if entry.body.kind != MandateKind::Emergency && at < entry.body.consultation.to => {
            problems.push(problem(
                "to",
                "consultation-open",
                "People can still comment. Wait until the comment period is over.".into(),
            ));
        }
        State::Published if register.notice(entry).is_none() => {
            problems.push(problem("to", "no-notice", "There is no notice for this revision. Publish the notice first.".into()));
        }
        State::Active if at >= entry.body.sunset_at => {
            problems.push(problem(
                "to",
                "past-sunset",
                "The mandate's last day is over. Publish a new mandate that continues it.".into(),
            ));
        }
        State::Sunset if at < entry.body.sunset_at => {
            problems.push(problem(
                "to",
                "before-sunset",
                "The mandate has not reached its last day. Revoke it to end it early.".into(),
            ));
        }
        State::Erased if register.certificate(id).is_none() => {
            problems.push(problem(
                "to",
                "no-certificate",
                "No certificate says that the keys are gone. Publish it first.".into(),
            ));
        }
        _ => {}
    }
}

fn object(register: &Register, id: &str) -> Option<(Lifecycle, State, Digest, AgencyId)> {
    if let Some(entry) = id.parse().ok().and_then(|id: MandateId| register.mandates.get(&id)) {
        return Some((Lifecycle::Mandate, entry.state, entry.hash, entry.body.controller.clone()));
    }
    if let Some(entry) = id.parse().ok().and_then(|id: ContractId| register.contracts.get(&id)) {
        return Some((Lifecycle::Contract, entry.state, entry.hash, entry.body.controller.clone()));
    }
    let entry = id.parse().ok().and_then(|id: ServiceId| register.services.get(&id))?;
    Some((Lifecycle::Service, entry.state, entry.hash, entry.body.agency.clone()))
}

fn step_speaker(
    register: &Register,
    statement: &Statement,
    hash: &Digest,
    owner: &AgencyId,
    guard: Guard,
    problems: &mut Vec<Problem>,
) {
    let operator = register.operator().is_some_and(|operator| operator.id == statement.by.as_str());
    if guard.automatic && operator {
        speaks_for_operator(register, statement, hash, 1, problems);
    } else {
        speaker(register, statement, hash, owner, guard.approvals, problems);
    }
}

/// Nobody takes over what another body answers for by naming itself in the next revision.
fn same_owner(field: &str, old: &AgencyId, new: &AgencyId, problems: &mut Vec<Problem>) {
    if old != new {
        problems.push(problem(
            field,
            "moved",
            format!("`{old}` answers for this and cannot be replaced. Publish a new one under another id."),
        ));
    }
}

fn speaks_for_operator(register: &Register, statement: &Statement, hash: &Digest, approvals: usize, problems: &mut Vec<Problem>) {
    match register.operator().and_then(|operator| operator.id.parse().ok()) {
        Some(operator) => speaker(register, statement, hash, &operator, approvals, problems),
        None => problems.push(problem(
            "by",
            "no-operator",
            "There is no operator yet. Publish the operator's statement first.".into(),
        )),
    }
}

/// `owner` must be the one who speaks, and `needed` of its people in as many roles must have approved.
fn speaker(
    register: &Register,
    statement: &Statement,
    hash: &Digest,
    owner: &AgencyId,
    needed: usize,
    problems: &mut Vec<Problem>,
) {
    if statement.by != *owner {
        problems.push(problem(
            "by",
            "not-the-owner",
            format!("`{}` cannot speak for `{owner}`. Let the owner publish it.", statement.by),
        ));
        return;
    }
    if !register.agencies.contains_key(owner) {
        problems.push(unknown("by", owner, "agency"));
        return;
    }
    let roles = approving_roles(register, statement, hash, &[owner], problems);
    enough(&roles, owner, needed, problems);
}

/// The roles that approved, by agency. Every approval must be a valid signature by a present key of one of `allowed`.
fn approving_roles<'a>(
    register: &'a Register,
    statement: &Statement,
    hash: &Digest,
    allowed: &[&'a AgencyId],
    problems: &mut Vec<Problem>,
) -> BTreeSet<(&'a AgencyId, &'a str)> {
    let mut roles = BTreeSet::new();
    for (i, approval) in statement.approvals.iter().enumerate() {
        let agency = allowed.iter().find(|agency| ***agency == approval.agency);
        let key = agency.and_then(|agency| register.agencies.get(*agency)?.body.key(&approval.key).map(|key| (*agency, key)));
        match key {
            Some((agency, key)) if approval.verifies(hash, &key.public) => {
                roles.insert((agency, key.role.as_str()));
            }
            _ => problems.push(problem(
                &format!("approvals[{i}]"),
                "not-valid",
                "This approval is not a valid signature by a key of the speaking body. Sign again with a key it names.".into(),
            )),
        }
    }
    roles
}

/// Where two people are needed, an automaton is not one of them.
fn enough(roles: &BTreeSet<(&AgencyId, &str)>, owner: &AgencyId, needed: usize, problems: &mut Vec<Problem>) {
    let count = roles.iter().filter(|(agency, role)| *agency == owner && (needed == 1 || *role != AUTOMATION)).count();
    if count < needed {
        let message = format!("{count} of {needed} roles of `{owner}` approved. Let people in different roles sign.");
        problems.push(problem("approvals", "too-few", message));
    }
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|mut found| problems.append(&mut found)).ok()
}

fn problem(field: &str, rule: &'static str, message: String) -> Problem {
    Problem { field: field.to_owned(), rule, message }
}

fn unknown(field: &str, id: impl std::fmt::Display, kind: &str) -> Problem {
    problem(field, "unknown", format!("There is no {kind} `{id}` in the register. Publish it first or correct the name."))
}
