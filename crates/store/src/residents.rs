//! Residents: a random number and whether the pass is active.

use usufruct_core::Time;

use crate::db::{Connection, Error, Value};
use crate::{number, shard};

/// Whether a resident's pass is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResidentState {
    Active,
    Deactivated,
    Erased,
    /// Somebody else may have been in: nothing goes on until the resident lifts it.
    Frozen,
}

/// Adds residents with the keyed hashes of their seeds.
pub fn insert_many(conn: &mut dyn Connection, residents: &[(u64, [u8; 32])], enrolled_at: Time) -> Result<(), Error> {
    let rows: Vec<_> = residents
        .iter()
        .map(|(resident, _)| {
            vec![Value::from(shard(*resident)), number(*resident).into(), "active".into(), enrolled_at.micros().into()]
        })
        .collect();
    conn.execute_many(
        "-- resident_insert\nINSERT INTO residents (shard, resident, state, enrolled_at) VALUES ($1, $2, $3, $4)",
        &rows,
    )?;
    let rows: Vec<_> =
        residents.iter().map(|(resident, seed)| vec![Value::from(seed.to_vec()), number(*resident).into()]).collect();
    conn.execute_many("-- seed_insert\nINSERT INTO seeds (seed_index, resident) VALUES ($1, $2)", &rows)?;
    Ok(())
}

/// The resident whose seed has this keyed hash.
pub fn by_seed(conn: &mut dyn Connection, seed_index: &[u8; 32]) -> Result<Option<u64>, Error> {
    let row =
        conn.query_one("-- seed_find\nSELECT resident FROM seeds WHERE seed_index = $1", &[Value::from(seed_index.to_vec())])?;
    row.map(|row| Ok(row.integer(0)?.cast_unsigned())).transpose()
}

/// The state of a resident's pass, or `None` when there is no such resident.
pub fn state(conn: &mut dyn Connection, resident: u64) -> Result<Option<ResidentState>, Error> {
    let sql = "-- resident_state\nSELECT state FROM residents WHERE shard = $1 AND resident = $2";
    let row = conn.query_one(sql, &[shard(resident).into(), number(resident).into()])?;
    row.map(|row| ResidentState::from_code(row.text(0)?).ok_or_else(|| crate::inconsistent("residents.state"))).transpose()
}

/// Sets the state of a resident's pass.
pub fn set_state(conn: &mut dyn Connection, resident: u64, state: ResidentState) -> Result<(), Error> {
    let sql = "-- resident_set_state\nUPDATE residents SET state = $3 WHERE shard = $1 AND resident = $2";
    conn.execute(sql, &[shard(resident).into(), number(resident).into(), state.code().into()])?;
    Ok(())
}

/// Forgets the seed of a resident, so that none of her pseudonyms leads back to her.
pub fn delete_seed(conn: &mut dyn Connection, resident: u64) -> Result<(), Error> {
    conn.execute("-- seed_delete\nDELETE FROM seeds WHERE resident = $1", &[number(resident).into()])?;
    Ok(())
}

/// How many residents have a pass that is not erased. Synthetic ones are nobody.
pub fn count(conn: &mut dyn Connection) -> Result<i64, Error> {
    let sql = "-- resident_count\nSELECT COUNT(*) FROM residents WHERE state <> 'erased' \
               AND NOT EXISTS (SELECT 1 FROM canaries WHERE canaries.resident = residents.resident)";
    let row = conn.query_one(sql, &[])?;
    row.map_or(Ok(0), |row| row.integer(0))
}

/// Whether somebody had a pass at `at`, as far as is known now. Synthetic residents are nobody.
pub fn lived_at(conn: &mut dyn Connection, at: Time) -> Result<bool, Error> {
    let sql = "-- resident_lived_at\nSELECT 1 FROM residents WHERE enrolled_at <= $1 AND (state <> 'erased' OR EXISTS \
               (SELECT 1 FROM erasures WHERE erasures.resident = residents.resident AND erasures.mandate IS NULL AND requested_at >= $1)) \
               AND NOT EXISTS (SELECT 1 FROM canaries WHERE canaries.resident = residents.resident) LIMIT 1";
    Ok(conn.query_one(sql, &[at.micros().into()])?.is_some())
}

/// Up to `limit` residents after `after`, in order of shard and number.
pub fn list(conn: &mut dyn Connection, after: Option<u64>, limit: usize) -> Result<Vec<u64>, Error> {
    let sql = "-- resident_list\nSELECT resident FROM residents WHERE (shard, resident) > ($1, $2) AND state <> 'erased' \
               ORDER BY shard, resident LIMIT $3";
    let after = after.map_or([Value::from(-1), Value::from(-1)], |after| [shard(after).into(), number(after).into()]);
    let params = [after[0].clone(), after[1].clone(), Value::from(i64::try_from(limit).unwrap_or(i64::MAX))];
    conn.query(sql, &params)?.iter().map(|row| Ok(row.integer(0)?.cast_unsigned())).collect()
}

impl ResidentState {
    /// The word for this state.
    pub fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Erased => "erased",
            Self::Frozen => "frozen",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [Self::Active, Self::Deactivated, Self::Erased, Self::Frozen].into_iter().find(|state| state.code() == code)
    }
}
