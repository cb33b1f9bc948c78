//! Cases: what residents object to.

use usufruct_core::Time;
use usufruct_core::id::CaseId;

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    pub resident: u64,
    pub id: CaseId,
    pub kind: String,
    /// Number of the footprint line it is about.
    pub line: u64,
    pub state: String,
    pub filed_at: Time,
    pub due_at: Time,
    /// The resident's words, sealed under her own key.
    pub sealed: Vec<u8>,
}

/// Files a case.
pub fn insert(conn: &mut dyn Connection, case: &Case) -> Result<(), Error> {
    let sql = "-- case_insert\nINSERT INTO cases (shard, resident, case_id, kind, line, state, filed_at, due_at, sealed) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let params = [
        shard(case.resident).into(),
        number(case.resident).into(),
        case.id.as_str().into(),
        case.kind.as_str().into(),
        case.line.cast_signed().into(),
        case.state.as_str().into(),
        case.filed_at.micros().into(),
        case.due_at.micros().into(),
        Value::from(case.sealed.clone()),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The cases of a resident, newest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Case>, Error> {
    let sql = "-- case_of_resident\nSELECT case_id, kind, line, state, filed_at, due_at, sealed FROM cases \
               WHERE shard = $1 AND resident = $2 ORDER BY filed_at DESC";
    let rows = conn.query(sql, &[shard(resident).into(), number(resident).into()])?;
    rows.iter()
        .map(|row| {
            Ok(Case {
                resident,
                id: row.text(0)?.parse().map_err(|_| crate::inconsistent("cases.case_id"))?,
                kind: row.text(1)?.to_owned(),
                line: row.integer(2)?.cast_unsigned(),
                state: row.text(3)?.to_owned(),
                filed_at: Time::from_micros(row.integer(4)?),
                due_at: Time::from_micros(row.integer(5)?),
                sealed: row.bytes(6)?.to_vec(),
            })
        })
        .collect()
}
