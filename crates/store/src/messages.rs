//! Weekly messages to residents: that a week is over, and who wants none. What happened stands in nobody's row here.

use usufruct_core::week::Week;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::{number, shard};

/// A message to a resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The week at whose end it was due.
    pub week: Week,
    /// What it is about: from then, and until just before `ends_at`.
    pub begins_at: Time,
    pub ends_at: Time,
    pub written_at: Time,
}

/// What a resident wishes about her messages.
#[derive(Clone, Debug)]
pub struct StoredMessageWish {
    pub resident: u64,
    pub is_off: bool,
    /// Sealed under her own key.
    pub address: Option<Vec<u8>>,
    pub said_at: Time,
    pub mark: Digest,
}

/// How far the writing of the messages of a week has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageWalk {
    pub week: Week,
    /// The last resident who has been looked at.
    pub after: Option<u64>,
    pub is_done: bool,
    /// First moment that any message is about.
    pub began_at: Time,
}

const WISH_COLUMNS: &str = "resident, is_off, address, said_at, mark";

/// Who gets a message, from when on it tells, and whether a letter says so. What one resident has, each of them gets once.
const WRITE: &str = "-- message_write\nINSERT INTO messages (shard, resident, week, begins_at, ends_at, written_at, mail_due) \
     SELECT r.shard, r.resident, CAST($1 AS BIGINT), COALESCE((SELECT MAX(m.ends_at) FROM messages m WHERE m.shard = r.shard \
     AND m.resident = r.resident), CASE WHEN r.enrolled_at > $2 THEN r.enrolled_at ELSE CAST($2 AS BIGINT) END), CAST($3 AS BIGINT), \
     CAST($4 AS BIGINT), CASE WHEN EXISTS (SELECT 1 FROM message_wishes a WHERE a.shard = r.shard AND a.resident = r.resident \
     AND a.address IS NOT NULL) THEN 1 ELSE 0 END FROM residents r WHERE r.state <> 'erased' AND r.enrolled_at < $3 \
     AND NOT EXISTS (SELECT 1 FROM canaries c WHERE c.resident = r.resident)";

/// Writes the messages of a week to the residents after `after` up to `last`, in the order of [`crate::residents::list`], but for those who want
/// none. Who has hers already gets no second one. Answers how many were written.
pub fn write(conn: &mut dyn Connection, walk: &MessageWalk, last: u64, now: Time) -> Result<u64, Error> {
    let sql = format!(
        "{WRITE} AND (r.shard, r.resident) > ($5, $6) AND (r.shard, r.resident) <= ($7, $8) \
         AND NOT EXISTS (SELECT 1 FROM message_wishes w WHERE w.shard = r.shard AND w.resident = r.resident AND w.is_off = 1) \
         ON CONFLICT (shard, resident, week) DO NOTHING"
    );
    let [from_shard, from] = bound(walk.after);
    let params = about(walk, now).into_iter().chain([from_shard, from, shard(last).into(), number(last).into()]);
    conn.execute(&sql, &params.collect::<Vec<_>>())
}

/// Writes the message of a week to one resident, whatever she wishes.
pub fn write_to(conn: &mut dyn Connection, walk: &MessageWalk, resident: u64, now: Time) -> Result<u64, Error> {
    let sql = format!("{WRITE} AND r.shard = $5 AND r.resident = $6 ON CONFLICT (shard, resident, week) DO NOTHING");
    let params = about(walk, now).into_iter().chain([shard(resident).into(), number(resident).into()]);
    conn.execute(&sql, &params.collect::<Vec<_>>())
}

/// The last `limit` messages to a resident, the newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64, limit: usize) -> Result<Vec<Message>, Error> {
    let sql = "-- message_of_resident\nSELECT week, begins_at, ends_at, written_at FROM messages WHERE shard = $1 AND resident = $2 \
               ORDER BY week DESC LIMIT $3";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into(), limited(limit)])?;
    rows.iter()
        .map(|row| {
            let time = |column: usize| Ok::<_, Error>(Time::from_micros(row.integer(column)?));
            Ok(Message { week: Week(row.integer(0)?), begins_at: time(1)?, ends_at: time(2)?, written_at: time(3)? })
        })
        .collect()
}

/// Forgets messages of weeks before `week` to the residents after `after` up to `last`.
pub fn forget(conn: &mut dyn Connection, after: Option<u64>, last: u64, week: Week) -> Result<u64, Error> {
    let sql = "-- message_forget\nDELETE FROM messages WHERE (shard, resident) > ($1, $2) AND (shard, resident) <= ($3, $4) AND week < $5";
    let [from_shard, from] = bound(after);
    conn.execute(sql, &[from_shard, from, shard(last).into(), number(last).into(), week.0.into()])
}

/// Up to `limit` residents for whom a letter waits, and the newest week that it speaks of.
pub fn mail_due(conn: &mut dyn Connection, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Week)>, Error> {
    let sql = "-- message_mail_due\nSELECT resident, MAX(week) FROM messages WHERE mail_due = 1 AND (shard, resident) > ($1, $2) \
               GROUP BY shard, resident ORDER BY shard, resident LIMIT $3";
    let [from_shard, from] = bound(after);
    let rows = conn.query(sql, &[from_shard, from, limited(limit)])?;
    rows.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), Week(row.integer(1)?)))).collect()
}

/// Notes that a letter about the messages up to `week` is with the courier, or that none goes.
pub fn mailed(conn: &mut dyn Connection, resident: u64, week: Week) -> Result<u64, Error> {
    let sql =
        "-- message_mailed\nUPDATE messages SET mail_due = 0 WHERE shard = $1 AND resident = $2 AND week <= $3 AND mail_due = 1";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), week.0.into()])
}

/// How far the writing has come; `None` before the first week.
pub fn walk(conn: &mut dyn Connection) -> Result<Option<MessageWalk>, Error> {
    let row =
        conn.query_one("-- message_walk\nSELECT week, after_resident, is_done, began_at FROM message_walk WHERE id = 1", &[])?;
    row.map(|row| {
        Ok(MessageWalk {
            week: Week(row.integer(0)?),
            after: row.optional_integer(1)?.map(i64::cast_unsigned),
            is_done: row.integer(2)? == 1,
            began_at: Time::from_micros(row.integer(3)?),
        })
    })
    .transpose()
}

/// Notes how far the writing has come.
pub fn put_walk(conn: &mut dyn Connection, walk: &MessageWalk) -> Result<(), Error> {
    let sql = "-- message_walk_put\nINSERT INTO message_walk (id, week, after_resident, is_done, began_at) VALUES (1, $1, $2, $3, $4) \
               ON CONFLICT (id) DO UPDATE SET week = excluded.week, after_resident = excluded.after_resident, is_done = excluded.is_done, \
               began_at = excluded.began_at";
    let params =
        [walk.week.0.into(), walk.after.map(number).into(), i64::from(walk.is_done).into(), walk.began_at.micros().into()];
    conn.execute(sql, &params)?;
    Ok(())
}

/// What a resident wishes about her messages; `None` where she has never said.
pub fn wish(conn: &mut dyn Connection, resident: u64) -> Result<Option<StoredMessageWish>, Error> {
    let sql = format!("-- message_wish\nSELECT {WISH_COLUMNS} FROM message_wishes WHERE shard = $1 AND resident = $2");
    conn.query_one(&sql, &[shard(resident).into(), number(resident).into()])?.as_ref().map(read_wish).transpose()
}

/// The wishes of those among the residents after `after` up to `last` who want no message.
pub fn off(conn: &mut dyn Connection, after: Option<u64>, last: u64) -> Result<Vec<StoredMessageWish>, Error> {
    let sql = format!(
        "-- message_wish_off\nSELECT {WISH_COLUMNS} FROM message_wishes WHERE (shard, resident) > ($1, $2) AND (shard, resident) <= ($3, $4) \
         AND is_off = 1 ORDER BY shard, resident"
    );
    let [from_shard, from] = bound(after);
    conn.query(&sql, &[from_shard, from, shard(last).into(), number(last).into()])?.iter().map(read_wish).collect()
}

/// Sets what a resident wishes about her messages.
pub fn put_wish(conn: &mut dyn Connection, wish: &StoredMessageWish) -> Result<(), Error> {
    let sql = "-- message_wish_put\nINSERT INTO message_wishes (shard, resident, is_off, address, said_at, mark) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (shard, resident) DO UPDATE SET is_off = excluded.is_off, address = excluded.address, said_at = excluded.said_at, \
               mark = excluded.mark";
    let params = [
        shard(wish.resident).into(),
        number(wish.resident).into(),
        i64::from(wish.is_off).into(),
        wish.address.clone().into(),
        wish.said_at.micros().into(),
        Value::from(wish.mark.0.to_vec()),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Deletes the messages of an erased resident, and what she wished about them.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let params = [Value::from(shard(resident)), number(resident).into()];
    let wishes =
        conn.execute("-- message_wish_purge_resident\nDELETE FROM message_wishes WHERE shard = $1 AND resident = $2", &params)?;
    Ok(wishes + conn.execute("-- message_purge_resident\nDELETE FROM messages WHERE shard = $1 AND resident = $2", &params)?)
}

/// What the messages of a walk say: their week, from when on and until when they tell at the most, and when they are written.
fn about(walk: &MessageWalk, now: Time) -> [Value; 4] {
    [walk.week.0.into(), walk.began_at.micros().into(), walk.week.ends().micros().into(), now.micros().into()]
}

/// Just before the residents after `after`.
fn bound(after: Option<u64>) -> [Value; 2] {
    after.map_or([Value::from(-1), Value::from(-1)], |after| [shard(after).into(), number(after).into()])
}

fn read_wish(row: &Row) -> Result<StoredMessageWish, Error> {
    Ok(StoredMessageWish {
        resident: row.integer(0)?.cast_unsigned(),
        is_off: row.integer(1)? == 1,
        address: row.optional_bytes(2)?.map(<[u8]>::to_vec),
        said_at: Time::from_micros(row.integer(3)?),
        mark: Digest(row.array(4)?),
    })
}

fn limited(limit: usize) -> Value {
    Value::from(i64::try_from(limit).unwrap_or(i64::MAX))
}
