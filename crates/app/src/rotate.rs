//! Rotate: a key is replaced while what it opens lives on. A copy of the old one opens what was copied with it, and nothing that is
//! stored from then on.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use serde::{Deserialize, Serialize};
use usufruct_core::certificate::Cause;
use usufruct_core::id::{CertificateId, MandateId};
use usufruct_store::erasures::{self, Erasure};
use usufruct_store::{blocks, keyrings};
use usufruct_vault::{Again, Error as VaultError};

use crate::{App, Error, block_names};

/// What came of giving a mandate another key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rotated {
    /// The public proof that the old key is gone.
    pub certificate: CertificateId,
    /// Copies on loan that were sealed again, in this run if an earlier one was interrupted.
    pub sealed: u64,
    /// Copies that opened under neither key, as before.
    pub closed: u64,
}

/// How far each erasure has come in this process, by its certificate: up to which resident, and `None` where it has only begun.
type Progress<'a> = MutexGuard<'a, BTreeMap<CertificateId, Option<u64>>>;

impl App {
    /// Puts a fresh root in the place of the present one: what anybody holds of the old one fits nothing any more.
    pub fn rotate_root(&self) -> Result<(), Error> {
        Ok(self.vault.rotate_root(self.rng()).map(drop)?)
    }

    /// Gives a resident another key, under which her keyring is sealed anew; the keys in it stay, and so does everything she has and
    /// lends. Her old key is destroyed with the old root. After a crash the one or the other key opens, and it can be run again.
    ///
    /// A backup from before opens for her no more, unless the live database is there when it is put back.
    pub fn rotate_resident(&self, resident: u64) -> Result<(), Error> {
        let _guard = self.lock_resident(resident);
        let staged = self.stage(resident, &[])?.ok_or(Error::Unknown { what: "resident" })?;
        let (withdrawals, kept) = self.store_staged(BTreeMap::from([(resident, staged)]))?;
        self.vault.commit_many(withdrawals, self.rng())?;
        let kept = kept.get(&resident).copied();
        self.db.transaction("forget old keyring", move |tx| Ok::<_, Error>(keyrings::delete_others(tx, resident, kept)?))
    }
    /// Gives a mandate another key, for which everything that is lent under it is sealed again. Its old key is destroyed when nothing
    /// hangs on it any more, and certified. All of it opens at any moment.
    ///
    /// The note of the erasure comes first, then the new key beside the old one, then part after part of the copies, then the one commit of
    /// the key tree. After a crash it goes on with the next tick, or when it is asked for again. Keys of months stay, since they end by themselves.
    pub fn rotate_mandate(&self, id: &MandateId) -> Result<Rotated, Error> {
        let mut progress = self.rotating();
        let erasure = self.rotation(id)?;
        let mut rotated = Rotated { certificate: erasure.certificate.clone(), sealed: 0, closed: 0 };
        while !self.go_on(&mut progress, &erasure, &mut rotated)? {}
        Ok(rotated)
    }

    /// Goes on with what a crash interrupted, a part of it each time it is called.
    pub(crate) fn finish_rotations(&self) -> Result<(), Error> {
        let Some(mut progress) = self.try_rotating() else { return Ok(()) };
        let register = self.register();
        for erasure in self.db.read(erasures::of_rotations)? {
            // The end of a mandate settles it.
            let goes_on = |number| register.mandates.values().any(|entry| entry.number == number && entry.has_key());
            if !erasure.mandate.is_some_and(goes_on) {
                continue;
            }
            let mut rotated = Rotated { certificate: erasure.certificate.clone(), sealed: 0, closed: 0 };
            for _ in 0..STEPS {
                if self.go_on(&mut progress, &erasure, &mut rotated)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Settles an unfinished replacement of the key of a mandate that is over and whose end was noted as `end`: one that was committed
    /// before is certified, and of one that was not both keys end with the mandate.
    pub(crate) fn settle_rotation(&self, mandate: u64, end: &Erasure) -> Result<(), Error> {
        for erasure in self.db.read(erasures::of_rotations)?.iter().filter(|erasure| erasure.mandate == Some(mandate)) {
            if !erasure.commitments.iter().any(|commitment| end.commitments.contains(commitment)) {
                self.certify_rotation(erasure)?;
            } else {
                let certificate = erasure.certificate.clone();
                self.db.transaction("forget rotation", move |tx| Ok::<_, Error>(erasures::delete(tx, &certificate)?))?;
            }
        }
        Ok(())
    }

    /// The note that the key of a mandate is being replaced, made while the key lives.
    fn rotation(&self, id: &MandateId) -> Result<Erasure, Error> {
        let _guard = self.publishing();
        let register = self.register();
        let entry = register.mandates.get(id).ok_or(Error::Unknown { what: "mandate" })?;
        let number = entry.number;
        if let Some(begun) = self.db.read(erasures::of_rotations)?.into_iter().find(|begun| begun.mandate == Some(number)) {
            return Ok(begun);
        }
        if self.db.read(erasures::of_orders)?.iter().any(|begun| begun.mandate == Some(number)) {
            return Err(Error::refused(
                "What is lent under the mandate is being deleted by an order.",
                "Replace the key when the order was carried out.",
            ));
        }
        let commitment = self.vault.mandate_commitment(number)?.filter(|_| entry.has_key()).ok_or_else(no_key)?;
        let now = self.now();
        let erasure = self.with_evidence(Erasure {
            certificate: CertificateId::fresh(now, self.rng()),
            cause: Cause::Rotation.code().to_owned(),
            resident: None,
            mandate: Some(number),
            sector: None,
            months: Vec::new(),
            commitments: vec![commitment],
            evidence: String::new(),
            requested_at: now,
            live_at: None,
            root_at: None,
        })?;
        let noted = erasure.clone();
        self.db.transaction("note rotation", move |tx| Ok::<_, Error>(erasures::insert(tx, &noted)?))?;
        Ok(erasure)
    }

    /// Takes the next step. Answers whether it was the last one. Each can be repeated after a crash.
    fn go_on(&self, progress: &mut Progress<'_>, erasure: &Erasure, rotated: &mut Rotated) -> Result<bool, Error> {
        let mandate = erasure.mandate.ok_or_else(|| Error::Corrupt { what: "erasures.mandate".to_owned() })?;
        let own = self.vault.mandate_commitment(mandate)?.ok_or_else(no_key)?;
        if !erasure.commitments.contains(&own) {
            progress.remove(&erasure.certificate);
            self.certify_rotation(erasure)?;
            return Ok(true);
        }
        let Some(after) = progress.get(&erasure.certificate).copied() else {
            self.while_it_lives(mandate, || {
                self.vault.stage_rotation(mandate, self.rng())?;
                self.publish_new_keys()
            })?;
            // Whoever saw no new key when she sealed something has stored it by then.
            self.wait_for_residents();
            progress.insert(erasure.certificate.clone(), None);
            return Ok(false);
        };
        match self.seal_part(mandate, after, rotated)? {
            Some(last) => drop(progress.insert(erasure.certificate.clone(), Some(last))),
            None => self.while_it_lives(mandate, || self.replace_key(mandate, erasure))?,
        }
        Ok(false)
    }

    /// Does something with the keys of a mandate that is not over, and will not be before it is done.
    fn while_it_lives(&self, mandate: u64, step: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let _guard = self.publishing();
        let register = self.register();
        let lives = register.mandates.values().any(|entry| entry.number == mandate && entry.has_key());
        if lives { step() } else { Err(no_key()) }
    }

    /// Seals what the next residents lend under a mandate for its new key. Answers the last of them, or `None` when there was nobody left.
    fn seal_part(&self, mandate: u64, after: Option<u64>, rotated: &mut Rotated) -> Result<Option<u64>, Error> {
        let residents = self.db.read(|conn| blocks::lending(conn, mandate, after, PART))?;
        let Some(last) = residents.last().copied() else { return Ok(None) };
        let _guards = self.lock_residents(residents.iter().copied());
        let register = self.register();
        let mut rows = Vec::new();
        for resident in residents {
            let (candidates, lent) = self.db.snapshot(|conn| {
                Ok::<_, Error>((keyrings::candidates(conn, resident)?, blocks::lent(conn, resident, mandate)?))
            })?;
            let keyring = match self.open_keyring(resident, &candidates) {
                Ok(keyring) if keyring.lends(mandate) => keyring,
                // She is erased or has withdrawn, and her copies are about to go.
                Ok(_) | Err(Error::Vault(VaultError::NoKey { .. } | VaultError::Unreadable)) => {
                    rotated.closed += lent.len() as u64;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (number, sealed) in lent {
                let again = block_names::id(&register, number)
                    .map(|block| self.vault.seal_again(&keyring, mandate, block, &sealed, self.rng()))
                    .transpose()?;
                match again {
                    Some(Again::Already) => {}
                    Some(Again::Sealed(again)) => rows.push((resident, mandate, number, again)),
                    Some(Again::Closed) | None => rotated.closed += 1,
                }
            }
        }
        rotated.sealed += rows.len() as u64;
        self.db.transaction("seal again", move |tx| Ok::<_, Error>(blocks::put_lent(tx, &rows)?))?;
        Ok(Some(last))
    }

    /// Puts the new key in the place of the old one, and notes when, for the certificate that follows.
    fn replace_key(&self, mandate: u64, erasure: &Erasure) -> Result<(), Error> {
        let done = self.destroying_one(erasure, || self.vault.commit_rotation(mandate, self.rng()))?;
        let done = self.with_marked_dates(done)?;
        self.note_dates(vec![done])
    }

    fn certify_rotation(&self, erasure: &Erasure) -> Result<(), Error> {
        let noted = self.db.read(erasures::of_rotations)?.into_iter().find(|noted| noted.certificate == erasure.certificate);
        let erasure = self.with_true_dates(noted.as_ref().unwrap_or(erasure))?;
        let until = self.certify(&[&erasure])?.pop().ok_or(Error::Unknown { what: "certificate" })?;
        let (certificate, now) = (erasure.certificate.clone(), self.now());
        self.db.transaction("note end of key", move |tx| Ok::<_, Error>(erasures::done(tx, &certificate, now, until)?))
    }
}

fn no_key() -> Error {
    Error::refused(
        "The mandate has no key that could be replaced.",
        "Name one that has left its draft and is not over; what is over ends with its key.",
    )
}

/// Steps taken with one call of the clock.
const STEPS: usize = 20;
/// Residents whose copies are sealed again in one transaction.
const PART: usize = 200;
