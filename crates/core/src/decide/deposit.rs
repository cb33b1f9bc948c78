//! The decision about deposits: may a service put something about a resident into the pass?

use super::{Decision, Doing, Request, Sheet, without_resident};
use crate::Time;
use crate::grant::Grant;
use crate::register::Register;

/// Decides about one resident. `grant` is what the store holds for her under the mandate. All holds as for a use of the same
/// blocks, and the mandate has to say `deposit`.
pub fn decide_deposit(register: &Register, request: &Request, grant: Option<&Grant>, now: Time) -> Decision {
    weigh(register, request, grant, now).decision()
}

/// What can be said before any resident is known: everything but the grant.
pub fn decide_deposit_without_resident(register: &Register, request: &Request, now: Time) -> Decision {
    without_resident(register, &request.mandate, weigh(register, request, None, now), now)
}

fn weigh(register: &Register, request: &Request, grant: Option<&Grant>, now: Time) -> Sheet {
    super::weigh(register, request, grant, Doing::Deposit, now)
}
