//! Destroy keys that were marked for it, certify it, and only then forget the ciphertext. Every step can be repeated.

use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::certificate::Cause;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::CertificateId;
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::residents::{self, ResidentState};
use usufruct_store::{blocks, codes, grants, keyrings, lines, passkeys, sessions, tokens};

use crate::ledger::{forget_chain, place};
use crate::{App, Error};

/// Unfinished erasures handled in one run.
const BATCH: usize = 100;

impl App {
    /// The resident deletes her pass: everything about her becomes noise. Answers the id of the certificate.
    pub fn delete_resident(&self, resident: u64) -> Result<CertificateId, Error> {
        let _guard = self.lock_resident(resident);
        let now = self.now();
        let certificate = CertificateId::fresh(now, self.rng());
        let keyring = Arc::new(self.keyring(resident)?);
        let erasure = Erasure {
            certificate: certificate.clone(),
            cause: "request".to_owned(),
            resident: Some(resident),
            mandate: None,
            commitments: self.vault.resident_commitment(resident)?.into_iter().collect(),
            evidence: String::new(),
            requested_at: now,
        };
        let erasure = self.with_evidence(erasure);
        let noted = erasure.clone();
        let event = plain_event(Kind::Erasure, "request", Some(certificate.to_string()), now);
        let rng = Arc::clone(&self.rng);
        self.db.transaction("delete resident", move |tx| {
            residents::set_state(tx, resident, ResidentState::Erased)?;
            grants::end_resident(tx, resident)?;
            tokens::delete_of_resident(tx, resident, None)?;
            codes::delete_of_resident(tx, resident, None)?;
            sessions::delete_all(tx, resident)?;
            passkeys::purge_resident(tx, resident)?;
            residents::delete_seed(tx, resident)?;
            erasures::insert(tx, &noted)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })?;
        self.finish_deletion(resident, &erasure)?;
        Ok(certificate)
    }

    /// Deactivates or reactivates a pass. Nothing is released about a resident whose pass is deactivated.
    pub fn set_active(&self, resident: u64, state: ResidentState) -> Result<(), Error> {
        if state == ResidentState::Erased {
            return Err(Error::refused("A pass is not erased this way.", "Delete it instead."));
        }
        let keyring = Arc::new(self.keyring(resident)?);
        let event = plain_event(Kind::Status, state.code(), None, self.now());
        let rng = Arc::clone(&self.rng);
        self.db.transaction("set resident state", move |tx| {
            residents::set_state(tx, resident, state)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }

    /// Finishes erasures that a crash interrupted. Answers how many. Run at start-up and now and then.
    pub fn finish_erasures(&self) -> Result<usize, Error> {
        let pending = self.db.read(|conn| erasures::pending(conn, BATCH))?;
        for erasure in &pending {
            let Some(resident) = erasure.resident else { continue };
            let _guard = self.lock_resident(resident);
            // The one who asked may have finished it while we waited for the lock.
            if !self.db.read(|conn| erasures::is_pending(conn, &erasure.certificate))? {
                continue;
            }
            match erasure.mandate {
                Some(mandate) => self.finish_withdrawal(resident, mandate, erasure)?,
                None => self.finish_deletion(resident, erasure)?,
            }
        }
        Ok(pending.len())
    }

    /// Destroys the grant key of (resident, mandate). The new keyring is stored first; the key tree's commit decides; then
    /// the old keyring and the lent copies go.
    pub(crate) fn finish_withdrawal(&self, resident: u64, mandate: u64, erasure: &Erasure) -> Result<(), Error> {
        let candidates = self.db.read(|conn| keyrings::candidates(conn, resident))?;
        let newest = candidates.first().map_or(1, |(version, _)| *version);
        let keyring = self.open_keyring(resident, &candidates)?;
        let staged = self.vault.withdraw(keyring, &[mandate], self.rng())?;
        let (sealed, kept) = (staged.sealed().to_vec(), newest + 1);
        self.db.transaction("stage keyring", move |tx| Ok::<_, Error>(keyrings::put(tx, resident, kept, &sealed)?))?;
        let erased = self.vault.commit(staged, self.rng())?;
        let until = self.certify(erasure, Cause::Withdrawal, None, &erased)?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("finish withdrawal", move |tx| {
            keyrings::delete_others(tx, resident, Some(kept))?;
            blocks::delete_lent(tx, resident, mandate)?;
            Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?)
        })
    }

    fn finish_deletion(&self, resident: u64, erasure: &Erasure) -> Result<(), Error> {
        let erased = self.vault.erase_resident(resident, self.rng())?;
        let until = self.certify(erasure, Cause::Request, None, &erased)?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("finish deletion", move |tx| {
            keyrings::delete_others(tx, resident, None)?;
            blocks::purge_resident(tx, resident)?;
            lines::purge_resident(tx, resident)?;
            forget_chain(tx, resident)?;
            Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?)
        })
    }
}

/// An event that rests on no mandate.
pub(crate) fn plain_event(kind: Kind, reason: &str, detail: Option<String>, now: Time) -> Event {
    Event {
        kind,
        n: 0,
        prev: None,
        at: now,
        mandate: None,
        service: None,
        blocks: Vec::new(),
        reason: reason.to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail,
        until: None,
    }
}
