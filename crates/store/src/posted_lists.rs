//! Residents who want the list of their lines by post, and when the next one is due.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::{number, shard};

/// An order of a resident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedList {
    pub resident: u64,
    /// `once` or `monthly`.
    pub every: String,
    /// `en` or `zh-Hant`.
    pub language: String,
    pub due_at: Time,
    pub mark: Digest,
}

/// The order of a resident.
pub fn find(conn: &mut dyn Connection, resident: u64) -> Result<Option<PostedList>, Error> {
    let sql = "-- posted_list_find\nSELECT resident, every, language, due_at, mark FROM posted_lists WHERE shard = $1 AND resident = $2";
    conn.query_one(sql, &[shard(resident).into(), number(resident).into()])?.as_ref().map(read).transpose()
}

/// Up to `limit` orders after that of `after` of which one is due by `now`, in the order of the residents.
pub fn due(conn: &mut dyn Connection, now: Time, after: Option<u64>, limit: usize) -> Result<Vec<PostedList>, Error> {
    let sql = "-- posted_list_due\nSELECT resident, every, language, due_at, mark FROM posted_lists WHERE due_at <= $1 \
               AND resident > $2 ORDER BY resident LIMIT $3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = after.map_or(-1, number);
    conn.query(sql, &[now.micros().into(), after.into(), limit.into()])?.iter().map(read).collect()
}

/// Sets the order of a resident.
pub fn put(conn: &mut dyn Connection, order: &PostedList) -> Result<(), Error> {
    let sql = "-- posted_list_put\nINSERT INTO posted_lists (shard, resident, every, language, due_at, mark) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (shard, resident) DO UPDATE SET every = excluded.every, language = excluded.language, due_at = excluded.due_at, \
               mark = excluded.mark";
    let params = [
        shard(order.resident).into(),
        number(order.resident).into(),
        order.every.as_str().into(),
        order.language.as_str().into(),
        order.due_at.micros().into(),
        Value::from(order.mark.0.to_vec()),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Ends the order of a resident. Answers whether there was one.
pub fn end(conn: &mut dyn Connection, resident: u64) -> Result<bool, Error> {
    let sql = "-- posted_list_end\nDELETE FROM posted_lists WHERE shard = $1 AND resident = $2";
    Ok(conn.execute(sql, &[shard(resident).into(), number(resident).into()])? == 1)
}

fn read(row: &Row) -> Result<PostedList, Error> {
    Ok(PostedList {
        resident: row.integer(0)?.cast_unsigned(),
        every: row.text(1)?.to_owned(),
        language: row.text(2)?.to_owned(),
        due_at: Time::from_micros(row.integer(3)?),
        mark: Digest(row.array(4)?),
    })
}
