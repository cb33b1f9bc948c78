//! Synthetic residents, who are made for a drill and erased in it.

use crate::db::{Connection, Error};
use crate::number;

/// Notes that these residents are synthetic.
pub fn insert_many(conn: &mut dyn Connection, residents: &[u64]) -> Result<(), Error> {
    let rows: Vec<_> = residents.iter().map(|resident| vec![number(*resident).into()]).collect();
    conn.execute_many("-- canary_insert\nINSERT INTO canaries (resident) VALUES ($1)", &rows)?;
    Ok(())
}

/// Whether a resident is synthetic.
pub fn is_one(conn: &mut dyn Connection, resident: u64) -> Result<bool, Error> {
    let sql = "-- canary_is_one\nSELECT 1 FROM canaries WHERE resident = $1";
    Ok(conn.query_one(sql, &[number(resident).into()])?.is_some())
}

/// The synthetic residents whose pass nobody has deleted yet.
pub fn left(conn: &mut dyn Connection) -> Result<Vec<u64>, Error> {
    let sql = "-- canary_left\nSELECT canaries.resident FROM canaries JOIN residents ON residents.resident = canaries.resident \
               WHERE residents.state <> 'erased'";
    conn.query(sql, &[])?.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}
