//! What services put into the pass about residents, sealed by month, and which months have a key.

use usufruct_core::Time;
use usufruct_core::id::AgencyId;
use usufruct_core::time::Month;

use crate::db::{Connection, Error, Row, Value};
use crate::{number, shard};

/// Something that was deposited.
#[derive(Clone, Debug)]
pub struct Deposit {
    pub resident: u64,
    /// Leaf number of the event by which it was deposited.
    pub index: u64,
    /// Number of the mandate.
    pub mandate: u64,
    pub month: Month,
    /// Number of the data block.
    pub block: u64,
    /// On whose behalf it was put in; `None` for what was put in before this was kept.
    pub depositor: Option<AgencyId>,
    pub at: Time,
    /// When its time is over.
    pub until: Time,
    pub sealed: Vec<u8>,
}

/// Adds something that was deposited.
pub fn insert(conn: &mut dyn Connection, deposit: &Deposit) -> Result<(), Error> {
    let sql = "-- deposit_insert\nINSERT INTO deposits (shard, resident, idx, mandate, month, block, deposited_at, keep_until, sealed, \
               depositor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let params = [
        shard(deposit.resident).into(),
        number(deposit.resident).into(),
        number(deposit.index).into(),
        deposit.mandate.cast_signed().into(),
        i64::from(deposit.month.0).into(),
        deposit.block.cast_signed().into(),
        deposit.at.micros().into(),
        deposit.until.micros().into(),
        Value::from(deposit.sealed.clone()),
        deposit.depositor.as_ref().map(|depositor| depositor.as_str().to_owned()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// What was deposited about a resident and is still within its time, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64, now: Time) -> Result<Vec<Deposit>, Error> {
    let sql = "-- deposit_list\nSELECT idx, mandate, month, block, deposited_at, keep_until, sealed, depositor FROM deposits \
               WHERE shard = $1 AND resident = $2 AND keep_until > $3 ORDER BY idx DESC";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into(), now.micros().into()])?;
    rows.iter().map(|row| deposit(row, resident)).collect()
}

/// What was deposited about a resident under one mandate before the leaf `index` and is still within its time, newest first.
pub fn under_mandate(
    conn: &mut dyn Connection,
    resident: u64,
    mandate: u64,
    index: u64,
    now: Time,
) -> Result<Vec<Deposit>, Error> {
    let sql = "-- deposit_list_under\nSELECT idx, mandate, month, block, deposited_at, keep_until, sealed, depositor FROM deposits \
               WHERE shard = $1 AND resident = $2 AND mandate = $3 AND idx < $4 AND keep_until > $5 ORDER BY idx DESC";
    let params = [
        shard(resident).into(),
        number(resident).into(),
        mandate.cast_signed().into(),
        number(index).into(),
        now.micros().into(),
    ];
    conn.query(sql, &params)?.iter().map(|row| deposit(row, resident)).collect()
}

/// Deletes what was deposited about a resident under a mandate.
pub fn delete(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<(), Error> {
    let sql = "-- deposit_delete\nDELETE FROM deposits WHERE shard = $1 AND resident = $2 AND mandate = $3";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?;
    Ok(())
}

/// Deletes everything that was deposited about a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<(), Error> {
    let sql = "-- deposit_purge_resident\nDELETE FROM deposits WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])?;
    Ok(())
}

/// Deletes up to `limit` rows that were deposited under a mandate in a month. The key is gone before; this frees the room.
pub fn purge_month(conn: &mut dyn Connection, mandate: u64, month: Month, limit: usize) -> Result<u64, Error> {
    let sql = "-- deposit_purge_month\nDELETE FROM deposits WHERE mandate = $1 AND (shard, resident, idx) IN \
               (SELECT shard, resident, idx FROM deposits WHERE mandate = $1 AND month = $2 LIMIT $3)";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into(), rows(limit)])
}

/// Deletes up to `limit` rows whose time is over.
pub fn purge_ended(conn: &mut dyn Connection, now: Time, limit: usize) -> Result<u64, Error> {
    let sql = "-- deposit_purge_ended\nDELETE FROM deposits WHERE (shard, resident, idx) IN \
               (SELECT shard, resident, idx FROM deposits WHERE keep_until <= $1 LIMIT $2)";
    conn.execute(sql, &[now.micros().into(), rows(limit)])
}

/// Notes that a month of a mandate is about to get a key, unless it is noted already.
pub fn note_month(conn: &mut dyn Connection, mandate: u64, month: Month) -> Result<(), Error> {
    let sql =
        "-- month_note\nINSERT INTO deposit_months (mandate, month) VALUES ($1, $2) ON CONFLICT (mandate, month) DO NOTHING";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into()])?;
    Ok(())
}

/// The months that are noted, of every mandate.
pub fn months(conn: &mut dyn Connection) -> Result<Vec<(u64, Month)>, Error> {
    let sql = "-- month_list\nSELECT mandate, month FROM deposit_months ORDER BY mandate, month";
    conn.query(sql, &[])?.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), month(row.integer(1)?)?))).collect()
}

/// The months of one mandate that are noted.
pub fn months_of(conn: &mut dyn Connection, mandate: u64) -> Result<Vec<Month>, Error> {
    let sql = "-- month_list_of\nSELECT month FROM deposit_months WHERE mandate = $1 ORDER BY month";
    conn.query(sql, &[mandate.cast_signed().into()])?.iter().map(|row| month(row.integer(0)?)).collect()
}

/// Forgets a month whose key is gone.
pub fn forget_month(conn: &mut dyn Connection, mandate: u64, month: Month) -> Result<(), Error> {
    let sql = "-- month_forget\nDELETE FROM deposit_months WHERE mandate = $1 AND month = $2";
    conn.execute(sql, &[mandate.cast_signed().into(), i64::from(month.0).into()])?;
    Ok(())
}

fn deposit(row: &Row, resident: u64) -> Result<Deposit, Error> {
    Ok(Deposit {
        resident,
        index: row.integer(0)?.cast_unsigned(),
        mandate: row.integer(1)?.cast_unsigned(),
        month: month(row.integer(2)?)?,
        block: row.integer(3)?.cast_unsigned(),
        at: Time::from_micros(row.integer(4)?),
        until: Time::from_micros(row.integer(5)?),
        sealed: row.bytes(6)?.to_vec(),
        depositor: row
            .optional_text(7)?
            .map(|depositor| depositor.parse().map_err(|_| crate::inconsistent("a body")))
            .transpose()?,
    })
}

fn month(number: i64) -> Result<Month, Error> {
    number.try_into().map(Month).map_err(|_| crate::inconsistent("a month"))
}

fn rows(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
