//! Supervision of vendors: what a contract lets them do at a moment, when they have to be looked at next, and what they owe at the end.

use crate::Time;
use crate::agency::AgencyKind;
use crate::agreement::Agreement;
use crate::breach::{Breach, BreachCause};
use crate::check::{CheckKind, CheckOutcome, ContractCheck};
use crate::contract::{Contract, Subprocessor};
use crate::id::{AgencyId, BlockId, ContractId, MandateId, ServiceId};
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::mandate::Mandate;
use crate::register::{Entry, Register, Step};
use crate::service::Service;
use crate::time::DAY;

impl Entry<Contract> {
    /// When the vendor has to have deleted everything, once the contract has ended and until it is closed.
    pub fn deletion_due(&self) -> Option<Time> {
        let owes = matches!(self.state, State::Ending | State::Breached);
        Some(self.ended_at()?.plus(self.body.delete_within_days * DAY)).filter(|_| owes)
    }

    /// When the contract ended: the same whatever was said of it since.
    pub fn ended_at(&self) -> Option<Time> {
        self.history.iter().rfind(|step| step.to == State::Ending).map(|step| step.at)
    }
}

impl Register {
    /// Whether a contract lets `vendor` work for a public body at `at`. From the first moment after its last day, after the grace of a
    /// check that did not come, or of a grave breach at the vendor, it does not, whether or not anybody has said so.
    pub fn contract_binds(&self, contract: &Entry<Contract>, vendor: &AgencyId, at: Time) -> bool {
        contract.state == State::Active
            && contract.body.vendor == *vendor
            && contract.body.from <= at
            && at < contract.body.until
            && !self.is_unsupervised(contract, at)
            && self.breach_at_vendor(contract).is_none()
    }

    /// Whether it lets `vendor` work under `mandate` at `at`.
    pub fn contract_covers(&self, contract: &Entry<Contract>, vendor: &AgencyId, mandate: &Entry<Mandate>, at: Time) -> bool {
        self.contract_binds(contract, vendor, at)
            && contract.body.controller == mandate.body.controller
            && contract.body.mandates.iter().any(|id| id.as_str() == mandate.id)
    }

    /// Whether the vendor failed its last check, or one is overdue, or all evidence of what it is able to do has ended, beyond the grace that
    /// the law leaves.
    pub fn is_unsupervised(&self, contract: &Entry<Contract>, at: Time) -> bool {
        let law = self.law(&contract.body.controller, at);
        if !law.supervises() {
            return false;
        }
        let grace = law.within(Duty::CheckGrace);
        self.has_failed(contract)
            || self.check_due(contract).plus(grace) <= at
            || contract.body.proven_until().is_none_or(|until| until.plus(grace) <= at)
    }

    /// The breach for which a contract rests, by the law of the body that commissions: one at this vendor that is grave or came about by its
    /// own silence, until it is contained.
    pub fn breach_at_vendor(&self, contract: &Entry<Contract>) -> Option<&Entry<Breach>> {
        self.harmful().find(|entry| {
            let breach = &entry.body;
            let is_named = breach.contract.as_ref().is_some_and(|id| id.as_str() == contract.id);
            // Most breaches are about somebody else, and the law is looked up among all packs.
            if !is_named && !self.is_silent_under(breach, contract) {
                return false;
            }
            let rule = self.law(&contract.body.controller, entry.since).vendor_suspension();
            let is_grave = breach.severity.is_some_and(|level| rule.from_level <= level);
            rule.causes.contains(&breach.cause) || is_named && is_grave
        })
    }

    /// Whether a service of the vendor under this contract has not said in time that it deleted.
    fn is_silent_under(&self, breach: &Breach, contract: &Entry<Contract>) -> bool {
        let is_its = |id: &ServiceId| self.services.get(id).is_some_and(|entry| entry.body.agency == contract.body.vendor);
        breach.cause == BreachCause::UnansweredDeletion
            && breach.contract.is_none()
            && breach.mandates.iter().any(|id| contract.body.mandates.contains(id))
            && breach.services.iter().any(is_its)
    }

    /// Breaches that can still do harm and name this mandate, this service or this contract, or for which the contract rests.
    pub fn harmful_to<'a>(&'a self, object: &str) -> impl Iterator<Item = &'a Entry<Breach>> {
        let at_vendor = object.parse().ok().and_then(|id: ContractId| self.contracts.get(&id));
        let at_vendor = at_vendor.and_then(|contract| self.breach_at_vendor(contract)).map(|entry| entry.number);
        let object = object.to_owned();
        self.harmful().filter(move |entry| {
            let breach = &entry.body;
            let contract = breach.contract.as_ref().map(ContractId::as_str);
            let mandates = breach.mandates.iter().map(MandateId::as_str);
            let mut named = mandates.chain(breach.services.iter().map(ServiceId::as_str)).chain(contract);
            named.any(|id| id == object) || at_vendor == Some(entry.number)
        })
    }

    fn harmful(&self) -> impl Iterator<Item = &Entry<Breach>> {
        self.harmful.iter().filter_map(|id| self.breaches.get(id))
    }

    /// The checks of a contract, the oldest first.
    pub fn checks_of<'a>(&'a self, contract: &str) -> impl DoubleEndedIterator<Item = &'a Entry<ContractCheck>> + use<'a> {
        let ids = contract.parse().ok().and_then(|id: ContractId| self.looked_at.get(&id)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.checks.get(id))
    }

    /// When the vendor has to be looked at next: on the day that the contract gives, or one interval after the last time.
    pub fn check_due(&self, contract: &Entry<Contract>) -> Time {
        let last = self.last_check(contract).map(|check| check.body.done_at);
        last.map_or(contract.body.next_check_due, |done_at| done_at.plus(contract.body.check_every.micros()))
    }

    /// Whether the vendor failed when it was last looked at.
    pub fn has_failed(&self, contract: &Entry<Contract>) -> bool {
        self.last_check(contract).is_some_and(|check| check.body.outcome == CheckOutcome::Failed)
    }

    fn last_check(&self, contract: &Entry<Contract>) -> Option<&Entry<ContractCheck>> {
        self.checks_of(&contract.id).rfind(|check| check.body.kind == CheckKind::Periodic)
    }

    /// Whether a check of this kind was passed for the present revision.
    pub fn has_passed(&self, contract: &Entry<Contract>, kind: CheckKind) -> bool {
        let is_it = |check: &&Entry<ContractCheck>| check.body.kind == kind && check.body.revision == contract.hash;
        self.checks_of(&contract.id).rfind(is_it).is_some_and(|check| check.body.outcome == CheckOutcome::Passed)
    }

    /// Whether the vendor has said that all is deleted since the contract ended.
    pub fn is_deleted(&self, contract: &Entry<Contract>) -> bool {
        let is_word = |check: &&Entry<ContractCheck>| check.body.kind == CheckKind::Deletion;
        let last = self.checks_of(&contract.id).rfind(is_word);
        let is_later = |check: &Entry<ContractCheck>| contract.ended_at().is_some_and(|ended| check.since >= ended);
        last.is_some_and(|check| is_later(check) && check.body.outcome == CheckOutcome::Passed)
    }

    /// The contracts that have ended and whose vendor has not said in time that all is deleted: for those who look after breaches.
    pub fn undeleted_contracts(&self, now: Time) -> impl Iterator<Item = &Entry<Contract>> {
        self.contracts.values().filter(move |contract| self.is_undeleted(contract, now))
    }

    /// Whether a contract has ended and its vendor has not said in time that all is deleted.
    pub fn is_undeleted(&self, contract: &Entry<Contract>, now: Time) -> bool {
        contract.deletion_due().is_some_and(|due| due <= now) && !self.is_deleted(contract)
    }

    /// The sub-processors of a contract that work under it, or will: those against whom nobody has objected in time, nor against one whose
    /// vendor they are.
    pub fn subprocessors<'a>(&'a self, contract: &'a Entry<Contract>) -> impl Iterator<Item = &'a Subprocessor> {
        contract.body.subprocessors.iter().filter(|sub| self.objection_above(contract, sub).is_none())
    }

    /// The objection that keeps a sub-processor from work under a contract: against itself, or against one whose vendor it is.
    pub fn objection_above<'a>(&'a self, contract: &Entry<Contract>, sub: &Subprocessor) -> Option<&'a Entry<ContractCheck>> {
        contract.body.chain_of(sub).find_map(|sub| self.objection(&contract.id, &sub.agency))
    }

    /// The objection against a sub-processor of a contract. It stands for as long as the contract does.
    pub fn objection(&self, contract: &str, agency: &AgencyId) -> Option<&Entry<ContractCheck>> {
        self.checks_of(contract).find(|check| check.body.subprocessor.as_ref() == Some(agency))
    }

    /// In which state a contract is after its next revision: where it was if only sub-processors change and the law says how, and a draft
    /// otherwise.
    pub(crate) fn contract_state(&self, id: &ContractId, body: &Contract, at: Time) -> State {
        let is_running = |old: &&Entry<Contract>| matches!(old.state, State::Active | State::Suspended);
        let old = self.contracts.get(id).filter(is_running).filter(|_| self.law(&body.controller, at).supervises());
        old.filter(|old| old.body.differs_in_subprocessors_only(body)).map_or(State::Draft, |old| old.state)
    }

    /// Whether a service may be served at `at`: it is active, no order suspends it, and a vendor's stands on contracts that bind.
    pub fn is_served(&self, service: &Entry<Service>, at: Time) -> bool {
        let agency = &service.body.agency;
        if service.state != State::Active || self.is_suspended_by_order(&service.id, at) {
            return false;
        }
        if !self.is_vendor(agency) {
            return true;
        }
        if service.body.mandates.is_empty() {
            let mut contracts = self.contracts.values();
            return contracts
                .any(|contract| self.contract_binds(contract, agency, at) && !self.is_suspended_by_order(&contract.id, at));
        }
        // One of several mandates may be over while the others go on.
        let mut mandates = service.body.mandates.iter().filter_map(|id| self.mandates.get(id));
        mandates.any(|mandate| self.is_commissioned(agency, mandate, at))
    }

    /// Whether a service may be served under `mandate` at `at`: it is one of its mandates, in force and not suspended by an order, and a
    /// vendor has a contract for it.
    pub fn is_served_under(&self, service: &Entry<Service>, mandate: &Entry<Mandate>, at: Time) -> bool {
        let agency = &service.body.agency;
        self.is_served(service, at)
            && service.body.mandates.iter().any(|id| id.as_str() == mandate.id)
            && mandate.is_in_force(at)
            && !self.is_suspended_by_order(&mandate.id, at)
            && (!self.is_vendor(agency) || self.is_commissioned(agency, mandate, at))
    }

    /// Whether a contract lets `vendor` work under `mandate` at `at`, and no order suspends it.
    fn is_commissioned(&self, vendor: &AgencyId, mandate: &Entry<Mandate>, at: Time) -> bool {
        let mut own = mandate.body.recipients.iter().filter(|recipient| recipient.agency == *vendor);
        own.any(|recipient| {
            let contract = recipient.contract.as_ref().and_then(|contract| self.contracts.get(contract));
            contract.is_some_and(|contract| {
                self.contract_covers(contract, vendor, mandate, at) && !self.is_suspended_by_order(&contract.id, at)
            })
        })
    }

    /// Whether a body is a vendor. One that is not in the register counts as one.
    pub fn is_vendor(&self, agency: &AgencyId) -> bool {
        self.agencies.get(agency).is_none_or(|entry| entry.body.kind == AgencyKind::Vendor)
    }

    /// Whether a body is one of security or intelligence, which has no part in an emergency.
    pub fn is_security_body(&self, agency: &AgencyId) -> bool {
        self.agencies.get(agency).is_some_and(|entry| entry.body.kind == AgencyKind::SecurityOrIntelligence)
    }

    /// Whether the law asks for a reason in writing for each use under a mandate.
    pub fn asks_written_reason(&self, mandate: &Entry<Mandate>, at: Time) -> bool {
        let Some(exception) = &mandate.body.exception else { return false };
        let law = self.law(&mandate.body.controller, at);
        law.exceptions().iter().any(|listed| listed.code == exception.code && listed.reason_each_use)
    }

    /// The public body on whose behalf a service works under `mandate`: its own, or for a vendor the one that commissioned it.
    pub fn principal<'a>(&'a self, service: &'a Entry<Service>, mandate: &'a Entry<Mandate>) -> &'a AgencyId {
        let agency = &service.body.agency;
        if !self.is_vendor(agency) {
            return agency;
        }
        let recipient = mandate.body.recipients.iter().find(|recipient| recipient.agency == *agency);
        let contract = recipient.and_then(|recipient| self.contracts.get(recipient.contract.as_ref()?));
        contract.map_or(agency, |contract| &contract.body.controller)
    }

    /// The agreement by which `to` may learn the pseudonyms of `from` under `mandate` at `now`, where the two work for different bodies.
    pub fn agreement(
        &self,
        from: &Entry<Service>,
        to: &Entry<Service>,
        mandate: &Entry<Mandate>,
        now: Time,
    ) -> Option<&Entry<Agreement>> {
        let bodies = (self.principal(from, mandate), self.principal(to, mandate));
        let (one, other): (ServiceId, ServiceId) = (from.id.parse().ok()?, to.id.parse().ok()?);
        self.agreements_between(bodies, mandate, now).find(|agreement| {
            agreement.body.transfer(&one, &other).is_some() && self.orders_permit(&agreement.id, std::iter::empty(), now)
        })
    }

    /// Whether `to` may have a block under `mandate` at `now` that is the body `from`'s to give: it is its own, or an agreement between the two
    /// names the block.
    pub fn hands_over(&self, from: &AgencyId, to: &AgencyId, mandate: &Entry<Mandate>, block: &BlockId, now: Time) -> bool {
        from == to
            || self.agreements_between((from, to), mandate, now).any(|agreement| {
                agreement.body.blocks.contains(block) && self.orders_permit(&agreement.id, std::iter::once(block), now)
            })
    }

    /// The agreements in force at `now` between two bodies about a mandate.
    fn agreements_between<'a>(
        &'a self,
        (one, other): (&AgencyId, &AgencyId),
        mandate: &Entry<Mandate>,
        now: Time,
    ) -> impl Iterator<Item = &'a Entry<Agreement>> {
        let agreed = self.agreed.get(&mandate.id).into_iter().flatten().filter_map(|id| self.agreements.get(id));
        agreed.filter(move |agreement| {
            agreement.is_in_force(now)
                && agreement.body.parties.contains(one)
                && agreement.body.parties.contains(other)
                && self.is_as_agreed(agreement, mandate)
        })
    }

    /// Whether a mandate still is what the parties of an agreement agreed about: it serves no business, and no revision since the agreement
    /// was published asks people again. What they are asked about again, the parties have to publish again.
    pub fn is_as_agreed(&self, agreement: &Entry<Agreement>, mandate: &Entry<Mandate>) -> bool {
        let widened = self.widened.get(&mandate.id);
        let is_older = |step: &Step| widened.is_none_or(|index| *index < step.index);
        !mandate.body.purpose.commercial && agreement.publication().is_some_and(is_older)
    }

    /// Whether a service of `body` takes part in a transfer under `mandate` with a service of another body.
    pub fn is_joined(&self, service: &Entry<Service>, body: &AgencyId, mandate: &Entry<Mandate>) -> bool {
        mandate.body.conversions.iter().any(|way| {
            let beside = match service.id.as_str() {
                id if id == way.from.as_str() => &way.to,
                id if id == way.to.as_str() => &way.from,
                _ => return false,
            };
            self.services.get(beside).is_some_and(|beside| self.principal(beside, mandate) != body)
        })
    }
}
