//! Refuse: a request about many residents that is refused as a whole is a line in the footprint of each of them, so that she sees that it
//! was tried, and is counted in public under its mandate.

use std::collections::BTreeSet;

use usufruct_core::Time;
use usufruct_core::decide::Clause;
use usufruct_core::event::{Batch, Event};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::mandate::Mandate;
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};

use crate::batch::CHUNK;
use crate::release::{ATTEMPTS, Asking, Case, PlaceCase};
use crate::{App, Error};

/// As many as the most generous mandate lets one request name.
const MOST: usize = 10_000;

/// A request that is refused whoever it is about.
pub(crate) struct Refusal<'a> {
    pub service: &'a ServiceId,
    pub mandate: &'a MandateId,
    /// Pseudonyms at the service.
    pub subjects: &'a [String],
    pub clauses: &'a [Clause],
    /// Whether it was in a matter that concerns somebody else, which is closed to them also where it is refused.
    pub third_party: bool,
}

/// What makes the event of one resident's line.
type Tell<'a> = dyn Fn(&Register, &Entry<Mandate>, &Case, Batch, Time) -> Event + 'a;

impl App {
    /// Logs a refusal about everybody whom the request names and whom the service knows, one line for each. Nothing is logged where the
    /// mandate or the service does not exist, and of a list that is longer than any mandate allows. It returns when all lines are durable.
    pub(crate) fn refuse_all(&self, refusal: &Refusal<'_>, tell: &Tell<'_>) -> Result<(), Error> {
        let batch = Batch { id: random(self.rng()), size: refusal.subjects.len() as u64 };
        if refusal.subjects.len() > MOST {
            return Ok(());
        }
        let mut left: Vec<String> = refusal.subjects.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        for _ in 0..ATTEMPTS {
            let (version, register) = self.versioned_register();
            let (mandate, service) = (register.mandates.get(refusal.mandate), register.services.get(refusal.service));
            let Some((mandate, service)) = mandate.zip(service) else { return Ok(()) };
            let (sector, now) = (register.sector(service), self.now());
            let asking = Asking { register: &register, service: refusal.service, sector, mandate, blocks: &[], now };
            let seeds = self.seeds_behind(sector, &left)?;
            let mut stale = Vec::new();
            let known: Vec<_> = left.into_iter().zip(seeds).filter_map(|(subject, seed)| Some((subject, seed?))).collect();
            for chunk in known.chunks(CHUNK) {
                let submit = |seed_index: &[u8; 32], generation: u16| {
                    let found = self.find_resident(&asking, seed_index, generation)?;
                    let case = Case::refused(found, refusal.clauses.to_vec());
                    let event = tell(&register, mandate, &case, batch, now);
                    let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
                    let place_case = place_case.closed_to_her(refusal.third_party.then_some(mandate));
                    Ok::<_, Error>(self.db.submit("record refusal", move |tx| place_case.run(tx)))
                };
                let writing: Vec<_> =
                    chunk.iter().map(|(subject, (seed_index, generation))| (subject, submit(seed_index, *generation))).collect();
                for (subject, pending) in writing {
                    match pending.and_then(|pending| pending.wait().map(drop)) {
                        Ok(()) | Err(Error::Unknown { .. }) => {}
                        Err(Error::Stale) => stale.push(subject.clone()),
                        Err(other) => return Err(other),
                    }
                }
            }
            if stale.is_empty() {
                return Ok(());
            }
            left = stale;
            self.wait_for_register();
        }
        Err(Error::Stale)
    }
}
