//! Withdraw a consent: the grant ends at once, then its key is destroyed, then a certificate says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::certificate::Cause;
use usufruct_core::event::{Event, Kind};
use usufruct_core::grant::{GrantKind, GrantState};
use usufruct_core::id::{CertificateId, MandateId, ServiceId};
use usufruct_core::register::Register;
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::{authorizations, codes, deletions, grants, keyrings, tokens};
use usufruct_vault::Vault;

use crate::actor::place_by;
use crate::{Actor, App, Error};

/// Reasons of the line: she withdrew, or it was decided in a case of hers.
const WITHDRAWAL: &str = "withdrawal";
pub(crate) const BY_ORDER: &str = "case";

/// What came of a withdrawal.
#[derive(Clone, Debug)]
pub struct Withdrawn {
    /// The public proof that the key is gone.
    pub certificate: CertificateId,
    /// Leaf number of the withdrawal.
    pub index: u64,
    /// A signed note by the receipt key.
    pub receipt: String,
}

impl App {
    /// The resident, or a delegate for her, withdraws from a mandate. When this returns, no service can open anything under it any more, and the
    /// key is destroyed.
    ///
    /// One transaction ends the grant, and at every service of the pseudonym domains that it touches all authorizations, tokens and codes,
    /// and notes the erasure; the key follows; a crash in between is finished at the next start.
    pub fn withdraw(&self, actor: impl Into<Actor>, mandate: &MandateId) -> Result<Withdrawn, Error> {
        self.end_loan(actor.into(), mandate, WITHDRAWAL, GrantState::Withdrawn)
    }

    /// Ends what a resident lends under a mandate and destroys its key, because that was decided in a case of hers; under a law too. Does nothing
    /// where she lends nothing.
    ///
    /// The grant is terminated where the office that answers gave it up, and invalidated where an overseer decided it.
    pub(crate) fn end_loan_by_order(&self, resident: u64, mandate: &MandateId, is_given_up: bool) -> Result<(), Error> {
        let register = self.register();
        let number = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?.number;
        let stored = self.db.read(|conn| grants::find(conn, resident, number))?;
        if stored.is_some_and(|stored| matches!(stored.grant.state, GrantState::Given | GrantState::Paused)) {
            let state = if is_given_up { GrantState::Terminated } else { GrantState::Invalidated };
            self.end_loan(resident.into(), mandate, BY_ORDER, state)?;
        }
        Ok(())
    }

    fn end_loan(&self, actor: Actor, mandate: &MandateId, reason: &'static str, state: GrantState) -> Result<Withdrawn, Error> {
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let register = self.register();
        let now = self.now();
        let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let stored = self.db.read(|conn| grants::find(conn, resident, entry.number))?;
        // Where she may not know of a loan, there is none.
        let is_known = reason == BY_ORDER || self.grants(resident)?.iter().any(|known| known.mandate == entry.number);
        let stored = stored
            .filter(|stored| is_known && matches!(stored.grant.state, GrantState::Given | GrantState::Paused))
            .ok_or_else(|| Error::refused("There is nothing to withdraw from here.", "See the list of your consents."))?;
        if stored.grant.kind != GrantKind::Consent && reason != BY_ORDER {
            return Err(Error::refused(
                "This use rests on law or on an order and not on your consent, so it cannot be withdrawn.",
                "You can object to it from your footprint.",
            ));
        }
        let services = services_under(&register, mandate);
        // The log is public: a time in the name would stand beside those that the services know.
        let certificate = CertificateId::random(self.rng());
        let erasure = Erasure {
            certificate: certificate.clone(),
            cause: Cause::Withdrawal.code().to_owned(),
            resident: Some(resident),
            mandate: Some(entry.number),
            sector: None,
            months: Vec::new(),
            commitments: self.vault.resident_commitment(resident)?.into_iter().collect(),
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        };
        let erasure = self.with_evidence(erasure)?;
        let event = event(entry.hash, services.first(), &certificate, reason, now);
        let (vault, rng, number) = (Arc::clone(&self.vault), Arc::clone(&self.rng), entry.number);
        let sectors: BTreeSet<u64> =
            services.iter().filter_map(|id| register.services.get(id)).map(|service| register.sector(service)).collect();
        let neighbours = services_in(&register, &sectors);
        // Under the pseudonym that she leaves behind.
        let (keyring, only) = (self.keyring(resident)?, entry.number);
        let notices = self.notices_of_resident(&certificate, resident, &keyring, &[only], Some(only))?;
        let met: Vec<ServiceId> = notices.iter().map(|notice| notice.service.clone()).collect();
        // Whoever shares the domain and nothing of this mandate learns that its tokens are dead, and not of what.
        let others: BTreeSet<ServiceId> = neighbours.iter().filter(|service| !services.contains(service)).cloned().collect();
        let (noted, ended, outbox) = (erasure.clone(), mandate.clone(), self.outbox());
        let placed = self.db.transaction("withdraw", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            if !grants::set_state(tx, resident, number, state)? {
                return Err(Error::Stale);
            }
            // Under the pseudonym that she leaves behind, before she has another one.
            outbox.grant_withdrawn(tx, resident, &met, &ended)?;
            outbox.deletions_due(tx, &notices)?;
            outbox.shut_out(tx, resident, &others)?;
            for service in &neighbours {
                forget_pseudonym(tx, resident, service)?;
            }
            erasures::insert(tx, &noted)?;
            deletions::insert(tx, &notices)?;
            let keyring = renew_pseudonyms(tx, &vault, resident, &sectors, rng.as_ref())?;
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref())
        })?;
        let (logged, commit) = placed.logged(&self.recorder);
        let receipt = self.receipt(&commit, logged.index(), now)?;
        self.destroy(&[erasure])?;
        Ok(Withdrawn { certificate, index: logged.index(), receipt })
    }
}

/// Gives the resident a new pseudonym in every sector of the services she leaves, so that a later return is not linked.
fn renew_pseudonyms(
    tx: &mut usufruct_store::db::Tx<'_>,
    vault: &Vault,
    resident: u64,
    sectors: &BTreeSet<u64>,
    rng: &dyn usufruct_core::ports::Rng,
) -> Result<usufruct_vault::Keyring, Error> {
    let candidates = keyrings::candidates(tx, resident)?;
    let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
    let mut keyring = vault.keyring(resident, &sealed)?;
    for sector in sectors {
        keyring.next_generation(*sector)?;
    }
    let version = candidates.first().map_or(1, |(version, _)| *version);
    keyrings::put(tx, resident, version, &vault.seal_keyring(&keyring, rng)?)?;
    Ok(keyring)
}

/// Ends everything by which a service could ask for the resident as it knows her now. What would live on under the next pseudonym, as a
/// `grant_id` or a refresh token, would join the two.
pub(crate) fn forget_pseudonym(tx: &mut usufruct_store::db::Tx<'_>, resident: u64, service: &ServiceId) -> Result<(), Error> {
    for authorization in authorizations::of_resident(tx, resident, Some(service))? {
        authorizations::end(tx, &authorization.id)?;
    }
    tokens::delete_of_resident(tx, resident, Some(service))?;
    codes::delete_of_resident(tx, resident, Some(service))?;
    Ok(())
}

/// The services that know residents by the pseudonyms of these domains.
fn services_in(register: &Register, sectors: &BTreeSet<u64>) -> Vec<ServiceId> {
    let inside = register.services.iter().filter(|(_, service)| sectors.contains(&register.sector(service)));
    inside.map(|(id, _)| id.clone()).collect()
}

/// The services registered under a mandate.
pub(crate) fn services_under(register: &Register, mandate: &MandateId) -> Vec<ServiceId> {
    let under = register.services.iter().filter(|(_, service)| service.body.mandates.contains(mandate));
    under.map(|(id, _)| id.clone()).collect()
}

fn event(
    mandate: usufruct_core::Digest,
    service: Option<&ServiceId>,
    certificate: &CertificateId,
    reason: &str,
    now: Time,
) -> Event {
    Event {
        kind: Kind::Withdrawal,
        n: 0,
        prev: None,
        at: now,
        anchor: None,
        mandate: Some(mandate),
        service: service.cloned(),
        blocks: Vec::new(),
        reason: reason.to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail: Some(certificate.to_string()),
        until: None,
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}
