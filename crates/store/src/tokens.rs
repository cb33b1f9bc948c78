//! Opaque access tokens, stored only as hashes.

use usufruct_core::id::ServiceId;
use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// An access token and what it may do.
#[derive(Clone, Debug)]
pub struct Token {
    pub token_hash: Digest,
    pub service: ServiceId,
    /// The resident it speaks for; `None` for a service's own token.
    pub resident: Option<u64>,
    pub scope: String,
    pub auth_time: Option<Time>,
    pub code_hash: Option<Digest>,
    /// Thumbprint of the key that it is bound to.
    pub jkt: Option<String>,
    /// Id of the authorization it belongs to.
    pub authorization: Option<String>,
    pub means: Means,
    pub issued_at: Time,
    pub expires_at: Time,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

/// Adds a token.
pub fn insert(conn: &mut dyn Connection, token: &Token) -> Result<(), Error> {
    let sql = "-- token_insert\nINSERT INTO tokens (token_hash, service, resident, scope, auth_time, code_hash, issued_at, expires_at, jkt, \
               authorization_id, means, mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let params = [
        Value::from(token.token_hash.0.to_vec()),
        token.service.as_str().into(),
        token.resident.map(number).into(),
        token.scope.as_str().into(),
        token.auth_time.map(Time::micros).into(),
        token.code_hash.map(|hash| hash.0.to_vec()).into(),
        token.issued_at.micros().into(),
        token.expires_at.micros().into(),
        token.jkt.clone().into(),
        token.authorization.clone().into(),
        token.means.code().into(),
        token.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

const COLUMNS: &str =
    "token_hash, service, resident, scope, auth_time, code_hash, issued_at, expires_at, jkt, authorization_id, means, mark";

/// The token with this hash, expired or not.
pub fn find(conn: &mut dyn Connection, token_hash: &Digest) -> Result<Option<Token>, Error> {
    let sql = format!("-- token_find\nSELECT {COLUMNS} FROM tokens WHERE token_hash = $1");
    conn.query_one(&sql, &[Value::from(token_hash.0.to_vec())])?.as_ref().map(read).transpose()
}

/// Up to `limit` tokens without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Token>, Error> {
    let sql = format!(
        "-- token_unmarked\nSELECT {COLUMNS} FROM tokens WHERE token_hash > $1 AND mark IS NULL ORDER BY token_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a token that has none.
pub fn set_mark(conn: &mut dyn Connection, token_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- token_set_mark\nUPDATE tokens SET mark = $2 WHERE token_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Deletes one token of a service.
pub fn delete(conn: &mut dyn Connection, token_hash: &Digest, service: &ServiceId) -> Result<u64, Error> {
    let sql = "-- token_delete\nDELETE FROM tokens WHERE token_hash = $1 AND service = $2";
    conn.execute(sql, &[Value::from(token_hash.0.to_vec()), service.as_str().into()])
}

/// Deletes every token that came from a code (a code used twice kills its tokens, RFC 6749 4.1.2).
pub fn delete_of_code(conn: &mut dyn Connection, code_hash: &Digest) -> Result<u64, Error> {
    conn.execute("-- token_delete_of_code\nDELETE FROM tokens WHERE code_hash = $1", &[Value::from(code_hash.0.to_vec())])
}

/// Deletes the tokens that speak for a resident; with a service only that service's.
pub fn delete_of_resident(conn: &mut dyn Connection, resident: u64, service: Option<&ServiceId>) -> Result<u64, Error> {
    let sql = "-- token_delete_of_resident\nDELETE FROM tokens WHERE resident = $1 AND (service = $2 OR $2 = '')";
    conn.execute(sql, &[number(resident).into(), service.map_or("", ServiceId::as_str).into()])
}

/// Deletes up to `limit` tokens of a service that speak for residents and were given by `until`. Answers how many.
pub fn delete_of_service(conn: &mut dyn Connection, service: &ServiceId, until: Time, limit: usize) -> Result<u64, Error> {
    let sql = "-- token_delete_of_service\nDELETE FROM tokens WHERE token_hash IN (SELECT token_hash FROM tokens \
               WHERE service = $1 AND resident IS NOT NULL AND issued_at <= $2 LIMIT $3)";
    conn.execute(sql, &[service.as_str().into(), until.micros().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])
}

/// Deletes tokens that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- token_delete_expired\nDELETE FROM tokens WHERE expires_at < $1", &[before.micros().into()])
}

fn read(row: &Row) -> Result<Token, Error> {
    Ok(Token {
        token_hash: Digest(row.array(0)?),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("tokens.service"))?,
        resident: row.optional_integer(2)?.map(i64::cast_unsigned),
        scope: row.text(3)?.to_owned(),
        auth_time: row.optional_integer(4)?.map(Time::from_micros),
        code_hash: crate::mark(row, 5)?,
        issued_at: Time::from_micros(row.integer(6)?),
        expires_at: Time::from_micros(row.integer(7)?),
        jkt: row.optional_text(8)?.map(str::to_owned),
        authorization: row.optional_text(9)?.map(str::to_owned),
        means: crate::sessions::means(row.optional_text(10)?)?,
        mark: crate::mark(row, 11)?,
    })
}
