//! SQLite: one file, one writing connection, reading connections beside it.

use std::collections::HashMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection as Handle, OpenFlags, ffi};

use super::driver::{Driver, Failure};
use super::error::statement_name;
use super::{Connected, Connection, Error, Row, Value};

/// Prepared statements each connection keeps.
const STATEMENTS: usize = 512;

/// Pages copied in one go; a writer that comes in between makes the copy begin again.
const COPIED_AT_ONCE: i32 = i32::MAX;

/// Memory for pages that each connection keeps. The writer touches many pages in random order; what readers lack is in the
/// memory of the operating system, which all of them share.
const WRITER_CACHE_KIB: i64 = 6_144;
const READER_CACHE_KIB: i64 = 1_024;

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

pub(super) fn open(path: &str, readers: usize) -> Result<(Connected, Vec<Connected>), Error> {
    if path.is_empty() || path.starts_with(':') {
        return Err(Error::Url {});
    }
    close_to_others(Path::new(path));
    let writer = Sqlite::writer(path).map_err(|error| unavailable(&error))?;
    let readers = (0..readers.max(1))
        .map(|_| Ok(Box::new(Sqlite::reader(path)?) as Connected))
        .collect::<rusqlite::Result<_>>()
        .map_err(|error| unavailable(&error))?;
    Ok((Box::new(writer), readers))
}

/// Opens a file that nobody writes. SQLite neither locks it nor makes anything beside it.
pub(super) fn open_backup(path: &str) -> Result<(Connected, Vec<Connected>), Error> {
    let missing = |_| Error::Unavailable { detail: "there is no such file".to_owned() };
    let path = std::fs::canonicalize(path).map_err(missing)?;
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(Error::Unavailable { detail: "a write-ahead log lies beside it, so it is not whole".to_owned() });
    }
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let connect = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Box::new(Sqlite::connect(&uri, flags, READER_CACHE_KIB)?) as Connected)
    };
    connect().and_then(|writer| Ok((writer, vec![connect()?, connect()?]))).map_err(|error: rusqlite::Error| unavailable(&error))
}

/// Copies a database as it is at one moment, while others read and write it. Both are paths.
pub(super) fn copy(from: &str, to: &Path) -> Result<(), Error> {
    close_to_others(to);
    let run = || {
        let from = Sqlite::reader(from)?;
        let mut to = Handle::open(to)?;
        rusqlite::backup::Backup::new(&from.handle, &mut to)?.run_to_completion(COPIED_AT_ONCE, Duration::ZERO, None)?;
        to.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())).or(Ok(()))
    };
    run().map_err(|error: rusqlite::Error| unavailable(&error))
}

/// Lets only the owner read a database, one that is not there yet too; SQLite gives the files beside it the same mode. What cannot be
/// changed stays: the permissions of the folder are then what keeps others out.
fn close_to_others(path: &Path) {
    // Never opened when it exists: closing it again would drop the locks that this process has on it.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    for end in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(end);
        if std::fs::metadata(&file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            let _ = std::fs::set_permissions(&file, Permissions::from_mode(0o600));
        }
    }
}

struct Sqlite {
    handle: Handle,
    failure: Option<Failure>,
    /// The names of a statement's columns, which only error messages need.
    columns: HashMap<String, Arc<[String]>>,
}

impl Sqlite {
    fn writer(path: &str) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = Self::connect(path, flags, WRITER_CACHE_KIB)?;
        // The page size counts only before the first table, and before the journal mode is set.
        sqlite.handle.pragma_update(None, "page_size", 8_192)?;
        let mode: String = sqlite.handle.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        let secure: i64 = sqlite.handle.pragma_update_and_check(None, "secure_delete", "ON", |row| row.get(0))?;
        if mode != "wal" || secure != 1 {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None));
        }
        sqlite.handle.pragma_update(None, "synchronous", "FULL")?;
        let _: i64 = sqlite.handle.pragma_update_and_check(None, "wal_autocheckpoint", 20_000, |row| row.get(0))?;
        sqlite.handle.pragma_update(None, "foreign_keys", "ON")?;
        Ok(sqlite)
    }

    fn reader(path: &str) -> rusqlite::Result<Self> {
        let sqlite = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, READER_CACHE_KIB)?;
        sqlite.handle.pragma_update(None, "query_only", "ON")?;
        Ok(sqlite)
    }

    fn connect(path: &str, flags: OpenFlags, cache_kib: i64) -> rusqlite::Result<Self> {
        let handle = Handle::open_with_flags(path, flags)?;
        handle.busy_timeout(BUSY)?;
        handle.set_prepared_statement_cache_capacity(STATEMENTS);
        // A plan that looked at what is bound is made anew for every other value, which costs more than most queries.
        handle.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Sorting must not leave plain copies in temporary files.
        handle.pragma_update(None, "temp_store", "MEMORY")?;
        handle.pragma_update(None, "cache_size", -cache_kib)?;
        Ok(Self { handle, failure: None, columns: HashMap::new() })
    }

    /// Prepares (or finds) the statement, and lets `work` bind and run it.
    fn run<T>(&mut self, sql: &str, work: impl FnOnce(&mut CachedStatement<'_>) -> Result<T, Stopped>) -> Result<T, Error> {
        let outcome = match self.handle.prepare_cached(sql) {
            Ok(mut statement) => work(&mut statement),
            Err(error) => Err(Stopped::Prepare(error)),
        };
        outcome.map_err(|stopped| match stopped {
            Stopped::Parameters(error) => error,
            Stopped::Prepare(error) => self.explain(sql, &error, true),
            Stopped::Step(error) => self.explain(sql, &error, false),
        })
    }

    fn query_at_most(&mut self, sql: &str, params: &[Value], limit: usize) -> Result<Vec<Row>, Error> {
        let known = self.columns.get(sql).cloned();
        let is_new = known.is_none();
        let (columns, found) = self.run(sql, |statement| {
            bind(statement, sql, params)?;
            let columns = known.unwrap_or_else(|| statement.column_names().map(str::to_owned).collect());
            // A statement that writes is always run to its end.
            let limit = if statement.readonly() { limit } else { usize::MAX };
            let mut found = Vec::new();
            let mut rows = statement.raw_query();
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let values = columns.iter().enumerate().map(|(index, column)| Ok(value(row.get_ref(index)?, column)?));
                let values = values.collect::<Result<_, Stopped>>()?;
                found.push(Row::new(Arc::clone(&columns), values));
            }
            Ok((columns, found))
        })?;
        if is_new && self.columns.len() < STATEMENTS {
            self.columns.insert(sql.to_owned(), columns);
        }
        Ok(found)
    }

    fn plain(&mut self, sql: &str) -> Result<(), Failure> {
        let outcome = self.handle.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => {
                let explained = self.explain(sql, &error, false);
                Err(self.failure.take().unwrap_or(Failure::Aborted(explained)))
            }
        }
    }

    /// Turns SQLite's error into ours, and notes what concerns the whole transaction. SQLite's own words are used only where
    /// they cannot hold a parameter: when preparing, and for the columns of a constraint.
    fn explain(&mut self, sql: &str, error: &rusqlite::Error, preparing: bool) -> Error {
        let statement = statement_name(sql);
        let Some(code) = error.sqlite_error() else {
            return Error::Refused { statement, detail: "the driver does not accept it".to_owned() };
        };
        let message = message(error);
        let explained = match (code.extended_code & 0xff, code.extended_code) {
            (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => {
                let columns = message.rsplit(": ").next().unwrap_or_default();
                return Error::Conflict { constraint: columns.to_owned() };
            }
            (ffi::SQLITE_CONSTRAINT, _) => return Error::Refused { statement, detail: message.to_owned() },
            (ffi::SQLITE_READONLY, _) => return Error::ReadOnly { statement },
            (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED, _) => Error::Busy {},
            (ffi::SQLITE_IOERR | ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB, number) => {
                let fatal = Error::Fatal { detail: format!("SQLite error {number}") };
                self.failure = Some(Failure::Fatal(fatal.clone()));
                return fatal;
            }
            (ffi::SQLITE_FULL | ffi::SQLITE_NOMEM | ffi::SQLITE_CANTOPEN, _) => unavailable(error),
            _ if preparing => Error::Refused { statement, detail: message.to_owned() },
            (_, number) => Error::Refused { statement, detail: format!("SQLite error {number}") },
        };
        if matches!(explained, Error::Unavailable { .. }) {
            self.failure = Some(Failure::Aborted(explained.clone()));
        }
        explained
    }
}

impl Connection for Sqlite {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.run(sql, |statement| {
            bind(statement, sql, params)?;
            step(statement)
        })
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
        self.run(sql, |statement| {
            let mut changed = 0;
            for row in rows {
                bind(statement, sql, row)?;
                changed += step(statement)?;
            }
            Ok(changed)
        })
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        self.query_at_most(sql, params, usize::MAX)
    }

    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.query_at_most(sql, params, 1)?.into_iter().next())
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        let outcome = self.handle.execute_batch(sql);
        outcome.map_err(|error| self.explain(sql, &error, true))
    }
}

impl Driver for Sqlite {
    fn ready(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.failure = None;
        self.plain("BEGIN IMMEDIATE")
    }

    fn begin_snapshot(&mut self) -> Result<(), Error> {
        self.script("BEGIN DEFERRED")
    }

    fn savepoint(&mut self) -> Result<(), Failure> {
        self.plain("SAVEPOINT job")
    }

    fn release(&mut self) -> Result<(), Failure> {
        self.plain("RELEASE job")
    }

    fn rollback_savepoint(&mut self) -> Result<(), Failure> {
        self.plain("ROLLBACK TO job")?;
        self.plain("RELEASE job")
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.plain("COMMIT")
    }

    fn rollback(&mut self) {
        if !self.handle.is_autocommit() {
            let _ = self.handle.execute_batch("ROLLBACK");
        }
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn checkpoint(&mut self, _: &[&str]) -> Result<(), Error> {
        let busy = self.handle.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        match busy {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::Busy {}),
            Err(error) => Err(self.explain("-- checkpoint", &error, false)),
        }
    }
}

/// Where a statement stopped.
enum Stopped {
    Parameters(Error),
    Prepare(rusqlite::Error),
    Step(rusqlite::Error),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Step(error)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Parameters(error)
    }
}

/// Binds `$1`, `$2`, ... by number; to SQLite they are names, counted in the order in which they appear.
fn bind(statement: &mut CachedStatement<'_>, sql: &str, params: &[Value]) -> Result<(), Stopped> {
    let mut largest = 0;
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let number = name.and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
        let Some(value) = number.checked_sub(1).and_then(|number| params.get(number)) else {
            return Err(miscounted(sql, params.len()).into());
        };
        largest = largest.max(number);
        statement.raw_bind_parameter(index, value)?;
    }
    if largest == params.len() { Ok(()) } else { Err(miscounted(sql, params.len()).into()) }
}

fn miscounted(sql: &str, given: usize) -> Error {
    Error::Refused { statement: statement_name(sql), detail: format!("{given} parameters do not fit its placeholders") }
}

/// Runs a bound statement to its end, also when it returns rows.
fn step(statement: &mut CachedStatement<'_>) -> Result<u64, Stopped> {
    if statement.column_count() == 0 {
        return Ok(statement.raw_execute()? as u64);
    }
    let mut count = 0;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

fn value(found: ValueRef<'_>, column: &str) -> Result<Value, Error> {
    let inconsistent = |found: &str| Error::Inconsistent {
        column: format!("Column {column}"),
        expected: "null, an integer, text or bytes",
        found: found.to_owned(),
    };
    match found {
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Integer(integer) => Ok(Value::Integer(integer)),
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Real(_) => Err(inconsistent("a fraction")),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| inconsistent("not UTF-8"))?;
            Ok(Value::Text(text.to_owned()))
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn message(error: &rusqlite::Error) -> &str {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        _ => "",
    }
}

fn unavailable(error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    Error::Unavailable { detail: format!("SQLite error {code}, {}", ffi::code_to_str(code)) }
}

#[cfg(test)]
mod tests {
    use rusqlite::{StatementStatus, params};

    use super::*;

    const SQL: &str = "SELECT sealed FROM keyrings WHERE shard = $1 AND resident = $2 ORDER BY version DESC";

    /// How often one statement was prepared again while it was run with other values.
    fn prepared_again(handle: &Handle) -> i32 {
        handle
            .execute_batch(
                "CREATE TABLE keyrings (shard BIGINT NOT NULL, resident BIGINT NOT NULL, version BIGINT NOT NULL, \
                 sealed BYTEA NOT NULL, PRIMARY KEY (shard, resident, version))",
            )
            .unwrap();
        let mut statement = handle.prepare(SQL).unwrap();
        for resident in 0..5 {
            assert!(statement.query(params![7, resident]).unwrap().next().unwrap().is_none());
        }
        statement.get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_is_bound() {
        let dir = tempfile::tempdir().unwrap();
        let plain = Handle::open_in_memory().unwrap();
        assert!(prepared_again(&plain) > 0, "as SQLite comes it would be");
        let writer = Sqlite::writer(dir.path().join("pass.db").to_str().unwrap()).unwrap();
        assert_eq!(prepared_again(&writer.handle), 0);
    }
}
