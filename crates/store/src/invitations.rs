//! One-time invitation codes.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Value};
use crate::number;

/// Adds an invitation for a resident.
pub fn insert(conn: &mut dyn Connection, code_hash: &Digest, resident: u64, expires_at: Time) -> Result<(), Error> {
    let sql = "-- invitation_insert\nINSERT INTO invitations (code_hash, resident, expires_at) VALUES ($1, $2, $3)";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec()), number(resident).into(), expires_at.micros().into()])?;
    Ok(())
}

/// The resident an unused, unexpired invitation is for.
pub fn find(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<Option<u64>, Error> {
    let sql =
        "-- invitation_find\nSELECT resident FROM invitations WHERE code_hash = $1 AND redeemed_at IS NULL AND expires_at > $2";
    let row = conn.query_one(sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])?;
    row.map(|row| Ok(row.integer(0)?.cast_unsigned())).transpose()
}

/// Uses an invitation up. False when it was used or had expired.
pub fn redeem(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- invitation_redeem\nUPDATE invitations SET redeemed_at = $2 WHERE code_hash = $1 AND redeemed_at IS NULL AND expires_at > $2";
    Ok(conn.execute(sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])? == 1)
}

/// Deletes the invitations of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute("-- invitation_purge_resident\nDELETE FROM invitations WHERE resident = $1", &[number(resident).into()])
}
