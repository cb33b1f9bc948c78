//! What was done with a resident's data, for a portal outside that she lets read it: the block [`FOOTPRINT`] of a mandate is her footprint. Each
//! reading is a use like any other: decided, logged, and a line of hers.

use usufruct_core::Time;
use usufruct_core::event::{Event, Form, Kind};
use usufruct_core::id::{AgencyId, MandateId, ServiceId};
use usufruct_core::means::{AskedSignIn, SignIn};
use usufruct_core::register::Register;
use usufruct_core::tally::Day;
use usufruct_core::{Text, id::BlockId};
use usufruct_store::log_head;

use crate::release::{Asking, ReleaseRequest};
use crate::{App, Error, HeldToken};

/// The block that stands for the footprint. Nobody stores it: it is read from the lines.
pub const FOOTPRINT: &str = "blk_footprint";

/// What a portal asks for.
#[derive(Clone, Debug)]
pub struct UsageRequest {
    pub service: ServiceId,
    pub mandate: MandateId,
    /// The resident's pseudonym at the portal.
    pub subject: String,
    /// The sign-in behind the token that she gave the portal; `None` where it asks with its own.
    pub sign_in: Option<SignIn>,
    /// Only what happened on the day in Taipei of the first and later, and on that of the second and before.
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// How many of the newest to leave out, and how many to tell at most.
    pub offset: usize,
    pub limit: usize,
}

/// The uses found, newest first.
#[derive(Clone, Debug)]
pub struct FoundUsage {
    /// How many there are, told or not.
    pub total: usize,
    pub usages: Vec<Usage>,
    /// Leaf number of this reading.
    pub index: u64,
}

/// One use, in as many words as a portal gets.
#[derive(Clone, Debug)]
pub struct Usage {
    pub at: Time,
    /// Why, in the words of the mandate.
    pub action: Text,
    /// Who answers for the receiver.
    pub agency: AgencyId,
    pub agency_name: Text,
    /// The service that used the data; the agency's name where none took part.
    pub system: Text,
}

impl App {
    /// The mandate under which a service may read footprints: the first in force of those it is registered under that asks for the block.
    pub fn usage_mandate(&self, service: &ServiceId) -> Result<MandateId, Error> {
        let (register, now) = (self.register(), self.now());
        let footprint = footprint()?;
        let asks = |id: &&MandateId| {
            let entry = register.mandates.get(*id).filter(|entry| entry.body.asked(&footprint).is_some());
            entry.is_some_and(|entry| entry.is_in_force(now))
        };
        let known = register.services.get(service).ok_or(Error::Unknown { what: "service" })?;
        known.body.mandates.iter().find(asks).cloned().ok_or_else(|| {
            Error::refused(
                "No mandate in force lets this service read footprints.",
                "Publish one that asks for `blk_footprint`, and register the service under it.",
            )
        })
    }

    /// Reads the uses of a resident's data for a portal, up to this reading. The reading is logged before anything is read, and refused and logged
    /// like every use.
    pub fn find_usage(&self, request: &UsageRequest) -> Result<FoundUsage, Error> {
        self.find_usage_held(request, None)
    }

    /// As [`App::find_usage`], by a token, which is looked at again in the write of the reading.
    pub fn find_usage_by(&self, request: &UsageRequest, token: &HeldToken) -> Result<FoundUsage, Error> {
        self.find_usage_held(request, Some(token))
    }

    fn find_usage_held(&self, request: &UsageRequest, token: Option<&HeldToken>) -> Result<FoundUsage, Error> {
        let register = self.register();
        let mandate = register.mandates.get(&request.mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let blocks = vec![(footprint()?, Form::Value)];
        let reason = mandate.body.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
        let reading = ReleaseRequest {
            service: request.service.clone(),
            mandate: request.mandate.clone(),
            subject: request.subject.clone(),
            blocks: blocks.clone(),
            reason,
            actor: None,
            sign_in: request.sign_in,
            third_party: false,
            since: request.from,
            written_reason: None,
        };
        let released = self.release_held(&reading, token)?;
        let register = self.register();
        let mandate = register.mandates.get(&request.mandate).ok_or(Error::Unknown { what: "mandate" })?;
        let service = register.services.get(&request.service).ok_or(Error::Unknown { what: "service" })?;
        let sector = register.sector(service);
        let asking = Asking { register: &register, service: &request.service, sector, mandate, blocks: &blocks, now: self.now() };
        let resident = self.resolve(&asking, &request.subject)?.resident();
        let lines = self.footprint(resident)?.lines;
        let events = lines.into_iter().rev().filter(|line| line.index < released.index).filter_map(|line| line.event);
        let now = self.now();
        let lies_within = |at: Time| {
            request.from.is_none_or(|from| Day::of(from) <= Day::of(at))
                && request.until.is_none_or(|until| Day::of(at) <= Day::of(until))
                && mandate.body.reaches(at, now)
        };
        let found: Vec<Usage> =
            events.filter_map(|event| usage(&register, &event)).filter(|usage| lies_within(usage.at)).collect();
        Ok(FoundUsage {
            total: found.len(),
            usages: found.into_iter().skip(request.offset).take(request.limit).collect(),
            index: released.index,
        })
    }

    /// What a sign-in has to be for a reading.
    pub fn asked_of_reading(&self, request: &UsageRequest) -> AskedSignIn {
        let blocks: Vec<(BlockId, Form)> = footprint().into_iter().map(|block| (block, Form::Value)).collect();
        self.asked_of_use(&request.service, &request.mandate, &blocks)
    }

    /// Whether the store can be read.
    pub fn store_answers(&self) -> Result<(), Error> {
        self.db.read(log_head::size)?;
        Ok(())
    }

    /// From when on the log of this house is complete. `None` before there is one.
    pub fn log_complete_since(&self) -> Option<Time> {
        self.register().log_complete_since()
    }
}

fn footprint() -> Result<BlockId, Error> {
    FOOTPRINT.parse().map_err(|_| Error::Unknown { what: "data block" })
}

/// The use that an event is, if data was used by it: refusals, and what she did herself, are none.
fn usage(register: &Register, event: &Event) -> Option<Usage> {
    if !matches!(event.kind, Kind::Use | Kind::Deposit | Kind::Conversion) {
        return None;
    }
    let service = event.service.as_ref().and_then(|id| register.services.get(id));
    let (mandate, _) = event.mandate.as_ref().and_then(|hash| register.revision(hash))?;
    let agency = service.map_or(&mandate.body.controller, |service| &service.body.agency);
    let agency_name = register.agencies.get(agency).map(|entry| entry.body.legal_name.clone());
    let agency_name = agency_name.unwrap_or_else(|| Text::new(agency.as_str(), agency.as_str()));
    let action = match event.closed.filter(|_| event.reason.is_empty()) {
        Some(closed) => closed_words(closed.shown_from),
        None => mandate.body.reason(&event.reason).unwrap_or(&mandate.body.purpose.sentence).clone(),
    };
    Some(Usage {
        at: event.source.as_ref().and_then(|mark| mark.happened_at).unwrap_or(event.at),
        action,
        agency: agency.clone(),
        system: service.map_or_else(|| agency_name.clone(), |service| service.body.name.clone()),
        agency_name,
    })
}

/// What a portal gets in the place of a matter that concerns somebody else, until its day.
fn closed_words(shown_from: Time) -> Text {
    let day = shown_from.day();
    let (en, zh_hant) =
        (format!("The matter concerns somebody else; it is shown from {day}."), format!("事涉他人，自 {day} 起揭露事由。"));
    Text::new(&en, &zh_hant)
}
