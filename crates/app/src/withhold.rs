//! Withhold: which keys of mandates open nothing, as the register says.

use std::collections::BTreeMap;

use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_vault::Withheld;

/// The mandates that are suspended, by a step of theirs or by an order, by their numbers. It follows from the register and reads no clock: an order of
/// a later day has that day in it.
pub(crate) fn withheld(register: &Register) -> BTreeMap<u64, Vec<Withheld>> {
    let mut all = BTreeMap::new();
    for (id, entry) in &register.mandates {
        let orders = register.suspensions(id.as_str()).map(|(from, until)| Withheld { from, until });
        let step = (entry.state == State::Suspended).then_some(Withheld { from: None, until: None });
        let times: Vec<Withheld> = orders.chain(step).collect();
        if !times.is_empty() {
            all.insert(entry.number, times);
        }
    }
    all
}
