//! What residents wish once and for all, sealed.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// The wishes of a resident as they are stored.
#[derive(Clone, Debug)]
pub struct StoredWishes {
    pub resident: u64,
    pub said_at: Time,
    /// Sealed under her own key.
    pub sealed: Vec<u8>,
    pub mark: Digest,
}

/// What a resident wishes; `None` where she has never said.
pub fn find(conn: &mut dyn Connection, resident: u64) -> Result<Option<StoredWishes>, Error> {
    let sql = "-- wishes_find\nSELECT said_at, sealed, mark FROM wishes WHERE shard = $1 AND resident = $2";
    let Some(row) = conn.query_one(sql, &[shard(resident).into(), number(resident).into()])? else { return Ok(None) };
    Ok(Some(StoredWishes {
        resident,
        said_at: Time::from_micros(row.integer(0)?),
        sealed: row.bytes(1)?.to_vec(),
        mark: Digest(row.array(2)?),
    }))
}

/// Sets what a resident wishes.
pub fn put(conn: &mut dyn Connection, wishes: &StoredWishes) -> Result<(), Error> {
    let sql = "-- wishes_put\nINSERT INTO wishes (shard, resident, said_at, sealed, mark) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (shard, resident) DO UPDATE SET said_at = excluded.said_at, sealed = excluded.sealed, mark = excluded.mark";
    let params = [
        shard(wishes.resident).into(),
        number(wishes.resident).into(),
        wishes.said_at.micros().into(),
        Value::from(wishes.sealed.clone()),
        Value::from(wishes.mark.0.to_vec()),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Deletes what an erased resident wished.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- wishes_purge_resident\nDELETE FROM wishes WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}
