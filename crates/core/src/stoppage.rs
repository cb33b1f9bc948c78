//! Stoppage: that the burst brake has stopped somebody, said in public. It binds until the oversight body releases it, whatever the rows
//! of the database say.

use serde::Serialize;
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::{AgencyId, MandateId};
use crate::order::Target;
use crate::register::{Entry, Register};
use crate::tally::Day;
use crate::{Digest, Time};

/// Whom the brake has stopped: a mark that names nobody, and for which body and reason no decision is taken any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stoppage {
    /// [`crate::brake::Stratum::mark`] of what is stopped.
    pub mark: Digest,
    /// The body for which was decided.
    pub body: AgencyId,
    /// What was decided, as `mdt_library-card lending` or `counter card`.
    pub reason: String,
    /// The day on which the count was too many.
    pub day: Day,
}

impl Stoppage {
    /// Reads a stoppage, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let mark = draft.parse("mark", "Give the mark of what the brake has stopped.");
        let body = draft.parse("body", "Name the body for which was decided.");
        let reason = draft.string("reason", 120, "Say what was decided, as `mdt_library-card lending`.");
        let day = draft.parse("day", "Write the day as `2026-11-20`.");
        let stoppage = (|| Some(Self { mark: mark?, body: body?, reason: reason?, day: day? }))();
        let problems = draft.finish();
        match stoppage {
            Some(stoppage) if problems.is_empty() => Ok(stoppage),
            _ => Err(problems),
        }
    }

    /// The mandate under which was decided; none of what clerks do at the counter.
    pub fn mandate(&self) -> Option<MandateId> {
        self.reason.split(' ').next()?.parse().ok()
    }

    /// Whether an order about `target` reaches it: the mandate under which was decided, or the body for which.
    pub fn is_about(&self, target: &Target) -> bool {
        self.body.as_str() == target.as_str() || self.reason.split(' ').next() == Some(target.as_str())
    }
}

impl Register {
    /// The stoppage of this mark that binds at `now`: its last one, unless an order that was given after it has released it.
    pub fn stoppage(&self, mark: &Digest, now: Time) -> Option<&Entry<Stoppage>> {
        let stoppage = self.stoppages.get(self.stopped.get(mark)?)?;
        let releases = self.releases.get(mark).map_or(&[][..], Vec::as_slice);
        let is_released = releases.iter().filter_map(|id| Some((id, self.orders.get(id)?))).any(|(id, order)| {
            let binds_from = order.effective_at();
            order.number > stoppage.number
                && stoppage.body.is_about(&order.body.target)
                && binds_from <= now
                && self.lifted_at(id).is_none_or(|at| binds_from < at)
        });
        (!is_released).then_some(stoppage)
    }

    /// All that is stopped at `now`, in the order of the marks.
    pub fn binding_stoppages(&self, now: Time) -> impl Iterator<Item = &Entry<Stoppage>> {
        self.stopped.keys().filter_map(move |mark| self.stoppage(mark, now))
    }
}
