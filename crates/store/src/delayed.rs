//! Delayed lines that nobody will see: those of residents who were erased before the day.

use usufruct_core::time::Month;

use crate::db::{Connection, Error};

/// How many of them there are under a mandate of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Number of the mandate.
    pub mandate: u64,
    /// In which they were written.
    pub month: Month,
    pub lines: u64,
}

/// Adds to the counts.
pub fn add_ended(conn: &mut dyn Connection, ended: &Ended) -> Result<(), Error> {
    let sql = "-- delayed_add_ended\nINSERT INTO delayed_ended (mandate, month, lines) VALUES ($1, $2, $3) \
               ON CONFLICT (mandate, month) DO UPDATE SET lines = delayed_ended.lines + excluded.lines";
    let params = [ended.mandate.cast_signed().into(), i64::from(ended.month.0).into(), ended.lines.cast_signed().into()];
    conn.execute(sql, &params).map(drop)
}

/// All counts.
pub fn ended(conn: &mut dyn Connection) -> Result<Vec<Ended>, Error> {
    let rows = conn.query("-- delayed_ended\nSELECT mandate, month, lines FROM delayed_ended ORDER BY mandate, month", &[])?;
    rows.iter()
        .map(|row| {
            let month = u16::try_from(row.integer(1)?).map_err(|_| crate::inconsistent("delayed_ended.month"))?;
            Ok(Ended { mandate: row.integer(0)?.cast_unsigned(), month: Month(month), lines: row.integer(2)?.cast_unsigned() })
        })
        .collect()
}
