//! Marks of sessions.

use usufruct_core::Digest;
use usufruct_store::db::Connection;
use usufruct_store::sessions::{self, Session};
use usufruct_vault::Vault;

use super::{is_equal, row_mark, time};
use crate::Error;

/// The session with this token hash, if this house opened it as it stands there.
pub(crate) fn find_session(conn: &mut dyn Connection, vault: &Vault, token_hash: &Digest) -> Result<Option<Session>, Error> {
    let Some(session) = sessions::find(conn, token_hash)? else { return Ok(None) };
    let is_ours = is_equal(session.mark, of_session(vault, &session)?);
    Ok(is_ours.then_some(session))
}

/// The mark of a session: over whose it is, how and when she proved herself, and what it hangs on. When it was last used is not in it.
pub(crate) fn of_session(vault: &Vault, session: &Session) -> Result<Digest, Error> {
    let (acts, card) = (session.acts.as_ref(), session.card.as_ref());
    row_mark(
        vault,
        b"usufruct/row/session/v1",
        &[
            &session.token_hash.0,
            &session.resident.to_be_bytes(),
            &time(session.opened_at),
            &time(session.proved_at),
            session.means.code().as_bytes(),
            acts.map_or(&[][..], |acts| &acts.parent.0[..]),
            acts.map_or(&[][..], |acts| acts.delegation.as_bytes()),
            card.map_or(&[][..], |card| &card.mark.0[..]),
            card.map(|card| time(card.ends_at)).as_ref().map_or(&[][..], |ends_at| &ends_at[..]),
        ],
    )
}
