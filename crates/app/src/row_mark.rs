//! Marks of the rows that let somebody in, under a key of the house that is in no database: whoever can write to the tables still
//! opens no session and adds no passkey.

use std::sync::Arc;

use usufruct_core::hash::equal;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Connection;
use usufruct_store::passkeys::{self, Passkey};
use usufruct_store::sessions::{self, Session};
use usufruct_vault::Vault;

use crate::{App, Error};

/// Rows marked in one transaction at an upgrade.
const PART: usize = 1_000;
/// The file of the house that says that every row has its mark. From then on a row without one was written by somebody else.
const ALL_MARKED: &str = "rows.marked";

/// The session with this token hash, if this house opened it as it stands there.
pub(crate) fn find_session(conn: &mut dyn Connection, vault: &Vault, token_hash: &Digest) -> Result<Option<Session>, Error> {
    let Some(session) = sessions::find(conn, token_hash)? else { return Ok(None) };
    let is_ours = is_equal(session.mark, of_session(vault, &session)?);
    Ok(is_ours.then_some(session))
}

/// The mark of a session: over whose it is, how and when she proved herself, and what it hangs on. When it was last used is not in it.
pub(crate) fn of_session(vault: &Vault, session: &Session) -> Result<Digest, Error> {
    let time = |time: Time| time.micros().to_be_bytes();
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

/// The mark of a passkey: over the credential, its resident, and its public key with counter and flags, as they are stored.
pub(crate) fn of_passkey(vault: &Vault, credential: &[u8], resident: u64, passkey: &str) -> Result<Digest, Error> {
    row_mark(vault, b"usufruct/row/passkey/v1", &[credential, &resident.to_be_bytes(), passkey.as_bytes()])
}

/// Whether a stored mark is this one. A row without a mark is nobody's.
pub(crate) fn is_equal(stored: Option<Digest>, expected: Digest) -> bool {
    stored.is_some_and(|stored| equal(&stored.0, &expected.0))
}

fn row_mark(vault: &Vault, table: &[u8], columns: &[&[u8]]) -> Result<Digest, Error> {
    let mut row = Vec::new();
    for column in columns {
        row.extend_from_slice(&(column.len() as u64).to_be_bytes());
        row.extend_from_slice(column);
    }
    Ok(Digest(vault.session_mark(&[table, &row])?))
}

impl App {
    /// Gives rows from before there were marks theirs, once in the life of a house.
    pub(crate) fn mark_old_rows(&self) -> Result<(), Error> {
        if !self.house.secrets(ALL_MARKED)?.is_empty() {
            return Ok(());
        }
        let mut after = Vec::new();
        loop {
            let part = self.db.read(|conn| passkeys::unmarked(conn, &after, PART))?;
            let Some(last) = part.last() else { break };
            after = last.credential.clone();
            let vault = Arc::clone(&self.vault);
            self.db.transaction("mark passkeys", move |tx| {
                part.iter().try_for_each(|Passkey { credential, resident, passkey, .. }| {
                    let mark = of_passkey(&vault, credential, *resident, passkey)?;
                    Ok::<_, Error>(passkeys::set_mark(tx, credential, &mark)?)
                })
            })?;
        }
        let mut after = Vec::new();
        loop {
            let part = self.db.read(|conn| sessions::unmarked(conn, &after, PART))?;
            let Some(last) = part.last() else { break };
            after = last.token_hash.0.to_vec();
            let vault = Arc::clone(&self.vault);
            self.db.transaction("mark sessions", move |tx| {
                part.iter().try_for_each(|session| {
                    Ok::<_, Error>(sessions::set_mark(tx, &session.token_hash, &of_session(&vault, session)?)?)
                })
            })?;
        }
        self.house.secret(ALL_MARKED, Vec::new).map(drop)
    }
}
