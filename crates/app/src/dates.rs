//! When keys were destroyed: each step of it has its own time, and a certificate says both.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use usufruct_core::Time;
use usufruct_store::erasures::{self, Erasure};
use usufruct_vault::{Epoch, Erased};

use crate::{App, Error};

/// From when on each of the last epochs of the key tree has counted in this process.
#[derive(Default)]
pub(crate) struct Closed(Mutex<BTreeMap<Epoch, (Time, ThreadId)>>);

impl Closed {
    /// The keys that go in `epoch` open nothing any more. Called by the vault at that moment.
    pub(crate) fn note(&self, epoch: Epoch, now: Time) {
        let mut times = self.times();
        times.insert(epoch, (now, thread::current().id()));
        if times.len() > MOST {
            times.pop_first();
        }
    }

    fn at(&self, epoch: Epoch) -> Option<Time> {
        self.times().get(&epoch).map(|(time, _)| *time)
    }

    /// When this thread closed keys in an epoch after `before`, if it did.
    fn by_this_thread(&self, before: Epoch) -> Option<Time> {
        let (times, here) = (self.times(), thread::current().id());
        times.range(before..).find(|(epoch, (_, thread))| **epoch > before && *thread == here).map(|(_, (time, _))| *time)
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<Epoch, (Time, ThreadId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Destroys the keys of these erasures by `work`, and answers them with the times at which it happened: when the running system was
    /// closed, and when the old root was gone. If the root could not be destroyed, the first of the two is noted, so that it is not lost
    /// until the other one is known.
    pub(crate) fn destroying(
        &self,
        erasures: &[&Erasure],
        work: impl FnOnce() -> usufruct_vault::Result<Erased>,
    ) -> Result<Vec<Erasure>, Error> {
        let erasures: Vec<Erasure> = erasures.iter().map(|erasure| self.with_true_dates(erasure)).collect::<Result<_, _>>()?;
        let before = self.vault.state().epoch;
        match work() {
            Ok(erased) => {
                let gone_at = self.now();
                let closed_at = self.closed.at(erased.after.epoch).unwrap_or(gone_at);
                let dated = |erasure: Erasure| Erasure {
                    live_at: erasure.live_at.or(Some(closed_at)),
                    root_at: erasure.root_at.or(Some(gone_at)),
                    ..erasure
                };
                Ok(erasures.into_iter().map(dated).collect())
            }
            Err(error) => {
                // Where the new epoch does not count the keys live on.
                if let Some(closed_at) = self.closed.by_this_thread(before)
                    && let Err(failure) = self.note_closed(erasures, closed_at)
                {
                    tracing::warn!(%failure, "the time at which keys were closed could not be noted; their certificates will name a later one");
                }
                Err(error.into())
            }
        }
    }

    /// The same for one.
    pub(crate) fn destroying_one(
        &self,
        erasure: &Erasure,
        work: impl FnOnce() -> usufruct_vault::Result<Erased>,
    ) -> Result<Erasure, Error> {
        // INVARIANT: one in, one out.
        Ok(self.destroying(&[erasure], work)?.remove(0))
    }

    fn note_closed(&self, erasures: Vec<Erasure>, closed_at: Time) -> Result<(), Error> {
        let dated =
            |erasure: Erasure| self.with_marked_dates(Erasure { live_at: erasure.live_at.or(Some(closed_at)), ..erasure });
        self.note_dates(erasures.into_iter().map(dated).collect::<Result<_, _>>()?)
    }

    /// Notes when the keys of these erasures went, as far as it is known.
    pub(crate) fn note_dates(&self, dated: Vec<Erasure>) -> Result<(), Error> {
        self.db.transaction("note closed keys", move |tx| {
            dated.iter().try_for_each(|erasure| erasures::note_steps(tx, erasure))?;
            Ok::<_, Error>(())
        })
    }
}

/// Epochs whose times are known at once: more than there are threads that destroy keys.
const MOST: usize = 1_000;
