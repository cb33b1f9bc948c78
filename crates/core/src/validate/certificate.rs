//! Certificate: its proofs hold, its epochs follow those of the certificates before it, its dates lie where they can, and it is about
//! something that ended.

use super::Check;
use crate::certificate::{Cause, Certificate};
use crate::id::{CertificateId, MandateId, PurgeId};
use crate::key::{KeyOf, PublishedKey};
use crate::lifecycle::State;
use crate::purge::Purge;
use crate::register::{Content, Entry, Register};
use crate::uncertified::Uncertified;

pub(super) fn certificate(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Certificate::read(&statement.body))?;
    let id: CertificateId = statement.id.parse().ok()?;
    dates(check, &body);
    if let Some(old) = register.certificates.get(&id) {
        if !old.body.may_become(&body) {
            let message = "A certificate gains the answers of recipients, what more keepers have signed and the date of its purge, and nothing else changes. Publish another one.";
            check.note("rev", "final", message.into());
        } else if !gains_signers(register, old, &body) {
            let message = "What was added is not the signature of a keeper of that time who had not signed. Add what those keepers sign, each once.";
            check.note("keepers", "not-signed", message.into());
        }
        return Some(Content::Certificate(id, body));
    }
    if register.uncertified.contains_key(&id) {
        check.note("id", "uncertified", "It was said in public that this cannot be certified. Leave it at that.".into());
    }
    epochs(check, &body);
    keys(check, &body);
    ordered(check, &body);
    if let Some(terms) = register.vault.as_ref().map(|entry| &entry.body) {
        if body.slot_class != terms.slot_class {
            check.note("slot_class", "other-class", "The root is kept in another class. Give that of the vault's terms.".into());
        }
        if terms.slot_class == "E3" && !terms.is_destroyed(body.epoch_after, &body.keepers) {
            check.note(
                "keepers",
                "not-destroyed",
                "Too few keepers have signed that they destroyed the old root. Ask them again before you certify it.".into(),
            );
        }
        // Without a date the certificate promises nothing about the escrow, which is all it may do while its officers are late.
        if terms.escrow.is_none() && body.erased_escrow_at.is_some() {
            check.note(
                "erased_escrow_at",
                "escrow",
                "The vault's terms name no escrow. Leave its date out, or publish terms that name one.".into(),
            );
        }
    } else if body.slot_class == "E3" {
        check.note(
            "slot_class",
            "no-terms",
            "The root is said to be with keepers, and no terms of the vault name them. Publish the terms first.".into(),
        );
    }
    if let Some(sector) = &body.sector {
        let mut services = register.services.values().filter(|service| service.body.sector == *sector).peekable();
        if services.peek().is_none() || !services.all(|service| service.state.is_over()) {
            check.note("sector", "not-ended", "A service still works in this pseudonym domain. Close it first.".into());
        }
    }
    if let Some(mandate) = &body.mandate {
        let entry = mandate.parse().ok().and_then(|id: MandateId| register.mandates.get(&id));
        // What was deposited in a month ends while the mandate goes on, or at any time after.
        let was_active = entry.is_some_and(|entry| entry.history.iter().any(|step| step.to == State::Active));
        if body.cause == Cause::Retention && !was_active {
            let message = "Nothing was ever deposited under the mandate. Name one that has been active.";
            check.note("mandate", "never-active", message.into());
        } else if matches!(body.cause, Cause::Order | Cause::Rotation) {
            if entry.is_none_or(|entry| entry.state == State::Erased) {
                let message = "A key is replaced while its mandate has one. Name another mandate.";
                check.note("mandate", "no-key", message.into());
            }
        } else if !body.cause.is_survived() && entry.map(|entry| entry.state) != Some(State::Erasing) {
            check.note("mandate", "not-erasing", "The mandate is not being erased. End it first.".into());
        }
    }
    Some(Content::Certificate(id, body))
}

/// A purge is about certificates that no earlier one was about, up to one that stands in the log.
pub(super) fn purge(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Purge::read(&statement.body))?;
    let id: PurgeId = statement.id.parse().ok()?;
    if register.purges.contains_key(&id) {
        check.note("rev", "final", "What was said of a purge is not changed. Publish the next one.".into());
    }
    let latest = register.latest_root(body.through);
    if latest.is_none() {
        check.note("through", "unknown", "This is not the leaf of a certificate. Give that of its first revision.".into());
    }
    if register.last_purge().is_some_and(|last| body.through <= last.through) {
        check.note("through", "goes-back", "An earlier purge is about these certificates already. Name a later one.".into());
    }
    if body.purged_at > statement.at || latest.is_some_and(|root_at| body.purged_at < root_at) {
        let message = "The ciphertext is purged after its keys are gone and before that is said. Give the date of the purge.";
        check.note("purged_at", "not-then", message.into());
    }
    Some(Content::Purge(id, body))
}

/// Where there can be no certificate, that is said under its id, once. The published keys that went are gone by it, as by a certificate.
pub(super) fn uncertified(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Uncertified::read(&statement.body))?;
    let id: CertificateId = statement.id.parse().ok()?;
    if register.uncertified.contains_key(&id) {
        check.note("rev", "final", "This was said already. Nothing is added to it.".into());
    }
    if register.certificates.contains_key(&id) {
        check.note("id", "certified", "There is a certificate of this. Leave it at that.".into());
    }
    let is_gone = |commitment| register.key(commitment).is_none() || register.gone_since(commitment).is_some();
    if body.key_commitments.iter().any(is_gone) {
        let message = "A key was not published before, or is gone already. Name keys that live by the register.";
        check.note("key_commitments", "not-published", message.into());
    }
    if let Some(mandate) = &body.mandate {
        if register.mandates.get(mandate).map(|entry| entry.state) != Some(State::Erasing) {
            check.note("mandate", "not-erasing", "The mandate is not being erased. End it first.".into());
        }
        let of = KeyOf::Mandate(mandate.clone());
        if register.living_keys(&of).iter().any(|key| !body.key_commitments.contains(&key.body.commitment)) {
            let message = "A key that was published for it lives on. Destroy and name them all.";
            check.note("key_commitments", "not-all", message.into());
        }
    }
    Some(Content::Uncertified(id, body))
}

/// Whether a key was first published when the order that was carried out bound already: nothing that was to be deleted opens with it.
fn follows(register: &Register, body: &Certificate, key: &Entry<PublishedKey>) -> bool {
    let order = body.order.as_ref().and_then(|order| register.orders.get(order));
    order.is_some_and(|order| key.number > order.number && key.since >= order.effective_at())
}

/// Whether the order that was carried out commands to delete under this mandate, bound when the keys went, and was not carried out before.
fn ordered(check: &mut Check<'_>, body: &Certificate) {
    let register = check.register;
    let Some(id) = &body.order else { return };
    let Some(order) = register.orders.get(id) else {
        check.unknown("order", id, "order");
        return;
    };
    if order.body.deletes_under().map(MandateId::as_str) != body.mandate.as_deref() {
        let message = "This is no order to delete under this mandate. Name the order that was carried out.";
        check.note("order", "other-order", message.into());
    }
    if body.erased_live_at < order.effective_at() {
        let message = "The keys are said to have gone before the order bound. Give the date at which they went.";
        check.note("erased_live_at", "too-early", message.into());
    }
    if register.carried_out.contains_key(id) {
        let message = "Another certificate says that this order was carried out. An order is carried out once.";
        check.note("order", "carried-out", message.into());
    }
}

/// Whether everything that was added to what keepers have signed is the signature of one who had not, under the terms by which the
/// certificate was judged: who took another's place since then knows nothing of what that one holds.
fn gains_signers(register: &Register, old: &Entry<Certificate>, later: &Certificate) -> bool {
    let added = later.keepers.len() - old.body.keepers.len();
    let signers = |body: &Certificate| {
        let terms = register.vault_terms_at(old.number);
        terms.map_or(0, |(_, terms)| terms.signers(body.epoch_after, &body.keepers).count())
    };
    added == 0 || signers(later) == signers(&old.body) + added
}

/// Whether the dates lie between what the log knows and the statement itself. Where in between they lie is the operator's word.
fn dates(check: &mut Check<'_>, body: &Certificate) {
    let (register, said_at) = (check.register, check.statement.at);
    let mandate = body.mandate.as_ref().and_then(|mandate| mandate.parse().ok());
    let earliest = register.earliest_end(body.cause, mandate.as_ref(), body.sector.as_deref(), &body.key_commitments);
    if body.erased_live_at < earliest {
        let message = format!(
            "The keys cannot have gone before {earliest}, when the log first knew of them or of what ended. Give the date at which they went."
        );
        check.note("erased_live_at", "too-early", message);
    }
    if body.erased_root_at > said_at {
        let message = "The old root is said to be gone at a time that is still to come. Destroy it first, then certify it.";
        check.note("erased_root_at", "ahead", message.into());
    }
    if body.ciphertext_purged_at.is_some_and(|at| at < body.erased_live_at || at > said_at) {
        let message = "The ciphertext is purged after its keys are gone and before that is said. Give the date of the purge.";
        check.note("ciphertext_purged_at", "not-then", message.into());
    }
}

/// Whether the epochs go on from what other certificates say of the key tree.
///
/// Erasures overlap: their proofs of before are from when they were asked for, and one that a crash interrupted is finished after later
/// ones. So the epoch before may lie below that of another certificate. The epoch after may not, since it is the tree's own at the time
/// of publication; nor does a key come back that was shown to be gone, or one whose root was lost.
fn epochs(check: &mut Check<'_>, body: &Certificate) {
    let register = check.register;
    if body.epoch_after < register.certified_epoch() {
        check.note(
            "epoch_after",
            "goes-back",
            "An earlier certificate names a later epoch, and the key tree never goes back. Give the epoch in which it is now."
                .into(),
        );
    }
    let is_gone = |commitment| register.gone_since(commitment).is_some_and(|since| since <= body.epoch_before);
    if body.key_commitments.iter().any(is_gone) {
        check.note(
            "epoch_before",
            "gone",
            "An earlier certificate shows that the key was gone by then. Certify each end of a key once.".into(),
        );
    }
    let lost_before = register.vault.as_ref().and_then(|entry| entry.body.lost_before);
    if lost_before.is_some_and(|first| body.epoch_before < first) {
        check.note(
            "epoch_before",
            "lost",
            "The root of that epoch was lost, and nobody knows what became of it. Certify keys of the new key tree only.".into(),
        );
    }
}

/// Whether the keys are those that were published for exactly that mandate or domain and live by the register, and whether none is left
/// out that has to go.
fn keys(check: &mut Check<'_>, body: &Certificate) {
    let register = check.register;
    let of = match (&body.mandate, &body.sector) {
        (Some(mandate), _) => mandate.parse().ok().map(KeyOf::Mandate),
        (None, Some(sector)) => Some(KeyOf::Sector(sector.clone())),
        (None, None) => None,
    };
    let Some(of) = of else {
        // What a resident's certificate says of a mandate's key would end that key and not the mandate.
        if body.key_commitments.iter().any(|commitment| register.key(commitment).is_some()) {
            let message = "This key was published for a mandate or a pseudonym domain. Name it in the certificate.";
            check.note("key_commitments", "of-another", message.into());
        }
        return;
    };
    let living = register.living_keys(&of);
    let is_named = |key: &&Entry<PublishedKey>| body.key_commitments.contains(&key.body.commitment);
    let named = living.iter().copied().filter(is_named).count();
    let has_twice = (1..body.key_commitments.len()).any(|at| body.key_commitments[..at].contains(&body.key_commitments[at]));
    if named != body.key_commitments.len() || has_twice {
        check.note(
            "key_commitments",
            "not-published",
            "A key was not published for this mandate or pseudonym domain before, or is gone already. Certify keys that the register \
             knows, each once."
                .into(),
        );
    }
    let own_stay = living.iter().any(|key| key.body.month.is_none() && !is_named(key));
    let only = |is_of_month: bool| living.iter().filter(|key| is_named(key)).all(|key| key.body.month.is_some() == is_of_month);
    let problem = match body.cause {
        Cause::Retention => (!only(true)).then_some("A month ends, and this is not the key of one. Name keys of months only."),
        Cause::Rotation if !only(false) => Some("Only the mandate's own key is replaced. Leave those of its months out."),
        Cause::Order if living.iter().any(|key| !is_named(key) && !follows(register, body, key)) => {
            Some("A key under which something was lent or deposited lives on. Destroy and name them all.")
        }
        Cause::Order | Cause::Rotation => (!own_stay).then_some("The mandate is left without a key. Publish the new one first."),
        _ => (named != living.len()).then_some("A key that was published for it lives on. Destroy and name them all."),
    };
    if let Some(message) = problem {
        check.note("key_commitments", "not-all", message.into());
    }
}
