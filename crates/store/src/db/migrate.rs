//! Numbered changes to the schema, each applied once.

use usufruct_core::hash::sha256;

use super::{Connection, Db, Error, Row};
use crate::params;

/// One change to the schema. Once released it is never edited: the database remembers its checksum.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    /// One or more statements, separated by `;`.
    pub sql: &'static str,
}

pub(super) fn migrate(db: &Db, migrations: &[Migration]) -> Result<usize, Error> {
    if let Some(pair) = migrations.windows(2).find(|pair| pair[0].number >= pair[1].number) {
        return Err(Error::MigrationUnordered { number: pair[1].number });
    }
    // Another node may be making the same table at this moment; then reading it is all that matters.
    let made = db.transaction("migration_prepare", |tx| tx.script(TABLE));
    let applied = match (made, applied(db)) {
        (_, Ok(applied)) => applied,
        (made, Err(error)) => return Err(made.err().unwrap_or(error)),
    };
    check(migrations, &applied)?;
    let last = applied.last().map_or(i64::MIN, |applied| applied.number);
    let mut count = 0;
    for migration in migrations {
        if applied.iter().any(|applied| applied.number == migration.number) {
            continue;
        }
        if migration.number < last {
            return Err(Error::MigrationUnordered { number: migration.number });
        }
        apply(db, *migration)?;
        count += 1;
    }
    Ok(count)
}

fn apply(db: &Db, migration: Migration) -> Result<(), Error> {
    let outcome = db.transaction("migration_apply", move |tx| {
        tx.script(migration.sql)?;
        tx.execute(INSERT, &params![migration.number, migration.name, checksum(&migration)])?;
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(()),
        // Another node may have applied it first.
        Err(error) => match applied(db) {
            Ok(applied) if applied.iter().any(|applied| applied.is(&migration)) => Ok(()),
            _ => Err(error),
        },
    }
}

fn check(migrations: &[Migration], applied: &[Applied]) -> Result<(), Error> {
    for applied in applied {
        if applied.number > migrations.last().map_or(i64::MIN, |migration| migration.number) {
            return Err(Error::MigrationNewer { number: applied.number });
        }
        if !migrations.iter().any(|migration| applied.is(migration)) {
            return Err(Error::MigrationAltered { number: applied.number });
        }
    }
    Ok(())
}

struct Applied {
    number: i64,
    checksum: Vec<u8>,
}

impl Applied {
    fn is(&self, migration: &Migration) -> bool {
        self.number == migration.number && self.checksum == checksum(migration)
    }
}

fn applied(db: &Db) -> Result<Vec<Applied>, Error> {
    let rows: Vec<Row> = db.transaction("migration_list", |tx| tx.query(LIST, &[]))?;
    rows.iter().map(|row| Ok(Applied { number: row.integer(0)?, checksum: row.bytes(1)?.to_vec() })).collect()
}

fn checksum(migration: &Migration) -> [u8; 32] {
    sha256(migration.sql.as_bytes()).0
}

const TABLE: &str = "-- migration_prepare
CREATE TABLE IF NOT EXISTS migrations (
    -- Place in the order of migrations.
    number BIGINT PRIMARY KEY,
    -- What it does, for people.
    name TEXT NOT NULL,
    -- SHA-256 of its SQL text.
    checksum BYTEA NOT NULL
)";

const INSERT: &str = "-- migration_insert
INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)";

const LIST: &str = "-- migration_list
SELECT number, checksum FROM migrations ORDER BY number";
