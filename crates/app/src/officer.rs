//! Officers: what a service calls them is kept sealed, and an order of the oversight body opens it to the resident they decided about.

use usufruct_core::event::{Event, commitment};
use usufruct_core::hash::{hex, hmac_sha256};
use usufruct_core::id::{MandateId, OrderId, ServiceId};
use usufruct_core::order::OrderKind;
use usufruct_core::register::Register;
use usufruct_core::{Digest, Time};
use usufruct_store::db::Connection;
use usufruct_store::officers::{self, Officer};
use usufruct_vault::Error as VaultError;

use crate::footprint::FootprintLine;
use crate::release::Asking;
use crate::{App, Error, OwnCaller};

/// Longest word of a service for an officer, in characters.
const LONGEST_WORD: usize = 200;

/// Commitments whose words are known to be kept, before all of them are looked up anew.
const KNOWN: usize = 10_000;

/// Whom an order has named to a resident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedOfficer {
    pub order: OrderId,
    /// The word of the service for her; `None` where it is not kept, so that the agency has to say it.
    pub word: Option<String>,
    /// What hid her in the event beside the word: with both everybody can recompute the commitment. `None` in events from before there were
    /// salts, in which the word alone did.
    pub salt: Option<[u8; 32]>,
}

/// An officer whom a service names, as her word is kept.
#[derive(Clone)]
pub(crate) struct KeptOfficer {
    actor: [u8; 32],
    /// What is still to be kept; `None` where it is, or cannot be any more.
    row: Option<Officer>,
}

impl KeptOfficer {
    /// The commitment to her.
    pub(crate) fn actor(&self) -> [u8; 32] {
        self.actor
    }

    /// Keeps her word, inside the transaction of what she decided.
    pub(crate) fn keep(&self, conn: &mut dyn Connection) -> Result<(), Error> {
        match &self.row {
            Some(row) => Ok(officers::put(conn, &self.actor, row)?),
            None => Ok(()),
        }
    }
}

/// Commits to an officer without naming her. Whoever guesses the word of the service for her sees nothing without the salt.
pub fn officer_commitment(salt: &[u8; 32], service: &ServiceId, word: &str) -> [u8; 32] {
    let service = service.as_str().as_bytes();
    // INVARIANT: the id of a service has at most 64 characters.
    let len = u32::try_from(service.len()).unwrap_or(u32::MAX).to_be_bytes();
    hmac_sha256(salt, &[b"usufruct/officer/v1", &len, service, word.as_bytes()])
}

/// As events from before there were salts commit to an officer.
fn unsalted(service: &ServiceId, word: &str) -> [u8; 32] {
    hmac_sha256(word.as_bytes(), &[b"usufruct/actor/v1", service.as_str().as_bytes()])
}

impl App {
    /// The commitment to an officer who asks for these residents under a mandate. Her word of at most 200 characters and the salt are kept
    /// sealed from then on, so that an order can open them.
    ///
    /// Nothing is kept where none of the pseudonyms leads to anybody, since no line can name her then, nor for a caller whose token has ended
    /// meanwhile.
    pub fn officer(
        &self,
        caller: impl Into<OwnCaller>,
        mandate: &MandateId,
        subjects: &[String],
        word: &str,
    ) -> Result<[u8; 32], Error> {
        let (caller, now) = (caller.into(), self.now());
        let officer = self.look_up_officer(&caller.service, word)?;
        if officer.row.is_none() || !self.knows_any(&caller.service, mandate, subjects)? {
            return Ok(officer.actor);
        }
        let kept = officer.clone();
        self.db.transaction("keep officer", move |tx| {
            caller.permit(tx, now)?;
            kept.keep(tx)
        })?;
        self.remember_officer(&officer);
        Ok(officer.actor)
    }

    /// An officer as her word is to be kept.
    ///
    /// The salt comes from a key of the house and not from chance, so that an officer stays who she is in the eyes of the brake also where
    /// somebody deletes her row.
    pub(crate) fn look_up_officer(&self, service: &ServiceId, word: &str) -> Result<KeptOfficer, Error> {
        if word.chars().count() > LONGEST_WORD {
            return Err(Error::refused("The word for the officer has more than 200 characters.", "Send a shorter one."));
        }
        let salt = self.vault.session_mark(&[b"usufruct/officer-salt/v1", service.as_str().as_bytes(), &[0], word.as_bytes()])?;
        let actor = officer_commitment(&salt, service, word);
        let known = KeptOfficer { actor, row: None };
        if self.known_officers().contains(&actor) {
            return Ok(known);
        }
        let register = self.register();
        let Some(entry) = register.services.get(service) else { return Ok(known) };
        if self.db.read(|conn| officers::find(conn, &actor))?.is_some() {
            self.remember_officer(&known);
            return Ok(known);
        }
        let sector = register.sector(entry);
        match self.vault.seal_message(sector, &name(&actor), &[&salt[..], word.as_bytes()].concat(), self.rng()) {
            // The sector has ended, and with it everything that is said to its services.
            Err(VaultError::NoKey { .. }) => Ok(known),
            sealed => Ok(KeptOfficer { actor, row: Some(Officer { sector, sealed: sealed? }) }),
        }
    }

    /// Remembers that her word is kept.
    pub(crate) fn remember_officer(&self, officer: &KeptOfficer) {
        let mut known = self.known_officers();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(officer.actor);
    }

    /// Whether one of the pseudonyms at a service leads to somebody.
    fn knows_any(&self, service: &ServiceId, mandate: &MandateId, subjects: &[String]) -> Result<bool, Error> {
        let (register, now) = (self.register(), self.now());
        let Some((entry, mandate)) = register.services.get(service).zip(register.mandates.get(mandate)) else { return Ok(false) };
        let sector = register.sector(entry);
        let asking = Asking { register: &register, service, sector, mandate, blocks: &[], now };
        for (seed_index, generation) in self.seeds_behind(sector, subjects)?.into_iter().flatten() {
            match self.find_resident(&asking, &seed_index, generation) {
                Ok(_) | Err(Error::Altered) => return Ok(true),
                // What is asked says so itself.
                Err(Error::Unknown { .. } | Error::Rotating) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Says in the lines of a resident whom orders in force name to her.
    pub(crate) fn name_officers(&self, lines: &mut [FootprintLine]) -> Result<(), Error> {
        let (register, now) = (self.register(), self.now());
        if register.disclosures.is_empty() {
            return Ok(());
        }
        for line in lines {
            if let Some(event) = &line.event {
                line.officer = self.named_officer(&register, event, &line.opening, &line.encoded, now)?;
            }
        }
        Ok(())
    }

    /// Whom an order in force names to the resident whose event this is. The order has to be about the mandate or the service of the event.
    fn named_officer(
        &self,
        register: &Register,
        event: &Event,
        opening: &[u8; 32],
        encoded: &[u8],
        now: Time,
    ) -> Result<Option<NamedOfficer>, Error> {
        let Some(actor) = &event.actor else { return Ok(None) };
        let disclosures = |event: &Digest| register.disclosures.get(event).map_or(&[][..], Vec::as_slice);
        let found = disclosures(&Digest(commitment(opening, encoded))).iter().find(|id| is_named(register, id, event, now));
        let Some(order) = found.cloned() else { return Ok(None) };
        let kept = match self.db.read(|conn| officers::find(conn, actor))? {
            None => None,
            Some(officer) => match self.vault.open_message(officer.sector, &name(actor), &officer.sealed) {
                Ok(kept) => Some(kept),
                Err(VaultError::NoKey { .. } | VaultError::Unreadable) => None,
                Err(other) => return Err(other.into()),
            },
        };
        let (word, salt) = match kept.as_deref().zip(event.service.as_ref()) {
            Some((kept, service)) => opened(kept, service, actor),
            None => (None, None),
        };
        Ok(Some(NamedOfficer { order, word, salt }))
    }
}

/// The word and the salt in what was kept, if the commitment of the event is made of them: what was planted in their place is none.
fn opened(kept: &[u8], service: &ServiceId, actor: &[u8; 32]) -> (Option<String>, Option<[u8; 32]>) {
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    if let Some((salt, word)) = kept.split_first_chunk::<32>().map(|(salt, word)| (*salt, text(word)))
        && officer_commitment(&salt, service, &word) == *actor
    {
        return (Some(word), Some(salt));
    }
    (Some(text(kept)).filter(|word| unsalted(service, word) == *actor), None)
}

fn is_named(register: &Register, id: &OrderId, event: &Event, now: Time) -> bool {
    let Some(order) = register.orders.get(id) else { return false };
    let mandate = event.mandate.as_ref().and_then(|hash| register.revision(hash)).map(|(entry, _)| entry.id.as_str());
    let service = event.service.as_ref().map(ServiceId::as_str);
    let target = Some(order.body.target.as_str());
    order.body.kind == OrderKind::DiscloseActor
        && order.effective_at() <= now
        && register.lifted_at(id).is_none_or(|at| now < at)
        && (mandate == target || service == target)
}

fn name(actor: &[u8; 32]) -> String {
    format!("officer {}", hex(actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_opens_the_commitment_that_is_made_of_it_and_no_other() {
        let (service, other): (ServiceId, ServiceId) = ("svc_library".parse().unwrap(), "svc_parks".parse().unwrap());
        let (salt, word) = ([7; 32], "desk 3");
        let kept = [&salt[..], word.as_bytes()].concat();
        let actor = officer_commitment(&salt, &service, word);
        assert_eq!(opened(&kept, &service, &actor), (Some(word.to_owned()), Some(salt)));
        assert_eq!(opened(&kept, &other, &actor), (None, None));
        assert_eq!(opened(word.as_bytes(), &service, &actor), (None, None), "a word without its salt is none");
        assert_ne!(officer_commitment(&[8; 32], &service, word), actor);
        // From before there were salts, also where the word is longer than one.
        for word in [word, "the officer at the third desk on the left, second floor"] {
            let actor = unsalted(&service, word);
            assert_eq!(opened(word.as_bytes(), &service, &actor), (Some(word.to_owned()), None));
            assert_eq!(opened(b"desk 4", &service, &actor), (None, None));
        }
    }
}
