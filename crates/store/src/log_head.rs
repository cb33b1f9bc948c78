//! Where the log stands: how many leaves are committed, and the last signed checkpoint.

use crate::db::{Connection, Error, Value};

/// The last signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub size: u64,
    pub root: [u8; 32],
    /// When it was signed, in seconds since 1970 UTC.
    pub time: u64,
    /// The signed note.
    pub note: Vec<u8>,
}

/// Makes the one row if it is not there.
pub fn ensure(conn: &mut dyn Connection) -> Result<(), Error> {
    conn.execute("-- log_head_ensure\nINSERT INTO log_head (id, size) VALUES (1, 0) ON CONFLICT (id) DO NOTHING", &[])?;
    Ok(())
}

/// How many leaves are committed.
pub fn size(conn: &mut dyn Connection) -> Result<u64, Error> {
    let row = conn.query_one("-- log_head_size\nSELECT size FROM log_head WHERE id = 1", &[])?;
    row.map_or(Ok(0), |row| Ok(row.integer(0)?.cast_unsigned()))
}

/// Makes this process, known by a random mark, the one that writes.
pub fn take(conn: &mut dyn Connection, holder: &[u8; 16]) -> Result<(), Error> {
    conn.execute("-- log_head_take\nUPDATE log_head SET holder = $1 WHERE id = 1", &[Value::from(holder.to_vec())])?;
    Ok(())
}

/// Whether this process still is the one that writes. [`Error::Superseded`] when another one has become it.
pub fn require(conn: &mut dyn Connection, holder: &[u8; 16]) -> Result<(), Error> {
    let sql = "-- log_head_holder\nSELECT size FROM log_head WHERE id = 1 AND holder = $1";
    conn.query_one(sql, &[Value::from(holder.to_vec())])?.map(drop).ok_or(Error::Superseded {})
}

/// Locks the head for this transaction and tells how many leaves are committed. A write, so that another node waits here.
/// [`Error::Superseded`] when another process has become the one that writes.
pub fn lock(conn: &mut dyn Connection, holder: &[u8; 16]) -> Result<u64, Error> {
    let sql = "-- log_head_lock\nUPDATE log_head SET size = size WHERE id = 1 AND holder = $1 RETURNING size";
    let row = conn.query_one(sql, &[Value::from(holder.to_vec())])?.ok_or(Error::Superseded {})?;
    Ok(row.integer(0)?.cast_unsigned())
}

/// Sets how many leaves are committed, from `old` to `new`. False when somebody else moved it.
pub fn advance(conn: &mut dyn Connection, old: u64, new: u64) -> Result<bool, Error> {
    let params = [Value::from(new.cast_signed()), Value::from(old.cast_signed())];
    Ok(conn.execute("-- log_head_advance\nUPDATE log_head SET size = $1 WHERE id = 1 AND size = $2", &params)? == 1)
}

/// The last signed checkpoint, if there is one.
pub fn published(conn: &mut dyn Connection) -> Result<Option<Published>, Error> {
    let sql =
        "-- log_head_published\nSELECT published_size, published_root, published_note, published_time FROM log_head WHERE id = 1";
    let Some(row) = conn.query_one(sql, &[])? else { return Ok(None) };
    let (Some(size), Some(root), Some(note)) = (row.optional_integer(0)?, row.optional_bytes(1)?, row.optional_bytes(2)?) else {
        return Ok(None);
    };
    let root = root.try_into().map_err(|_| crate::inconsistent("published_root"))?;
    let time = row.optional_integer(3)?.unwrap_or_default().cast_unsigned();
    Ok(Some(Published { size: size.cast_unsigned(), root, time, note: note.to_vec() }))
}

/// Replaces the signed checkpoint if the last one still has size `old`. False when somebody else replaced it.
pub fn publish(conn: &mut dyn Connection, old: Option<u64>, new: &Published) -> Result<bool, Error> {
    let sql = "-- log_head_publish\nUPDATE log_head SET published_size = $1, published_root = $2, published_note = $3, published_time = $4 \
               WHERE id = 1 AND COALESCE(published_size, -1) = $5";
    let params = [
        Value::from(new.size.cast_signed()),
        Value::from(new.root.to_vec()),
        Value::from(new.note.clone()),
        Value::from(new.time.cast_signed()),
        Value::from(old.map_or(-1, u64::cast_signed)),
    ];
    Ok(conn.execute(sql, &params)? == 1)
}
