//! What laws and contracts demand of a breach by when, and what shows that it was done.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Breach, BreachCause};
use crate::document::{Document, document};
use crate::draft::Draft;
use crate::id::AgencyId;
use crate::lawpack::{Duty, GENERIC, Law};
use crate::register::{Entry, Register};
use crate::time::HOUR;
use crate::{Text, Time};

/// What one law or one contract demands by when, and what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalClock {
    /// Jurisdiction of the pack that demands it, or the id of the contract.
    pub law: String,
    pub duty: Duty,
    pub article: String,
    pub due_at: Time,
    /// The vendor who owes it under its contract. Without one, the body that answers for the breach does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owed_by: Option<AgencyId>,
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
    /// What laws demand of it. Data that is kept too long is no incident of a system.
    pub fn duties(self) -> impl Iterator<Item = Duty> {
        let of_systems = if self == Self::UnansweredDeletion { &[][..] } else { &INCIDENT_DUTIES };
        DUTIES.into_iter().chain(of_systems.iter().copied())
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

    /// Whether another level of the breach gives it another day. What was answered stands, and what has run out at `now` is not put off.
    pub fn moves_with_level(&self, now: Time) -> bool {
        self.owed_by.is_none() && self.standing(now) == ClockStanding::Running
    }
}

impl Register {
    /// What is demanded of a breach: by the laws of the body that answers for it, of every controller and every service concerned, and of the
    /// vendor, as they stood when the body learned of it; and by the contract of the vendor, from the first sign on. The first that is due comes
    /// first. A suspicion has only the clocks of the contract, a near miss none.
    pub fn breach_clocks(&self, breach: &Breach) -> Vec<LegalClock> {
        let mut clocks = BTreeMap::new();
        for (law, aware_at) in self.laws_of(breach) {
            for duty in breach.cause.duties() {
                let own = law.pack().filter(|pack| pack.deadline(duty).is_some());
                let name = own.map_or(GENERIC, |pack| &pack.jurisdiction).to_owned();
                let deadline = law.deadline_at(duty, breach.severity);
                let due_at = aware_at.plus(deadline.within());
                let article = deadline.article.clone();
                let clock = LegalClock { law: name.clone(), duty, article, due_at, owed_by: None, answer: None };
                clocks.entry((name, duty)).or_insert(clock);
            }
        }
        let mut clocks: Vec<LegalClock> = clocks.into_values().chain(self.vendor_clocks(breach)).collect();
        clocks.sort_by(|one, other| (one.due_at, &one.law, one.duty).cmp(&(other.due_at, &other.law, other.duty)));
        clocks
    }

    /// The same breach with every clock that is demanded of it; what was demanded or answered before stays, but for what another level than that
    /// of the revision before, `old`, moves at `now`.
    pub fn with_clocks(&self, mut breach: Breach, old: Option<&Breach>, now: Time) -> Breach {
        let has_other_level = old.is_some_and(|old| old.severity != breach.severity);
        for clock in self.breach_clocks(&breach) {
            let moves = has_other_level && self.has_levels(&breach, clock.duty);
            match breach.clocks.iter_mut().find(|known| known.is_same(&clock)) {
                None => breach.clocks.push(clock),
                Some(known) if moves && known.moves_with_level(now) => {
                    (known.due_at, known.article) = (clock.due_at, clock.article);
                }
                Some(_) => {}
            }
        }
        breach
    }

    /// Whether a law of the breach gives a duty another length for another level.
    pub(crate) fn has_levels(&self, breach: &Breach, duty: Duty) -> bool {
        self.laws_of(breach).any(|(law, _)| law.has_levels(duty))
    }

    /// Until when what is recorded of a closed breach is kept at least: by the law, of all that apply, that asks for the longest.
    pub fn breach_records_until(&self, entry: &Entry<Breach>) -> Option<Time> {
        let closed_at = entry.body.closed_at?;
        let laws = self.agencies_of(&entry.body).map(|agency| self.law(agency, closed_at));
        laws.map(|law| closed_at.plus(law.within(Duty::KeepBreachRecords))).max()
    }

    /// The laws that apply, and when the body learned of it. None while nobody knows that data is concerned.
    fn laws_of<'a>(&'a self, breach: &'a Breach) -> impl Iterator<Item = (Law<'a>, Time)> {
        breach.aware_at.into_iter().flat_map(move |at| self.agencies_of(breach).map(move |agency| (self.law(agency, at), at)))
    }

    /// The body, every controller and every service concerned, and the vendor.
    fn agencies_of<'a>(&'a self, breach: &'a Breach) -> impl Iterator<Item = &'a AgencyId> {
        let controllers = breach.mandates.iter().filter_map(|id| Some(&self.mandates.get(id)?.body.controller));
        let services = breach.services.iter().filter_map(|id| Some(&self.services.get(id)?.body.agency));
        let vendor = breach.contract.iter().filter_map(|id| Some(&self.contracts.get(id)?.body.vendor));
        std::iter::once(&breach.body).chain(controllers).chain(services).chain(vendor)
    }

    /// What the vendor owes under its contract from the first sign on: a first call, and a report. That it has not said that it deleted is
    /// itself the breach, of which it need not tell anybody.
    fn vendor_clocks(&self, breach: &Breach) -> Vec<LegalClock> {
        let is_asked = !breach.is_near_miss() && breach.cause != BreachCause::UnansweredDeletion;
        let contract = breach.contract.as_ref().filter(|_| is_asked).and_then(|id| self.contracts.get(id));
        let Some(contract) = contract else { return Vec::new() };
        let hours = [
            (Duty::VendorCall, "breach_first_ping_hours", contract.body.breach_first_ping_hours),
            (Duty::VendorReport, "breach_report_hours", contract.body.breach_report_hours),
        ];
        hours
            .map(|(duty, article, hours)| LegalClock {
                law: contract.id.clone(),
                duty,
                article: article.to_owned(),
                due_at: breach.first_signal_at.plus(hours * HOUR),
                owed_by: Some(contract.body.vendor.clone()),
                answer: None,
            })
            .into()
    }
}

/// Reads a clock of a breach.
pub(super) fn clock(draft: &mut Draft<'_>) -> Option<LegalClock> {
    let law = draft.string("law", 80, "Name the jurisdiction of the pack, or the contract.");
    let duty = draft.word("duty", Duty::WORDS, "Say what is demanded.");
    let article = draft.string("article", 120, "Name the article.");
    let due_at = draft.time("due_at", "Say until when.");
    let owed_by = draft.optional_parse("owed_by", "Name the vendor who owes it, or leave it out.");
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
    Some(LegalClock { law: law?, duty: duty?, article: article?, due_at: due_at?, owed_by, answer })
}
