//! Marks of cases, and of what residents wish.

use usufruct_core::Digest;
use usufruct_core::case::{Case, Finding, Remedy};
use usufruct_store::cases::StoredCase;
use usufruct_store::wishes::StoredWishes;
use usufruct_vault::Vault;

use super::{is_equal, optional, row_mark, time};
use crate::Error;

/// Whether this house wrote a case as it stands there.
pub(crate) fn is_true_case(vault: &Vault, stored: &StoredCase) -> Result<bool, Error> {
    Ok(is_equal(stored.mark, of_case(vault, stored)?))
}

/// The mark of a case: over all of it.
pub(crate) fn of_case(vault: &Vault, stored: &StoredCase) -> Result<Digest, Error> {
    let StoredCase { resident, id, line, mandate, service, agency, overseer, case, sealed, mark: _ } = stored;
    let columns = [
        &resident.to_be_bytes()[..],
        id.as_str().as_bytes(),
        &optional(line.map(u64::to_be_bytes)),
        &optional(mandate.map(u64::to_be_bytes)),
        &optional(service.as_ref().map(|id| id.as_str())),
        &optional(agency.as_ref().map(|id| id.as_str())),
        &optional(overseer.as_ref().map(|id| id.as_str())),
        case.kind.code().as_bytes(),
        stage(case).as_bytes(),
        &time(case.filed_at),
        &time(case.due_at),
        &optional(case.extended_at.map(time)),
        &optional(case.answered_at.map(time)),
        case.finding.map_or("", Finding::code).as_bytes(),
        &optional(case.escalated_at.map(time)),
        &optional(case.decided_at.map(time)),
        case.decision.map_or("", Finding::code).as_bytes(),
        case.remedy.map_or("", Remedy::code).as_bytes(),
        &optional(case.remedy_due_at.map(time)),
        &optional(case.remedied_at.map(time)),
        &[u8::from(case.suspends)],
        sealed,
    ];
    let later = [case.acknowledge_due_at, case.acknowledged_at, case.complain_until, case.settled_at];
    let later = later.map(|at| optional(at.map(time)));
    // A row from before there were these times has the mark that it had.
    let has_later = later.iter().any(|column| !column.is_empty());
    let all: Vec<&[u8]> = columns.into_iter().chain(later.iter().map(Vec::as_slice).filter(|_| has_later)).collect();
    row_mark(vault, b"usufruct/row/case/v1", &all)
}

/// Where a case stands, by the words that marks hold. The times, which are all in the mark, tell the rest.
fn stage(case: &Case) -> &'static str {
    match case {
        Case { decided_at: Some(_), .. } => "decided",
        Case { escalated_at: Some(_), .. } => "escalated",
        Case { answered_at: Some(_), .. } => "answered",
        _ => "filed",
    }
}

/// The mark of what a resident wishes: over all of it.
pub(crate) fn of_wishes(vault: &Vault, wishes: &StoredWishes) -> Result<Digest, Error> {
    let StoredWishes { resident, said_at, sealed, mark: _ } = wishes;
    row_mark(vault, b"usufruct/row/wishes/v1", &[&resident.to_be_bytes(), &time(*said_at), sealed])
}
