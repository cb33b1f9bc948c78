//! Authorizations: what a resident authorized one service for, over the life of many tokens.

use usufruct_core::id::ServiceId;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// What a service may ask for in a resident's name, until it ends or she withdraws.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The `grant_id`.
    pub id: String,
    pub service: ServiceId,
    pub resident: u64,
    /// `openid` and ids of mandates.
    pub scope: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub ends_at: Time,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

const COLUMNS: &str = "authorization_id, service, resident, scope, created_at, updated_at, ends_at, mark";

/// Adds an authorization, or sets scope, times and mark of the one with its id.
pub fn put(conn: &mut dyn Connection, authorization: &Authorization) -> Result<(), Error> {
    let sql = "-- authorization_put\nINSERT INTO authorizations (authorization_id, service, resident, scope, created_at, updated_at, ends_at, \
               mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (authorization_id) DO UPDATE SET scope = excluded.scope, \
               updated_at = excluded.updated_at, ends_at = excluded.ends_at, mark = excluded.mark";
    let params = [
        authorization.id.as_str().into(),
        authorization.service.as_str().into(),
        number(authorization.resident).into(),
        authorization.scope.as_str().into(),
        authorization.created_at.micros().into(),
        authorization.updated_at.micros().into(),
        authorization.ends_at.micros().into(),
        authorization.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The authorization with this id.
pub fn find(conn: &mut dyn Connection, id: &str) -> Result<Option<Authorization>, Error> {
    let sql = format!("-- authorization_find\nSELECT {COLUMNS} FROM authorizations WHERE authorization_id = $1");
    conn.query_one(&sql, &[id.into()])?.as_ref().map(read).transpose()
}

/// What a resident authorized, newest first; with a service only for that one.
pub fn of_resident(conn: &mut dyn Connection, resident: u64, service: Option<&ServiceId>) -> Result<Vec<Authorization>, Error> {
    let sql = format!(
        "-- authorization_of_resident\nSELECT {COLUMNS} FROM authorizations WHERE resident = $1 AND (service = $2 OR $2 = '') \
         ORDER BY updated_at DESC, authorization_id"
    );
    let rows = conn.query(&sql, &[number(resident).into(), service.map_or("", ServiceId::as_str).into()])?;
    rows.iter().map(read).collect()
}

/// Ends an authorization, and with it its codes and tokens.
pub fn end(conn: &mut dyn Connection, id: &str) -> Result<(), Error> {
    for sql in [
        "-- authorization_end_codes\nDELETE FROM codes WHERE authorization_id = $1",
        "-- authorization_end_tokens\nDELETE FROM tokens WHERE authorization_id = $1",
        "-- authorization_end_refresh_tokens\nDELETE FROM refresh_tokens WHERE authorization_id = $1",
        "-- authorization_end\nDELETE FROM authorizations WHERE authorization_id = $1",
    ] {
        conn.execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// Up to `limit` authorizations without a mark whose ids come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &str, limit: usize) -> Result<Vec<Authorization>, Error> {
    let sql = format!(
        "-- authorization_unmarked\nSELECT {COLUMNS} FROM authorizations WHERE authorization_id > $1 AND mark IS NULL \
         ORDER BY authorization_id LIMIT $2"
    );
    conn.query(&sql, &[after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of an authorization that has none.
pub fn set_mark(conn: &mut dyn Connection, id: &str, mark: &Digest) -> Result<(), Error> {
    let sql = "-- authorization_set_mark\nUPDATE authorizations SET mark = $2 WHERE authorization_id = $1 AND mark IS NULL";
    conn.execute(sql, &[id.into(), Value::from(mark.0.to_vec())])?;
    Ok(())
}

/// Ends up to `limit` authorizations whose time is over.
pub fn end_expired(conn: &mut dyn Connection, before: Time, limit: usize) -> Result<u64, Error> {
    let sql = "-- authorization_expired\nSELECT authorization_id FROM authorizations WHERE ends_at < $1 LIMIT $2";
    let rows = conn.query(sql, &[before.micros().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])?;
    for row in &rows {
        end(conn, row.text(0)?)?;
    }
    Ok(rows.len() as u64)
}

fn read(row: &Row) -> Result<Authorization, Error> {
    Ok(Authorization {
        id: row.text(0)?.to_owned(),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("authorizations.service"))?,
        resident: row.integer(2)?.cast_unsigned(),
        scope: row.text(3)?.to_owned(),
        created_at: Time::from_micros(row.integer(4)?),
        updated_at: Time::from_micros(row.integer(5)?),
        ends_at: Time::from_micros(row.integer(6)?),
        mark: crate::mark(row, 7)?,
    })
}
