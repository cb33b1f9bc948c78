//! Withhold: the keys of mandates that are suspended open nothing, whoever asks with whatever use is in the log.
//!
//! Which those are follows from the register alone, and the vault is told at the start and with every statement. It keeps no note of its own that
//! could say something else; until it was told it opens nothing that is lent.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use usufruct_core::Time;

use super::Vault;
use crate::error::{Error, Result};

/// A time in which the key of a mandate opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// `None` where it counts for every use, whatever its time.
    pub from: Option<Time>,
    /// `None` where no end is known.
    pub until: Option<Time>,
}

impl Withheld {
    fn covers(&self, at: Time) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

impl Vault {
    /// Says which mandates, by their numbers, are suspended and when. It takes the place of all that was said before, from this call on. To be called
    /// before anybody decides by the register that says so.
    pub fn withhold(&self, mandates: BTreeMap<u64, Vec<Withheld>>) {
        *self.withheld.write().unwrap_or_else(PoisonError::into_inner) = Some(mandates);
    }

    /// Refuses where the key of the mandate is withheld from a use at this time.
    pub(super) fn refuse_withheld(&self, mandate: u64, at: Time) -> Result<()> {
        let withheld = self.withheld.read().unwrap_or_else(PoisonError::into_inner);
        let times = withheld.as_ref().ok_or(Error::Withheld)?.get(&mandate);
        let is_withheld = times.is_some_and(|times| times.iter().any(|time| time.covers(at)));
        if is_withheld { Err(Error::Withheld) } else { Ok(()) }
    }
}
