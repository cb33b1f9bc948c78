//! Where a pass under test keeps its data and the sealed pages of its key tree.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place for one pass: the embedded database or one of PostgreSQL, which is gone when the test is over.
pub struct Store {
    postgres: Option<Postgres>,
    pages: &'static str,
}

/// Makes of each walk a test on the embedded database, one on PostgreSQL with the pages of the key tree in it, and one on PostgreSQL with
/// the pages in a file.
macro_rules! on_every_store {
    ($($walk:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $walk() {
                super::$walk(&$crate::common::store::Store::sqlite());
            })+
        }

        mod on_postgresql {
            $(#[test]
            fn $walk() {
                $crate::common::store::Store::on_postgres("database", super::$walk);
            })+
        }

        mod on_postgresql_with_pages_in_a_file {
            $(#[test]
            fn $walk() {
                $crate::common::store::Store::on_postgres("file", super::$walk);
            })+
        }
    };
}
pub(crate) use on_every_store;

impl Store {
    pub fn sqlite() -> Self {
        Self { postgres: None, pages: "file" }
    }

    /// A walk on a database of its own in the PostgreSQL of `USUFRUCT_TEST_POSTGRES`, if there is one.
    pub fn on_postgres(pages: &'static str, walk: impl FnOnce(&Self)) {
        match std::env::var("USUFRUCT_TEST_POSTGRES") {
            Ok(base) => walk(&Self { postgres: Some(Postgres::new(base)), pages }),
            Err(_) => eprintln!("skipped: USUFRUCT_TEST_POSTGRES is not set"),
        }
    }

    /// Address of the database; `None` for the embedded one.
    pub fn url(&self) -> Option<&str> {
        self.postgres.as_ref().map(|postgres| postgres.url.as_str())
    }

    /// Whether the pages of the key tree are in the database.
    pub fn has_pages(&self) -> bool {
        self.pages == "database"
    }

    /// What `init` has to be told.
    pub fn arguments(&self) -> Vec<&str> {
        let database = self.url().into_iter().flat_map(|url| ["--database", url]);
        database.chain(["--pages", self.pages]).collect()
    }

    /// An empty database beside this one. Only PostgreSQL has any.
    pub fn beside(&self) -> Option<Postgres> {
        Some(Postgres::new(self.postgres.as_ref()?.base.clone()))
    }
}

/// A database that is dropped with this.
pub struct Postgres {
    base: String,
    name: String,
    pub url: String,
}

impl Postgres {
    fn new(base: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("walk_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (server, rest) = base.rsplit_once('/').unwrap();
        let options = rest.split_once('?').map_or(String::new(), |(_, options)| format!("?{options}"));
        let url = format!("{server}/{name}{options}");
        assert!(sql(&base, &format!("CREATE DATABASE {name}")));
        Self { base, name, url }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Also from under a program that a failed test left behind.
        sql(&self.base, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn sql(base: &str, command: &str) -> bool {
    Command::new("psql").args([base, "-qc", command]).status().is_ok_and(|status| status.success())
}
