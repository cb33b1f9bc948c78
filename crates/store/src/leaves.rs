//! The leaves of the log.

use crate::db::{Connection, Error, Value};

/// Adds a leaf under its number.
pub fn insert(conn: &mut dyn Connection, index: u64, data: &[u8]) -> Result<(), Error> {
    let sql = "-- leaf_insert\nINSERT INTO leaves (idx, data) VALUES ($1, $2)";
    if conn.execute(sql, &[Value::from(index.cast_signed()), Value::from(data)])? == 1 {
        return Ok(());
    }
    // A database that says yes and keeps nothing would leave somebody out of the log.
    Err(crate::inconsistent("leaves.idx"))
}

/// Up to `limit` leaves from number `from` on, in order.
pub fn range(conn: &mut dyn Connection, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let sql = "-- leaf_range\nSELECT idx, data FROM leaves WHERE idx >= $1 ORDER BY idx LIMIT $2";
    let params = [Value::from(from.cast_signed()), Value::from(i64::try_from(limit).unwrap_or(i64::MAX))];
    conn.query(sql, &params)?.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), row.bytes(1)?.to_vec()))).collect()
}

/// Up to `limit` statement leaves (those that begin with 0x01 0x01) from number `from` on, in order.
pub fn statements(conn: &mut dyn Connection, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    // 0x0101 and 0x0102 are the bounds of the two-byte prefix, as byte strings.
    let sql =
        "-- leaf_statements\nSELECT idx, data FROM leaves WHERE idx >= $1 AND data >= $2 AND data < $3 ORDER BY idx LIMIT $4";
    let params = [
        Value::from(from.cast_signed()),
        Value::from(vec![1u8, 1]),
        Value::from(vec![1u8, 2]),
        Value::from(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    conn.query(sql, &params)?.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), row.bytes(1)?.to_vec()))).collect()
}
