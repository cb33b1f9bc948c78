//! Marks of rows, under a key of the house that is in no database: whoever can write to the tables still opens no session, adds no way in,
//! and lets no service know anybody.

use usufruct_core::hash::equal;
use usufruct_core::{Digest, Time};
use usufruct_vault::Vault;

use crate::Error;

pub(crate) use authorization::{
    find_authorization, is_true_authorization, of_authorization, true_authorization, true_authorizations,
};
pub(crate) use case::{is_true_case, of_case, of_wishes};
pub(crate) use delegation::{find_delegation, is_ours, of_delegation, put_delegation};
pub(crate) use deletion::{is_true_deletion, marked_deletion};
pub(crate) use message::{of_message_wish, of_posted_list};
pub(crate) use session::{find_session, of_session};
pub(crate) use token::{marked_token, of_code, of_refresh_token, of_token, true_code, true_refresh_token, true_token};
pub(crate) use way_in::{
    find_card, find_certificate_card, find_counter_request, find_invitation, find_recovery_code, of_card, of_certificate_card,
    of_counter_request, of_invitation, of_passkey, of_recovery_code,
};

mod authorization;
mod case;
mod delegation;
mod deletion;
mod message;
mod session;
mod token;
mod way_in;

/// Whether a stored mark is this one. A row without a mark is nobody's.
pub(crate) fn is_equal(stored: Option<Digest>, expected: Digest) -> bool {
    stored.is_some_and(|stored| equal(&stored.0, &expected.0))
}

pub(crate) fn row_mark(vault: &Vault, table: &[u8], columns: &[&[u8]]) -> Result<Digest, Error> {
    let mut row = Vec::new();
    for column in columns {
        row.extend_from_slice(&(column.len() as u64).to_be_bytes());
        row.extend_from_slice(column);
    }
    Ok(Digest(vault.session_mark(&[table, &row])?))
}

pub(crate) fn time(time: Time) -> [u8; 8] {
    time.micros().to_be_bytes()
}

/// A column that may be null: nothing, or a byte and the value.
pub(crate) fn optional(value: Option<impl AsRef<[u8]>>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [&[1], value.as_ref()].concat())
}
