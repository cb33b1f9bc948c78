//! The database layer, the same suite on SQLite and on PostgreSQL.
//!
//! PostgreSQL is tested when `USUFRUCT_TEST_POSTGRES` holds an address (`script/postgres url` prints one); each test
//! makes a schema of its own in that database.

use usufruct_store::db::{Connection, Db, Error, Options};

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::suite::$name(&format!("sqlite:{}", folder.path().join("test.db").display()));
            })*
        }

        mod postgres {
            $(#[test]
            fn $name() {
                super::in_schema(stringify!($name), super::suite::$name);
            })*
        }
    };
}

suite!(
    a_bad_statement_is_refused_without_values,
    a_conflict_has_its_own_error,
    a_failed_commit_check_aborts_the_batch,
    a_failed_job_takes_back_only_itself,
    a_failed_statement_ends_its_job,
    a_full_queue_is_busy,
    a_panic_ends_only_its_job,
    a_panicking_group_ends_only_its_batch,
    a_reader_cannot_write,
    a_snapshot_sees_one_state,
    a_transaction_inside_a_transaction_is_refused,
    a_waiting_job_is_done_when_the_database_is_closed,
    concurrent_changes_lose_nothing,
    jobs_share_commits,
    many_rows_at_once,
    migrations_are_applied_once,
    placeholders_are_bound_by_number,
    readers_that_read_aside_do_not_wait_for_each_other,
    reopening_finds_what_was_committed,
    the_group_counts_only_what_stays,
    values_come_back_as_they_went,
);

fn open(url: &str) -> Db {
    Db::open(url, &Options::default()).unwrap()
}

fn make(db: &Db, table: &'static str) {
    db.transaction("make", move |tx| tx.script(table)).unwrap();
}

fn in_schema(name: &str, test: fn(&str)) {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: {name} on PostgreSQL, because USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("test_{}_{name}", std::process::id());
    let admin = open(&base);
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    test(&format!("{base}{separator}options=-csearch_path%3D{schema}"));
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    let _: Result<(), Error> = admin.transaction("drop", move |tx| tx.script(&drop));
}

mod suite {
    use std::any::Any;
    use std::sync::{Barrier, mpsc};
    use std::thread;

    use usufruct_store::db::{Connection, Db, Error, Group, Kind, Migration, Options, Pending, Tx, Value};
    use usufruct_store::params;

    use super::{make, open};

    const NOTES: &str = "CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT, raw BYTEA)";
    const INSERT: &str = "-- note_insert\nINSERT INTO notes (id, body, raw) VALUES ($1, $2, $3)";
    const COUNT: &str = "-- note_count\nSELECT COUNT(*) FROM notes";

    fn insert(tx: &mut Tx<'_>, id: i64) -> Result<(), Error> {
        tx.execute(INSERT, &params![id, "note", None::<i64>.map(|_| vec![0_u8])]).map(|_| ())
    }

    fn count(db: &Db) -> i64 {
        db.read(|connection| connection.query_one(COUNT, &[])?.unwrap().integer(0)).unwrap()
    }

    /// Holds the writer in a job until the returned sender is dropped, so that jobs gather behind it.
    fn hold(db: &Db) -> (mpsc::Sender<()>, Pending<(), Error>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let pending = db.submit("hold", move |_| {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        });
        running.recv().unwrap();
        (release, pending)
    }

    pub fn values_come_back_as_they_went(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let texts = ["", "用益", "O'Brien; --", "123", "$1"];
        let bytes: [&[u8]; 5] = [b"", b"123", b"\x00\xff", &[7; 100_000], b"\\x00"];
        for (id, (text, bytes)) in (0..).zip(texts.into_iter().zip(bytes)) {
            let params = params![id, text, bytes];
            assert_eq!(db.transaction("insert", move |tx| tx.execute(INSERT, &params)), Ok(1));
        }
        let extremes = [params![i64::MAX, None::<String>, None::<Vec<u8>>], params![i64::MIN, Value::Null, [9; 32]]];
        for params in extremes {
            assert_eq!(db.transaction("insert", move |tx| tx.execute(INSERT, &params)), Ok(1));
        }
        let rows = db.read(|c| c.query("-- note_list\nSELECT id, body, raw FROM notes ORDER BY id", &[])).unwrap();
        assert_eq!(rows.len(), 7);
        for (row, (text, bytes)) in rows[1..6].iter().zip(texts.into_iter().zip(bytes)) {
            assert_eq!((row.text(1).unwrap(), row.bytes(2).unwrap()), (text, bytes));
            assert_eq!((row.optional_text(1).unwrap(), row.optional_bytes(2).unwrap()), (Some(text), Some(bytes)));
        }
        assert_eq!((rows[0].integer(0), rows[6].integer(0)), (Ok(i64::MIN), Ok(i64::MAX)));
        assert_eq!((rows[6].optional_text(1), rows[6].optional_bytes(2)), (Ok(None), Ok(None)));
        assert_eq!(rows[0].array::<32>(2), Ok([9; 32]));
        assert!(rows[0].array::<31>(2).is_err());
        let Err(Error::Inconsistent { column, .. }) = rows[0].integer(2) else { panic!("bytes read as an integer") };
        assert_eq!(column, "Column raw");
        assert!(matches!(rows[0].text(1), Err(Error::Inconsistent { .. })), "null read as text");
        assert!(matches!(rows[0].text(3), Err(Error::Inconsistent { .. })), "a column that is not there");
        let sum = "-- note_sum\nSELECT CAST(SUM(id) AS BIGINT), EXISTS (SELECT 1 FROM notes) FROM notes WHERE id BETWEEN 0 AND 9";
        let row = db.read(|c| c.query_one(sum, &[])).unwrap().unwrap();
        assert_eq!((row.integer(0), row.integer(1)), (Ok(10), Ok(1)));
    }

    pub fn placeholders_are_bound_by_number(url: &str) {
        let db = open(url);
        let sql = "-- order_check\nSELECT CAST($2 AS TEXT), CAST($1 AS BIGINT), CAST($2 AS TEXT), '$3' -- $4";
        let row = db.read(|c| c.query_one(sql, &params![5, "five"])).unwrap().unwrap();
        assert_eq!((row.text(0), row.integer(1), row.text(2), row.text(3)), (Ok("five"), Ok(5), Ok("five"), Ok("$3")));
        for wrong in [&params![5][..], &params![5, "five", 6][..]] {
            assert!(matches!(db.read(|c| c.query_one(sql, wrong)), Err(Error::Refused { .. })));
        }
    }

    pub fn many_rows_at_once(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let rows: Vec<_> = (0..1_500_i64).map(|id| params![id, "note", [1; 20]].to_vec()).collect();
        let again = rows.clone();
        assert_eq!(db.transaction("insert", move |tx| tx.execute_many(INSERT, &rows)), Ok(1_500));
        assert_eq!(count(&db), 1_500);
        let outcome = db.transaction("insert", move |tx| tx.execute_many(INSERT, &again));
        assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
        assert_eq!(db.transaction("nothing", |tx| tx.execute_many(INSERT, &[])), Ok(0));
        let returning = "-- note_delete\nDELETE FROM notes WHERE id < $1 RETURNING id";
        let deleted = db.transaction("delete", move |tx| {
            let first = tx.query_one(returning, &params![10])?;
            Ok::<_, Error>((first.is_some(), tx.execute(returning, &params![20])?))
        });
        assert_eq!((deleted, count(&db)), (Ok((true, 10)), 1_480));
    }

    pub fn concurrent_changes_lose_nothing(url: &str) {
        let first = open(url);
        make(&first, "CREATE TABLE tally (id BIGINT PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO tally VALUES (1, 0)");
        // Two writers on one database, as two processes or two nodes would be.
        let second = open(url);
        thread::scope(|scope| {
            for worker in 0..8 {
                let db = if worker % 2 == 0 { &first } else { &second };
                scope.spawn(move || {
                    for _ in 0..50 {
                        db.transaction("increment", |tx| {
                            let n = tx.query_one("-- tally_read\nSELECT n FROM tally WHERE id = $1", &params![1])?;
                            let n = n.unwrap().integer(0)?;
                            tx.execute("-- tally_write\nUPDATE tally SET n = $1 WHERE id = $2", &params![n + 1, 1])
                        })
                        .unwrap();
                    }
                });
            }
        });
        let n = first.read(|c| c.query_one("-- tally_read\nSELECT n FROM tally WHERE id = $1", &params![1]));
        assert_eq!(n.unwrap().unwrap().integer(0), Ok(400));
        assert_eq!(first.counters().jobs + second.counters().jobs, 401);
    }

    pub fn jobs_share_commits(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let before = db.counters();
        let (release, held) = hold(&db);
        let pending: Vec<_> = (0..200).map(|id| db.submit("insert", move |tx| insert(tx, id))).collect();
        drop(release);
        held.wait().unwrap();
        pending.into_iter().for_each(|pending| pending.wait().unwrap());
        let after = db.counters();
        assert_eq!((after.jobs - before.jobs, count(&db)), (201, 200));
        assert!(after.commits - before.commits <= 150, "{after:?}");
    }

    pub fn a_failed_job_takes_back_only_itself(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let (release, held) = hold(&db);
        let good = db.submit("insert", |tx| insert(tx, 1));
        let bad: Pending<(), Error> = db.submit("insert", |tx| {
            insert(tx, 2)?;
            insert(tx, 3)?;
            Err(Error::Closed {})
        });
        let late = db.submit("insert", |tx| insert(tx, 3));
        drop(release);
        held.wait().unwrap();
        assert_eq!((good.wait(), bad.wait(), late.wait()), (Ok(()), Err(Error::Closed {}), Ok(())));
        assert_eq!(count(&db), 2);
    }

    pub fn a_failed_statement_ends_its_job(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        db.transaction("insert", |tx| insert(tx, 1)).unwrap();
        let outcome = db.transaction("insert", |tx| {
            insert(tx, 2)?;
            let first = insert(tx, 1);
            assert_eq!(insert(tx, 3), first);
            Ok::<_, Error>(())
        });
        assert!(matches!(outcome, Err(Error::Conflict { .. })));
        assert_eq!(count(&db), 1);
    }

    pub fn a_conflict_has_its_own_error(url: &str) {
        let db = open(url);
        make(&db, "CREATE TABLE pairs (a BIGINT NOT NULL, b TEXT, UNIQUE (a, b))");
        let insert = "-- pair_insert\nINSERT INTO pairs (a, b) VALUES ($1, $2)";
        let add = |a: Option<i64>| db.transaction("insert", move |tx| tx.execute(insert, &params![a, "Wang Xiaoming"]));
        assert_eq!(add(Some(7)), Ok(1));
        let error = add(Some(7)).unwrap_err();
        assert!(matches!(&error, Error::Conflict { constraint } if constraint.contains("pairs")), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("Wang"));
        assert!(matches!(add(None), Err(Error::Refused { .. })), "a missing value is no conflict");
    }

    pub fn a_bad_statement_is_refused_without_values(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let name = "Wang Xiaoming";
        let statements = [
            "-- table_missing\nSELECT * FROM nowhere WHERE body = $1",
            "-- column_missing\nSELECT nothing FROM notes WHERE body = $1",
            "-- not_sql\nSELEC $1",
            "-- type_wrong\nSELECT 1 FROM notes WHERE CAST($1 AS TEXT) = nothing(id)",
        ];
        for sql in statements {
            let error = db.read(|c| c.query(sql, &params![name])).unwrap_err();
            let Error::Refused { statement, .. } = &error else { panic!("{error:?}") };
            assert_eq!(statement, sql.lines().next().unwrap().trim_start_matches("-- "));
            assert!(!format!("{error} {error:?}").contains("Wang"));
            assert!(matches!(db.transaction("bad", move |tx| tx.query(sql, &params![name])), Err(Error::Refused { .. })));
        }
        assert_eq!(format!("{:?}", params![name, [1; 3], 5, Value::Null]), "[text of 13 bytes, 3 bytes, an integer, null]");
        assert_eq!(count(&db), 0);
    }

    pub fn a_panic_ends_only_its_job(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let outcome: Result<(), Error> = db.transaction("careless", |tx| {
            insert(tx, 1)?;
            panic!("on purpose")
        });
        assert_eq!(outcome, Err(Error::Panicked { name: "careless" }));
        db.transaction("insert", |tx| insert(tx, 2)).unwrap();
        assert_eq!(count(&db), 1);
        let read = thread::scope(|scope| {
            let panics = || db.read(|_| -> Result<(), Error> { panic!("on purpose") });
            scope.spawn(panics).join()
        });
        assert!(read.is_err());
        for _ in 0..10 {
            assert_eq!(count(&db), 1);
        }
    }

    pub fn a_full_queue_is_busy(url: &str) {
        let db = Db::open(url, &Options { readers: 1, queue: 2 }).unwrap();
        let (release, held) = hold(&db);
        let waiting: Vec<Pending<(), Error>> = (0..2).map(|_| db.submit("wait", |_| Ok(()))).collect();
        let refused: Result<(), Error> = db.transaction("wait", |_| Ok(()));
        assert_eq!(refused, Err(Error::Busy {}));
        drop(release);
        held.wait().unwrap();
        waiting.into_iter().for_each(|pending| pending.wait().unwrap());
    }

    pub fn a_transaction_inside_a_transaction_is_refused(url: &str) {
        let db = open(url);
        let inner = db.clone();
        let outcome = db.transaction("outer", move |_| inner.transaction("inner", |_| Ok(())));
        assert_eq!(outcome, Err(Error::Nested { name: "inner" }));
    }

    pub fn a_reader_cannot_write(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let write = |c: &mut dyn Connection| c.execute(INSERT, &params![1, "note", Value::Null]);
        let refused = Err(Error::ReadOnly { statement: "note_insert".to_owned() });
        assert_eq!(db.read(write), refused);
        assert_eq!(db.snapshot(write), refused);
        assert_eq!(count(&db), 0);
    }

    pub fn readers_that_read_aside_do_not_wait_for_each_other(url: &str) {
        let db = open(url);
        let all = Options::default().readers;
        let lent = Barrier::new(all);
        let answers: Vec<_> = thread::scope(|scope| {
            let both = || {
                db.read(|_| {
                    lent.wait();
                    db.read_aside(|conn| Ok::<_, Error>(conn.query("-- one_find\nSELECT 1", &[])?.len()))
                })
            };
            let readers: Vec<_> = (0..all).map(|_| scope.spawn(both)).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| matches!(answer, Ok(1))), "{answers:?}");
    }

    pub fn a_snapshot_sees_one_state(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let seen = db.snapshot(|connection| {
            let before = connection.query_one(COUNT, &[])?.unwrap().integer(0)?;
            db.transaction("insert", |tx| insert(tx, 1))?;
            let after = connection.query_one(COUNT, &[])?.unwrap().integer(0)?;
            Ok::<_, Error>((before, after))
        });
        assert_eq!((seen, count(&db)), (Ok((0, 0)), 1));
    }

    pub fn a_waiting_job_is_done_when_the_database_is_closed(url: &str) {
        let db = open(url);
        make(&db, NOTES);
        let owner = db.clone();
        let (release, held) = hold(&db);
        let pending: Vec<_> = (0..20).map(|id| db.submit("insert", move |tx| insert(tx, id))).collect();
        // The last clone may belong to a job, and go with it on the writer's own thread.
        let last = db.submit("own", move |tx| {
            let _ = owner.kind();
            insert(tx, 100)
        });
        let after: Vec<_> = (200..210).map(|id| db.submit("insert", move |tx| insert(tx, id))).collect();
        thread::spawn(move || {
            thread::sleep(std::time::Duration::from_millis(20));
            drop(release);
        });
        drop(db);
        held.wait().unwrap();
        pending.into_iter().chain([last]).chain(after).for_each(|pending| pending.wait().unwrap());
        assert_eq!(count(&open(url)), 31);
    }

    pub fn reopening_finds_what_was_committed(url: &str) {
        let db = open(url);
        assert_eq!(db.kind(), if url.starts_with("sqlite:") { Kind::Sqlite } else { Kind::Postgres });
        make(&db, NOTES);
        db.transaction("insert", |tx| insert(tx, 1)).unwrap();
        db.checkpoint().unwrap();
        db.transaction("insert", |tx| insert(tx, 2)).unwrap();
        drop(db);
        assert_eq!(count(&open(url)), 2);
    }

    pub fn migrations_are_applied_once(url: &str) {
        const FIRST: Migration = Migration { number: 1, name: "notes", sql: NOTES };
        const SECOND: Migration = Migration {
            number: 2,
            name: "tally",
            sql: "-- tally\nCREATE TABLE tally (id BIGINT PRIMARY KEY);\nCREATE INDEX tally_id ON tally (id);\nINSERT INTO tally VALUES (4);\n",
        };
        const BROKEN: Migration = Migration { number: 3, name: "broken", sql: "CREATE TABLE later (id BIGINT);\nSELEC 1;" };
        let db = open(url);
        assert_eq!(db.migrate(&[FIRST]), Ok(1));
        assert_eq!(db.migrate(&[FIRST]), Ok(0));
        assert!(db.migrate(&[FIRST, SECOND, BROKEN]).is_err());
        let rows = db.read(|c| c.query("-- migration_list\nSELECT name FROM migrations ORDER BY number", &[])).unwrap();
        assert_eq!(rows.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>(), ["notes", "tally"]);
        assert!(db.read(|c| c.query("-- later_list\nSELECT * FROM later", &[])).is_err(), "half of a migration stayed");
        let changed = Migration { sql: "CREATE TABLE other (id BIGINT)", ..FIRST };
        assert_eq!(db.migrate(&[changed, SECOND]), Err(Error::MigrationAltered { number: 1 }));
        assert_eq!(db.migrate(&[FIRST]), Err(Error::MigrationNewer { number: 2 }));
        let before = Migration { number: 0, ..BROKEN };
        assert_eq!(db.migrate(&[before, FIRST, SECOND]), Err(Error::MigrationUnordered { number: 0 }));
        assert_eq!(db.migrate(&[SECOND, FIRST]), Err(Error::MigrationUnordered { number: 1 }));
        assert_eq!(open(url).migrate(&[FIRST, SECOND]), Ok(0));
    }

    /// A log head: every job that stays takes the next number.
    #[derive(Default)]
    struct Head {
        size: i64,
        start: i64,
        refuse: Option<&'static str>,
        committed: Vec<i64>,
        aborted: u32,
    }

    impl Group for Head {
        fn begin(&mut self, connection: &mut dyn Connection) -> Result<(), Error> {
            let row = connection.query_one("-- head_lock\nUPDATE head SET size = size RETURNING size", &[])?;
            self.size = row.unwrap().integer(0)?;
            Ok(())
        }

        fn savepoint(&mut self) {
            self.start = self.size;
        }

        fn rollback(&mut self) {
            self.size = self.start;
        }

        fn before_commit(&mut self, connection: &mut dyn Connection) -> Result<(), Error> {
            match self.refuse.take() {
                Some("panic") => panic!("on purpose"),
                Some(_) => return Err(Error::Closed {}),
                None => {}
            }
            connection.execute("-- head_write\nUPDATE head SET size = $1", &params![self.size]).map(|_| ())
        }

        fn committed(&mut self) {
            self.committed.push(self.size);
        }

        fn aborted(&mut self) {
            self.aborted += 1;
        }

        fn as_any_mut(&mut self) -> &mut dyn Any {
            self
        }
    }

    fn with_head(url: &str, refuse: Option<&'static str>) -> Db {
        let db = open(url);
        make(&db, NOTES);
        make(&db, "CREATE TABLE head (size BIGINT NOT NULL); INSERT INTO head VALUES (0)");
        assert!(db.transaction("none", |tx| tx.group::<Head>().map(|_| ())).is_err());
        db.set_group(Box::new(Head { refuse, ..Head::default() }));
        db
    }

    fn append(tx: &mut Tx<'_>, keep: bool) -> Result<i64, Error> {
        let (head, connection) = tx.group_and_connection::<Head>()?;
        let index = head.size;
        head.size += 1;
        connection.execute(INSERT, &params![index, "leaf", Value::Null])?;
        if keep { Ok(index) } else { Err(Error::Closed {}) }
    }

    pub fn the_group_counts_only_what_stays(url: &str) {
        let db = with_head(url, None);
        let (release, held) = hold(&db);
        let pending: Vec<_> = (0..90).map(|n| db.submit("append", move |tx| append(tx, n % 3 != 0))).collect();
        drop(release);
        held.wait().unwrap();
        let indices: Vec<i64> = pending.into_iter().filter_map(|pending| pending.wait().ok()).collect();
        assert_eq!(indices, (0..60).collect::<Vec<_>>());
        let size = db.read(|c| c.query_one("-- head_read\nSELECT size FROM head", &[])).unwrap().unwrap();
        assert_eq!((size.integer(0), count(&db)), (Ok(60), 60));
        let seen = db.transaction("look", |tx| {
            let head = tx.group::<Head>()?;
            Ok::<_, Error>((head.committed.last().copied(), head.aborted))
        });
        assert_eq!(seen, Ok((Some(60), 0)));
    }

    pub fn a_failed_commit_check_aborts_the_batch(url: &str) {
        let db = with_head(url, Some("error"));
        assert_eq!(db.transaction("append", |tx| append(tx, true)), Err(Error::Closed {}));
        assert_eq!(count(&db), 0);
        assert_eq!(db.transaction("append", |tx| append(tx, true)), Ok(0));
        assert_eq!(db.transaction("look", |tx| tx.group::<Head>().map(|head| head.aborted)), Ok(1));
    }

    pub fn a_panicking_group_ends_only_its_batch(url: &str) {
        let db = with_head(url, Some("panic"));
        assert_eq!(db.transaction("append", |tx| append(tx, true)), Err(Error::Panicked { name: "group" }));
        assert_eq!(db.transaction("append", |tx| append(tx, true)), Ok(0));
    }
}

mod only_sqlite {
    use super::{Connection, Db, Error, Options, make, open};

    #[test]
    fn the_file_is_set_up_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&format!("sqlite:{}", folder.path().join("test.db").display()));
        let pragmas =
            [("foreign_keys", 1), ("page_size", 8_192), ("secure_delete", 1), ("synchronous", 2), ("wal_autocheckpoint", 20_000)];
        for (name, expected) in pragmas {
            let sql = format!("-- pragma_read\nPRAGMA {name}");
            let row = db.transaction("pragma", move |tx| tx.query_one(&sql, &[])).unwrap().unwrap();
            assert_eq!((name, row.integer(0)), (name, Ok(expected)));
        }
    }

    #[test]
    fn a_checkpoint_removes_deleted_rows_from_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&format!("sqlite:{}", folder.path().join("test.db").display()));
        make(&db, "CREATE TABLE names (name TEXT); INSERT INTO names VALUES ('Wang Xiaoming')");
        make(&db, "DELETE FROM names");
        db.checkpoint().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"Xiaoming"));
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for url in ["", "mysql://host/name", "sqlite:", "sqlite::memory:", "postgres://host:port/name"] {
            assert!(matches!(Db::open(url, &Options::default()), Err(Error::Url {})), "{url}");
        }
        assert!(matches!(Db::open("sqlite:/nowhere/at/all.db", &Options::default()), Err(Error::Unavailable { .. })));
    }
}

mod only_postgres {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, mpsc};

    use usufruct_store::params;

    use super::{Connection, Db, Error, in_schema, make, open};

    #[test]
    fn a_serialisation_failure_runs_the_jobs_again() {
        in_schema("serialisation", |url| {
            let (first, second) = (open(url), open(url));
            make(&first, "CREATE TABLE tally (id BIGINT PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO tally VALUES (1, 0)");
            let runs = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&runs);
            let (read, has_read) = mpsc::channel();
            let (go, may_go) = mpsc::channel();
            let slow = first.submit("slow", move |tx| {
                let row = tx.query_one("-- tally_read\nSELECT n FROM tally WHERE id = $1", &params![1])?;
                let n = row.unwrap().integer(0)?;
                if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                    read.send(()).unwrap();
                    may_go.recv().unwrap();
                }
                tx.execute("-- tally_write\nUPDATE tally SET n = $1 WHERE id = $2", &params![n + 1, 1])
            });
            has_read.recv().unwrap();
            let fast = second.transaction("fast", |tx| tx.execute("-- tally_add\nUPDATE tally SET n = n + $1", &params![10]));
            go.send(()).unwrap();
            assert_eq!((fast, slow.wait()), (Ok(1), Ok(1)));
            assert_eq!((runs.load(Ordering::Relaxed), first.counters().retries), (2, 1));
            let row = first.read(|c| c.query_one("-- tally_read\nSELECT n FROM tally WHERE id = $1", &params![1]));
            assert_eq!(row.unwrap().unwrap().integer(0), Ok(11));
        });
    }

    #[test]
    fn a_lost_connection_fails_what_was_running_and_nothing_after() {
        in_schema("lost", |url| {
            let (db, other) = (open(url), open(url));
            make(&db, "CREATE TABLE notes (id BIGINT PRIMARY KEY)");
            let insert = "-- note_insert\nINSERT INTO notes (id) VALUES ($1)";
            // In the middle of a job: nothing has been committed, and the error says so.
            let killer = other.clone();
            let outcome = db.transaction("insert", move |tx| {
                tx.execute(insert, &params![1])?;
                end(&killer, pid(tx)?);
                tx.execute(insert, &params![2])
            });
            assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
            assert_eq!(db.transaction("insert", move |tx| tx.execute(insert, &params![3])), Ok(1));
            // After the last statement, before the commit is sent: nothing has been committed either.
            let killer = other.clone();
            let outcome = db.transaction("insert", move |tx| {
                let changed = tx.execute(insert, &params![4])?;
                end(&killer, pid(tx)?);
                Ok::<_, Error>(changed)
            });
            assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
            assert_eq!(db.transaction("insert", move |tx| tx.execute(insert, &params![5])), Ok(1));
            // While idle: nobody notices.
            let writer = db.transaction("pid", |tx| pid(tx)).unwrap();
            let reader = db.read(pid).unwrap();
            end(&other, writer);
            end(&other, reader);
            assert_eq!(db.transaction("insert", move |tx| tx.execute(insert, &params![6])), Ok(1));
            let rows = db.read(|c| c.query("-- note_list\nSELECT id FROM notes ORDER BY id", &[])).unwrap();
            assert_eq!(rows.iter().map(|row| row.integer(0).unwrap()).collect::<Vec<_>>(), [3, 5, 6]);
        });
    }

    #[test]
    fn a_connection_lost_during_the_commit_leaves_the_outcome_unknown() {
        in_schema("unknown", |url| {
            let (db, other) = (open(url), open(url));
            make(&db, SLOW_COMMIT);
            let (tell, told) = mpsc::channel();
            let pending = db.submit("insert", move |tx| {
                let _ = tell.send(pid(tx)?);
                tx.execute("-- note_insert\nINSERT INTO notes (id) VALUES ($1)", &params![1])
            });
            let writer = told.recv().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
            end(&other, writer);
            assert_eq!(pending.wait(), Err(Error::Unknown {}));
            let count = "-- note_count\nSELECT COUNT(*) FROM notes";
            let row = db.transaction("count", move |tx| tx.query_one(count, &[])).unwrap().unwrap();
            assert_eq!(row.integer(0), Ok(0));
        });
    }

    const SLOW_COMMIT: &str = "CREATE TABLE notes (id BIGINT PRIMARY KEY);
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait()";

    fn pid(connection: &mut dyn Connection) -> Result<i64, Error> {
        connection.query_one("-- pid_read\nSELECT pg_backend_pid()", &[])?.unwrap().integer(0)
    }

    /// Ends another connection and waits until it is gone.
    fn end(db: &Db, pid: i64) {
        let sql = "-- connection_end\nSELECT pg_terminate_backend(CAST($1 AS INT), 5000)";
        assert_eq!(db.read(|c| c.query_one(sql, &params![pid])).unwrap().unwrap().integer(0), Ok(1));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    #[test]
    fn a_transaction_may_be_waited_for_on_any_thread_of_a_runtime() {
        in_schema("runtime", |url| {
            let db = open(url);
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let select = "-- one\nSELECT CAST($1 AS BIGINT)";
            let clone = db.clone();
            let blocking = runtime.spawn_blocking(move || clone.read(|c| c.query_one(select, &params![7])));
            assert_eq!(runtime.block_on(blocking).unwrap().unwrap().unwrap().integer(0), Ok(7));
            let inside = runtime.block_on(async { db.read(|c| c.query_one(select, &params![8])) });
            assert_eq!(inside.unwrap().unwrap().integer(0), Ok(8));
            runtime.block_on(async move { drop(db) });
        });
    }
}

#[test]
fn a_backup_is_read_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let db = open(&url("live.db"));
    make(&db, "-- make\nCREATE TABLE things (name TEXT); INSERT INTO things VALUES ('cup')");
    let set = folder.path().join("a set? 100% #1");
    std::fs::create_dir(&set).unwrap();
    let copy = set.join("copy.db");
    assert!(Db::copy(&url("live.db"), &copy).unwrap());
    let copied = format!("sqlite:{}", copy.display());
    let contents = || {
        let files = std::fs::read_dir(&set).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = contents();
    assert_eq!(before.len(), 1);
    let backup = Db::open_backup(&copied).unwrap();
    let row = backup.snapshot(|conn| conn.query_one("-- thing\nSELECT name FROM things", &[])).unwrap().unwrap();
    assert_eq!(row.text(0).unwrap(), "cup");
    let outcome: Result<u64, Error> = backup.transaction("write", |tx| tx.execute("-- write\nDELETE FROM things", &[]));
    assert!(outcome.is_err(), "nothing is written to a backup");
    assert!(contents() == before, "{:?}", contents().keys());
    drop(backup);
    assert!(contents() == before, "{:?}", contents().keys());
    // What a careless copy left in its write-ahead log would be missing.
    std::fs::write(set.join("copy.db-wal"), [7; 32]).unwrap();
    assert!(matches!(Db::open_backup(&copied), Err(Error::Unavailable { .. })));
    assert!(Db::open_backup(&url("none.db")).is_err());
    assert!(!folder.path().join("none.db").exists());
}
