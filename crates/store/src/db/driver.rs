//! What the writer and the readers' pool need of a database beyond running statements.

use super::{Connection, Error};

/// A connection of one of the two databases.
pub(super) trait Driver: Connection + Send {
    /// Connects again when the connection was lost.
    fn ready(&mut self) -> Result<(), Error>;

    /// Begins a transaction that writes: immediate on SQLite, serialisable on PostgreSQL.
    fn begin(&mut self) -> Result<(), Failure>;

    /// Begins a transaction that reads one state of the database.
    fn begin_snapshot(&mut self) -> Result<(), Error>;

    fn savepoint(&mut self) -> Result<(), Failure>;

    fn release(&mut self) -> Result<(), Failure>;

    /// Takes back everything since the savepoint, and the savepoint.
    fn rollback_savepoint(&mut self) -> Result<(), Failure>;

    /// Makes the transaction durable before returning.
    fn commit(&mut self) -> Result<(), Failure>;

    /// Ends the transaction without its changes; when that fails, the connection is given up.
    fn rollback(&mut self);

    /// What a statement since the last call met that concerns the whole transaction, not only its job.
    fn failure(&mut self) -> Option<Failure>;

    /// Makes deleted rows of these tables leave the files of the database.
    fn checkpoint(&mut self, tables: &[&str]) -> Result<(), Error>;
}

/// Why a whole transaction ended.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Nothing was changed.
    Aborted(Error),
    /// The disk or the file cannot be trusted any more.
    Fatal(Error),
    /// Another transaction got in the way: the same jobs may succeed when run again.
    Retry,
    /// The connection broke during the commit.
    Unknown,
}
