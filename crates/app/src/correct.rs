//! A resident's own data: see it, correct it. A correction reaches every copy on loan in the same transaction.

use std::sync::Arc;

use usufruct_core::event::{Form, Kind};
use usufruct_core::grant::GrantState;
use usufruct_core::id::BlockId;
use usufruct_store::{blocks, grants};

use crate::erase::plain_event;
use crate::ledger::place;
use crate::{Actor, App, Error, block_names};

/// One of the resident's own blocks.
#[derive(Clone)]
pub struct OwnBlock {
    pub block: BlockId,
    pub value: String,
}

impl App {
    /// The resident's own data.
    pub fn own_blocks(&self, resident: u64) -> Result<Vec<OwnBlock>, Error> {
        let register = self.register();
        let keyring = self.keyring(resident)?;
        let stored = self.db.read(|conn| blocks::own(conn, resident))?;
        let mut own = Vec::with_capacity(stored.len());
        for (number, sealed) in stored {
            let Some(block) = block_names::id(&register, number) else { continue };
            let value = self.vault.open_own(&keyring, block, &sealed)?;
            own.push(OwnBlock { block: block.clone(), value: String::from_utf8_lossy(&value).into_owned() });
        }
        Ok(own)
    }

    /// Corrects a block: the own copy and every copy that is lent now.
    pub fn correct(&self, actor: impl Into<Actor>, block: &BlockId, value: &str) -> Result<(), Error> {
        let actor = actor.into();
        let resident = actor.resident;
        let _guard = self.lock_resident(resident);
        let register = self.register();
        let entry = register.blocks.get(block).ok_or(Error::Unknown { what: "data block" })?;
        if !entry.body.correctable {
            return Err(Error::refused(
                "This block is corrected at its source and not here.",
                "Ask the office that keeps it; its name stands beside the block.",
            ));
        }
        let value = checked(value)?;
        let now = self.now();
        let number = block_names::number(&register, block)?;
        let keyring = Arc::new(self.keyring(resident)?);
        let own = vec![(resident, number, self.vault.seal_own(&keyring, block, value.as_bytes(), self.rng())?)];
        let live = self.db.read(|conn| grants::of_resident(conn, resident))?;
        let mut lent = Vec::new();
        for stored in live.iter().filter(|stored| matches!(stored.grant.state, GrantState::Given | GrantState::Paused)) {
            if stored.grant.blocks.contains(block) && keyring.lends(stored.mandate) {
                let sealed = self.vault.lend_block(&keyring, resident, stored.mandate, block, value.as_bytes(), self.rng())?;
                lent.push((resident, stored.mandate, number, sealed));
            }
        }
        let mut event = plain_event(Kind::Correction, "correction", None, now);
        event.blocks.push((block.clone(), Form::Value));
        let (rng, vault) = (Arc::clone(&self.rng), Arc::clone(&self.vault));
        self.db.transaction("correct block", move |tx| {
            actor.permit(tx, &vault, now)?;
            blocks::put_own(tx, &own, now)?;
            blocks::put_lent(tx, &lent)?;
            place(tx, &keyring, event.clone(), rng.as_ref()).map(drop)
        })
    }
}

/// The value of a block as it may be stored, without spaces around it.
pub(crate) fn checked(value: &str) -> Result<&str, Error> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > MOST_CHARACTERS || value.chars().any(char::is_control) {
        return Err(Error::refused(
            "The new value is empty, too long or has control characters.",
            "Write 1 to 200 characters on one line.",
        ));
    }
    Ok(value)
}

/// Longest value of a block.
const MOST_CHARACTERS: usize = 200;
