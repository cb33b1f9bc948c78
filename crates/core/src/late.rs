//! Late: who owes something by a day that has passed. Nobody writes it down; it follows from the register and the clock.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::Time;
use crate::assessment::holding;
use crate::breach::ClockStanding;
use crate::check::{CheckKind, ContractCheck};
use crate::condition::EightConditions;
use crate::id::AgencyId;
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::register::Register;
use crate::time::{DAY, Month};

/// How long the machine may take to count a month that is over: one day. It counts at once, so that only a machine that stands still or is
/// kept from it takes so long.
const COUNTED_WITHIN: i64 = DAY;

/// Something that is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Late {
    pub duty: LateDuty,
    /// Id of what it is about.
    pub object: String,
    /// Who owes it.
    pub agency: AgencyId,
    pub due_at: Time,
}

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LateDuty {
    /// An office has not said that it has what residents filed.
    Acknowledgement,
    /// An office has not answered residents.
    Answer,
    /// An impact assessment was not looked at again.
    Assessment,
    /// A law or a contract demanded something of a breach.
    Breach(Duty),
    /// Nobody has looked at a camera for too long.
    CameraCheck,
    /// The operator has not counted the cases of a body for a month.
    CaseTally,
    /// The operator destroyed keys and can prove nothing of it.
    Certificate,
    /// A body has not looked at its vendor.
    Check,
    /// What people said of an emergency was not summed up.
    Consultation,
    /// An overseer has not decided about residents.
    Decision,
    /// A vendor has not said that it deleted everything.
    Deletion,
    /// Nobody has looked at whom an emergency burdens more than others.
    DisparityAudit,
    /// A vendor shows nothing valid of what it is able to do.
    Evidence,
    /// What a check of a vendor or an audit of a body found was not mended by its day.
    Finding,
    /// A body has not done what an impact assessment says against a risk.
    Measure,
    /// A body was not audited again.
    NextAudit,
    /// An order was not carried out.
    Order,
    /// An office has not done what residents were promised, or what was ordered for them.
    Remedy,
    /// An agreement was not looked at again.
    Review,
    /// A condition of an emergency was waived until a day, and is not met.
    Waiver,
}

impl LateDuty {
    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Acknowledgement => "acknowledgement",
            Self::Answer => "answer",
            Self::Assessment => "assessment",
            Self::Breach(duty) => duty.code(),
            Self::CameraCheck => "camera_check",
            Self::CaseTally => "case_tally",
            Self::Certificate => "certificate",
            Self::Check => "check",
            Self::Consultation => "consultation",
            Self::Decision => "decision",
            Self::Deletion => "deletion",
            Self::DisparityAudit => "disparity_audit",
            Self::Evidence => "evidence",
            Self::Finding => "finding",
            Self::Measure => "measure",
            Self::NextAudit => "next_audit",
            Self::Order => "order",
            Self::Remedy => "remedy",
            Self::Review => "review",
            Self::Waiver => "waiver",
        }
    }
}

impl Serialize for LateDuty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl Register {
    /// Everything that is overdue at `now`, the longest first.
    pub fn late(&self, now: Time) -> Vec<Late> {
        let mut late = Vec::new();
        for contract in self.contracts.values().filter(|contract| matches!(contract.state, State::Active | State::Suspended)) {
            let due_at = self.check_due(contract);
            if due_at <= now {
                let agency = contract.body.controller.clone();
                late.push(Late { duty: LateDuty::Check, object: contract.id.clone(), agency, due_at });
            }
        }
        for contract in self.undeleted_contracts(now) {
            let (object, agency) = (contract.id.clone(), contract.body.vendor.clone());
            late.extend(contract.deletion_due().map(|due_at| Late { duty: LateDuty::Deletion, object, agency, due_at }));
        }
        for (id, order) in self.overdue(now) {
            let agency = self.target_owner(&order.body.target).unwrap_or_else(|| order.body.body.clone());
            let object = order.id.clone();
            late.extend(self.due_at(id, order).map(|due_at| Late { duty: LateDuty::Order, object, agency, due_at }));
        }
        for agreement in self.agreements.values().filter(|agreement| agreement.is_review_late(now)) {
            let Some(agency) = agreement.body.parties.first().cloned() else { continue };
            let (object, due_at) = (agreement.id.clone(), agreement.body.review_due);
            late.push(Late { duty: LateDuty::Review, object, agency, due_at });
        }
        for mandate in self.mandates.values().filter(|mandate| matches!(mandate.state, State::Active | State::Suspended)) {
            let audit = mandate.body.emergency.as_ref().filter(|emergency| emergency.disparity_audit.is_none());
            let audit = audit.map(|emergency| (LateDuty::DisparityAudit, emergency.disparity_audit_due));
            let summary = mandate.body.summary_due().map(|due| (LateDuty::Consultation, due));
            for (duty, due_at) in audit.into_iter().chain(summary).filter(|(_, due)| *due <= now) {
                let agency = mandate.body.controller.clone();
                late.push(Late { duty, object: mandate.id.clone(), agency, due_at });
            }
        }
        self.late_audits(now, &mut late);
        for camera in self.cameras.values().filter(|camera| matches!(camera.state, State::Active | State::Withheld)) {
            let due_at = self.camera_check_due(&camera.body, now).filter(|due| *due <= now);
            let (object, agency) = (camera.id.clone(), camera.body.authority.clone());
            late.extend(due_at.map(|due_at| Late { duty: LateDuty::CameraCheck, object, agency, due_at }));
        }
        for entry in self.open_breaches() {
            let overdue = entry.body.clocks.iter().filter(|clock| clock.standing(now) == ClockStanding::Late);
            late.extend(overdue.map(|clock| Late {
                duty: LateDuty::Breach(clock.duty),
                object: entry.id.clone(),
                agency: clock.owed_by.clone().unwrap_or_else(|| entry.body.body.clone()),
                due_at: clock.due_at,
            }));
        }
        for (id, entry) in &self.uncertified {
            let Some(operator) = self.operator().and_then(|operator| operator.id.parse().ok()) else { continue };
            late.push(Late { duty: LateDuty::Certificate, object: id.to_string(), agency: operator, due_at: entry.since });
        }
        self.late_case_tallies(now, &mut late);
        self.late_vendors(now, &mut late);
        self.late_mandates(now, &mut late);
        late.sort_by(|a, b| (a.due_at, a.duty, &a.object).cmp(&(b.due_at, b.duty, &b.object)));
        late
    }

    /// The month in which each body began to have a mandate that is in force. From then on its cases are counted, whether there are any or not.
    pub fn cases_begin(&self) -> BTreeMap<&AgencyId, Month> {
        let mut begins: BTreeMap<&AgencyId, Month> = BTreeMap::new();
        for mandate in self.mandates.values().filter(|mandate| matches!(mandate.state, State::Active | State::Suspended)) {
            if let Some(began) = mandate.history.iter().find(|step| step.to == State::Active) {
                let month = Month::of(began.at);
                let first = begins.entry(&mandate.body.controller).or_insert(month);
                *first = month.min(*first);
            }
        }
        begins
    }

    /// The months whose cases nobody has counted though they are over for longer than the machine may take, in order: of bodies that were counted
    /// once, and of those that never were.
    pub fn uncounted_months(&self, now: Time) -> BTreeMap<AgencyId, Vec<Month>> {
        let mut next: BTreeMap<&AgencyId, Month> = self.cases_begin();
        next.extend(self.case_months().map(|(agency, last)| (agency, last.next())));
        let is_over = |month: &Month| month.next().begins().plus(COUNTED_WITHIN) <= now;
        let months = |first: Month| std::iter::successors(Some(first), |month| Some(month.next())).take_while(is_over).collect();
        let all = next.into_iter().map(|(agency, first)| -> (AgencyId, Vec<Month>) { (agency.clone(), months(first)) });
        all.filter(|(_, months)| !months.is_empty()).collect()
    }

    /// Bodies with a month that is over and not counted. The first of those months says since when.
    fn late_case_tallies(&self, now: Time, late: &mut Vec<Late>) {
        let Some(operator) = self.operator().and_then(|operator| operator.id.parse::<AgencyId>().ok()) else { return };
        for (agency, months) in self.uncounted_months(now) {
            let since = months.first().map(|month| month.next().begins());
            let (object, agency) = (agency.to_string(), operator.clone());
            late.extend(since.map(|due_at| Late { duty: LateDuty::CaseTally, object, agency, due_at }));
        }
    }

    /// Vendors at work that show nothing valid of what they are able to do, or have not mended in time what a check found. Whoever looks at a
    /// vendor again says anew what is to be mended.
    fn late_vendors(&self, now: Time, late: &mut Vec<Late>) {
        for contract in self.contracts.values().filter(|contract| matches!(contract.state, State::Active | State::Suspended)) {
            let mut found: Vec<&ContractCheck> = Vec::new();
            for check in self.checks_of(&contract.id).map(|check| &check.body) {
                match check.kind {
                    CheckKind::Periodic => found = vec![check],
                    CheckKind::Agency | CheckKind::City => found.push(check),
                    CheckKind::Deletion | CheckKind::Objection => {}
                }
            }
            let findings = found.into_iter().flat_map(|check| &check.findings).map(|finding| (LateDuty::Finding, finding.due));
            let evidence = contract.body.proven_until().map(|until| (LateDuty::Evidence, until));
            for (duty, due_at) in findings.chain(evidence).filter(|(_, due)| *due <= now) {
                late.push(Late { duty, object: contract.id.clone(), agency: contract.body.vendor.clone(), due_at });
            }
        }
    }

    /// Mandates in force whose impact assessment was not looked at again, or has measures that were not taken, or whose waived conditions are
    /// not met.
    fn late_mandates(&self, now: Time, late: &mut Vec<Late>) {
        for mandate in self.mandates.values().filter(|mandate| matches!(mandate.state, State::Active | State::Suspended)) {
            let mut owes = |duty, object: &str, due_at: Time| {
                if due_at <= now {
                    late.push(Late { duty, object: object.to_owned(), agency: mandate.body.controller.clone(), due_at });
                }
            };
            if let Some(assessment) = holding(self, mandate) {
                owes(LateDuty::Assessment, &assessment.id, assessment.body.review_due);
                let open = assessment.body.measures.iter().filter(|measure| measure.done_at.is_none());
                open.for_each(|measure| owes(LateDuty::Measure, &assessment.id, measure.due));
            }
            let waivers = mandate.body.eight_conditions.iter().flat_map(EightConditions::waivers);
            waivers.for_each(|(_, waiver)| owes(LateDuty::Waiver, &mandate.id, waiver.until));
        }
    }

    /// What was found and not mended, and bodies that were not audited again.
    fn late_audits(&self, now: Time, late: &mut Vec<Late>) {
        for (object, body) in self.body_audits.values().map(|audit| (&audit.id, &audit.body)) {
            late.extend(body.late_findings(now).map(|finding| Late {
                duty: LateDuty::Finding,
                object: object.clone(),
                agency: body.audited.clone(),
                due_at: finding.due,
            }));
        }
        late.extend(self.overdue_audits(now).map(|audit| Late {
            duty: LateDuty::NextAudit,
            object: audit.id.clone(),
            agency: audit.body.auditor.clone(),
            due_at: audit.body.next_due,
        }));
    }
}
