//! Marks of authorizations.

use usufruct_core::Digest;
use usufruct_store::authorizations::{self, Authorization};
use usufruct_store::db::Connection;
use usufruct_vault::Vault;

use super::{is_equal, row_mark, time};
use crate::Error;

/// The authorization with this id, if this house wrote it as it stands there.
pub(crate) fn find_authorization(conn: &mut dyn Connection, vault: &Vault, id: &str) -> Result<Option<Authorization>, Error> {
    let Some(found) = authorizations::find(conn, id)? else { return Ok(None) };
    Ok(is_true_authorization(vault, &found)?.then_some(found))
}

/// Those of the authorizations that this house wrote as they stand there; not for inside a read.
pub(crate) fn true_authorizations(vault: &Vault, found: Vec<Authorization>) -> Result<Vec<Authorization>, Error> {
    let mut ours = Vec::with_capacity(found.len());
    for found in found {
        if is_true_authorization(vault, &found)? {
            ours.push(found);
        }
    }
    Ok(ours)
}

/// The authorization that was found, if this house wrote it as it stands there; not for inside a read.
pub(crate) fn true_authorization(vault: &Vault, found: Option<Authorization>) -> Result<Option<Authorization>, Error> {
    let Some(found) = found else { return Ok(None) };
    Ok(is_true_authorization(vault, &found)?.then_some(found))
}

/// Whether this house wrote an authorization as it stands there.
pub(crate) fn is_true_authorization(vault: &Vault, found: &Authorization) -> Result<bool, Error> {
    Ok(is_equal(found.mark, of_authorization(vault, found)?))
}

/// The mark of an authorization: over all of it.
pub(crate) fn of_authorization(vault: &Vault, authorization: &Authorization) -> Result<Digest, Error> {
    let Authorization { id, service, resident, scope, created_at, updated_at, ends_at, mark: _ } = authorization;
    let columns = [
        id.as_bytes(),
        service.as_str().as_bytes(),
        &resident.to_be_bytes(),
        scope.as_bytes(),
        &time(*created_at),
        &time(*updated_at),
        &time(*ends_at),
    ];
    row_mark(vault, b"usufruct/row/authorization/v1", &columns)
}
