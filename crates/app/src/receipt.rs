//! Receipts for what was committed: one signature for all leaves of a commit, made by the first who asks.

use std::sync::{Arc, OnceLock};

use usufruct_core::Time;
use usufruct_log::{Hash, SignedPromise};

use crate::{App, Error};

/// Within how many seconds the log promises to cover a leaf, until its terms say something else.
const MERGE_DELAY_SECONDS: u64 = 60;

/// The leaves that became durable together.
#[derive(Default)]
pub(crate) struct Commit {
    start: u64,
    /// Known once all jobs of the commit have run.
    leaf_hashes: OnceLock<Vec<Hash>>,
    /// Made by the first who asks; the others wait for it. `None` when there is nothing to promise.
    promise: OnceLock<Option<SignedPromise>>,
}

impl Commit {
    /// A commit whose first leaf will have the index `start`.
    pub fn new(start: u64) -> Arc<Self> {
        Arc::new(Self { start, ..Self::default() })
    }

    /// States which leaves it holds, all of them.
    pub fn close(&self, leaf_hashes: Vec<Hash>) {
        // Only the thread that runs the commit closes it, once.
        let _ = self.leaf_hashes.set(leaf_hashes);
    }
}

impl App {
    /// The signed receipt of leaf `index`, which `commit` made durable.
    pub(crate) fn receipt(&self, commit: &Commit, index: u64, now: Time) -> Result<String, Error> {
        let promise = commit.promise.get_or_init(|| {
            let leaf_hashes = commit.leaf_hashes.get().cloned().unwrap_or_default();
            let terms = self.register().log.as_ref().map(|entry| entry.body.merge_delay_seconds.unsigned_abs());
            let delay = terms.unwrap_or(MERGE_DELAY_SECONDS);
            self.receipt_signer.sign(commit.start, leaf_hashes, now.micros().max(0).unsigned_abs(), delay).ok()
        });
        let receipt = promise.as_ref().and_then(|promise| promise.receipt(index));
        Ok(receipt.ok_or_else(|| Error::Corrupt { what: format!("leaf {index} is not in its commit") })?.to_string())
    }
}
