//! Contract: between a public body and a vendor that can show what it is able to do.

use super::Check;
use crate::agency::AgencyKind;
use crate::contract::Contract;
use crate::id::ContractId;
use crate::lifecycle::State;
use crate::register::Content;

pub(super) fn contract(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Contract::read(&statement.body))?;
    check.speaker(&body.controller, 2);
    match register.agencies.get(&body.vendor) {
        None => check.unknown("vendor", &body.vendor, "agency"),
        Some(vendor) if vendor.body.kind != AgencyKind::Vendor => {
            check.note("vendor", "not-a-vendor", "The named body is no vendor. Register it as one first.".into());
        }
        Some(_) => {}
    }
    if body.capability_evidence.iter().all(|evidence| evidence.expires <= statement.at) {
        check.note(
            "capability_evidence",
            "expired",
            "All evidence of the vendor's capability has ended. Attach evidence that is still valid.".into(),
        );
    }
    for (i, sub) in body.subprocessors.iter().enumerate() {
        if !register.agencies.contains_key(&sub.agency) {
            check.unknown(&format!("subprocessors[{i}].agency"), &sub.agency, "agency");
        }
    }
    let id: ContractId = statement.id.parse().ok()?;
    if let Some(old) = register.contracts.get(&id) {
        check.same_owner("controller", &old.body.controller, &body.controller);
        // A contract that is ending still owes the deletion of what the vendor holds.
        if old.state == State::Ending || old.state.is_over() {
            check.note("id", "over", "This contract has ended. Sign a new one.".into());
        }
    }
    Some(Content::Contract(id, body))
}
