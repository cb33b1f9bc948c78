//! Supervise: the clock ends contracts, agreements and permits of cameras on their last day, suspends a contract whose vendor was not looked at
//! in time, and withholds the pictures of a camera at which nobody looked.

use usufruct_core::Text;
use usufruct_core::late::{Late, LateDuty};
use usufruct_core::lifecycle::State;
use usufruct_store::deletions;

use crate::{App, Error, LifecycleStep, Publication};

impl App {
    /// Says in the register what the clock has brought about: nothing is permitted under any of it already. Answers what was moved.
    pub fn run_supervision(&self) -> Result<Vec<String>, Error> {
        let (now, register) = (self.now(), self.register());
        let mut due = Vec::new();
        for contract in register.contracts.values() {
            let to = match contract.state {
                State::Active | State::Suspended if contract.body.until <= now => Some((
                    State::Ending,
                    Text::new("Its last day is over; the vendor has to delete.", "契約屆滿，廠商應刪除資料。"),
                )),
                State::Active if register.has_failed(contract) && register.is_unsupervised(contract, now) => {
                    Some((State::Suspended, Text::new("The vendor failed its check.", "廠商未通過查核。")))
                }
                State::Active if register.is_unsupervised(contract, now) => {
                    Some((State::Suspended, Text::new("A check of the vendor is overdue.", "逾期未查核廠商。")))
                }
                _ => None,
            };
            due.extend(to.map(|(to, reason)| (contract.id.clone(), contract.hash, contract.state, to, reason)));
        }
        for agreement in register.agreements.values().filter(|agreement| agreement.body.sunset_at <= now) {
            if matches!(agreement.state, State::Published | State::Active | State::Suspended) {
                let reason = Text::new("Its last day is over.", "已逾期滿日。");
                due.push((agreement.id.clone(), agreement.hash, agreement.state, State::Sunset, reason));
            }
        }
        for camera in register.cameras.values() {
            let to = match camera.state {
                State::Permitted | State::Active | State::Withheld
                    if camera.body.permit_until.is_some_and(|until| until <= now) =>
                {
                    Some((State::PermitExpired, Text::new("Its permit has ended.", "許可期限屆滿。")))
                }
                State::Active if register.is_unchecked(&camera.body, now) => Some((
                    State::Withheld,
                    Text::new("Nobody has looked at the camera in time.", "逾期未檢查攝影機，停止提供影像。"),
                )),
                _ => None,
            };
            due.extend(to.map(|(to, reason)| (camera.id.clone(), camera.hash, camera.state, to, reason)));
        }
        let by = self.automation.agency().clone();
        let mut moved = Vec::with_capacity(due.len());
        for (object, revision, from, to, reason) in due {
            let step = LifecycleStep { object: &object, revision, from, to, reason };
            let statement = self.step(&step, &by, &[&self.automation], now)?;
            self.publish(&Publication { statements: vec![statement] })?;
            moved.push(object);
        }
        Ok(moved)
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
