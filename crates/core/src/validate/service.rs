//! Service: in a pseudonym domain of its own body, and active only under mandates that name its body, for a vendor by contract.

use super::{Check, problem, unknown};
use crate::Time;
use crate::agency::AgencyKind;
use crate::draft::Problem;
use crate::id::ServiceId;
use crate::lifecycle::State;
use crate::mandate::Mandate;
use crate::register::{Content, Entry, Register};
use crate::service::{Profile, Service};
use crate::status::StatusChange;

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
        if old.state == State::Active {
            check.problems.extend(unfounded(register, &body, statement.at));
        }
    }
    for (i, id) in body.mandates.iter().enumerate() {
        if register.mandates.get(id).is_some_and(|entry| !names(&entry.body, &body)) {
            let message = format!("`{id}` names the body of this service neither as controller nor as recipient. Leave it out.");
            check.note(&format!("mandates[{i}]"), "not-a-recipient", message);
        }
    }
    sector(check, &id, &body);
    processing_log(check, &id, &body);
    Some(Content::Service(id, body))
}

/// What a service must stand on to become active.
pub(super) fn step(check: &mut Check<'_>, id: &ServiceId, change: &StatusChange, at: Time) {
    let register = check.register;
    let Some(entry) = register.services.get(id).filter(|_| change.to == State::Active) else { return };
    check.problems.extend(unfounded(register, &entry.body, at));
}

/// What is missing for an active service to be lawful. A draft may name mandates that are not written yet, because the conversions of a mandate
/// name services; an active service names only what is there to be read.
fn unfounded(register: &Register, service: &Service, at: Time) -> Vec<Problem> {
    let mut problems = Vec::new();
    let agency = &service.agency;
    let is_vendor = register.agencies.get(agency).is_none_or(|entry| entry.body.kind == AgencyKind::Vendor);
    if service.profile == Profile::Fapi2 && service.mandates.is_empty() {
        let message =
            "The service works under no mandate. Name one, or use the profile oidc if it signs residents in and nothing else.";
        problems.push(problem("mandates", "missing", message.into()));
    }
    for (i, id) in service.mandates.iter().enumerate() {
        let field = format!("mandates[{i}]");
        let Some(mandate) = register.mandates.get(id) else {
            problems.push(unknown(&field, id, "mandate"));
            continue;
        };
        let mut own = mandate.body.recipients.iter().filter(|recipient| recipient.agency == *agency);
        if !names(&mandate.body, service) {
            let message = format!("`{id}` names the body of this service neither as controller nor as recipient. Leave it out.");
            problems.push(problem(&field, "not-a-recipient", message));
        } else if is_vendor
            && !own.any(|recipient| {
                let contract = recipient.contract.as_ref().and_then(|contract| register.contracts.get(contract));
                contract.is_some_and(|contract| register.contract_covers(contract, agency, mandate, at))
            })
        {
            let message = format!("No active contract lets this vendor work under `{id}`. Sign and activate the contract first.");
            problems.push(problem(&field, "no-contract", message));
        }
    }
    if is_vendor
        && service.mandates.is_empty()
        && !register.contracts.values().any(|contract| register.contract_binds(contract, agency, at))
    {
        let message = "No public body has an active contract with this vendor. Sign and activate the contract first.";
        problems.push(problem("agency", "no-contract", message.into()));
    }
    problems
}

/// Lines of its own systems are read under mandates of its own, and a key of an exporter says of which service its lines are.
fn processing_log(check: &mut Check<'_>, id: &ServiceId, body: &Service) {
    let register = check.register;
    let Some(log) = &body.processing_log else { return };
    for (i, key) in log.exporters.iter().enumerate() {
        let holds = |other: &Entry<Service>| other.body.processing_log.as_ref().is_some_and(|log| log.exporters.contains(key));
        let is_twice = log.exporters.iter().filter(|other| *other == key).count() > 1;
        if is_twice || register.services.iter().any(|(other, entry)| other != id && holds(entry)) {
            let message = "This key is named already, so it would not say whose lines it sends. Make another one.";
            check.note(&format!("processing_log.exporters[{i}]"), "taken", message.into());
        }
    }
    for (i, activity) in log.activities.iter().enumerate() {
        let field = |name: &str| format!("processing_log.activities[{i}].{name}");
        if !body.mandates.contains(&activity.mandate) {
            let message =
                format!("The service does not work under `{}`. List it among its mandates, or leave it out.", activity.mandate);
            check.note(&field("mandate"), "not-listed", message);
        }
        let Some(mandate) = register.mandates.get(&activity.mandate).map(|entry| &entry.body) else { continue };
        if mandate.reason(&activity.reason).is_none() {
            let message = "This is no reason of the mandate. Give the code of one of them.";
            check.note(&field("reason"), "unknown", message.into());
        }
        if let Some(block) = activity.blocks.iter().find(|block| mandate.asked(block).is_none()) {
            check.note(
                &field("blocks"),
                "unknown",
                format!("The mandate does not ask for `{block}`. Name blocks of the mandate."),
            );
        }
    }
}

/// Whether the mandate gives the body of the service any part.
fn names(mandate: &Mandate, service: &Service) -> bool {
    mandate.controller == service.agency || mandate.recipients.iter().any(|recipient| recipient.agency == service.agency)
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
