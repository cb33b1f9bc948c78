//! Supervise: the clock ends contracts, agreements and permits of cameras on their last day, suspends a contract whose vendor was not looked at
//! in time, or at whose vendor there was a grave breach, says that one is breached whose vendor does not delete, and withholds the pictures of a
//! camera at which nobody looked.

use usufruct_core::camera::Camera;
use usufruct_core::contract::Contract;
use usufruct_core::id::BreachId;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::lawpack::Duty;
use usufruct_core::lifecycle::State;
use usufruct_core::register::{Entry, Register};
use usufruct_core::status::{Grounds, ReasonCode};
use usufruct_core::{Text, Time};
use usufruct_store::deletions;

use crate::{App, Error, LifecycleStep, Publication};

impl App {
    /// Says in the register what the clock has brought about: nothing is permitted under any of it already. Answers what was moved, or the first
    /// error, once all the rest is said.
    pub fn run_supervision(&self) -> Result<Vec<String>, Error> {
        let (now, register) = (self.now(), self.register());
        let contracts = register.contracts.values().filter_map(|contract| due_step(&register, contract, now));
        let agreements = register.agreements.values().filter(|agreement| {
            agreement.body.sunset_at <= now && matches!(agreement.state, State::Published | State::Active | State::Suspended)
        });
        let agreements = agreements.map(|agreement| LifecycleStep {
            object: &agreement.id,
            revision: agreement.hash,
            from: agreement.state,
            to: State::Sunset,
            reason: Text::new("Its last day is over.", "已逾期滿日。"),
            grounds: Grounds { reason_code: Some(ReasonCode::TermOver), ..Grounds::default() },
        });
        let cameras = register.cameras.values().filter_map(|camera| due_step_of_camera(&register, camera, now));
        let by = self.automation.agency().clone();
        let (mut moved, mut failed) = (Vec::new(), None);
        for step in contracts.chain(agreements).chain(cameras) {
            let statement = self.step(&step, &by, &[&self.automation], now);
            match statement.and_then(|statement| self.publish(&Publication { statements: vec![statement] })) {
                Ok(_) => moved.push(step.object.to_owned()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(moved), Err)
    }

    /// Who owes something by a day that has passed, the longest first. A service that has not said what it deleted stands there once,
    /// however many notices it has not answered.
    pub fn late(&self) -> Result<Vec<Late>, Error> {
        let (register, now) = (self.register(), self.now());
        let mut late = register.late(now);
        for (service, due_at) in self.db.read(|conn| deletions::overdue_services(conn, now))? {
            if let Some(entry) = register.services.get(&service) {
                let (object, agency) = (entry.id.clone(), entry.body.agency.clone());
                late.push(Late { duty: LateDuty::Deletion, object, agency, due_at });
            }
        }
        late.extend(self.late_cases()?);
        late.sort_by_key(|late| late.due_at);
        Ok(late)
    }
}

/// The step that a contract is due for: to its end, or to rest.
fn due_step<'a>(register: &Register, contract: &'a Entry<Contract>, now: Time) -> Option<LifecycleStep<'a>> {
    let breach = register.breach_at_vendor(contract).and_then(|entry| entry.id.parse::<BreachId>().ok());
    let law = register.law(&contract.body.controller, now);
    let by_law = |code, duty| Grounds { law: Some(law.deadline(duty).article.clone()), ..Grounds::of(code) };
    let unchecked = || by_law(ReasonCode::CheckFailed, Duty::CheckGrace);
    let (to, reason, grounds) = match contract.state {
        State::Active | State::Suspended if contract.body.until <= now => {
            let reason = Text::new("Its last day is over; the vendor has to delete.", "契約屆滿，廠商應刪除資料。");
            (State::Ending, reason, Grounds::of(ReasonCode::TermOver))
        }
        State::Active if register.has_failed(contract) && register.is_unsupervised(contract, now) => {
            (State::Suspended, Text::new("The vendor failed its check.", "廠商未通過查核。"), unchecked())
        }
        State::Active if register.is_unsupervised(contract, now) && is_unproven(register, contract, now) => {
            let reason = Text::new("All evidence of what the vendor is able to do has ended.", "廠商能力證明均已逾期。");
            (State::Suspended, reason, unchecked())
        }
        State::Active if register.is_unsupervised(contract, now) => {
            (State::Suspended, Text::new("A check of the vendor is overdue.", "逾期未查核廠商。"), unchecked())
        }
        State::Active if breach.is_some() => {
            let reason = Text::new("There is a breach at the vendor.", "廠商發生侵害事故。");
            (State::Suspended, reason, Grounds { breach, ..Grounds::of(ReasonCode::Breach) })
        }
        State::Ending if register.is_undeleted(contract, now) => {
            let reason = Text::new("The vendor has not said in time that all is deleted.", "廠商逾期未申報已全數刪除。");
            (State::Breached, reason, by_law(ReasonCode::TermOver, Duty::VendorDeletionLongest))
        }
        _ => return None,
    };
    Some(LifecycleStep { object: &contract.id, revision: contract.hash, from: contract.state, to, reason, grounds })
}

/// Whether the last evidence of what the vendor is able to do ended longer ago than the grace of the law.
fn is_unproven(register: &Register, contract: &Entry<Contract>, now: Time) -> bool {
    let grace = register.law(&contract.body.controller, now).within(Duty::CheckGrace);
    contract.body.proven_until().is_none_or(|until| until.plus(grace) <= now)
}

/// The step that a camera is due for: its permit ends, or nobody has looked at it.
fn due_step_of_camera<'a>(register: &Register, camera: &'a Entry<Camera>, now: Time) -> Option<LifecycleStep<'a>> {
    let (to, reason, grounds) = match camera.state {
        State::Permitted | State::Active | State::Withheld if camera.body.permit_until.is_some_and(|until| until <= now) => {
            let reason = Text::new("Its permit has ended.", "許可期限屆滿。");
            (State::PermitExpired, reason, Grounds::of(ReasonCode::TermOver))
        }
        State::Active if register.is_unchecked(&camera.body, now) => {
            let reason = Text::new("Nobody has looked at the camera in time.", "逾期未檢查攝影機，停止提供影像。");
            let article = register.law(&camera.body.authority, now).camera_check().article.clone();
            (State::Withheld, reason, Grounds { law: Some(article), ..Grounds::of(ReasonCode::CheckFailed) })
        }
        _ => return None,
    };
    Some(LifecycleStep { object: &camera.id, revision: camera.hash, from: camera.state, to, reason, grounds })
}
