//! Second copies of lines, sealed to the key of the oversight body.

use crate::db::{Connection, Error, Value};

/// Adds a copy as number `seq` of its mandate.
pub fn insert(conn: &mut dyn Connection, mandate: u64, day: i64, seq: u64, sealed: &[u8]) -> Result<(), Error> {
    let sql = "-- audit_copy_insert\nINSERT INTO audit_copies (mandate, day, seq, sealed) VALUES ($1, $2, $3, $4)";
    let params = [mandate.cast_signed().into(), day.into(), seq.cast_signed().into(), Value::from(sealed)];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The highest number under a mandate; 0 without any.
pub fn last(conn: &mut dyn Connection, mandate: u64) -> Result<u64, Error> {
    let sql = "-- audit_copy_last\nSELECT MAX(seq) FROM audit_copies WHERE mandate = $1";
    let row = conn.query_one(sql, &[mandate.cast_signed().into()])?;
    row.map_or(Ok(0), |row| Ok(row.optional_integer(0)?.unwrap_or_default().cast_unsigned()))
}

/// The copies of a day, in order.
pub fn of_day(conn: &mut dyn Connection, mandate: u64, day: i64) -> Result<Vec<Vec<u8>>, Error> {
    let sql = "-- audit_copy_of_day\nSELECT sealed FROM audit_copies WHERE mandate = $1 AND day = $2 ORDER BY seq";
    let rows = conn.query(sql, &[mandate.cast_signed().into(), day.into()])?;
    rows.iter().map(|row| Ok(row.bytes(0)?.to_vec())).collect()
}

/// The last copies before a day, newest first, at most `limit`.
pub fn before_day(conn: &mut dyn Connection, mandate: u64, day: i64, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
    let sql = "-- audit_copy_before\nSELECT sealed FROM audit_copies WHERE mandate = $1 AND day < $2 ORDER BY day DESC, seq DESC LIMIT $3";
    let params = [mandate.cast_signed().into(), day.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    conn.query(sql, &params)?.iter().map(|row| Ok(row.bytes(0)?.to_vec())).collect()
}
