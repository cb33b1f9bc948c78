//! Incidents: opened and closed by the operator's machine, one at a time for each source under a mandate.

use super::Check;
use crate::id::{IncidentId, ServiceId};
use crate::incident::Incident;
use crate::register::Content;
use crate::source::Source;

pub(super) fn incident(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    check.operator_speaks(1);
    let body = check.keep(Incident::read(&statement.body))?;
    let id: IncidentId = statement.id.parse().ok()?;
    if body.since > statement.at || body.ended_at.is_some_and(|at| at > statement.at) {
        check.note("since", "future", "A time lies in the future. Say what has happened.".into());
    }
    if !register.mandates.contains_key(&body.mandate) {
        check.unknown("mandate", &body.mandate, "mandate");
    }
    if let Source::Service(service) = &body.source {
        known(check, service);
    }
    match register.incidents.get(&id) {
        None => {
            if body.ended_at.is_some() {
                check.note("ended_at", "not-open", "The incident was not said to have begun. Open it first.".into());
            }
            if register.open_incident(&body.source, &body.mandate).is_some() {
                check.note("source", "open", "There is an open incident of this source already. Close it first.".into());
            }
        }
        Some(old) => {
            let is_same = Incident { ended_at: None, ..body.clone() } == Incident { ended_at: None, ..old.body.clone() };
            if !is_same || old.body.ended_at.is_some() || body.ended_at.is_none() {
                let message = "An incident is not changed; its one revision says that it is over. Add `ended_at` only.";
                check.note("rev", "final", message.into());
            }
        }
    }
    Some(Content::Incident(id, body))
}

fn known(check: &mut Check<'_>, service: &ServiceId) {
    if !check.register.services.contains_key(service) {
        check.unknown("source", service, "service");
    }
}
