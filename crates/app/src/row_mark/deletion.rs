//! Marks of notices to delete, and of what services answered.

use usufruct_core::Digest;
use usufruct_store::deletions::Deletion;
use usufruct_vault::Vault;

use super::{is_equal, optional, row_mark, time};
use crate::Error;

/// Whether this house wrote a notice as it stands there.
pub(crate) fn is_true_deletion(vault: &Vault, deletion: &Deletion) -> Result<bool, Error> {
    Ok(is_equal(deletion.mark, of_deletion(vault, deletion)?))
}

/// A notice with its mark.
pub(crate) fn marked_deletion(vault: &Vault, deletion: Deletion) -> Result<Deletion, Error> {
    let mark = Some(of_deletion(vault, &deletion)?);
    Ok(Deletion { mark, ..deletion })
}

/// The mark of a notice: over all of it.
fn of_deletion(vault: &Vault, deletion: &Deletion) -> Result<Digest, Error> {
    let Deletion {
        id,
        certificate,
        service,
        mandate,
        sealed,
        noted_at,
        ready_at,
        due_at,
        told_at,
        answer,
        ground,
        missed_at,
        altered_at,
        mark: _,
    } = deletion;
    // An answer from before there were grounds has the mark that it had.
    let ground = ground.as_ref().map(|ground| [b" ", ground.as_bytes()].concat()).unwrap_or_default();
    let answered = answer.map(|(answer, at)| [&time(at)[..], answer.code().as_bytes(), &ground].concat());
    let columns = [
        id.as_str().as_bytes(),
        certificate.as_str().as_bytes(),
        service.as_str().as_bytes(),
        &optional(mandate.map(u64::to_be_bytes)),
        &optional(sealed.as_ref()),
        &time(*noted_at),
        &optional(ready_at.map(time)),
        &time(*due_at),
        &optional(told_at.map(time)),
        &optional(answered),
        &optional(missed_at.map(time)),
        &optional(altered_at.map(time)),
    ];
    row_mark(vault, b"usufruct/row/deletion/v1", &columns)
}
