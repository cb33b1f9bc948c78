//! Marks of what residents wish about messages and letters.

use usufruct_core::Digest;
use usufruct_store::messages::StoredMessageWish;
use usufruct_store::posted_lists::PostedList;
use usufruct_vault::Vault;

use super::{optional, row_mark, time};
use crate::Error;

/// The mark of what a resident wishes about her messages: over all of it.
pub(crate) fn of_message_wish(vault: &Vault, wish: &StoredMessageWish) -> Result<Digest, Error> {
    let StoredMessageWish { resident, is_off, address, said_at, mark: _ } = wish;
    let columns = [&resident.to_be_bytes()[..], &[u8::from(*is_off)], &optional(address.as_ref()), &time(*said_at)];
    row_mark(vault, b"usufruct/row/message-wish/v1", &columns)
}

/// The mark of an order of a list by post: over all of it.
pub(crate) fn of_posted_list(vault: &Vault, order: &PostedList) -> Result<Digest, Error> {
    let PostedList { resident, every, language, due_at, mark: _ } = order;
    let columns = [&resident.to_be_bytes()[..], every.as_bytes(), language.as_bytes(), &time(*due_at)];
    row_mark(vault, b"usufruct/row/posted-list/v1", &columns)
}
