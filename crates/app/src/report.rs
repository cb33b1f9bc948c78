//! Report: an agency's own system says what it did with residents' data. It becomes a use like any other, under the number that the system
//! gave it.

use usufruct_core::Time;
use usufruct_core::decide::{Clause, Request};
use usufruct_core::event::{Form, Kind};
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::register::Register;
use usufruct_core::source::{Source, SourceMark};
use usufruct_core::time::MINUTE;
use usufruct_store::sources;

use crate::release::{ATTEMPTS, Asking, PlaceCase, event, find};
use crate::sources::{MOST, reporting};
use crate::{App, Error, OwnCaller};

/// One use that has happened in a system outside the pass.
#[derive(Clone, Debug)]
pub struct ReportedUse {
    pub mandate: MandateId,
    /// The number that the system gave it, from 1 without a gap under the mandate.
    pub number: u64,
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

    fn try_report(&self, caller: &OwnCaller, reported: &ReportedUse) -> Result<Option<u64>, Error> {
        let (service, caller) = (&caller.service, caller.clone());
        let (version, register) = self.versioned_register();
        let now = self.now();
        check(&register, reported, now)?;
        let number = reporting(&register, service, &reported.mandate)?;
        let source = Source::Service(service.clone());
        if self.db.read(|conn| sources::is_taken(conn, &source, number, reported.number))? {
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
        let decider = self.decider(&register, service, &reported.mandate, &reported.reason, reported.actor.as_ref())?;
        let mark = SourceMark { source: source.clone(), number: reported.number, happened_at: Some(reported.happened_at) };
        let place_case = PlaceCase::new(self, version, &case, mandate, event, now)?;
        let place_case = place_case.closed_to_her(asked.third_party.then_some(mandate)).braked(decider).reported(mark.clone());
        let mandate = mandate.number;
        let placed = self.db.transaction("record reported use", move |tx| {
            caller.permit(tx, now)?;
            if !sources::take(tx, &source, mandate, mark.number, now)? {
                return Ok(None);
            }
            place_case.run(tx).map(Some)
        })?;
        Ok(placed.map(|placed| placed.index()))
    }
}

/// What must hold of a line for it to be a use at all.
fn check(register: &Register, reported: &ReportedUse, now: Time) -> Result<(), Error> {
    if !(1..=MOST).contains(&reported.number) {
        return Err(Error::refused("The number is no number of a source.", "Count from 1, and one further with each use."));
    }
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
