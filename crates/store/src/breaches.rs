//! Whom the machine has told of which breach, and how far it has come.

use std::collections::BTreeSet;

use usufruct_core::delay::Week;
use usufruct_core::id::BlockId;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// How somebody is told of a breach beside her footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By a letter: she has no passkey to sign in with.
    Courier,
    Pass,
}

/// How far the walk over all residents has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Number of the breach.
    pub breach: u64,
    /// SHA-256 of what is concerned.
    pub scope: Digest,
    /// The last resident that was looked at.
    pub after: Option<u64>,
    /// The blocks of those told so far.
    pub blocks: BTreeSet<BlockId>,
    pub done: Done,
    /// The week in which it began: lines that open in a later one it has not seen.
    pub week: Week,
}

/// How a walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    GoesOn,
    /// All residents were looked at.
    Walked,
    /// The register says so.
    Said,
}

/// The walk of a breach.
pub fn walk(conn: &mut dyn Connection, breach: u64) -> Result<Option<Walk>, Error> {
    let sql = "-- breach_walk_find\nSELECT scope, after, blocks, done, week FROM breach_walks WHERE breach = $1";
    let Some(row) = conn.query_one(sql, &[breach.cast_signed().into()])? else { return Ok(None) };
    let blocks: Result<BTreeSet<BlockId>, _> = row.text(2)?.split_whitespace().map(str::parse).collect();
    Ok(Some(Walk {
        breach,
        scope: Digest(row.array(0)?),
        after: row.optional_integer(1)?.map(i64::cast_unsigned),
        blocks: blocks.map_err(|_| crate::inconsistent("breach_walks.blocks"))?,
        done: Done::from_code(row.integer(3)?).ok_or_else(|| crate::inconsistent("breach_walks.done"))?,
        week: Week(u32::try_from(row.integer(4)?).map_err(|_| crate::inconsistent("breach_walks.week"))?),
    }))
}

/// Sets how far a walk has come.
pub fn put_walk(conn: &mut dyn Connection, walk: &Walk) -> Result<(), Error> {
    let sql = "-- breach_walk_put\nINSERT INTO breach_walks (breach, scope, after, blocks, done, week) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (breach) DO UPDATE SET scope = excluded.scope, after = excluded.after, blocks = excluded.blocks, \
               done = excluded.done, week = excluded.week";
    let blocks: Vec<&str> = walk.blocks.iter().map(BlockId::as_str).collect();
    let params = [
        walk.breach.cast_signed().into(),
        Value::from(walk.scope.0.to_vec()),
        walk.after.map(number).into(),
        blocks.join(" ").into(),
        walk.done.code().into(),
        i64::from(walk.week.0).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Notes that a resident is told. False when she was before.
pub fn tell(conn: &mut dyn Connection, resident: u64, breach: u64, channel: Channel, now: Time) -> Result<bool, Error> {
    let sql = "-- breach_notice_insert\nINSERT INTO breach_notices (shard, resident, breach, told_at, channel) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (shard, resident, breach) DO NOTHING";
    let params = [
        shard(resident).into(),
        number(resident).into(),
        breach.cast_signed().into(),
        now.micros().into(),
        channel.code().into(),
    ];
    Ok(conn.execute(sql, &params)? == 1)
}

/// How many residents were told of a breach, and how many of them get a letter.
pub fn told(conn: &mut dyn Connection, breach: u64) -> Result<(u64, u64), Error> {
    let sql = "-- breach_notice_count\nSELECT COUNT(*), COUNT(CASE WHEN channel = 'courier' THEN 1 END) FROM breach_notices WHERE breach = $1";
    let row = conn.query_one(sql, &[breach.cast_signed().into()])?;
    row.map_or(Ok((0, 0)), |row| Ok((row.integer(0)?.cast_unsigned(), row.integer(1)?.cast_unsigned())))
}

/// The breaches of which a resident was told, by number, and when; the newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(u64, Time)>, Error> {
    let sql = "-- breach_notice_of_resident\nSELECT breach, told_at FROM breach_notices WHERE shard = $1 AND resident = $2 \
               ORDER BY told_at DESC, breach DESC";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter().map(|row| Ok((row.integer(0)?.cast_unsigned(), Time::from_micros(row.integer(1)?)))).collect()
}

/// Up to `limit` residents after `after` who get a letter about a breach, in order of shard and number.
pub fn by_courier(conn: &mut dyn Connection, breach: u64, after: Option<u64>, limit: usize) -> Result<Vec<u64>, Error> {
    let sql = "-- breach_notice_by_courier\nSELECT resident FROM breach_notices WHERE breach = $1 AND channel = 'courier' \
               AND (shard, resident) > ($2, $3) ORDER BY shard, resident LIMIT $4";
    let params = [
        breach.cast_signed().into(),
        after.map_or(-1, shard).into(),
        after.map_or(-1, number).into(),
        Value::from(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    conn.query(sql, &params)?.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}

/// Deletes what an erased resident was told.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- breach_notice_purge_resident\nDELETE FROM breach_notices WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}

/// Whether anything is kept of who was told of a breach.
pub fn is_kept(conn: &mut dyn Connection, breach: u64) -> Result<bool, Error> {
    let sql = "-- breach_is_kept\nSELECT 1 WHERE EXISTS (SELECT 1 FROM breach_walks WHERE breach = $1) \
               OR EXISTS (SELECT 1 FROM breach_notices WHERE breach = $1)";
    Ok(conn.query_one(sql, &[breach.cast_signed().into()])?.is_some())
}

/// Deletes who was told of a breach, and how far the walk had come.
pub fn purge(conn: &mut dyn Connection, breach: u64) -> Result<u64, Error> {
    let params = [breach.cast_signed().into()];
    conn.execute("-- breach_walk_purge\nDELETE FROM breach_walks WHERE breach = $1", &params)?;
    conn.execute("-- breach_notice_purge\nDELETE FROM breach_notices WHERE breach = $1", &params)
}

impl Channel {
    /// The word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Courier => "courier",
            Self::Pass => "pass",
        }
    }
}

impl Done {
    fn code(self) -> i64 {
        match self {
            Self::GoesOn => 0,
            Self::Walked => 1,
            Self::Said => 2,
        }
    }

    fn from_code(code: i64) -> Option<Self> {
        [Self::GoesOn, Self::Walked, Self::Said].into_iter().find(|done| done.code() == code)
    }
}
