//! Published key: of a mandate or a pseudonym domain that is not over, once, and by the operator's machine.

use super::Check;
use crate::id::KeyId;
use crate::key::{KeyOf, PublishedKey};
use crate::register::Content;
use crate::time::Month;

pub(super) fn key(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(PublishedKey::read(&statement.body))?;
    let id: KeyId = statement.id.parse().ok()?;
    if id != KeyId::of(&body.commitment) {
        let message = "The id is not that of the commitment. Make it of its first 16 bytes in hex.";
        check.note("id", "other-commitment", message.into());
    }
    if register.keys.contains_key(&id) {
        check.note("rev", "final", "A key is published once. Leave it as it stands.".into());
    }
    if register.gone_since(&body.commitment).is_some() {
        let message = "A certificate shows that the key is gone. Publish keys that live.";
        check.note("commitment", "gone", message.into());
    }
    let lost_before = register.vault.as_ref().and_then(|entry| entry.body.lost_before).unwrap_or(0);
    if body.epoch < register.certified_epoch().max(lost_before) {
        check.note("epoch", "goes-back", "The register knows a later epoch of the key tree. Give the one it is in now.".into());
    }
    // A key that is said to exist only when its end is wanted shows nothing.
    match &body.of {
        KeyOf::Mandate(mandate) => match register.mandates.get(mandate) {
            None => check.unknown("mandate", mandate, "mandate"),
            Some(entry) if !entry.has_key() => {
                check.note(
                    "mandate",
                    "no-key",
                    "What was never published has no key, and what is over gets none. Name another mandate.".into(),
                );
            }
            Some(_) => {}
        },
        KeyOf::Sector(sector) => {
            if register.services.values().filter(|service| service.body.sector == *sector).all(|service| service.state.is_over())
            {
                check.note("sector", "no-key", "No service works in this pseudonym domain. Name another one.".into());
            }
        }
    }
    if body.month.is_some_and(|month| month > Month::of(statement.at)) {
        check.note("month", "ahead", "The month has not begun. Publish its key when it is made.".into());
    }
    Some(Content::Key(id, body))
}
