//! Services that sessions signed in to, so that each can be told when the session ends.

use usufruct_core::Digest;
use usufruct_core::id::ServiceId;

use crate::db::{Connection, Error, Value};

/// A service that a session signed in to.
#[derive(Clone, Debug)]
pub struct SessionService {
    /// SHA-256 of the session token.
    pub token_hash: Digest,
    pub service: ServiceId,
    /// Name of the session for this service and pseudonym.
    pub sid: String,
    /// The sealed pseudonym.
    pub sealed: Vec<u8>,
}

/// Remembers a sign-in. One that is known stays as it is.
pub fn put(conn: &mut dyn Connection, signed_in: &SessionService) -> Result<(), Error> {
    let sql = "-- session_service_put\nINSERT INTO session_services (token_hash, service, sid, sealed) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (token_hash, service, sid) DO NOTHING";
    let params = [
        Value::from(signed_in.token_hash.0),
        signed_in.service.as_str().into(),
        signed_in.sid.as_str().into(),
        Value::from(&signed_in.sealed),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Forgets the services of a session, and answers which they were.
pub fn take(conn: &mut dyn Connection, token_hash: &Digest) -> Result<Vec<SessionService>, Error> {
    let sql =
        "-- session_service_find\nSELECT service, sid, sealed FROM session_services WHERE token_hash = $1 ORDER BY service, sid";
    let rows = conn.query(sql, &[Value::from(token_hash.0)])?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    conn.execute("-- session_service_delete\nDELETE FROM session_services WHERE token_hash = $1", &[Value::from(token_hash.0)])?;
    rows.iter()
        .map(|row| {
            Ok(SessionService {
                token_hash: *token_hash,
                service: row.text(0)?.parse().map_err(|_| crate::inconsistent("session_services.service"))?,
                sid: row.text(1)?.to_owned(),
                sealed: row.bytes(2)?.to_vec(),
            })
        })
        .collect()
}
