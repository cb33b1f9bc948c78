//! Every mandate that is over must have ended in time, with a certificate, and what lives must have a key that the log knows, which that
//! certificate can be about.

use usufruct_core::Time;
use usufruct_core::key::KeyOf;
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::service::PseudonymMode;
use usufruct_core::time::{HOUR, MINUTE};

use super::finding::{Code, Finding};

/// What is overdue, missing or dated ahead in the register at this time.
pub fn judge(register: &Register, now: Time) -> Vec<Finding> {
    let late = |since: Time| now.micros() - since.micros() > GRACE;
    let mut findings = Vec::new();
    for (id, entry) in &register.mandates {
        let found = match entry.state {
            State::Published | State::Active | State::Suspended if late(entry.body.sunset_at) => {
                let day = entry.body.sunset_at.day();
                let message = format!("{id} should have ended on {day} and has not. Ask its controller why.");
                Finding::broken(Code::SunsetOverdue, message)
            }
            // A mandate that was dropped before it was public never had a key.
            State::Sunset | State::Revoked | State::Erasing
                if late(entry.since) && entry.history.iter().any(|step| had_key(step.to)) =>
            {
                let day = entry.since.day();
                let message = format!("{id} ended on {day}, but nothing says that its key is gone. Ask the operator why.");
                Finding::broken(Code::CertificateOverdue, message)
            }
            State::Erased if register.certificate(id).is_none() => {
                let message = format!("{id} counts as erased without a certificate. Ask the operator for it.");
                Finding::broken(Code::CertificateMissing, message)
            }
            _ => continue,
        };
        findings.push(found.at_leaf(entry.index).about(id.as_str()));
    }
    findings.extend(unpublished(register, now));
    if register.last_at() > now.plus(5 * MINUTE) {
        let message = format!("The last statement is dated {}, which is in the future. Check both clocks.", register.last_at());
        findings.push(Finding::broken(Code::ClockOff, message).about("statement"));
    }
    findings
}

/// Mandates and pseudonym domains that should have a published key and have none.
fn unpublished(register: &Register, now: Time) -> Vec<Finding> {
    let late = |since: Time| now.micros() - since.micros() > GRACE;
    let has_key = |of: KeyOf| register.living_keys(&of).iter().any(|key| key.body.month.is_none());
    let mut findings = Vec::new();
    for (id, entry) in register.mandates.iter().filter(|(_, entry)| entry.has_key()) {
        let since = entry.history.iter().find(|step| had_key(step.to)).map(|step| step.at);
        if since.is_some_and(late) && !has_key(KeyOf::Mandate(id.clone())) {
            let message =
                format!("{id} has no key that the log knows, so nothing could show that it is gone. Ask the operator for it.");
            findings.push(Finding::broken(Code::KeyUnpublished, message).at_leaf(entry.index).about(id.as_str()));
        }
    }
    for entry in register.services.values().filter(|entry| !entry.state.is_over()) {
        // Without its second keeper a domain has no key yet.
        let is_single = entry.body.pseudonym_mode == PseudonymMode::Single;
        let since = entry.history.first().map(|step| step.at);
        if is_single && since.is_some_and(late) && !has_key(KeyOf::Sector(entry.body.sector.clone())) {
            let id = &entry.id;
            let message = format!("The pseudonym domain of {id} has no key that the log knows. Ask the operator for it.");
            findings.push(Finding::broken(Code::KeyUnpublished, message).at_leaf(entry.index).about(id.as_str()));
        }
    }
    findings
}

/// Whether a mandate in this state has a key.
fn had_key(state: State) -> bool {
    matches!(state, State::Published | State::Active | State::Suspended)
}

/// How late an ending may be, in microseconds.
const GRACE: i64 = HOUR;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;
    use usufruct_app::House;
    use usufruct_core::hash::sha256;
    use usufruct_core::id::{AgencyId, KeyId};
    use usufruct_core::statement::{Statement, StatementKind};
    use usufruct_core::time::DAY;

    use super::*;
    use crate::chance::SystemRng;
    use crate::clock;
    use crate::demo::city::City;
    use crate::demo::load::{self, SamplePorts};
    use crate::demo::past::{self, Happening, Offices};
    use crate::failure::Failure;

    /// The register of the demo city as it would be if nobody had ever ended a mandate.
    fn endless(folder: &Path, now: Time) -> Result<Register, Failure> {
        let city = City::read(None, now)?;
        let house = House::open(folder)?;
        let offices = Offices::open(&city, &house, &SystemRng)?;
        let services = load::services(&city, &house, &SamplePorts { moved: Vec::new() })?;
        let mut register = Register::default();
        for (_, happening) in past::tell(&city, &offices, &house, &SystemRng, &services, now)? {
            if let Happening::Publish(statements) = happening {
                for statement in statements {
                    register.apply(&statement, 0).map_err(|problems| Failure::of(format!("{problems:?}")))?;
                }
            }
        }
        Ok(register)
    }

    /// The register once a key of this mandate is published.
    fn with_key(folder: &Path, register: &Register, mandate: &str, now: Time) -> Result<Register, Failure> {
        let operator: AgencyId = register.operator().and_then(|operator| operator.id.parse().ok()).ok_or_else(none)?;
        let machine = House::open(folder)?.signer(&operator, "automation", &SystemRng)?;
        let commitment = sha256(mandate.as_bytes());
        let body = json!({ "mandate": mandate, "commitment": commitment, "epoch": 0 });
        let (kind, id) = (StatementKind::Key, KeyId::of(&commitment).to_string());
        let mut statement = Statement { kind, id, rev: 1, prev: None, at: now, by: operator, body, approvals: vec![] };
        statement.approve(&machine).map_err(Failure::of)?;
        let mut register = register.clone();
        register.apply(&statement, 1_000).map_err(|problems| Failure::of(format!("{problems:?}")))?;
        Ok(register)
    }

    fn none() -> Failure {
        Failure::of("There is no operator.")
    }

    #[test]
    fn a_mandate_that_outlives_its_last_day_is_found() {
        let folder = std::env::temp_dir().join(format!("usufruct-endless-{}", std::process::id()));
        let now = clock::now();
        let register = endless(&folder, now).unwrap_or_else(|failure| panic!("{failure}"));
        let unpublished = |register: &Register, now| {
            let findings = judge(register, now).into_iter().filter(|finding| finding.code == Code::KeyUnpublished);
            findings.filter_map(|finding| finding.object).collect::<Vec<_>>()
        };
        let card = "mdt_library-card";
        assert!(unpublished(&register, now).contains(&card.to_owned()));
        let keyed = with_key(&folder, &register, card, now).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(unpublished(&keyed, now).len() + 1, unpublished(&register, now).len());
        assert!(!unpublished(&keyed, now).contains(&card.to_owned()));
        fs::remove_dir_all(&folder).unwrap();
        let overdue = |now| {
            let findings = judge(&register, now).into_iter().filter(|finding| finding.code == Code::SunsetOverdue);
            findings.filter_map(|finding| finding.object).collect::<Vec<_>>()
        };
        assert_eq!(overdue(now), ["mdt_itinerary-card"]);
        assert_eq!(overdue(now.plus(5_000 * DAY)).len(), register.mandates.len());
        // An hour of grace.
        let sunset = register.mandates.values().map(|entry| entry.body.sunset_at).min().unwrap();
        assert!(overdue(sunset.plus(HOUR)).is_empty());
        assert_eq!(overdue(sunset.plus(HOUR + 1)).len(), 1);
    }
}
