//! Passkeys of residents.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::number;

/// A stored passkey.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub credential: Vec<u8>,
    pub resident: u64,
    /// Public key, counter and flags, as JSON.
    pub passkey: String,
    pub label: String,
    pub added_at: Time,
    /// When it was last used to sign in.
    pub used_at: Option<Time>,
}

const COLUMNS: &str = "credential, resident, passkey, label, added_at, used_at";

/// Adds a passkey, with the mark of the house over it. [`Error::Conflict`] when the credential is known.
pub fn insert(conn: &mut dyn Connection, passkey: &Passkey, mark: &Digest) -> Result<(), Error> {
    let sql = "-- passkey_insert\nINSERT INTO passkeys (credential, resident, passkey, label, added_at, mark) VALUES ($1, $2, $3, $4, $5, $6)";
    let params = [
        Value::from(passkey.credential.clone()),
        number(passkey.resident).into(),
        passkey.passkey.as_str().into(),
        passkey.label.as_str().into(),
        passkey.added_at.micros().into(),
        mark.0.to_vec().into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The passkey with this credential id, and its mark.
pub fn find(conn: &mut dyn Connection, credential: &[u8]) -> Result<Option<(Passkey, Option<Digest>)>, Error> {
    let sql = format!("-- passkey_find\nSELECT {COLUMNS}, mark FROM passkeys WHERE credential = $1");
    let Some(row) = conn.query_one(&sql, &[Value::from(credential)])? else { return Ok(None) };
    Ok(Some((read(&row)?, crate::mark(&row, 6)?)))
}

/// Up to `limit` passkeys without a mark whose credential ids come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Passkey>, Error> {
    let sql = format!(
        "-- passkey_unmarked\nSELECT {COLUMNS} FROM passkeys WHERE credential > $1 AND mark IS NULL ORDER BY credential LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a passkey that has none.
pub fn set_mark(conn: &mut dyn Connection, credential: &[u8], mark: &Digest) -> Result<(), Error> {
    let sql = "-- passkey_set_mark\nUPDATE passkeys SET mark = $2 WHERE credential = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(credential), mark.0.to_vec().into()])?;
    Ok(())
}

/// The passkeys of a resident, oldest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Passkey>, Error> {
    let sql = format!("-- passkey_of_resident\nSELECT {COLUMNS} FROM passkeys WHERE resident = $1 ORDER BY added_at");
    conn.query(&sql, &[number(resident).into()])?.iter().map(read).collect()
}

/// Stores the passkey's new counter and flags after a sign-in, and the mark over them. False when it is gone.
pub fn update(conn: &mut dyn Connection, credential: &[u8], passkey: &str, used_at: Time, mark: &Digest) -> Result<bool, Error> {
    let sql = "-- passkey_update\nUPDATE passkeys SET passkey = $2, used_at = $3, mark = $4 WHERE credential = $1";
    let params = [Value::from(credential), passkey.into(), used_at.micros().into(), mark.0.to_vec().into()];
    Ok(conn.execute(sql, &params)? == 1)
}

/// Gives a resident's passkey another name.
pub fn rename(conn: &mut dyn Connection, resident: u64, credential: &[u8], label: &str) -> Result<bool, Error> {
    let sql = "-- passkey_rename\nUPDATE passkeys SET label = $3 WHERE credential = $1 AND resident = $2";
    Ok(conn.execute(sql, &[Value::from(credential), number(resident).into(), label.into()])? == 1)
}

/// Puts a wrap of the footprint key beside a resident's passkey, or takes it away. False when she has no such passkey.
pub fn put_wrap(conn: &mut dyn Connection, resident: u64, credential: &[u8], wrap: Option<&[u8]>) -> Result<bool, Error> {
    let sql = "-- passkey_put_wrap\nUPDATE passkeys SET wrap = $3 WHERE credential = $1 AND resident = $2";
    Ok(conn.execute(sql, &[Value::from(credential), number(resident).into(), wrap.map(<[u8]>::to_vec).into()])? == 1)
}

/// A credential, and the wrap beside it.
pub type Wrapped = (Vec<u8>, Vec<u8>);

/// The passkeys of a resident that wrap her footprint key, and their wraps.
pub fn wraps(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Wrapped>, Error> {
    let sql =
        "-- passkey_wraps\nSELECT credential, wrap FROM passkeys WHERE resident = $1 AND wrap IS NOT NULL ORDER BY added_at";
    let rows = conn.query(sql, &[number(resident).into()])?;
    rows.iter().map(|row| Ok((row.bytes(0)?.to_vec(), row.bytes(1)?.to_vec()))).collect()
}

/// Deletes one passkey of a resident. False when she has no such passkey.
pub fn delete(conn: &mut dyn Connection, resident: u64, credential: &[u8]) -> Result<bool, Error> {
    let sql = "-- passkey_delete\nDELETE FROM passkeys WHERE credential = $1 AND resident = $2";
    Ok(conn.execute(sql, &[Value::from(credential), number(resident).into()])? == 1)
}

/// Deletes the passkeys of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute("-- passkey_purge_resident\nDELETE FROM passkeys WHERE resident = $1", &[number(resident).into()])
}

fn read(row: &crate::db::Row) -> Result<Passkey, Error> {
    Ok(Passkey {
        credential: row.bytes(0)?.to_vec(),
        resident: row.integer(1)?.cast_unsigned(),
        passkey: row.text(2)?.to_owned(),
        label: row.text(3)?.to_owned(),
        added_at: Time::from_micros(row.integer(4)?),
        used_at: row.optional_integer(5)?.map(Time::from_micros),
    })
}
