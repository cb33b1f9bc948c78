//! Browser sessions of residents.

use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    pub token_hash: Digest,
    pub resident: u64,
    pub opened_at: Time,
    /// When the resident last proved herself in it.
    pub proved_at: Time,
    pub seen_at: Time,
    pub device: String,
    pub means: Means,
    /// Set when the resident acts for another one in it.
    pub acts: Option<Acts>,
    /// The certificate card that opened it.
    pub card: Option<CardBound>,
    /// Shows that the house opened it as it stands here.
    pub mark: Option<Digest>,
}

/// What a session in which somebody acts for another resident hangs on.
#[derive(Clone, Debug)]
pub struct Acts {
    /// The delegate's own session, which this one ends with.
    pub parent: Digest,
    pub delegation: String,
}

/// What a session that a certificate card opened hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardBound {
    /// The mark of the card.
    pub mark: Digest,
    /// When its certificate ends.
    pub ends_at: Time,
}

/// Opens a session.
pub fn insert(conn: &mut dyn Connection, session: &Session) -> Result<(), Error> {
    let sql = "-- session_insert\nINSERT INTO sessions (token_hash, resident, opened_at, seen_at, device, means, proved_at, parent, delegation_id, \
               card_mark, ends_at, mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let params = [
        Value::from(session.token_hash.0.to_vec()),
        number(session.resident).into(),
        session.opened_at.micros().into(),
        session.seen_at.micros().into(),
        session.device.as_str().into(),
        session.means.code().into(),
        session.proved_at.micros().into(),
        session.acts.as_ref().map(|acts| acts.parent.0.to_vec()).into(),
        session.acts.as_ref().map(|acts| acts.delegation.as_str()).into(),
        session.card.map(|card| card.mark.0.to_vec()).into(),
        session.card.map(|card| card.ends_at.micros()).into(),
        session.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

const COLUMNS: &str =
    "token_hash, resident, opened_at, seen_at, device, means, proved_at, parent, delegation_id, card_mark, ends_at, mark";

/// The session with this token hash.
pub fn find(conn: &mut dyn Connection, token_hash: &Digest) -> Result<Option<Session>, Error> {
    let sql = format!("-- session_find\nSELECT {COLUMNS} FROM sessions WHERE token_hash = $1");
    conn.query_one(&sql, &[Value::from(token_hash.0.to_vec())])?.as_ref().map(read).transpose()
}

/// The resident's own sessions that were used since `since`, the one used last first.
pub fn open_of_resident(conn: &mut dyn Connection, resident: u64, since: Time) -> Result<Vec<Session>, Error> {
    let sql = format!(
        "-- session_open_of_resident\nSELECT {COLUMNS} FROM sessions WHERE resident = $1 AND parent IS NULL AND seen_at >= $2 ORDER BY seen_at DESC, opened_at DESC"
    );
    conn.query(&sql, &[number(resident).into(), since.micros().into()])?.iter().map(read).collect()
}

/// How a resident proved herself, as a column says it.
pub(crate) fn means(code: Option<&str>) -> Result<Means, Error> {
    code.map_or(Ok(Means::Passkey), |code| Means::from_code(code).ok_or_else(|| crate::inconsistent("means")))
}

/// Notes that a session was used.
pub fn touch(conn: &mut dyn Connection, token_hash: &Digest, now: Time) -> Result<(), Error> {
    let sql = "-- session_touch\nUPDATE sessions SET seen_at = $2 WHERE token_hash = $1";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), now.micros().into()])?;
    Ok(())
}

/// Closes one session.
pub fn delete(conn: &mut dyn Connection, token_hash: &Digest) -> Result<(), Error> {
    conn.execute("-- session_delete\nDELETE FROM sessions WHERE token_hash = $1", &[Value::from(token_hash.0.to_vec())])?;
    Ok(())
}

/// Closes every session of a resident, and those in which somebody acts for her.
pub fn delete_all(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = format!("-- session_delete_all\nDELETE FROM sessions WHERE {OF_RESIDENT}");
    conn.execute(&sql, &[number(resident).into()])
}

/// Sessions of a resident, and those in which somebody acts for her.
const OF_RESIDENT: &str = "resident = $1 OR delegation_id IN (SELECT delegation_id FROM delegations WHERE person = $1)";

/// The sessions in which the resident of this session acts for others.
pub fn children(conn: &mut dyn Connection, parent: &Digest) -> Result<Vec<Digest>, Error> {
    let sql = "-- session_children\nSELECT token_hash FROM sessions WHERE parent = $1";
    conn.query(sql, &[Value::from(parent.0.to_vec())])?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// The sessions that act under a delegation.
pub fn of_delegation(conn: &mut dyn Connection, delegation: &str) -> Result<Vec<Digest>, Error> {
    let sql = "-- session_of_delegation\nSELECT token_hash FROM sessions WHERE delegation_id = $1";
    conn.query(sql, &[delegation.into()])?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// Notes that the delegate has looked at something in this session. False when she has done so before.
pub fn look(conn: &mut dyn Connection, token_hash: &Digest, power: &str) -> Result<bool, Error> {
    let sql = "-- session_looked\nSELECT looked FROM sessions WHERE token_hash = $1";
    let Some(row) = conn.query_one(sql, &[Value::from(token_hash.0.to_vec())])? else { return Ok(false) };
    let before = row.optional_text(0)?.unwrap_or_default();
    if before.split(' ').any(|word| word == power) {
        return Ok(false);
    }
    let looked = format!("{before} {power}");
    let sql = "-- session_look\nUPDATE sessions SET looked = $2 WHERE token_hash = $1";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), looked.trim().into()])?;
    Ok(true)
}

/// Up to `limit` sessions without a request since `seen_before`, or opened before `opened_before`, or whose certificate has ended.
pub fn ended(
    conn: &mut dyn Connection,
    seen_before: Time,
    opened_before: Time,
    now: Time,
    limit: usize,
) -> Result<Vec<Digest>, Error> {
    let sql = "-- session_ended\nSELECT token_hash FROM sessions WHERE seen_at < $1 OR opened_at < $2 OR ends_at <= $3 LIMIT $4";
    let params = [
        seen_before.micros().into(),
        opened_before.micros().into(),
        now.micros().into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    conn.query(sql, &params)?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// The sessions of a resident, and those in which somebody acts for her.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Digest>, Error> {
    let sql = format!("-- session_of_resident\nSELECT token_hash FROM sessions WHERE {OF_RESIDENT}");
    conn.query(&sql, &[number(resident).into()])?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// How many sessions of her own a resident has open.
pub fn count(conn: &mut dyn Connection, resident: u64) -> Result<i64, Error> {
    let sql = "-- session_count\nSELECT COUNT(*) FROM sessions WHERE resident = $1 AND parent IS NULL";
    let row = conn.query_one(sql, &[number(resident).into()])?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Notes that the resident proved herself again; `mark` is that of the session as it is then.
pub fn prove(conn: &mut dyn Connection, token_hash: &Digest, now: Time, mark: &Digest) -> Result<bool, Error> {
    let sql = "-- session_prove\nUPDATE sessions SET proved_at = $2, seen_at = $2, mark = $3 WHERE token_hash = $1";
    Ok(conn.execute(sql, &[Value::from(token_hash.0.to_vec()), now.micros().into(), mark.0.to_vec().into()])? == 1)
}

/// Up to `limit` sessions without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Session>, Error> {
    let sql = format!(
        "-- session_unmarked\nSELECT {COLUMNS} FROM sessions WHERE token_hash > $1 AND mark IS NULL ORDER BY token_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a session that has none.
pub fn set_mark(conn: &mut dyn Connection, token_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- session_set_mark\nUPDATE sessions SET mark = $2 WHERE token_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

fn read(row: &Row) -> Result<Session, Error> {
    let opened_at = Time::from_micros(row.integer(2)?);
    let mark: Option<[u8; 32]> = match row.optional_bytes(9)? {
        Some(mark) => Some(mark.try_into().map_err(|_| crate::inconsistent("sessions.card_mark"))?),
        None => None,
    };
    let ends_at = row.optional_integer(10)?.map(Time::from_micros);
    Ok(Session {
        token_hash: Digest(row.bytes(0)?.try_into().map_err(|_| crate::inconsistent("sessions.token_hash"))?),
        resident: row.integer(1)?.cast_unsigned(),
        opened_at,
        proved_at: row.optional_integer(6)?.map_or(opened_at, Time::from_micros),
        seen_at: Time::from_micros(row.integer(3)?),
        device: row.text(4)?.to_owned(),
        means: means(row.optional_text(5)?)?,
        acts: match (row.optional_bytes(7)?, row.optional_text(8)?) {
            (Some(_), Some(delegation)) => Some(Acts { parent: Digest(row.array(7)?), delegation: delegation.to_owned() }),
            _ => None,
        },
        mark: crate::mark(row, 11)?,
        card: mark.zip(ends_at).map(|(mark, ends_at)| CardBound { mark: Digest(mark), ends_at }),
    })
}
