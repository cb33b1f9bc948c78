//! Object to a footprint line: a case with a due date, filed and logged in one transaction.

use std::sync::Arc;

use usufruct_core::Time;
use usufruct_core::event::{Event, Kind};
use usufruct_core::id::{BlockId, CaseId};
use usufruct_core::lawpack::Duty;
use usufruct_store::cases::{self, Case};

use crate::actor::place_by;
use crate::erase::plain_event;
use crate::{Actor, App, Error};

/// What a resident objects to.
#[derive(Clone, Debug)]
pub struct ObjectionRequest {
    /// Number of her footprint line.
    pub line: u64,
    pub words: String,
}

/// A case that was filed.
#[derive(Clone, Debug)]
pub struct FiledCase {
    pub id: CaseId,
    pub line: u64,
    pub filed_at: Time,
    pub due_at: Time,
    pub state: String,
    pub words: String,
}

impl App {
    /// Files an objection to a footprint line, by the resident or by a delegate for her.
    pub fn object(&self, actor: impl Into<Actor>, request: &ObjectionRequest) -> Result<FiledCase, Error> {
        let actor = actor.into();
        let resident = actor.resident;
        if request.words.chars().count() > 2_000 {
            return Err(Error::refused("The text is longer than 2,000 characters.", "Shorten it; you can send more later."));
        }
        let footprint = self.footprint(resident)?;
        let line = footprint
            .lines
            .iter()
            .find(|line| line.n == request.line)
            .ok_or(Error::Unknown { what: "line in your footprint" })?;
        let now = self.now();
        let id = CaseId::fresh(now, self.rng());
        let keyring = Arc::new(self.keyring(resident)?);
        let case = Case {
            resident,
            id: id.clone(),
            kind: "challenge".to_owned(),
            line: request.line,
            state: "filed".to_owned(),
            filed_at: now,
            due_at: self.answer_due(line.event.as_ref(), now),
            sealed: self.vault.seal_own(&keyring, &words_block()?, request.words.as_bytes(), self.rng())?,
        };
        let mut event = plain_event(Kind::Objection, "objection", Some(id.to_string()), now);
        if let Some(about) = &line.event {
            event.mandate = about.mandate;
            event.service.clone_from(&about.service);
        }
        let filed = FiledCase {
            id,
            line: case.line,
            filed_at: now,
            due_at: case.due_at,
            state: case.state.clone(),
            words: request.words.clone(),
        };
        let (rng, vault) = (Arc::clone(&self.rng), Arc::clone(&self.vault));
        self.db.transaction("object", move |tx| {
            let both = actor.permit(tx, &vault, now)?;
            cases::insert(tx, &case)?;
            place_by(tx, &keyring, event.clone(), both.as_ref(), rng.as_ref()).map(drop)
        })?;
        Ok(filed)
    }

    /// When an objection has to be answered, by the law of the body that used the data, or of the operator where no mandate is named.
    fn answer_due(&self, event: Option<&Event>, now: Time) -> Time {
        let register = self.register();
        let mandate = event.and_then(|event| register.revision(&event.mandate?)).map(|(mandate, _)| &mandate.body.controller);
        let body = mandate.cloned().or_else(|| register.operator()?.id.parse().ok());
        body.map_or(now, |body| now.plus(register.law(&body, now).within(Duty::Challenge)))
    }

    /// The cases of a resident, newest first.
    pub fn cases(&self, resident: u64) -> Result<Vec<FiledCase>, Error> {
        let keyring = self.keyring(resident)?;
        let block = words_block()?;
        let stored = self.db.read(|conn| cases::of_resident(conn, resident))?;
        stored
            .into_iter()
            .map(|case| {
                let words = self.vault.open_own(&keyring, &block, &case.sealed)?;
                Ok(FiledCase {
                    id: case.id,
                    line: case.line,
                    filed_at: case.filed_at,
                    due_at: case.due_at,
                    state: case.state,
                    words: String::from_utf8_lossy(&words).into_owned(),
                })
            })
            .collect()
    }
}

/// Name under which the words of a case are sealed. No data block of the register has it: it lies in a reserved form.
fn words_block() -> Result<BlockId, Error> {
    "blk_case-words".parse().map_err(|_| Error::Unknown { what: "block" })
}
