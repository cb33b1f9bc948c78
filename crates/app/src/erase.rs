//! Destroy keys that were marked for it, certify it, and only then forget the ciphertext. Every step can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::certificate::Cause;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::CertificateId;
use usufruct_store::db::Tx;
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::{
    authorizations, blocks, breaches, cards, cases, certificate_cards, codes, counter_requests, deletions, deposits, grants,
    invitations, keyrings, lines, messages, passkeys, posted_lists, recovery_codes, sessions, tokens, wishes,
};
use usufruct_vault::Withdrawal;

use crate::delayed::note_ended;
use crate::end_delegation::End;
use crate::ledger::{forget_chain, place};
use crate::{Actor, App, Error};

impl App {
    /// The resident deletes her pass: everything about her becomes noise. Answers the id of the certificate.
    pub fn delete_resident(&self, actor: impl Into<Actor>) -> Result<CertificateId, Error> {
        self.delete_for(actor.into(), Cause::Request)
    }

    /// The same, for a cause of its own.
    pub(crate) fn delete_for(&self, actor: Actor, cause: Cause) -> Result<CertificateId, Error> {
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let now = self.now();
        // The log is public: a time in the name would stand beside those that the services know.
        let certificate = CertificateId::random(self.rng());
        let keyring = Arc::new(self.keyring(resident)?);
        let erasure = Erasure {
            certificate: certificate.clone(),
            cause: cause.code().to_owned(),
            resident: Some(resident),
            mandate: None,
            sector: None,
            months: Vec::new(),
            commitments: self.vault.resident_commitment(resident)?.into_iter().collect(),
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        };
        let erasure = self.with_evidence(erasure)?;
        let mandates: Vec<u64> = self.grants(resident)?.iter().map(|stored| stored.mandate).collect();
        let notices = self.notices_of_resident(&certificate, resident, &keyring, &mandates, None)?;
        let (noted, outbox, ending) = (erasure.clone(), self.outbox(), self.ending());
        let event = plain_event(Kind::Erasure, cause.code(), Some(certificate.to_string()), now);
        let (rng, vault, register) = (Arc::clone(&self.rng), Arc::clone(&self.vault), self.register());
        self.db.transaction("delete resident", move |tx| {
            actor.permit(tx, &vault, now)?;
            outbox.signed_out_everywhere(tx, resident)?;
            outbox.deletions_due(tx, &notices)?;
            ending.end_of(tx, resident, End::Erasure)?;
            residents::set_state(tx, resident, ResidentState::Erased)?;
            grants::end_resident(tx, resident)?;
            tokens::delete_of_resident(tx, resident, None)?;
            codes::delete_of_resident(tx, resident, None)?;
            for authorization in authorizations::of_resident(tx, resident, None)? {
                authorizations::end(tx, &authorization.id)?;
            }
            sessions::delete_all(tx, resident)?;
            forget_ways_in(tx, resident)?;
            residents::delete_seed(tx, resident)?;
            erasures::insert(tx, &noted)?;
            deletions::insert(tx, &notices)?;
            note_ended(tx, &register, &keyring, now)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })?;
        self.destroy(&[erasure])?;
        Ok(certificate)
    }

    /// Deactivates or reactivates a pass. Nothing is released about a resident whose pass is deactivated.
    pub fn set_active(&self, actor: impl Into<Actor>, state: ResidentState) -> Result<(), Error> {
        if !matches!(state, ResidentState::Active | ResidentState::Deactivated) {
            return Err(Error::refused("A pass is not erased or frozen this way.", "Delete it or freeze it instead."));
        }
        let (actor, now) = (actor.into(), self.now());
        let resident = actor.resident;
        let keyring = Arc::new(self.keyring(resident)?);
        let event = plain_event(Kind::Status, state.code(), None, now);
        let (rng, outbox, vault) = (Arc::clone(&self.rng), self.outbox(), Arc::clone(&self.vault));
        self.db.transaction("set resident state", move |tx| {
            actor.permit(tx, &vault, now)?;
            let before = residents::state(tx, resident)?;
            if before == Some(ResidentState::Frozen) {
                return Err(Error::refused("The pass is frozen.", "Lift the freeze with a passkey first."));
            }
            residents::set_state(tx, resident, state)?;
            grants::revise_resident(tx, resident)?;
            match (before, state) {
                (Some(ResidentState::Active), ResidentState::Deactivated) => outbox.account_frozen(tx, resident)?,
                (Some(ResidentState::Deactivated), ResidentState::Active) => outbox.account_unfrozen(tx, resident)?,
                _ => {}
            }
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }

    /// Finishes erasures that a crash interrupted, however many in one epoch. Answers how many. Run at start-up and now and then.
    pub fn finish_erasures(&self) -> Result<usize, Error> {
        let pending = self.db.read(|conn| erasures::pending(conn, BATCH))?;
        if pending.is_empty() {
            return Ok(0);
        }
        let _guards = self.lock_residents(pending.iter().filter_map(|erasure| erasure.resident));
        // Whoever asked may have finished it while we waited for the locks.
        let open: BTreeSet<CertificateId> =
            self.db.read(|conn| erasures::pending(conn, BATCH))?.into_iter().map(|erasure| erasure.certificate).collect();
        let pending: Vec<Erasure> = pending.into_iter().filter(|erasure| open.contains(&erasure.certificate)).collect();
        self.destroy(&pending)?;
        Ok(pending.len())
    }

    /// Destroys the keys of these residents' erasures: those of all withdrawals in one epoch, those of all deletions in
    /// another. New keyrings are stored first; the key tree's commit decides; certificates follow; then the old keyrings and
    /// the copies go. The residents are locked by the caller. One that cannot be handled holds up no other.
    pub(crate) fn destroy(&self, erasures: &[Erasure]) -> Result<(), Error> {
        let mut failed = None;
        let (whole, lent): (Vec<&Erasure>, Vec<&Erasure>) = erasures.iter().partition(|erasure| erasure.mandate.is_none());
        let gone: Vec<u64> = whole.iter().filter_map(|erasure| erasure.resident).collect();
        let mut ended: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for erasure in &lent {
            let (Some(resident), Some(mandate)) = (erasure.resident, erasure.mandate) else { continue };
            ended.entry(resident).or_default().push(mandate);
        }
        let mut staged = BTreeMap::new();
        ended.retain(|resident, mandates| {
            // What a deleted pass lent goes with it.
            let outcome = if gone.contains(resident) { Ok(None) } else { self.stage(*resident, mandates) };
            match outcome {
                Ok(Some(step)) => drop(staged.insert(*resident, step)),
                Ok(None) => {}
                Err(error) => {
                    failed = failed.take().or(Some(error));
                    return false;
                }
            }
            true
        });
        let (withdrawals, kept) = self.store_staged(staged)?;
        let is_ended = |erasure: &&Erasure| erasure.resident.is_some_and(|resident| ended.contains_key(&resident));
        let lent: Vec<&Erasure> = lent.into_iter().filter(is_ended).collect();
        let mut done = match withdrawals.is_empty() {
            true => lent.into_iter().map(|erasure| self.with_true_dates(erasure)).collect::<Result<_, _>>()?,
            false => self.destroying(&lent, || self.vault.commit_many(withdrawals, self.rng()))?,
        };
        if !gone.is_empty() {
            done.extend(self.destroying(&whole, || self.vault.erase_residents(&gone, self.rng()))?);
        }
        let done: Vec<&Erasure> = done.iter().collect();
        let until = self.certify(&done)?;
        self.forget(&done, &kept, &until)?;
        failed.map_or(Ok(()), Err)
    }

    /// A new keyring without these loans, and its version. `None` for a resident whose key is gone already.
    pub(crate) fn stage(&self, resident: u64, mandates: &[u64]) -> Result<Option<(Withdrawal, i64)>, Error> {
        if self.vault.resident_commitment(resident)?.is_none() {
            return Ok(None);
        }
        let candidates = self.db.read(|conn| keyrings::candidates(conn, resident))?;
        let newest = candidates.first().map_or(1, |(version, _)| *version);
        let keyring = self.open_keyring(resident, &candidates)?;
        Ok(Some((self.vault.withdraw(keyring, mandates, self.rng())?, newest + 1)))
    }

    /// Stores staged keyrings beside the old ones, and answers which version is to stay.
    pub(crate) fn store_staged(
        &self,
        staged: BTreeMap<u64, (Withdrawal, i64)>,
    ) -> Result<(Vec<Withdrawal>, BTreeMap<u64, i64>), Error> {
        let rows: Vec<(u64, i64, Vec<u8>)> =
            staged.iter().map(|(resident, (withdrawal, version))| (*resident, *version, withdrawal.sealed().to_vec())).collect();
        for part in rows.chunks(PART) {
            let part = part.to_vec();
            self.db.transaction("stage keyring", move |tx| {
                part.iter().try_for_each(|(resident, version, sealed)| keyrings::put(tx, *resident, *version, sealed))?;
                Ok::<_, Error>(())
            })?;
        }
        let kept = rows.iter().map(|(resident, version, _)| (*resident, *version)).collect();
        Ok((staged.into_values().map(|(withdrawal, _)| withdrawal).collect(), kept))
    }

    /// Removes what the destroyed keys opened.
    fn forget(&self, done: &[&Erasure], kept: &BTreeMap<u64, i64>, until: &[Time]) -> Result<(), Error> {
        let now = self.now();
        let rows: Vec<(Erasure, Option<i64>, Time)> = done
            .iter()
            .zip(until)
            .map(|(erasure, until)| {
                let kept = erasure.resident.and_then(|resident| kept.get(&resident).copied());
                ((*erasure).clone(), kept, *until)
            })
            .collect();
        for part in rows.chunks(PART) {
            let part = part.to_vec();
            self.db.transaction("finish erasure", move |tx| {
                part.iter().try_for_each(|(erasure, kept, until)| forget_one(tx, erasure, *kept, now, *until))
            })?;
        }
        Ok(())
    }
}

/// Everything by which a resident signs in.
pub(crate) fn forget_ways_in(tx: &mut Tx<'_>, resident: u64) -> Result<(), Error> {
    passkeys::purge_resident(tx, resident)?;
    cards::purge_resident(tx, resident)?;
    certificate_cards::purge_resident(tx, resident)?;
    recovery_codes::purge_resident(tx, resident)?;
    invitations::purge_resident(tx, resident)?;
    counter_requests::purge_resident(tx, resident)?;
    Ok(())
}

fn forget_one(tx: &mut Tx<'_>, erasure: &Erasure, kept: Option<i64>, now: Time, until: Time) -> Result<(), Error> {
    let Some(resident) = erasure.resident else { return Ok(()) };
    match erasure.mandate {
        Some(mandate) => {
            if let Some(kept) = kept {
                keyrings::delete_others(tx, resident, Some(kept))?;
            }
            blocks::delete_lent(tx, resident, mandate)?;
            deposits::delete(tx, resident, mandate)?;
        }
        None => {
            keyrings::delete_others(tx, resident, None)?;
            blocks::purge_resident(tx, resident)?;
            deposits::purge_resident(tx, resident)?;
            lines::purge_resident(tx, resident)?;
            breaches::purge_resident(tx, resident)?;
            cases::purge_resident(tx, resident)?;
            wishes::purge_resident(tx, resident)?;
            messages::purge_resident(tx, resident)?;
            posted_lists::end(tx, resident)?;
            forget_chain(tx, resident)?;
        }
    }
    Ok(erasures::done(tx, &erasure.certificate, now, until)?)
}

/// An event that rests on no mandate.
pub(crate) fn plain_event(kind: Kind, reason: &str, detail: Option<String>, now: Time) -> Event {
    Event {
        kind,
        n: 0,
        prev: None,
        at: now,
        anchor: None,
        mandate: None,
        service: None,
        blocks: Vec::new(),
        reason: reason.to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail,
        until: None,
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}

/// Unfinished erasures handled in one run.
const BATCH: usize = 10_000;
/// Residents whose rows change in one transaction.
const PART: usize = 500;
