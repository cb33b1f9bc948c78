//! Supervise: the clock ends contracts and agreements on their last day, and suspends a contract whose vendor was not looked at in time.

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
                State::Active if register.is_unsupervised(contract, now) && now < register.check_due(contract) => Some((
                    State::Suspended,
                    Text::new("All evidence of what the vendor is able to do has ended.", "廠商能力證明均已逾期。"),
                )),
                State::Active if register.is_unsupervised(contract, now) => {
                    Some((State::Suspended, Text::new("A check of the vendor is overdue.", "逾期未查核廠商。")))
                }
                State::Ending if register.is_undeleted(contract, now) => Some((
                    State::Breached,
                    Text::new("The vendor has not said in time that all is deleted.", "廠商逾期未申報已全數刪除。"),
                )),
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
