//! The decision about pseudonyms: may a service learn by which pseudonyms another one knows its people?

use super::{Clause, Decision, Sheet, granted, in_force, ordered, receiving, signed_in, without_resident};
use crate::Time;
use crate::grant::Grant;
use crate::id::{MandateId, ServiceId};
use crate::mandate::Operation;
use crate::means::SignIn;
use crate::register::Register;

/// What a service asks for about pseudonyms that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionRequest {
    /// The service that asks; the pseudonyms are its own.
    pub from: ServiceId,
    /// The service whose pseudonyms it wants to learn.
    pub to: ServiceId,
    pub mandate: MandateId,
    /// One of the mandate's reason codes.
    pub reason: String,
    /// How many residents the request names.
    pub subjects: i64,
    /// The sign-in behind the token that she gave the service; `None` where the service asks with its own.
    pub sign_in: Option<SignIn>,
    /// Whether the matter concerns somebody else, so that it is closed to her for a time.
    pub third_party: bool,
}

/// Decides about one resident. `grant` is what the store holds for her under the mandate. No data leaves, so blocks and
/// forms have no say; all else holds as for a use, for both services.
pub fn decide_conversion(register: &Register, request: &ConversionRequest, grant: Option<&Grant>, now: Time) -> Decision {
    weigh(register, request, grant, now).decision()
}

/// What can be said before any resident is known: everything but the grant. A whole batch is refused by it.
pub fn decide_conversion_without_resident(register: &Register, request: &ConversionRequest, now: Time) -> Decision {
    without_resident(register, &request.mandate, weigh(register, request, None, now), now)
}

fn weigh(register: &Register, request: &ConversionRequest, grant: Option<&Grant>, now: Time) -> Sheet {
    let grant = grant.filter(|grant| grant.was_given());
    let mut sheet = Sheet { held: Vec::with_capacity(19), broken: Vec::new() };
    let mandate = register.mandates.get(&request.mandate);
    let services = register.services.get(&request.from).zip(register.services.get(&request.to));
    let Some((mandate, (from, to))) = mandate.zip(services) else {
        sheet.rule(Clause::Mandate, mandate.is_some());
        sheet.rule(Clause::Service, services.is_some());
        return sheet;
    };
    in_force(mandate, &[from, to], grant, now, &mut sheet);
    ordered(register, &[], mandate, &[from, to], now, &mut sheet);
    sheet.rule(Clause::Operation, mandate.body.does(&[Operation::Match]));
    sheet.rule(Clause::Conversion, mandate.body.conversion(&request.from, &request.to).is_some());
    // A vendor acts for the body that commissioned it, so between the two there is a contract and no agreement.
    let is_one_body = register.principal(from, mandate) == register.principal(to, mandate);
    sheet.rule(Clause::Agreement, is_one_body || register.agreement(from, to, mandate, now).is_some());
    receiving(register, &[], mandate, from, now, &mut sheet);
    receiving(register, &[], mandate, to, now, &mut sheet);
    sheet.rule(Clause::Reason, mandate.body.reason(&request.reason).is_some());
    sheet.rule(Clause::ThirdParty, !request.third_party || mandate.body.third_party.is_some());
    sheet.rule(Clause::BulkLimit, (1..=mandate.body.bulk_limit).contains(&request.subjects));
    granted(register, &[], mandate, grant, now, &mut sheet);
    let wanted = mandate.body.asked_sign_in().and(from.body.asked_sign_in());
    signed_in(wanted, request.sign_in, grant, now, &mut sheet);
    sheet
}
