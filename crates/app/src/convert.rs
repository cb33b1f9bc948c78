//! Convert pseudonyms: a service that knows residents by its own pseudonyms learns those of another service, under a mandate that
//! says exactly this. Decide, log, then convert; every resident gets a line of her own.

use usufruct_core::Time;
use usufruct_core::decide::{Clause, ConversionRequest, Outcome, decide_conversion, decide_conversion_without_resident};
use usufruct_core::event::{Batch, Event, Kind};
use usufruct_core::id::{MandateId, ServiceId};
use usufruct_core::logged::Logged;
use usufruct_core::mandate::{GateLevel, Mandate};
use usufruct_core::means::SignIn;
use usufruct_core::ports::random;
use usufruct_core::register::{Entry, Register};
use usufruct_vault::{Error as VaultError, Keyring, Subject, Way};

use crate::batch::{CHUNK, Entered, Waiting, each_once};
use crate::refuse::Refusal;
use crate::release::{Asking, Case, Decided, PlaceCase};
use crate::{App, Error, HeldToken};

/// What a service asks for about many residents.
#[derive(Clone, Debug)]
pub struct ConversionBatch {
    pub service: ServiceId,
    /// The service whose pseudonyms it wants to learn.
    pub to: ServiceId,
    pub mandate: MandateId,
    /// Pseudonyms at the asking service, at most 10,000 and no more than the mandate's bulk limit.
    pub subjects: Vec<String>,
    pub reason: String,
    /// Commitment to the officer who asks.
    pub actor: Option<[u8; 32]>,
    /// The sign-in behind the token that she gave the service; `None` where it asks with its own.
    pub sign_in: Option<SignIn>,
    /// Whether the matter concerns somebody else, so that it is closed to residents for a time.
    pub third_party: bool,
}

/// The answer for each subject, in the order asked.
pub struct ConversionAnswer {
    pub lines: Vec<ConversionLine>,
}

/// The answer for one subject. One that leads to nobody is unknown, whether it is foreign, abandoned or of an erased
/// resident.
pub struct ConversionLine {
    pub subject: String,
    pub outcome: Result<Converted, Error>,
}

/// A pseudonym at the other service, with the receipt that proves the log had it first.
pub struct Converted {
    pub subject: String,
    /// When it must be gone.
    pub until: Time,
    /// Leaf number of the conversion.
    pub index: u64,
    /// A signed note by the receipt key.
    pub receipt: String,
}

impl App {
    /// Converts pseudonyms of many residents. The whole request is refused when its mandate, services, reason or size is
    /// unlawful, which each of them is told; a single resident is refused by her own grant.
    pub fn convert(&self, request: &ConversionBatch) -> Result<ConversionAnswer, Error> {
        self.convert_held(request, None)
    }

    /// As [`App::convert`], by a token, which is looked at again in the write of every line: one read more for each.
    pub fn convert_by(&self, request: &ConversionBatch, token: &HeldToken) -> Result<ConversionAnswer, Error> {
        self.convert_held(request, Some(token))
    }

    fn convert_held(&self, request: &ConversionBatch, token: Option<&HeldToken>) -> Result<ConversionAnswer, Error> {
        let (version, register) = self.versioned_register();
        let now = self.now();
        let asked = ConversionRequest {
            from: request.service.clone(),
            to: request.to.clone(),
            mandate: request.mandate.clone(),
            reason: request.reason.clone(),
            subjects: i64::try_from(request.subjects.len()).unwrap_or(i64::MAX),
            sign_in: request.sign_in,
            third_party: request.third_party,
        };
        let decision = decide_conversion_without_resident(&register, &asked, now);
        if decision.outcome == Outcome::Refuse {
            return Err(self.refuse_conversion(request, decision.because)?);
        }
        each_once(&request.subjects)?;
        let service = |id| register.services.get(id).ok_or_else(|| Error::Unpermitted(vec![Clause::Service]));
        let mandate = register.mandates.get(&asked.mandate).ok_or_else(|| Error::Unpermitted(vec![Clause::Mandate]))?;
        let plan = Plan {
            version,
            register: &register,
            mandate,
            sectors: (register.sector(service(&asked.from)?), register.sector(service(&asked.to)?)),
            asked: &asked,
            actor: request.actor,
            batch: Batch { id: random(self.rng()), size: request.subjects.len() as u64 },
            now,
            token,
        };
        // What is logged is told to her, so it must be possible. A sector that has ended is refused like everything else that is not permitted.
        if let Err(error @ (VaultError::Keeper { .. } | VaultError::NoSecondHand)) = self.vault.stands(plan.sectors.1) {
            return Err(error.into());
        }
        let subjects: Vec<Option<Subject>> = request.subjects.iter().map(|subject| subject.parse().ok()).collect();
        let (service, reason, actor) = (&request.service, &request.reason, request.actor.as_ref());
        let clauses = self.brake_decision(&register, service, &request.mandate, reason, actor)?;
        if !clauses.is_empty() {
            return Err(self.refuse_conversion(request, clauses)?);
        }
        let logged = self.log_conversions(&plan, &subjects)?;
        let waiting: Vec<&Entered> = logged.iter().filter_map(|entered| entered.as_ref().ok()).collect();
        self.wait_for_gate_of(mandate.body.gate, &waiting)?;
        let logged = logged.into_iter().map(|entered| self.decide_again(&plan, entered)).collect();
        let outcomes = self.convert_logged(&plan, &subjects, logged)?;
        let lines = request.subjects.iter().cloned().zip(outcomes);
        Ok(ConversionAnswer { lines: lines.map(|(subject, outcome)| ConversionLine { subject, outcome }).collect() })
    }

    /// Tells everybody whom it names of a request that is refused as a whole. Answers what the service is told.
    fn refuse_conversion(&self, request: &ConversionBatch, clauses: Vec<Clause>) -> Result<Error, Error> {
        let (service, mandate, subjects) = (&request.service, &request.mandate, &request.subjects);
        let refusal = Refusal { service, mandate, subjects, clauses: &clauses, third_party: request.third_party };
        self.refuse_all(&refusal, &|register, mandate, case, batch, now| {
            // Probing must not write arbitrary words into a footprint.
            let reason = mandate.body.reason(&request.reason).map(|_| request.reason.clone()).unwrap_or_default();
            let to = register.services.get(&request.to).map(|to| to.id.clone());
            Event { reason, detail: to, batch: Some(batch), ..refused_event(request, mandate, case, now) }
        })?;
        Ok(Error::Unpermitted(clauses))
    }

    /// Decides about each subject and records it; one chunk is prepared while the one before it is written.
    fn log_conversions(&self, plan: &Plan<'_>, subjects: &[Option<Subject>]) -> Result<Vec<Result<Entered, Error>>, Error> {
        let readable: Vec<Subject> = subjects.iter().flatten().copied().collect();
        let mut seeds = self.vault.resolve_many(plan.sectors.0, &readable)?.into_iter();
        let mut entered = Vec::with_capacity(subjects.len());
        let mut writing: Vec<Result<Waiting, Error>> = Vec::new();
        for chunk in subjects.chunks(CHUNK) {
            let next = chunk.iter().map(|subject| match subject.and_then(|_| seeds.next()) {
                Some((seed_index, generation)) => self.submit_conversion(plan, &seed_index, generation),
                None => Err(unknown()),
            });
            let written = std::mem::replace(&mut writing, next.collect());
            entered.extend(written.into_iter().map(|waiting| self.enter(waiting).map_err(gone)));
        }
        entered.extend(writing.into_iter().map(|waiting| self.enter(waiting).map_err(gone)));
        Ok(entered)
    }

    fn submit_conversion(&self, plan: &Plan<'_>, seed_index: &[u8; 32], generation: u16) -> Result<Waiting, Error> {
        let asking = plan.asking();
        let found = self.find_resident(&asking, seed_index, generation)?;
        let otherwise = || decide_conversion_without_resident(plan.register, plan.asked, plan.now).outcome;
        let found = self.noticed(&asking, &plan.asked.mandate, found, otherwise)?;
        let case = Case::new(found, |grant| decide_conversion(plan.register, plan.asked, grant, plan.now))?;
        let place_case = PlaceCase::new(self, plan.version, &case, plan.mandate, event(plan, &case), plan.now)?;
        let place_case = place_case.closed_to_her(plan.asked.third_party.then_some(plan.mandate)).held(plan.token);
        Ok(Waiting { case, placed: self.db.submit("record conversion", move |tx| place_case.run(tx)) })
    }

    /// What is still permitted of what is in the log; of the rest every footprint says that nothing was handed out.
    fn decide_again(&self, plan: &Plan<'_>, entered: Result<Entered, Error>) -> Result<Entered, Error> {
        let Entered { case, logged, commit } = entered?;
        let resident = case.resident();
        // The first lines of a long list wait for the last ones, gate or none. Without a wait it is as for a single use.
        let waited = plan.mandate.body.gate != GateLevel::Durable || plan.asked.subjects > CHUNK as i64;
        let decided = Decided { version: plan.version, waited, token: plan.token };
        let still = self.still_permitted(&plan.asking(), decided, case, &logged, |register, grant, now| {
            decide_conversion(register, plan.asked, grant, now)
        });
        match still {
            Ok(case) => Ok(Entered { case, logged, commit }),
            Err(error) => Err(self.failed(resident, &logged, gone(error))),
        }
    }

    /// Has the vault convert what is in the log, all of it at once.
    fn convert_logged(
        &self,
        plan: &Plan<'_>,
        subjects: &[Option<Subject>],
        logged: Vec<Result<Entered, Error>>,
    ) -> Result<Vec<Result<Converted, Error>>, Error> {
        let entered = || logged.iter().zip(subjects).filter_map(|(outcome, subject)| Some((outcome.as_ref().ok()?, (*subject)?)));
        let asked: Vec<Subject> = entered().map(|(_, subject)| subject).collect();
        let conversions: Vec<(&Logged, &Keyring)> = entered().map(|(entry, _)| (&entry.logged, entry.case.keyring())).collect();
        let way = Way {
            mandate: (plan.mandate.number, plan.mandate.hash),
            from: (&plan.asked.from, plan.sectors.0),
            to: (&plan.asked.to, plan.sectors.1),
        };
        let converted = self.vault.convert(&way, &asked, &conversions).inspect_err(|_| {
            let uses: Vec<(u64, &Logged)> = entered().map(|(entry, _)| (entry.case.resident(), &entry.logged)).collect();
            self.failed_all(&uses);
        });
        let mut converted = converted?.into_iter();
        let finish = |entry: &Entered, converted: Option<Result<Subject, VaultError>>| {
            let index = entry.logged.index();
            let subject = converted.unwrap_or(Err(VaultError::OtherResident)).map_err(|error| match error {
                VaultError::Withheld => Error::Unopened { index },
                other => gone(other.into()),
            })?;
            Ok(Converted {
                subject: subject.to_string(),
                until: plan.mandate.body.keep_until(plan.now),
                index,
                receipt: self.receipt(&entry.commit, index, plan.now)?,
            })
        };
        let outcome = |logged: Result<Entered, Error>| {
            let entry = logged?;
            finish(&entry, converted.next()).map_err(|error| self.failed(entry.case.resident(), &entry.logged, error))
        };
        Ok(logged.into_iter().map(outcome).collect())
    }
}

/// The event of one resident's part of a request. It names no blocks: no data leaves.
fn event(plan: &Plan<'_>, case: &Case) -> Event {
    let refused = case.clauses.first();
    Event {
        kind: if refused.is_some() { Kind::Refusal } else { Kind::Conversion },
        n: 0,
        prev: None,
        at: plan.now,
        anchor: None,
        mandate: Some(plan.mandate.hash),
        service: Some(plan.asked.from.clone()),
        blocks: Vec::new(),
        reason: plan.asked.reason.clone(),
        actor: plan.actor,
        batch: Some(plan.batch),
        clause: refused.map(|clause| clause.code().to_owned()),
        detail: Some(plan.asked.to.to_string()),
        until: refused.is_none().then(|| plan.mandate.body.keep_until(plan.now)),
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}

/// What is told of a request that was refused as a whole.
fn refused_event(request: &ConversionBatch, mandate: &Entry<Mandate>, case: &Case, now: Time) -> Event {
    Event {
        kind: Kind::Refusal,
        n: 0,
        prev: None,
        at: now,
        anchor: None,
        mandate: Some(mandate.hash),
        service: Some(request.service.clone()),
        blocks: Vec::new(),
        reason: String::new(),
        actor: request.actor,
        batch: None,
        clause: case.clauses.first().map(|clause| clause.code().to_owned()),
        detail: None,
        until: None,
        other: None,
        source: None,
        closed: None,
        foreign: None,
    }
}

/// A resident who was erased in between is as unknown as one who never was.
fn gone(error: Error) -> Error {
    match error {
        Error::Vault(VaultError::NoKey { noun: "resident" } | VaultError::Stale) => unknown(),
        other => other,
    }
}

fn unknown() -> Error {
    Error::Unknown { what: "subject at this service" }
}

/// What holds for every subject of a batch.
struct Plan<'a> {
    version: u64,
    register: &'a Register,
    mandate: &'a Entry<Mandate>,
    /// Of the asking service and of the other one.
    sectors: (u64, u64),
    asked: &'a ConversionRequest,
    actor: Option<[u8; 32]>,
    batch: Batch,
    now: Time,
    /// By what it is asked.
    token: Option<&'a HeldToken>,
}

impl Plan<'_> {
    fn asking(&self) -> Asking<'_> {
        Asking {
            register: self.register,
            service: &self.asked.from,
            sector: self.sectors.0,
            mandate: self.mandate,
            blocks: &[],
            now: self.now,
        }
    }
}
