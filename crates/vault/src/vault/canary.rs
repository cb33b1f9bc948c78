//! Synthetic residents, erased so that everybody can search for what is left of their keys (erasure.md 1.5 e).
//!
//! What is handed out are traces, halves of keys by which the whole would be found, and only once every key is destroyed, and every root
//! under which one of them lived. The other half stays unknown: whoever reads the memory of a search cannot open a page with it. Of a
//! resident who exists nothing is ever handed out.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use usufruct_core::ports::Rng;

use super::{Enrolled, Vault};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::tree::{Key, KeyId, Trace};

/// A synthetic resident since this process made her.
#[derive(Default)]
pub(super) struct Canary {
    /// Each in a place of its own: a list that grows leaves what it held behind.
    #[expect(clippy::vec_box, reason = "a list of traces would be copied as it grows")]
    traces: Vec<Box<Trace>>,
    is_erased: bool,
}

impl Vault {
    /// Makes the keys of a synthetic resident, of whom traces are kept from now on.
    pub fn enrol_canary(&self, rng: &dyn Rng) -> Result<Enrolled> {
        let enrolled = self.enrol(rng)?;
        self.canaries().insert(enrolled.resident, Canary::default());
        Ok(enrolled)
    }

    /// Keeps the traces of the keys in the keyring of a synthetic resident, as it is when she is about to be erased.
    pub fn note_canary(&self, keyring: &Keyring) -> Result<()> {
        let mut canaries = self.canaries();
        let canary = canaries.get_mut(&keyring.resident()).ok_or(Error::NoKey { noun: "synthetic resident" })?;
        keyring.keys().for_each(|key| canary.keep(key));
        Ok(())
    }

    /// Whether this process made a resident for a drill whose traces were not taken yet.
    pub fn is_canary(&self, resident: u64) -> bool {
        self.canaries().contains_key(&resident)
    }

    /// The traces of a synthetic resident: of her key, of those in her keyring, and of every root under which they were destroyed. Each
    /// is handed out once, and `None` while any of it is there.
    pub fn take_traces(&self, resident: u64) -> Option<Vec<Box<Trace>>> {
        let mut canaries = self.canaries();
        canaries.get(&resident).filter(|canary| canary.is_erased)?;
        canaries.remove(&resident).map(|canary| canary.traces)
    }

    /// Notes what is about to be destroyed. An erasure that is not finished is begun again under another root, so there may be several.
    pub(super) fn trace_canaries(&self, residents: &[u64]) -> Result<()> {
        let mut canaries = self.canaries();
        for resident in residents {
            let Some(canary) = canaries.get_mut(resident) else { continue };
            if let Some(key) = self.tree.get(KeyId::Resident(*resident))? {
                canary.keep(&key);
            }
            canary.traces.push(Box::new(self.tree.root_trace()));
        }
        Ok(())
    }

    pub(super) fn canaries_are_erased(&self, residents: &[u64]) {
        let mut canaries = self.canaries();
        for resident in residents {
            if let Some(canary) = canaries.get_mut(resident) {
                canary.is_erased = true;
            }
        }
    }

    fn canaries(&self) -> MutexGuard<'_, BTreeMap<u64, Canary>> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Canary {
    fn keep(&mut self, key: &Key) {
        self.traces.push(Box::new(Trace::of(key)));
    }
}
