//! Report: an agency's own system says what it did with residents' data. It becomes a use like any other, under the number that the system
//! gave it, or under the next one where the registration of the service says that the pass counts.

use usufruct_core::Time;
use usufruct_core::decide::{Clause, Request};
use usufruct_core::event::{Form, Kind};
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::ServiceId;
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::lifecycle::State;
use usufruct_core::operation::ForeignOperation;
use usufruct_core::register::Register;
use usufruct_core::source::{Source, SourceMark};
use usufruct_core::time::{DAY, MINUTE};
use usufruct_store::sources;

use crate::release::{ATTEMPTS, Asking, PlaceCase, event, find};
use crate::sources::{MOST, reporting};
use crate::{App, Error, OwnCaller};

/// One use that has happened in a system outside the pass.
#[derive(Clone, Debug)]
pub struct ReportedUse {
    pub mandate: MandateId,
    /// The number that the system gave it, from 1 without a gap under the mandate; `None` where the pass counts.
    pub number: Option<u64>,
    /// What the system calls it; needed where the pass counts, so that a line that comes again is known.
    pub operation: Option<ForeignOperation>,
    /// The resident's pseudonym at the service.
    pub subject: String,
    pub blocks: Vec<(BlockId, Form)>,
    pub reason: String,
    /// Commitment to the officer who acted.
    pub actor: Option<[u8; 32]>,
    pub happened_at: Time,
    /// Whether the matter concerns somebody else, so that it is closed to the resident for a time.
    pub third_party: bool,
}

impl App {
    /// Takes what a system reports, each line by itself; what was taken before is taken to be said again. A line against which a clause
    /// stands is taken all the same, because it has happened: it says so, and counts as irregular. Answers the leaf number, if the line is
    /// new.
    pub fn report(&self, caller: impl Into<OwnCaller>, reported: &ReportedUse) -> Result<Option<u64>, Error> {
        let caller = caller.into();
        for _ in 0..ATTEMPTS {
            match self.try_report(&caller, reported) {
                Err(Error::Stale) => self.wait_for_register(),
                outcome => return outcome,
            }
        }
        Err(Error::Stale)
    }

    /// The service whose exporter proves itself by `key`. Such a key opens nothing: by it lines are written.
    pub fn exporter(&self, key: &str) -> Option<ServiceId> {
        let hash = sha256(key.as_bytes());
        let register = self.register();
        let is_open = |state: State| state != State::Draft && !state.is_over();
        let (id, _) = register.services.iter().find(|(_, entry)| {
            let named = entry.body.processing_log.as_ref().filter(|_| is_open(entry.state));
            named.is_some_and(|log| log.exporters.iter().any(|known| equal(&known.0, &hash.0)))
        })?;
        Some(id.clone())
    }

    /// Forgets the operations of lines that would be too old to be taken again. For the clock.
    pub(crate) fn forget_operations(&self) -> Result<(), Error> {
        let before = self.now().plus(-REMEMBERED);
        if self.db.read(|conn| sources::has_operations_before(conn, before))? {
            self.db.transaction("forget operations", move |tx| Ok::<_, Error>(sources::forget_operations(tx, before)?))?;
        }
        Ok(())
    }

    fn try_report(&self, caller: &OwnCaller, reported: &ReportedUse) -> Result<Option<u64>, Error> {
        let (service, caller) = (&caller.service, caller.clone());
        let (version, register) = self.versioned_register();
        let now = self.now();
        check(&register, reported, now)?;
        let mandate_number = reporting(&register, service, &reported.mandate)?;
        let source = Source::Service(service.clone());
        let counting = counting(&register, service, reported, now)?;
        let is_known = self.db.read(|conn| match &counting {
            Counting::Theirs(number) => sources::is_taken(conn, &source, mandate_number, *number),
            Counting::Ours(operation) => sources::is_operation_taken(conn, &source, operation),
        })?;
        if is_known {
            return Ok(None);
        }
        let asked = Request {
            service: service.clone(),
            mandate: reported.mandate.clone(),
            blocks: reported.blocks.clone(),
            reason: reported.reason.clone(),
            subjects: 1,
            sign_in: None,
            third_party: reported.third_party,
            since: None,
            // What has happened elsewhere is told with its code; the reason in writing stays in the system that used the data.
            written_reason: true,
        };
        let (mandate, sector) = find(&register, &asked)?;
        // It has happened elsewhere, and nothing is opened for it.
        let asking = Asking { register: &register, service, sector, mandate, blocks: &[], now };
        let found = self.resolve(&asking, &reported.subject)?;
        let case = self.case(&asking, &asked, found)?;
        let mut event = event(&asked, mandate, &case, reported.actor, None, now);
        event.kind = Kind::Use;
        event.foreign.clone_from(&reported.operation);
        let decider = self.decider(&register, service, &reported.mandate, &reported.reason, reported.actor.as_ref())?;
        let happened_at = reported.happened_at;
        let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
        let place_case = place_case.closed_to_her(asked.third_party.then_some(mandate)).braked(decider);
        let placed = self.db.transaction("record reported use", move |tx| {
            caller.permit(tx, now)?;
            let number = match &counting {
                Counting::Theirs(number) => sources::take(tx, &source, mandate_number, *number, now)?.then_some(*number),
                Counting::Ours(operation) => sources::take_next(tx, &source, mandate_number, operation, happened_at, now)?,
            };
            let Some(number) = number else { return Ok(None) };
            let mark = SourceMark { source: source.clone(), number, happened_at: Some(happened_at) };
            place_case.run_reported(tx, mark).map(Some)
        })?;
        Ok(placed.map(|placed| placed.index()))
    }
}

/// Who numbers a line.
enum Counting {
    /// The pass, which knows the operation again by these bytes.
    Ours([u8; 24]),
    /// The system, by this number.
    Theirs(u64),
}

/// Who numbers this line. A source that counted now by itself and now not could lose a line without a gap.
fn counting(register: &Register, service: &ServiceId, reported: &ReportedUse, now: Time) -> Result<Counting, Error> {
    let is_ours = register.services.get(service).is_some_and(|entry| entry.body.is_numbered_by_pass(&reported.mandate));
    match (is_ours, reported.number, &reported.operation) {
        (false, Some(number), _) if (1..=MOST).contains(&number) => Ok(Counting::Theirs(number)),
        (false, ..) => {
            Err(Error::refused("The number is no number of a source.", "Count from 1, and one further with each use."))
        }
        (true, Some(_), _) => Err(Error::refused(
            "The pass numbers the uses of this service under this mandate, as its registration says.",
            "Leave the number out, or take the mandate out of `processing_log`.",
        )),
        (true, None, None) => Err(Error::refused(
            "The line has no trace id and no span id, so it could not be told from one that comes again.",
            "Send both, none of them all zeros.",
        )),
        (true, None, Some(_)) if reported.happened_at <= now.plus(-REMEMBERED) => Err(Error::refused(
            "The use is so long ago that nobody knows any more whether its line has come already.",
            "Have the system send lines within 30 days; what is older is reported under numbers of its own.",
        )),
        (true, None, Some(operation)) => Ok(Counting::Ours(operation.key())),
    }
}

/// How long operations are remembered by which a line is known again.
const REMEMBERED: i64 = 30 * DAY;

/// What must hold of a line for it to be a use at all.
fn check(register: &Register, reported: &ReportedUse, now: Time) -> Result<(), Error> {
    if reported.happened_at > now.plus(MINUTE) {
        return Err(Error::refused(
            "The use has not happened yet.",
            "Set the clock of the system, and report what has happened.",
        ));
    }
    let mandate = register.mandates.get(&reported.mandate).ok_or_else(|| Error::Unpermitted(vec![Clause::Mandate]))?;
    if mandate.body.reason(&reported.reason).is_none() {
        return Err(Error::refused("The reason is not one of the mandate's.", "Give one of the reason codes in the mandate."));
    }
    if reported.blocks.is_empty() || reported.blocks.iter().any(|(block, _)| mandate.body.asked(block).is_none()) {
        return Err(Error::refused(
            "A block is missing, or is not in the mandate.",
            "Name the blocks of the mandate that were used.",
        ));
    }
    Ok(())
}
