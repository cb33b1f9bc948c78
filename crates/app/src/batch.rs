//! Release to many at once: one decision with one reason, and a line in every footprint it touches.

use std::sync::Arc;

use usufruct_core::decide::{Clause, Outcome, Request, decide_without_resident};
use usufruct_core::event::{Batch, Form};
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::ports::random;

use crate::release::{Case, PlaceCase, event, find};
use crate::{App, Error, Released};

/// How many lines one transaction writes: enough to share a disk sync, few enough to let others in between.
const CHUNK: usize = 500;

/// What a service asks for about many residents.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    pub service: ServiceId,
    pub mandate: MandateId,
    /// Pseudonyms at the service, at most 10,000 and no more than the mandate's bulk limit.
    pub subjects: Vec<String>,
    pub blocks: Vec<(BlockId, Form)>,
    pub reason: String,
    pub actor: Option<[u8; 32]>,
}

/// The answer for each subject, in the order asked.
pub struct BatchAnswer {
    pub lines: Vec<BatchLine>,
}

/// The answer for one subject.
pub struct BatchLine {
    pub subject: String,
    pub outcome: Result<Released, Error>,
}

impl App {
    /// Releases blocks of many residents. The whole request is refused when its mandate, recipient, reason, form or size is
    /// unlawful; a single resident is refused by her own grant. Every resident decided about gets a line of her own.
    pub fn release_batch(&self, request: &BatchRequest) -> Result<BatchAnswer, Error> {
        let (version, register) = self.versioned_register();
        let now = self.now();
        let asked = Request {
            service: request.service.clone(),
            mandate: request.mandate.clone(),
            blocks: request.blocks.clone(),
            reason: request.reason.clone(),
            subjects: i64::try_from(request.subjects.len()).unwrap_or(i64::MAX),
        };
        let (mandate, sector) = find(&register, &asked)?;
        let decision = decide_without_resident(&register, &asked, now);
        if decision.outcome == Outcome::Refuse {
            return Err(Error::Unpermitted(decision.because));
        }
        let mut seen = std::collections::HashSet::new();
        if !request.subjects.iter().all(|subject| seen.insert(subject)) {
            return Err(Error::refused("A subject stands in the request twice.", "Name each subject once."));
        }
        let batch = Batch { id: random(self.rng()), size: request.subjects.len() as u64 };
        let mut lines = Vec::with_capacity(request.subjects.len());
        for subjects in request.subjects.chunks(CHUNK) {
            let cases: Vec<Result<Case, Error>> = subjects
                .iter()
                .map(|subject| {
                    let keyring = Arc::new(self.resolve(sector, subject)?);
                    self.case(&register, &asked, mandate, keyring, now)
                })
                .collect();
            // Handed over together, so that they share a commit, and each with its own guard, so that one that moved
            // meanwhile does not stop the others.
            let pending: Vec<_> = cases
                .into_iter()
                .map(|case| {
                    let case = case?;
                    let event = event(&asked, mandate, &case, request.actor, Some(batch), now);
                    let place_case = PlaceCase::new(self, version, &case, mandate, event, now);
                    Ok::<_, Error>((case, self.db.submit("record batch use", move |tx| place_case.run(tx))))
                })
                .collect();
            for (subject, pending) in subjects.iter().zip(pending) {
                let outcome = pending.and_then(|(case, placed)| {
                    let logged = placed.wait()?.logged(&self.recorder);
                    if !case.clauses.is_empty() {
                        return Err(Error::Unpermitted(case.clauses));
                    }
                    self.open_blocks(&register, mandate, &case, &logged, &asked, subject, now)
                });
                // A decision that no longer holds is refused here: the caller asks again for that subject alone.
                let outcome = outcome.map_err(|error| match error {
                    Error::Stale => Error::Unpermitted(vec![Clause::Suspension]),
                    other => other,
                });
                lines.push(BatchLine { subject: subject.clone(), outcome });
            }
        }
        if mandate.body.gate == usufruct_core::mandate::GateLevel::Published
            && let Some(last) = lines.iter().filter_map(|line| line.outcome.as_ref().ok()).map(|released| released.index).max()
        {
            self.publish_log_beyond(last)?;
        }
        Ok(BatchAnswer { lines })
    }
}
