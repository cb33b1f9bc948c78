//! The database under the store: one SQL text, one way to read and one way to write, on SQLite and on PostgreSQL.
//!
//! - [`Db::read`] lends a connection that cannot write. On SQLite the query runs in place, without changing threads.
//! - [`Db::transaction`] hands a job to the one writer, which runs waiting jobs together, commits them durably once and
//!   then answers each: *group commit*. A job that fails takes only its own changes back.
//! - Everything blocks but waiting for a job that was handed over ([`Db::submit`]); callers in asynchronous code stand on a blocking
//!   thread, or await that.
//!
//! Rules that keep one SQL text good on both: columns are `TEXT`, `BIGINT`, `BYTEA`; placeholders are `$1`; sums and
//! untyped parameters are cast (`CAST(SUM(n) AS BIGINT)`, `CAST($1 AS TEXT) IS NULL`); inserts that may meet an existing
//! row say `ON CONFLICT`, because a failed statement ends its job.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle, ThreadId};

pub use error::Error;
pub use migrate::Migration;
pub use value::{Row, Value};
pub use writer::{Counters, Group, Pending, Tx};

use driver::Driver;
use pool::Pool;
use writer::{Counting, Message, Writer};

mod answer;
mod driver;
mod error;
mod migrate;
mod pool;
mod postgres;
mod sqlite;
mod value;
mod writer;

/// A database. Clones share the writer and the readers; the last one to go lets the writer finish what is waiting.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

/// How much a database may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections for reading.
    pub readers: usize,
    /// Jobs that may wait for the writer before further ones are turned away with [`Error::Busy`].
    pub queue: usize,
}

/// The two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Sqlite,
}

/// Which database of PostgreSQL this is, as its server tells it: another address does not make it another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// When the server was started, in microseconds, which tells servers apart that are copies of one another.
    server_since: i64,
    /// The number of the database in it.
    number: i64,
    schema: Option<String>,
}

/// Something that runs statements. A statement begins with the comment `-- noun_verb`, its name in errors.
pub trait Connection {
    /// Runs a statement and says how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error>;

    /// Runs one statement for each list of parameters, and says how many rows all of them changed.
    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error>;

    /// All rows of a query.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error>;

    /// The first row of a query, if there is one.
    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error>;

    /// Runs several statements without parameters, separated by `;`. For migrations.
    fn script(&mut self, sql: &str) -> Result<(), Error>;
}

impl Db {
    /// Opens `sqlite:/path/file.db` (made when missing) or `postgres://user@host/name` (`postgres:///name?host=/socket/dir`).
    pub fn open(url: &str, options: &Options) -> Result<Self, Error> {
        let (kind, connected) = if let Some(path) = sqlite_path(url) {
            (Kind::Sqlite, sqlite::open(path, options.readers.max(1) + ASIDE)?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            (Kind::Postgres, postgres::open(url, options.readers.max(1) + ASIDE)?)
        } else {
            return Err(Error::Url {});
        };
        Self::start(kind, connected, options)
    }

    /// Opens a copy that nobody writes, as a backup. A file of SQLite and its folder stay byte for byte as they are, and a transaction is
    /// refused; a copy beside which a write-ahead log lies is not whole, and is refused too. On PostgreSQL as [`Db::open`].
    pub fn open_backup(url: &str) -> Result<Self, Error> {
        let options = Options { readers: 1, queue: 1 };
        match sqlite_path(url) {
            Some(path) => Self::start(Kind::Sqlite, sqlite::open_backup(path)?, &options),
            None => Self::open(url, &options),
        }
    }

    fn start(kind: Kind, (writer, mut readers): (Connected, Vec<Connected>), options: &Options) -> Result<Self, Error> {
        let aside = readers.split_off(options.readers.max(1));
        let group = Arc::new(Mutex::new(None));
        let counting = Arc::new(Counting::default());
        let (queue, waiting) = mpsc::sync_channel(options.queue.max(1));
        let thread = Writer::new(waiting, writer, Arc::clone(&group), Arc::clone(&counting));
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|_| Error::Unavailable { detail: "no thread for the writer".to_owned() })?;
        let inner = Inner {
            kind,
            writer: thread.thread().id(),
            thread: Some(thread),
            queue: Some(queue),
            group,
            counting,
            readers: Pool::new(readers),
            aside: Pool::new(aside),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Copies the database of SQLite behind `url` into a file, as it is at one moment and while it is in use. `false`: it is
    /// none of SQLite, and its own tools have to copy it.
    pub fn copy(url: &str, to: &std::path::Path) -> Result<bool, Error> {
        let Some(path) = sqlite_path(url) else { return Ok(false) };
        sqlite::copy(path, to).map(|()| true)
    }

    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Which database this is; `None` on SQLite.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        if self.kind() == Kind::Sqlite {
            return Ok(None);
        }
        let sql = "-- database_identity\nSELECT CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000 AS BIGINT), \
                   CAST(oid AS BIGINT), CAST(current_schema() AS TEXT) FROM pg_database WHERE datname = current_database()";
        let row = self.read(|conn| conn.query_one(sql, &[]))?;
        row.map(|row| {
            let schema = row.optional_text(2)?.map(str::to_owned);
            Ok(Identity { server_since: row.integer(0)?, number: row.integer(1)?, schema })
        })
        .transpose()
    }

    /// Lends a connection that cannot write. Each statement sees what was committed when it started.
    pub fn read<T, E: From<Error>>(&self, work: impl FnOnce(&mut dyn Connection) -> Result<T, E>) -> Result<T, E> {
        let mut lease = self.inner.readers.take()?;
        work(lease.connection())
    }

    /// As [`Db::read`], on a connection that is kept for what is read while another one is lent: whoever holds one of those and waited for a
    /// second would wait for others who do the same. `work` must not read anything itself.
    pub fn read_aside<T, E: From<Error>>(&self, work: impl FnOnce(&mut dyn Connection) -> Result<T, E>) -> Result<T, E> {
        let mut lease = self.inner.aside.take()?;
        work(lease.connection())
    }

    /// As [`Db::read`], and all statements see the database as it was at the first of them.
    pub fn snapshot<T, E: From<Error>>(&self, work: impl FnOnce(&mut dyn Connection) -> Result<T, E>) -> Result<T, E> {
        let mut lease = self.inner.readers.take()?;
        lease.hold()?;
        work(lease.connection())
    }

    /// Runs `job` in a transaction and waits until it is durable. The job may be run again when another transaction gets
    /// in its way, so it must not do anything that cannot be taken back.
    pub fn transaction<T, E, F>(&self, name: &'static str, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(name, job).wait()
    }

    /// As [`Db::transaction`], without waiting: the caller can hand over several jobs and wait for them later.
    pub fn submit<T, E, F>(&self, name: &'static str, job: F) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        if thread::current().id() == self.inner.writer {
            return Pending::refused(Error::Nested { name }.into());
        }
        let (message, pending) = Message::job(name, job);
        match self.inner.queue.as_ref().map(|queue| queue.try_send(message)) {
            Some(Ok(())) => pending,
            Some(Err(mpsc::TrySendError::Full(_))) => Pending::refused(Error::Busy {}.into()),
            Some(Err(mpsc::TrySendError::Disconnected(_))) | None => Pending::refused(Error::Closed {}.into()),
        }
    }

    /// Installs what every batch of jobs shares, from the next batch on. Migrate first: its hooks run around every batch.
    pub fn set_group(&self, group: Box<dyn Group>) {
        *self.inner.group.lock().unwrap_or_else(PoisonError::into_inner) = Some(group);
    }

    /// Applies the migrations that are not applied yet and says how many those were.
    pub fn migrate(&self, migrations: &[Migration]) -> Result<usize, Error> {
        migrate::migrate(self, migrations)
    }

    /// Empties SQLite's write-ahead log into the main file, so that deleted rows leave both. Does nothing on PostgreSQL.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.rewritten("checkpoint", &[])
    }

    /// Makes the deleted rows of these tables leave the files of the database. On SQLite, where what is deleted is overwritten, by
    /// emptying the write-ahead log; on PostgreSQL by writing the tables anew, which is refused with [`Error::Unpurged`] when the role
    /// may not, or when somebody still looks at an older state.
    pub fn purge(&self, tables: &'static [&'static str]) -> Result<(), Error> {
        self.rewritten("purge", tables)
    }

    fn rewritten(&self, name: &'static str, tables: &'static [&'static str]) -> Result<(), Error> {
        if thread::current().id() == self.inner.writer {
            return Err(Error::Nested { name });
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let queue = self.inner.queue.as_ref().ok_or(Error::Closed {})?;
        queue.send(Message::Checkpoint { tables, answer }).map_err(|_| Error::Closed {})?;
        answered.recv().unwrap_or(Err(Error::Closed {}))
    }

    /// Since when the write-ahead log that the server of PostgreSQL keeps has been written, in microseconds since 1970 UTC: what was
    /// deleted later may still be in it. `None` on SQLite, whose log a purge empties.
    pub fn log_horizon(&self) -> Result<Option<i64>, Error> {
        if self.kind() == Kind::Sqlite {
            return Ok(None);
        }
        let sql =
            "-- log_horizon\nSELECT CAST(FLOOR(EXTRACT(EPOCH FROM MIN(modification))) AS BIGINT) * 1000000 FROM pg_ls_waldir()";
        let row = self.read(|conn| conn.query_one(sql, &[])).map_err(|error| match error {
            Error::Refused { .. } => unpurged("its role may not see the age of the write-ahead log", "Grant it pg_monitor."),
            other => other,
        })?;
        row.map(|row| row.integer(0)).transpose()
    }

    /// Whether the server of PostgreSQL compresses its write-ahead log so that bytes of chance cannot be found in it. Other methods leave
    /// them as they are.
    pub fn hides_log(&self) -> Result<bool, Error> {
        if self.kind() == Kind::Sqlite {
            return Ok(false);
        }
        let sql = "-- wal_compression\nSELECT current_setting('wal_compression')";
        let row = self.read(|conn| conn.query_one(sql, &[]))?;
        Ok(row.map(|row| row.text(0).map(|method| method == "zstd")).transpose()?.unwrap_or(false))
    }

    /// Whether a purge of these tables could succeed. For `doctor`; it changes nothing.
    pub fn may_purge(&self, tables: &[&str]) -> Result<(), Error> {
        if self.kind() == Kind::Sqlite {
            return Ok(());
        }
        let sql = "-- may_purge\nSELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass($1)";
        for table in tables {
            let row = self.read(|conn| conn.query_one(sql, &[(*table).into()]))?;
            if row.map(|row| row.integer(0)).transpose()? != Some(1) {
                return Err(not_owner(table));
            }
        }
        self.log_horizon().map(drop)
    }

    /// What the writer has done since the database was opened.
    pub fn counters(&self) -> Counters {
        self.inner.counting.read()
    }
}

impl Identity {
    /// Whether both are in one database, be it in different schemas.
    pub fn is_in_one_database_with(&self, other: &Self) -> bool {
        (self.server_since, self.number) == (other.server_since, other.number)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4, queue: 8_192 }
    }
}

struct Inner {
    kind: Kind,
    writer: ThreadId,
    thread: Option<JoinHandle<()>>,
    queue: Option<mpsc::SyncSender<Message>>,
    group: Arc<Mutex<Option<Box<dyn Group>>>>,
    counting: Arc<Counting>,
    readers: Pool,
    aside: Pool,
}

/// Connections for [`Db::read_aside`].
const ASIDE: usize = 2;

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.queue.take());
        // A job may own the last clone, and then this is the writer's own thread, which cannot wait for itself.
        if let Some(thread) = self.thread.take()
            && thread::current().id() != self.writer
        {
            let _ = thread.join();
        }
    }
}

/// The path of a database of SQLite.
fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

fn not_owner(table: &str) -> Error {
    unpurged(&format!("its role may not write the table {table} anew"), "Make it the owner of the tables of the pass.")
}

fn unpurged(why: &str, what_to_do: &'static str) -> Error {
    Error::Unpurged { why: why.to_owned(), what_to_do }
}

/// A connection of either database, for the writer or for the readers.
type Connected = Box<dyn Driver>;
