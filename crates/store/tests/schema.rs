//! What no table of the store may have: a pseudonym in clear, least of all beside a resident.

use usufruct_store::MIGRATIONS;
use usufruct_store::db::{Connection, Db, Options};
use usufruct_store::tables::ALL;

/// Tables with their columns, as the database itself knows them.
fn columns(db: &Db, sql: &str) -> Vec<(String, String)> {
    let rows = db.read(|conn| conn.query(sql, &[])).unwrap();
    rows.iter().map(|row| (row.text(0).unwrap().to_owned(), row.text(1).unwrap().to_owned())).collect()
}

fn check(columns: &[(String, String)]) {
    let tables_with = |names: &[&str]| -> Vec<&str> {
        columns.iter().filter(|(_, column)| names.contains(&column.as_str())).map(|(table, _)| table.as_str()).collect()
    };
    let residents = tables_with(&["resident"]);
    assert!(residents.contains(&"seeds") && residents.contains(&"keyrings") && residents.len() > 8, "{residents:?}");
    assert_eq!(tables_with(&["pseudonym", "sub", "subject", "subjects"]), [""; 0], "pseudonyms are made when they are needed");
    assert_eq!(tables_with(&["seed"]), [""; 0], "seeds are in sealed keyrings only");
    // Of every table somebody has decided where a restored database takes it from.
    let mut known: Vec<&str> = columns.iter().map(|(table, _)| table.as_str()).filter(|table| *table != "migrations").collect();
    known.dedup();
    let mut listed: Vec<&str> = ALL.iter().map(|table| table.name).collect();
    known.sort_unstable();
    listed.sort_unstable();
    known.dedup();
    assert_eq!(known, listed);
    for table in ALL.iter().filter(|table| table.name != "erasures") {
        assert_eq!(table.is_of_residents, residents.contains(&table.name), "{}", table.name);
    }
}

#[test]
fn no_table_has_a_pseudonym_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite:{}", dir.path().join("store.db").display()), &Options::default()).unwrap();
    db.migrate(MIGRATIONS).unwrap();
    let sql = "-- column_list\nSELECT t.name, c.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table'";
    check(&columns(&db, sql));
}

#[test]
fn no_table_in_postgres_has_a_pseudonym_in_clear() {
    let Ok(base) = std::env::var("USUFRUCT_TEST_POSTGRES") else {
        eprintln!("skipped: the schema on PostgreSQL, because USUFRUCT_TEST_POSTGRES is not set");
        return;
    };
    let schema = format!("schema_{}", std::process::id());
    let admin = Db::open(&base, &Options::default()).unwrap();
    let make = format!("-- schema_make\nCREATE SCHEMA {schema}");
    admin.transaction("make schema", move |tx| tx.script(&make)).unwrap();
    let separator = if base.contains('?') { '&' } else { '?' };
    let db = Db::open(&format!("{base}{separator}options=-csearch_path%3D{schema}"), &Options::default()).unwrap();
    db.migrate(MIGRATIONS).unwrap();
    let sql = "-- column_list\nSELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = current_schema()";
    check(&columns(&db, sql));
    let drop = format!("-- schema_drop\nDROP SCHEMA {schema} CASCADE");
    admin.transaction("drop schema", move |tx| tx.script(&drop)).unwrap();
}
