//! How far the key tree has come, so that a root which was set back is noticed also where no certificate tells of it.

use crate::db::{Connection, Error};

/// The highest epoch that was noted; 0 before the first time.
pub fn reached(conn: &mut dyn Connection) -> Result<u64, Error> {
    let row = conn.query_one("-- key_epoch_reached\nSELECT epoch FROM key_epochs WHERE id = 1", &[])?;
    let epoch = row.map(|row| row.integer(0)).transpose()?.unwrap_or(0);
    u64::try_from(epoch).map_err(|_| crate::inconsistent("key_epochs.epoch"))
}

/// Notes an epoch, unless a later one is noted.
pub fn note(conn: &mut dyn Connection, epoch: u64) -> Result<(), Error> {
    let sql = "-- key_epoch_note\nINSERT INTO key_epochs (id, epoch) VALUES (1, $1) \
               ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch WHERE excluded.epoch > key_epochs.epoch";
    conn.execute(sql, &[epoch.cast_signed().into()]).map(drop)
}
