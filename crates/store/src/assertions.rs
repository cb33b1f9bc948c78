//! What counts once, by its hash until it is over: client assertions, proofs of possession, ceremonies, and tickets of vendors, when they
//! open a session and when it ends.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};

/// Notes a proof by the hash of its name. False when it was seen before.
pub fn claim(conn: &mut dyn Connection, jti_hash: &Digest, expires_at: Time) -> Result<bool, Error> {
    let sql =
        "-- assertion_claim\nINSERT INTO assertions (jti_hash, expires_at) VALUES ($1, $2) ON CONFLICT (jti_hash) DO NOTHING";
    Ok(conn.execute(sql, &[Value::from(jti_hash.0.to_vec()), expires_at.micros().into()])? == 1)
}

/// Whether a proof with this hash was noted, and not forgotten yet.
pub fn is_claimed(conn: &mut dyn Connection, jti_hash: &Digest) -> Result<bool, Error> {
    let sql = "-- assertion_find\nSELECT 1 FROM assertions WHERE jti_hash = $1";
    Ok(conn.query_one(sql, &[Value::from(jti_hash.0.to_vec())])?.is_some())
}

/// Forgets proofs that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- assertion_delete_expired\nDELETE FROM assertions WHERE expires_at < $1", &[before.micros().into()])
}
