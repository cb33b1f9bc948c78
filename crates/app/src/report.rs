//! Report: an agency's own system says what it did with residents' data. It becomes a use like any other, under the number that the system
//! gave it, or under the next one where the registration of the service says that the pass counts.

use usufruct_core::decide::{Clause, Request};
use usufruct_core::event::{Form, Kind};
use usufruct_core::hash::{equal, sha256};
use usufruct_core::id::ServiceId;
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::lifecycle::State;
use usufruct_core::operation::ForeignOperation;
use usufruct_core::register::{Entry, Register};
use usufruct_core::service::Service;
use usufruct_core::source::{Source, SourceMark};
use usufruct_core::time::{DAY, MINUTE};
use usufruct_core::{Digest, Time};
use usufruct_store::sources::{self, Standing};

use crate::officer::KeptOfficer;
use crate::release::{Asking, PlaceCase, event, find};
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
        self.while_stale(|| self.try_report(&caller, reported, None))
    }

    /// As [`App::report`], of a use that was decided by the officer whom the service calls by this word, of at most 200 characters. It is kept
    /// sealed in the transaction of the line; where no line is written, nothing is.
    pub fn report_of_officer(
        &self,
        caller: impl Into<OwnCaller>,
        reported: &ReportedUse,
        word: &str,
    ) -> Result<Option<u64>, Error> {
        let caller = caller.into();
        self.while_stale(|| self.try_report(&caller, reported, Some(word)))
    }

    /// The service whose exporter proves itself by `key`. Such a key opens nothing: by it lines are written.
    pub fn exporter(&self, key: &str) -> Option<ServiceId> {
        let hash = sha256(key.as_bytes());
        let register = self.register();
        let found = register.services.iter().find(|(_, entry)| is_exporter(entry, &hash));
        found.map(|(id, _)| id.clone())
    }

    /// The same service as one that calls. Each line looks at the key again.
    pub fn exporting(&self, key: &str) -> Option<OwnCaller> {
        self.exporter(key).map(|service| OwnCaller::by_exporter(&service, sha256(key.as_bytes())))
    }

    /// Forgets the operations of lines that would be too old to be taken again. For the clock.
    pub(crate) fn forget_operations(&self) -> Result<(), Error> {
        let before = self.now().plus(-REMEMBERED);
        if self.db.read(|conn| sources::has_operations_before(conn, before))? {
            self.db.transaction("forget operations", move |tx| Ok::<_, Error>(sources::forget_operations(tx, before)?))?;
        }
        Ok(())
    }

    fn try_report(&self, caller: &OwnCaller, reported: &ReportedUse, word: Option<&str>) -> Result<Option<u64>, Error> {
        let (service, caller) = (&caller.service, caller.clone());
        let (version, register) = self.versioned_register();
        let now = self.now();
        // What the register says of the key is what it says when the line is written: by another version of it nothing is.
        if let Some(key) = caller.exporter()
            && !register.services.get(service).is_some_and(|entry| is_exporter(entry, key))
        {
            return Err(Error::Unborne);
        }
        check(&register, reported, now)?;
        let mandate_number = reporting(&register, service, &reported.mandate)?;
        let source = Source::Service(service.clone());
        let counting = counting(&register, &caller, reported, now)?;
        let (is_known, leaps) = self.db.read(|conn| match &counting {
            Counting::Theirs(number) => {
                let standing = sources::find(conn, &source, mandate_number)?;
                let leaps = leaps(standing.as_ref(), *number);
                Ok::<_, Error>((sources::is_taken(conn, &source, mandate_number, *number)?, leaps))
            }
            Counting::Ours(operation) => Ok((sources::is_operation_taken(conn, &source, operation)?, false)),
        })?;
        if is_known {
            return Ok(None);
        }
        if leaps {
            return Err(Error::refused(
                "The number is more than a million behind the last one that is known of the source.",
                "Count one further with each use, and say by `/api/ldv/sources` how far the source has come where it is right.",
            ));
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
        let officer = word.map(|word| self.look_up_officer(service, word)).transpose()?;
        let actor = officer.as_ref().map(KeptOfficer::actor).or(reported.actor);
        let mut event = event(&asked, mandate, &case, actor, None, now);
        event.kind = Kind::Use;
        event.foreign.clone_from(&reported.operation);
        // Whoever has the key of an exporter can invent lines, and would stop by them whom the service really has decide.
        let decider = match caller.exporter() {
            Some(_) => None,
            None => self.decider(&register, service, &reported.mandate, &reported.reason, actor.as_ref())?,
        };
        let happened_at = reported.happened_at;
        // Nobody can be refused what has happened; where the mandate does not let a matter be closed, it is told as it was.
        let closing = Some(mandate).filter(|mandate| asked.third_party && mandate.body.third_party.is_some());
        let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
        let place_case = place_case.closed_to_her(closing).braked(decider);
        let kept = officer.clone();
        let placed = self.db.transaction("record reported use", move |tx| {
            if caller.exporter().is_none() {
                caller.permit(tx, now)?;
            }
            let number = match &counting {
                Counting::Theirs(number) => sources::take(tx, &source, mandate_number, *number, now)?.then_some(*number),
                Counting::Ours(operation) => sources::take_next(tx, &source, mandate_number, operation, happened_at, now)?,
            };
            let Some(number) = number else { return Ok(None) };
            if let Some(officer) = &kept {
                officer.keep(tx)?;
            }
            let mark = SourceMark { source: source.clone(), number, happened_at: Some(happened_at) };
            place_case.run_reported(tx, mark).map(Some)
        })?;
        if let Some(officer) = officer.filter(|_| placed.is_some()) {
            self.remember_officer(&officer);
        }
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
fn counting(register: &Register, caller: &OwnCaller, reported: &ReportedUse, now: Time) -> Result<Counting, Error> {
    let service = register.services.get(&caller.service);
    let is_ours = service.is_some_and(|entry| entry.body.is_numbered_by_pass(&reported.mandate));
    match (is_ours, reported.number, &reported.operation) {
        (false, ..) if caller.exporter().is_some() => Err(Error::refused(
            "The key of an exporter is good for the mandates of the activities that the registration of its service maps, and this is none.",
            "Map it in `processing_log`, or send the line with a token of the service.",
        )),
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

/// Whether this is further ahead of what is known of a source than lines overtake each other: a slip would be a gap for ever.
pub(crate) fn leaps(standing: Option<&Standing>, number: u64) -> bool {
    number > standing.map_or(0, |standing| standing.highest).saturating_add(MOST_AHEAD)
}

/// How far a number may be ahead of the last one that is known.
const MOST_AHEAD: u64 = 1_000_000;

/// Whether lines of this service are taken by the key with this SHA-256.
fn is_exporter(entry: &Entry<Service>, hash: &Digest) -> bool {
    let is_open = entry.state != State::Draft && !entry.state.is_over();
    let named = entry.body.processing_log.as_ref().filter(|_| is_open);
    named.is_some_and(|log| log.exporters.iter().any(|known| equal(&known.0, &hash.0)))
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
