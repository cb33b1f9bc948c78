//! Rotate a service: every resident gets another pseudonym in its domain, and the old ones lead to nobody from the first moment on.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;
use usufruct_core::event::Kind;
use usufruct_core::id::{BreachId, RotationId, ServiceId};
use usufruct_core::ports::Rng;
use usufruct_core::register::{Entry, Register};
use usufruct_core::rotation::Rotation;
use usufruct_core::statement::StatementKind;
use usufruct_core::{Text, Time};
use usufruct_store::authorizations::{self, Authorization};
use usufruct_store::db::Tx;
use usufruct_store::rotations;
use usufruct_store::{keyrings, residents};
use usufruct_vault::{Error as VaultError, Vault};

use crate::authorize::fresh_grant_id;
use crate::erase::plain_event;
use crate::ledger::place;
use crate::outbox::Outbox;
use crate::row_mark::{of_authorization, true_authorizations};
use crate::withdraw::forget_pseudonym;
use crate::{App, Error, Publication};

/// What came of replacing the pseudonyms of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceRotated {
    /// The statement of it.
    pub rotation: RotationId,
    /// The services that know residents by other pseudonyms now: all of the domain.
    pub services: Vec<ServiceId>,
    /// Residents who got another pseudonym.
    pub residents: u64,
}

impl App {
    /// Replaces all pseudonyms by which a service and the others of its domain know residents. One that was interrupted is finished.
    ///
    /// The statement comes first, and while the walk over all residents goes on, nothing is answered about any pseudonym of the domain. Then
    /// each resident gets another one, her tokens and codes there end, her authorizations get other names, and the services that she authorized are told.
    pub fn rotate_service(&self, service: &ServiceId, breach: Option<&BreachId>, reason: &Text) -> Result<ServiceRotated, Error> {
        let _walking = self.rotating();
        let register = self.register();
        let entry = register.services.get(service).ok_or(Error::Unknown { what: "service" })?;
        if entry.state.is_over() {
            return Err(Error::refused("The service is closed, and its pseudonyms go with it.", "Name one that is open."));
        }
        let id = match self.unfinished()?.into_iter().find(|(_, begun)| begun.body.sector == entry.body.sector) {
            Some((id, _)) => id,
            None => self.begin_rotation(&register, &entry.body.sector, breach, reason)?,
        };
        self.walk_rotation(&id)
    }

    /// Finishes what a crash interrupted.
    pub(crate) fn finish_service_rotations(&self) -> Result<(), Error> {
        let Some(_walking) = self.try_rotating() else { return Ok(()) };
        self.unfinished()?.into_iter().try_for_each(|(id, _)| self.walk_rotation(&id).map(drop))
    }

    /// Marks the domains whose pseudonyms are being replaced, when the pass is opened.
    pub(crate) fn mark_rotating_sectors(&self) -> Result<(), Error> {
        let register = self.register();
        for (_, entry) in self.unfinished()? {
            self.mark_rotating(&register, &entry.body.sector, true);
        }
        Ok(())
    }

    /// Refuses to look at a pseudonym of a domain while they are all being replaced.
    pub(crate) fn check_rotating(&self, sector: u64) -> Result<(), Error> {
        let is_rotating = self.rotating_sectors.read().unwrap_or_else(PoisonError::into_inner).contains(&sector);
        if is_rotating { Err(Error::Rotating) } else { Ok(()) }
    }

    fn mark_rotating(&self, register: &Register, sector: &str, is_rotating: bool) {
        let Some(entry) = register.services.values().find(|entry| entry.body.sector == sector) else { return };
        let number = register.sector(entry);
        let mut marked = self.rotating_sectors.write().unwrap_or_else(PoisonError::into_inner);
        if is_rotating {
            marked.insert(number)
        } else {
            marked.remove(&number)
        };
    }

    /// Rotations that were begun and are not done.
    fn unfinished(&self) -> Result<Vec<(RotationId, Entry<Rotation>)>, Error> {
        let register = self.register();
        let all = register.rotations.iter().map(|(id, entry)| (id.clone(), entry.clone()));
        self.db.read(|conn| {
            let mut unfinished = Vec::new();
            for (id, entry) in all {
                if rotations::find(conn, &id)?.done_at.is_none() {
                    unfinished.push((id, entry));
                }
            }
            Ok(unfinished)
        })
    }

    fn begin_rotation(
        &self,
        register: &Register,
        sector: &str,
        breach: Option<&BreachId>,
        reason: &Text,
    ) -> Result<RotationId, Error> {
        let now = self.now();
        let id = RotationId::fresh(now, self.rng());
        let inside = register.services.iter().filter(|(_, entry)| entry.body.sector == sector && !entry.state.is_over());
        let services = inside.map(|(id, _)| id.clone()).collect();
        let body = Rotation { sector: sector.to_owned(), services, breach: breach.cloned(), reason: reason.clone() };
        let by = self.automation.agency();
        let mut statement = self.statement(StatementKind::Rotation, id.as_str(), by, json!(body), now);
        statement.approve(&self.automation)?;
        self.mark_rotating(register, sector, true);
        let outcome = self.publish(&Publication { statements: vec![statement] });
        if outcome.is_err() {
            self.mark_rotating(register, sector, false);
        }
        outcome.map(|_| id)
    }

    /// Gives all residents their next pseudonym, some of them in each transaction, and goes on where it was.
    fn walk_rotation(&self, id: &RotationId) -> Result<ServiceRotated, Error> {
        let register = self.register();
        let entry = register.rotations.get(id).ok_or(Error::Unknown { what: "rotation" })?;
        let first =
            entry.body.services.first().and_then(|id| register.services.get(id)).ok_or(Error::Unknown { what: "service" })?;
        let sector = register.sector(first);
        self.mark_rotating(&register, &entry.body.sector, true);
        let mut progress = self.db.read(|conn| rotations::find(conn, id))?;
        while progress.done_at.is_none() {
            let part = self.db.read(|conn| residents::list(conn, progress.after, PART))?;
            let _guards = self.lock_residents(part.iter().copied());
            let now = self.now();
            match part.last() {
                Some(last) => progress.after = Some(*last),
                None => progress.done_at = Some(now),
            }
            let one = One {
                sector,
                services: entry.body.services.clone(),
                vault: Arc::clone(&self.vault),
                outbox: self.outbox(),
                now,
                rotation: id.clone(),
            };
            let (rng, id, before) = (Arc::clone(&self.rng), id.clone(), progress.clone());
            progress = self.db.transaction("rotate pseudonyms", move |tx| {
                let mut after = before.clone();
                for resident in &part {
                    after.residents += u64::from(one.rotate(tx, *resident, rng.as_ref())?);
                }
                rotations::put(tx, &id, &after)?;
                Ok::<_, Error>(after)
            })?;
        }
        self.mark_rotating(&register, &entry.body.sector, false);
        Ok(ServiceRotated { rotation: id.clone(), services: entry.body.services.clone(), residents: progress.residents })
    }
}

/// What happens to each resident.
struct One {
    sector: u64,
    services: Vec<ServiceId>,
    vault: Arc<Vault>,
    outbox: Outbox,
    now: Time,
    rotation: RotationId,
}

impl One {
    /// Gives a resident her next pseudonym. False where she is gone.
    fn rotate(&self, tx: &mut Tx<'_>, resident: u64, rng: &dyn Rng) -> Result<bool, Error> {
        let candidates = keyrings::candidates(tx, resident)?;
        let sealed: Vec<&[u8]> = candidates.iter().map(|(_, sealed)| sealed.as_slice()).collect();
        let mut keyring = match self.vault.keyring(resident, &sealed) {
            Ok(keyring) => keyring,
            Err(VaultError::NoKey { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        keyring.next_generation(self.sector)?;
        let known = authorizations::of_resident(tx, resident, None)?;
        let met: BTreeSet<ServiceId> =
            known.into_iter().map(|known| known.service).filter(|service| self.services.contains(service)).collect();
        let was_met = !met.is_empty();
        if was_met {
            let next = match self.vault.subject(self.sector, &keyring) {
                Ok(subject) => Some(subject.to_string()),
                // It is told at her next sign-in.
                Err(VaultError::Keeper { .. } | VaultError::NoKey { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            // Under the pseudonym that ends, before she has the other one.
            self.outbox.pseudonym_replaced(tx, resident, met, next)?;
        }
        for service in &self.services {
            self.renew_authorizations(tx, resident, service, rng)?;
        }
        let version = candidates.first().map_or(1, |(version, _)| *version);
        keyrings::put(tx, resident, version, &self.vault.seal_keyring(&keyring, rng)?)?;
        if was_met {
            let mut event = plain_event(Kind::Status, REPLACED, Some(self.rotation.to_string()), self.now);
            event.service = self.services.first().cloned();
            place(tx, &keyring, event, rng)?;
        }
        Ok(true)
    }
}

impl One {
    /// Ends what the service holds for her, and gives each of her authorizations there another name: what she authorized stands.
    fn renew_authorizations(&self, tx: &mut Tx<'_>, resident: u64, service: &ServiceId, rng: &dyn Rng) -> Result<(), Error> {
        let known = authorizations::of_resident(tx, resident, Some(service))?;
        forget_pseudonym(tx, resident, service)?;
        for authorization in true_authorizations(&self.vault, known)?.into_iter().filter(|known| known.ends_at > self.now) {
            let mut next = Authorization { id: fresh_grant_id(rng), ..authorization };
            next.mark = Some(of_authorization(&self.vault, &next)?);
            authorizations::put(tx, &next)?;
        }
        Ok(())
    }
}

/// Reason of the status line in a footprint.
const REPLACED: &str = "pseudonym-replaced";
/// Residents who get another pseudonym in one transaction.
const PART: usize = 200;
