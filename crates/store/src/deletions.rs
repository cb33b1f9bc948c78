//! What services are told to delete, and what they answer.

use std::collections::BTreeSet;

use usufruct_core::certificate::Answer;
use usufruct_core::id::{CertificateId, DeletionId, ServiceId};
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// One service's notice of one erasure.
#[derive(Clone, Debug)]
pub struct Deletion {
    pub id: DeletionId,
    pub certificate: CertificateId,
    pub service: ServiceId,
    /// Number of the mandate; `None` when the whole pass was deleted.
    pub mandate: Option<u64>,
    /// The sealed pseudonym; `None` when everything under the mandate goes.
    pub sealed: Option<Vec<u8>>,
    pub noted_at: Time,
    /// Before this the service does not see it; `None` for at once.
    pub ready_at: Option<Time>,
    pub due_at: Time,
    /// When the service first read it.
    pub told_at: Option<Time>,
    /// Its answer, and when it gave it.
    pub answer: Option<(Answer, Time)>,
    /// On which ground of its law it keeps the data; `None` for other answers, and for those from before a ground was asked for.
    pub ground: Option<String>,
    /// When it was found that the answer had not come in time. It stays when an answer comes late.
    pub missed_at: Option<Time>,
    /// When it was found that somebody else had written to it.
    pub altered_at: Option<Time>,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

/// What a service has not answered in time.
#[derive(Clone, Debug)]
pub struct Overdue {
    /// When the first answer was due.
    pub since: Time,
    /// Numbers of the mandates under which it got the data.
    pub mandates: BTreeSet<u64>,
    /// Whether it may have answered, because somebody else wrote to a notice of it.
    pub is_altered: bool,
}

/// How services have answered, of all notices there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub noted: i64,
    pub told: i64,
    pub answered: i64,
    /// Not answered, and due before now.
    pub overdue: i64,
    /// Not answered in time, whatever came later.
    pub missed: i64,
    /// Written to by somebody else, so that nobody knows what was answered.
    pub altered: i64,
    /// Answered by a service that it keeps the data.
    pub kept: i64,
}

const COLUMNS: &str = "deletion_id, certificate_id, service, mandate, sealed, noted_at, due_at, told_at, answer, answered_at, missed_at, ready_at, \
     altered_at, mark, ground";

/// Adds notices.
pub fn insert(conn: &mut dyn Connection, deletions: &[Deletion]) -> Result<(), Error> {
    let sql = "-- deletion_insert\nINSERT INTO deletions (deletion_id, certificate_id, service, mandate, sealed, noted_at, due_at, ready_at, mark, published) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)";
    let rows: Vec<_> = deletions
        .iter()
        .map(|deletion| {
            vec![
                deletion.id.as_str().into(),
                deletion.certificate.as_str().into(),
                deletion.service.as_str().into(),
                deletion.mandate.map(u64::cast_signed).into(),
                deletion.sealed.clone().into(),
                deletion.noted_at.micros().into(),
                deletion.due_at.micros().into(),
                deletion.ready_at.map(Time::micros).into(),
                deletion.mark.map(|mark| mark.0.to_vec()).into(),
            ]
        })
        .collect();
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// Sets all of these notices that can change: what is sealed, the days, the answer and the mark.
pub fn set(conn: &mut dyn Connection, deletions: &[Deletion]) -> Result<(), Error> {
    let sql = "-- deletion_set\nUPDATE deletions SET sealed = $2, due_at = $3, told_at = $4, answer = $5, answered_at = $6, missed_at = $7, \
               altered_at = $8, mark = $9, ground = $10 WHERE deletion_id = $1";
    let rows: Vec<Vec<Value>> = deletions
        .iter()
        .map(|deletion| {
            vec![
                deletion.id.as_str().into(),
                deletion.sealed.clone().into(),
                deletion.due_at.micros().into(),
                deletion.told_at.map(Time::micros).into(),
                deletion.answer.map(|(answer, _)| answer.code()).into(),
                deletion.answer.map(|(_, at)| at.micros()).into(),
                deletion.missed_at.map(Time::micros).into(),
                deletion.altered_at.map(Time::micros).into(),
                deletion.mark.map(|mark| mark.0.to_vec()).into(),
                deletion.ground.as_deref().into(),
            ]
        })
        .collect();
    conn.execute_many(sql, &rows)?;
    Ok(())
}

/// Up to `limit` notices that a service may see and has not answered, oldest first.
pub fn open(conn: &mut dyn Connection, service: &ServiceId, now: Time, limit: usize) -> Result<Vec<Deletion>, Error> {
    let sql = format!(
        "-- deletion_open\nSELECT {COLUMNS} FROM deletions WHERE service = $1 AND answered_at IS NULL AND altered_at IS NULL \
         AND (ready_at IS NULL OR ready_at <= $3) ORDER BY noted_at, deletion_id LIMIT $2"
    );
    let params = [service.as_str().into(), count(limit), now.micros().into()];
    conn.query(&sql, &params)?.iter().map(read).collect()
}

/// Up to `limit` notices after the one with the id `after`, in the order of their ids.
pub fn list(conn: &mut dyn Connection, after: &str, limit: usize) -> Result<Vec<Deletion>, Error> {
    let sql = format!("-- deletion_list\nSELECT {COLUMNS} FROM deletions WHERE deletion_id > $1 ORDER BY deletion_id LIMIT $2");
    conn.query(&sql, &[after.into(), count(limit)])?.iter().map(read).collect()
}

/// Up to `limit` notices without a mark after the one with the id `after`, in the order of their ids.
pub fn unmarked(conn: &mut dyn Connection, after: &str, limit: usize) -> Result<Vec<Deletion>, Error> {
    let sql = format!(
        "-- deletion_unmarked\nSELECT {COLUMNS} FROM deletions WHERE mark IS NULL AND deletion_id > $1 ORDER BY deletion_id LIMIT $2"
    );
    conn.query(&sql, &[after.into(), count(limit)])?.iter().map(read).collect()
}

/// The notice, if it is this service's.
pub fn find(conn: &mut dyn Connection, id: &DeletionId, service: &ServiceId) -> Result<Option<Deletion>, Error> {
    let sql = format!("-- deletion_find\nSELECT {COLUMNS} FROM deletions WHERE deletion_id = $1 AND service = $2");
    conn.query_one(&sql, &[id.as_str().into(), service.as_str().into()])?.as_ref().map(read).transpose()
}

/// The notices of the erasures of one resident's data, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Deletion>, Error> {
    let sql = "-- deletion_of_resident\nSELECT d.deletion_id, d.certificate_id, d.service, d.mandate, d.sealed, d.noted_at, d.due_at, d.told_at, \
               d.answer, d.answered_at, d.missed_at, d.ready_at, d.altered_at, d.mark, d.ground FROM deletions d JOIN erasures e ON e.certificate_id = d.certificate_id WHERE e.resident = $1 \
               ORDER BY d.noted_at DESC, d.deletion_id";
    conn.query(sql, &[number(resident).into()])?.iter().map(read).collect()
}

/// The notices of an erasure, by service.
pub fn of_certificate(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<Vec<Deletion>, Error> {
    let sql = format!("-- deletion_of_certificate\nSELECT {COLUMNS} FROM deletions WHERE certificate_id = $1 ORDER BY service");
    conn.query(&sql, &[certificate.as_str().into()])?.iter().map(read).collect()
}

/// Takes the notices back of an erasure that did not begin.
pub fn forget(conn: &mut dyn Connection, certificate: &CertificateId) -> Result<(), Error> {
    conn.execute("-- deletion_forget\nDELETE FROM deletions WHERE certificate_id = $1", &[certificate.as_str().into()])?;
    Ok(())
}

/// Up to `limit` certificates of mandates that do not say yet what their services did.
pub fn unpublished(conn: &mut dyn Connection, limit: usize) -> Result<Vec<CertificateId>, Error> {
    let sql = "-- deletion_unpublished\nSELECT DISTINCT d.certificate_id FROM deletions d \
               JOIN erasures e ON e.certificate_id = d.certificate_id WHERE e.resident IS NULL AND e.destroyed_at IS NOT NULL \
               AND d.published < CASE WHEN d.answered_at IS NOT NULL THEN 2 WHEN d.told_at IS NOT NULL THEN 1 ELSE 0 END LIMIT $1";
    let rows = conn.query(sql, &[count(limit)])?;
    rows.iter().map(|row| row.text(0)?.parse().map_err(|_| crate::inconsistent("deletions.certificate_id"))).collect()
}

/// Notes that the certificate says as much as these notices do.
pub fn published(conn: &mut dyn Connection, deletions: &[Deletion]) -> Result<(), Error> {
    let rows: Vec<Vec<Value>> =
        deletions.iter().map(|deletion| vec![deletion.id.as_str().into(), deletion.extent().into()]).collect();
    conn.execute_many("-- deletion_published\nUPDATE deletions SET published = $2 WHERE deletion_id = $1", &rows)?;
    Ok(())
}

/// Up to `limit` notices that were not answered in time, the longest overdue first.
pub fn overdue(conn: &mut dyn Connection, now: Time, limit: usize) -> Result<Vec<Deletion>, Error> {
    let sql = format!(
        "-- deletion_overdue\nSELECT {COLUMNS} FROM deletions WHERE answered_at IS NULL AND due_at < $1 ORDER BY due_at, deletion_id LIMIT $2"
    );
    let params = [now.micros().into(), count(limit)];
    conn.query(&sql, &params)?.iter().map(read).collect()
}

/// The services that have not answered in time, each with the day of the oldest notice.
pub fn overdue_services(conn: &mut dyn Connection, now: Time) -> Result<Vec<(ServiceId, Time)>, Error> {
    let sql = "-- deletion_overdue_services\nSELECT service, MIN(due_at) FROM deletions WHERE answered_at IS NULL AND due_at < $1 \
               GROUP BY service ORDER BY service";
    let service = |row: &Row| row.text(0)?.parse().map_err(|_| crate::inconsistent("deletions.service"));
    conn.query(sql, &[now.micros().into()])?.iter().map(|row| Ok((service(row)?, Time::from_micros(row.integer(1)?)))).collect()
}

/// Up to `limit` notices whose answers have not come in time, which is not noted yet, the longest overdue first.
pub fn unnoted(conn: &mut dyn Connection, now: Time, limit: usize) -> Result<Vec<Deletion>, Error> {
    let sql = format!(
        "-- deletion_unnoted\nSELECT {COLUMNS} FROM deletions WHERE answered_at IS NULL AND missed_at IS NULL AND due_at < $1 \
         ORDER BY due_at, deletion_id LIMIT $2"
    );
    conn.query(&sql, &[now.micros().into(), count(limit)])?.iter().map(read).collect()
}

/// What a service has not answered in time of what was due after `after`.
pub fn overdue_after(conn: &mut dyn Connection, service: &ServiceId, after: Time, now: Time) -> Result<Option<Overdue>, Error> {
    let sql = "-- deletion_overdue_after\nSELECT due_at, mandate, altered_at FROM deletions WHERE service = $1 AND answered_at IS NULL AND due_at < $2 \
               AND due_at > $3 ORDER BY due_at";
    let rows = conn.query(sql, &[service.as_str().into(), now.micros().into(), after.micros().into()])?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut overdue = Overdue { since: Time::from_micros(first.integer(0)?), mandates: BTreeSet::new(), is_altered: false };
    for row in &rows {
        overdue.is_altered |= row.optional_integer(2)?.is_some();
        overdue.mandates.extend(row.optional_integer(1)?.map(i64::cast_unsigned));
    }
    Ok(Some(overdue))
}

/// Whether a service did not answer in time what it was told about one resident, due between two times.
pub fn has_missed(conn: &mut dyn Connection, resident: u64, service: &ServiceId, from: Time, until: Time) -> Result<bool, Error> {
    let sql = "-- deletion_missed_of_resident\nSELECT 1 FROM deletions d JOIN erasures e ON e.certificate_id = d.certificate_id \
               WHERE e.resident = $1 AND d.service = $2 AND d.due_at >= $3 AND d.due_at <= $4 \
               AND (d.missed_at IS NOT NULL OR d.answered_at IS NULL) LIMIT 1";
    let params = [number(resident).into(), service.as_str().into(), from.micros().into(), until.micros().into()];
    Ok(conn.query_one(sql, &params)?.is_some())
}

/// The mandates of which a service did not say in time that it deleted all of it, due between two times.
pub fn missed_mandates(conn: &mut dyn Connection, service: &ServiceId, from: Time, until: Time) -> Result<Vec<u64>, Error> {
    let sql = "-- deletion_missed_mandates\nSELECT DISTINCT d.mandate FROM deletions d JOIN erasures e ON e.certificate_id = d.certificate_id \
               WHERE e.resident IS NULL AND d.mandate IS NOT NULL AND d.service = $1 AND d.due_at >= $2 AND d.due_at <= $3 \
               AND (d.missed_at IS NOT NULL OR d.answered_at IS NULL)";
    let rows = conn.query(sql, &[service.as_str().into(), from.micros().into(), until.micros().into()])?;
    rows.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}

/// On which grounds services keep what they were told to delete, and how often each.
pub fn grounds(conn: &mut dyn Connection) -> Result<Vec<(String, u64)>, Error> {
    let sql = "-- deletion_grounds\nSELECT ground, COUNT(*) FROM deletions WHERE answer = 'kept' AND ground IS NOT NULL GROUP BY ground ORDER BY ground";
    let rows = conn.query(sql, &[])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.integer(1)?.cast_unsigned()))).collect()
}

/// How services have answered so far.
pub fn counts(conn: &mut dyn Connection, now: Time) -> Result<Counts, Error> {
    let sql = "-- deletion_counts\nSELECT COUNT(*), COUNT(told_at), COUNT(answered_at), \
               COUNT(CASE WHEN answered_at IS NULL AND due_at < $1 THEN 1 END), \
               COUNT(CASE WHEN missed_at IS NOT NULL OR (answered_at IS NULL AND due_at < $1) THEN 1 END), \
               COUNT(altered_at), COUNT(CASE WHEN answer = 'kept' THEN 1 END) FROM deletions";
    let row = conn.query_one(sql, &[now.micros().into()])?;
    row.map_or(Ok(Counts::default()), |row| {
        Ok(Counts {
            noted: row.integer(0)?,
            told: row.integer(1)?,
            answered: row.integer(2)?,
            overdue: row.integer(3)?,
            missed: row.integer(4)?,
            altered: row.integer(5)?,
            kept: row.integer(6)?,
        })
    })
}

impl Deletion {
    /// How much there is to say of it in public: 0 nothing, 1 that the service was told, 2 its answer.
    fn extent(&self) -> i64 {
        match (self.told_at, self.answer) {
            (_, Some(_)) => 2,
            (Some(_), None) => 1,
            (None, None) => 0,
        }
    }
}

fn read(row: &Row) -> Result<Deletion, Error> {
    // Another word is nobody's answer, and the mark of the row tells that somebody wrote it.
    let answer = row.optional_text(8)?.and_then(Answer::from_code).zip(row.optional_integer(9)?.map(Time::from_micros));
    Ok(Deletion {
        id: row.text(0)?.parse().map_err(|_| crate::inconsistent("deletions.deletion_id"))?,
        certificate: row.text(1)?.parse().map_err(|_| crate::inconsistent("deletions.certificate_id"))?,
        service: row.text(2)?.parse().map_err(|_| crate::inconsistent("deletions.service"))?,
        mandate: row.optional_integer(3)?.map(i64::cast_unsigned),
        sealed: row.optional_bytes(4)?.map(<[u8]>::to_vec),
        noted_at: Time::from_micros(row.integer(5)?),
        due_at: Time::from_micros(row.integer(6)?),
        told_at: row.optional_integer(7)?.map(Time::from_micros),
        answer,
        missed_at: row.optional_integer(10)?.map(Time::from_micros),
        ready_at: row.optional_integer(11)?.map(Time::from_micros),
        altered_at: row.optional_integer(12)?.map(Time::from_micros),
        mark: crate::mark(row, 13)?,
        ground: row.optional_text(14)?.map(str::to_owned),
    })
}

fn count(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
