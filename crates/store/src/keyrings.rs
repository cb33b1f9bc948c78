//! Sealed keyrings.

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// A resident's sealed keyrings, newest first, each with its version. There are two only while an erasure is under way.
pub fn candidates(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let sql =
        "-- keyring_candidates\nSELECT version, sealed FROM keyrings WHERE shard = $1 AND resident = $2 ORDER BY version DESC";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter().map(|row| Ok((row.integer(0)?, row.bytes(1)?.to_vec()))).collect()
}

/// Adds a sealed keyring as `version`, replacing that version if an erasure was begun and not finished.
pub fn put(conn: &mut dyn Connection, resident: u64, version: i64, sealed: &[u8]) -> Result<(), Error> {
    let sql = "-- keyring_put\nINSERT INTO keyrings (shard, resident, version, sealed) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (shard, resident, version) DO UPDATE SET sealed = excluded.sealed";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), version.into(), Value::from(sealed)])?;
    Ok(())
}

/// Adds the first keyrings of new residents.
pub fn insert_many(conn: &mut dyn Connection, keyrings: &[(u64, Vec<u8>)]) -> Result<(), Error> {
    let rows: Vec<_> = keyrings
        .iter()
        .map(|(resident, sealed)| vec![shard(*resident).into(), number(*resident).into(), 1.into(), Value::from(sealed.clone())])
        .collect();
    conn.execute_many(
        "-- keyring_insert\nINSERT INTO keyrings (shard, resident, version, sealed) VALUES ($1, $2, $3, $4)",
        &rows,
    )?;
    Ok(())
}

/// Puts these versions in the place of all there are.
pub fn replace(conn: &mut dyn Connection, resident: u64, versions: &[(i64, Vec<u8>)]) -> Result<(), Error> {
    delete_others(conn, resident, None)?;
    versions.iter().try_for_each(|(version, sealed)| put(conn, resident, *version, sealed))
}

/// Deletes every version but `keep`; with `None` all of them.
pub fn delete_others(conn: &mut dyn Connection, resident: u64, keep: Option<i64>) -> Result<(), Error> {
    let sql = "-- keyring_delete_others\nDELETE FROM keyrings WHERE shard = $1 AND resident = $2 AND version <> $3";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), keep.unwrap_or(-1).into()])?;
    Ok(())
}
