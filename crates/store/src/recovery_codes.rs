//! Recovery codes of residents, stored only as hashes.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::number;

/// Puts new codes in place of all that a resident had.
pub fn replace(conn: &mut dyn Connection, resident: u64, hashes: &[Digest], made_at: Time) -> Result<(), Error> {
    purge_resident(conn, resident)?;
    let rows: Vec<_> =
        hashes.iter().map(|hash| vec![Value::from(hash.0.to_vec()), number(resident).into(), made_at.micros().into()]).collect();
    let sql = "-- recovery_code_insert\nINSERT INTO recovery_codes (code_hash, resident, made_at) VALUES ($1, $2, $3)";
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// The resident an unused code is of.
pub fn find(conn: &mut dyn Connection, code_hash: &Digest) -> Result<Option<u64>, Error> {
    let sql = "-- recovery_code_find\nSELECT resident FROM recovery_codes WHERE code_hash = $1 AND used_at IS NULL";
    let row = conn.query_one(sql, &[Value::from(code_hash.0.to_vec())])?;
    row.map(|row| Ok(row.integer(0)?.cast_unsigned())).transpose()
}

/// Uses a code up. False when it was used before.
pub fn redeem(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- recovery_code_redeem\nUPDATE recovery_codes SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL";
    Ok(conn.execute(sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])? == 1)
}

/// How many codes a resident has left.
pub fn count(conn: &mut dyn Connection, resident: u64) -> Result<i64, Error> {
    let sql = "-- recovery_code_count\nSELECT COUNT(*) FROM recovery_codes WHERE resident = $1 AND used_at IS NULL";
    conn.query_one(sql, &[number(resident).into()])?.map_or(Ok(0), |row| row.integer(0))
}

/// Deletes the codes of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute("-- recovery_code_purge_resident\nDELETE FROM recovery_codes WHERE resident = $1", &[number(resident).into()])
}
