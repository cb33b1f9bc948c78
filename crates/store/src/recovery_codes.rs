//! Recovery codes of residents, stored only as hashes.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::number;

/// A new code, as it is kept.
#[derive(Clone, Debug)]
pub struct RecoveryCode {
    pub hash: Digest,
    /// The footprint key sealed under the code; none when the code was made by the server.
    pub wrap: Option<Vec<u8>>,
    /// Shows that the house made it for its resident.
    pub mark: Digest,
}

/// Puts new codes in place of all that a resident had, with their wraps.
pub fn replace(conn: &mut dyn Connection, resident: u64, codes: &[RecoveryCode], made_at: Time) -> Result<(), Error> {
    purge_resident(conn, resident)?;
    let row = |code: &RecoveryCode| {
        vec![
            Value::from(code.hash.0.to_vec()),
            number(resident).into(),
            made_at.micros().into(),
            code.wrap.clone().into(),
            code.mark.0.to_vec().into(),
        ]
    };
    let sql = "-- recovery_code_insert\nINSERT INTO recovery_codes (code_hash, resident, made_at, wrap, mark) VALUES ($1, $2, $3, $4, $5)";
    conn.execute_many(sql, &codes.iter().map(row).collect::<Vec<_>>())?;
    Ok(())
}

/// The hashes of a resident's unused codes that wrap her footprint key, and their wraps.
pub fn wraps(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(Digest, Vec<u8>)>, Error> {
    let sql = "-- recovery_code_wraps\nSELECT code_hash, wrap FROM recovery_codes \
               WHERE resident = $1 AND used_at IS NULL AND wrap IS NOT NULL ORDER BY code_hash";
    let rows = conn.query(sql, &[number(resident).into()])?;
    rows.iter()
        .map(|row| {
            let hash = row.bytes(0)?.try_into().map_err(|_| crate::inconsistent("recovery_codes.code_hash"))?;
            Ok((Digest(hash), row.bytes(1)?.to_vec()))
        })
        .collect()
}

/// The resident an unused code is of, and its mark.
pub fn find(conn: &mut dyn Connection, code_hash: &Digest) -> Result<Option<(u64, Option<Digest>)>, Error> {
    let sql = "-- recovery_code_find\nSELECT resident, mark FROM recovery_codes WHERE code_hash = $1 AND used_at IS NULL";
    let row = conn.query_one(sql, &[Value::from(code_hash.0.to_vec())])?;
    row.map(|row| Ok((row.integer(0)?.cast_unsigned(), crate::mark(&row, 1)?))).transpose()
}

/// Up to `limit` unused codes without a mark whose hashes come after `after`, in their order, each with its resident.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<(Digest, u64)>, Error> {
    let sql = "-- recovery_code_unmarked\nSELECT code_hash, resident FROM recovery_codes \
               WHERE code_hash > $1 AND mark IS NULL AND used_at IS NULL ORDER BY code_hash LIMIT $2";
    let rows = conn.query(sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?;
    rows.iter().map(|row| Ok((Digest(row.array(0)?), row.integer(1)?.cast_unsigned()))).collect()
}

/// Puts the mark of a code that has none.
pub fn set_mark(conn: &mut dyn Connection, code_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- recovery_code_set_mark\nUPDATE recovery_codes SET mark = $2 WHERE code_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Uses a code up, and takes its wrap and its mark away. False when it was used before.
pub fn redeem(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- recovery_code_redeem\nUPDATE recovery_codes SET used_at = $2, wrap = NULL, mark = NULL WHERE code_hash = $1 AND used_at IS NULL";
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
