//! Marks of delegations.

use usufruct_core::Digest;
use usufruct_store::db::Connection;
use usufruct_store::delegations::{self, Delegation};
use usufruct_vault::Vault;

use super::{is_equal, optional, row_mark, time};
use crate::Error;

/// The delegation with this id, if this house wrote it as it stands there.
pub(crate) fn find_delegation(conn: &mut dyn Connection, vault: &Vault, id: &str) -> Result<Option<Delegation>, Error> {
    let Some(found) = delegations::find(conn, id)? else { return Ok(None) };
    Ok(is_ours(vault, &found)?.then_some(found))
}

/// Adds a delegation, or replaces the one with its id.
pub(crate) fn put_delegation(conn: &mut dyn Connection, vault: &Vault, delegation: &Delegation) -> Result<(), Error> {
    let mark = Some(of_delegation(vault, delegation)?);
    Ok(delegations::put(conn, &Delegation { mark, ..delegation.clone() })?)
}

/// Whether this house wrote a delegation as it stands there.
pub(crate) fn is_ours(vault: &Vault, delegation: &Delegation) -> Result<bool, Error> {
    Ok(is_equal(delegation.mark, of_delegation(vault, delegation)?))
}

/// The mark of a delegation: over all of it.
pub(crate) fn of_delegation(vault: &Vault, delegation: &Delegation) -> Result<Digest, Error> {
    let Delegation {
        id,
        role,
        person,
        delegate,
        powers,
        code,
        given_at,
        taken_at,
        ends_at,
        delegate_called,
        person_called,
        mark: _,
    } = delegation;
    let powers = powers.to_string();
    let columns = [
        id.as_bytes(),
        role.code().as_bytes(),
        &person.to_be_bytes(),
        &optional(delegate.map(u64::to_be_bytes)),
        powers.as_bytes(),
        &optional(code.map(|(hash, ends_at)| [&hash.0[..], &time(ends_at)].concat())),
        &time(*given_at),
        &optional(taken_at.map(time)),
        &time(*ends_at),
        &optional(delegate_called.as_ref()),
        &optional(person_called.as_ref()),
    ];
    row_mark(vault, b"usufruct/row/delegation/v1", &columns)
}
