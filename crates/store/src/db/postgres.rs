//! PostgreSQL: connections driven by a thread of their own, used from the caller's thread.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::driver::{Driver, Failure};
use super::error::statement_name;
use super::{Connected, Connection, Error, Row, Value, not_owner, unpurged};

/// Prepared statements each connection keeps.
const STATEMENTS: usize = 512;

/// Statements sent ahead of their answers.
const PIPELINE: usize = 512;

const CONNECT: Duration = Duration::from_secs(5);

pub(super) fn open(url: &str, readers: usize) -> Result<(Connected, Vec<Connected>), Error> {
    let mut config: Config = url.parse().map_err(|_| Error::Url {})?;
    config.application_name("usufruct").connect_timeout(CONNECT);
    let config = Arc::new(config);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("store-postgres")
        .enable_all()
        .build()
        .map_err(|_| unavailable("no thread for the connections"))?;
    let readers = (0..readers.max(1)).map(|_| Box::new(Postgres::new(&runtime, &config, READER)) as Connected).collect();
    let mut writer = Postgres::new(&runtime, &config, WRITER);
    writer.drives = Some(runtime);
    writer.ready()?;
    Ok((Box::new(writer), readers))
}

/// What a connection is told when it is made.
const WRITER: &str = "SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '60s'";
const READER: &str = "SET default_transaction_read_only = on; SET idle_in_transaction_session_timeout = '60s'";

struct Postgres {
    runtime: Handle,
    /// The writer's connection lives longest, so it keeps the runtime that drives all of them.
    drives: Option<Runtime>,
    config: Arc<Config>,
    setup: &'static str,
    client: Option<Arc<Client>>,
    statements: HashMap<String, Statement>,
    /// Savepoints that were sent and whose answers come before that of the next statement.
    ahead: Vec<Ahead>,
    failure: Option<Failure>,
}

type Ahead = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

impl Postgres {
    fn new(runtime: &Runtime, config: &Arc<Config>, setup: &'static str) -> Self {
        Self {
            runtime: runtime.handle().clone(),
            drives: None,
            config: Arc::clone(config),
            setup,
            client: None,
            statements: HashMap::new(),
            ahead: Vec::new(),
            failure: None,
        }
    }

    fn connect(&mut self) -> Result<(), Error> {
        self.give_up();
        let (answer, connected) = mpsc::sync_channel(1);
        let config = Arc::clone(&self.config);
        self.runtime.spawn(async move {
            match config.connect(NoTls).await {
                Ok((client, connection)) => {
                    let _ = answer.send(Ok(client));
                    // Its end shows in the client, which is then closed.
                    let _ = connection.await;
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            }
        });
        let client = match connected.recv() {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(unavailable(error.code().map_or("no connection", |state| state.code()))),
            Err(_) => return Err(Error::Closed {}),
        };
        block_on(client.batch_execute(self.setup)).map_err(|_| unavailable("no connection"))?;
        self.client = Some(Arc::new(client));
        Ok(())
    }

    fn give_up(&mut self) {
        self.ahead.clear();
        self.statements.clear();
        self.client = None;
    }

    fn client(&self) -> Result<Arc<Client>, Error> {
        self.client.clone().ok_or_else(|| unavailable("no connection"))
    }

    fn prepare(&mut self, client: &Client, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = block_on(client.prepare(sql));
        let statement = self.settled(sql, prepared)?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The outcome of a statement, after that of the savepoints sent ahead of it.
    fn settled<T>(&mut self, sql: &str, outcome: Result<T, tokio_postgres::Error>) -> Result<T, Error> {
        for ahead in std::mem::take(&mut self.ahead) {
            if let Err(error) = block_on(ahead) {
                return Err(self.explain(sql, &error));
            }
        }
        outcome.map_err(|error| {
            // A plan may have become stale by a migration.
            self.statements.remove(sql);
            self.explain(sql, &error)
        })
    }

    /// Sends a command without waiting for its answer, which `settled` looks at.
    fn send_ahead(&mut self, sql: &'static str) -> Result<(), Failure> {
        let client = self.client().map_err(Failure::Aborted)?;
        let mut ahead: Ahead = Box::pin(async move { client.batch_execute(sql).await });
        // The first poll sends it.
        match ahead.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                self.ahead.push(ahead);
                Ok(())
            }
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => {
                let explained = self.explain(sql, &error);
                Err(self.failure.take().unwrap_or(Failure::Aborted(explained)))
            }
        }
    }

    fn plain(&mut self, sql: &'static str) -> Result<(), Failure> {
        let client = self.client().map_err(Failure::Aborted)?;
        let outcome = block_on(client.batch_execute(sql));
        self.settled(sql, outcome).map_err(|error| self.failure.take().unwrap_or(Failure::Aborted(error)))
    }

    /// Turns PostgreSQL's error into ours, and notes what concerns the whole transaction. PostgreSQL's own words are used only
    /// for class 42 (the statement itself is wrong); other messages can quote a parameter.
    fn explain(&mut self, sql: &str, error: &tokio_postgres::Error) -> Error {
        let statement = statement_name(sql);
        let Some(details) = error.as_db_error() else {
            let lost = error.is_closed() || error.source().is_none_or(|cause| cause.is::<std::io::Error>());
            if !lost && !self.client.as_ref().is_some_and(|client| client.is_closed()) {
                return Error::Refused { statement, detail: "the driver does not accept it".to_owned() };
            }
            return self.lost("connection lost");
        };
        let code = details.code().code();
        match code {
            "23505" => Error::Conflict { constraint: details.constraint().unwrap_or_default().to_owned() },
            "25006" => Error::ReadOnly { statement },
            "40001" | "40P01" => {
                self.failure = Some(Failure::Retry);
                Error::Contended { attempts: 1 }
            }
            "58030" | "XX001" | "XX002" => {
                let fatal = Error::Fatal { detail: format!("PostgreSQL state {code}") };
                self.failure = Some(Failure::Fatal(fatal.clone()));
                fatal
            }
            "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => self.lost(code),
            _ if code.starts_with("08") => self.lost(code),
            _ if code.starts_with("53") => {
                let error = unavailable(code);
                self.failure = Some(Failure::Aborted(error.clone()));
                error
            }
            _ if code.starts_with("23") => {
                let name = details.constraint().or(details.column()).unwrap_or(code);
                Error::Refused { statement, detail: format!("constraint {name}") }
            }
            _ if code.starts_with("42") => Error::Refused { statement, detail: details.message().to_owned() },
            _ => Error::Refused { statement, detail: format!("PostgreSQL state {code}") },
        }
    }

    fn lost(&mut self, detail: &str) -> Error {
        let error = unavailable(detail);
        self.failure = Some(Failure::Aborted(error.clone()));
        self.give_up();
        error
    }
}

impl Postgres {
    /// Writes a table anew without its deleted rows, and checks that this was done: a role that does not own it is only warned, and a
    /// row that an older transaction may look at is kept.
    fn rewrite(&mut self, table: &str) -> Result<(), Error> {
        let number = |found: Option<Row>| found.map(|row| row.integer(0)).transpose();
        // Removes what nobody can see any more, and counts what has to be kept. What is kept would be copied, so it has to be nothing.
        self.script(&format!("-- purge_count\nVACUUM {table}"))?;
        let kept = "-- purge_kept\nSELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = to_regclass($1)";
        if number(self.query_one(kept, &[table.into()])?)? != Some(0) {
            return Err(unpurged(
                &format!("a transaction, a replica or a replication slot still looks at an older state of {table}"),
                "It is tried again; end what has been open for so long.",
            ));
        }
        let place = "-- purge_place\nSELECT CAST(pg_relation_filenode(to_regclass($1)) AS BIGINT)";
        let before = number(self.query_one(place, &[table.into()])?)?;
        match self.script(&format!("-- purge_rewrite\nVACUUM FULL {table}")) {
            // PostgreSQL says so when the table is in use for longer than the wait.
            Err(Error::Refused { detail, .. }) if detail.contains("55P03") => {
                return Err(unpurged(
                    &format!("the table {table} is in use"),
                    "It is tried again; see what uses it for so long.",
                ));
            }
            outcome => outcome?,
        }
        if number(self.query_one(place, &[table.into()])?)? == before {
            return Err(not_owner(table));
        }
        Ok(())
    }
}

/// How long a purge waits for a table that is in use, while everything else waits for it.
const LOCK_WAIT: &str = "5s";

impl Connection for Postgres {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let client = self.client()?;
        let statement = self.prepare(&client, sql)?;
        check(&statement, sql, params)?;
        let outcome = block_on(client.execute_raw(&statement, params));
        self.settled(sql, outcome)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value>]) -> Result<u64, Error> {
        let client = self.client()?;
        let statement = self.prepare(&client, sql)?;
        let mut changed = 0;
        for rows in rows.chunks(PIPELINE) {
            for row in rows {
                check(&statement, sql, row)?;
            }
            let outcomes = block_on(join_all(rows.iter().map(|row| client.execute_raw(&statement, row))));
            // The first error is the cause; those after it only say that the transaction has failed.
            let outcome = outcomes.into_iter().try_fold(0, |sum, changed| changed.map(|changed| sum + changed));
            changed += self.settled(sql, outcome)?;
        }
        Ok(changed)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let client = self.client()?;
        let statement = self.prepare(&client, sql)?;
        check(&statement, sql, params)?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
        let outcome = block_on(client.query(&statement, &params));
        let found = self.settled(sql, outcome)?;
        let columns: Arc<[String]> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        found.iter().map(|row| decode(row, &columns)).collect()
    }

    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params)?.into_iter().next())
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        let client = self.client()?;
        let outcome = block_on(client.batch_execute(sql));
        self.statements.clear();
        self.settled(sql, outcome)
    }
}

impl Driver for Postgres {
    fn ready(&mut self) -> Result<(), Error> {
        self.failure = None;
        match &self.client {
            Some(client) if !client.is_closed() => Ok(()),
            _ => self.connect(),
        }
    }

    fn begin(&mut self) -> Result<(), Failure> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
        self.ready().map_err(Failure::Aborted)?;
        match self.plain(BEGIN) {
            // An idle connection may have died without anybody noticing. Nothing has been done on it: try a new one.
            Err(_) if self.client.is_none() => {
                self.connect().map_err(Failure::Aborted)?;
                self.plain(BEGIN)
            }
            outcome => outcome,
        }
    }

    fn begin_snapshot(&mut self) -> Result<(), Error> {
        self.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn savepoint(&mut self) -> Result<(), Failure> {
        self.send_ahead("SAVEPOINT job")
    }

    fn release(&mut self) -> Result<(), Failure> {
        self.send_ahead("RELEASE SAVEPOINT job")
    }

    fn rollback_savepoint(&mut self) -> Result<(), Failure> {
        self.plain("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job")
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let client = self.client().map_err(Failure::Aborted)?;
        let outcome = block_on(client.batch_execute("COMMIT"));
        let answered = outcome.as_ref().err().is_none_or(|error| error.as_db_error().is_some());
        // A command that failed ahead of COMMIT turns it into ROLLBACK without an error of its own: `settled` sees it.
        match self.settled("-- commit", outcome) {
            Ok(()) => Ok(()),
            Err(error) if answered && self.client.is_some() => Err(self.failure.take().unwrap_or(Failure::Aborted(error))),
            Err(_) => {
                self.give_up();
                Err(Failure::Unknown)
            }
        }
    }

    fn rollback(&mut self) {
        self.ahead.clear();
        if self.client.is_some() && self.plain("ROLLBACK").is_err() {
            self.give_up();
        }
        self.failure = None;
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn checkpoint(&mut self, tables: &[&str]) -> Result<(), Error> {
        if tables.is_empty() {
            return Ok(());
        }
        self.ready()?;
        self.script(&format!("-- purge_wait\nSET lock_timeout = '{LOCK_WAIT}'"))?;
        let outcome = tables.iter().try_for_each(|table| self.rewrite(table));
        self.script("-- purge_waited\nRESET lock_timeout")?;
        outcome?;
        // It removes what the rewritten tables were before. A role that may not do it leaves that to the server, which does it every few
        // minutes; their content is cut off when they are rewritten.
        match self.script("-- purge_checkpoint\nCHECKPOINT") {
            Err(Error::Refused { .. }) => Ok(()),
            outcome => outcome,
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.give_up();
        if let Some(runtime) = self.drives.take() {
            // A plain drop would wait, and must not in asynchronous code.
            runtime.shutdown_background();
        }
    }
}

/// Refuses parameters that do not fit, before anything is sent.
fn check(statement: &Statement, sql: &str, params: &[Value]) -> Result<(), Error> {
    let types = statement.params();
    if types.len() != params.len() {
        let detail = format!("{} parameters do not fit its placeholders", params.len());
        return Err(Error::Refused { statement: statement_name(sql), detail });
    }
    for (index, (ty, value)) in types.iter().zip(params).enumerate() {
        let expected = kind(ty);
        if expected != Some(value.kind()) && (*value != Value::Null || expected.is_none()) {
            return Err(Error::Inconsistent {
                column: format!("Parameter ${} of {}", index + 1, statement_name(sql)),
                expected: expected.unwrap_or("cast to TEXT, BIGINT or BYTEA"),
                found: value.kind().to_owned(),
            });
        }
    }
    Ok(())
}

fn kind(ty: &Type) -> Option<&'static str> {
    match *ty {
        Type::BYTEA => Some("bytes"),
        Type::INT2 | Type::INT4 | Type::INT8 => Some("an integer"),
        Type::BPCHAR | Type::NAME | Type::TEXT | Type::UNKNOWN | Type::VARCHAR => Some("text"),
        _ => None,
    }
}

fn decode(row: &tokio_postgres::Row, columns: &Arc<[String]>) -> Result<Row, Error> {
    let values = (0..row.len())
        .map(|index| {
            row.try_get(index).map_err(|_| Error::Inconsistent {
                column: format!("Column {}", columns[index]),
                expected: "null, an integer, text or bytes",
                found: format!("of type {}", row.columns()[index].type_().name()),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Row::new(Arc::clone(columns), values))
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().to_sql(ty, out),
            Self::Integer(integer) => match *ty {
                Type::INT2 => i16::try_from(*integer)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(*integer)?.to_sql(ty, out),
                _ => integer.to_sql(ty, out),
            },
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.as_str().to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        kind(ty).is_some()
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(match *ty {
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            Type::INT2 => Self::Integer(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        kind(ty).is_some() || *ty == Type::BOOL
    }
}

fn unavailable(detail: &str) -> Error {
    Error::Unavailable { detail: format!("PostgreSQL, {detail}") }
}

/// Waits for a future on this thread, whatever thread it is: the connections are driven by the runtime's own.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
