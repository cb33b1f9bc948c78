//! Sources: every gateway counts its uses without a gap, and what is missing is said in public while it is missing.

use serde_json::json;
use usufruct_core::Time;
use usufruct_core::id::{IncidentId, MandateId, ServiceId};
use usufruct_core::incident::{Fault, Incident};
use usufruct_core::register::{Entry, Register};
use usufruct_core::source::Source;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::tally::{Count, Day};
use usufruct_core::time::{DAY, SECOND};
use usufruct_store::db::Connection;
use usufruct_store::sources::{self, Standing};
use usufruct_store::tallies;

use crate::report::leaps;
use crate::{App, Error, OwnCaller, Publication};

/// How long a number may be missing before it is an incident: lines overtake each other on their way.
pub const GRACE: i64 = 20 * SECOND;
/// How long nothing may be heard from a source. It reports, or says up to which number it has come, twice in this time.
pub const SILENCE: i64 = 40 * SECOND;

/// A source whose record is incomplete, as a resident of whom it may hold uses is told.
#[derive(Clone, Debug)]
pub struct Incomplete {
    pub source: Source,
    pub mandate: MandateId,
    pub fault: Fault,
    pub since: Time,
}

impl App {
    /// A source says that it is there, and up to which number it has come under a mandate; `ends` when it reports no more. Answers up to
    /// which number everything is in the log.
    pub fn hear_source(&self, caller: impl Into<OwnCaller>, mandate: &MandateId, highest: u64, ends: bool) -> Result<u64, Error> {
        let (caller, register, now) = (caller.into(), self.register(), self.now());
        let number = reporting(&register, &caller.service, mandate)?;
        let service = register.services.get(&caller.service);
        if service.is_some_and(|service| service.body.is_numbered_by_pass(mandate)) {
            return Err(Error::refused(
                "The pass numbers the uses of this service under this mandate, so there is nothing to say.",
                "Leave it, or take the mandate out of `processing_log`.",
            ));
        }
        if highest > MOST {
            return Err(Error::refused("No source has come so far.", "Give the last number that you gave out."));
        }
        let source = Source::Service(caller.service.clone());
        self.db.transaction("hear source", move |tx| {
            caller.permit(tx, now)?;
            let standing = sources::find(tx, &source, number)?;
            if leaps(standing.as_ref(), highest) {
                return Err(Error::refused(
                    "The source cannot have come more than a million further since it was last heard.",
                    "Give the last number that you gave out; where it is right, say so in steps of a million.",
                ));
            }
            let mut standing = standing.unwrap_or_else(|| Standing::begin(source.clone(), number, now));
            standing.hear(highest, now);
            standing.is_ended = ends;
            sources::put(tx, &standing)?;
            Ok::<_, Error>(standing.received)
        })
    }

    /// Looks at all sources, opens an incident for each whose record is not complete, and closes those that are over. Answers how many
    /// were opened or closed.
    pub fn run_sources(&self) -> Result<usize, Error> {
        let (register, now) = (self.register(), self.now());
        let standings = self.db.snapshot(|conn| {
            let all = sources::all(conn)?;
            let look = |standing: Standing| {
                let missing = standing.highest - standing.received;
                let ahead = if missing > 0 { sources::ahead(conn, &standing.source, standing.mandate)? } else { 0 };
                let is_miscounted = standing.source == Source::Pass && is_miscounted(conn, &standing, now)?;
                Ok::<_, Error>((standing, missing.saturating_sub(ahead), is_miscounted))
            };
            all.into_iter().map(look).collect::<Result<Vec<_>, Error>>()
        })?;
        let mut statements = Vec::new();
        for (standing, missing, is_miscounted) in standings {
            let Some((id, entry)) = register.mandates.iter().find(|(_, entry)| entry.number == standing.mandate) else {
                continue;
            };
            let is_over = entry.state.is_over();
            let fault = if is_miscounted { Some((Fault::Miscounted, now)) } else { fault(&standing, is_over, now) };
            let open = register.open_incident(&standing.source, id);
            match (fault, open) {
                (Some((fault, since)), None) => {
                    let missing = Count::of(missing);
                    let incident =
                        Incident { source: standing.source, mandate: id.clone(), fault, since, missing, ended_at: None };
                    statements.push(self.say_incident(IncidentId::fresh(now, self.rng()).as_str(), &incident, now)?);
                }
                (None, Some(open)) => {
                    let over = Incident { ended_at: Some(now), ..open.body.clone() };
                    statements.push(self.say_incident(&open.id, &over, now)?);
                }
                _ => {}
            }
        }
        let count = statements.len();
        if count > 0 {
            self.publish(&Publication { statements })?;
        }
        Ok(count)
    }

    /// The sources whose record of a resident may be incomplete now: those with an open incident under a mandate that she has, or had, a
    /// grant for.
    pub fn incomplete(&self, resident: u64) -> Result<Vec<Incomplete>, Error> {
        let register = self.register();
        let open: Vec<&Entry<Incident>> = register.incidents.values().filter(|entry| entry.body.ended_at.is_none()).collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let grants = self.grants(resident)?;
        let is_hers = |id: &MandateId| {
            let number = register.mandates.get(id).map(|entry| entry.number);
            number.is_some_and(|number| grants.iter().any(|stored| stored.mandate == number && stored.grant.was_given()))
        };
        let hers = open.into_iter().map(|entry| &entry.body).filter(|body| is_hers(&body.mandate));
        Ok(hers
            .map(|body| Incomplete {
                source: body.source.clone(),
                mandate: body.mandate.clone(),
                fault: body.fault,
                since: body.since,
            })
            .collect())
    }

    fn say_incident(&self, id: &str, incident: &Incident, at: Time) -> Result<Statement, Error> {
        let body = json!(incident);
        let mut statement = self.statement(StatementKind::Incident, id, self.automation.agency(), body, at);
        statement.approve(&self.automation)?;
        Ok(statement)
    }
}

/// The number of a mandate under which a service may report.
pub(crate) fn reporting(register: &Register, service: &ServiceId, mandate: &MandateId) -> Result<u64, Error> {
    let known = register.services.get(service).ok_or(Error::Unknown { what: "service" })?;
    if !known.body.mandates.contains(mandate) {
        return Err(Error::Unknown { what: "mandate of this service" });
    }
    let entry = register.mandates.get(mandate).ok_or(Error::Unknown { what: "mandate" })?;
    if entry.body.visibility.delay().is_some() {
        // The days of a delay are counted from the use, which a report is later than.
        return Err(Error::refused(
            "Nothing is reported afterwards under a covert mandate.",
            "Ask the pass for the data, so that the line is in the log before it leaves.",
        ));
    }
    Ok(entry.number)
}

fn fault(standing: &Standing, is_over: bool, now: Time) -> Option<(Fault, Time)> {
    if let Some(since) = standing.behind_since {
        return (since.plus(GRACE) <= now).then_some((Fault::Missing, since));
    }
    let is_awaited = standing.source != Source::Pass && !standing.is_ended && !is_over;
    (is_awaited && standing.heard_at.plus(SILENCE) <= now).then_some((Fault::Silent, standing.heard_at))
}

/// Whether what was counted today or yesterday is not what the pass's own numbers say: somebody wrote into the tables.
fn is_miscounted(conn: &mut dyn Connection, standing: &Standing, now: Time) -> Result<bool, Error> {
    for at in [now, now.plus(-DAY)] {
        let Some(day) = Day::of(at).map(Day::number) else { continue };
        let spans = tallies::spans(conn, standing.mandate, day)?;
        let lines: u64 = spans.iter().map(|span| span.span.lines).sum();
        let is_run = spans
            .iter()
            .filter(|span| span.source == Source::Pass)
            .all(|span| span.span.last <= standing.received && span.span.last - span.span.first + 1 == span.span.lines);
        let counts = tallies::counts(conn, standing.mandate, day)?;
        let counted = counts.iter().filter(|(what, _)| what == "use" || what.starts_with("refusal:"));
        if !is_run || counted.map(|(_, count)| count).sum::<u64>() != lines {
            return Ok(true);
        }
    }
    Ok(false)
}

/// More than any source will ever give out.
pub(crate) const MOST: u64 = 1 << 53;
