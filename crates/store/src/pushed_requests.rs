//! Authorization requests that services pushed (RFC 9126), stored under the hash of their `request_uri`.

use usufruct_core::id::ServiceId;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};

/// A pushed request.
#[derive(Clone, Debug)]
pub struct PushedRequest {
    pub request_hash: Digest,
    pub service: ServiceId,
    /// `application/x-www-form-urlencoded`.
    pub parameters: String,
    /// Thumbprint of the key that the code will be bound to.
    pub jkt: Option<String>,
    pub expires_at: Time,
    pub used_at: Option<Time>,
}

/// Adds a request.
pub fn insert(conn: &mut dyn Connection, request: &PushedRequest) -> Result<(), Error> {
    let sql = "-- pushed_request_insert\nINSERT INTO pushed_requests (request_hash, service, parameters, jkt, expires_at) \
               VALUES ($1, $2, $3, $4, $5)";
    let params = [
        Value::from(request.request_hash.0.to_vec()),
        request.service.as_str().into(),
        request.parameters.as_str().into(),
        request.jkt.clone().into(),
        request.expires_at.micros().into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The request with this hash, used or expired or not.
pub fn find(conn: &mut dyn Connection, request_hash: &Digest) -> Result<Option<PushedRequest>, Error> {
    let sql = "-- pushed_request_find\nSELECT service, parameters, jkt, expires_at, used_at FROM pushed_requests WHERE request_hash = $1";
    let row = conn.query_one(sql, &[Value::from(request_hash.0.to_vec())])?;
    row.map(|row| {
        Ok(PushedRequest {
            request_hash: *request_hash,
            service: row.text(0)?.parse().map_err(|_| crate::inconsistent("pushed_requests.service"))?,
            parameters: row.text(1)?.to_owned(),
            jkt: row.optional_text(2)?.map(str::to_owned),
            expires_at: Time::from_micros(row.integer(3)?),
            used_at: row.optional_integer(4)?.map(Time::from_micros),
        })
    })
    .transpose()
}

/// Uses a request up. False when it was used before.
pub fn take(conn: &mut dyn Connection, request_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- pushed_request_take\nUPDATE pushed_requests SET used_at = $2 WHERE request_hash = $1 AND used_at IS NULL";
    Ok(conn.execute(sql, &[Value::from(request_hash.0.to_vec()), now.micros().into()])? == 1)
}

/// Forgets requests that expired before `before`.
pub fn delete_expired(conn: &mut dyn Connection, before: Time) -> Result<u64, Error> {
    conn.execute("-- pushed_request_delete_expired\nDELETE FROM pushed_requests WHERE expires_at < $1", &[before.micros().into()])
}
