//! Officers: what a service calls them is kept sealed, and an order of the oversight body opens it to the resident they decided about.

use usufruct_core::event::{Event, commitment};
use usufruct_core::hash::{hex, hmac_sha256};
use usufruct_core::id::{OrderId, ServiceId};
use usufruct_core::order::OrderKind;
use usufruct_core::register::Register;
use usufruct_core::{Digest, Time};
use usufruct_store::officers::{self, Officer};
use usufruct_vault::Error as VaultError;

use crate::footprint::FootprintLine;
use crate::{App, Error};

/// Commitments whose words are known to be kept, before all of them are looked up anew.
const KNOWN: usize = 10_000;

/// Whom an order has named to a resident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedOfficer {
    pub order: OrderId,
    /// The word of the service for her; `None` where it is not kept, so that the agency has to say it.
    pub word: Option<String>,
}

/// Commits to an officer without naming her. The service that knows its own word for her can open it.
pub fn officer_commitment(service: &ServiceId, word: &str) -> [u8; 32] {
    hmac_sha256(word.as_bytes(), &[b"usufruct/actor/v1", service.as_str().as_bytes()])
}

impl App {
    /// The commitment to an officer, whose word is kept sealed from then on, so that an order can open it.
    pub fn officer(&self, service: &ServiceId, word: &str) -> Result<[u8; 32], Error> {
        let actor = officer_commitment(service, word);
        if self.known_officers().contains(&actor) {
            return Ok(actor);
        }
        let register = self.register();
        let Some(entry) = register.services.get(service) else { return Ok(actor) };
        let sector = register.sector(entry);
        if self.db.read(|conn| officers::find(conn, &actor))?.is_none() {
            let sealed = match self.vault.seal_message(sector, &name(&actor), word.as_bytes(), self.rng()) {
                // The sector has ended, and with it everything that is said to its services.
                Err(VaultError::NoKey { .. }) => return Ok(actor),
                sealed => sealed?,
            };
            self.db.transaction("keep officer", move |tx| {
                Ok::<_, Error>(officers::put(tx, &actor, &Officer { sector, sealed: sealed.clone() })?)
            })?;
        }
        let mut known = self.known_officers();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(actor);
        Ok(actor)
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
        let word = match self.db.read(|conn| officers::find(conn, actor))? {
            None => None,
            Some(officer) => match self.vault.open_message(officer.sector, &name(actor), &officer.sealed) {
                Ok(word) => Some(String::from_utf8_lossy(&word).into_owned()),
                Err(VaultError::NoKey { .. } | VaultError::Unreadable) => None,
                Err(other) => return Err(other.into()),
            },
        };
        // What was planted in the place of a word is none: the commitment of the event says which it is.
        let word = word.filter(|word| event.service.as_ref().is_some_and(|service| officer_commitment(service, word) == *actor));
        Ok(Some(NamedOfficer { order, word }))
    }
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
