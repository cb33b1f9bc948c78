//! Refresh tokens, stored only as hashes.

use usufruct_core::id::ServiceId;
use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A refresh token and what it may do.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    pub token_hash: Digest,
    pub service: ServiceId,
    pub resident: u64,
    pub authorization: String,
    /// Thumbprint of the key that it is bound to.
    pub jkt: String,
    pub scope: String,
    pub auth_time: Time,
    pub means: Means,
    /// The mark of the certificate card that opened the session.
    pub card: Option<Digest>,
    /// Name of the resident's session for the service.
    pub sid: String,
    pub code_hash: Digest,
    pub issued_at: Time,
    pub expires_at: Time,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

/// Adds a refresh token.
pub fn insert(conn: &mut dyn Connection, token: &RefreshToken) -> Result<(), Error> {
    let sql = "-- refresh_token_insert\nINSERT INTO refresh_tokens (token_hash, service, resident, authorization_id, jkt, scope, auth_time, \
               means, sid, code_hash, issued_at, expires_at, card_mark, mark) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let params = [
        Value::from(token.token_hash.0.to_vec()),
        token.service.as_str().into(),
        number(token.resident).into(),
        token.authorization.as_str().into(),
        token.jkt.as_str().into(),
        token.scope.as_str().into(),
        token.auth_time.micros().into(),
        token.means.code().into(),
        token.sid.as_str().into(),
        Value::from(token.code_hash.0.to_vec()),
        token.issued_at.micros().into(),
        token.expires_at.micros().into(),
        token.card.map(|card| card.0.to_vec()).into(),
        token.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

const COLUMNS: &str = "token_hash, service, resident, authorization_id, jkt, scope, auth_time, means, sid, \
                       code_hash, issued_at, expires_at, card_mark, mark";

/// The refresh token with this hash, expired or not.
pub fn find(conn: &mut dyn Connection, token_hash: &Digest) -> Result<Option<RefreshToken>, Error> {
    let sql = format!("-- refresh_token_find\nSELECT {COLUMNS} FROM refresh_tokens WHERE token_hash = $1");
    conn.query_one(&sql, &[Value::from(token_hash.0.to_vec())])?.as_ref().map(read).transpose()
}

/// Up to `limit` refresh tokens without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<RefreshToken>, Error> {
    let sql = format!(
        "-- refresh_token_unmarked\nSELECT {COLUMNS} FROM refresh_tokens WHERE token_hash > $1 AND mark IS NULL ORDER BY token_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a refresh token that has none.
pub fn set_mark(conn: &mut dyn Connection, token_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- refresh_token_set_mark\nUPDATE refresh_tokens SET mark = $2 WHERE token_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Deletes one refresh token.
pub fn delete(conn: &mut dyn Connection, token_hash: &Digest) -> Result<u64, Error> {
    let sql = "-- refresh_token_delete\nDELETE FROM refresh_tokens WHERE token_hash = $1";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec())])
}

/// Deletes the refresh tokens that came from a code.
pub fn delete_of_code(conn: &mut dyn Connection, code_hash: &Digest) -> Result<u64, Error> {
    let sql = "-- refresh_token_delete_of_code\nDELETE FROM refresh_tokens WHERE code_hash = $1";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec())])
}

/// The codes that a resident's refresh tokens came from, where she had proved herself by these means; with a certificate card only by that
/// card, and those of which it is not known by which.
pub fn codes_of_means(
    conn: &mut dyn Connection,
    resident: u64,
    means: Means,
    card: Option<&Digest>,
) -> Result<Vec<Digest>, Error> {
    let sql = "-- refresh_token_codes_of_means\nSELECT code_hash FROM refresh_tokens WHERE resident = $1 AND means = $2 \
               AND ($3 = 0 OR card_mark IS NULL OR card_mark = $4)";
    let params = [
        number(resident).into(),
        means.code().into(),
        i64::from(card.is_some()).into(),
        Value::from(card.map_or([0; 32], |card| card.0).to_vec()),
    ];
    conn.query(sql, &params)?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// The codes that a resident's refresh tokens came from, where she had proved herself by these means in any session but this one. Of rows from before
/// sessions had names for services it is not known in which, and they count as of another.
pub fn codes_of_other_sessions(
    conn: &mut dyn Connection,
    resident: u64,
    means: Means,
    session: &Digest,
) -> Result<Vec<Digest>, Error> {
    let sql = "-- refresh_token_codes_of_other_sessions\nSELECT code_hash FROM refresh_tokens WHERE resident = $1 AND COALESCE(means, $2) = $2 \
               AND COALESCE(sid, '') NOT IN (SELECT sid FROM session_services WHERE token_hash = $3)";
    let params = [number(resident).into(), means.code().into(), Value::from(session.0.to_vec())];
    conn.query(sql, &params)?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// Deletes the refresh tokens that speak for a resident.
pub fn delete_of_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute(
        "-- refresh_token_delete_of_resident\nDELETE FROM refresh_tokens WHERE resident = $1",
        &[number(resident).into()],
    )
}

/// Deletes refresh tokens that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- refresh_token_delete_expired\nDELETE FROM refresh_tokens WHERE expires_at < $1", &[before.micros().into()])
}

fn read(row: &Row) -> Result<RefreshToken, Error> {
    Ok(RefreshToken {
        token_hash: Digest(row.array(0)?),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("refresh_tokens.service"))?,
        resident: row.integer(2)?.cast_unsigned(),
        authorization: row.text(3)?.to_owned(),
        jkt: row.text(4)?.to_owned(),
        scope: row.text(5)?.to_owned(),
        auth_time: Time::from_micros(row.integer(6)?),
        means: crate::sessions::means(row.optional_text(7)?)?,
        sid: row.text(8)?.to_owned(),
        code_hash: Digest(row.array(9)?),
        issued_at: Time::from_micros(row.integer(10)?),
        expires_at: Time::from_micros(row.integer(11)?),
        card: crate::mark(row, 12)?,
        mark: crate::mark(row, 13)?,
    })
}
