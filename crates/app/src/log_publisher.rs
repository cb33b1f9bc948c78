//! Publish the log: tiles and a signed checkpoint over what is committed.

use std::sync::PoisonError;

use usufruct_log::{Head, LeafSource, SignedHead};
use usufruct_store::db::Db;
use usufruct_store::leaves;
use usufruct_store::log_head::{self, Published};

use crate::{App, Error};

/// Leaves integrated in one step.
const BATCH: usize = 10_000;

/// The signed head, in its row of the database and so apart from the tiles.
pub struct HeadRow(Db);

/// The leaves that are committed.
pub(crate) struct CommittedLeaves {
    db: Db,
    size: u64,
}

impl App {
    /// Integrates what is committed, signs, and publishes the checkpoint.
    pub fn publish_log(&self) -> Result<(), Error> {
        let mut publisher = self.log_publisher.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let from = match publisher.size() {
                Ok(size) => size,
                Err(usufruct_log::Error::Stopped) => {
                    publisher.reload(Some(&CommittedLeaves::new(&self.db)?))?;
                    publisher.size()?
                }
                Err(error) => return Err(error.into()),
            };
            let new = self.db.read(|conn| leaves::range(conn, from, BATCH))?;
            let full = new.len() == BATCH;
            publisher.publish(new, self.seconds())?;
            if !full {
                return Ok(());
            }
        }
    }

    /// The time now, in seconds since 1970 UTC.
    fn seconds(&self) -> u64 {
        self.now().micros().max(0).unsigned_abs() / 1_000_000
    }

    /// How many leaves the published checkpoint covers.
    pub fn published_size(&self) -> Result<u64, Error> {
        Ok(self.db.read(|conn| log_head::published(conn))?.map_or(0, |published| published.size))
    }

    /// Returns when the published checkpoint covers leaf `index`.
    pub(crate) fn publish_log_beyond(&self, index: u64) -> Result<(), Error> {
        if self.published_size()? > index { Ok(()) } else { self.publish_log() }
    }
}

impl HeadRow {
    pub(crate) fn new(db: &Db) -> Self {
        Self(db.clone())
    }
}

impl Head for HeadRow {
    fn load(&self) -> usufruct_log::Result<Option<SignedHead>> {
        let published = self.0.read(|conn| log_head::published(conn)).map_err(external)?;
        Ok(published.map(|Published { size, root, time, note }| SignedHead { size, root: usufruct_log::Hash(root), time, note }))
    }

    fn swap(&self, old: Option<&SignedHead>, new: &SignedHead) -> usufruct_log::Result<bool> {
        let old = old.map(|old| old.size);
        let new = Published { size: new.size, root: new.root.0, time: new.time, note: new.note.clone() };
        self.0.transaction("publish checkpoint", move |tx| log_head::publish(tx, old, &new)).map_err(external)
    }
}

impl CommittedLeaves {
    pub fn new(db: &Db) -> Result<Self, Error> {
        Ok(Self { db: db.clone(), size: db.read(|conn| log_head::size(conn))? })
    }
}

impl LeafSource for CommittedLeaves {
    fn leaves(&self, from: u64, limit: usize) -> usufruct_log::Result<Vec<Vec<u8>>> {
        let leaves = self.db.read(|conn| leaves::range(conn, from, limit)).map_err(external)?;
        Ok(leaves.into_iter().map(|(_, data)| data).collect())
    }

    fn size(&self) -> u64 {
        self.size
    }
}

fn external(error: usufruct_store::db::Error) -> usufruct_log::Error {
    usufruct_log::Error::outside("the store", error)
}
