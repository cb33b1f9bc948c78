//! Signed proofs of services that were seen: client assertions and proofs of possession.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};

/// Notes a proof by the hash of its name. False when it was seen before.
pub fn claim(conn: &mut dyn Connection, jti_hash: &Digest, expires_at: Time) -> Result<bool, Error> {
    let sql =
        "-- assertion_claim\nINSERT INTO assertions (jti_hash, expires_at) VALUES ($1, $2) ON CONFLICT (jti_hash) DO NOTHING";
    Ok(conn.execute(sql, &[Value::from(jti_hash.0.to_vec()), expires_at.micros().into()])? == 1)
}

/// Forgets proofs that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- assertion_delete_expired\nDELETE FROM assertions WHERE expires_at < $1", &[before.micros().into()])
}
