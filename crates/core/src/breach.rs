//! Breach: data that got out, was lost, or is kept by somebody who has to delete it. What is known of it, what every law demands by when,
//! and what shows that it was done. It names mandates, services and blocks, never persons.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, document};
use crate::draft::{Draft, Problem};
use crate::event::{Event, Form, Kind};
use crate::hash::{hex, sha256};
use crate::id::{AgencyId, BlockId, BreachId, ContractId, IncidentId, MandateId, ServiceId};
use crate::lawpack::{Duty, GENERIC};
use crate::register::{Entry, Register};
use crate::tally::Count;
use crate::{Digest, Text, Time};

/// One revision of a breach. Each says all that is known, and nothing that was promised or answered before is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Who answers for it: a public body or the operator, also where it happened at a vendor's.
    pub body: AgencyId,
    pub cause: BreachCause,
    pub title: Text,
    /// What happened, as far as it is known.
    pub facts: Text,
    /// When there was the first sign of it.
    pub first_signal_at: Time,
    /// When the body learned of it: from here all clocks run.
    pub aware_at: Time,
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
    /// The contract of the vendor at which it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    /// The incident of the counters that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Why nobody can read what got out, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text>,
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

/// What one law demands by when, and what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalClock {
    /// Jurisdiction of the pack that demands it.
    pub law: String,
    pub duty: Duty,
    pub article: String,
    pub due_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ClockAnswer>,
}

/// What ends a clock: something that was sent, named by its hash, or the reason why nothing was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockAnswer {
    pub at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Document>,
    /// Why it was late, or why it was not done at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// Whom the machine has told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    pub at: Time,
    /// Residents concerned, by the rule of small counts.
    pub residents: Count,
    /// Of them those with no passkey, who get a letter.
    pub by_courier: Count,
    /// How many different blocks of theirs.
    pub blocks: i64,
    /// Hash of the revision whose words they read.
    pub words: Digest,
}

/// How a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockStanding {
    /// Nothing was sent, and it is said why.
    Excused,
    /// Not answered, and due in the past.
    Late,
    /// In time.
    Met,
    /// Done, but too late.
    MetLate,
    /// Not answered and not due.
    Running,
}

/// What every law demands of every breach.
const DUTIES: [Duty; 2] = [Duty::ReportBreach, Duty::TellPersons];
/// What it demands besides where a system is concerned.
const INCIDENT_DUTIES: [Duty; 3] = [Duty::ReportIncident, Duty::ContainIncident, Duty::FinalReport];

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

    /// What laws demand of it. Data that is kept too long is no incident of a system.
    pub fn duties(self) -> impl Iterator<Item = Duty> {
        let of_systems = if self == Self::UnansweredDeletion { &[][..] } else { &INCIDENT_DUTIES };
        DUTIES.into_iter().chain(of_systems.iter().copied())
    }

    /// Whether the machine sees it by itself and opens it.
    pub fn is_seen_by_machine(self) -> bool {
        matches!(self, Self::Counters | Self::UnansweredDeletion)
    }
}

impl ClockStanding {
    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Excused => "excused",
            Self::Late => "late",
            Self::Met => "met",
            Self::MetLate => "met_late",
            Self::Running => "running",
        }
    }
}

impl LegalClock {
    /// How it stands at `now`. Nobody writes it down.
    pub fn standing(&self, now: Time) -> ClockStanding {
        match &self.answer {
            None if self.due_at <= now => ClockStanding::Late,
            None => ClockStanding::Running,
            Some(ClockAnswer { proof: None, .. }) => ClockStanding::Excused,
            Some(answer) if answer.at <= self.due_at => ClockStanding::Met,
            Some(_) => ClockStanding::MetLate,
        }
    }

    /// Whether it is the same demand, whatever was answered.
    pub fn is_same(&self, other: &Self) -> bool {
        self.law == other.law && self.duty == other.duty
    }
}

impl Breach {
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
        let cause = draft.word("cause", &BreachCause::WORDS, "Say how it came about.");
        let title = draft.text("title", 120, "Give it a title in both languages.");
        let facts = draft.text("facts", 2_000, "Say what happened, without naming persons.");
        let first_signal_at = draft.time("first_signal_at", "Say when there was the first sign of it.");
        let aware_at = draft.time("aware_at", "Say when the body learned of it.");
        let from = draft.time("from", "Say from when data was concerned.");
        let until = draft.optional_parse("until", "Say until when, or leave it out while it goes on.");
        let mandates = draft.optional_parses("mandates", "List the mandates, as `mdt_library-card`.");
        let services = draft.optional_parses("services", "List the services, as `svc_library`.");
        let blocks = draft.optional_parses("blocks", "List the blocks, as `blk_name`, or leave them out for all.");
        let contract = draft.optional_parse("contract", "Name the contract of the vendor, as `ctr_cloud`.");
        let incident = draft.optional_parse("incident", "Name the incident of the counters.");
        let unreadable = draft.optional_text("unreadable", 600);
        let measures = draft.optional_text("measures", 2_000);
        let advice = draft.optional_text("advice", 2_000);
        let clocks = draft.optional_objects("clocks", clock);
        let told = draft.optional_object("told", told);
        let lessons = draft.optional_text("lessons", 2_000);
        let closed_at = draft.optional_parse("closed_at", "Say when it was closed, or leave it out.");
        Some(Self {
            body: body?,
            cause: cause?,
            title: title?,
            facts: facts?,
            first_signal_at: first_signal_at?,
            aware_at: aware_at?,
            from: from?,
            until,
            mandates,
            services,
            blocks,
            contract,
            incident,
            unreadable,
            measures,
            advice,
            clocks,
            told,
            lessons,
            closed_at,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        if self.mandates.is_empty() && self.services.is_empty() {
            draft.note("mandates", "nothing", "Neither a mandate nor a service is concerned. Name one at least.".into());
        }
        if self.aware_at < self.first_signal_at {
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

    /// Whether it is over: closed by two people.
    pub fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }
}

impl Told {
    /// Whether nobody waits for a letter.
    pub fn is_all_in_pass(&self) -> bool {
        self.by_courier == Count::of(0)
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
    /// What the laws demand of a breach: those of the body that answers for it, of every controller and every service concerned, and of the
    /// vendor, as they stood when the body learned of it. The first that is due comes first.
    pub fn breach_clocks(&self, breach: &Breach) -> Vec<LegalClock> {
        let controllers = breach.mandates.iter().filter_map(|id| Some(&self.mandates.get(id)?.body.controller));
        let services = breach.services.iter().filter_map(|id| Some(&self.services.get(id)?.body.agency));
        let vendor = breach.contract.iter().filter_map(|id| Some(&self.contracts.get(id)?.body.vendor));
        let mut clocks = BTreeMap::new();
        for agency in std::iter::once(&breach.body).chain(controllers).chain(services).chain(vendor) {
            let law = self.law(agency, breach.aware_at);
            for duty in breach.cause.duties() {
                let own = law.pack().filter(|pack| pack.deadline(duty).is_some());
                let name = own.map_or(GENERIC, |pack| &pack.jurisdiction).to_owned();
                let deadline = law.deadline(duty);
                let due_at = breach.aware_at.plus(deadline.within());
                let clock = LegalClock { law: name.clone(), duty, article: deadline.article.clone(), due_at, answer: None };
                clocks.entry((name, duty)).or_insert(clock);
            }
        }
        let mut clocks: Vec<LegalClock> = clocks.into_values().collect();
        clocks.sort_by(|one, other| (one.due_at, &one.law, one.duty).cmp(&(other.due_at, &other.law, other.duty)));
        clocks
    }

    /// The same breach with every clock that its laws demand; what was demanded or answered before stays.
    pub fn with_clocks(&self, mut breach: Breach) -> Breach {
        for clock in self.breach_clocks(&breach) {
            if !breach.clocks.iter().any(|known| known.is_same(&clock)) {
                breach.clocks.push(clock);
            }
        }
        breach
    }

    /// The blocks of an event of a resident that a breach concerns, or nothing where it does not. What is said to be concerned bounds it, and
    /// what is not said bounds nothing.
    pub fn concerned<'a>(&self, breach: &Breach, event: &'a Event) -> Option<Vec<&'a (BlockId, Form)>> {
        let tells = matches!(event.kind, Kind::Consent | Kind::Conversion | Kind::Deposit | Kind::SignIn | Kind::Use);
        let is_then = breach.from <= event.at && breach.until.is_none_or(|until| event.at <= until);
        if !tells || !is_then {
            return None;
        }
        let mandate = event.mandate.and_then(|hash| self.revision(&hash)).map(|(mandate, _)| mandate.id.as_str());
        let is_under = |id: &MandateId| mandate == Some(id.as_str());
        if !breach.mandates.is_empty() && !breach.mandates.iter().any(is_under) {
            return None;
        }
        // What was lent waits for every service of its mandate; all else went to one.
        let services = [event.service.as_ref().map(ServiceId::as_str), event.detail.as_deref()];
        let went_to = |id: &ServiceId| services.contains(&Some(id.as_str()));
        let is_lent = event.kind == Kind::Consent && !breach.mandates.is_empty();
        if !breach.services.is_empty() && !is_lent && !breach.services.iter().any(went_to) {
            return None;
        }
        let blocks: Vec<_> =
            event.blocks.iter().filter(|(block, _)| breach.blocks.is_empty() || breach.blocks.contains(block)).collect();
        // Who lost a token of hers is concerned too, unless only certain blocks are.
        (!blocks.is_empty() || breach.blocks.is_empty()).then_some(blocks)
    }

    /// Breaches that are not closed, in the order in which they were opened.
    pub fn open_breaches(&self) -> Vec<&Entry<Breach>> {
        let mut open: Vec<_> = self.breaches.values().filter(|entry| !entry.body.is_closed()).collect();
        open.sort_by_key(|entry| entry.number);
        open
    }
}

fn clock(draft: &mut Draft<'_>) -> Option<LegalClock> {
    let law = draft.string("law", 40, "Name the jurisdiction of the pack.");
    let duty = draft.word("duty", Duty::WORDS, "Say what is demanded.");
    let article = draft.string("article", 120, "Name the article.");
    let due_at = draft.time("due_at", "Say until when.");
    let answer = draft.optional_object("answer", |answer| {
        let at = answer.time("at", "Say when it was done.");
        let proof = answer.optional_object("proof", document);
        let reason = answer.optional_text("reason", 600);
        let is_late = due_at.zip(at).is_some_and(|(due_at, at)| due_at < at);
        if reason.is_none() && (is_late || proof.is_none()) {
            let message = "It was late, or nothing shows that it was done. Give the proof, or the reason.";
            answer.note("reason", "missing", message.into());
        }
        Some(ClockAnswer { at: at?, proof, reason })
    });
    Some(LegalClock { law: law?, duty: duty?, article: article?, due_at: due_at?, answer })
}

fn told(draft: &mut Draft<'_>) -> Option<Told> {
    const REMEDY: &str = "Write 0, `1-9`, or a number from 10 on, as a text.";
    let at = draft.time("at", "Say when the last of them was told.");
    let residents: Option<Count> = draft.parse("residents", REMEDY);
    let by_courier: Option<Count> = draft.parse("by_courier", REMEDY);
    let blocks = draft.integer("blocks", 0, 1_000, "Give the number of blocks.");
    let words = draft.parse("words", "Give the hash of the revision that they read.");
    if residents.zip(by_courier).is_some_and(|(all, some)| some.least() > all.most()) {
        draft.note("by_courier", "too-many", "There are more of them than residents. Count them among the residents.".into());
    }
    Some(Told { at: at?, residents: residents?, by_courier: by_courier?, blocks: blocks?, words: words? })
}
