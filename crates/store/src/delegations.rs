//! Delegations: who may act for whom.

use usufruct_core::delegation::{Powers, Role};
use usufruct_core::{Digest, Time};

use crate::db::{Connection, Error, Row, Value};
use crate::number;

/// A delegation that was given and has not ended.
#[derive(Clone, Debug)]
pub struct Delegation {
    pub id: String,
    pub role: Role,
    /// On whose rights is acted.
    pub person: u64,
    /// Who acts; `None` until a helper has taken it up.
    pub delegate: Option<u64>,
    pub powers: Powers,
    /// Hash of the code by which it is taken up, and when that stops working.
    pub code: Option<(Digest, Time)>,
    pub given_at: Time,
    pub taken_at: Option<Time>,
    pub ends_at: Time,
    /// What the person calls the delegate, sealed under the person's own key.
    pub delegate_called: Option<Vec<u8>>,
    /// What the delegate calls the person, sealed under the delegate's own key, before it is taken up under the person's.
    pub person_called: Option<Vec<u8>>,
    /// Shows that the house wrote it as it stands here.
    pub mark: Option<Digest>,
}

impl Delegation {
    /// Whether it was taken up and its time is not over.
    pub fn is_in_force(&self, now: Time) -> bool {
        self.taken_at.is_some() && self.delegate.is_some() && now < self.ends_at
    }
}

/// Adds a delegation, or replaces the one with its id.
pub fn put(conn: &mut dyn Connection, delegation: &Delegation) -> Result<(), Error> {
    let sql = "-- delegation_put\nINSERT INTO delegations (delegation_id, role, person, delegate, powers, code_hash, code_ends_at, \
               given_at, taken_at, ends_at, delegate_called, person_called, mark) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (delegation_id) DO UPDATE SET \
               delegate = excluded.delegate, powers = excluded.powers, code_hash = excluded.code_hash, \
               code_ends_at = excluded.code_ends_at, taken_at = excluded.taken_at, ends_at = excluded.ends_at, \
               delegate_called = excluded.delegate_called, person_called = excluded.person_called, mark = excluded.mark";
    let params = [
        delegation.id.as_str().into(),
        delegation.role.code().into(),
        number(delegation.person).into(),
        delegation.delegate.map(number).into(),
        delegation.powers.to_string().into(),
        delegation.code.map(|(hash, _)| hash.0.to_vec()).into(),
        delegation.code.map(|(_, ends_at)| ends_at.micros()).into(),
        delegation.given_at.micros().into(),
        delegation.taken_at.map(Time::micros).into(),
        delegation.ends_at.micros().into(),
        delegation.delegate_called.clone().into(),
        delegation.person_called.clone().into(),
        delegation.mark.map(|mark| mark.0.to_vec()).into(),
    ];
    conn.execute(sql, &params)?;
    Ok(())
}

const COLUMNS: &str = "delegation_id, role, person, delegate, powers, code_hash, code_ends_at, given_at, taken_at, ends_at, \
                       delegate_called, person_called, mark";

/// The delegation with this id.
pub fn find(conn: &mut dyn Connection, id: &str) -> Result<Option<Delegation>, Error> {
    let sql = format!("-- delegation_find\nSELECT {COLUMNS} FROM delegations WHERE delegation_id = $1");
    conn.query_one(&sql, &[id.into()])?.as_ref().map(read).transpose()
}

/// The delegation that waits to be taken up with this code.
pub fn find_by_code(conn: &mut dyn Connection, code_hash: &Digest, now: Time) -> Result<Option<Delegation>, Error> {
    let sql = format!(
        "-- delegation_find_by_code\nSELECT {COLUMNS} FROM delegations WHERE code_hash = $1 AND code_ends_at > $2 AND ends_at > $2"
    );
    conn.query_one(&sql, &[Value::from(code_hash.0.to_vec()), now.micros().into()])?.as_ref().map(read).transpose()
}

/// Every delegation that a resident has part in, the oldest first.
pub fn of_resident(conn: &mut dyn Connection, resident: u64) -> Result<Vec<Delegation>, Error> {
    let sql = format!(
        "-- delegation_of_resident\nSELECT {COLUMNS} FROM delegations WHERE person = $1 OR delegate = $1 ORDER BY given_at, delegation_id"
    );
    conn.query(&sql, &[number(resident).into()])?.iter().map(read).collect()
}

/// Up to `limit` delegations whose time is over, or whose code has stopped working before anybody took them up.
pub fn ended(conn: &mut dyn Connection, now: Time, limit: usize) -> Result<Vec<Delegation>, Error> {
    let sql =
        format!("-- delegation_ended\nSELECT {COLUMNS} FROM delegations WHERE ends_at <= $1 OR code_ends_at <= $1 LIMIT $2");
    let params = [now.micros().into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    conn.query(&sql, &params)?.iter().map(read).collect()
}

/// Up to `limit` delegations without a mark whose ids come after `after`, in their order.
pub fn unmarked(conn: &mut dyn Connection, after: &str, limit: usize) -> Result<Vec<Delegation>, Error> {
    let sql = format!(
        "-- delegation_unmarked\nSELECT {COLUMNS} FROM delegations WHERE delegation_id > $1 AND mark IS NULL ORDER BY delegation_id LIMIT $2"
    );
    conn.query(&sql, &[after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()])?.iter().map(read).collect()
}

/// Puts the mark of a delegation that has none.
pub fn set_mark(conn: &mut dyn Connection, id: &str, mark: &Digest) -> Result<(), Error> {
    let sql = "-- delegation_set_mark\nUPDATE delegations SET mark = $2 WHERE delegation_id = $1 AND mark IS NULL";
    conn.execute(sql, &[id.into(), mark.0.to_vec().into()])?;
    Ok(())
}

/// Deletes a delegation and the list of its codes. False when it was deleted before.
pub fn delete(conn: &mut dyn Connection, id: &str) -> Result<bool, Error> {
    forget_codes(conn, id)?;
    Ok(conn.execute("-- delegation_delete\nDELETE FROM delegations WHERE delegation_id = $1", &[id.into()])? == 1)
}

/// Notes that an authorization code was given to the delegate for the person.
pub fn note_code(conn: &mut dyn Connection, id: &str, code_hash: &Digest) -> Result<(), Error> {
    let sql = "-- delegated_code_insert\nINSERT INTO delegated_codes (code_hash, delegation_id) VALUES ($1, $2)";
    conn.execute(sql, &[Value::from(code_hash.0.to_vec()), id.into()])?;
    Ok(())
}

/// The codes that were given to the delegate.
pub fn codes(conn: &mut dyn Connection, id: &str) -> Result<Vec<Digest>, Error> {
    let sql = "-- delegated_code_list\nSELECT code_hash FROM delegated_codes WHERE delegation_id = $1";
    conn.query(sql, &[id.into()])?.iter().map(|row| Ok(Digest(row.array(0)?))).collect()
}

/// Forgets which codes were given to the delegate, once nothing is left of them.
pub fn forget_codes(conn: &mut dyn Connection, id: &str) -> Result<(), Error> {
    conn.execute("-- delegated_code_delete\nDELETE FROM delegated_codes WHERE delegation_id = $1", &[id.into()])?;
    Ok(())
}

/// The delegation under which a code was given; `None` for a code that the resident got herself.
pub fn of_code(conn: &mut dyn Connection, code_hash: &Digest) -> Result<Option<String>, Error> {
    let sql = "-- delegated_code_find\nSELECT delegation_id FROM delegated_codes WHERE code_hash = $1";
    let row = conn.query_one(sql, &[Value::from(code_hash.0.to_vec())])?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}

fn read(row: &Row) -> Result<Delegation, Error> {
    let code = match (row.optional_bytes(5)?, row.optional_integer(6)?) {
        (Some(_), Some(ends_at)) => Some((Digest(row.array(5)?), Time::from_micros(ends_at))),
        _ => None,
    };
    Ok(Delegation {
        id: row.text(0)?.to_owned(),
        role: Role::from_code(row.text(1)?).ok_or_else(|| crate::inconsistent("delegations.role"))?,
        person: row.integer(2)?.cast_unsigned(),
        delegate: row.optional_integer(3)?.map(i64::cast_unsigned),
        powers: Powers::from_codes(row.text(4)?).ok_or_else(|| crate::inconsistent("delegations.powers"))?,
        code,
        given_at: Time::from_micros(row.integer(7)?),
        taken_at: row.optional_integer(8)?.map(Time::from_micros),
        ends_at: Time::from_micros(row.integer(9)?),
        delegate_called: row.optional_bytes(10)?.map(<[u8]>::to_vec),
        person_called: row.optional_bytes(11)?.map(<[u8]>::to_vec),
        mark: crate::mark(row, 12)?,
    })
}
