//! One-time invitation codes.

use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// An invitation that was not used.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub code_hash: Digest,
    pub resident: u64,
    pub expires_at: Time,
    /// Shows that the house made it as it stands here.
    pub mark: Option<Digest>,
}

const COLUMNS: &str = "code_hash, resident, expires_at, mark";

/// Adds an invitation for a resident.
pub fn insert(conn: &mut dyn Connection, invitation: &Invitation) -> Result<(), Error> {
    let sql = format!("-- invitation_insert\nINSERT INTO invitations ({COLUMNS}) VALUES ($1, $2, $3, $4)");
    let params = [
        Value::from(invitation.code_hash.0.to_vec()),
        number(invitation.resident).into(),
        invitation.expires_at.micros().into(),
        invitation.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(&sql, &params)?;
    Ok(())
}

/// The invitation with this code, if it is neither used nor expired.
pub fn find(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<Option<Invitation>, Error> {
    let sql = format!(
        "-- invitation_find\nSELECT {COLUMNS} FROM invitations WHERE code_hash = $1 AND redeemed_at IS NULL AND expires_at > $2"
    );
    let row = conn.query_one(&sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])?;
    row.as_ref().map(read).transpose()
}

/// Up to `limit` unused invitations without a mark whose hashes come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &[u8], limit: usize) -> Result<Vec<Invitation>, Error> {
    let sql = format!(
        "-- invitation_unmarked\nSELECT {COLUMNS} FROM invitations WHERE code_hash > $1 AND mark IS NULL AND redeemed_at IS NULL \
         ORDER BY code_hash LIMIT $2"
    );
    conn.query(&sql, &[Value::from(after), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of an invitation that has none.
pub fn set_mark(conn: &mut dyn Connection, code_hash: &Digest, mark: &Digest) -> Result<(), Error> {
    let sql = "-- invitation_set_mark\nUPDATE invitations SET mark = $2 WHERE code_hash = $1 AND mark IS NULL";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec()), mark.0.to_vec().into()])?;
    Ok(())
}

/// Uses an invitation up, and takes its mark away. False when it was used or had expired.
pub fn redeem(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<bool, Error> {
    let sql = "-- invitation_redeem\nUPDATE invitations SET redeemed_at = $2, mark = NULL \
               WHERE code_hash = $1 AND redeemed_at IS NULL AND expires_at > $2";
    Ok(conn.execute(sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])? == 1)
}

/// Deletes the invitations of a resident.
pub fn purge_resident(conn: &mut dyn Connection, resident: u64) -> Result<u64, Error> {
    conn.execute("-- invitation_purge_resident\nDELETE FROM invitations WHERE resident = $1", &[number(resident).into()])
}

fn read(row: &Row) -> Result<Invitation, Error> {
    Ok(Invitation {
        code_hash: Digest(row.array(0)?),
        resident: row.integer(1)?.cast_unsigned(),
        expires_at: Time::from_micros(row.integer(2)?),
        mark: crate::mark(row, 3)?,
    })
}
