//! Footprint lines: the sealed record of each event, in the order of the resident's own chain. Lines that she sees later have the numbers of the
//! week on which they open, beyond all numbers of that chain: whoever reads for her says up to which number.

use std::ops::Range;

use usufruct_core::delay::{FIRST_NUMBER, Week};

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// Beyond every number that a line can have.
pub const END: u64 = i64::MAX as u64;

/// One stored line.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the resident's own chain, or in that of a week ([`usufruct_core::delay`]).
    pub n: u64,
    /// Leaf number.
    pub index: u64,
    pub sealed: Vec<u8>,
    /// What the line is about, sealed by itself, where it concerns somebody else. Nobody is handed it before the day that the line names.
    pub matter: Option<Vec<u8>>,
}

/// Adds the line of a new event.
pub fn insert(conn: &mut dyn Connection, resident: u64, line: &Line, commitment: &[u8; 32]) -> Result<(), Error> {
    let sql = "-- line_insert\nINSERT INTO lines (shard, resident, n, idx, commitment, sealed, matter) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let params = [
        shard(resident).into(),
        number(resident).into(),
        line.n.cast_signed().into(),
        line.index.cast_signed().into(),
        Value::from(commitment.to_vec()),
        Value::from(line.sealed.clone()),
        line.matter.clone().map_or(Value::Null, Value::from),
    ];
    if conn.execute(sql, &params)? == 1 {
        return Ok(());
    }
    // A database that says yes and keeps nothing would leave a use out of somebody's footprint.
    Err(crate::inconsistent("lines.n"))
}

/// Number and commitment of the last event in a resident's own chain.
pub fn last(conn: &mut dyn Connection, resident: u64) -> Result<Option<(u64, [u8; 32])>, Error> {
    last_within(conn, resident, 0..FIRST_NUMBER)
}

/// Number and commitment of the last of a resident's events that open on `week`.
pub fn last_of_week(conn: &mut dyn Connection, resident: u64, week: Week) -> Result<Option<(u64, [u8; 32])>, Error> {
    last_within(conn, resident, week.first_number()..week.next().first_number())
}

fn last_within(conn: &mut dyn Connection, resident: u64, numbers: Range<u64>) -> Result<Option<(u64, [u8; 32])>, Error> {
    let sql = "-- line_last\nSELECT n, commitment FROM lines WHERE shard = $1 AND resident = $2 AND n >= $3 AND n < $4 ORDER BY n DESC LIMIT 1";
    let params =
        [shard(resident).into(), number(resident).into(), numbers.start.cast_signed().into(), numbers.end.cast_signed().into()];
    let row = conn.query_one(sql, &params)?;
    row.map(|row| {
        let commitment = row.bytes(1)?.try_into().map_err(|_| crate::inconsistent("lines.commitment"))?;
        Ok((row.integer(0)?.cast_unsigned(), commitment))
    })
    .transpose()
}

/// The highest leaf number that any line has; `None` without lines.
pub fn last_index(conn: &mut dyn Connection) -> Result<Option<u64>, Error> {
    let row = conn.query_one("-- line_last_index\nSELECT MAX(idx) FROM lines", &[])?;
    row.map_or(Ok(None), |row| Ok(row.optional_integer(0)?.map(i64::cast_unsigned)))
}

/// How many lines there are, of all residents.
pub fn count(conn: &mut dyn Connection) -> Result<u64, Error> {
    let row = conn.query_one("-- line_count\nSELECT COUNT(*) FROM lines", &[])?;
    row.map_or(Ok(0), |row| Ok(row.integer(0)?.cast_unsigned()))
}

/// Lines of a resident with these numbers, in order, at most `limit`.
pub fn of_resident(conn: &mut dyn Connection, resident: u64, numbers: Range<u64>, limit: usize) -> Result<Vec<Line>, Error> {
    let sql = "-- line_of_resident\nSELECT n, idx, sealed, matter FROM lines WHERE shard = $1 AND resident = $2 AND n >= $3 AND n < $4 \
               ORDER BY n LIMIT $5";
    let params = [
        shard(resident).into(),
        number(resident).into(),
        numbers.start.cast_signed().into(),
        numbers.end.cast_signed().into(),
        Value::from(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let rows = conn.query(sql, &params)?;
    rows.iter()
        .map(|row| {
            Ok(Line {
                n: row.integer(0)?.cast_unsigned(),
                index: row.integer(1)?.cast_unsigned(),
                sealed: row.bytes(2)?.to_vec(),
                matter: row.optional_bytes(3)?.map(<[u8]>::to_vec),
            })
        })
        .collect()
}

/// Lines of a resident with these numbers and with their commitments, in order, at most `limit`: what a copy of the table needs.
pub fn committed(
    conn: &mut dyn Connection,
    resident: u64,
    numbers: Range<u64>,
    limit: usize,
) -> Result<Vec<(Line, [u8; 32])>, Error> {
    let sql = "-- line_committed\nSELECT n, idx, sealed, commitment, matter FROM lines WHERE shard = $1 AND resident = $2 AND n >= $3 AND n < $4 \
               ORDER BY n LIMIT $5";
    let params = [
        shard(resident).into(),
        number(resident).into(),
        numbers.start.cast_signed().into(),
        numbers.end.cast_signed().into(),
        Value::from(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let rows = conn.query(sql, &params)?;
    rows.iter()
        .map(|row| {
            let line = Line {
                n: row.integer(0)?.cast_unsigned(),
                index: row.integer(1)?.cast_unsigned(),
                sealed: row.bytes(2)?.to_vec(),
                matter: row.optional_bytes(4)?.map(<[u8]>::to_vec),
            };
            Ok((line, row.array(3)?))
        })
        .collect()
}

/// Deletes the lines of an erased resident. Their leaves stay in the log as noise.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    let sql = "-- line_purge_resident\nDELETE FROM lines WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into()])
}
