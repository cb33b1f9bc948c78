//! Whether a statement may join the register: who speaks, who approved, and what it refers to.

mod agency;
mod agreement;
mod approvals;
mod assessment;
mod body_audit;
mod breach;
mod camera;
mod case_tally;
mod certificate;
mod contract;
mod emergency;
mod house;
mod incident;
mod key;
mod mandate;
mod notice;
mod oversight;
mod payment;
mod service;
mod status;
mod stoppage;
mod tally;

use std::str::FromStr;
use std::sync::Arc;

pub use mandate::{draft as mandate, lengths as mandate_lengths};

use crate::Digest;
use crate::agency::SigningKey;
use crate::draft::Problem;
use crate::id::{
    AgencyId, AgreementId, AssessmentId, AuditId, BlockId, BodyAuditId, BreachId, CameraId, CaseTallyId, CertificateId, CheckId,
    ContractId, IncidentId, KeyId, LawpackId, LogId, MandateId, MeetingId, NoticeId, OrderId, PaymentId, PurgeId, RotationId,
    RulingId, ServiceId, StatusChangeId, StoppageId, TallyId, VaultId, VerifierId,
};
use crate::register::{Content, Register};
use crate::statement::{Statement, StatementKind};

/// What the approvals of `statement` sign.
pub(crate) fn hash(statement: &Statement) -> Result<Digest, Vec<Problem>> {
    statement.hash().map_err(|error| vec![problem("", "malformed", error.to_string())])
}

/// Reads the content of `statement`, which has this hash, and checks it against `register`. `valid` holds for each approval the key under
/// which it is known to be a valid signature; it may be shorter than the list of approvals.
pub(crate) fn statement(
    register: &Register,
    statement: &Statement,
    hash: Digest,
    valid: &[Option<Arc<SigningKey>>],
) -> Result<Content, Vec<Problem>> {
    let mut check = Check { register, statement, hash, valid, problems: Vec::new() };
    if statement.at < register.last_at() {
        check.note("at", "goes-back", "The statement is dated before the last one. Date it later.".into());
    }
    envelope(&mut check);
    let content = match statement.kind {
        StatementKind::Agency => agency::agency(&mut check),
        StatementKind::Agreement => agreement::agreement(&mut check),
        StatementKind::Assessment => assessment::assessment(&mut check),
        StatementKind::Audit => house::audit(&mut check),
        StatementKind::BodyAudit => body_audit::body_audit(&mut check),
        StatementKind::Breach => breach::breach(&mut check),
        StatementKind::Camera => camera::camera(&mut check),
        StatementKind::CaseTally => case_tally::case_tally(&mut check),
        StatementKind::Certificate => certificate::certificate(&mut check),
        StatementKind::Check => contract::contract_check(&mut check),
        StatementKind::Contract => contract::contract(&mut check),
        StatementKind::DataBlock => house::block(&mut check),
        StatementKind::Incident => incident::incident(&mut check),
        StatementKind::Key => key::key(&mut check),
        StatementKind::Lawpack => house::lawpack(&mut check),
        StatementKind::Log => house::log(&mut check),
        StatementKind::Mandate => mandate::revision(&mut check),
        StatementKind::Meeting => oversight::meeting(&mut check),
        StatementKind::Notice => notice::notice(&mut check),
        StatementKind::Order => oversight::order(&mut check),
        StatementKind::Payment => payment::payment(&mut check),
        StatementKind::Purge => certificate::purge(&mut check),
        StatementKind::Rotation => house::rotation(&mut check),
        StatementKind::Ruling => oversight::ruling(&mut check),
        StatementKind::Service => service::service(&mut check),
        StatementKind::StatusChange => status::status(&mut check),
        StatementKind::Stoppage => stoppage::stoppage(&mut check),
        StatementKind::Tally => tally::tally(&mut check),
        StatementKind::Uncertified => certificate::uncertified(&mut check),
        StatementKind::Vault => house::vault(&mut check),
        StatementKind::Verifier => house::verifier(&mut check),
    };
    match content {
        Some(content) if check.problems.is_empty() => Ok(content),
        _ => Err(check.problems),
    }
}

/// A statement being checked, and everything that is wrong with it so far.
struct Check<'a> {
    register: &'a Register,
    statement: &'a Statement,
    /// Hash of the statement: what its approvals sign.
    hash: Digest,
    /// For each approval the key under which it is known to be valid.
    valid: &'a [Option<Arc<SigningKey>>],
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn note(&mut self, field: &str, rule: &'static str, message: String) {
        self.problems.push(problem(field, rule, message));
    }

    fn unknown(&mut self, field: &str, id: impl std::fmt::Display, kind: &str) {
        self.problems.push(unknown(field, id, kind));
    }

    /// The body that was read, or nothing when it cannot be.
    fn keep<T>(&mut self, result: Result<T, Vec<Problem>>) -> Option<T> {
        result.map_err(|mut found| self.problems.append(&mut found)).ok()
    }

    /// There is one of its kind, and what comes after it is its next revision.
    fn one_only(&mut self, present: &str) {
        if present != self.statement.id {
            self.note("id", "second", format!("There is `{present}` already. Publish its next revision."));
        }
    }

    /// Nobody takes over what another body answers for by naming itself in the next revision.
    fn same_owner(&mut self, field: &str, old: &AgencyId, new: &AgencyId) {
        if old != new {
            let message = format!("`{old}` answers for this and cannot be replaced. Publish a new one under another id.");
            self.note(field, "moved", message);
        }
    }
}

/// The numbering of revisions, and an id that fits the type.
fn envelope(check: &mut Check<'_>) {
    let (register, statement) = (check.register, check.statement);
    let (rev, prev) = register.next_revision(statement.kind, &statement.id);
    if statement.rev != rev || statement.prev != prev {
        let message =
            format!("This is not the next revision of `{}`. Number it {rev} and name the hash of the one before.", statement.id);
        check.note("rev", "not-next", message);
    }
    let well_formed = match statement.kind {
        StatementKind::Agency => AgencyId::from_str(&statement.id).is_ok(),
        StatementKind::Agreement => AgreementId::from_str(&statement.id).is_ok(),
        StatementKind::Assessment => AssessmentId::from_str(&statement.id).is_ok(),
        StatementKind::Audit => AuditId::from_str(&statement.id).is_ok(),
        StatementKind::BodyAudit => BodyAuditId::from_str(&statement.id).is_ok(),
        StatementKind::Breach => BreachId::from_str(&statement.id).is_ok(),
        StatementKind::Camera => CameraId::from_str(&statement.id).is_ok(),
        StatementKind::CaseTally => CaseTallyId::from_str(&statement.id).is_ok(),
        StatementKind::Certificate => CertificateId::from_str(&statement.id).is_ok(),
        StatementKind::Check => CheckId::from_str(&statement.id).is_ok(),
        StatementKind::Contract => ContractId::from_str(&statement.id).is_ok(),
        StatementKind::DataBlock => BlockId::from_str(&statement.id).is_ok(),
        StatementKind::Incident => IncidentId::from_str(&statement.id).is_ok(),
        StatementKind::Key => KeyId::from_str(&statement.id).is_ok(),
        StatementKind::Lawpack => LawpackId::from_str(&statement.id).is_ok(),
        StatementKind::Log => LogId::from_str(&statement.id).is_ok(),
        StatementKind::Mandate => MandateId::from_str(&statement.id).is_ok(),
        StatementKind::Meeting => MeetingId::from_str(&statement.id).is_ok(),
        StatementKind::Notice => NoticeId::from_str(&statement.id).is_ok(),
        StatementKind::Order => OrderId::from_str(&statement.id).is_ok(),
        StatementKind::Payment => PaymentId::from_str(&statement.id).is_ok(),
        StatementKind::Purge => PurgeId::from_str(&statement.id).is_ok(),
        StatementKind::Rotation => RotationId::from_str(&statement.id).is_ok(),
        StatementKind::Ruling => RulingId::from_str(&statement.id).is_ok(),
        StatementKind::Service => ServiceId::from_str(&statement.id).is_ok(),
        StatementKind::StatusChange => StatusChangeId::from_str(&statement.id).is_ok(),
        StatementKind::Stoppage => StoppageId::from_str(&statement.id).is_ok(),
        StatementKind::Tally => TallyId::from_str(&statement.id).is_ok(),
        StatementKind::Uncertified => CertificateId::from_str(&statement.id).is_ok(),
        StatementKind::Vault => VaultId::from_str(&statement.id).is_ok(),
        StatementKind::Verifier => VerifierId::from_str(&statement.id).is_ok(),
    };
    if !well_formed {
        check.note("id", "malformed", "The id does not fit the type of the statement. Begin it with the type's prefix.".into());
    }
}

fn problem(field: &str, rule: &'static str, message: String) -> Problem {
    Problem { field: field.to_owned(), rule, message }
}

fn unknown(field: &str, id: impl std::fmt::Display, kind: &str) -> Problem {
    problem(field, "unknown", format!("There is no {kind} `{id}` in the register. Publish it first or correct the name."))
}
