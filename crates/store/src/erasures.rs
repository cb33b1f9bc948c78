//! Keys that must be destroyed.

use usufruct_core::Time;
use usufruct_core::id::CertificateId;

use crate::db::{Connection, Error};
use crate::number;

/// A destruction that was asked for.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub certificate: CertificateId,
    /// `withdrawal` or `request`.
    pub cause: String,
    pub resident: u64,
    /// Number of the mandate whose grant key goes; `None` when the whole resident is erased.
    pub mandate: Option<u64>,
    pub requested_at: Time,
}

/// Notes that keys must be destroyed.
pub fn insert(conn: &mut dyn Connection, erasure: &Erasure) -> Result<(), Error> {
    let sql = "-- erasure_insert\nINSERT INTO erasures (certificate_id, cause, resident, mandate, requested_at) VALUES ($1, $2, $3, $4, $5)";
    let params = [
        erasure.certificate.as_str().into(),
        erasure.cause.as_str().into(),
        number(erasure.resident).into(),
        erasure.mandate.map(u64::cast_signed).into(),
        erasure.requested_at.micros().into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Up to `limit` destructions that are not done, oldest first.
pub fn pending(conn: &mut dyn Connection, limit: usize) -> Result<Vec<Erasure>, Error> {
    let sql = "-- erasure_pending\nSELECT certificate_id, cause, resident, mandate, requested_at FROM erasures \
               WHERE destroyed_at IS NULL ORDER BY requested_at LIMIT $1";
    let rows = conn.query(sql, &[i64::try_from(limit).unwrap_or(i64::MAX).into()])?;
    rows.iter()
        .map(|row| {
            Ok(Erasure {
                certificate: row.text(0)?.parse().map_err(|_| crate::inconsistent("erasures.certificate_id"))?,
                cause: row.text(1)?.to_owned(),
                resident: row.integer(2)?.cast_unsigned(),
                mandate: row.optional_integer(3)?.map(i64::cast_unsigned),
                requested_at: Time::from_micros(row.integer(4)?),
            })
        })
        .collect()
}

/// Notes that the keys are destroyed.
pub fn done(conn: &mut dyn Connection, certificate: &CertificateId, now: Time) -> Result<(), Error> {
    let sql = "-- erasure_done\nUPDATE erasures SET destroyed_at = $2 WHERE certificate_id = $1";
    conn.execute(sql, &[certificate.as_str().into(), now.micros().into()])?;
    Ok(())
}
