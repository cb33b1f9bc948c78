//! Authorization codes.

use usufruct_core::id::ServiceId;
use usufruct_core::means::Means;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// An authorization code and what it was made for.
#[derive(Clone, Debug)]
pub struct Code {
    pub code_hash: Digest,
    pub service: ServiceId,
    pub resident: u64,
    pub redirect_uri: String,
    pub challenge: String,
    pub nonce: Option<String>,
    pub scope: String,
    /// Thumbprint of the key that it is bound to.
    pub jkt: Option<String>,
    /// Id of the authorization it belongs to.
    pub authorization: Option<String>,
    /// Name of the resident's session for the service.
    pub sid: String,
    pub means: Means,
    /// The mark of the certificate card that opened the session.
    pub card: Option<Digest>,
    pub auth_time: Time,
    pub expires_at: Time,
    pub used_at: Option<Time>,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

/// Adds a code.
pub fn insert(conn: &mut dyn Connection, code: &Code) -> Result<(), Error> {
    let sql = "-- code_insert\nINSERT INTO codes (code_hash, service, resident, redirect_uri, challenge, nonce, scope, auth_time, expires_at, \
               jkt, authorization_id, sid, means, card_mark, mark) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let params = [
        Value::from(code.code_hash.0.to_vec()),
        code.service.as_str().into(),
        number(code.resident).into(),
        code.redirect_uri.as_str().into(),
        code.challenge.as_str().into(),
        code.nonce.clone().into(),
        code.scope.as_str().into(),
        code.auth_time.micros().into(),
        code.expires_at.micros().into(),
        code.jkt.clone().into(),
        code.authorization.clone().into(),
        code.sid.as_str().into(),
        code.means.code().into(),
        code.card.map(|card| card.0.to_vec()).into(),
        code.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

const COLUMNS: &str = "code_hash, service, resident, redirect_uri, challenge, nonce, scope, auth_time, expires_at, \
                       used_at, jkt, authorization_id, sid, means, card_mark, mark";

/// The code with this hash, used or not.
pub fn find(conn: &mut dyn Connection, code_hash: &Digest) -> Result<Option<Code>, Error> {
    let sql = format!("-- code_find\nSELECT {COLUMNS} FROM codes WHERE code_hash = $1");
    conn.query_one(&sql, &[Value::from(code_hash.0.to_vec())])?.as_ref().map(read).transpose()
}

/// Up to `limit` codes without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Code>, Error> {
    let sql = format!(
        "-- code_unmarked\nSELECT {COLUMNS} FROM codes WHERE code_hash > $1 AND mark IS NULL ORDER BY code_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a code that has none.
pub fn set_mark(conn: &mut dyn Connection, code_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- code_set_mark\nUPDATE codes SET mark = $2 WHERE code_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Uses a code up. False when it was used before.
pub fn redeem(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- code_redeem\nUPDATE codes SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL";
    Ok(conn.execute(sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])? == 1)
}

/// Deletes the codes of a resident; with a service only those made for it.
pub fn delete_of_resident(conn: &mut dyn Connection, resident: u64, service: Option<&ServiceId>) -> Result<u64, Error> {
    let sql = "-- code_delete_of_resident\nDELETE FROM codes WHERE resident = $1 AND (service = $2 OR $2 = '')";
    conn.execute(sql, &[number(resident).into(), service.map_or("", ServiceId::as_str).into()])
}

/// The codes of a resident that were made after she proved herself by these means; with a certificate card only by that card, and those of
/// which it is not known by which.
pub fn of_means(conn: &mut dyn Connection, resident: u64, means: Means, card: Option<&Digest>) -> Result<Vec<Digest>, Error> {
    let sql = "-- code_of_means\nSELECT code_hash FROM codes WHERE resident = $1 AND means = $2 \
               AND ($3 = 0 OR card_mark IS NULL OR card_mark = $4)";
    let params = [
        number(resident).into(),
        means.code().into(),
        i64::from(card.is_some()).into(),
        Value::from(card.map_or([0; 32], |card| card.0).to_vec()),
    ];
    conn.query(sql, &params)?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// The codes of a resident that were made after she proved herself by these means in any session but this one. Of rows from before
/// sessions had names for services it is not known in which, and they count as of another.
pub fn of_other_sessions(conn: &mut dyn Connection, resident: u64, means: Means, session: &Digest) -> Result<Vec<Digest>, Error> {
    let sql = "-- code_of_other_sessions\nSELECT code_hash FROM codes WHERE resident = $1 AND COALESCE(means, $2) = $2 \
               AND COALESCE(sid, '') NOT IN (SELECT sid FROM session_services WHERE token_hash = $3)";
    let params = [number(resident).into(), means.code().into(), Value::from(session.0.to_vec())];
    conn.query(sql, &params)?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// Deletes the codes that were made in a session and are not exchanged yet. Call it before the services of the session are forgotten.
pub fn delete_unused_of_session(conn: &mut dyn Connection, session: &Digest) -> Result<u64, Error> {
    let sql = "-- code_delete_unused_of_session\nDELETE FROM codes WHERE used_at IS NULL \
               AND sid IN (SELECT sid FROM session_services WHERE token_hash = $1)";
    conn.execute(sql, &[Value::from(session.0.to_vec())])
}

/// Deletes one code.
pub fn delete(conn: &mut dyn Connection, code_hash: &Digest) -> Result<(), Error> {
    conn.execute("-- code_delete\nDELETE FROM codes WHERE code_hash = $1", &[Value::from(code_hash.0.to_vec())])?;
    Ok(())
}

/// Deletes codes that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- code_delete_expired\nDELETE FROM codes WHERE expires_at < $1", &[before.micros().into()])
}

fn read(row: &Row) -> Result<Code, Error> {
    Ok(Code {
        code_hash: Digest(row.array(0)?),
        service: row.text(1)?.parse().map_err(|_| crate::inconsistent("codes.service"))?,
        resident: row.integer(2)?.cast_unsigned(),
        redirect_uri: row.text(3)?.to_owned(),
        challenge: row.text(4)?.to_owned(),
        nonce: row.optional_text(5)?.map(str::to_owned),
        scope: row.text(6)?.to_owned(),
        auth_time: Time::from_micros(row.integer(7)?),
        expires_at: Time::from_micros(row.integer(8)?),
        used_at: row.optional_integer(9)?.map(Time::from_micros),
        jkt: row.optional_text(10)?.map(str::to_owned),
        authorization: row.optional_text(11)?.map(str::to_owned),
        sid: row.optional_text(12)?.unwrap_or_default().to_owned(),
        means: crate::sessions::means(row.optional_text(13)?)?,
        card: crate::mark(row, 14)?,
        mark: crate::mark(row, 15)?,
    })
}
