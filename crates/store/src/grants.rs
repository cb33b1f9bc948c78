//! Grants: what a resident agreed to, how often it was used, and the guard that counts a use.

use usufruct_core::grant::{Grant, GrantKind, GrantState};
use usufruct_core::id::{BlockId, GrantId};
use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::wishes::StoredWishes;
use crate::{mark, number, shard};

/// A grant with its place in the store.
#[derive(Clone, Debug)]
pub struct StoredGrant {
    pub id: GrantId,
    pub resident: u64,
    /// Number of the mandate.
    pub mandate: u64,
    pub revision: i64,
    pub last_use_at: Option<Time>,
    /// When she last said yes again, if she was asked again.
    pub reaffirmed_at: Option<Time>,
    /// The revision that she refused after the grant had ended.
    pub refused: Option<Digest>,
    pub grant: Grant,
    /// Whether cases of hers are about something under the mandate.
    pub has_cases: bool,
    /// What she wishes once and for all, sealed.
    pub wishes: Option<StoredWishes>,
}

/// What must still hold, inside the writing transaction, for a use to be counted.
#[derive(Clone, Debug)]
pub struct Count {
    pub resident: u64,
    pub mandate: u64,
    /// The revision the decision saw.
    pub revision: i64,
    /// Uses allowed in one window, and the length of the window in microseconds.
    pub cap: i64,
    pub period: i64,
    /// Whether a second use is never lawful.
    pub once: bool,
    pub now: Time,
    /// Day of the calendar, counted from 1970.
    pub day: i64,
    /// The authorization that the decision rests on, by its id and mark; `None` where it rests on law.
    pub authorization: Option<(String, Digest)>,
}

const COLUMNS: &str = "g.resident, g.mandate, g.grant_id, g.kind, g.state, g.revision, g.mandate_hash, g.blocks, g.given_at, \
                       g.valid_until, g.uses, g.window_start, g.window_uses, g.last_use_at, r.state, g.means, \
                       (SELECT COUNT(*) FROM cases c WHERE c.shard = g.shard AND c.resident = g.resident AND c.mandate = g.mandate), \
                       w.said_at, w.sealed, w.mark, g.reaffirmed_at, g.refused_hash";
const TABLES: &str = "grants g JOIN residents r ON r.shard = g.shard AND r.resident = g.resident \
                      LEFT JOIN wishes w ON w.shard = g.shard AND w.resident = g.resident";

/// The grant of a resident under a mandate.
pub fn find(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<Option<StoredGrant>, Error> {
    let sql = format!("-- grant_find\nSELECT {COLUMNS} FROM {TABLES} WHERE g.shard = $1 AND g.resident = $2 AND g.mandate = $3");
    let row = conn.query_one(&sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?;
    row.as_ref().map(read).transpose()
}

/// All grants of a resident, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<StoredGrant>, Error> {
    let sql = format!(
        "-- grant_of_resident\nSELECT {COLUMNS} FROM {TABLES} WHERE g.shard = $1 AND g.resident = $2 ORDER BY g.given_at DESC, g.mandate"
    );
    let rows = conn.query(&sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter().map(read).collect()
}

/// Residents whose grant under a mandate stands and was given by `until`, up to `limit` after `after`.
pub fn standing(
    conn: &mut dyn Connection,
    mandate: u64,
    until: Time,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<u64>, Error> {
    let sql = "-- grant_standing\nSELECT resident FROM grants WHERE mandate = $1 AND state IN ('given', 'paused') AND given_at <= $2 \
               AND resident > $3 ORDER BY resident LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = [mandate.cast_signed().into(), until.micros().into(), after.map_or(-1, number).into(), limit.into()];
    conn.query(sql, &params)?.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}

/// How many grants under a mandate stand that were given by `until`.
pub fn count_standing(conn: &mut dyn Connection, mandate: u64, until: Time) -> Result<u64, Error> {
    let sql = "-- grant_count_standing\nSELECT COUNT(*) FROM grants WHERE mandate = $1 AND state IN ('given', 'paused') AND given_at <= $2";
    let row = conn.query_one(sql, &[mandate.cast_signed().into(), until.micros().into()])?;
    row.map_or(Ok(0), |row| Ok(row.integer(0)?.cast_unsigned()))
}

/// Sets the grant of a resident under a mandate anew: counters start from zero, the revision counts up.
pub fn put(conn: &mut dyn Connection, grant: &StoredGrant) -> Result<(), Error> {
    put_many(conn, std::slice::from_ref(grant))
}

/// Sets many grants.
pub fn put_many(conn: &mut dyn Connection, grants: &[StoredGrant]) -> Result<(), Error> {
    let sql = "-- grant_put\nINSERT INTO grants (shard, resident, mandate, grant_id, kind, state, revision, mandate_hash, blocks, \
               given_at, valid_until, uses, window_start, window_uses, means) \
               VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, 0, $9, 0, $11) \
               ON CONFLICT (shard, resident, mandate) DO UPDATE SET grant_id = excluded.grant_id, kind = excluded.kind, \
               state = excluded.state, revision = grants.revision + 1, mandate_hash = excluded.mandate_hash, blocks = excluded.blocks, \
               given_at = excluded.given_at, valid_until = excluded.valid_until, uses = 0, window_start = excluded.window_start, \
               window_uses = 0, last_use_at = NULL, means = excluded.means, reaffirmed_at = NULL, refused_hash = NULL";
    let rows: Vec<_> = grants
        .iter()
        .map(|stored| {
            let blocks: Vec<_> = stored.grant.blocks.iter().map(BlockId::as_str).collect();
            vec![
                shard(stored.resident).into(),
                number(stored.resident).into(),
                stored.mandate.cast_signed().into(),
                stored.id.as_str().into(),
                stored.grant.kind.code().into(),
                stored.grant.state.code().into(),
                Value::from(stored.grant.mandate_hash.0.to_vec()),
                blocks.join(" ").into(),
                stored.grant.given_at.micros().into(),
                stored.grant.valid_until.micros().into(),
                stored.grant.means.map_or(Value::Null, |means| means.code().into()),
            ]
        })
        .collect();
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// Moves a grant to `state`. False when it was not in state given or paused any more.
pub fn set_state(conn: &mut dyn Connection, resident: u64, mandate: u64, state: GrantState) -> Result<bool, Error> {
    let sql = "-- grant_set_state\nUPDATE grants SET state = $4, revision = revision + 1 \
               WHERE shard = $1 AND resident = $2 AND mandate = $3 AND state IN ('given', 'paused')";
    let params = [shard(resident).into(), number(resident).into(), mandate.cast_signed().into(), Value::from(state.code())];
    Ok(conn.execute(sql, &params)? == 1)
}

/// Moves a grant from one state to another, and makes every decision that was taken on it before void. False when it was not in state `from`.
pub fn turn(conn: &mut dyn Connection, resident: u64, mandate: u64, from: GrantState, to: GrantState) -> Result<bool, Error> {
    let sql = "-- grant_turn\nUPDATE grants SET state = $5, revision = revision + 1 \
               WHERE shard = $1 AND resident = $2 AND mandate = $3 AND state = $4";
    let params =
        [shard(resident).into(), number(resident).into(), mandate.cast_signed().into(), from.code().into(), to.code().into()];
    Ok(conn.execute(sql, &params)? == 1)
}

/// Notes that a resident said yes again. False when the grant is not given any more.
pub fn reaffirm(conn: &mut dyn Connection, resident: u64, mandate: u64, now: Time) -> Result<bool, Error> {
    let sql = "-- grant_reaffirm\nUPDATE grants SET reaffirmed_at = $4 \
               WHERE shard = $1 AND resident = $2 AND mandate = $3 AND state = 'given'";
    let params = [shard(resident).into(), number(resident).into(), mandate.cast_signed().into(), now.micros().into()];
    Ok(conn.execute(sql, &params)? == 1)
}

/// Notes which revision a resident refused who lends or lent under another one, or that she lets herself be asked again. False where there is
/// no such row.
pub fn refuse(conn: &mut dyn Connection, resident: u64, mandate: u64, refused: Option<Digest>) -> Result<bool, Error> {
    let sql = "-- grant_refuse\nUPDATE grants SET refused_hash = $4 WHERE shard = $1 AND resident = $2 AND mandate = $3";
    let params = [shard(resident).into(), number(resident).into(), mandate.cast_signed().into(), hash(refused)];
    Ok(conn.execute(sql, &params)? == 1)
}

/// Brings a grant to where it stands in another database: its state, what was used of it, and what she said of it since it was given.
pub fn bring(conn: &mut dyn Connection, stored: &StoredGrant) -> Result<(), Error> {
    let sql = "-- grant_bring\nUPDATE grants SET state = $4, uses = $5, window_start = $6, window_uses = $7, last_use_at = $8, \
               reaffirmed_at = $9, refused_hash = $10, revision = revision + 1 WHERE shard = $1 AND resident = $2 AND mandate = $3";
    let time = |time: Option<Time>| time.map_or(Value::Null, |time| time.micros().into());
    let params = [
        shard(stored.resident).into(),
        number(stored.resident).into(),
        stored.mandate.cast_signed().into(),
        stored.grant.state.code().into(),
        stored.grant.uses.into(),
        stored.grant.window_start.micros().into(),
        stored.grant.window_uses.into(),
        time(stored.last_use_at),
        time(stored.reaffirmed_at),
        hash(stored.refused),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Moves up to `limit` grants of a mandate that are given or paused to `state`.
pub fn end_mandate(conn: &mut dyn Connection, mandate: u64, state: GrantState, limit: usize) -> Result<u64, Error> {
    let sql = "-- grant_end_mandate\nUPDATE grants SET state = $3, revision = revision + 1 \
               WHERE mandate = $1 AND (shard, resident) IN (SELECT shard, resident FROM grants \
               WHERE mandate = $1 AND state IN ('given', 'paused') LIMIT $2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.execute(sql, &[mandate.cast_signed().into(), limit.into(), state.code().into()])
}

/// Moves every grant of a resident that is given or paused to state invalidated.
pub fn end_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- grant_end_resident\nUPDATE grants SET state = 'invalidated', revision = revision + 1 \
               WHERE shard = $1 AND resident = $2 AND state IN ('given', 'paused')";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}

/// Moves every consent of a resident that is given or paused to state invalidated. What rests on law stays. Answers how many.
pub fn end_consents(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- grant_end_consents\nUPDATE grants SET state = 'invalidated', revision = revision + 1 \
               WHERE shard = $1 AND resident = $2 AND kind = 'consent' AND state IN ('given', 'paused')";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}

/// Makes every decision that was taken on a resident's grant under one mandate before this one void, as when a case lets it rest.
pub fn revise(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<u64, Error> {
    let sql = "-- grant_revise\nUPDATE grants SET revision = revision + 1 WHERE shard = $1 AND resident = $2 AND mandate = $3";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])
}

/// Makes every decision that was taken on a resident's grants before this one void, as when her pass stops.
pub fn revise_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- grant_revise_resident\nUPDATE grants SET revision = revision + 1 WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}

/// Counts one use, if grant and authorization are still as the decision saw them and the cap is not reached. Answers how many uses there were on
/// this day of the calendar, itself among them; `None` when it was not counted.
pub fn count(conn: &mut dyn Connection, count: &Count) -> Result<Option<i64>, Error> {
    let sql = "-- grant_count\nUPDATE grants SET uses = uses + 1, last_use_at = $5, \
               window_uses = CASE WHEN $5 - window_start >= $7 THEN 1 ELSE window_uses + 1 END, \
               window_start = CASE WHEN $5 - window_start >= $7 THEN $5 ELSE window_start END, \
               used_today = CASE WHEN used_on = $9 THEN used_today + 1 ELSE 1 END, used_on = $9 \
               WHERE shard = $1 AND resident = $2 AND mandate = $3 AND state = 'given' AND revision = $4 \
               AND ($5 - window_start >= $7 OR window_uses < $6) AND ($8 = 0 OR uses = 0) \
               AND ($10 = '' OR EXISTS (SELECT 1 FROM authorizations WHERE authorization_id = $10 AND mark = $11)) \
               RETURNING used_today";
    let params = [
        shard(count.resident).into(),
        number(count.resident).into(),
        count.mandate.cast_signed().into(),
        count.revision.into(),
        count.now.micros().into(),
        count.cap.into(),
        count.period.into(),
        Value::from(i64::from(count.once)),
        count.day.into(),
        count.authorization.as_ref().map_or("", |(id, _)| id.as_str()).into(),
        count.authorization.as_ref().map_or([0; 32], |(_, mark)| mark.0).to_vec().into(),
    ];
    conn.query_one(sql, &params)?.map(|row| row.integer(0)).transpose()
}

fn read(row: &Row) -> Result<StoredGrant, Error> {
    let hash: [u8; 32] = row.bytes(6)?.try_into().map_err(|_| crate::inconsistent("grants.mandate_hash"))?;
    let blocks: Result<Vec<BlockId>, _> = row.text(7)?.split_whitespace().map(str::parse).collect();
    let resident = row.integer(0)?.cast_unsigned();
    let wishes = match row.optional_integer(17)? {
        Some(said_at) => Some(StoredWishes {
            resident,
            said_at: Time::from_micros(said_at),
            sealed: row.bytes(18)?.to_vec(),
            mark: Digest(row.array(19)?),
        }),
        None => None,
    };
    Ok(StoredGrant {
        resident,
        mandate: row.integer(1)?.cast_unsigned(),
        id: row.text(2)?.parse().map_err(|_| crate::inconsistent("grants.grant_id"))?,
        revision: row.integer(5)?,
        last_use_at: row.optional_integer(13)?.map(Time::from_micros),
        reaffirmed_at: row.optional_integer(20)?.map(Time::from_micros),
        refused: mark(row, 21)?,
        grant: Grant {
            kind: GrantKind::from_code(row.text(3)?).ok_or_else(|| crate::inconsistent("grants.kind"))?,
            state: GrantState::from_code(row.text(4)?).ok_or_else(|| crate::inconsistent("grants.state"))?,
            mandate_hash: Digest(hash),
            given_at: Time::from_micros(row.integer(8)?),
            valid_until: Time::from_micros(row.integer(9)?),
            blocks: blocks.map_err(|_| crate::inconsistent("grants.blocks"))?,
            uses: row.integer(10)?,
            window_start: Time::from_micros(row.integer(11)?),
            window_uses: row.integer(12)?,
            means: row.optional_text(15)?.map(means).transpose()?,
            resident_active: row.text(14)? == "active",
            // For which service it is asked is not known here.
            authorized: false,
            // Whether a case lets it rest, and whether she has declined that service's office, is said where the marks of both are looked at.
            rests: false,
            declined: false,
        },
        has_cases: row.integer(16)? > 0,
        wishes,
    })
}

fn hash(hash: Option<Digest>) -> Value {
    hash.map_or(Value::Null, |hash| Value::from(hash.0.to_vec()))
}

fn means(code: &str) -> Result<Means, Error> {
    Means::from_code(code).ok_or_else(|| crate::inconsistent("grants.means"))
}
