//! Cases: what residents ask of offices, where each stands, and how many there were.

use usufruct_core::case::{Case, CaseKind, CaseState, Finding, Remedy};
use usufruct_core::case_tally::Counted;
use usufruct_core::id::{AgencyId, CaseId, ServiceId};
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::{mark, number, shard};

/// A case with its place in the store.
#[derive(Clone, Debug)]
pub struct StoredCase {
    pub resident: u64,
    pub id: CaseId,
    /// Number of the footprint line it is about; `None` where nothing was used.
    pub line: Option<u64>,
    /// Number of the mandate it is about.
    pub mandate: Option<u64>,
    pub service: Option<ServiceId>,
    /// Who has to answer. `None` in rows that are older than the column.
    pub agency: Option<AgencyId>,
    /// Who decides where the office does not answer, or she does not agree.
    pub overseer: Option<AgencyId>,
    pub case: Case,
    /// What was written, sealed under the resident's own key.
    pub sealed: Vec<u8>,
    pub mark: Option<Digest>,
}

/// How many cases of one kind came to one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseCount {
    pub kind: CaseKind,
    pub what: Counted,
    pub number: u64,
}

/// Stands in the column of the line where a case is about none.
const NO_LINE: i64 = -1;

const COLUMNS: &str = "resident, case_id, kind, line, state, filed_at, due_at, sealed, mandate, service, agency, overseer, \
                       extended_at, answered_at, finding, escalated_at, decided_at, decision, remedy, remedy_due_at, remedied_at, \
                       suspends, mark, acknowledge_due_at, acknowledged_at, complain_until, settled_at";
/// Where a case waits for the answer of the office.
const WITH_OFFICE: &str = "state IN ('filed', 'acknowledged')";

/// Adds a case, or replaces the one with its id.
pub fn put(conn: &mut dyn Connection, stored: &StoredCase) -> Result<(), Error> {
    let sql = "-- case_put\nINSERT INTO cases (shard, resident, case_id, kind, line, state, filed_at, due_at, sealed, mandate, service, \
               agency, overseer, extended_at, answered_at, finding, escalated_at, decided_at, decision, remedy, remedy_due_at, \
               remedied_at, suspends, mark, acknowledge_due_at, acknowledged_at, complain_until, settled_at) VALUES ($1, $2, $3, $4, \
               $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) \
               ON CONFLICT (shard, resident, case_id) DO UPDATE SET state = excluded.state, \
               due_at = excluded.due_at, sealed = excluded.sealed, mandate = excluded.mandate, service = excluded.service, \
               agency = excluded.agency, overseer = excluded.overseer, extended_at = excluded.extended_at, \
               answered_at = excluded.answered_at, finding = excluded.finding, escalated_at = excluded.escalated_at, \
               decided_at = excluded.decided_at, decision = excluded.decision, remedy = excluded.remedy, \
               remedy_due_at = excluded.remedy_due_at, remedied_at = excluded.remedied_at, suspends = excluded.suspends, \
               mark = excluded.mark, acknowledged_at = excluded.acknowledged_at, complain_until = excluded.complain_until, \
               settled_at = excluded.settled_at";
    let case = &stored.case;
    let params = [
        shard(stored.resident).into(),
        number(stored.resident).into(),
        stored.id.as_str().into(),
        case.kind.code().into(),
        stored.line.map_or(NO_LINE, u64::cast_signed).into(),
        case.state().code().into(),
        case.filed_at.micros().into(),
        case.due_at.micros().into(),
        Value::from(stored.sealed.clone()),
        stored.mandate.map(u64::cast_signed).into(),
        word(stored.service.as_ref().map(ServiceId::as_str)),
        stored.agency.as_ref().map_or("", AgencyId::as_str).into(),
        word(stored.overseer.as_ref().map(AgencyId::as_str)),
        micros(case.extended_at),
        micros(case.answered_at),
        word(case.finding.map(Finding::code)),
        micros(case.escalated_at),
        micros(case.decided_at),
        word(case.decision.map(Finding::code)),
        word(case.remedy.map(Remedy::code)),
        micros(case.remedy_due_at),
        micros(case.remedied_at),
        i64::from(case.suspends).into(),
        stored.mark.map_or(Value::Null, |mark| Value::from(mark.0.to_vec())),
        micros(case.acknowledge_due_at),
        micros(case.acknowledged_at),
        micros(case.complain_until),
        micros(case.settled_at),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// A case of a resident.
pub fn find(conn: &mut dyn Connection, resident: u64, id: &CaseId) -> Result<Option<StoredCase>, Error> {
    let sql = format!("-- case_find\nSELECT {COLUMNS} FROM cases WHERE shard = $1 AND resident = $2 AND case_id = $3");
    let row = conn.query_one(&sql, &[shard(resident).into(), number(resident).into(), id.as_str().into()])?;
    row.as_ref().map(read).transpose()
}

/// The cases of a resident, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_of_resident\nSELECT {COLUMNS} FROM cases WHERE shard = $1 AND resident = $2 ORDER BY filed_at DESC, case_id DESC"
    );
    conn.query(&sql, &[shard(resident).into(), number(resident).into()])?.iter().map(read).collect()
}

/// The cases of a resident about something under a mandate.
pub fn under_mandate(conn: &mut dyn Connection, resident: u64, mandate: u64) -> Result<Vec<StoredCase>, Error> {
    let sql = format!("-- case_under_mandate\nSELECT {COLUMNS} FROM cases WHERE shard = $1 AND resident = $2 AND mandate = $3");
    conn.query(&sql, &[shard(resident).into(), number(resident).into(), mandate.cast_signed().into()])?.iter().map(read).collect()
}

/// Up to `limit` cases that wait for an office: for its answer, for its decision as the overseer, or for a remedy. Those that are due first
/// come first.
pub fn of_office(conn: &mut dyn Connection, agency: &AgencyId, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_of_office\nSELECT {COLUMNS} FROM cases WHERE (agency = $1 AND {WITH_OFFICE}) OR (overseer = $1 AND state = 'escalated') \
         OR (agency = $1 AND remedy IS NOT NULL AND remedied_at IS NULL) ORDER BY due_at, case_id LIMIT $2"
    );
    conn.query(&sql, &[agency.as_str().into(), limited(limit)])?.iter().map(read).collect()
}

/// Up to `limit` cases that an office has not answered and that `overseer` would decide. Those that are due first come first.
pub fn watched(conn: &mut dyn Connection, overseer: &AgencyId, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_watched\nSELECT {COLUMNS} FROM cases WHERE overseer = $1 AND {WITH_OFFICE} AND agency <> $1 \
         ORDER BY due_at, case_id LIMIT $2"
    );
    conn.query(&sql, &[overseer.as_str().into(), limited(limit)])?.iter().map(read).collect()
}

/// The case with this id, of whoever it is, if this office has to do with it.
pub fn at_office(conn: &mut dyn Connection, agency: &AgencyId, id: &CaseId) -> Result<Option<StoredCase>, Error> {
    let sql = format!("-- case_at_office\nSELECT {COLUMNS} FROM cases WHERE (agency = $1 OR overseer = $1) AND case_id = $2");
    conn.query_one(&sql, &[agency.as_str().into(), id.as_str().into()])?.as_ref().map(read).transpose()
}

/// Up to `limit` cases after the one with the id `after` that no office has answered by `now` and that an overseer can decide, in the order of
/// their ids.
pub fn unanswered(conn: &mut dyn Connection, now: Time, after: &str, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_unanswered\nSELECT {COLUMNS} FROM cases WHERE {WITH_OFFICE} AND due_at <= $1 AND overseer IS NOT NULL \
         AND case_id > $2 ORDER BY case_id LIMIT $3"
    );
    conn.query(&sql, &[now.micros().into(), after.into(), limited(limit)])?.iter().map(read).collect()
}

/// Up to `limit` cases after the one with the id `after` whose answer nobody can take to an overseer any more at `now`, in the order of their ids.
pub fn unsettled(conn: &mut dyn Connection, now: Time, after: &str, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_unsettled\nSELECT {COLUMNS} FROM cases WHERE state = 'answered' AND complain_until <= $1 AND case_id > $2 \
         ORDER BY case_id LIMIT $3"
    );
    conn.query(&sql, &[now.micros().into(), after.into(), limited(limit)])?.iter().map(read).collect()
}

/// Up to `limit` cases after the one with the id `after` with a remedy that the machine does and has not done, in the order of their ids.
pub fn unremedied(conn: &mut dyn Connection, after: &str, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!(
        "-- case_unremedied\nSELECT {COLUMNS} FROM cases WHERE remedy IN ('delete', 'stop') AND remedied_at IS NULL \
         AND mandate IS NOT NULL AND case_id > $1 ORDER BY case_id LIMIT $2"
    );
    conn.query(&sql, &[after.into(), limited(limit)])?.iter().map(read).collect()
}

/// Who owes a word that it has a case, an answer, a decision or a remedy at `now`, as code of what is owed and office, and since when. An office
/// that has not answered owes it until the overseer decides.
pub fn overdue(conn: &mut dyn Connection, now: Time) -> Result<Vec<(String, AgencyId, Time)>, Error> {
    let sql = format!(
        "-- case_overdue\nSELECT what, office, MIN(due) FROM (\
               SELECT 'answer' AS what, agency AS office, due_at AS due FROM cases WHERE {WITH_OFFICE} AND due_at <= $1 \
               UNION ALL SELECT 'acknowledgement', agency, acknowledge_due_at FROM cases WHERE state = 'filed' \
               AND acknowledge_due_at <= $1 \
               UNION ALL SELECT 'answer', agency, escalated_at FROM cases WHERE state = 'escalated' AND answered_at IS NULL \
               UNION ALL SELECT 'decision', overseer, due_at FROM cases WHERE state = 'escalated' AND due_at <= $1 \
               UNION ALL SELECT 'remedy', agency, remedy_due_at FROM cases WHERE remedy IS NOT NULL AND remedied_at IS NULL \
               AND remedy_due_at <= $1) AS owed WHERE office <> '' GROUP BY what, office ORDER BY 3, 1, 2"
    );
    let rows = conn.query(&sql, &[now.micros().into()])?;
    rows.iter()
        .map(|row| {
            let office = row.text(1)?.parse().map_err(|_| crate::inconsistent("cases.agency"))?;
            Ok((row.text(0)?.to_owned(), office, Time::from_micros(row.integer(2)?)))
        })
        .collect()
}

/// Up to `limit` cases from before there were marks.
pub fn unmarked(conn: &mut dyn Connection, limit: usize) -> Result<Vec<StoredCase>, Error> {
    let sql = format!("-- case_unmarked\nSELECT {COLUMNS} FROM cases WHERE mark IS NULL ORDER BY resident, case_id LIMIT $1");
    conn.query(&sql, &[limited(limit)])?.iter().map(read).collect()
}

/// Deletes the cases of an erased resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- case_purge_resident\nDELETE FROM cases WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}

/// Counts one more for the public, on a day counted from 1970.
pub fn count(conn: &mut dyn Connection, agency: &AgencyId, kind: CaseKind, what: Counted, day: i64) -> Result<(), Error> {
    let sql = "-- case_count\nINSERT INTO case_counts (agency, kind, what, day, number) VALUES ($1, $2, $3, $4, 1) \
               ON CONFLICT (agency, kind, what, day) DO UPDATE SET number = case_counts.number + 1";
    conn.execute(sql, &[agency.as_str().into(), kind.code().into(), what.code().into(), day.into()])?;
    Ok(())
}

/// What was counted of an office from day `from` on and before day `until`.
pub fn counts(conn: &mut dyn Connection, agency: &AgencyId, from: i64, until: i64) -> Result<Vec<CaseCount>, Error> {
    let sql = "-- case_counts\nSELECT kind, what, CAST(SUM(number) AS BIGINT) FROM case_counts WHERE agency = $1 AND day >= $2 \
               AND day < $3 GROUP BY kind, what ORDER BY kind, what";
    let rows = conn.query(sql, &[agency.as_str().into(), from.into(), until.into()])?;
    rows.iter()
        .map(|row| {
            Ok(CaseCount {
                kind: CaseKind::from_code(row.text(0)?).ok_or_else(|| crate::inconsistent("case_counts.kind"))?,
                what: Counted::from_code(row.text(1)?).ok_or_else(|| crate::inconsistent("case_counts.what"))?,
                number: row.integer(2)?.cast_unsigned(),
            })
        })
        .collect()
}

/// The first day on which something was counted of each office.
pub fn first_counts(conn: &mut dyn Connection) -> Result<Vec<(AgencyId, i64)>, Error> {
    let sql = "-- case_first_counts\nSELECT agency, MIN(day) FROM case_counts GROUP BY agency ORDER BY agency";
    let rows = conn.query(sql, &[])?;
    let read = |row: &Row| {
        let agency = row.text(0)?.parse().map_err(|_| crate::inconsistent("case_counts.agency"))?;
        Ok((agency, row.integer(1)?))
    };
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<StoredCase, Error> {
    let finding = |column: usize, name: &str| {
        row.optional_text(column)?.map(|code| Finding::from_code(code).ok_or_else(|| crate::inconsistent(name))).transpose()
    };
    let time = |column: usize| Ok::<_, Error>(row.optional_integer(column)?.map(Time::from_micros));
    let line = row.integer(3)?;
    let remedy = row.optional_text(18)?;
    let agency = row.text(10)?;
    let case = Case {
        kind: CaseKind::from_code(row.text(2)?).ok_or_else(|| crate::inconsistent("cases.kind"))?,
        filed_at: Time::from_micros(row.integer(5)?),
        acknowledge_due_at: time(23)?,
        acknowledged_at: time(24)?,
        due_at: Time::from_micros(row.integer(6)?),
        extended_at: time(12)?,
        answered_at: time(13)?,
        finding: finding(14, "cases.finding")?,
        complain_until: time(25)?,
        settled_at: time(26)?,
        escalated_at: time(15)?,
        decided_at: time(16)?,
        decision: finding(17, "cases.decision")?,
        remedy: remedy.map(|code| Remedy::from_code(code).ok_or_else(|| crate::inconsistent("cases.remedy"))).transpose()?,
        remedy_due_at: time(19)?,
        remedied_at: time(20)?,
        suspends: row.integer(21)? == 1,
    };
    // Cases are found by the word, so one that says something else than the times was written by somebody else, as one with a wrong mark.
    let (word, state) = (row.text(4)?, case.state());
    // The release before has one word for all that came after a decision, and its nodes may still write.
    let is_older = word == CaseState::Decided.code()
        && case.decided_at.is_some()
        && matches!(state, CaseState::RemedyDue | CaseState::Closed);
    let says_so = word == state.code() || is_older;
    Ok(StoredCase {
        resident: row.integer(0)?.cast_unsigned(),
        id: row.text(1)?.parse().map_err(|_| crate::inconsistent("cases.case_id"))?,
        line: (line != NO_LINE).then_some(line.cast_unsigned()),
        mandate: row.optional_integer(8)?.map(i64::cast_unsigned),
        service: row.optional_text(9)?.map(str::parse).transpose().map_err(|_| crate::inconsistent("cases.service"))?,
        agency: (!agency.is_empty()).then(|| agency.parse()).transpose().map_err(|_| crate::inconsistent("cases.agency"))?,
        overseer: row.optional_text(11)?.map(str::parse).transpose().map_err(|_| crate::inconsistent("cases.overseer"))?,
        case,
        sealed: row.bytes(7)?.to_vec(),
        mark: mark(row, 22)?.filter(|_| says_so),
    })
}

fn word(word: Option<&str>) -> Value {
    word.map_or(Value::Null, Value::from)
}

fn micros(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| time.micros().into())
}

fn limited(limit: usize) -> Value {
    Value::from(i64::try_from(limit).unwrap_or(i64::MAX))
}
