//! Release to many at once: one decision with one reason, and a line in every footprint it touches.

use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::decide::{Clause, Outcome, Request, decide_without_resident};
use usufruct_core::event::{Batch, Form};
use usufruct_core::id::{BlockId, MandateId, ServiceId};
use usufruct_core::logged::Logged;
use usufruct_core::mandate::{GateLevel, Mandate};
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};
use usufruct_store::db::Pending;

use crate::ledger::Placed;
use crate::receipt::Commit;
use crate::refuse::Refusal;
use crate::release::{Asking, Case, Decided, PlaceCase, event, find};
use crate::{App, Error, HeldToken, Released};

/// How many lines one transaction writes: enough to share a disk sync, few enough to let others in between.
pub(crate) const CHUNK: usize = 500;

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
    /// Whether the matter concerns somebody else, so that it is closed to residents for a time.
    pub third_party: bool,
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
    /// unlawful; a single resident is refused by her own grant. Every resident decided about gets a line of her own, also where the whole
    /// is refused.
    pub fn release_batch(&self, request: &BatchRequest) -> Result<BatchAnswer, Error> {
        self.release_batch_held(request, None)
    }

    /// As [`App::release_batch`], by a token, which is looked at again in the write of every line: one read more for each.
    pub fn release_batch_by(&self, request: &BatchRequest, token: &HeldToken) -> Result<BatchAnswer, Error> {
        self.release_batch_held(request, Some(token))
    }

    fn release_batch_held(&self, request: &BatchRequest, token: Option<&HeldToken>) -> Result<BatchAnswer, Error> {
        let (version, register) = self.versioned_register();
        let now = self.now();
        let asked = Request {
            service: request.service.clone(),
            mandate: request.mandate.clone(),
            blocks: request.blocks.clone(),
            reason: request.reason.clone(),
            subjects: i64::try_from(request.subjects.len()).unwrap_or(i64::MAX),
            sign_in: None,
            third_party: request.third_party,
            since: None,
            // Each use under such an exception is reasoned by itself, so there is no batch of them.
            written_reason: false,
        };
        let (mandate, sector) = find(&register, &asked)?;
        let decision = decide_without_resident(&register, &asked, now);
        let clauses = match decision.outcome {
            Outcome::Refuse => decision.because,
            Outcome::Permit => {
                each_once(&request.subjects)?;
                let (service, reason, actor) = (&request.service, &request.reason, request.actor.as_ref());
                self.brake_decision(&register, service, &request.mandate, reason, actor)?
            }
        };
        if !clauses.is_empty() {
            let (service, mandate, subjects) = (&request.service, &request.mandate, &request.subjects);
            let refusal = Refusal { service, mandate, subjects, clauses: &clauses, third_party: request.third_party };
            self.refuse_all(&refusal, &|_, mandate, case, batch, now| {
                event(&asked, mandate, case, request.actor, Some(batch), now)
            })?;
            return Err(Error::Unpermitted(clauses));
        }
        let plan = Plan {
            version,
            register: &register,
            mandate,
            sector,
            asked: &asked,
            actor: request.actor,
            batch: Batch { id: random(self.rng()), size: request.subjects.len() as u64 },
            now,
            token,
        };
        let seeds = self.seeds_behind(sector, &request.subjects)?;
        let gate = mandate.body.gate;
        // Behind a gate nothing is opened before all of it is past the gate.
        let (mut lines, mut gated) = (Vec::with_capacity(request.subjects.len()), Vec::new());
        let mut enter = |written: Vec<(&String, Result<Waiting, Error>)>| {
            let entered = written.into_iter().map(|(subject, waiting)| (subject.clone(), self.enter(waiting)));
            match gate {
                GateLevel::Durable => lines.extend(entered.map(|(subject, entered)| self.open_line(&plan, subject, entered))),
                GateLevel::Published | GateLevel::Witnessed => gated.extend(entered),
            }
        };
        // One chunk is prepared while the one before it is written.
        let mut writing: Vec<(&String, Result<Waiting, Error>)> = Vec::new();
        for (subjects, seeds) in request.subjects.chunks(CHUNK).zip(seeds.chunks(CHUNK)) {
            let next = subjects.iter().zip(seeds).map(|(subject, seed)| (subject, self.submit(&plan, seed.as_ref()))).collect();
            enter(std::mem::replace(&mut writing, next));
        }
        enter(writing);
        let waiting: Vec<&Entered> = gated.iter().filter_map(|(_, entered)| entered.as_ref().ok()).collect();
        self.wait_for_gate_of(gate, &waiting)?;
        lines.extend(gated.into_iter().map(|(subject, entered)| self.open_line(&plan, subject, entered)));
        Ok(BatchAnswer { lines })
    }

    /// Decides about the subject with this seed and hands its line to the writer, with a guard of its own, so that one that moved
    /// meanwhile does not stop the others.
    fn submit(&self, plan: &Plan<'_>, seed: Option<&([u8; 32], u16)>) -> Result<Waiting, Error> {
        let (seed_index, generation) = seed.ok_or(Error::Unknown { what: "subject at this service" })?;
        let asking = plan.asking();
        let found = self.find_resident(&asking, seed_index, *generation)?;
        let case = self.case(&asking, plan.asked, found)?;
        let event = event(plan.asked, plan.mandate, &case, plan.actor, Some(plan.batch), plan.now);
        let place_case = PlaceCase::new(self, plan.version, &case, plan.mandate, event, plan.now)?;
        let place_case = place_case.closed_to_her(plan.asked.third_party.then_some(plan.mandate)).held(plan.token);
        Ok(Waiting { case, placed: self.db.submit("record batch use", move |tx| place_case.run(tx)) })
    }

    /// Waits until a line of a batch is written. What was refused has its line and nothing more.
    pub(crate) fn enter(&self, waiting: Result<Waiting, Error>) -> Result<Entered, Error> {
        let outcome = waiting.and_then(|Waiting { case, placed }| {
            let (logged, commit) = placed.wait()?.logged(&self.recorder);
            if case.clauses.is_empty() { Ok(Entered { case, logged, commit }) } else { Err(Error::Unpermitted(case.clauses)) }
        });
        outcome.map_err(|error| match error {
            // A decision that no longer holds is refused here: the caller asks again for that subject alone.
            Error::Stale => Error::Unpermitted(vec![Clause::Suspension]),
            other => other,
        })
    }

    /// Waits, once for all of a batch, until the log with all of it is where the gate asks. If it does not come to that, every footprint says
    /// that nothing was handed out.
    pub(crate) fn wait_for_gate_of(&self, gate: GateLevel, entered: &[&Entered]) -> Result<(), Error> {
        let Some(last) = entered.iter().map(|entered| entered.logged.index()).max() else { return Ok(()) };
        self.wait_for_gate(gate, last).inspect_err(|_| {
            let uses: Vec<(u64, &Logged)> = entered.iter().map(|entered| (entered.case.resident(), &entered.logged)).collect();
            self.failed_all(&uses);
        })
    }

    fn open_line(&self, plan: &Plan<'_>, subject: String, entered: Result<Entered, Error>) -> BatchLine {
        let outcome = entered.and_then(|Entered { case, logged, commit }| {
            let resident = case.resident();
            let opened = self.still_permitted_use(&plan.asking(), plan.decided(), plan.asked, case, &logged).and_then(|case| {
                self.open_blocks(plan.register, plan.mandate, &case, (&logged, &commit), plan.asked, &subject, plan.now)
            });
            opened.map_err(|error| self.failed(resident, &logged, error))
        });
        BatchLine { subject, outcome }
    }
}

/// Refuses a list that names somebody twice.
pub(crate) fn each_once(subjects: &[String]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    if subjects.iter().all(|subject| seen.insert(subject)) {
        return Ok(());
    }
    Err(Error::refused("A subject stands in the request twice.", "Name each subject once."))
}

/// What holds for every subject of a batch.
struct Plan<'a> {
    version: u64,
    register: &'a Register,
    mandate: &'a Entry<Mandate>,
    sector: u64,
    asked: &'a Request,
    actor: Option<[u8; 32]>,
    batch: Batch,
    now: Time,
    /// By what it is asked.
    token: Option<&'a HeldToken>,
}

impl Plan<'_> {
    /// Between the write of a line and its opening stands a gate, or the next lines of a long list.
    fn decided(&self) -> Decided<'_> {
        let waited = self.mandate.body.gate != GateLevel::Durable || self.asked.subjects > CHUNK as i64;
        Decided { version: self.version, waited, token: self.token }
    }

    fn asking(&self) -> Asking<'_> {
        Asking {
            register: self.register,
            service: &self.asked.service,
            sector: self.sector,
            mandate: self.mandate,
            blocks: &self.asked.blocks,
            now: self.now,
        }
    }
}

/// A line that was handed to the writer.
pub(crate) struct Waiting {
    pub case: Case,
    pub placed: Pending<Placed, Error>,
}

/// A line that is in the log, for which nothing has been opened yet.
pub(crate) struct Entered {
    pub case: Case,
    pub logged: Logged,
    pub commit: Arc<Commit>,
}
