//! Publish keys: the commitment of every key of a mandate or a pseudonym domain stands in the log from when the key is made, so that its
//! certificate cannot be about a key that nobody had heard of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use usufruct_core::Digest;
use usufruct_core::id::{KeyId, MandateId};
use usufruct_core::register::Register;
use usufruct_core::statement::StatementKind;
use usufruct_core::time::Month;
use usufruct_store::deposits;

use crate::{App, Error};

impl App {
    /// Publishes the keys that are made and not published yet: after a crash those that it left behind.
    pub(crate) fn publish_keys(&self) -> Result<(), Error> {
        let _guard = self.publishing();
        self.publish_new_keys()
    }

    /// The same for who holds the publishing lock.
    pub(crate) fn publish_new_keys(&self) -> Result<(), Error> {
        let register = self.register();
        let mut keys = self.keys(&register)?;
        keys.retain(|(_, commitment)| register.key(commitment).is_none() && register.gone_since(commitment).is_none());
        if keys.is_empty() {
            return Ok(());
        }
        let (at, epoch) = (self.now().max(register.last_at()), self.vault.state().epoch.0);
        let statement = |(mut body, commitment): (Value, Digest)| {
            (body["commitment"], body["epoch"]) = (json!(commitment), json!(epoch));
            let id = KeyId::of(&commitment);
            let mut statement = self.statement(StatementKind::Key, id.as_str(), self.automation.agency(), body, at);
            statement.approve(&self.automation)?;
            Ok(statement)
        };
        let statements = keys.into_iter().map(statement).collect::<Result<Vec<_>, Error>>()?;
        self.place_statements(statements).map(drop)
    }

    /// The commitments of the keys that mandates and pseudonym domains have now, each with what it belongs to.
    fn keys(&self, register: &Register) -> Result<Vec<(Value, Digest)>, Error> {
        let mut keys = Vec::new();
        let mandates: BTreeMap<u64, &MandateId> =
            register.mandates.iter().filter(|(_, entry)| entry.has_key()).map(|(id, entry)| (entry.number, id)).collect();
        for (number, id) in &mandates {
            let own = [self.vault.mandate_commitment(*number)?, self.vault.next_mandate_commitment(*number)?];
            keys.extend(own.into_iter().flatten().map(|commitment| (json!({ "mandate": id }), commitment)));
        }
        for (number, month) in self.db.read(deposits::months)? {
            let Some(id) = mandates.get(&number) else { continue };
            let commitment = self.vault.month_commitment(number, month.0)?;
            keys.extend(commitment.map(|commitment| (json!({ "mandate": id, "month": month }), commitment)));
        }
        let mut sectors = BTreeSet::new();
        for service in register.services.values().filter(|service| !service.state.is_over()) {
            if sectors.insert(&service.body.sector) {
                let commitment = self.vault.sector_commitment(register.sector(service))?;
                keys.extend(commitment.map(|commitment| (json!({ "sector": service.body.sector }), commitment)));
            }
        }
        Ok(keys)
    }

    /// Makes the keys of this month for the mandates that services deposit under. They are made by the calendar and not when somebody
    /// deposits, or the log would tell when the first one of a month did.
    pub(crate) fn make_month_keys(&self, register: &Register) -> Result<(), Error> {
        let mut takes = register.mandates.values().filter(|entry| entry.body.lets_deposit()).peekable();
        if takes.peek().is_none() {
            return Ok(());
        }
        let now = self.now();
        for mandate in takes.filter(|entry| entry.is_in_force(now)) {
            self.make_key_of_month(mandate.number, Month::of(now))?;
        }
        Ok(())
    }

    /// Makes the key of a month of a mandate, unless there is one. First the note of it, so that none is forgotten.
    pub(crate) fn make_key_of_month(&self, mandate: u64, month: Month) -> Result<(), Error> {
        if self.vault.month_commitment(mandate, month.0)?.is_some() {
            return Ok(());
        }
        self.db.transaction("note month", move |tx| Ok::<_, Error>(deposits::note_month(tx, mandate, month)?))?;
        self.vault.create_month_key(mandate, month.0, self.rng())?;
        Ok(())
    }
}
