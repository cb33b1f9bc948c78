//! What is said where there can be no certificate: keys went, and the note of what proves it is not as this house wrote it. Nothing is made up
//! in its place, and nothing else waits for it.

use serde_json::json;
use usufruct_core::certificate::Cause;
use usufruct_core::id::MandateId;
use usufruct_core::key::{KeyOf, PublishedKey};
use usufruct_core::lifecycle::State;
use usufruct_core::register::Register;
use usufruct_core::statement::{Statement, StatementKind};
use usufruct_core::{Digest, Text};
use usufruct_store::erasures::Erasure;

use crate::{App, Error};

impl App {
    /// Whether the keys that an erasure is about are all that the register knows of what ends with it.
    pub(crate) fn names_all(&self, register: &Register, cause: Cause, erasure: &Erasure) -> bool {
        if !matches!(cause, Cause::Sunset | Cause::Revocation) {
            return true;
        }
        let mandate = register.mandates.iter().find(|(_, entry)| Some(entry.number) == erasure.mandate);
        mandate.is_some_and(|(id, _)| {
            let living = register.living_keys(&KeyOf::Mandate(id.clone()));
            living.len() == erasure.commitments.len()
                && living.iter().all(|key| erasure.commitments.contains(&key.body.commitment))
        })
    }

    /// The statement that an erasure cannot be certified. What it names comes from the register and the key tree, not from the note.
    pub(crate) fn uncertified(&self, register: &Register, erasure: &Erasure) -> Result<Statement, Error> {
        let of = erasure.mandate.filter(|_| erasure.resident.is_none()).and_then(|number| {
            let id = register.mandates.iter().find(|(_, entry)| entry.number == number)?.0;
            Some(KeyOf::Mandate(id.clone()))
        });
        let of = of.or_else(|| {
            let service = register.services.values().find(|entry| Some(entry.number) == erasure.sector)?;
            Some(KeyOf::Sector(service.body.sector.clone()))
        });
        let published = of.as_ref().map(|of| register.living_keys(of)).unwrap_or_default();
        // What ends with the mandate has a note of its own.
        let is_meant = |key: &PublishedKey| match Cause::from_code(&erasure.cause) {
            Some(Cause::Retention) => key.month.is_some_and(|month| erasure.months.contains(&month)),
            Some(Cause::Rotation) => erasure.commitments.contains(&key.commitment),
            _ => true,
        };
        let gone: Vec<Digest> = published
            .iter()
            .filter(|key| is_meant(&key.body))
            .map(|key| key.body.commitment)
            .filter(|commitment| !self.key_lives(commitment))
            .collect();
        let ended: Option<MandateId> = match of {
            Some(KeyOf::Mandate(id)) if gone.len() == published.len() => {
                let is_ending = register.mandates.get(&id).is_some_and(|entry| entry.state == State::Erasing);
                is_ending.then_some(id)
            }
            _ => None,
        };
        let body = json!({
            "mandate": ended,
            "key_commitments": gone,
            "reason": Text::new(
                "The keys were destroyed. What was noted before, to prove that they had lived, is not as this pass wrote it: somebody \
                 wrote to the database, or it is damaged. So there can be no certificate, and none is made up.",
                "金鑰已銷毀，惟銷毀前所記載、用以證明金鑰曾經存在之內容，已非本系統所寫入之原文：資料庫遭他人寫入或已毀損。故無從出具證明，亦不另行編造。",
            ),
        });
        let id = erasure.certificate.as_str();
        let mut statement = self.statement(StatementKind::Uncertified, id, self.automation.agency(), body, self.now());
        statement.approve(&self.automation)?;
        Ok(statement)
    }
}
