//! Keys that must be destroyed.

use usufruct_core::id::CertificateId;
use usufruct_core::time::Month;
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A destruction that was asked for.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub certificate: CertificateId,
    /// `withdrawal`, `request`, `drill`, `order`, `sunset`, `revocation`, `retention`, `rotation` or `sector`.
    pub cause: String,
    /// The resident; `None` when the key of a mandate or a sector goes.
    pub resident: Option<u64>,
    /// Number of the mandate; `None` when the whole resident is erased, or a sector ends.
    pub mandate: Option<u64>,
    /// Number of the sector whose key goes.
    pub sector: Option<u64>,
    /// Months of the mandate whose keys go.
    pub months: Vec<Month>,
    /// Commitments of the keys that go, noted while they live.
    pub commitments: Vec<Digest>,
    /// The proofs that they lived, as JSON.
    pub evidence: String,
    pub requested_at: Time,
    /// When the running system could open nothing under the keys any more; `None` while it can, or when that was not noted.
    pub live_at: Option<Time>,
    /// When the root was destroyed under which they lived; `None` while it is there, or when that was not noted.
    pub root_at: Option<Time>,
}

/// A destruction whose ciphertext may still lie in copies.
#[derive(Clone, Debug)]
pub struct Remains {
    pub certificate: CertificateId,
    /// When the keys were destroyed: no copy made later holds any of it.
    pub destroyed_at: Time,
}

const COLUMNS: &str =
    "certificate_id, cause, resident, mandate, commitments, requested_at, evidence, sector, months, live_at, root_at";

/// Notes that keys must be destroyed.
pub fn insert(conn: &mut dyn Connection, erasure: &Erasure) -> Result<(), Error> {
    let sql = "-- erasure_insert\nINSERT INTO erasures (certificate_id, cause, resident, mandate, commitments, requested_at, evidence, sector, months, \
               live_at, root_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let commitments: Vec<String> = erasure.commitments.iter().map(ToString::to_string).collect();
    let months: Vec<String> = erasure.months.iter().map(|month| month.0.to_string()).collect();
    let params = [
        erasure.certificate.as_str().into(),
        erasure.cause.as_str().into(),
        erasure.resident.map(number).into(),
        erasure.mandate.map(u64::cast_signed).into(),
        Value::from(commitments.join(" ")),
        erasure.requested_at.micros().into(),
        erasure.evidence.as_str().into(),
        erasure.sector.map(u64::cast_signed).into(),
        (!erasure.months.is_empty()).then(|| months.join(" ")).into(),
        erasure.live_at.map(Time::micros).into(),
        erasure.root_at.map(Time::micros).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Up to `limit` destructions of residents' keys that are not done, oldest first.
pub fn pending(conn: &mut dyn Connection, limit: usize) -> Result<Vec<Erasure>, Error> {
    let sql = format!(
        "-- erasure_pending\nSELECT {COLUMNS} FROM erasures WHERE destroyed_at IS NULL AND resident IS NOT NULL \
         ORDER BY requested_at LIMIT $1"
    );
    read_all(&conn.query(&sql, &[i64::try_from(limit).unwrap_or(i64::MAX).into()])?)
}

/// Up to `limit` destructions that are not done, of whosever keys, oldest first.
pub fn waiting(conn: &mut dyn Connection, limit: usize) -> Result<Vec<Erasure>, Error> {
    let sql =
        format!("-- erasure_waiting\nSELECT {COLUMNS} FROM erasures WHERE destroyed_at IS NULL ORDER BY requested_at LIMIT $1");
    read_all(&conn.query(&sql, &[i64::try_from(limit).unwrap_or(i64::MAX).into()])?)
}

/// How many residents were erased since `since`. Synthetic ones are nobody.
pub fn count_erased_since(conn: &mut dyn Connection, since: Time) -> Result<usize, Error> {
    let sql = format!("-- erasure_count_erased_since\nSELECT COUNT(*) FROM erasures WHERE {ERASED_SINCE}");
    let row = conn.query_one(&sql, &[since.micros().into()])?;
    row.map_or(Ok(0), |row| Ok(usize::try_from(row.integer(0)?).unwrap_or(0)))
}

/// Up to `limit` of them, after `skipped` ones.
pub fn erased_since(conn: &mut dyn Connection, since: Time, skipped: usize, limit: usize) -> Result<Vec<u64>, Error> {
    let sql = format!(
        "-- erasure_erased_since\nSELECT resident FROM erasures WHERE {ERASED_SINCE} ORDER BY certificate_id LIMIT $2 OFFSET $3"
    );
    let [limit, skipped] = [limit, skipped].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let rows = conn.query(&sql, &[since.micros().into(), limit.into(), skipped.into()])?;
    rows.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}

const ERASED_SINCE: &str = "resident IS NOT NULL AND mandate IS NULL AND destroyed_at >= $1 \
                            AND NOT EXISTS (SELECT 1 FROM canaries WHERE canaries.resident = erasures.resident)";

/// Whether a destruction is still to be done.
pub fn is_pending(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<bool, Error> {
    let sql = "-- erasure_is_pending\nSELECT 1 FROM erasures WHERE certificate_id = $1 AND destroyed_at IS NULL";
    Ok(conn.query_one(sql, &[certificate.as_str().into()])?.is_some())
}

/// Whether a resident's own keys are still to be destroyed.
pub fn is_resident_pending(conn: &mut dyn Connection, resident: u64) -> Result<bool, Error> {
    let sql =
        "-- erasure_is_resident_pending\nSELECT 1 FROM erasures WHERE resident = $1 AND mandate IS NULL AND destroyed_at IS NULL";
    Ok(conn.query_one(sql, &[number(resident).into()])?.is_some())
}

/// Whether a destruction is known, done or not.
pub fn is_known(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<bool, Error> {
    let sql = "-- erasure_is_known\nSELECT 1 FROM erasures WHERE certificate_id = $1";
    Ok(conn.query_one(sql, &[certificate.as_str().into()])?.is_some())
}

/// The certificates of what a resident withdrew, and whether the keys are destroyed.
pub fn withdrawals(conn: &mut dyn Connection, resident: u64) -> Result<Vec<(String, bool)>, Error> {
    let sql =
        "-- erasure_withdrawals\nSELECT certificate_id, destroyed_at FROM erasures WHERE resident = $1 AND mandate IS NOT NULL";
    let rows = conn.query(sql, &[number(resident).into()])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.optional_integer(1)?.is_some()))).collect()
}

/// The destructions of what a resident lent, done or not, the newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Erasure>, Error> {
    let sql = format!(
        "-- erasure_of_resident\nSELECT {COLUMNS} FROM erasures WHERE resident = $1 AND mandate IS NOT NULL \
         ORDER BY requested_at DESC, certificate_id DESC"
    );
    read_all(&conn.query(&sql, &[number(resident).into()])?)
}

/// The destruction of a mandate's own key at its end, done or not.
pub fn of_mandate(conn: &mut dyn Connection, mandate: u64) -> Result<Option<Erasure>, Error> {
    let sql = format!(
        "-- erasure_of_mandate\nSELECT {COLUMNS} FROM erasures WHERE mandate = $1 AND resident IS NULL \
         AND cause NOT IN ('order', 'retention', 'rotation')"
    );
    conn.query_one(&sql, &[mandate.cast_signed().into()])?.as_ref().map(read).transpose()
}

/// The destructions of keys of months that are not done.
pub fn of_months(conn: &mut dyn Connection) -> Result<Vec<Erasure>, Error> {
    let sql = format!("-- erasure_of_months\nSELECT {COLUMNS} FROM erasures WHERE cause = 'retention' AND destroyed_at IS NULL");
    read_all(&conn.query(&sql, &[])?)
}

/// The destructions that are not done of keys of mandates that go on under another one.
pub fn of_rotations(conn: &mut dyn Connection) -> Result<Vec<Erasure>, Error> {
    let sql =
        format!("-- erasure_of_rotations\nSELECT {COLUMNS} FROM erasures WHERE cause = 'rotation' AND destroyed_at IS NULL");
    read_all(&conn.query(&sql, &[])?)
}

/// The destructions that are not done of what an overseer ordered to delete under a mandate.
pub fn of_orders(conn: &mut dyn Connection) -> Result<Vec<Erasure>, Error> {
    let sql = format!("-- erasure_of_orders\nSELECT {COLUMNS} FROM erasures WHERE cause = 'order' AND destroyed_at IS NULL");
    read_all(&conn.query(&sql, &[])?)
}

/// Takes the note of a destruction back that did not begin.
pub fn delete(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<(), Error> {
    let sql = "-- erasure_delete\nDELETE FROM erasures WHERE certificate_id = $1 AND destroyed_at IS NULL";
    conn.execute(sql, &[certificate.as_str().into()])?;
    Ok(())
}

/// The destruction of a sector's key, done or not.
pub fn of_sector(conn: &mut dyn Connection, sector: u64) -> Result<Option<Erasure>, Error> {
    let sql = format!("-- erasure_of_sector\nSELECT {COLUMNS} FROM erasures WHERE sector = $1");
    conn.query_one(&sql, &[sector.cast_signed().into()])?.as_ref().map(read).transpose()
}

/// Notes when the keys went of a destruction that is not certified yet, and what proves it with that.
pub fn note_steps(conn: &mut dyn Connection, erasure: &Erasure) -> Result<(), Error> {
    let sql = "-- erasure_note_steps\nUPDATE erasures SET live_at = $2, root_at = $3, evidence = $4 WHERE certificate_id = $1";
    let params = [
        erasure.certificate.as_str().into(),
        erasure.live_at.map(Time::micros).into(),
        erasure.root_at.map(Time::micros).into(),
        erasure.evidence.as_str().into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// Writes anew what proves that the keys of a destruction lived, which is not certified yet.
pub fn renew(conn: &mut dyn Connection, erasure: &Erasure) -> Result<(), Error> {
    delete(conn, &erasure.certificate)?;
    insert(conn, erasure)
}

/// Notes that the keys are destroyed, and until when copies of the ciphertext may exist.
pub fn done(conn: &mut dyn Connection, certificate: &CertificateId, now: Time, until: Time) -> Result<(), Error> {
    let sql = "-- erasure_done\nUPDATE erasures SET destroyed_at = $2, ciphertext_until = $3 WHERE certificate_id = $1";
    conn.execute(sql, &[certificate.as_str().into(), now.micros().into(), until.micros().into()])?;
    Ok(())
}

/// Whether the ciphertext of a destruction was purged.
pub fn is_purged(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<bool, Error> {
    let sql = "-- erasure_is_purged\nSELECT 1 FROM erasures WHERE certificate_id = $1 AND purged_at IS NOT NULL";
    Ok(conn.query_one(sql, &[certificate.as_str().into()])?.is_some())
}

/// Up to `limit` destructions whose ciphertext has to be purged by now, the oldest first. Only those from before the oldest copy that
/// there still is, if one is given.
pub fn due_for_purge(
    conn: &mut dyn Connection,
    now: Time,
    oldest_copy: Option<Time>,
    limit: usize,
) -> Result<Vec<Remains>, Error> {
    let sql = "-- erasure_due_for_purge\nSELECT certificate_id, destroyed_at FROM erasures \
               WHERE purged_at IS NULL AND ciphertext_until <= $1 AND destroyed_at <= $2 ORDER BY ciphertext_until LIMIT $3";
    let oldest = oldest_copy.map_or(i64::MAX, Time::micros);
    let rows = conn.query(sql, &[now.micros().into(), oldest.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])?;
    rows.iter()
        .map(|row| {
            Ok(Remains {
                certificate: row.text(0)?.parse().map_err(|_| crate::inconsistent("erasures.certificate_id"))?,
                destroyed_at: Time::from_micros(row.integer(1)?),
            })
        })
        .collect()
}

/// Forgets which resident a finished destruction was about, and every one that is not finished: for a pass whose keys are lost,
/// in which there is nothing left to destroy and numbers of residents begin again.
pub fn forget_residents(conn: &mut dyn Connection) -> Result<(), Error> {
    conn.execute("-- erasure_forget_unfinished\nDELETE FROM erasures WHERE destroyed_at IS NULL", &[])?;
    // Without a resident a mandate would be read as the mandate whose own key went.
    let sql = "-- erasure_forget_resident\nUPDATE erasures SET resident = NULL, mandate = NULL WHERE resident IS NOT NULL";
    conn.execute(sql, &[])?;
    Ok(())
}

/// Notes that the ciphertext was purged.
pub fn purged(conn: &mut dyn Connection, certificate: &CertificateId, now: Time) -> Result<(), Error> {
    let sql = "-- erasure_purged\nUPDATE erasures SET purged_at = $2 WHERE certificate_id = $1";
    conn.execute(sql, &[certificate.as_str().into(), now.micros().into()])?;
    Ok(())
}

/// How many destructions that are not done have a name that is none, so that nobody finds them.
pub fn nameless(conn: &mut dyn Connection) -> Result<usize, Error> {
    let rows = conn.query("-- erasure_nameless\nSELECT certificate_id FROM erasures WHERE destroyed_at IS NULL", &[])?;
    Ok(rows.iter().filter(|row| !is_named(row)).count())
}

fn is_named(row: &Row) -> bool {
    row.text(0).is_ok_and(|id| id.parse::<CertificateId>().is_ok())
}

/// Reads all that have a name: one that somebody spoiled holds up no other.
fn read_all(rows: &[Row]) -> Result<Vec<Erasure>, Error> {
    rows.iter().filter(|row| is_named(row)).map(read).collect()
}

/// Reads a row. What cannot be read of its commitments and months is left out: by the mark in its evidence it is not what was written.
fn read(row: &Row) -> Result<Erasure, Error> {
    let commitments = row.text(4)?.split_whitespace().filter_map(|commitment| commitment.parse().ok()).collect();
    let months = row.optional_text(8)?.unwrap_or_default().split_whitespace();
    let months = months.filter_map(|month| month.parse().ok().map(Month)).collect();
    Ok(Erasure {
        certificate: row.text(0)?.parse().map_err(|_| crate::inconsistent("erasures.certificate_id"))?,
        cause: row.text(1)?.to_owned(),
        resident: row.optional_integer(2)?.map(i64::cast_unsigned),
        mandate: row.optional_integer(3)?.map(i64::cast_unsigned),
        commitments,
        requested_at: Time::from_micros(row.integer(5)?),
        evidence: row.optional_text(6)?.unwrap_or_default().to_owned(),
        sector: row.optional_integer(7)?.map(i64::cast_unsigned),
        months,
        live_at: row.optional_integer(9)?.map(Time::from_micros),
        root_at: row.optional_integer(10)?.map(Time::from_micros),
    })
}
