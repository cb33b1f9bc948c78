//! What services collected about residents, sealed by month, and which months have a key.

use usufruct_core::Time;
use usufruct_core::time::Month;

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// Something that was collected.
#[derive(Clone, Debug)]
pub struct Collected {
    pub resident: u64,
    /// Leaf number of the event by which it was collected.
    pub index: u64,
    /// Number of the mandate.
    pub mandate: u64,
    pub month: Month,
    /// Number of the data block.
    pub block: u64,
    pub at: Time,
    /// When its time is over.
    pub until: Time,
    pub sealed: Vec<u8>,
}

/// Adds something that was collected.
pub fn insert(conn: &mut dyn Connection, collected: &Collected) -> Result<(), Error> {
    let sql = "-- collected_insert\nINSERT INTO collected_blocks (shard, resident, idx, mandate, month, block, collected_at, keep_until, sealed) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let params = [
        shard(collected.resident).into(),
        number(collected.resident).into(),
        number(collected.index).into(),
        collected.mandate.cast_signed().into(),
        i64::from(collected.month.0).into(),
        collected.block.cast_signed().into(),
        collected.at.micros().into(),
        collected.until.micros().into(),
        Value::from(collected.sealed.clone()),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// What was collected about a resident and is still within its time, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64, now: Time) -> Result<Vec<Collected>, Error> {
    let sql = "-- collected_list\nSELECT idx, mandate, month, block, collected_at, keep_until, sealed FROM collected_blocks \
               WHERE shard = $1 AND resident = $2 AND keep_until > $3 ORDER BY idx DESC";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into(), now.micros().into()])?;
    rows.iter()
        .map(|row| {
            Ok(Collected {
                resident,
                index: row.integer(0)?.cast_unsigned(),
                mandate: row.integer(1)?.cast_unsigned(),
                month: month(row.integer(2)?)?,
                block: row.integer(3)?.cast_unsigned(),
                at: Time::from_micros(row.integer(4)?),
                until: Time::from_micros(row.integer(5)?),
                sealed: row.bytes(6)?.to_vec(),
            })
        })
        .collect()
}

/// Deletes what was collected about a resident under a mandate.
pub fn delete(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<(), Error> {
    let sql = "-- collected_delete\nDELETE FROM collected_blocks WHERE shard = $1 AND resident = $2 AND mandate = $3";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?;
    Ok(())
}

/// Deletes everything that was collected about a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<(), Error> {
    let sql = "-- collected_purge_resident\nDELETE FROM collected_blocks WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])?;
    Ok(())
}

/// Deletes up to `limit` rows that were collected under a mandate in a month. The key is gone before; this frees the room.
pub fn purge_month(conn: &mut dyn Connection, mandate: u64, month: Month, limit: usize) -> Result<u64, Error> {
    let sql = "-- collected_purge_month\nDELETE FROM collected_blocks WHERE mandate = $1 AND (shard, resident, idx) IN \
               (SELECT shard, resident, idx FROM collected_blocks WHERE mandate = $1 AND month = $2 LIMIT $3)";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into(), rows(limit)])
}

/// Deletes up to `limit` rows whose time is over.
pub fn purge_ended(conn: &mut dyn Connection, now: Time, limit: usize) -> Result<u64, Error> {
    let sql = "-- collected_purge_ended\nDELETE FROM collected_blocks WHERE (shard, resident, idx) IN \
               (SELECT shard, resident, idx FROM collected_blocks WHERE keep_until <= $1 LIMIT $2)";
    conn.execute(sql, &[now.micros().into(), rows(limit)])
}

/// Notes that a month of a mandate is about to get a key, unless it is noted already.
pub fn note_month(conn: &mut dyn Connection, mandate: u64, month: Month) -> Result<(), Error> {
    let sql =
        "-- month_note\nINSERT INTO collected_months (mandate, month) VALUES ($1, $2) ON CONFLICT (mandate, month) DO NOTHING";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into()])?;
    Ok(())
}

/// The months that are noted, of every mandate.
pub fn months(conn: &mut dyn Connection) -> Result<Vec<(u64, Month)>, Error> {
    let sql = "-- month_list\nSELECT mandate, month FROM collected_months ORDER BY mandate, month";
    conn.query(sql, &[])?.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), month(row.integer(1)?)?))).collect()
}

/// The months of one mandate that are noted.
pub fn months_of(conn: &mut dyn Connection, mandate: u64) -> Result<Vec<Month>, Error> {
    let sql = "-- month_list_of\nSELECT month FROM collected_months WHERE mandate = $1 ORDER BY month";
    conn.query(sql, &[mandate.cast_signed().into()])?.iter().map(|row| month(row.integer(0)?)).collect()
}

/// Forgets a month whose key is gone.
pub fn forget_month(conn: &mut dyn Connection, mandate: u64, month: Month) -> Result<(), Error> {
    let sql = "-- month_forget\nDELETE FROM collected_months WHERE mandate = $1 AND month = $2";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into()])?;
    Ok(())
}

fn month(number: i64) -> Result<Month, Error> {
    number.try_into().map(Month).map_err(|_| crate::inconsistent("a month"))
}

fn rows(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
