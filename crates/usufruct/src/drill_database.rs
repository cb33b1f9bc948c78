//! The database of PostgreSQL that is set aside for drills: dumps are restored into it, in the place of what was there, and into no other.

use std::path::Path;
use std::process::Command;

use usufruct_app::store::db::{Connection, Db, Identity, Options};

use crate::backup::POSTGRES;
use crate::failure::Failure;

/// Restores the dump in a backup into `database`. It must be empty, or filled by an earlier drill, and never be that of the pass itself,
/// which is `own` where it is one of PostgreSQL.
pub fn fill(folder: &Path, database: &str, own: Option<&Identity>) -> Result<(), Failure> {
    set_aside(database, own)?;
    let arguments = ["--no-owner", "--no-privileges", "--clean", "--if-exists", "--single-transaction", "--dbname"];
    match Command::new("pg_restore").args(arguments).arg(database).arg(folder.join(POSTGRES)).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::impossible(
            format!("pg_restore failed: {}.", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default()),
            "Check that the dump is whole, and that the role owns the database that is set aside for drills.",
        )),
        Err(error) => Err(Failure::impossible(format!("pg_restore cannot run: {error}."), "Install the clients of PostgreSQL.")),
    }
}

/// Marks an empty database as one for drills, and refuses every other that is not marked.
fn set_aside(database: &str, own: Option<&Identity>) -> Result<(), Failure> {
    if !["postgres:", "postgresql:"].iter().any(|scheme| database.starts_with(scheme)) {
        return Err(Failure::refused("A dump is restored into a database of PostgreSQL only.", WHAT_TO_DO));
    }
    let db = Db::open(database, &Options { readers: 1, queue: 1 }).map_err(Failure::of)?;
    let identity = db.identity().map_err(Failure::of)?;
    if own.is_some_and(|own| identity.as_ref().is_none_or(|identity| identity.is_in_one_database_with(own))) {
        return Err(Failure::refused(
            "The database that is named for drills is the database of this pass, which a drill would overwrite; nothing was touched.",
            WHAT_TO_DO,
        ));
    }
    let count = |sql: &str| {
        let row = db.read(|conn| conn.query_one(sql, &[])).map_err(Failure::of)?;
        row.map_or(Ok(0), |row| row.integer(0)).map_err(Failure::of)
    };
    if count(MARKS)? > 0 {
        return Ok(());
    }
    if count(RELATIONS)? > 0 {
        return Err(Failure::refused(
            "The database that is named for drills holds something and is not set aside for them; nothing was touched.",
            WHAT_TO_DO,
        ));
    }
    db.transaction("set a database aside", |tx| tx.script(MARK)).map_err(Failure::of)
}

const WHAT_TO_DO: &str =
    "Make an empty database that nothing else uses (CREATE DATABASE), owned by the role of the pass, and name that.";
/// The mark is a schema with nothing in it, which no dump removes.
const MARK: &str = "-- drill_mark\nCREATE SCHEMA usufruct_drills";
const MARKS: &str = "-- drill_marks\nSELECT COUNT(*) FROM pg_namespace WHERE nspname = 'usufruct_drills'";
/// Tables, views, sequences, whatever their schema. Names that begin with pg_ are the server's own.
const RELATIONS: &str = "-- drill_relations\nSELECT COUNT(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
                         WHERE nspname <> 'information_schema' AND LEFT(CAST(nspname AS TEXT), 3) <> 'pg_'";
