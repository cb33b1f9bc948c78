//! How far replacements of the pseudonyms of a domain have come.

use usufruct_core::Time;
use usufruct_core::id::RotationId;

use crate::db::{Connection, Error};
use crate::number;

/// One replacement on its way over all residents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last resident who has another pseudonym.
    pub after: Option<u64>,
    /// How many have another one.
    pub residents: u64,
    /// When all had another one.
    pub done_at: Option<Time>,
}

/// How far a rotation has come; at its beginning where nothing is noted.
pub fn find(conn: &mut dyn Connection, id: &RotationId) -> Result<Progress, Error> {
    let sql = "-- sector_rotation_find\nSELECT after, residents, done_at FROM sector_rotations WHERE rotation_id = $1";
    let Some(row) = conn.query_one(sql, &[id.as_str().into()])? else { return Ok(Progress::default()) };
    Ok(Progress {
        after: row.optional_integer(0)?.map(i64::cast_unsigned),
        residents: row.integer(1)?.cast_unsigned(),
        done_at: row.optional_integer(2)?.map(Time::from_micros),
    })
}

/// Notes how far it has come.
pub fn put(conn: &mut dyn Connection, id: &RotationId, progress: &Progress) -> Result<(), Error> {
    let sql = "-- sector_rotation_put\nINSERT INTO sector_rotations (rotation_id, after, residents, done_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (rotation_id) DO UPDATE SET after = excluded.after, residents = excluded.residents, done_at = excluded.done_at";
    let params = [
        id.as_str().into(),
        progress.after.map(number).into(),
        progress.residents.cast_signed().into(),
        progress.done_at.map(Time::micros).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}
