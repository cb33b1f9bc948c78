//! Late: who owes something by a day that has passed. Nobody writes it down; it follows from the register and the clock.

use serde::{Serialize, Serializer};

use crate::Time;
use crate::breach::ClockStanding;
use crate::id::AgencyId;
use crate::lawpack::Duty;
use crate::lifecycle::State;
use crate::register::Register;

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
    /// An office has not answered residents.
    Answer,
    /// A law demanded something of a breach.
    Breach(Duty),
    /// Nobody has looked at a camera for too long.
    CameraCheck,
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
    /// What an auditor found was not mended by its day.
    Finding,
    /// A body was not audited again.
    NextAudit,
    /// An order was not carried out.
    Order,
    /// An office has not done what residents were promised, or what was ordered for them.
    Remedy,
    /// An agreement was not looked at again.
    Review,
}

impl LateDuty {
    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Breach(duty) => duty.code(),
            Self::CameraCheck => "camera_check",
            Self::Certificate => "certificate",
            Self::Check => "check",
            Self::Consultation => "consultation",
            Self::Decision => "decision",
            Self::Deletion => "deletion",
            Self::DisparityAudit => "disparity_audit",
            Self::Finding => "finding",
            Self::NextAudit => "next_audit",
            Self::Order => "order",
            Self::Remedy => "remedy",
            Self::Review => "review",
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
                agency: entry.body.body.clone(),
                due_at: clock.due_at,
            }));
        }
        for (id, entry) in &self.uncertified {
            let Some(operator) = self.operator().and_then(|operator| operator.id.parse().ok()) else { continue };
            late.push(Late { duty: LateDuty::Certificate, object: id.to_string(), agency: operator, due_at: entry.since });
        }
        late.sort_by(|a, b| (a.due_at, a.duty, &a.object).cmp(&(b.due_at, b.duty, &b.object)));
        late
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
