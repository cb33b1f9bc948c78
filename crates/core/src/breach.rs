//! Breach: data that got out, was lost, or is kept by somebody who has to delete it. What is known of it, what every law demands by when,
//! and what shows that it was done. It names mandates, services and blocks, never persons.

mod clock;
mod log_check;
mod people;
mod state;

use serde::Serialize;
use serde_json::Value;

pub use clock::{ClockAnswer, ClockStanding, LegalClock};
pub use log_check::LogCheck;
pub use people::{Audience, NoticeChannel, OutsideNotice, Told};
pub use state::{BreachState, breach_guard};

use crate::block::Sensitivity;
use crate::draft::{Draft, Problem};
use crate::hash::{hex, sha256};
use crate::id::{AgencyId, BlockId, BreachId, ContractId, IncidentId, MandateId, ServiceId};
use crate::register::{Entry, Register};
use crate::{Text, Time};

/// One revision of a breach. Each says all that is known, and nothing that was promised or answered before is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Who answers for it: a public body or the operator, also where it happened at a vendor's.
    pub body: AgencyId,
    /// How far it has come. Which state may follow which is a table: see [`breach_guard`].
    pub state: BreachState,
    pub cause: BreachCause,
    /// What it took from the data: one or more.
    pub kinds: Vec<BreachKind>,
    pub threat_actor: ThreatActor,
    /// Who saw it first: what they are, never who.
    pub reporter: Reporter,
    /// Its level, from 1 to 4, where 4 is the worst; what a level means and changes stands in the lawpack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<i64>,
    pub title: Text,
    /// What happened, as far as it is known.
    pub facts: Text,
    /// When there was the first sign of it. From here the clocks of a vendor's contract run.
    pub first_signal_at: Time,
    /// When the body learned of it: from here all clocks of the laws run. Nobody has while it is a suspicion, or a near miss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aware_at: Option<Time>,
    /// From when data was concerned.
    pub from: Time,
    /// Until when; without a time it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The mandates whose data is concerned; with services only what these did under them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mandates: Vec<MandateId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceId>,
    /// The blocks concerned; without any, all that were used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// How many people are concerned by the body's own estimate, where more than the log shows, as people on a list on paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persons_estimate: Option<i64>,
    /// How many records are concerned by the body's own estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_estimate: Option<i64>,
    /// The contract of the vendor at which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    /// The incident of the counters that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Why nobody can read what got out, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text>,
    /// What may follow from it for the people concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequences: Option<Text>,
    /// What was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Text>,
    /// What the people concerned can do. From when it is said on, they are told in the pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Text>,
    pub clocks: Vec<LegalClock>,
    /// Said by the machine when it has told everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// Whom people told besides, in the order in which they did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<OutsideNotice>,
    /// Said by the machine once it is known until when it went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_check: Option<LogCheck>,
    /// What is learned from it; needed to close it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lessons: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
}

/// How it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachCause {
    /// Somebody from outside got in.
    Attack,
    /// The counters show that the record of uses is not whole.
    Counters,
    /// A system failed.
    Failure,
    /// Somebody inside did what they may not.
    Insider,
    /// A device or a paper is gone.
    Loss,
    /// Somebody made a mistake, as a letter to the wrong person.
    Mistake,
    /// A vendor or a service has not said in time that it deleted.
    UnansweredDeletion,
}

/// What it took from the data (GDPR 4(12) in the words of security).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachKind {
    /// It was lost, or nobody can get at it.
    Availability,
    /// Somebody saw it who may not.
    Confidentiality,
    /// It was changed.
    Integrity,
}

/// From whom the harm came, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreatActor {
    Criminal,
    /// Somebody who works for the body.
    Insider,
    /// Nobody meant it: an error, a failure, fire or water.
    Nobody,
    /// A state, or who works for one.
    State,
    Unknown,
    /// A vendor, or somebody who works for one.
    Vendor,
}

/// Who saw it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    Machine,
    /// Somebody else, as a researcher or a newspaper.
    Outside,
    Resident,
    /// Somebody who works for the body or the operator.
    Staff,
    Vendor,
}

impl BreachCause {
    pub const WORDS: [(&'static str, Self); 7] = [
        ("attack", Self::Attack),
        ("counters", Self::Counters),
        ("failure", Self::Failure),
        ("insider", Self::Insider),
        ("loss", Self::Loss),
        ("mistake", Self::Mistake),
        ("unanswered_deletion", Self::UnansweredDeletion),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, cause)| *cause == self).map_or("", |(word, _)| word)
    }

    /// Whether the machine sees it by itself and opens it.
    pub fn is_seen_by_machine(self) -> bool {
        matches!(self, Self::Counters | Self::UnansweredDeletion)
    }
}

impl BreachKind {
    pub const WORDS: [(&'static str, Self); 3] =
        [("availability", Self::Availability), ("confidentiality", Self::Confidentiality), ("integrity", Self::Integrity)];
}

impl ThreatActor {
    pub const WORDS: [(&'static str, Self); 6] = [
        ("criminal", Self::Criminal),
        ("insider", Self::Insider),
        ("nobody", Self::Nobody),
        ("state", Self::State),
        ("unknown", Self::Unknown),
        ("vendor", Self::Vendor),
    ];
}

impl Reporter {
    pub const WORDS: [(&'static str, Self); 5] = [
        ("machine", Self::Machine),
        ("outside", Self::Outside),
        ("resident", Self::Resident),
        ("staff", Self::Staff),
        ("vendor", Self::Vendor),
    ];
}

impl Breach {
    /// The worst level.
    pub const WORST: i64 = 4;

    /// Reads a breach, or lists everything that is missing or wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let breach = Self::fields(&mut draft);
        if let Some(breach) = &breach {
            breach.check(&mut draft);
        }
        let problems = draft.finish();
        match breach {
            Some(breach) if problems.is_empty() => Ok(breach),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let body = draft.parse("body", "Name the body that answers for it, as `agc_library`.");
        let state = draft.word("state", &BreachState::WORDS, "Say how far it has come, as `detected`.");
        let cause = draft.word("cause", &BreachCause::WORDS, "Say how it came about.");
        let kinds = draft.words("kinds", &BreachKind::WORDS, "Say what it took from the data, one kind at least.");
        let threat_actor = draft.word("threat_actor", &ThreatActor::WORDS, "Say from whom it came, or `unknown`.");
        let reporter = draft.word("reporter", &Reporter::WORDS, "Say what they are who saw it first, without a name.");
        let severity = optional_integer(draft, "severity", 1, Self::WORST);
        let title = draft.text("title", 120, "Give it a title in both languages.");
        let facts = draft.text("facts", 2_000, "Say what happened, without naming persons.");
        let first_signal_at = draft.time("first_signal_at", "Say when there was the first sign of it.");
        let aware_at = draft.optional_parse("aware_at", "Say when the body learned of it.");
        let from = draft.time("from", "Say from when data was concerned.");
        let until = draft.optional_parse("until", "Say until when, or leave it out while it goes on.");
        let mandates = draft.optional_parses("mandates", "List the mandates, as `mdt_library-card`.");
        let services = draft.optional_parses("services", "List the services, as `svc_library`.");
        let blocks = draft.optional_parses("blocks", "List the blocks, as `blk_name`, or leave them out for all.");
        let persons_estimate = optional_integer(draft, "persons_estimate", 1, 10_000_000_000);
        let records_estimate = optional_integer(draft, "records_estimate", 1, 1_000_000_000_000);
        let contract = draft.optional_parse("contract", "Name the contract of the vendor, as `ctr_cloud`.");
        let incident = draft.optional_parse("incident", "Name the incident of the counters.");
        let unreadable = draft.optional_text("unreadable", 600);
        let consequences = draft.optional_text("consequences", 2_000);
        let measures = draft.optional_text("measures", 2_000);
        let advice = draft.optional_text("advice", 2_000);
        let clocks = draft.optional_objects("clocks", clock::clock);
        let told = draft.optional_object("told", people::told);
        let notices = draft.optional_objects("notices", people::outside_notice);
        let log_check = draft.optional_object("log_check", log_check::log_check);
        let lessons = draft.optional_text("lessons", 2_000);
        let closed_at = draft.optional_parse("closed_at", "Say when it was closed, or leave it out.");
        Some(Self {
            body: body?,
            state: state?,
            cause: cause?,
            kinds,
            threat_actor: threat_actor?,
            reporter: reporter?,
            severity,
            title: title?,
            facts: facts?,
            first_signal_at: first_signal_at?,
            aware_at,
            from: from?,
            until,
            mandates,
            services,
            blocks,
            persons_estimate,
            records_estimate,
            contract,
            incident,
            unreadable,
            consequences,
            measures,
            advice,
            clocks,
            told,
            notices,
            log_check,
            lessons,
            closed_at,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        self.check_state(draft);
        for (i, _) in self.kinds.iter().enumerate().filter(|(i, kind)| self.kinds.iter().take(*i).any(|other| other == *kind)) {
            draft.note(&format!("kinds[{i}]"), "duplicate", "This kind is there twice. Keep one.".into());
        }
        if self.mandates.is_empty() && self.services.is_empty() {
            draft.note("mandates", "nothing", "Neither a mandate nor a service is concerned. Name one at least.".into());
        }
        if self.aware_at.is_some_and(|aware_at| aware_at < self.first_signal_at) {
            let message = "The body would have learned of it before there was a sign. Correct one of the times.";
            draft.note("aware_at", "before-sign", message.into());
        }
        if self.until.is_some_and(|until| until < self.from) {
            draft.note("until", "before-start", "It would be over before it began. Correct one of the times.".into());
        }
        if self.told.is_some() && self.advice.is_none() {
            draft.note("advice", "no-advice", "People were told without a word on what to do. Give the advice.".into());
        }
        for (i, clock) in self.clocks.iter().enumerate() {
            if self.clocks.iter().take(i).any(|other| other.is_same(clock)) {
                draft.note(&format!("clocks[{i}]"), "duplicate", "This clock is there twice. Keep one.".into());
            }
        }
    }

    /// Whether it concerns the same people: what bounds it is the same.
    pub fn concerns_same(&self, other: &Self) -> bool {
        self.mandates == other.mandates
            && self.services == other.services
            && self.blocks == other.blocks
            && self.contract == other.contract
            && (self.from, self.until) == (other.from, other.until)
    }

    /// What a state asks of the fields: it is refused with all that is missing.
    fn check_state(&self, draft: &mut Draft<'_>) {
        if self.state.is_known() && self.aware_at.is_none() {
            let message = "Data is concerned, and it is not said when the body learned of it. Say it.";
            draft.note("aware_at", "missing", message.into());
        }
        if matches!(self.state, BreachState::Suspected | BreachState::NearMiss) && self.aware_at.is_some() {
            let message = "Nobody knows of data that is concerned. Say `detected`, or leave out when the body learned of it.";
            draft.note("aware_at", "not-known", message.into());
        }
        if self.state == BreachState::Suspected && self.advice.is_some() {
            let message =
                "Nobody knows of data that is concerned, so nobody is told yet. Say `detected`, or leave the advice out.";
            draft.note("advice", "not-known", message.into());
        }
        if self.is_near_miss() && self.advice.is_some() {
            let message = "No data was concerned, so there is nobody to be told. Leave the advice out.";
            draft.note("advice", "near-miss", message.into());
        }
        let is_closed = self.state == BreachState::Closed && !self.is_near_miss();
        let is_mitigated = self.state == BreachState::Mitigated || is_closed;
        if (self.state == BreachState::Contained || is_mitigated) && self.until.is_none() {
            draft.note("until", "missing", "It is contained, and it is not said until when it went on. Say it.".into());
        }
        if is_mitigated && self.measures.is_none() {
            draft.note("measures", "missing", "What followed is made good, and it is not said how. Say what was done.".into());
        }
        if (self.state == BreachState::Closed) != self.closed_at.is_some() {
            let message = "The state `closed` and the time of the closing go together. Give both or neither.";
            draft.note("closed_at", "other-state", message.into());
        }
    }

    /// Whether it nearly happened, closed or not: no data was concerned.
    pub fn is_near_miss(&self) -> bool {
        self.state == BreachState::NearMiss || self.is_closed() && self.aware_at.is_none()
    }

    /// Whether it is over: closed by two people.
    pub fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }
}

impl BreachId {
    /// The id of the breach that the machine opens about `what`: the same whichever process sees it first.
    pub fn of(what: &str) -> Self {
        let digits = hex(&sha256(format!("usufruct/breach/v1 {what}").as_bytes()).0[..16]);
        // INVARIANT: the prefix and hexadecimal digits are an id.
        format!("{}_{digits}", Self::PREFIX).parse().expect("the digits fit an id")
    }
}

impl Register {
    /// Breaches and suspicions that are not closed, in the order in which they were opened.
    pub fn open_breaches(&self) -> Vec<&Entry<Breach>> {
        let mut open: Vec<_> = self.breaches.values().filter(|entry| !entry.body.is_closed()).collect();
        open.sort_by_key(|entry| entry.number);
        open
    }

    /// Whether specially protected data is concerned: one of the blocks that are named, or where none is, of those of the mandates.
    pub fn is_special(&self, breach: &Breach) -> bool {
        let of_mandates = breach.mandates.iter().filter_map(|id| self.mandates.get(id)).flat_map(|entry| &entry.body.blocks);
        let of_mandates: Vec<&BlockId> = of_mandates.map(|asked| &asked.block).collect();
        let blocks = if breach.blocks.is_empty() { of_mandates } else { breach.blocks.iter().collect() };
        let is_special = |id: &&BlockId| self.blocks.get(id).is_some_and(|entry| entry.body.sensitivity == Sensitivity::Special);
        blocks.iter().any(is_special)
    }
}

fn optional_integer(draft: &mut Draft<'_>, field: &'static str, min: i64, max: i64) -> Option<i64> {
    draft.optional(field)?;
    draft.integer(field, min, max, "Correct the number, or leave it out.")
}
