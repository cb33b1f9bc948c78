//! Certificate cards of the state: registered by a resident beside her passkeys, and a way in below them.
//!
//! Nothing that stands in a certificate is kept. The store has marks that only this house can make: over issuer and public key,
//! by which the card is found, and over issuer and serial number, by which lists of revoked certificates are compared.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::event::Kind;
use usufruct_core::hash::sha256;
use usufruct_core::means::Means;
use usufruct_core::time::DAY;
use usufruct_core::{Digest, Time};
use usufruct_store::certificate_cards::{self, CertificateCard};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::sessions::{self, CardBound};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::card_issuers::time;
use crate::devices::passkey_label;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::row_mark::{find_certificate_card, of_certificate_card};
use crate::session::{close, end_opened};
use crate::{Actor, App, Credential, CredentialChange, Error, Initiator, OpenSession, ProvenCertificate};

/// Cards that one resident can have.
const MOST: usize = 5;
/// Cards looked at in one read.
const PART: i64 = 1_000;
/// Reasons of status lines in a footprint.
const ADDED: &str = "certificate-card-added";
const USED: &str = "certificate-card-used";
const REMOVED: &str = "certificate-card-removed";
const REVOKED: &str = "certificate-card-revoked";
const EXPIRED: &str = "certificate-card-expired";

/// A certificate card as its resident sees it in a list.
#[derive(Clone, Debug)]
pub struct CertificateCardView {
    /// Name by which it can be removed. It opens nothing.
    pub name: String,
    pub label: String,
    pub added_at: Time,
    pub used_at: Option<Time>,
    /// The midnight after its last day.
    pub ends_at: Time,
}

/// What is kept of a certificate, and when exactly it ends.
struct Marks {
    card: Digest,
    issuer: Digest,
    serial: Digest,
    not_after: Time,
}

impl App {
    /// Registers the certificate card that a handshake proved, for the resident of a fresh session. `label` is what she calls it.
    pub fn add_certificate_card(&self, session: &OpenSession, proven: &ProvenCertificate, label: &str) -> Result<(), Error> {
        let now = self.now();
        let (actor, vault) = (session.proven(now)?, Arc::clone(&self.vault));
        let (resident, marks) = (session.resident, self.marks(proven)?);
        let mut card = CertificateCard {
            mark: marks.card,
            resident,
            label: passkey_label(label),
            issuer: marks.issuer,
            serial: marks.serial,
            ends_at: midnight_after(marks.not_after),
            added_at: now,
            used_at: None,
            row_mark: None,
        };
        card.row_mark = Some(of_certificate_card(&self.vault, &card)?);
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        self.db.transaction("add certificate card", move |tx| {
            actor.permit(tx, &vault, now)?;
            if certificate_cards::find(tx, &card.mark)?.is_some() {
                return Err(Error::refused("This card is registered already.", "Remove it first where it is registered."));
            }
            if certificate_cards::of_resident(tx, resident)?.len() >= MOST {
                return Err(Error::refused("You have five certificate cards.", "Remove one that you do not use."));
            }
            certificate_cards::insert(tx, &card)?;
            outbox.credential_changed(tx, resident, Credential::Certificate, CredentialChange::Create)?;
            place(tx, &keyring, plain_event(Kind::Status, ADDED, None, now), rng.as_ref()).map(drop)
        })
    }

    /// Opens a session with the card that a handshake proved, and answers its token. A session that the browser had before ends.
    /// Whether a card is unknown or its pass is closed to it, the answer is the same.
    pub fn sign_in_with_certificate(
        &self,
        proven: &ProvenCertificate,
        before: Option<&OpenSession>,
        device: &str,
    ) -> Result<String, Error> {
        let (now, marks) = (self.now(), self.marks(proven)?);
        let found = self.db.read(|conn| find_certificate_card(conn, &self.vault, &marks.card))?.ok_or_else(unknown_card)?;
        let resident = found.resident;
        let bound = CardBound { mark: marks.card, ends_at: marks.not_after };
        let (token, session) = self.fresh_session(resident, device, Means::Certificate, Some(bound))?;
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        let (before, vault) = (before.map(|session| session.token_hash), Arc::clone(&self.vault));
        self.db.transaction("sign in with certificate", move |tx| {
            let known = find_certificate_card(tx, &vault, &marks.card)?.filter(|card| card.resident == resident);
            let state = residents::state(tx, resident)?;
            // A frozen pass opens to nothing but a passkey.
            let (Some(known), Some(ResidentState::Active | ResidentState::Deactivated)) = (known, state) else {
                return Err(unknown_card());
            };
            // A renewed certificate on the same key: what the old one opened could no longer be ended by its serial number.
            if known.serial != marks.serial {
                end_opened(tx, &outbox, resident, Means::Certificate, Some(&marks.card), Initiator::Policy)?;
            }
            let mut renewed =
                CertificateCard { issuer: marks.issuer, serial: marks.serial, ends_at: midnight_after(marks.not_after), ..known };
            renewed.row_mark = Some(of_certificate_card(&vault, &renewed)?);
            certificate_cards::touch(tx, &renewed, now)?;
            if let Some(before) = before {
                close(tx, &outbox, &before, Initiator::User)?;
            }
            sessions::insert(tx, &session)?;
            place(tx, &keyring, plain_event(Kind::Status, USED, None, now), rng.as_ref()).map(drop)
        })?;
        Ok(token)
    }

    /// The certificate cards of a resident, oldest first.
    pub fn certificate_cards(&self, resident: u64) -> Result<Vec<CertificateCardView>, Error> {
        let cards = self.db.read(|conn| certificate_cards::of_resident(conn, resident))?;
        let view = |card: CertificateCard| CertificateCardView {
            name: name(&card.mark),
            label: card.label,
            added_at: card.added_at,
            used_at: card.used_at,
            ends_at: card.ends_at,
        };
        Ok(cards.into_iter().map(view).collect())
    }

    /// Removes a card of the resident by the name it has in her list, and ends what it opened.
    pub fn remove_certificate_card(&self, actor: impl Into<Actor>, wanted: &str) -> Result<(), Error> {
        let actor = actor.into();
        let cards = self.db.read(|conn| certificate_cards::of_resident(conn, actor.resident))?;
        let found = cards.into_iter().find(|card| name(&card.mark) == wanted);
        let card = found.ok_or(Error::Unknown { what: "certificate card of yours" })?;
        if self.end_card(&card, actor, REMOVED, Initiator::User)? {
            Ok(())
        } else {
            Err(Error::Unknown { what: "certificate card of yours" })
        }
    }

    /// Ends the cards that the issuers have revoked, and what cards have opened whose issuer is not trusted any more. Called when the
    /// door was opened with new lists. Answers how many cards ended.
    pub fn end_revoked_cards(&self) -> Result<usize, Error> {
        let Some(door) = self.card_door.load_full() else { return Ok(0) };
        let trusted = door.issuers.issuer_names().map(|name| self.issuer_mark(name)).collect::<Result<HashSet<_>, _>>()?;
        let revoked =
            door.issuers.revoked().map(|(name, serial)| self.serial_mark(name, serial)).collect::<Result<HashSet<_>, _>>()?;
        let (mut after, mut count) = (Digest([0; 32]), 0);
        loop {
            let cards = self.db.read(|conn| certificate_cards::page(conn, &after, PART))?;
            let Some(last) = cards.last() else { return Ok(count) };
            after = last.mark;
            for card in &cards {
                if revoked.contains(&card.serial) {
                    count += usize::from(self.end_card(card, card.resident.into(), REVOKED, Initiator::Policy)?);
                } else if !trusted.contains(&card.issuer) {
                    self.end_opened_by_card(card)?;
                }
            }
        }
    }

    /// Ends cards whose last day is over. Answers how many.
    pub(crate) fn end_expired_cards(&self) -> Result<u64, Error> {
        let now = self.now();
        let mut count = 0;
        for card in self.db.read(|conn| certificate_cards::ended(conn, now, PART))? {
            count += u64::from(self.end_card(&card, card.resident.into(), EXPIRED, Initiator::Policy)?);
        }
        Ok(count)
    }

    /// Whether the card that opened a session is still registered, and its issuer trusted.
    pub(crate) fn is_card_good(&self, card: &CertificateCard) -> Result<bool, Error> {
        let Some(door) = self.card_door.load_full() else { return Ok(false) };
        for name in door.issuers.issuer_names() {
            if self.issuer_mark(name)? == card.issuer {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn end_card(&self, card: &CertificateCard, actor: Actor, reason: &'static str, by: Initiator) -> Result<bool, Error> {
        let (resident, mark, now) = (card.resident, card.mark, self.now());
        let (keyring, rng, outbox) = (Arc::new(self.keyring(resident)?), Arc::clone(&self.rng), self.outbox());
        let vault = Arc::clone(&self.vault);
        self.db.transaction("end certificate card", move |tx| {
            actor.permit(tx, &vault, now)?;
            if !certificate_cards::delete(tx, resident, &mark)? {
                return Ok(false);
            }
            end_opened(tx, &outbox, resident, Means::Certificate, Some(&mark), by)?;
            outbox.credential_changed(tx, resident, Credential::Certificate, CredentialChange::Revoke)?;
            place(tx, &keyring, plain_event(Kind::Status, reason, None, now), rng.as_ref())?;
            Ok(true)
        })
    }

    fn end_opened_by_card(&self, card: &CertificateCard) -> Result<(), Error> {
        let (resident, mark, outbox) = (card.resident, card.mark, self.outbox());
        self.db.transaction("end what a card opened", move |tx| {
            end_opened(tx, &outbox, resident, Means::Certificate, Some(&mark), Initiator::Policy)
        })
    }

    /// The marks of a certificate that is good now: since the handshake it may have been revoked.
    fn marks(&self, proven: &ProvenCertificate) -> Result<Marks, Error> {
        let door = self.card_door.load_full().ok_or_else(not_good)?;
        if !door.issuers.accepts(&proven.chain, self.now()) {
            return Err(not_good());
        }
        let card = proven.chain.first().ok_or_else(not_good)?;
        let (_, card) = X509Certificate::from_der(card).map_err(|_| not_good())?;
        let issuer = card.issuer().as_raw();
        if !door.issuers.issuer_names().any(|name| name == issuer) {
            return Err(not_good());
        }
        Ok(Marks {
            card: Digest(self.vault.session_mark(&[b"usufruct/certificate-card/v1", issuer, card.public_key().raw])?),
            issuer: self.issuer_mark(issuer)?,
            serial: self.serial_mark(issuer, &card.tbs_certificate.serial.to_bytes_be())?,
            not_after: time(card.validity().not_after),
        })
    }

    fn issuer_mark(&self, name: &[u8]) -> Result<Digest, Error> {
        Ok(Digest(self.vault.session_mark(&[b"usufruct/certificate-issuer/v1", name])?))
    }

    /// A name as DER says its own length, so nothing else runs together to the same bytes.
    fn serial_mark(&self, issuer: &[u8], serial: &[u8]) -> Result<Digest, Error> {
        Ok(Digest(self.vault.session_mark(&[b"usufruct/certificate-serial/v1", issuer, serial])?))
    }
}

/// The day is kept and not the second: together with the issuer a second would point at one card.
fn midnight_after(not_after: Time) -> Time {
    Time::from_micros(not_after.micros().div_euclid(DAY).saturating_add(1).saturating_mul(DAY))
}

fn name(mark: &Digest) -> String {
    URL_SAFE_NO_PAD.encode(&sha256(&[&b"usufruct/certificate-card-name/v1\n"[..], &mark.0].concat()).0[..16])
}

fn unknown_card() -> Error {
    Error::refused(
        "This card does not open a pass.",
        "Sign in with your passkey and register the card on the page of your devices.",
    )
}

fn not_good() -> Error {
    Error::refused("The certificate on this card is not accepted now.", "Use another way in, and ask the issuer about the card.")
}
