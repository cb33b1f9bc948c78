//! What was counted under each mandate on each day, before and after it is published.

use std::collections::HashMap;

use usufruct_core::source::Source;
use usufruct_core::tally::Span;

use crate::db::{Connection, Error, Value};

/// The numbers of one source on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSpan {
    pub source: Source,
    pub span: Span,
    /// What hides the numbers in the published tally, once the day is counted.
    pub salt: Option<[u8; 32]>,
}

/// Something that was counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Number of the mandate.
    pub mandate: u64,
    /// Day in Taipei, counted from 1970.
    pub day: i64,
    pub what: String,
    /// How often more than before.
    pub more: i64,
}

/// Adds to the counts.
pub fn add(conn: &mut dyn Connection, counted: &[Counted]) -> Result<(), Error> {
    let sql = "-- tally_add\nINSERT INTO tally_counts (mandate, day, what, count) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (mandate, day, what) DO UPDATE SET count = tally_counts.count + excluded.count";
    let row = |counted: &Counted| {
        let Counted { mandate, day, what, more } = counted;
        vec![mandate.cast_signed().into(), (*day).into(), what.into(), (*more).into()]
    };
    let rows: Vec<Vec<Value>> = counted.iter().map(row).collect();
    conn.execute_many(sql, &rows).map(drop)
}

/// What was counted under a mandate on a day.
pub fn counts(conn: &mut dyn Connection, mandate: u64, day: i64) -> Result<Vec<(String, u64)>, Error> {
    let sql = "-- tally_counts\nSELECT what, count FROM tally_counts WHERE mandate = $1 AND day = $2 ORDER BY what";
    let rows = conn.query(sql, &[mandate.cast_signed().into(), day.into()])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.integer(1)?.cast_unsigned()))).collect()
}

/// How many uses there were from a day on, by number of the mandate and day.
pub fn uses_since(conn: &mut dyn Connection, day: i64) -> Result<HashMap<(u64, i64), u64>, Error> {
    let sql = "-- tally_uses\nSELECT mandate, day, count FROM tally_counts WHERE what = 'use' AND day >= $1";
    let rows = conn.query(sql, &[day.into()])?;
    rows.iter().map(|row| Ok(((row.integer(0)?.cast_unsigned(), row.integer(1)?), row.integer(2)?.cast_unsigned()))).collect()
}

/// How often something was counted under a mandate, by day in order.
pub fn by_day(conn: &mut dyn Connection, mandate: u64, what: &str) -> Result<Vec<(i64, u64)>, Error> {
    let sql = "-- tally_by_day\nSELECT day, count FROM tally_counts WHERE mandate = $1 AND what = $2 ORDER BY day";
    let rows = conn.query(sql, &[mandate.cast_signed().into(), what.into()])?;
    rows.iter().map(|row| Ok((row.integer(0)?, row.integer(1)?.cast_unsigned()))).collect()
}

/// Extends the numbers of a source on a day.
pub fn extend(conn: &mut dyn Connection, mandate: u64, day: i64, source: &Source, span: Span) -> Result<(), Error> {
    // MIN and MAX of two values are called LEAST and GREATEST elsewhere, so neither is used.
    let sql = "-- tally_extend\nINSERT INTO tally_spans (mandate, day, source, first, last, lines) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (mandate, day, source) DO UPDATE SET \
               first = CASE WHEN excluded.first < tally_spans.first THEN excluded.first ELSE tally_spans.first END, \
               last = CASE WHEN excluded.last > tally_spans.last THEN excluded.last ELSE tally_spans.last END, \
               lines = tally_spans.lines + excluded.lines";
    let params = [
        mandate.cast_signed().into(),
        day.into(),
        source.as_str().into(),
        span.first.cast_signed().into(),
        span.last.cast_signed().into(),
        span.lines.cast_signed().into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

/// The numbers of all sources under a mandate on a day, in the order of their names.
pub fn spans(conn: &mut dyn Connection, mandate: u64, day: i64) -> Result<Vec<StoredSpan>, Error> {
    let sql = "-- tally_spans\nSELECT source, first, last, lines, salt FROM tally_spans WHERE mandate = $1 AND day = $2 ORDER BY source";
    let rows = conn.query(sql, &[mandate.cast_signed().into(), day.into()])?;
    let read = |row: &crate::db::Row| {
        let salt = row.optional_bytes(4)?.map(<[u8; 32]>::try_from).transpose();
        Ok(StoredSpan {
            source: row.text(0)?.parse().map_err(|_| crate::inconsistent("tally_spans.source"))?,
            span: Span {
                first: row.integer(1)?.cast_unsigned(),
                last: row.integer(2)?.cast_unsigned(),
                lines: row.integer(3)?.cast_unsigned(),
            },
            salt: salt.map_err(|_| crate::inconsistent("tally_spans.salt"))?,
        })
    };
    let mut spans: Vec<StoredSpan> = rows.iter().map(read).collect::<Result<_, Error>>()?;
    spans.sort_by(|one, other| one.source.as_str().cmp(other.source.as_str()));
    Ok(spans)
}

/// Notes what hides the numbers of a source in the tally of a day.
pub fn salt(conn: &mut dyn Connection, mandate: u64, day: i64, source: &Source, salt: &[u8; 32]) -> Result<(), Error> {
    let sql = "-- tally_salt\nUPDATE tally_spans SET salt = $4 WHERE mandate = $1 AND day = $2 AND source = $3";
    let params = [mandate.cast_signed().into(), day.into(), source.as_str().into(), Value::from(salt.to_vec())];
    conn.execute(sql, &params)?;
    Ok(())
}
