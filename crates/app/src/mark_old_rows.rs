//! Give rows that let somebody in their marks, once in the life of a house: those that are older than the marks.

use std::sync::Arc;

use usufruct_store::db::{Connection, Error as DbError, Tx};
use usufruct_store::{
    authorizations, cards, certificate_cards, codes, delegations, deletions, invitations, passkeys, recovery_codes,
    refresh_tokens, sessions, tokens,
};
use usufruct_vault::Vault;

use crate::row_mark::{
    marked_deletion, of_authorization, of_card, of_certificate_card, of_code, of_delegation, of_invitation, of_passkey,
    of_recovery_code, of_refresh_token, of_session, of_token,
};
use crate::{App, Error};

/// Rows marked in one transaction.
const PART: usize = 1_000;
/// The files of the house that say that every row has its mark: of sessions and passkeys, of all other ways in, of what services hold, of what
/// they have to delete, and of destructions that are under way.
/// From then on a row without one was written by somebody else.
const ROWS_MARKED: &str = "rows.marked";
const WAYS_MARKED: &str = "ways.marked";
const SERVICES_MARKED: &str = "services.marked";
const DELETIONS_MARKED: &str = "deletions.marked";
const ERASURES_MARKED: &str = "erasures.marked";

impl App {
    /// Gives rows from before there were marks theirs. Requests at counters get none: they live for an hour, and are begun again.
    pub(crate) fn mark_old_rows(&self) -> Result<(), Error> {
        if self.house.secrets(ROWS_MARKED)?.is_empty() {
            self.mark_each(
                "mark passkeys",
                passkeys::unmarked,
                |row| row.credential.clone(),
                |tx, vault, row| {
                    let mark = of_passkey(vault, &row.credential, row.resident, &row.passkey)?;
                    Ok(passkeys::set_mark(tx, &row.credential, &mark)?)
                },
            )?;
            self.mark_each(
                "mark sessions",
                sessions::unmarked,
                |row| row.token_hash.0.to_vec(),
                |tx, vault, row| Ok(sessions::set_mark(tx, &row.token_hash, &of_session(vault, row)?)?),
            )?;
            self.house.secret(ROWS_MARKED, Vec::new)?;
        }
        if self.house.secrets(WAYS_MARKED)?.is_empty() {
            self.mark_each(
                "mark recovery codes",
                recovery_codes::unmarked,
                |row| row.0.0.to_vec(),
                |tx, vault, row| Ok(recovery_codes::set_mark(tx, &row.0, &of_recovery_code(vault, &row.0, row.1)?)?),
            )?;
            self.mark_each(
                "mark cards",
                cards::unmarked,
                |row| row.secret_hash.0.to_vec(),
                |tx, vault, row| Ok(cards::set_mark(tx, &row.secret_hash, &of_card(vault, row)?)?),
            )?;
            self.mark_each(
                "mark certificate cards",
                certificate_cards::unmarked,
                |row| row.mark.0.to_vec(),
                |tx, vault, row| Ok(certificate_cards::set_mark(tx, &row.mark, &of_certificate_card(vault, row)?)?),
            )?;
            self.mark_each(
                "mark invitations",
                invitations::unmarked,
                |row| row.code_hash.0.to_vec(),
                |tx, vault, row| Ok(invitations::set_mark(tx, &row.code_hash, &of_invitation(vault, row)?)?),
            )?;
            let delegations = |conn: &mut dyn Connection, after: &[u8], limit| {
                delegations::unmarked(conn, &String::from_utf8_lossy(after), limit)
            };
            self.mark_each(
                "mark delegations",
                delegations,
                |row| row.id.clone().into_bytes(),
                |tx, vault, row| Ok(delegations::set_mark(tx, &row.id, &of_delegation(vault, row)?)?),
            )?;
            self.house.secret(WAYS_MARKED, Vec::new)?;
        }
        if self.house.secrets(ERASURES_MARKED)?.is_empty() {
            self.mark_old_evidence()?;
            self.house.secret(ERASURES_MARKED, Vec::new)?;
        }
        self.mark_what_services_hold()?;
        self.mark_what_services_delete()
    }

    fn mark_what_services_hold(&self) -> Result<(), Error> {
        if !self.house.secrets(SERVICES_MARKED)?.is_empty() {
            return Ok(());
        }
        let authorizations = |conn: &mut dyn Connection, after: &[u8], limit| {
            authorizations::unmarked(conn, &String::from_utf8_lossy(after), limit)
        };
        self.mark_each(
            "mark authorizations",
            authorizations,
            |row| row.id.clone().into_bytes(),
            |tx, vault, row| Ok(authorizations::set_mark(tx, &row.id, &of_authorization(vault, row)?)?),
        )?;
        self.mark_each(
            "mark codes",
            codes::unmarked,
            |row| row.code_hash.0.to_vec(),
            |tx, vault, row| Ok(codes::set_mark(tx, &row.code_hash, &of_code(vault, row)?)?),
        )?;
        self.mark_each(
            "mark tokens",
            tokens::unmarked,
            |row| row.token_hash.0.to_vec(),
            |tx, vault, row| Ok(tokens::set_mark(tx, &row.token_hash, &of_token(vault, row)?)?),
        )?;
        self.mark_each(
            "mark refresh tokens",
            refresh_tokens::unmarked,
            |row| row.token_hash.0.to_vec(),
            |tx, vault, row| Ok(refresh_tokens::set_mark(tx, &row.token_hash, &of_refresh_token(vault, row)?)?),
        )?;
        self.house.secret(SERVICES_MARKED, Vec::new)?;
        Ok(())
    }

    fn mark_what_services_delete(&self) -> Result<(), Error> {
        if !self.house.secrets(DELETIONS_MARKED)?.is_empty() {
            return Ok(());
        }
        let deletions =
            |conn: &mut dyn Connection, after: &[u8], limit| deletions::unmarked(conn, &String::from_utf8_lossy(after), limit);
        self.mark_each(
            "mark deletions",
            deletions,
            |row| row.id.as_str().as_bytes().to_vec(),
            |tx, vault, row| Ok(deletions::set(tx, &[marked_deletion(vault, row.clone())?])?),
        )?;
        self.house.secret(DELETIONS_MARKED, Vec::new)?;
        Ok(())
    }

    /// Reads the rows of a table that have no mark, a part of them at a time in the order of their keys, and marks each.
    fn mark_each<R: Send + 'static>(
        &self,
        name: &'static str,
        unmarked: impl Fn(&mut dyn Connection, &[u8], usize) -> Result<Vec<R>, DbError>,
        key: impl Fn(&R) -> Vec<u8>,
        mark: fn(&mut Tx<'_>, &Vault, &R) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let part = self.db.read(|conn| unmarked(conn, &after, PART))?;
            let Some(last) = part.last() else { return Ok(()) };
            after = key(last);
            let vault = Arc::clone(&self.vault);
            self.db.transaction(name, move |tx| part.iter().try_for_each(|row| mark(tx, &vault, row)))?;
        }
    }
}
