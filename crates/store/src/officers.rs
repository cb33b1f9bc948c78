//! The words by which services name their officers, sealed. An order of the oversight body opens one to the resident it decided about.

use crate::db::{Connection, Error};
use crate::number;

/// The word behind the commitment to an officer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officer {
    /// The pseudonym sector whose key it is sealed under.
    pub sector: u64,
    pub sealed: Vec<u8>,
}

/// Keeps the word behind a commitment, unless it is kept already.
pub fn put(conn: &mut dyn Connection, actor: &[u8; 32], officer: &Officer) -> Result<(), Error> {
    let sql = "-- officer_put\nINSERT INTO officers (actor, sector, sealed) VALUES ($1, $2, $3) ON CONFLICT (actor) DO NOTHING";
    conn.execute(sql, &[actor.to_vec().into(), number(officer.sector).into(), officer.sealed.clone().into()])?;
    Ok(())
}

/// The word behind a commitment.
pub fn find(conn: &mut dyn Connection, actor: &[u8; 32]) -> Result<Option<Officer>, Error> {
    let row =
        conn.query_one("-- officer_find\nSELECT sector, sealed FROM officers WHERE actor = $1", &[actor.to_vec().into()])?;
    row.map(|row| Ok(Officer { sector: row.integer(0)?.cast_unsigned(), sealed: row.bytes(1)?.to_vec() })).transpose()
}

/// Removes the words of a sector that has ended.
pub fn end_sector(conn: &mut dyn Connection, sector: u64) -> Result<u64, Error> {
    conn.execute("-- officer_end\nDELETE FROM officers WHERE sector = $1", &[number(sector).into()])
}
