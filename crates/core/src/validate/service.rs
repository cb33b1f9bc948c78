//! Service: in a pseudonym domain of its own body.

use super::Check;
use crate::id::ServiceId;
use crate::lifecycle::State;
use crate::register::{Content, Entry};
use crate::service::Service;

pub(super) fn service(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Service::read(&statement.body))?;
    check.speaker(&body.agency, 2);
    let id: ServiceId = statement.id.parse().ok()?;
    if register.services.values().any(|other| other.body.sector == body.sector && other.body.agency != body.agency) {
        check.note("sector", "taken", "Another body works in this pseudonym domain. Choose one of your own.".into());
    }
    if let Some(old) = register.services.get(&id) {
        check.same_owner("agency", &old.body.agency, &body.agency);
        if old.body.sector != body.sector {
            check.note("sector", "moved", "A service cannot move to another pseudonym domain. Register a new service.".into());
        }
        if old.state.is_over() {
            check.note("id", "over", "This service has closed. Register a new one.".into());
        }
    }
    sector(check, &id, &body);
    Some(Content::Service(id, body))
}

/// A pseudonym domain has one mode while somebody knows people by its pseudonyms, and it ends for good with its last service.
fn sector(check: &mut Check<'_>, id: &ServiceId, body: &Service) {
    let register = check.register;
    let beside: Vec<&Entry<Service>> = register.services_beside(body).collect();
    if !register.services.contains_key(id) && !beside.is_empty() && beside.iter().all(|other| other.state.is_over()) {
        check.note(
            "sector",
            "ended",
            "This pseudonym domain ended with its last service, and its key is gone. Choose another name.".into(),
        );
    }
    let is_settled = |entry: &&Entry<Service>| entry.id != id.as_str() || entry.state != State::Draft;
    if beside.into_iter().filter(is_settled).any(|entry| entry.body.pseudonym_mode != body.pseudonym_mode) {
        check.note(
            "pseudonym_mode",
            "settled",
            "This pseudonym domain has another mode, under which people are known already. Keep it, or choose another domain."
                .into(),
        );
    }
}
